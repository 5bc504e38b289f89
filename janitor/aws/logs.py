"""CloudWatch Logs: the only module that calls it. `Logs` reads, `Changes` changes.

Each operation has the IAM action that it needs in `ACTIONS`, which the least policy is made from.
Reads raise CallError or UnavailableError (`janitor.aws.api.ReadError`) rather than answer in part.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, Literal

from janitor.aws.api import Api, CallError, UnavailableError, chunks
from janitor.aws.pace import retrying
from janitor.core.model import LogGroup, LogStream, Target
from janitor.core.native import AccountPolicy, Impact, Impacted

ACTIONS: dict[str, str] = {
    "DescribeLogGroups": "logs:DescribeLogGroups",
    "DescribeLogStreams": "logs:DescribeLogStreams",
    "DescribeMetricFilters": "logs:DescribeMetricFilters",
    "DescribeSubscriptionFilters": "logs:DescribeSubscriptionFilters",
    "GetDataProtectionPolicy": "logs:GetDataProtectionPolicy",
    "DescribeIndexPolicies": "logs:DescribeIndexPolicies",
    "GetTransformer": "logs:GetTransformer",
    "DescribeResourcePolicies": "logs:DescribeResourcePolicies",
    "ListSyslogConfigurations": "logs:ListSyslogConfigurations",
    "FilterLogEvents": "logs:FilterLogEvents",
    "ListTagsForResource": "logs:ListTagsForResource",
    "PutRetentionPolicy": "logs:PutRetentionPolicy",
    "DeleteLogGroup": "logs:DeleteLogGroup",
    "DeleteLogStream": "logs:DeleteLogStream",
    "DeleteRetentionPolicy": "logs:DeleteRetentionPolicy",
    "CreateLogGroup": "logs:CreateLogGroup",
    "AssociateKmsKey": "logs:AssociateKmsKey",
    "TagResource": "logs:TagResource",
    "PutBearerTokenAuthentication": "logs:PutBearerTokenAuthentication",
    "PutDataProtectionPolicy": "logs:PutDataProtectionPolicy",
    "PutIndexPolicy": "logs:PutIndexPolicy",
    "PutTransformer": "logs:PutTransformer",
    "PutResourcePolicy": "logs:PutResourcePolicy",
    "PutSyslogConfiguration": "logs:PutSyslogConfiguration",
    "PutMetricFilter": "logs:PutMetricFilter",
    "PutSubscriptionFilter": "logs:PutSubscriptionFilter",
    "DescribeAccountPolicies": "logs:DescribeAccountPolicies",
    "PutAccountPolicy": "logs:PutAccountPolicy",
    "DeleteAccountPolicy": "logs:DeleteAccountPolicy",
}

CHANGES = ("PutRetentionPolicy", "DeleteLogGroup", "DeleteLogStream")
DEFINITION = (
    "GetDataProtectionPolicy",
    "DescribeIndexPolicies",
    "GetTransformer",
    "DescribeResourcePolicies",
    "ListSyslogConfigurations",
)
"""What is read before a log group is deleted, so that it can be made again."""
LAST_LOOK = (
    "DescribeSubscriptionFilters",
    "ListTagsForResource",
    "DescribeLogStreams",
    "DescribeLogGroups",
    "DeleteLogGroup",
)
"""What is called right before a deletion, and it; the slowest quota first, so that the others are
not waited for long before they are called."""
RESTORING = {
    "retention": "PutRetentionPolicy",
    "no retention": "DeleteRetentionPolicy",
    "log group": "CreateLogGroup",
    "key": "AssociateKmsKey",
    "tags": "TagResource",
    "bearer token": "PutBearerTokenAuthentication",
    "data protection policy": "PutDataProtectionPolicy",
    "index policy": "PutIndexPolicy",
    "transformer": "PutTransformer",
    "resource policy": "PutResourcePolicy",
    "syslog data": "PutSyslogConfiguration",
    "metric filter": "PutMetricFilter",
    "subscription filter": "PutSubscriptionFilter",
}
"""What an undo gives back, and by which call."""
PUTTING = ("PutAccountPolicy", "PutRetentionPolicy")
REMOVING = ("DeleteAccountPolicy", "DeleteRetentionPolicy")
"""What it takes to put and to delete account-level retention policies; a dry run takes the same
(botocore 1.44.5, PutAccountPolicy and DeleteAccountPolicy)."""
NATIVE = ("DescribeAccountPolicies", *PUTTING, *REMOVING)
COMPARED = (
    "DescribeLogGroups",
    "DescribeMetricFilters",
    "DescribeSubscriptionFilters",
    "ListTagsForResource",
    *DEFINITION,
)
"""What an undo reads of a log group that is there."""

_NOT_FOR_THIS_CLASS = {
    "InvalidOperationException",
    "InvalidParameterException",
    "OperationNotSupportedException",
    "ValidationException",
}
"""How a class refuses what it does not have: by some reports (turbot/steampipe-plugin-aws issue
2758, aws/karpenter-provider-aws pull request 9567); of most calls none tells the code."""
_NOT_IN_THIS_REGION = {"UnknownOperationException", "InvalidOperationException"}
"""How a Region says that it does not have a feature: its endpoint does not know the operation (as
boto3 issue 2359 has it for Logs Insights in China), or "the operation is not valid on the specified
resource" (botocore 1.44.5), though its class has it."""
FILTER_KEYS = (
    "filterName",
    "filterPattern",
    "metricTransformations",
    "destinationArn",
    "roleArn",
    "distribution",
    "applyOnTransformedLogs",
    "fieldSelectionCriteria",
    "emitSystemFieldDimensions",
    "emitSystemFields",
)
"""Of a described filter, what PutMetricFilter or PutSubscriptionFilter takes."""

