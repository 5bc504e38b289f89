"""Who is asked, how often, and what is made of the answers."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError
from urllib3.connection import HTTPSConnection
from urllib3.exceptions import NameResolutionError

from janitor.core.clock import StoppedError
from janitor.owners.owners import Answer, Owners, Shared
from janitor.owners.reader import BELIEVED
from janitor.owners.table import chosen, table
from tests.accounts import ACCOUNT, REGION
from tests.owners.world import Answers, World, denied, error

ROWS = {row.id: row for row in table()}
LAMBDA, STACK, RDS = ROWS["lambda"], ROWS["cloudformation-stack"], ROWS["rds"]


def nothing(*_call: str, **_more: Any) -> Mapping[str, Any]:
    return {}


def functions(*names: str, **more: Any) -> Answers:
    """Lambda with those functions, in one page each."""

    def said(_service: str, _region: str, _operation: str, Marker: str = "0", **_: Any) -> Any:
        at = int(Marker)
        found: dict[str, Any] = {"Functions": [{"FunctionName": names[at], **more}]}
        return {**found, "NextMarker": str(at + 1)} if at + 1 < len(names) else found

    return said


def raising(code: str, message: str = "") -> Answers:
    def said(_service: str, _region: str, operation: str, **_: Any) -> Any:
        raise error(operation, code, message)

    return said


# ---- what is asked -------------------------------------------------------------------------------


def test_only_rows_are_asked_that_could_own_one_of_the_log_groups() -> None:
    """A name that no RDS instance can have costs no call to RDS."""
    world = World(nothing)
    found = world.of([RDS, ROWS["eks"]], "/aws/eks/k/cluster")
    assert {service for service, *_ in world.said} == {"eks"}
    assert found["/aws/eks/k/cluster"].rows == 1


def test_every_page_is_read() -> None:
    """An owner on the last one is found as well."""
    world = World(functions("a", "b", "c"))
    found = world.of([LAMBDA], "/aws/lambda/c", "/aws/lambda/d")
    assert found["/aws/lambda/c"].uses[0].user == "Lambda function c"
    assert found["/aws/lambda/c"].uses[0].calls == 3
    assert found["/aws/lambda/d"].nobody


def test_published_versions_are_asked_for() -> None:
    """The version behind an alias may log elsewhere than the latest code."""
    world = World(functions("f", LoggingConfig={"LogGroup": "/of/a/version"}))
    assert world.of([LAMBDA], "/of/a/version")["/of/a/version"].uses
    assert world.said[0][3]["FunctionVersion"] == "ALL"


def test_a_function_that_logs_elsewhere_does_not_use_the_usual_name() -> None:
    """Its old log group is nobody's."""
    world = World(functions("f", LoggingConfig={"LogGroup": "/elsewhere"}))
    assert world.of([LAMBDA], "/aws/lambda/f")["/aws/lambda/f"].nobody


def test_pages_without_end_are_no_answer() -> None:
    """The same token twice would go on for ever."""
    world = World(lambda *_call, **_more: {"Functions": [], "NextMarker": "m"})
    (unread,) = world.of([LAMBDA], "/aws/lambda/f")["/aws/lambda/f"].unread
    assert "so the list would never end" in unread.why


def test_a_row_is_read_once() -> None:
    """However many times log groups are asked about."""
    world = World(functions("f"))

    async def twice(owners: Owners) -> None:
        for name in ("/a", "/b", "/aws/lambda/f"):
            await world.asked(owners, name)

    world.clock.run(twice(world.owners([LAMBDA])))
    assert world.calls("ListFunctions") == 1


def test_a_row_is_read_again_when_that_is_long_ago() -> None:
    """An owner made since is found."""
    names = ["f"]
    world = World(lambda *call, **more: functions(*names)(*call, **more))

    async def again(owners: Owners) -> tuple[bool, bool, bool]:
        before = await world.asked(owners, "/aws/lambda/g")
        names.append("g")
        soon = await world.asked(owners, "/aws/lambda/g")
        world.clock.jump(61)
        later = await world.asked(owners, "/aws/lambda/g")
        return tuple(said["/aws/lambda/g"].nobody for said in (before, soon, later))  # type: ignore[return-value]

    assert world.clock.run(again(world.owners([LAMBDA], lasts=60))) == (True, True, False)


