"""Least-privilege IAM policies for a policy file, from the actions declared beside the calls."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from janitor.aws import logs, metrics, organizations, quotas, tags, targets
from janitor.aws import regions as aws_regions
from janitor.core.model import OWNER_GONE
from janitor.journal import archive
from janitor.owners import table as owners
from janitor.policy.file import Defaults, Policy, Rule

UNSCOPED = frozenset(
    logs.ACTIONS[name]
    for name in (
        *("DescribeLogGroups", "DescribeIndexPolicies", "PutIndexPolicy"),
        *("DescribeResourcePolicies", "PutResourcePolicy"),
        *("ListSyslogConfigurations", "PutSyslogConfiguration"),
    )
)
"""Actions for which the service authorization reference names no resource, so that they need `*`;
for those on syslog configurations that is an assumption."""


def iam_policy(
    policy: Policy,
    *,
    account: str = "*",
    partition: str = "aws",
    regions: Sequence[str] = (),
    ingestion: bool = False,
    orphans: bool = False,
) -> dict[str, Any]:
    """Return an IAM policy document for the log groups of `account`, limited to `regions` if any
    are given; owners may then be read in their home Regions too.

    `ingestion` and `orphans` add what `--ingestion` and `--orphans` read.

    Whatever IAM can scope to log groups is scoped; the rest needs `*`. GetCallerIdentity needs no
    permission.
    """
    scopes: list[Defaults | Rule] = [policy.defaults, *policy.rules]
    delete = any(scope.delete_empty for scope in scopes)
    sweep = any(scope.sweep_streams for scope in scopes)
    retain = any(scope.retention_days or scope.min_days or scope.max_days for scope in scopes)
    events = any(scope.proof == "events" for scope in scopes)
    acts = logs.ACTIONS
    listing = {aws_regions.ACTIONS["DescribeRegions"], quotas.ACTIONS["ListServiceQuotas"]}
    reading = {acts["DescribeLogGroups"]}
    changing: set[str] = set()
    homes: set[str] = set()
    if ingestion:
        listing.add(metrics.ACTIONS["GetMetricData"])
        reading.add(acts["DescribeSubscriptionFilters"])
    if delete or orphans or OWNER_GONE in policy.questions:
        rows = owners.chosen(policy.protect.deletion.owners)
        listing |= owners.actions(rows)
        known = {row.home for row in rows if row.home is not None}
        homes = {home for home in known if aws_regions.partition_of(home) == partition}
    if orphans or policy.questions:
        listing.add(metrics.ACTIONS["GetMetricData"])
    if policy.asks_for_tags:
        listing.add(tags.ACTIONS["GetResources"])
    if delete or (policy.asks_for_tags and (retain or sweep)):
        reading.add(acts["ListTagsForResource"])
    if delete:
        listing.add(metrics.ACTIONS["GetMetricData"])
        reading |= {acts["DescribeLogStreams"], acts["DescribeSubscriptionFilters"]}
        reading |= {acts[name] for name in logs.DEFINITION}
        changing.add(acts["DeleteLogGroup"])
    if sweep:
        listing.add(metrics.ACTIONS["GetMetricData"])
        reading.add(acts["DescribeLogStreams"])
        changing.add(acts["DeleteLogStream"])
    if events and (delete or sweep):
        reading.add(acts["FilterLogEvents"])
    if retain:
        changing.add(acts["PutRetentionPolicy"])
    groups = f"arn:{partition}:logs:*:{account}:log-group:"
    own = [groups + name + end for name in policy.protect.own_groups for end in ("", ":*")]
    spared = {acts[name] for name in logs.CHANGES}
    return _document(
        _statement(
            "List",
            "Allow",
            listing | (reading & UNSCOPED),
            ["*"],
            _in_regions({*regions, *homes} if regions else ()),
        ),
        _statement("Read", "Allow", reading - UNSCOPED, [groups + "*"], _in_regions(regions)),
        _statement("Change", "Allow", changing, [groups + "*"], _in_regions(regions)),
        _statement("SpareTheJanitor", "Deny", spared if own else (), own),
    )


def function_policy(
    policy: Policy,
    *,
    account: str,
    partition: str,
    region: str,
    regions: Sequence[str] = (),
    function: str,
    log_group: str,
    parameter: str | None = None,
    notify_topic: str | None = None,
    bucket: str,
) -> dict[str, Any]:
    """Return the policy of the Lambda function `function` in `region`: clean `regions` (none: all)
    except for its own `log_group`; invoke itself, to continue after 15 minutes; keep state, plans
    and journals of its runs in `bucket`; read the policy from the SSM `parameter` and publish to
    the SNS topic with the ARN `notify_topic`, if any.
    """
    # Imported here, because state needs powertools, which the terminal does without.
    from janitor.function import chain, state

    own = policy.with_own_groups(log_group)
    itself = f"arn:{partition}:lambda:{region}:{account}:function:{function}"
    document = iam_policy(own, account=account, partition=partition, regions=regions)
    statements = [
        *document["Statement"],
        _statement("GoOn", "Allow", {chain.ACTIONS["Invoke"]}, [itself, f"{itself}:*"]),
    ]
    statements += _parameter_and_topic(f"{region}:{account}", partition, parameter, notify_topic)
    objects = f"arn:{partition}:s3:::{bucket}/"
    statements += [*_keep_runs(objects, state.PREFIX, account), _keep_journals(objects, account)]
    return {**document, "Statement": statements}


def restore_policy(
    *,
    account: str = "*",
    partition: str = "aws",
    journal_bucket: str | None = None,
) -> dict[str, Any]:
    """Return what `janitor restore --apply` needs; List and Read suffice without `--apply`.

    A subscription filter has a destination, perhaps in another account, or a role, which is passed
    to CloudWatch Logs. For a log group with a KMS key, the key's policy must also let CloudWatch
    Logs use it.
    """
    logs_of = f"arn:{partition}:logs:*"
    groups = f"{logs_of}:{account}:log-group:*"
    acts = logs.ACTIONS
    bucket = f"arn:{partition}:s3:::{journal_bucket}"
    reading = {archive.ACTIONS["GetObject"]} if journal_bucket else set()
    finding = {archive.ACTIONS["ListObjectsV2"]} if journal_bucket else set()
    listing = {quotas.ACTIONS["ListServiceQuotas"]}
    compared = {acts[name] for name in logs.COMPARED}
    restoring = {acts[name] for name in logs.RESTORING.values()}
    services = ["logs.amazonaws.com", "logs.*.amazonaws.com*"]
    passed = {"StringLike": {"iam:PassedToService": services}}
    roles = [f"arn:{partition}:iam::{account}:role/*"]
    return _document(
        _statement("List", "Allow", listing | (compared & UNSCOPED), ["*"]),
        _statement("Read", "Allow", compared - UNSCOPED, [groups]),
        _statement("Restore", "Allow", restoring - UNSCOPED, [groups]),
        _statement("RestoreUnscoped", "Allow", restoring & UNSCOPED, ["*"]),
        _statement(
            "Subscribe", "Allow", {acts["PutSubscriptionFilter"]}, [f"{logs_of}:*:destination:*"]
        ),
        _statement("PassRoles", "Allow", {"iam:PassRole"}, roles, passed),
        _statement("ReadJournals", "Allow", reading, [f"{bucket}/{archive.PREFIX}*"]),
        _statement("FindJournals", "Allow", finding, [bucket]),
    )


POLLING = ("sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ReceiveMessage")
"""What Lambda needs in the function's role to poll a queue (Lambda Developer Guide, "Using Lambda
with Amazon SQS")."""


