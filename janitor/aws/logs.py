"""Calls CloudWatch Logs, as the only module. `Logs` reads, `Changes` changes.

`ACTIONS` has the IAM action of each operation; the least policy is made from it. A read that cannot
be completed raises CallError or UnavailableError (`janitor.aws.api.ReadError`).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, Literal

from janitor.aws.api import Api, CallError, UnavailableError, chunks
from janitor.aws.retries import retrying
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
"""What is read before a log group is deleted, so that it can be recreated."""
LAST_LOOK = (
    "DescribeSubscriptionFilters",
    "ListTagsForResource",
    "DescribeLogStreams",
    "DescribeLogGroups",
    "DeleteLogGroup",
)
"""The calls right before a deletion, and the deletion. The lowest quota comes first, so that the
slots of the others are not reserved long before they are used."""
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
"""What an undo restores, and by which call."""
PUTTING = ("PutAccountPolicy", "PutRetentionPolicy")
REMOVING = ("DeleteAccountPolicy", "DeleteRetentionPolicy")
"""The permissions to put and to delete account-level retention policies; a dry run needs the same
(botocore 1.44.5, PutAccountPolicy and DeleteAccountPolicy)."""
NATIVE = ("DescribeAccountPolicies", *PUTTING, *REMOVING)
COMPARED = (
    "DescribeLogGroups",
    "DescribeMetricFilters",
    "DescribeSubscriptionFilters",
    "ListTagsForResource",
    *DEFINITION,
)
"""What an undo reads of an existing log group."""

_NOT_FOR_THIS_CLASS = {
    "InvalidOperationException",
    "InvalidParameterException",
    "OperationNotSupportedException",
    "ValidationException",
}
"""Errors about a feature that the log class does not have, from reports of others
(turbot/steampipe-plugin-aws issue 2758, aws/karpenter-provider-aws pull request 9567). For most
calls, nobody reports the code."""
_NOT_IN_THIS_REGION = {"UnknownOperationException", "InvalidOperationException"}
"""Errors about a feature that the Region does not have: its endpoint does not know the operation
(boto3 issue 2359, for Logs Insights in China), or "the operation is not valid on the specified
resource" (botocore 1.44.5), although its class has the feature."""
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
"""The keys of a described filter that PutMetricFilter or PutSubscriptionFilter takes."""

IDENTIFIERS_A_CALL = 50
RETENTION_POLICY = "RETENTION_POLICY"
"""The type of account-level policy that sets retention (botocore 1.44.5, PolicyType)."""
LATEST = 253_402_300_800_000
"""The year 10000 in ms since the epoch: later times make no sense, and `datetime` has none."""
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
"""For each kind: the call that lists, the key of its answer, and the call that puts."""


class TokenExpiredError(Exception):
    """The page token to start from has expired."""