IDENTIFIERS_A_CALL = 50
RETENTION_POLICY = "RETENTION_POLICY"
"""The type of account-level policy that sets retention (botocore 1.44.5, PolicyType)."""
LATEST = 253_402_300_800_000
"""The year 10000 in ms since the epoch: times from then on make no sense, nor have they a date."""
MOST = 1 << 63
MOST_DAYS = 1_000_000

FilterKind = Literal["metric", "subscription"]
_FILTERS: dict[FilterKind, tuple[str, str, str]] = {
    "metric": ("DescribeMetricFilters", "metricFilters", "PutMetricFilter"),
    "subscription": (
        "DescribeSubscriptionFilters",
        "subscriptionFilters",
        "PutSubscriptionFilter",
    ),
}
"""Of each kind the call that lists, its key, and the call that puts."""


class TokenExpiredError(Exception):
    """The page token to start from is not valid any more."""


class Logs:
    """What one target's CloudWatch Logs is asked."""

    def __init__(self, api: Api) -> None:
        self.api = api
        self.target = api.target
        self.clock = api.clock

    async def groups(
        self, start: str | None = None, before: Iterable[str] = ()
    ) -> AsyncIterator[tuple[list[LogGroup], str | None]]:
        """All log groups, a page (at most 50) at a time; a page may be empty and not the last.

        With each page comes the token of the next, None after the last. `start` is such a token;
        it lives for 24 hours (CloudWatch Logs API reference), then TokenExpiredError is raised.
        Where a page begins is not documented: what the one before listed is not listed again; with
        `start`, that are the names in `before`. Pages are sorted by name (API reference): what
        comes behind its place may have been listed before, and gets a defect.
        """
        parameters = {} if start is None else {"nextToken": start}
        listed = set(before)
        last = max(listed, default="")
        try:
            async for page, following in self._pages("DescribeLogGroups", "logGroups", parameters):
                start = None
                groups = [group for group in self._mine(page) if group.name not in listed]
                if any(group.name < last for group in groups):
                    groups = [_behind(group) if group.name < last else group for group in groups]
                if groups:
                    listed = {group.name for group in groups if group.name}
                    last = max(last, *listed, "")
                yield groups, following
        except CallError as error:
            if start is not None and error.code == "InvalidParameterException":
                raise TokenExpiredError from error
            raise

    async def group(self, name: str) -> LogGroup | None:
        """One log group as it is now, or None when there is none of that name.

        Asked by prefix: pages are sorted by name, so the exact name comes first.
        """
        async for page in self._described(logGroupNamePrefix=name):
            for found in page:
                if found.name == name:
                    return found
                if found.name > name:
                    return None
        return None

    async def named(self, names: Sequence[str]) -> dict[str, LogGroup]:
        """Log groups by name as they are now, 50 a call; those that do not exist are left out.

        What is missing is asked for by itself: an answer may have pages, whose token may not be
        valid any more because one of the groups vanished.
        """
        found: dict[str, LogGroup] = {}
        for chunk in chunks(names, IDENTIFIERS_A_CALL):
            wanted, paging = set(chunk), False
            try:
                async for page in self._described(logGroupIdentifiers=list(chunk)):
                    paging = True
                    found.update((group.name, group) for group in page if group.name in wanted)
                    if wanted <= found.keys():
                        break
            except CallError as error:
                if not paging or error.code != "InvalidParameterException":
                    raise
            for name in chunk:
                if name not in found and (group := await self.group(name)) is not None:
                    found[name] = group
        return found

    async def names(
        self, most_pages: int, *, prefix: str | None = None, pattern: str | None = None
    ) -> list[str]:
        """The names that begin with `prefix`, or contain `pattern` (not both), of the first pages.

        For people who look for a name: never the whole Region's.
        """
        named = {"logGroupNamePrefix": prefix, "logGroupNamePattern": pattern}
        asked = {key: text for key, text in named.items() if text is not None}
        found: list[str] = []
        async for page in self._described(**asked):
            found += [group.name for group in page]
            most_pages -= 1
            if not most_pages:
                break
        return found

    async def _described(self, **parameters: Any) -> AsyncIterator[list[LogGroup]]:
        async for page, _ in self._pages("DescribeLogGroups", "logGroups", parameters):
            yield self._mine(page)

    def _mine(self, page: Sequence[Mapping[str, Any]]) -> list[LogGroup]:
        """The target's log groups on a page, each once; a monitoring account is shown those of
        linked accounts too, which may have the same names. Their ARNs tell them apart.
        """
        groups = [parse_group(entry, self.target) for entry in page]
        if account := self.target.account:
            own = f":{account}:"
            groups = [group for group in groups if own in group.arn or not group.arn]
        if len({group.name for group in groups}) < len(groups):
            names: set[str] = set()
            several, groups = groups, []
            for group in several:
                if not group.name or group.name not in names:
                    groups.append(group)
                names.add(group.name)
        return groups

    async def streams(self, group: str) -> AsyncIterator[list[LogStream]]:
        """The streams of a log group, oldest name first, a page (at most 50) at a time.

        A stream whose times make no sense ends the reading in UnavailableError.
        """
        asked = {"logGroupName": group, "orderBy": "LogStreamName"}
        async for page, _ in self._pages("DescribeLogStreams", "logStreams", asked):
            yield [parse_stream(entry) for entry in page]

    async def filters(self, group: LogGroup, kind: FilterKind) -> list[dict[str, Any]]:
        """A log group's filters of a kind, as the call that puts them takes them.

        A class other than STANDARD may refuse the call: it has none.
        """
        operation, key, _ = _FILTERS[kind]
        found: list[dict[str, Any]] = []
        try:
            async for page, _ in self._pages(operation, key, {"logGroupName": group.name}):
                found += [{name: e[name] for name in FILTER_KEYS if name in e} for e in page]
        except CallError as error:
            if not _refused_for_class(group, error):
                raise
        return found

    async def tags(self, arn: str) -> dict[str, str]:
        """The tags of one log group (ARN without the trailing `:*`)."""
        answer = await self.api.call("logs", "ListTagsForResource", expect="tags", resourceArn=arn)
        return {str(key): str(value) for key, value in answer["tags"].items()}

    async def data_protection_policy(self, group: LogGroup) -> str | None:
        """The group's own data protection policy, a JSON document, or None.

        Not asked where DescribeLogGroups shows no `dataProtectionStatus`: there was never one.
        """
        if group.data_protection is None:
            return None
        answer = await self._own(group, "GetDataProtectionPolicy", logGroupIdentifier=group.name)
        document = answer.get("policyDocument")
        if document is not None and not isinstance(document, str):
            raise UnavailableError("GetDataProtectionPolicy", f"policyDocument is {document!r}")
        if not document and group.data_protection == "ACTIVATED":
            raise UnavailableError("GetDataProtectionPolicy", "no policy, although one is active")
        return document or None

    async def index_policy(self, group: LogGroup) -> str | None:
        """The group's own field index policy, a JSON document, or None.

        An account-level policy is shown for the groups that it applies to as well: that is not
        the group's.
        """
        operation, named = "DescribeIndexPolicies", {"logGroupIdentifiers": [group.name]}
        return _document(
            operation,
            [
                policy
                for policy in await self._own_list(group, operation, "indexPolicies", named)
                if policy.get("source") != "ACCOUNT"
            ],
        )

    async def transformer(self, group: LogGroup) -> tuple[dict[str, Any], ...]:
        """The processors of the group's own transformer; none for none."""
        answer = await self._own(group, "GetTransformer", logGroupIdentifier=group.name)
        processors = answer.get("transformerConfig") or []
        if not isinstance(processors, list):
            raise UnavailableError("GetTransformer", f"transformerConfig is {processors!r}")
        return tuple(processors)

    async def resource_policy(self, group: LogGroup) -> str | None:
        """The resource policy on the group itself, a JSON document, or None.

        Asked for as Terraform's provider does, by ARN and scope. Those of a whole account could be
        listed in a few calls, but whether the scope alone lists them is not documented.
        """
        operation = "DescribeResourcePolicies"
        asked = {"resourceArn": group.arn, "policyScope": "RESOURCE"}
        return _document(
            operation,
            [
                policy
                for policy in await self._own_list(group, operation, "resourcePolicies", asked)
                if _without_star(policy.get("resourceArn")) == group.arn
            ],
        )

    async def syslog_endpoints(self, group: LogGroup) -> tuple[str, ...]:
        """The VPC endpoints whose syslog data go to the group."""
        operation, named = "ListSyslogConfigurations", {"logGroupIdentifier": group.name}
        endpoints = []
        for entry in await self._own_list(group, operation, "syslogConfigurations", named):
            if _without_star(entry.get("logGroupArn")) not in (group.arn, group.name, None):
                continue
            endpoint = entry.get("vpcEndpointId")
            if not isinstance(endpoint, str):
                raise UnavailableError(operation, f"vpcEndpointId is {endpoint!r}")
            endpoints.append(endpoint)
        return tuple(sorted(endpoints))

    async def account_policies(self) -> dict[str, AccountPolicy]:
        """The account-level retention policies by name, whoever put them."""
        operation, found = "DescribeAccountPolicies", dict[str, AccountPolicy]()
        asked = {"policyType": RETENTION_POLICY}
        async for page, _ in self._pages(operation, "accountPolicies", asked):
            for entry in page:
                name, document = entry.get("policyName"), entry.get("policyDocument")
                if not isinstance(name, str) or not isinstance(document, str):
                    raise UnavailableError(operation, f"policy {name!r} says {document!r}")
                found[name] = AccountPolicy(name, document, entry.get("selectionCriteria") or None)
        return found

    async def _own(self, group: LogGroup, operation: str, **parameters: Any) -> Mapping[str, Any]:
        """What a group has of its own; an empty answer where it has nothing.

        "Not found" may mean the group too, which the next look at it shows.
        """
        try:
            return await self.api.call("logs", operation, **parameters)
        except CallError as error:
            if error.not_found or _cannot_have(group, error):
                return {}
            raise

    async def _own_list(
        self, group: LogGroup, operation: str, key: str, parameters: Mapping[str, Any]
    ) -> list[Mapping[str, Any]]:
        """The same where it is listed."""
        found: list[Mapping[str, Any]] = []
        try:
            async for page, _ in self._pages(operation, key, parameters):
                found += page
        except CallError as error:
            if found or not (error.not_found or _cannot_have(group, error)):
                raise
        return found

    async def holds_events(
        self, group: str, since: int, streams: Sequence[str] | None = None
    ) -> bool:
        """Whether FilterLogEvents finds any event from `since` (ms) on, drained to its last token.

        `streams` narrows it to at most 100 named streams.
        """
        asked: dict[str, Any] = {"logGroupName": group, "startTime": max(since, 0)}
        if streams is not None:
            asked["logStreamNames"] = list(streams)
        async for page, _ in self._pages("FilterLogEvents", "events", asked):
            if page:
                return True
        return False

    def _pages(
        self, operation: str, key: str, parameters: Mapping[str, Any]
    ) -> AsyncIterator[tuple[Sequence[Mapping[str, Any]], str | None]]:
        return pages(self.api, "logs", operation, key, "nextToken", parameters)