def new_groups_policy(
    policy: Policy,
    *,
    account: str,
    partition: str,
    region: str,
    regions: Sequence[str] = (),
    log_group: str,
    queue: str,
    parameter: str | None = None,
    bucket: str,
) -> dict[str, Any]:
    """Return the policy of `janitor.function.new_groups`: read log groups in `regions` (none: in
    all) and set their retention, except for its own `log_group`; copy tags, if the policy names
    any; poll `queue` (a name); read the policy from the SSM `parameter`, if any; add journals to
    `bucket`.
    """
    only = policy.only_retention(1.0).with_own_groups(log_group)
    document = iam_policy(only, account=account, partition=partition, regions=regions)
    groups = [f"arn:{partition}:logs:*:{account}:log-group:*"]
    unused = {aws_regions.ACTIONS["DescribeRegions"], tags.ACTIONS["GetResources"]}
    for statement in document["Statement"]:
        statement["Action"] = [name for name in statement["Action"] if name not in unused]
    where, copying = _in_regions(regions), bool(policy.new_groups.tags)
    reading, tagging = logs.ACTIONS["ListTagsForResource"], logs.ACTIONS["TagResource"]
    place = f"{region}:{account}"
    more = _document(
        _statement(
            "OwnersTags", "Allow", {tags.ACTIONS["GetResources"]} if copying else (), ["*"], where
        ),
        _statement("CopyTags", "Allow", {reading, tagging} if copying else (), groups, where),
        _statement("Poll", "Allow", POLLING, [f"arn:{partition}:sqs:{place}:{queue}"]),
        *_parameter_and_topic(place, partition, parameter, None),
        _keep_journals(f"arn:{partition}:s3:::{bucket}/", account),
    )
    return {**document, "Statement": [*document["Statement"], *more["Statement"]]}