def test_a_listing_that_was_broken_off_is_not_gone_on_with_long_after() -> None:
    """Its first page may know nothing of an owner that was made since."""
    logs = ["/a"]
    world = World(lambda *call, **more: flow_logs(logs, *call, **more))

    async def again(owners: Owners) -> bool:
        await world.asked(owners, "/g1")
        await world.asked(owners, "/g2")  # which reads a page
        logs.insert(0, "/g3")
        world.clock.jump(61)
        return (await world.asked(owners, "/g3", "/g4", "/g5", "/g6"))["/g3"].nobody

    assert not world.clock.run(again(world.owners([ROWS["vpc-flow-log"]], lasts=60)))


def test_what_a_probe_said_lasts_as_long_as_a_listing() -> None:
    """A deletion asks three times: survey, act, and the last look."""
    logs = ["/a"]
    world = World(lambda *call, **more: flow_logs(logs, *call, **more))

    async def again(owners: Owners) -> tuple[int, bool]:
        for _ in range(3):
            await world.asked(owners, "/g")
        soon = len(world.said)
        logs.append("/g")
        world.clock.jump(61)
        return soon, (await world.asked(owners, "/g"))["/g"].nobody

    assert world.clock.run(again(world.owners([ROWS["vpc-flow-log"]], lasts=60))) == (1, False)


def flow_logs(
    logs: Sequence[str], _service: str, _region: str, _operation: str, **asked: Any
) -> Any:
    """Flow logs to those log groups, in three pages, of which the first has but one."""
    (only,) = asked["Filter"]
    if only["Name"] == "log-group-name":
        return {"FlowLogs": [{"LogGroupName": n} for n in logs if n in only["Values"]]}
    page = int(asked.get("NextToken", "0"))
    found = [logs[:1], [], logs[1:]][page]
    answer: dict[str, Any] = {"FlowLogs": [{"LogGroupName": name} for name in found]}
    return answer if page == 2 else {**answer, "NextToken": str(page + 1)}


def stacks(count: int, resources: Mapping[str, str]) -> Answers:
    """CloudFormation with so many stacks; log groups by name, with their stack."""

    def said(_service: str, _region: str, operation: str, **asked: Any) -> Any:
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
                        if stack == asked["StackName"]
                    ]
                }
        if asked["PhysicalResourceId"] not in resources:
            raise error(operation, "ValidationError", "Stack for x does not exist")
        stack = resources[asked["PhysicalResourceId"]]
        return {"StackResources": [{"StackName": stack, "ResourceStatus": "UPDATE_COMPLETE"}]}

    return said


@pytest.mark.parametrize(("candidates", "count"), [(1, 500), (5, 500), (60, 3), (300, 3), (9, 9)])
def test_few_candidates_are_asked_about_and_many_stacks_are_not_listed(
    candidates: int, count: int
) -> None:
    """Whichever takes fewer calls, but for a few that show which; both find the same."""
    names = [f"/g{n}" for n in range(candidates)]
    world = World(stacks(count, {"/g0": "s0"}))
    found = world.of([STACK], *names)
    assert found["/g0"].uses[0].user == "CloudFormation stack s0"
    assert all(found[name].nobody for name in names[1:])
    assert len(world.said) <= 2 * min(candidates, 1 + count)


def test_candidates_that_come_one_by_one_are_listed_in_the_end() -> None:
    """A survey finds them page by page: asking about each would take a call for each."""
    world = World(stacks(3, {"/g0": "s0"}))

    async def each(owners: Owners) -> None:
        for n in range(100):
            await world.asked(owners, f"/g{n}")

    world.clock.run(each(world.owners([STACK])))
    assert len(world.said) <= 12


def test_a_name_that_only_the_listing_can_answer_is_listed() -> None:
    """RDSOSMetrics is every instance's, so no instance can be asked for."""
    instance = {"DBInstanceIdentifier": "db", "MonitoringInterval": 60}
    world = World(lambda *_call, **_more: {"DBInstances": [instance]})
    assert world.of([RDS], "RDSOSMetrics")["RDSOSMetrics"].uses