def _refused_for_class(group: LogGroup, error: CallError) -> bool:
    """Whether AWS says that the group's class does not have what was asked for."""
    return error.code in _NOT_FOR_THIS_CLASS and group.log_class != "STANDARD"


def _cannot_have(group: LogGroup, error: CallError) -> bool:
    """Whether AWS says that no log group of this class, or of this Region, has what was asked for.

    To be denied or throttled says nothing of the kind, nor does a parameter that is refused.
    """
    return error.code in _NOT_IN_THIS_REGION or _refused_for_class(group, error)


def _document(operation: str, policies: Sequence[Mapping[str, Any]]) -> str | None:
    """The document of the one policy that there may be. Raises UnavailableError on several."""
    documents = [str(one["policyDocument"]) for one in policies if one.get("policyDocument")]
    if len(documents) > 1:
        raise UnavailableError(operation, f"{len(documents)} policies for one log group")
    return documents[0] if documents else None


def _without_star(arn: object) -> str | None:
    return arn.removesuffix(":*") if isinstance(arn, str) else None


async def pages(
    api: Api,
    service: str,
    operation: str,
    key: str,
    token: str,
    parameters: Mapping[str, Any],
) -> AsyncIterator[tuple[Sequence[Mapping[str, Any]], str | None]]:
    """Every page, with the token of the next; one that comes back unchanged is garbage."""
    asked, last = dict(parameters), parameters.get(token)
    while True:
        answer = await api.call(service, operation, expect=key, **asked)
        page = answer[key]
        if not isinstance(page, list):
            raise UnavailableError(operation, f"{key!r} is not a list")
        following = answer.get(token) or None
        yield page, following
        if following is None:
            return
        if following == last:
            raise UnavailableError(
                operation, "the same page token twice, so the list would never end"
            )
        last = asked[token] = following