class Logs:
    """Reads one target's CloudWatch Logs."""

    def __init__(self, api: Api) -> None:
        self.api = api
        self.target = api.target
        self.clock = api.clock

    async def groups(
        self, start: str | None = None, before: Iterable[str] = (), prefix: str = ""
    ) -> AsyncIterator[tuple[list[LogGroup], str | None]]:
        """Yield all log groups whose names begin with `prefix`, in pages of at most 50; a page may
        be empty and not the last.

        Each page comes with the token of the next, None after the last. `start` is such a token; it
        is valid for 24 hours (CloudWatch Logs API reference), then TokenExpiredError is raised.
        Where exactly a page begins is not documented, so groups of the previous page are left out;
        for `start`, their names are `before`. Pages are sorted by name (API reference): a group
        that is out of order may have been listed before, and gets a defect.
        """
        parameters = {} if start is None else {"nextToken": start}
        parameters |= {"logGroupNamePrefix": prefix} if prefix else {}
        listed = set(before)
        last = max(listed, default="")
        try:
            async for page, following in self._pages("DescribeLogGroups", "logGroups", parameters):
                start = None
                groups = [group for group in self._parsed(page) if group.name not in listed]
                if any(group.name < last for group in groups):
                    groups = [_misplaced(one) if one.name < last else one for one in groups]
                if groups:
                    listed = {group.name for group in groups if group.name}
                    last = max(last, *listed, "")
                yield groups, following
        except CallError as error:
            if start is not None and error.code == "InvalidParameterException":
                raise TokenExpiredError from error
            raise

    async def group(self, name: str) -> LogGroup | None:
        """One log group as it is now, or None if there is none of that name.

        It is listed by prefix: pages are sorted by name, so the exact name comes first.
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

        Missing ones are read one by one: an answer may have several pages, and the page token may
        become invalid when one of the groups vanishes.
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
        """The names on the first pages that begin with `prefix`, or contain `pattern` (not both).

        For people who search for a name, so never all of a Region.
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
            yield self._parsed(page)

    def _parsed(self, page: Sequence[Mapping[str, Any]]) -> list[LogGroup]:
        """The target's log groups on a page, each once. A monitoring account also sees those of
        linked accounts, possibly with the same names; their ARNs tell them apart.
        """
        groups = [parse_group(entry, self.target) for entry in page]
        if account := self.target.account:
            own = f":{account}:"
            groups = [group for group in groups if own in group.arn or not group.arn]
        if len({group.name for group in groups}) < len(groups):
            names: set[str] = set()
            repeated, groups = groups, []
            for group in repeated:
                if not group.name or group.name not in names:
                    groups.append(group)
                names.add(group.name)
        return groups

    async def streams(self, group: str) -> AsyncIterator[list[LogStream]]:
        """Yield the streams of a log group, sorted by name, a page (at most 50) at a time.

        Raises UnavailableError for a stream whose times make no sense.
        """
        asked = {"logGroupName": group, "orderBy": "LogStreamName"}
        async for page, _ in self._pages("DescribeLogStreams", "logStreams", asked):
            yield [parse_stream(entry) for entry in page]

    async def filters(self, group: LogGroup, kind: FilterKind) -> list[dict[str, Any]]:
        """A log group's filters of a kind, in the form that the call takes that puts them.

        A class other than STANDARD may refuse the call, and has none.
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

        Not read if DescribeLogGroups shows no `dataProtectionStatus`: there never was a policy.
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

        The answer may also have an account-level policy that applies to it, which is not its own.
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
        """The processors of the group's own transformer, () if it has none."""
        answer = await self._own(group, "GetTransformer", logGroupIdentifier=group.name)
        processors = answer.get("transformerConfig") or []
        if not isinstance(processors, list):
            raise UnavailableError("GetTransformer", f"transformerConfig is {processors!r}")
        return tuple(processors)

    async def resource_policy(self, group: LogGroup) -> str | None:
        """The resource policy on the group itself, a JSON document, or None.

        Read by ARN and scope, as Terraform's provider does. A few calls could list those of a whole
        account, but whether the scope alone lists them is not documented.
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
        """The ids of the VPC endpoints whose syslog data goes to the group, sorted."""
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
        """The account-level retention policies by name, whoever created them."""
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
        """The answer about one of a group's own settings; empty if it has none.

        "Not found" may also mean the group, which the next look at it shows.
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
        """The same for a setting that is listed."""
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
        """Whether FilterLogEvents, drained to its last page, finds any event from `since` (ms) on.

        `streams` limits it to at most 100 named streams.
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
    """Whether AWS says that the group's class does not have the feature."""
    return error.code in _NOT_FOR_THIS_CLASS and group.log_class != "STANDARD"


def _cannot_have(group: LogGroup, error: CallError) -> bool:
    """Whether AWS says that no log group of this class, or in this Region, has the feature.

    Denied or throttled calls never say that, nor does a refused parameter on class STANDARD.
    """
    return error.code in _NOT_IN_THIS_REGION or _refused_for_class(group, error)


