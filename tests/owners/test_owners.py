"""Which owners are read, with how many calls, and what follows from the answers."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError
from urllib3.connection import HTTPSConnection
from urllib3.exceptions import NameResolutionError

from janitor.core.clock import StoppedError
from janitor.owners.owners import OwnerCache, Owners, Usage
from janitor.owners.reader import BELIEVED
from janitor.owners.table import chosen, table
from tests.accounts import ACCOUNT, REGION
from tests.owners.world import Answers, World, denied, error, named

ROWS = {row.id: row for row in table()}
LAMBDA, STACK, RDS = ROWS["lambda"], ROWS["cloudformation-stack"], ROWS["rds"]


def empty(*_call: str, **_more: Any) -> Mapping[str, Any]:
    return {}


def functions(*names: str, **more: Any) -> Answers:
    """Return the answers of Lambda with these functions, one on each page."""

    def answer(_service: str, _region: str, _operation: str, Marker: str = "0", **_: Any) -> Any:
        at = int(Marker)
        found: dict[str, Any] = {"Functions": [{"FunctionName": names[at], **more}]}
        return {**found, "NextMarker": str(at + 1)} if at + 1 < len(names) else found

    return answer


def raising(code: str, message: str | None = "") -> Answers:
    def answer(_service: str, _region: str, operation: str, **_: Any) -> Any:
        raise error(operation, code, message)

    return answer


# ---- calls ---------------------------------------------------------------------------------------


def test_only_rows_that_could_own_one_of_the_log_groups_are_read() -> None:
    """A name that no RDS instance can have costs no call to RDS."""
    world = World(empty)
    found = world.of([RDS, ROWS["eks"]], "/aws/eks/k/cluster")
    assert {service for service, *_ in world.calls} == {"eks"}
    assert found["/aws/eks/k/cluster"].rows == 1


def test_every_page_is_read() -> None:
    """An owner on the last page is found as well."""
    world = World(functions("a", "b", "c"))
    found = world.of([LAMBDA], "/aws/lambda/c", "/aws/lambda/d")
    assert found["/aws/lambda/c"].uses[0].user == "Lambda function c"
    assert found["/aws/lambda/c"].uses[0].calls == 3
    assert found["/aws/lambda/d"].nobody


def test_published_versions_of_functions_are_read() -> None:
    """The version behind an alias may log elsewhere than the latest code."""
    world = World(functions("f", LoggingConfig={"LogGroup": "/of/a/version"}))
    assert world.of([LAMBDA], "/of/a/version")["/of/a/version"].uses
    assert world.calls[0][3]["FunctionVersion"] == "ALL"


def test_a_function_that_logs_elsewhere_does_not_use_the_usual_name() -> None:
    """A function that was configured to log elsewhere no longer uses its first log group."""
    world = World(functions("f", LoggingConfig={"LogGroup": "/elsewhere"}))
    assert world.of([LAMBDA], "/aws/lambda/f")["/aws/lambda/f"].nobody


def test_a_list_that_never_ends_is_not_an_answer() -> None:
    """A page token that comes twice makes the row unread."""
    world = World(lambda *_call, **_more: {"Functions": [], "NextMarker": "m"})
    (unread,) = world.of([LAMBDA], "/aws/lambda/f")["/aws/lambda/f"].unread
    assert "so the list would never end" in unread.why


def test_a_row_is_read_once() -> None:
    """A row is read once, however often log groups are asked about."""
    world = World(functions("f"))

    async def twice(owners: Owners) -> None:
        for name in ("/a", "/b", "/aws/lambda/f"):
            await world.asked(owners, name)

    world.clock.run(twice(world.owners([LAMBDA])))
    assert world.count("ListFunctions") == 1


def test_a_row_that_was_read_long_ago_is_read_again() -> None:
    """An owner that was created since is found."""
    names = ["f"]
    world = World(lambda *call, **more: functions(*names)(*call, **more))

    async def again(owners: Owners) -> tuple[bool, bool, bool]:
        before = await world.asked(owners, "/aws/lambda/g")
        names.append("g")
        soon = await world.asked(owners, "/aws/lambda/g")
        world.clock.jump(61)
        later = await world.asked(owners, "/aws/lambda/g")
        return tuple(found["/aws/lambda/g"].nobody for found in (before, soon, later))  # type: ignore[return-value]

    assert world.clock.run(again(world.owners([LAMBDA], max_age=60))) == (True, True, False)


def test_a_listing_is_not_continued_after_a_long_pause() -> None:
    """Its first page may lack an owner that was created since."""
    logs = ["/a"]
    world = World(lambda *call, **more: flow_logs(logs, *call, **more))

    async def again(owners: Owners) -> bool:
        await world.asked(owners, "/g1")
        await world.asked(owners, "/g2")  # reads a page
        logs.insert(0, "/g3")
        world.clock.jump(61)
        return (await world.asked(owners, "/g3", "/g4", "/g5", "/g6"))["/g3"].nobody

    assert not world.clock.run(again(world.owners([ROWS["vpc-flow-log"]], max_age=60)))


def test_the_answer_of_a_probe_is_kept_as_long_as_a_listing() -> None:
    """The survey, act and the last look of a deletion share one call."""
    logs = ["/a"]
    world = World(lambda *call, **more: flow_logs(logs, *call, **more))

    async def again(owners: Owners) -> tuple[int, bool]:
        for _ in range(3):
            await world.asked(owners, "/g")
        soon = len(world.calls)
        logs.append("/g")
        world.clock.jump(61)
        return soon, (await world.asked(owners, "/g"))["/g"].nobody

    assert world.clock.run(again(world.owners([ROWS["vpc-flow-log"]], max_age=60))) == (1, False)


def test_what_is_known_without_a_call_includes_a_listing_that_was_begun() -> None:
    """A flow log that was created after the probe is on the first page."""
    logs = ["/a"]
    world = World(lambda *call, **more: flow_logs(logs, *call, **more))

    async def known(owners: Owners) -> list[bool | None]:
        group, said = named("/g", world.api.target), list[bool | None]()
        for name in ("/g", "/h"):  # probes, then reads a page
            await world.asked(owners, name)
            found = owners.known(group)
            said.append(None if found is None else found.nobody)
            logs.insert(0, "/g")
        world.clock.jump(61)
        assert owners.known(group) is None
        return said

    assert world.clock.run(known(world.owners([ROWS["vpc-flow-log"]], max_age=60))) == [True, False]


def test_a_probe_of_usual_names_is_no_answer_for_all_names() -> None:
    """Act asks some rows only for the usual names, by a probe; the survey lists them."""
    row = ROWS["codebuild"]
    cheap = row.again()
    assert cheap is not None
    world, shared = World(lambda *_call, **_more: {"projects": []}), OwnerCache()
    group = named("/aws/codebuild/p", world.api.target)
    act, survey = (Owners(world.api, [one], shared) for one in (cheap, row))
    assert world.ask(act, group[0])[group[0]].nobody
    assert act.known(group) is not None
    assert survey.known(group) is None


def flow_logs(
    logs: Sequence[str], _service: str, _region: str, _operation: str, **parameters: Any
) -> Any:
    """Answer with flow logs to these log groups, in three pages: the first, none, the rest."""
    (only,) = parameters["Filter"]
    if only["Name"] == "log-group-name":
        return {"FlowLogs": [{"LogGroupName": n} for n in logs if n in only["Values"]]}
    page = int(parameters.get("NextToken", "0"))
    found = [logs[:1], [], logs[1:]][page]
    answer: dict[str, Any] = {"FlowLogs": [{"LogGroupName": name} for name in found]}
    return answer if page == 2 else {**answer, "NextToken": str(page + 1)}


def stacks(count: int, resources: Mapping[str, str]) -> Answers:
    """Return the answers of CloudFormation with so many stacks; `resources` maps log groups to
    them.
    """

    def answer(_service: str, _region: str, operation: str, **parameters: Any) -> Any:
        match operation:
            case "ListStacks":
                return {
                    "StackSummaries": [
                        {"StackId": f"s{n}", "StackName": f"s{n}"} for n in range(count)
                    ]
                }
            case "ListStackResources":
                return {
                    "StackResourceSummaries": [
                        {
                            "ResourceType": "AWS::Logs::LogGroup",
                            "ResourceStatus": "CREATE_COMPLETE",
                            "PhysicalResourceId": name,
                            "LogicalResourceId": "L",
                        }
                        for name, stack in resources.items()
                        if stack == parameters["StackName"]
                    ]
                }
        if parameters["PhysicalResourceId"] not in resources:
            raise error(operation, "ValidationError", "Stack for x does not exist")
        stack = resources[parameters["PhysicalResourceId"]]
        return {"StackResources": [{"StackName": stack, "ResourceStatus": "UPDATE_COMPLETE"}]}

    return answer


@pytest.mark.parametrize(("candidates", "count"), [(1, 500), (5, 500), (60, 3), (300, 3), (9, 9)])
def test_a_row_is_probed_or_listed_whichever_takes_fewer_calls(candidates: int, count: int) -> None:
    """Both find the same, and finding out which is cheaper at most doubles the calls."""
    names = [f"/g{n}" for n in range(candidates)]
    world = World(stacks(count, {"/g0": "s0"}))
    found = world.of([STACK], *names)
    assert found["/g0"].uses[0].user == "CloudFormation stack s0"
    assert all(found[name].nobody for name in names[1:])
    assert len(world.calls) <= 2 * min(candidates, 1 + count)


def test_a_row_that_was_probed_often_is_listed_in_the_end() -> None:
    """Candidates that a survey finds page by page do not cost a call each."""
    world = World(stacks(3, {"/g0": "s0"}))

    async def each(owners: Owners) -> None:
        for n in range(100):
            await world.asked(owners, f"/g{n}")

    world.clock.run(each(world.owners([STACK])))
    assert len(world.calls) <= 12


def test_a_name_that_no_probe_can_answer_is_looked_up_in_the_listing() -> None:
    """RDSOSMetrics belongs to every RDS instance, so there is no instance to ask about."""
    instance = {"DBInstanceIdentifier": "db", "MonitoringInterval": 60}
    world = World(lambda *_call, **_more: {"DBInstances": [instance]})
    assert world.of([RDS], "RDSOSMetrics")["RDSOSMetrics"].uses


def test_a_resource_that_is_found_twice_is_read_once() -> None:
    """Services that run the same task definition share a call."""

    def answer(_service: str, _region: str, operation: str, **parameters: Any) -> Any:
        match operation:
            case "ListClusters":
                return {"clusterArns": ["c"]}
            case "ListServices":
                return {"serviceArns": [f"s{n}" for n in range(25)]}
            case "DescribeServices":
                return {
                    "services": [
                        {"serviceName": name, "taskDefinition": "web:42"}
                        for name in parameters["services"]
                    ]
                }
        options = {"options": {"awslogs-group": "/ecs/web"}}
        containers = [{"logConfiguration": options}]
        return {
            "taskDefinition": {"family": "web", "revision": 42, "containerDefinitions": containers}
        }

    world = World(answer)
    (use,) = world.of([ROWS["ecs-service"]], "/ecs/web")["/ecs/web"].uses
    assert str(use) == (
        "in use by ECS task definition web:42 (service s0); its tasks would not start without it"
    )
    assert world.count("DescribeServices") == 3
    assert world.count("DescribeTaskDefinition") == 1


def test_the_proxy_of_service_connect_uses_the_log_group_that_the_service_names() -> None:
    """Its container is in no task definition, and its tasks would not start without it."""
    proxy = {"logConfiguration": {"options": {"awslogs-group": "/ecs/proxy"}}}
    deployments = [{"taskDefinition": "web:42", "serviceConnectConfiguration": proxy}]
    answers: dict[str, Any] = {
        "ListClusters": {"clusterArns": ["c"]},
        "ListServices": {"serviceArns": ["web"]},
        "DescribeServices": {"services": [{"serviceName": "web", "deployments": deployments}]},
        "DescribeTaskDefinition": {"taskDefinition": {"family": "web", "revision": 42}},
    }
    rows = [row for row in table() if row.service == "ecs" and row.id.startswith("ecs-service")]
    world = World(lambda _service, _region, operation, **_: answers[operation])
    (use,) = world.of(rows, "/ecs/proxy")["/ecs/proxy"].uses
    assert use.user == "Service Connect proxy of ECS service web"


def test_a_trail_of_the_organization_uses_the_log_group_of_its_delegated_administrator() -> None:
    """There it is a shadow trail, as in each member account (CloudTrail, DescribeTrails)."""
    group = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:/trail:*"
    trail = {"CloudWatchLogsLogGroupArn": group, "Name": "t", "IsOrganizationTrail": True}

    def answer(*_call: str, includeShadowTrails: bool = True) -> Any:
        return {"trailList": [trail] if includeShadowTrails else []}

    assert World(answer).of([ROWS["cloudtrail"]], "/trail")["/trail"].uses


def test_a_microvm_image_uses_the_log_group_that_its_name_gives() -> None:
    """Where it names none; AWS's documentation spells the default in two ways."""
    image = {"imageArn": "arn:i", "name": "i", "imageVersion": "1.0"}
    world = World(lambda *_call, **_more: {"items": [image]})
    found = world.of([ROWS["lambda-microvm"]], "/aws/lambda/microvms/i", "/aws/lambda-microvms/i")
    for usage in found.values():
        (use,) = usage.uses
        assert use.user == "Lambda MicroVM image i"