def test_things_that_are_named_twice_are_asked_for_once() -> None:
    """Two services of a cluster run one task definition."""

    def said(_service: str, _region: str, operation: str, **asked: Any) -> Any:
        match operation:
            case "ListClusters":
                return {"clusterArns": ["c"]}
            case "ListServices":
                return {"serviceArns": [f"s{n}" for n in range(25)]}
            case "DescribeServices":
                return {
                    "services": [
                        {"serviceName": name, "taskDefinition": "web:42"}
                        for name in asked["services"]
                    ]
                }
        options = {"options": {"awslogs-group": "/ecs/web"}}
        containers = [{"logConfiguration": options}]
        return {
            "taskDefinition": {"family": "web", "revision": 42, "containerDefinitions": containers}
        }

    world = World(said)
    (use,) = world.of([ROWS["ecs-service"]], "/ecs/web")["/ecs/web"].uses
    assert str(use) == (
        "in use by ECS task definition web:42 (service s0); its tasks would not start without it"
    )
    assert world.calls("DescribeServices") == 3
    assert world.calls("DescribeTaskDefinition") == 1


def test_something_that_is_gone_meanwhile_owns_nothing() -> None:
    """A state machine that was deleted between the list and the call about it."""

    def said(_service: str, _region: str, operation: str, **_asked: Any) -> Any:
        if operation == "ListStateMachines":
            return {"stateMachines": [{"stateMachineArn": "m"}]}
        raise error(operation, "StateMachineDoesNotExist", "gone")

    assert World(said).of([ROWS["step-functions"]], "/x")["/x"].nobody


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
def test_a_reference_is_to_a_log_group_of_this_account_and_region(
    reference: str | None, owned: bool
) -> None:
    """In any of the forms in which services have it."""
    trail = {"trailList": [{"CloudWatchLogsLogGroupArn": reference, "Name": "t"}]}
    world = World(lambda *_call, **_more: trail)
    assert bool(world.of([ROWS["cloudtrail"]], "/x")["/x"].uses) == owned


@pytest.mark.parametrize(
    "name", ["/aws/lambda/ap-east-2.f", "/aws/lambda/me-south-1.f", "sns/xx-y-1/1/t"]
)
def test_a_name_never_decides_which_region_is_called(name: str) -> None:
    """Those of the table and the target's own only: others may be disabled."""
    world = World(nothing)
    world.of(table(), name)
    assert {region for _, region, *_ in world.said} <= {REGION, "us-east-1"}


def test_an_edge_function_uses_its_log_group_in_every_region() -> None:
    """Under the usual name, or its own, which has no prefix; read once for all Regions."""
    edge = {
        "Functions": [
            {"FunctionName": "f", "Version": "3"},
            {"FunctionName": "own", "Version": "1", "LoggingConfig": {"LogGroup": "/edge/own"}},
        ]
    }
    worlds = [World(lambda *_call, **_more: edge, region) for region in (REGION, "ap-south-1")]
    shared = Shared()
    for world in worlds:
        owners = Owners(world.api, [ROWS["lambda-edge"]], shared)
        found = world.ask(owners, "/aws/lambda/us-east-1.f", "/edge/own", "/aws/lambda/f")
        assert [bool(answer.uses) for answer in found.values()] == [True, True, False]
    assert [region for world in worlds for _, region, *_ in world.said] == ["us-east-1"]


@pytest.mark.parametrize("region", ["cn-north-1", "us-gov-west-1"])
def test_what_a_part_of_aws_does_not_have_is_not_asked_there(region: str) -> None:
    """China and GovCloud have no us-east-1."""
    world = World(nothing, region)
    answer = world.of([ROWS["lambda-edge"], ROWS["route53-query"]], "/x")["/x"]
    assert answer.nobody
    assert not world.said


def test_what_is_known_waits_for_nobodys_turn() -> None:
    """A last look is worth a second, and other Regions' services may take minutes."""
    world, shared = World(nothing), Shared(services_at_once=1)
    owners = Owners(world.api, [LAMBDA], shared)

    async def meanwhile() -> Answer:
        await world.asked(owners, "/aws/lambda/f")
        async with shared.turn, asyncio.timeout(1):
            return (await world.asked(owners, "/aws/lambda/f"))["/aws/lambda/f"]

    assert world.clock.run(meanwhile()).nobody


# ---- what cannot be read -------------------------------------------------------------------------


@pytest.mark.parametrize(("empty", "nobody"), [(2, False), (BELIEVED, True)])
def test_an_answer_without_a_list_is_believed_once_it_was_given_three_times(
    empty: int, nobody: bool
) -> None:
    """A service may leave out a list that is empty; and `{}` may be garbage."""
    garbage: list[dict[str, Any]] = [{} for _ in range(empty)]
    real = functions("f")
    world = World(lambda *call, **more: garbage.pop() if garbage else real(*call, **more))
    assert world.of([LAMBDA], "/aws/lambda/f")["/aws/lambda/f"].nobody is nobody
    assert len(world.said) == BELIEVED