class Changes:
    """What one target's CloudWatch Logs is told. Only `engine.act` and `journal.restore` may."""

    def __init__(self, api: Api) -> None:
        self._api = api

    async def reserve_look(self) -> None:
        """Wait now for the pace of a last look's calls and of its DeleteLogGroup, so that nothing
        waits between them. Raises StoppedError.
        """
        await self._api.pace.reserve(LAST_LOOK, self._api.stop)

    async def reserve_put(self, *, tags: bool) -> None:
        """Wait now for the pace of a PutRetentionPolicy, with `tags` for that of the look at a
        group's tags before it as well. Raises StoppedError.
        """
        looks = ["ListTagsForResource"] if tags else []
        await self._api.pace.reserve([*looks, "PutRetentionPolicy"], self._api.stop)

    async def reserve_tag(self) -> None:
        """Wait now for the pace of a look at a log group's tags and of the TagResource after it.
        Raises StoppedError.
        """
        await self._api.pace.reserve(["ListTagsForResource", "TagResource"], self._api.stop)

    async def delete_group_once(self, group: str, by: float) -> None:
        """One DeleteLogGroup (see `reserve_look`), sent by `by` (monotonic) or not at all, and
        never repeated by itself: who repeats it must look again first. Raises TransientError,
        CallError or StoppedError.
        """
        await self._once("DeleteLogGroup", by=by, logGroupName=group)

    async def _once(self, operation: str, **parameters: Any) -> None:
        await self._api.once("logs", operation, blindly=False, **parameters)

    async def delete_stream(
        self, group: str, stream: str, again: Callable[[], Awaitable[None]]
    ) -> None:
        """Delete one log stream. Not there any more after an attempt whose answer was lost, it was
        deleted by that attempt. `again` is awaited before an attempt is repeated, which may be
        minutes later; what it raises is raised.
        """
        lost = False

        async def attempt() -> None:
            nonlocal lost
            try:
                await self._once("DeleteLogStream", logGroupName=group, logStreamName=stream)
            except UnavailableError as error:
                lost |= not error.refused
                raise
            except CallError as error:
                if not (lost and error.not_found):
                    raise

        await self._repeated(attempt, again)

    async def put_retention(
        self, group: str, days: int, again: Callable[[], Awaitable[None]] | None = None
    ) -> None:
        """Set a log group's retention in days. Setting it twice is the same as once, but for what
        others did in between: `again` as in `delete_stream`.
        """

        async def attempt() -> None:
            await self._once("PutRetentionPolicy", logGroupName=group, retentionInDays=days)

        await self._repeated(attempt, again)

    async def delete_retention(self, group: str) -> None:
        """Let a log group's events never expire. Doing it twice is the same as once."""
        await self._tell("DeleteRetentionPolicy", logGroupName=group)

    async def create_group(
        self, group: str, log_class: str, kms_key_id: str | None, tags: Mapping[str, str]
    ) -> None:
        """Make a log group. ResourceAlreadyExistsException may be the echo of a lost answer."""
        more: dict[str, Any] = {} if kms_key_id is None else {"kmsKeyId": kms_key_id}
        if tags:
            more["tags"] = dict(tags)
        await self._tell("CreateLogGroup", logGroupName=group, logGroupClass=log_class, **more)

    async def associate_key(self, group: str, kms_key_id: str) -> None:
        """Encrypt what a log group takes in from now on."""
        await self._tell("AssociateKmsKey", logGroupName=group, kmsKeyId=kms_key_id)

    async def tag(self, arn: str, tags: Mapping[str, str]) -> None:
        """Add tags to a log group (ARN without the trailing `:*`)."""
        await self._tell("TagResource", resourceArn=arn, tags=dict(tags))

    async def tag_once(self, arn: str, tags: Mapping[str, str]) -> None:
        """One attempt at it, which overwrites what has the same key: who repeats it must look
        again first. Raises TransientError, CallError or StoppedError.
        """
        await self._once("TagResource", resourceArn=arn, tags=dict(tags))

    async def require_bearer_token(self, group: str) -> None:
        """Turn bearer token authentication on."""
        await self._tell(
            "PutBearerTokenAuthentication",
            logGroupIdentifier=group,
            bearerTokenAuthenticationEnabled=True,
        )

    async def set_data_protection_policy(self, group: str, document: str) -> None:
        """Set a log group's own data protection policy."""
        await self._tell(
            "PutDataProtectionPolicy", logGroupIdentifier=group, policyDocument=document
        )

    async def set_index_policy(self, group: str, document: str) -> None:
        """Set a log group's own field index policy."""
        await self._tell("PutIndexPolicy", logGroupIdentifier=group, policyDocument=document)

    async def set_transformer(self, group: str, processors: Sequence[Mapping[str, Any]]) -> None:
        """Set a log group's own transformer."""
        await self._tell(
            "PutTransformer", logGroupIdentifier=group, transformerConfig=list(processors)
        )

    async def set_resource_policy(self, arn: str, document: str) -> None:
        """Give a log group (ARN without the trailing `:*`) that has none a resource policy.

        Its name is not put: AWS takes a name or an ARN, not both (hashicorp/terraform-provider-aws
        pull request 46813).
        """
        await self._tell("PutResourcePolicy", resourceArn=arn, policyDocument=document)

    async def set_syslog_endpoint(self, group: str, endpoint: str) -> None:
        """Let the syslog data of a VPC endpoint go to a log group."""
        await self._tell("PutSyslogConfiguration", logGroupIdentifier=group, vpcEndpointId=endpoint)

    async def put_filter(self, group: str, kind: FilterKind, described: Mapping[str, Any]) -> None:
        """Put a filter that `Logs.filters` described."""
        await self._tell(_FILTERS[kind][2], logGroupName=group, **described)

    async def _tell(self, operation: str, **parameters: Any) -> None:
        await self._api.call("logs", operation, **parameters)

    async def _repeated(
        self, attempt: Callable[[], Awaitable[None]], again: Callable[[], Awaitable[None]] | None
    ) -> None:
        """The attempt, tried again while it fails in passing; before each time but the first comes
        `again`.
        """
        tried = False

        async def once() -> None:
            nonlocal tried
            if tried and again is not None:
                await again()
            tried = True
            await attempt()

        await retrying(once, self._api.stop)