def test_a_state_machine_that_is_encrypted_can_be_read() -> None:
    """Its definition would take its key, which the janitor may not use and does not need."""

    def answer(_service: str, _region: str, operation: str, **parameters: Any) -> Any:
        if operation == "ListStateMachines":
            return {"stateMachines": [{"stateMachineArn": "m"}]}
        if parameters.get("includedData") != "METADATA_ONLY":
            raise error(operation, "KmsAccessDeniedException", "no kms:Decrypt")
        destinations = [{"cloudWatchLogsLogGroup": {"logGroupArn": "/x"}}]
        return {"name": "m", "loggingConfiguration": {"destinations": destinations}}

    assert World(answer).of([ROWS["step-functions"]], "/x")["/x"].uses


def test_a_rule_about_whatever_a_prefix_matches_needs_no_single_log_group() -> None:
    """Without an empty one, Contributor Insights has as much data; those that it names stay."""
    names = ["/aws/lambda/*", "/named"]
    arns = [f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:/by-arn:*"]
    definition = json.dumps({"LogGroupNames": names, "LogGroupARNs": arns})
    rule = {"Name": "r", "State": "ENABLED", "Definition": definition}
    world = World(lambda *_call, **_more: {"InsightRules": [rule]})
    found = world.of([ROWS["insight-rule"]], "/aws/lambda/f", "/named", "/by-arn")
    assert [bool(usage.uses) for usage in found.values()] == [False, True, True]


def test_a_resource_that_is_gone_owns_nothing() -> None:
    """A state machine may be deleted between the list and the call about it."""

    def answer(_service: str, _region: str, operation: str, **_parameters: Any) -> Any:
        if operation == "ListStateMachines":
            return {"stateMachines": [{"stateMachineArn": "m"}]}
        raise error(operation, "StateMachineDoesNotExist", "gone")

    assert World(answer).of([ROWS["step-functions"]], "/x")["/x"].nobody


def test_what_one_resource_does_not_have_others_may_have() -> None:
    """An error that would mean, for a list, that the service is not offered tells nothing of the
    other resources.
    """

    def answer(_service: str, _region: str, operation: str, **parameters: Any) -> Any:
        if operation == "ListGateways":
            return {"Gateways": [{"GatewayARN": "old"}, {"GatewayARN": "new"}]}
        if parameters["GatewayARN"] == "old":
            raise error(
                operation, "InvalidGatewayRequestException", "is not supported in this Region"
            )
        return {"GatewayId": "new", "CloudWatchLogGroupARN": "/health"}

    assert World(answer).of([ROWS["storagegateway"]], "/health")["/health"].uses


def test_a_resource_that_is_gone_hides_no_other_of_the_same_call() -> None:
    """An error about one of several tells nothing of the others: each gets a call of its own."""

    def answer(_service: str, _region: str, operation: str, **parameters: Any) -> Any:
        if operation == "ListDomainNames":
            return {"DomainNames": [{"DomainName": name} for name in ("gone", "a", "b")]}
        if "gone" in parameters["DomainNames"]:
            raise error(operation, "ResourceNotFoundException", "Domain not found: gone")
        (name,) = parameters["DomainNames"]
        logs = {"AUDIT_LOGS": {"CloudWatchLogsLogGroupArn": f"/audit/{name}"}}
        return {"DomainStatusList": [{"DomainName": name, "LogPublishingOptions": logs}]}

    world = World(answer)
    found = world.of([ROWS["opensearch"]], "/audit/a", "/audit/b", "/audit/gone")
    assert [bool(found[f"/audit/{name}"].uses) for name in ("a", "b", "gone")] == [1, 1, 0]
    assert found["/audit/gone"].nobody
    assert world.count("DescribeDomains") == 4


# ---- Regions and accounts ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reference", "owned"),
    [
        ("/x", True),
        (f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:/x", True),
        (f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:/x:*", True),
        (f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:/x:log-stream:s", True),
        (f"arn:aws:logs:us-west-2:{ACCOUNT}:log-group:/x:*", False),
        (f"arn:aws:logs:{REGION}:999999999999:log-group:/x:*", False),
        (f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:/xy:*", False),
        ("arn:aws:s3:::x", False),
        ("", False),
        (None, False),
    ],
)
def test_only_references_to_this_account_and_region_count(
    reference: str | None, owned: bool
) -> None:
    """A reference counts in each form that services use, if it is to this account and Region."""
    trail = {"trailList": [{"CloudWatchLogsLogGroupArn": reference, "Name": "t"}]}
    world = World(lambda *_call, **_more: trail)
    assert bool(world.of([ROWS["cloudtrail"]], "/x")["/x"].uses) == owned


@pytest.mark.parametrize(
    "name", ["/aws/lambda/ap-east-2.f", "/aws/lambda/me-south-1.f", "sns/xx-y-1/1/t"]
)
def test_a_name_never_decides_which_region_is_called(name: str) -> None:
    """Only the target's Region and those of the table are called: others may be disabled."""
    world = World(empty)
    world.of(table(), name)
    assert {region for _, region, *_ in world.calls} <= {REGION, "us-east-1"}


def test_an_edge_function_uses_its_log_group_in_every_region() -> None:
    """It has the usual name or a configured one, and its row is read once for all Regions."""
    edge = {
        "Functions": [
            {"FunctionName": "f", "Version": "3"},
            {"FunctionName": "own", "Version": "1", "LoggingConfig": {"LogGroup": "/edge/own"}},
        ]
    }
    worlds = [World(lambda *_call, **_more: edge, region) for region in (REGION, "ap-south-1")]
    shared = OwnerCache()
    for world in worlds:
        owners = Owners(world.api, [ROWS["lambda-edge"]], shared)
        found = world.ask(owners, "/aws/lambda/us-east-1.f", "/edge/own", "/aws/lambda/f")
        assert [bool(answer.uses) for answer in found.values()] == [True, True, False]
    assert [region for world in worlds for _, region, *_ in world.calls] == ["us-east-1"]


@pytest.mark.parametrize("region", ["cn-north-1", "us-gov-west-1"])
def test_rows_of_another_partition_are_not_read(region: str) -> None:
    """China and GovCloud have no us-east-1."""
    world = World(empty, region)
    answer = world.of([ROWS["lambda-edge"], ROWS["route53-query"]], "/x")["/x"]
    assert answer.nobody
    assert not world.calls


def test_a_known_answer_does_not_wait_for_a_turn() -> None:
    """A last look is valid for a second, while other Regions' services may take minutes."""
    world, shared = World(empty), OwnerCache(services_at_once=1)
    owners = Owners(world.api, [LAMBDA], shared)

    async def ask() -> Usage:
        await world.asked(owners, "/aws/lambda/f")
        async with shared.slots, asyncio.timeout(1):
            return (await world.asked(owners, "/aws/lambda/f"))["/aws/lambda/f"]

    assert world.clock.run(ask()).nobody


# ---- answers that are missing --------------------------------------------------------------------


@pytest.mark.parametrize(("times", "nobody"), [(2, False), (BELIEVED, True)])
def test_an_answer_without_a_list_is_believed_the_third_time(times: int, nobody: bool) -> None:
    """`{}` may be an empty list that was left out, or garbage."""
    garbage: list[dict[str, Any]] = [{} for _ in range(times)]
    real = functions("f")
    world = World(lambda *call, **more: garbage.pop() if garbage else real(*call, **more))
    assert world.of([LAMBDA], "/aws/lambda/f")["/aws/lambda/f"].nobody is nobody
    assert len(world.calls) == BELIEVED


@pytest.mark.parametrize(
    ("row", "kept"),
    [
        ("rds", ["/aws/rds/instance/db/error"]),  # only these names
        ("ecs-service", ["/aws/rds/instance/db/error", "/aws/lambda/f", "/own"]),  # any name
        ("lambda", ["/aws/lambda/f", "/own"]),  # any but other owners' usual names
        ("opensearch", ["/aws/rds/instance/db/error", "/aws/lambda/f", "/own"]),
        ("cloudtrail", ["/own"]),
    ],
)
def test_a_row_that_is_denied_keeps_what_it_could_own_and_no_more(
    row: str, kept: list[str]
) -> None:
    """It keeps its usual names, and others' if an owner stops without its log group."""
    names = ["/aws/rds/instance/db/error", "/aws/lambda/f", "/own"]

    def answer(service: str, _region: str, operation: str, **_more: Any) -> Any:
        if service == ROWS[row].service:
            raise denied(operation)
        return {}

    rows = chosen(sorted({row, "rds", "lambda"}))
    found = World(answer).of([replace(row, probe=None) for row in rows], *names)
    assert [name for name in names if not found[name].nobody] == kept
    for name in kept:
        (unread,) = found[name].unread
        assert set(unread.actions) == ROWS[row].actions
        assert f": {unread.source}: AccessDenied" in str(unread), "the call that failed"


def test_a_resource_that_cannot_be_read_is_named() -> None:
    """A gateway that was switched off keeps every candidate: somebody has to know which it is."""

    def answer(_service: str, _region: str, operation: str, **_parameters: Any) -> Any:
        if operation == "ListGateways":
            return {"Gateways": [{"GatewayARN": "arn:sgw-1"}]}
        raise error(operation, "InvalidGatewayRequestException", "Not connected.")

    (unread,) = World(answer).of([ROWS["storagegateway"]], "/x")["/x"].unread
    assert str(unread).endswith(
        ": DescribeGatewayInformation: InvalidGatewayRequestException: Not connected. (arn:sgw-1)"
    )


def test_a_row_that_had_no_time_is_read_once_there_is() -> None:
    """Other rows of the service may use up the survey's time; act has as much again."""
    world, shared = World(empty), OwnerCache()

    async def twice() -> list[bool]:
        nobody = []
        for time in (-1.0, 300.0):
            owners = Owners(world.api, [LAMBDA], shared, max_age=55, service_timeout=time)
            nobody.append((await world.asked(owners, "/aws/lambda/f"))["/aws/lambda/f"].nobody)
            world.clock.jump(56)
        return nobody

    assert world.clock.run(twice()) == [False, True]


@pytest.mark.parametrize(
    ("row", "code"), [("lambda", "UnknownOperationException"), ("events-target", "NoSuchToken")]
)
def test_a_list_that_was_begun_is_not_empty_whatever_the_error(row: str, code: str) -> None:
    """The service or resource exists, so what its other pages hold is unknown."""
    items = {"EventBuses": [{"Name": "b"}], "Rules": [{"Name": "r"}]}

    def answer(_service: str, _region: str, operation: str, **parameters: Any) -> Any:
        if parameters.keys() & {"Marker", "NextToken"}:
            raise error(operation, code, "")
        last = operation in ("ListFunctions", "ListTargetsByRule")
        return items | ({"NextMarker": "1", "NextToken": "1"} if last else {})

    listed = replace(ROWS[row], probe=None)
    assert World(answer).of([listed], "/x")["/x"].unread


def test_what_was_read_before_an_error_counts() -> None:
    """A reference counts, whatever else could not be read."""
    pages = functions("a", "b")

    def answer(*call: str, **more: Any) -> Any:
        if more.get("Marker"):
            raise denied("ListFunctions")
        return pages(*call, **more)

    found = World(answer).of([LAMBDA], "/aws/lambda/a", "/aws/lambda/b")
    assert found["/aws/lambda/a"].uses
    assert found["/aws/lambda/b"].unread


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("OptInRequired", "You are not subscribed to this service."),
        ("SubscriptionRequiredException", "The AWS Access Key Id needs a subscription"),
        ("UnknownOperationException", ""),
        ("InvalidAction", "The action DescribeDBInstances is not valid for this web service."),
        (
            "AccessDeniedException",
            "AWS Mainframe Modernization is no longer accepting new customers",
        ),
        ("ForbiddenException", "AWS RoboMaker is only available for existing customers."),
        ("AccessDeniedException", "You are not authorized to call this API in this region x-1"),
        ("AccessDeniedException", "This service is no longer open to new customers"),
        ("NotFoundException", "Unable to determine service/operation name to be authorized"),
        ("UnsupportedRegionException", ""),
    ],
)
def test_a_service_that_the_account_or_region_does_not_have_owns_nothing(
    code: str, message: str
) -> None:
    """These errors of a service mean that it owns nothing."""
    assert World(raising(code, message)).of([LAMBDA], "/x")["/x"].nobody


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("AccessDeniedException", "User: x is not authorized to perform: lambda:ListFunctions"),
        ("AccessDenied", "with an explicit deny in a service control policy"),
        ("AccessDeniedException", ""),
        ("UnauthorizedOperation", "You are not authorized to perform this operation."),
        ("ValidationException", "x"),
        ("ExpiredTokenException", "x"),
        ("UnrecognizedClientException", "The security token included in the request is invalid."),
        ("InternalFailure", "x"),
        ("ThrottlingException", "Rate exceeded"),
        ("ResourceNotFoundException", "x"),
    ],
)
def test_every_other_error_keeps(code: str, message: str) -> None:
    """Every other error makes the row unread, even if one service rejects the credentials."""
    assert World(raising(code, message)).of([LAMBDA], "/x")["/x"].unread