@pytest.mark.parametrize(
    ("row", "kept"),
    [
        ("rds", ["/aws/rds/instance/db/error"]),  # only these names
        ("ecs-service", ["/aws/rds/instance/db/error", "/aws/lambda/f", "/own"]),  # any; it stops
        ("lambda", ["/aws/lambda/f", "/own"]),  # any but other owners' usual names
        ("opensearch", ["/aws/rds/instance/db/error", "/aws/lambda/f", "/own"]),
        ("cloudtrail", ["/own"]),
    ],
)
def test_a_row_that_is_denied_keeps_what_it_could_own_and_no_more(
    row: str, kept: list[str]
) -> None:
    """Its usual names, and others' where something stops without the log group."""
    names = ["/aws/rds/instance/db/error", "/aws/lambda/f", "/own"]

    def said(service: str, _region: str, operation: str, **_more: Any) -> Any:
        if service == ROWS[row].service:
            raise denied(operation)
        return {}

    rows = chosen(sorted({row, "rds", "lambda"}))
    found = World(said).of([replace(row, probe=None) for row in rows], *names)
    assert [name for name in names if not found[name].nobody] == kept
    for name in kept:
        (unread,) = found[name].unread
        assert set(unread.actions) == ROWS[row].actions
        assert f": {unread.source}: AccessDenied" in str(unread), "the call that failed"


def test_a_row_for_which_there_was_no_time_is_asked_once_there_is() -> None:
    """The survey's other rows of that service took it all: act has as much again."""
    world, shared = World(nothing), Shared()

    async def twice() -> list[bool]:
        said = []
        for time in (-1.0, 300.0):
            owners = Owners(world.api, [LAMBDA], shared, lasts=55, service_lasts=time)
            said.append((await world.asked(owners, "/aws/lambda/f"))["/aws/lambda/f"].nobody)
            world.clock.jump(56)
        return said

    assert world.clock.run(twice()) == [False, True]


def test_what_was_read_before_an_error_counts() -> None:
    """A reference that was found is one, whatever else could not be read."""
    pages = functions("a", "b")

    def said(*call: str, **more: Any) -> Any:
        if more.get("Marker"):
            raise denied("ListFunctions")
        return pages(*call, **more)

    found = World(said).of([LAMBDA], "/aws/lambda/a", "/aws/lambda/b")
    assert found["/aws/lambda/a"].uses
    assert found["/aws/lambda/b"].unread


def test_one_row_that_fails_says_nothing_about_another() -> None:
    """Each keeps its own."""

    def said(service: str, _region: str, operation: str, **_more: Any) -> Any:
        if service == "eks":
            raise denied(operation)
        return {}

    found = World(said).of([LAMBDA, ROWS["eks"]], "/aws/eks/k/cluster", "/aws/lambda/f")
    assert found["/aws/eks/k/cluster"].unread
    assert found["/aws/lambda/f"].nobody


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
    ],
)
def test_a_service_that_the_account_or_region_does_not_have_owns_nothing(
    code: str, message: str
) -> None:
    """As such services say it."""
    assert World(raising(code, message)).of([LAMBDA], "/x")["/x"].nobody


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("AccessDeniedException", "User: x is not authorized to perform: lambda:ListFunctions"),
        ("AccessDenied", "with an explicit deny in a service control policy"),
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
    """And ends nothing else: not even credentials that one service does not take."""
    assert World(raising(code, message)).of([LAMBDA], "/x")["/x"].unread


def unreachable(number: int) -> EndpointConnectionError:
    """As botocore has it where a name does not resolve (httpsession.py)."""
    inner = NameResolutionError("host", HTTPSConnection("host"), socket.gaierror(number, "x"))
    inner.__cause__ = socket.gaierror(number, "x")
    return EndpointConnectionError(endpoint_url="https://host", error=inner)


@pytest.mark.parametrize(
    ("row", "region", "number", "nobody"),
    [
        ("apprunner", "eu-central-2", socket.EAI_NONAME, True),
        ("b2bi", REGION, socket.EAI_NONAME, True),
        ("lambda", REGION, socket.EAI_NONAME, False),  # it is there: the name service is wrong
        ("apprunner", "eu-central-2", socket.EAI_AGAIN, False),  # nobody knows
    ],
)
def test_an_endpoint_that_does_not_exist_owns_nothing(
    row: str, region: str, number: int, nobody: bool
) -> None:
    """Where botocore knows of none either: a name that is not resolved is not enough."""

    def said(*_call: str, **_more: Any) -> Any:
        raise unreachable(number)

    names = {"apprunner": "/aws/apprunner/a/1/service", "b2bi": "/aws/vendedlogs/b2bi/x"}
    name = names.get(row, "/x")
    assert World(said, region).of([ROWS[row]], name)[name].nobody == nobody