class AccountPolicies:
    """What one target is told of its account-level retention policies; first as AWS's dry run of
    it, of which an account lets pass one at a time. Only `journal.account_policies` may.
    """

    def __init__(self, api: Api) -> None:
        self._api = api

    async def preview(self, name: str, wanted: AccountPolicy | None) -> Impact:
        """What it would do to put the wanted policy, or, with None, to delete the one named."""
        operation = "DeleteAccountPolicy" if wanted is None else "PutAccountPolicy"
        answer = await self._tell(name, wanted, expect="dryRunResult", dryRun=True)
        return _impact(operation, answer["dryRunResult"])

    async def change(self, name: str, wanted: AccountPolicy | None) -> None:
        """Do it. Doing it twice is the same as once."""
        try:
            await self._tell(name, wanted)
        except CallError as error:
            if wanted is not None or not error.not_found:
                raise

    async def _tell(
        self, name: str, wanted: AccountPolicy | None, **more: Any
    ) -> Mapping[str, Any]:
        named = {"policyName": name, "policyType": RETENTION_POLICY, **more}
        if wanted is None:
            return await self._api.call("logs", "DeleteAccountPolicy", **named)
        scope = {} if wanted.criteria is None else {"selectionCriteria": wanted.criteria}
        said = {"policyDocument": wanted.document, **scope, **named}
        return await self._api.call("logs", "PutAccountPolicy", **said)