@pytest.mark.parametrize(
    ("row", "code", "message", "nobody"),
    [
        ("iotfleetwise", "AccessDeniedException", "", True),
        ("iotfleetwise", "AccessDeniedException", None, True),
        ("iotfleetwise", "AccessDeniedException", "User: x is not authorized", False),
        ("log-alarm", "ValidationError", "Member must satisfy enum value set: [x]", True),
        ("log-alarm", "ValidationError", "Member must not be null", False),
    ],
)
def test_a_service_may_have_its_own_errors_for_that(
    row: str, code: str, message: str | None, nobody: bool
) -> None:
    """Some services say it in their own way, which would be ambiguous elsewhere."""
    assert World(raising(code, message)).of([ROWS[row]], "/x")["/x"].nobody == nobody


def unreachable(number: int) -> EndpointConnectionError:
    """Return botocore's error for a host name that does not resolve (httpsession.py)."""
    inner = NameResolutionError("host", HTTPSConnection("host"), socket.gaierror(number, "x"))
    inner.__cause__ = socket.gaierror(number, "x")
    return EndpointConnectionError(endpoint_url="https://host", error=inner)


@pytest.mark.parametrize(
    ("row", "region", "number", "nobody"),
    [
        ("apprunner", "eu-central-2", socket.EAI_NONAME, True),
        ("b2bi", REGION, socket.EAI_NONAME, True),
        ("lambda", REGION, socket.EAI_NONAME, False),  # the endpoint exists: DNS is wrong
        ("apprunner", "eu-central-2", socket.EAI_AGAIN, False),  # DNS does not know
    ],
)
def test_an_endpoint_that_does_not_exist_owns_nothing(
    row: str, region: str, number: int, nobody: bool
) -> None:
    """An unresolved name counts only if botocore knows no such endpoint either."""

    def answer(*_call: str, **_more: Any) -> Any:
        raise unreachable(number)

    names = {"apprunner": "/aws/apprunner/a/1/service", "b2bi": "/aws/vendedlogs/b2bi/x"}
    name = names.get(row, "/x")
    assert World(answer, region).of([ROWS[row]], name)[name].nobody == nobody