def _document(operation: str, policies: Sequence[Mapping[str, Any]]) -> str | None:
    """The document of the only policy, or None. Raises UnavailableError if there are several."""
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
    """Yield every page with the token of the next. Raises UnavailableError on a repeated token."""
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
    """Changes one target's CloudWatch Logs. Only `engine.act` and `journal.restore` may use it."""

    def __init__(self, api: Api) -> None:
        self._api = api

    async def reserve_look(self) -> None:
        """Wait now for the slots of a last look's calls and its DeleteLogGroup, so that there is no
        wait between them. Raises StoppedError.
        """
        await self._api.pace.reserve(LAST_LOOK, self._api.stop)

    async def reserve_put(self, *, tags: bool) -> None:
        """Wait now for the slot of a PutRetentionPolicy and, with `tags`, that of reading a group's
        tags before it. Raises StoppedError.
        """
        looks = ["ListTagsForResource"] if tags else []
        await self._api.pace.reserve([*looks, "PutRetentionPolicy"], self._api.stop)

    async def reserve_tag(self) -> None:
        """Wait now for the slots of reading a log group's tags and of the TagResource after it.
        Raises StoppedError.
        """
        await self._api.pace.reserve(["ListTagsForResource", "TagResource"], self._api.stop)

    async def delete_group_once(self, group: str, by: float) -> None:
        """Send one DeleteLogGroup (see `reserve_look`) by `by` (monotonic), or not at all. There is
        no retry here: the caller must look again first. Raises TransientError, CallError or
        StoppedError.
        """
        await self._once("DeleteLogGroup", by=by, logGroupName=group)

    async def _once(self, operation: str, **parameters: Any) -> None:
        await self._api.once("logs", operation, resend=False, **parameters)

    async def delete_stream(
        self, group: str, stream: str, check: Callable[[], Awaitable[None]]
    ) -> None:
        """Delete one log stream. If it is gone after an attempt whose answer was lost, that attempt
        deleted it. `check` is awaited before each retry, which may be minutes later; what it raises
        ends the attempts.
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

        await self._retry(attempt, check)

    async def put_retention(
        self, group: str, days: int, check: Callable[[], Awaitable[None]] | None = None
    ) -> None:
        """Set a log group's retention in days. A retry is harmless unless somebody else has changed
        it in between, hence `check`, as in `delete_stream`.
        """

        async def attempt() -> None:
            await self._once("PutRetentionPolicy", logGroupName=group, retentionInDays=days)

        await self._retry(attempt, check)

    async def delete_retention(self, group: str) -> None:
        """Let a log group's events never expire. Idempotent."""
        await self._call("DeleteRetentionPolicy", logGroupName=group)

    async def create_group(
        self, group: str, log_class: str, kms_key_id: str | None, tags: Mapping[str, str]
    ) -> None:
        """Create a log group. ResourceAlreadyExistsException may be due to a lost answer."""
        more: dict[str, Any] = {} if kms_key_id is None else {"kmsKeyId": kms_key_id}
        if tags:
            more["tags"] = dict(tags)
        await self._call("CreateLogGroup", logGroupName=group, logGroupClass=log_class, **more)

    async def associate_key(self, group: str, kms_key_id: str) -> None:
        """Encrypt what a log group ingests from now on."""
        await self._call("AssociateKmsKey", logGroupName=group, kmsKeyId=kms_key_id)

    async def tag(self, arn: str, tags: Mapping[str, str]) -> None:
        """Add tags to a log group (ARN without the trailing `:*`)."""
        await self._call("TagResource", resourceArn=arn, tags=dict(tags))

    async def tag_once(self, arn: str, tags: Mapping[str, str]) -> None:
        """Send one TagResource, which overwrites tags with the same keys: the caller must read them
        again before a retry. Raises TransientError, CallError or StoppedError.
        """
        await self._once("TagResource", resourceArn=arn, tags=dict(tags))

    async def require_bearer_token(self, group: str) -> None:
        """Turn bearer token authentication on."""
        await self._call(
            "PutBearerTokenAuthentication",
            logGroupIdentifier=group,
            bearerTokenAuthenticationEnabled=True,
        )

    async def set_data_protection_policy(self, group: str, document: str) -> None:
        """Set a log group's own data protection policy."""
        await self._call(
            "PutDataProtectionPolicy", logGroupIdentifier=group, policyDocument=document
        )

    async def set_index_policy(self, group: str, document: str) -> None:
        """Set a log group's own field index policy."""
        await self._call("PutIndexPolicy", logGroupIdentifier=group, policyDocument=document)

    async def set_transformer(self, group: str, processors: Sequence[Mapping[str, Any]]) -> None:
        """Set a log group's own transformer."""
        await self._call(
            "PutTransformer", logGroupIdentifier=group, transformerConfig=list(processors)
        )

    async def set_resource_policy(self, arn: str, document: str) -> None:
        """Give a log group (ARN without the trailing `:*`) that has none a resource policy.

        It gets no policy name: AWS takes a name or an ARN, not both
        (hashicorp/terraform-provider-aws pull request 46813).
        """
        await self._call("PutResourcePolicy", resourceArn=arn, policyDocument=document)

    async def set_syslog_endpoint(self, group: str, endpoint: str) -> None:
        """Send the syslog data of a VPC endpoint to a log group."""
        await self._call("PutSyslogConfiguration", logGroupIdentifier=group, vpcEndpointId=endpoint)

    async def put_filter(self, group: str, kind: FilterKind, described: Mapping[str, Any]) -> None:
        """Put a filter that `Logs.filters` described."""
        await self._call(_FILTERS[kind][2], logGroupName=group, **described)

    async def _call(self, operation: str, **parameters: Any) -> None:
        await self._api.call("logs", operation, **parameters)

    async def _retry(
        self, attempt: Callable[[], Awaitable[None]], check: Callable[[], Awaitable[None]] | None
    ) -> None:
        """Make the attempt, and retry it while it fails transiently, after a `check` each time."""
        tried = False

        async def once() -> None:
            nonlocal tried
            if tried and check is not None:
                await check()
            tried = True
            await attempt()

        await retrying(once, self._api.stop)