def test_a_service_that_cannot_be_reached_is_not_waited_for_long() -> None:
    """Each of dozens of rows would wait."""

    def said(*_call: str, **_more: Any) -> Any:
        raise unreachable(socket.EAI_AGAIN)

    world = World(said)
    assert world.of([LAMBDA], "/x")["/x"].unread
    assert len(world.said) == 2


def test_a_row_that_takes_too_long_keeps_what_it_could_own() -> None:
    """It is seen as soon as it is known, and said."""
    world = World(stacks(2000, {}), rate=2)
    (unread,) = world.of([replace(STACK, probe=None)], "/x")["/x"].unread
    assert "calls at 2 a second would take too long" in str(unread)
    assert len(world.said) < 5


def test_owners_that_are_gone_take_their_time_as_well() -> None:
    """Of a thousand workspaces without logging each takes a call to find out."""

    def said(_service: str, _region: str, operation: str, **_asked: Any) -> Any:
        if operation == "ListWorkspaces":
            return {"workspaces": [{"workspaceId": f"w{n}"} for n in range(1000)]}
        raise error(operation, "ResourceNotFoundException", "no logging")

    world = World(said, rate=2)
    (unread,) = world.of([ROWS["amp"]], "/x")["/x"].unread
    assert "would take too long" in unread.why
    assert len(world.said) < 5


def test_a_probe_that_cannot_be_sent_is_not_tried_for_every_log_group() -> None:
    """Each of hundreds would wait for a service that cannot be reached."""

    def said(*_call: str, **_more: Any) -> Any:
        raise unreachable(socket.EAI_AGAIN)

    world = World(said)
    names = [f"/g{n}" for n in range(100)]
    found = world.of([STACK], *names)
    assert all(found[name].unread for name in names)
    assert len(world.said) == 4


def test_garbage_is_no_answer() -> None:
    """A document that is no JSON, or something else where a list belongs."""
    document: Any = {"DocumentIdentifiers": [{"Name": "d"}], "Content": "not JSON", "Name": "d"}
    world = World(lambda *_call, **_more: document)
    assert world.of([ROWS["session-manager"]], "/x")["/x"].unread


def test_a_run_that_stops_is_no_answer() -> None:
    """And what was half read is not taken for whole afterwards."""
    world = World(functions("a", "b"))

    async def stopped(owners: Owners) -> None:
        world.stop.set("late")
        with pytest.raises(StoppedError):
            await world.asked(owners, "/x")
        world.stop.__init__()  # type: ignore[misc]
        assert (await world.asked(owners, "/x"))["/x"].unread

    world.clock.run(stopped(world.owners([LAMBDA])))


# ---- memory --------------------------------------------------------------------------------------


def test_clients_are_let_go() -> None:
    """But for those that the engine goes on using."""
    world = World(nothing)

    async def both(owners: Owners) -> None:
        await world.asked(owners, "/x")
        await world.asked(owners, "/y")

    world.clock.run(both(world.owners([STACK, ROWS["anomaly-detector"]])))
    assert world.made == {"cloudformation": 2, "logs": 1}


def test_a_client_that_is_let_go_at_once_is_used_all_the_same() -> None:
    """By another question, in the moment in which it was made on a thread."""
    world = World(nothing)

    class LetGo(dict[tuple[str, str], Any]):
        def __setitem__(self, key: tuple[str, str], client: Any) -> None:
            super().__setitem__(key, client)
            world.api.let_go(*key)

    world.api._made = LetGo()
    assert world.of([replace(STACK, probe=None)], "/x")["/x"].nobody


def test_every_row_is_asked_of_a_log_group_that_could_be_anybodys() -> None:
    """Of the shipped table, in one go: nobody uses it, and that took so many calls."""
    world = World(nothing)
    answer = world.of(table(), "/own")["/own"]
    assert answer.nobody
    assert answer.rows == sum(row.may_own("/own", REGION) for row in table())
    assert len(world.said) >= answer.rows