def test_a_service_that_cannot_be_reached_is_given_up_soon() -> None:
    """Two attempts are enough, as each of dozens of rows would wait."""

    def answer(*_call: str, **_more: Any) -> Any:
        raise unreachable(socket.EAI_AGAIN)

    world = World(answer)
    assert world.of([LAMBDA], "/x")["/x"].unread
    assert len(world.calls) == 2


def test_a_row_that_takes_too_long_keeps_what_it_could_own() -> None:
    """The row is given up as soon as the number of calls is known, and the reason says so."""
    world = World(stacks(2000, {}), rate=2)
    (unread,) = world.of([replace(STACK, probe=None)], "/x")["/x"].unread
    assert "calls at 2 a second would take too long" in str(unread)
    assert len(world.calls) < 5


def test_calls_about_resources_that_own_nothing_take_time_too() -> None:
    """A thousand workspaces without logging take a thousand calls to find out."""

    def answer(_service: str, _region: str, operation: str, **_parameters: Any) -> Any:
        if operation == "ListWorkspaces":
            return {"workspaces": [{"workspaceId": f"w{n}"} for n in range(1000)]}
        raise error(operation, "ResourceNotFoundException", "no logging")

    world = World(answer, rate=2)
    (unread,) = world.of([ROWS["amp"]], "/x")["/x"].unread
    assert "would take too long" in unread.why
    assert len(world.calls) < 5