class AccountPolicies:
    """Changes one target's account-level retention policies, or previews that by AWS's dry run, of
    which an account allows one at a time. Only `journal.account_policies` may use it.
    """

    def __init__(self, api: Api) -> None:
        self._api = api

    async def preview(self, name: str, wanted: AccountPolicy | None) -> Impact:
        """The effect of putting the wanted policy or, with None, of deleting the named one."""
        operation = "DeleteAccountPolicy" if wanted is None else "PutAccountPolicy"
        answer = await self._call(name, wanted, expect="dryRunResult", dryRun=True)
        return _impact(operation, answer["dryRunResult"])

    async def change(self, name: str, wanted: AccountPolicy | None) -> None:
        """Put the wanted policy or, with None, delete the named one. Idempotent."""
        try:
            await self._call(name, wanted)
        except CallError as error:
            if wanted is not None or not error.not_found:
                raise

    async def _call(
        self, name: str, wanted: AccountPolicy | None, **more: Any
    ) -> Mapping[str, Any]:
        named = {"policyName": name, "policyType": RETENTION_POLICY, **more}
        if wanted is None:
            return await self._api.call("logs", "DeleteAccountPolicy", **named)
        scope = {} if wanted.criteria is None else {"selectionCriteria": wanted.criteria}
        parameters = {"policyDocument": wanted.document, **scope, **named}
        return await self._api.call("logs", "PutAccountPolicy", **parameters)


def _impact(operation: str, answer: object) -> Impact:
    """A dry run's result. Raises UnavailableError if counts are missing or make no sense."""
    result = answer if isinstance(answer, Mapping) else {}

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
    """A log group from DescribeLogGroups; values that make no sense are listed in its `defects`.

    Nearly all of a million entries are valid, and are checked by a single condition.
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
    return _irregular_group(entry, target)


def _misplaced(group: LogGroup) -> LogGroup:
    defect = "it was listed out of order, perhaps for the second time"
    return group._replace(defects=(*group.defects, defect))


def _irregular_group(entry: Mapping[str, Any], target: Target) -> LogGroup:
    """A log group from an entry that is incomplete, invalid or not of the usual form."""
    defects: list[str] = []

    def number(key: str, default: int | None, below: int = MOST) -> int:
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
    retention = number("retentionInDays", None, MOST_DAYS) if "retentionInDays" in entry else None
    if retention == 0:
        defects.append("retentionInDays is 0")
    protected = entry.get("deletionProtectionEnabled", False)
    if not isinstance(protected, bool):
        defects.append(f"deletionProtectionEnabled is {protected!r}")
    return LogGroup(
        target=target,
        name=name or "",
        arn=arn,
        creation_time=number("creationTime", None, LATEST),
        stored_bytes=number("storedBytes", None),
        retention_days=retention,
        retention_policy=text("retentionPolicyName"),
        log_class=text("logGroupClass") or "STANDARD",
        kms_key_id=text("kmsKeyId"),
        metric_filters=number("metricFilterCount", 0),
        deletion_protected=bool(protected),
        bearer_token=entry.get("bearerTokenAuthenticationEnabled") is True,
        data_protection=text("dataProtectionStatus"),
        defects=tuple(defects),
    )


def parse_stream(entry: Mapping[str, Any]) -> LogStream:
    """A log stream from DescribeLogStreams. Raises UnavailableError if values make no sense."""

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