def _impact(operation: str, said: object) -> Impact:
    """A dry run's result. Raises UnavailableError where counts are missing or make no sense."""
    result = said if isinstance(said, Mapping) else {}

    def count(key: str, default: int | None = None) -> int:
        value = result.get(key, default)
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise UnavailableError(operation, f"dryRunResult: {key} is {value!r}")
        return value

    return Impact(
        count("increasedRetentionLogGroupCount"),
        count("decreasedRetentionLogGroupCount"),
        count("unchangedRetentionLogGroupCount"),
        count("failedAnalysisCount", 0),
        tuple(
            Impacted(
                str(entry.get("logGroupName")),
                str(entry.get("currentRetention")),
                str(entry.get("proposedRetention")),
                entry.get("storedBytes") or 0,
            )
            for entry in result.get("topLogGroupsImpacted") or ()
        ),
    )


def parse_group(entry: Mapping[str, Any], target: Target) -> LogGroup:
    """A log group from DescribeLogGroups; what makes no sense is listed in its `defects`.

    Nearly all of a million entries are whole; those are checked in one go.
    """
    name, arn = entry.get("logGroupName"), entry.get("logGroupArn")
    created, stored = entry.get("creationTime"), entry.get("storedBytes")
    days, policy = entry.get("retentionInDays"), entry.get("retentionPolicyName")
    log_class, key = entry.get("logGroupClass", "STANDARD"), entry.get("kmsKeyId")
    filters = entry.get("metricFilterCount", 0)
    protected = entry.get("deletionProtectionEnabled", False)
    data_protection = entry.get("dataProtectionStatus")
    if (
        type(name) is type(arn) is type(log_class) is str
        and (name and arn and log_class)
        and type(created) is type(stored) is type(filters) is int
        and (0 <= created < LATEST and 0 <= stored < MOST and filters >= 0)
        and ("retentionInDays" not in entry or (type(days) is int and 0 < days < MOST_DAYS))
        and (policy is None or type(policy) is str)
        and (key is None or type(key) is str)
        and (data_protection is None or type(data_protection) is str)
        and type(protected) is bool
    ):
        return LogGroup(
            target,
            name,
            arn,
            created,
            stored,
            days,
            policy,
            log_class,
            key,
            filters,
            protected,
            entry.get("bearerTokenAuthenticationEnabled") is True,
            data_protection,
        )
    return _odd_group(entry, target)