def test_an_unreachable_service_is_not_probed_for_every_log_group() -> None:
    """Hundreds of log groups do not wait for a service that cannot be reached."""

    def answer(*_call: str, **_more: Any) -> Any:
        raise unreachable(socket.EAI_AGAIN)

    world = World(answer)
    names = [f"/g{n}" for n in range(100)]
    found = world.of([STACK], *names)
    assert all(found[name].unread for name in names)
    assert len(world.calls) == 4


def test_garbage_is_not_an_answer() -> None:
    """A row whose document is not valid JSON is unread."""
    document: Any = {"DocumentIdentifiers": [{"Name": "d"}], "Content": "not JSON", "Name": "d"}
    world = World(lambda *_call, **_more: document)
    assert world.of([ROWS["session-manager"]], "/x")["/x"].unread


def test_a_stopped_reading_is_not_an_answer() -> None:
    """A row that was half read when the run stopped is unread afterwards."""
    world = World(functions("a", "b"))

    async def stopped(owners: Owners) -> None:
        world.stop.set("late")
        with pytest.raises(StoppedError):
            await world.asked(owners, "/x")
        world.stop.__init__()  # type: ignore[misc]
        assert (await world.asked(owners, "/x"))["/x"].unread

    world.clock.run(stopped(world.owners([LAMBDA])))