def fleet_policy(
    *,
    account: str,
    partition: str,
    region: str,
    role: str,
    lists: bool = True,
    parameter: str | None = None,
    notify_topic: str | None = None,
    bucket: str,
) -> dict[str, Any]:
    """Return the policy of `janitor.function.fleet`: assume the role `role` (its name, with its
    path, if any) in any account that trusts it; list the organization's accounts if `lists`; keep
    its runs and the journals of all accounts in `bucket`; read the policy from the SSM `parameter`
    and publish to the SNS topic with the ARN `notify_topic`, if any.
    """
    from janitor.function import state

    objects, assuming = f"arn:{partition}:s3:::{bucket}/", [targets.ACTIONS["AssumeRole"]]
    organization = organizations.ACTIONS.values() if lists else ()
    return _document(
        _statement("BeMember", "Allow", assuming, [f"arn:{partition}:iam::*:role/{role}"]),
        _statement("ListAccounts", "Allow", organization, ["*"]),
        *_keep_runs(objects, state.FLEET, account),
        _keep_journals(objects, account, of="*"),
        *_parameter_and_topic(f"{region}:{account}", partition, parameter, notify_topic),
    )


def state_machine_policy(
    *, account: str, partition: str, region: str, machine: str, function: str, bucket: str
) -> dict[str, Any]:
    """Return the policy of the fleet's state machine `machine`: invoke `function`, read the targets
    in `bucket`, start executions of itself for them, and describe and stop those (Step Functions
    Developer Guide, "IAM policies for using Distributed Map states"; a later edition omits stopping
    them, but whoever stops a run must not find its targets still being cleaned).
    """
    from janitor.function import state

    states, place = f"arn:{partition}:states:{region}:{account}", f"{region}:{account}"
    targets_of = f"arn:{partition}:s3:::{bucket}/{state.FLEET}*/targets.json"
    invoked = f"arn:{partition}:lambda:{place}:function:{function}"
    # The ARN of an execution for a target also has the label of the map.
    executions = [f"{states}:execution:{machine}{end}" for end in (":*", "/*")]
    return _document(
        _statement("Work", "Allow", ["lambda:InvokeFunction"], [invoked]),
        _statement(
            "ReadTargets", "Allow", [state.ACTIONS["GetObject"]], [targets_of], _owned_by(account)
        ),
        _statement(
            "Divide", "Allow", ["states:StartExecution"], [f"{states}:stateMachine:{machine}"]
        ),
        _statement(
            "Watch", "Allow", ["states:DescribeExecution", "states:StopExecution"], executions
        ),
    )