def _behind(group: LogGroup) -> LogGroup:
    defect = "it was listed out of order, perhaps for the second time"
    return group._replace(defects=(*group.defects, defect))


def _odd_group(entry: Mapping[str, Any], target: Target) -> LogGroup:
    """The same for an entry that is not whole, or not of the usual form."""
    defects: list[str] = []

    def whole(key: str, default: int | None, below: int = MOST) -> int:
        value = entry.get(key, default)
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < below:
            defects.append(f"{key} is {'missing' if value is None else repr(value)}")
            return 0
        return value

    def text(key: str) -> str | None:
        value = entry.get(key)
        if value is not None and not isinstance(value, str):
            defects.append(f"{key} is {value!r}")
        return value if isinstance(value, str) else None

    name = text("logGroupName")
    if not name:
        defects.append("logGroupName is missing")
    arn = text("logGroupArn") or (text("arn") or "").removesuffix(":*")
    retention = whole("retentionInDays", None, MOST_DAYS) if "retentionInDays" in entry else None
    if retention == 0:
        defects.append("retentionInDays is 0")
    protected = entry.get("deletionProtectionEnabled", False)
    if not isinstance(protected, bool):
        defects.append(f"deletionProtectionEnabled is {protected!r}")
    return LogGroup(
        target=target,
        name=name or "",
        arn=arn,
        creation_time=whole("creationTime", None, LATEST),
        stored_bytes=whole("storedBytes", None),
        retention_days=retention,
        retention_policy=text("retentionPolicyName"),
        log_class=text("logGroupClass") or "STANDARD",
        kms_key_id=text("kmsKeyId"),
        metric_filters=whole("metricFilterCount", 0),
        deletion_protected=bool(protected),
        bearer_token=entry.get("bearerTokenAuthenticationEnabled") is True,
        data_protection=text("dataProtectionStatus"),
        defects=tuple(defects),
    )


def parse_stream(entry: Mapping[str, Any]) -> LogStream:
    """A log stream from DescribeLogStreams. Raises UnavailableError on values without sense."""

    def moment(key: str, *, required: bool) -> int | None:
        value = entry.get(key)
        if value is None and not required:
            return None
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < LATEST:
            raise UnavailableError(
                "DescribeLogStreams",
                f"{key} of stream {entry.get('logStreamName')!r} is {value!r}",
            )
        return value

    name = entry.get("logStreamName")
    if not isinstance(name, str) or not name:
        raise UnavailableError("DescribeLogStreams", f"a stream is named {name!r}")
    return LogStream(
        name=name,
        creation_time=moment("creationTime", required=True) or 0,
        last_event=moment("lastEventTimestamp", required=False),
        last_ingestion=moment("lastIngestionTime", required=False),
    )