# ---- memory --------------------------------------------------------------------------------------


def test_clients_are_released_after_use() -> None:
    """Only the clients that the engine uses too are kept."""
    world = World(empty)

    async def both(owners: Owners) -> None:
        await world.asked(owners, "/x")
        await world.asked(owners, "/y")

    world.clock.run(both(world.owners([STACK, ROWS["anomaly-detector"]])))
    assert world.clients == {"cloudformation": 2, "logs": 1}


def test_a_client_that_is_released_at_once_is_still_used() -> None:
    """Another question may release a client just when a thread has made it."""
    world = World(empty)

    class LetGo(dict[tuple[str, str], Any]):
        def __setitem__(self, key: tuple[str, str], client: Any) -> None:
            super().__setitem__(key, client)
            world.api.release(*key)

    world.api._made = LetGo()
    assert world.of([replace(STACK, probe=None)], "/x")["/x"].nobody


def test_every_row_is_read_for_a_log_group_that_could_be_anybodys() -> None:
    """The whole shipped table is read in one go to find that nobody uses the log group."""
    world = World(empty)
    answer = world.of(table(), "/own")["/own"]
    assert answer.nobody
    assert answer.rows == sum(row.may_own("/own", REGION) for row in table())
    assert len(world.calls) >= answer.rows