def native_policy(*, regions: Sequence[str] = ()) -> dict[str, Any]:
    """Return what `janitor native --apply` needs, and `janitor restore` for its journals, limited
    to `regions` if any are given. Account-level policies hold for all log groups: it takes `*`.
    """
    needed = {logs.ACTIONS[name] for name in logs.NATIVE} | {aws_regions.ACTIONS["DescribeRegions"]}
    return _document(_statement("AccountPolicies", "Allow", needed, ["*"], _in_regions(regions)))


def watch_policy(*, new_groups: bool = False) -> dict[str, Any]:
    """Return the policy of `janitor.function.watch`; with `new_groups` it also reads trails."""
    from janitor.function import trails, watch

    looking = {watch.ACTIONS["GetMetricData"], logs.ACTIONS["DescribeLogGroups"]}
    if new_groups:
        looking |= {*trails.ACTIONS.values()}
    return _document(_statement("Look", "Allow", looking, ["*"]))


def _parameter_and_topic(
    place: str, partition: str, parameter: str | None, topic: str | None
) -> list[dict[str, Any]]:
    """Return statements to read the SSM parameter and to publish to the topic, if any; `place` is
    the function's `REGION:ACCOUNT`.
    """
    from janitor.function import notify, settings

    read = f"arn:{partition}:ssm:{place}:parameter/{(parameter or '').lstrip('/')}"
    statements = [
        (parameter, _statement("ReadPolicy", "Allow", {settings.ACTIONS["GetParameter"]}, [read])),
        (topic, _statement("Tell", "Allow", {notify.ACTIONS["Publish"]}, [str(topic)])),
    ]
    return [statement for wanted, statement in statements if wanted is not None]


def _keep_runs(objects: str, prefix: str, account: str) -> list[dict[str, Any]]:
    """Return the statements to keep the state of runs; `objects` is the ARN of the account's bucket
    with a slash, `prefix` begins the keys.
    """
    from janitor.function import state

    acts, own = state.ACTIONS.values(), _owned_by(account)
    # Without ListBucket S3 answers AccessDenied instead of NoSuchKey for a state that is not there.
    finding = {archive.ACTIONS["ListObjectsV2"]}
    return [
        _statement("KeepRuns", "Allow", acts, [f"{objects}{prefix}*"], own),
        _statement("FindRuns", "Allow", finding, [objects[:-1]], own),
    ]


def _keep_journals(objects: str, account: str, of: str | None = None) -> dict[str, Any]:
    """Return the statement to add journals `of` an account (`*`: of any), by default the bucket's
    own `account`; `objects` is the bucket's ARN with a slash.
    """
    arn, adding = f"{objects}{archive.PREFIX}{of or account}/*", {archive.ACTIONS["PutObject"]}
    return _statement("KeepJournals", "Allow", adding, [arn], _owned_by(account))


def _document(*statements: dict[str, Any]) -> dict[str, Any]:
    return {
        "Version": "2012-10-17",
        "Statement": [statement for statement in statements if statement["Action"]],
    }


def _statement(
    sid: str,
    effect: str,
    actions: Iterable[str],
    resources: list[str],
    condition: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    entry = {"Sid": sid, "Effect": effect, "Action": sorted(actions), "Resource": resources}
    return {**entry, "Condition": condition} if condition else entry


def _in_regions(regions: Iterable[str]) -> dict[str, Any] | None:
    """Return the condition for calls to these Regions only, or None if there are none."""
    wanted = sorted(regions)
    return {"StringEquals": {"aws:RequestedRegion": wanted}} if wanted else None


def _owned_by(account: str) -> dict[str, Any]:
    """Return the condition that a bucket belongs to the account: its ARN does not say, and once it
    is deleted anybody may create one of that name.
    """
    return {"StringEquals": {"aws:ResourceAccount": account}}
