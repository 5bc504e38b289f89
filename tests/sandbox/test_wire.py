"""Requests of real clients are understood, and answers are read by them, in every protocol."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime
from functools import cache
from typing import Any
from urllib.parse import urlencode

import pytest
from botocore import xform_name
from botocore.config import Config
from botocore.exceptions import ClientError
from botocore.parsers import create_parser
from botocore.serialize import create_serializer
from hypothesis import given
from hypothesis import strategies as st

from janitor.sandbox import inprocess, services
from janitor.sandbox.answers import ANSWERS
from janitor.sandbox.wire import Call, RefusedError, Reply, Request, answered, parse, refused
from tests.sandbox.asking import ACCOUNT, REGION

AT = datetime(2026, 11, 25, 9, 30, tzinfo=UTC)
ELSEWHERE = (
    ("apigateway", "GetStages"),
    ("cloudfront", "GetDistribution"),  # deeply nested XML
    ("dynamodb", "PutItem"),  # recursive values, bytes
    ("ec2", "DescribeFlowLogs"),
    ("elasticloadbalancing", "DescribeTags"),
    ("lambda", "CreateFunction"),
    ("s3", "PutBucketTagging"),
    ("sns", "GetTopicAttributes"),  # a map in XML
    ("states", "DescribeStateMachine"),
)


# ---- values for every member of a shape ----------------------------------------------------------


def full(shape: Any, text: str = "a b/ü&<", inside: tuple[str, ...] = ()) -> Any:
    """A value with every member that does not recurse; timestamps are datetimes."""
    match None if shape is None else shape.type_name:
        case None:
            return {}
        case "structure":
            names = list(shape.members)
            return {
                name: full(member, _sendable(member, text), (*inside, shape.name))
                for name in (names[:1] if shape.is_tagged_union else names)
                if not _recurses(member := shape.members[name], (*inside, shape.name))
            }
        case "list":  # more than nine, to see their order
            count = 11 if shape.member.type_name == "string" else 2
            return [full(shape.member, f"{text}{number}", inside) for number in range(count)]
        case "map":
            keys = (shape.key.enum or ["key0", "key1"])[:2]
            return {key: full(shape.value, text, inside) for key in keys}
        case "string":
            return (shape.enum or [text.ljust(shape.metadata.get("min", 0), "x")])[0]
        case "integer" | "long":
            return max(7, shape.metadata.get("min", 0))
        case kind:
            return {"blob": b"\x00\xffblob", "timestamp": AT, "boolean": True}.get(kind, 7.5)


def _sendable(member: Any, text: str) -> str:
    """Headers and host names take plain text only."""
    location = member.serialization.get("location")
    return "text" if member.name == "BucketName" or location in ("header", "headers") else text


def _recurses(shape: Any, inside: tuple[str, ...]) -> bool:
    while shape.type_name in ("list", "map"):
        shape = shape.member if shape.type_name == "list" else shape.value
    return shape.name in inside


def seconds(value: Any) -> Any:
    """The value as the sandbox has it: times are seconds, streams are read."""
    match value:
        case datetime():
            return value.timestamp()
        case dict():
            return {key: seconds(item) for key, item in value.items()}
        case list():
            return [seconds(item) for item in value]
        case _:
            return value.read() if hasattr(value, "read") else value


# ---- there and back ------------------------------------------------------------------------------


class Echo:
    """Answers each call with a value of its output shape, and keeps call and answer."""

    def __call__(self, request: Request) -> Reply:
        self.call = parse(request)
        made = seconds(full(self.call.model.output_shape))
        # Clients would check checksums, which are wrong, and the length, which is the body's.
        left_out = [name for name in made if name.startswith("Checksum") or name == "ContentLength"]
        self.result = {name: made[name] for name in made if name not in left_out}
        return Reply(answered(self.call, self.result))


@cache
def client(handle: Any, service: str) -> Any:
    config = Config(retries={"total_max_attempts": 1, "mode": "standard"})
    return inprocess.session(handle, f"AKIA{ACCOUNT}", "us-east-1").client(service, config=config)


ECHO = Echo()


@pytest.mark.parametrize(("scope", "name"), [*ANSWERS, *ELSEWHERE])
def test_an_operation_there_and_back(scope: str, name: str) -> None:
    """The parameters arrive as they were given, and the answer as it was made."""
    [service, *_] = [one for one in services.signed_for(scope) if name in one.operation_names]
    model = service.operation_model(name)
    given = full(model.input_shape)
    if "ChecksumAlgorithm" in given:  # botocore sends its own
        left_out = ("Checksum", "ContentMD5", "ContentLength")
        given = {key: given[key] for key in given if not key.startswith(left_out)}
    got = seconds(getattr(client(ECHO, service.service_name), xform_name(name))(**given))
    assert (ECHO.call.service, ECHO.call.operation) == (scope, name)
    assert {key: ECHO.call.parameters.get(key) for key in given} == seconds(given)
    assert {key: got.get(key) for key in ECHO.result} == ECHO.result


@pytest.mark.parametrize("protocol", ["json", "query", "smithy-rpc-v2-cbor"])
def test_cloudwatch_is_understood_in_all_its_protocols(protocol: str) -> None:
    """As older and other SDKs speak it; they understand a refusal too."""
    model = services.service("cloudwatch").operation_model("GetMetricData")
    given = full(model.input_shape)
    sent = create_serializer(protocol, include_validation=False).serialize_to_request(given, model)
    headers = {key.lower(): value for key, value in sent["headers"].items()} | signed("monitoring")
    body = sent["body"]
    body = urlencode(body).encode() if isinstance(body, dict) else body
    call = parse(Request("POST", sent["url_path"], headers, body))
    assert (call.service, call.operation, call.protocol) == ("monitoring", model.name, protocol)
    assert call.parameters == seconds(given)

    def read(answer: Any, shape: Any) -> Any:
        headers = {"content-type": answer.kind, **answer.headers}
        response = {"body": answer.body, "headers": headers, "status_code": answer.status}
        return seconds(create_parser(protocol).parse(response, shape))

    result = seconds(full(model.output_shape))
    there = read(answered(call, result), model.output_shape)
    assert {key: there.get(key) for key in result} == result
    message = {"Code": "InvalidNextToken", "Message": "no <such>"}
    error = read(refused(call, RefusedError(message["Code"], message["Message"])), None)["Error"]
    assert message.items() <= error.items()


def signed(scope: str) -> dict[str, str]:
    credential = f"Credential=AKIA{ACCOUNT}/20261125/{REGION}/{scope}/aws4_request"
    return {"authorization": f"AWS4-HMAC-SHA256 {credential}, SignedHeaders=host, Signature=0"}


def test_an_answer_beyond_its_shape_is_a_failure_of_the_sandbox() -> None:
    """What no client would read is not silently left out."""

    def mistaken(request: Request) -> Reply:
        return Reply(answered(parse(request), {"Regoins": []}))

    for service, method in (("ec2", "describe_regions"), ("lambda", "list_functions")):
        with pytest.raises(KeyError, match="Regoins"):
            getattr(client(mistaken, service), method)()


# ---- refusals ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("service", "method", "parameters", "code", "status"),
    [
        ("logs", "delete_log_group", {"logGroupName": "a"}, "ResourceNotFoundException", 400),
        ("sns", "list_topics", {}, "NotFound", 404),
        ("ec2", "describe_vpcs", {}, "InvalidVpcID.NotFound", 400),
        ("lambda", "get_function", {"FunctionName": "a"}, "ResourceNotFoundException", 404),
        ("cloudfront", "get_distribution", {"Id": "a"}, "NoSuchDistribution", 404),
        ("s3", "get_object", {"Bucket": "bucket", "Key": "a"}, "NoSuchKey", 404),
        ("cloudwatch", "list_dashboards", {}, "InvalidParameterValue", 400),
        ("s3", "head_object", {"Bucket": "bucket", "Key": "a"}, "404", 404),  # without a body
    ],
)
def test_a_refusal_is_read_with_code_message_and_status(
    service: str, method: str, parameters: Any, code: str, status: int
) -> None:
    """As the exception that the client's model has, if it has one."""
    message = "no <such> thing & no other" if method != "head_object" else "Not Found"

    def refuse(request: Request) -> Reply:
        return Reply(refused(parse(request), RefusedError(code, message, status)))

    there = client(refuse, service)
    with pytest.raises(ClientError) as error:
        getattr(there, method)(**parameters)
    answer = error.value.response
    assert (answer["Error"]["Code"], answer["Error"]["Message"]) == (code, message)
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == status
    assert isinstance(error.value, there.exceptions.from_code(code))
    # Other clients than botocore's go by this, where the service once spoke another protocol.
    shape = answer["Error"].get("QueryErrorCode", code)
    assert shape == ("InvalidParameterValueException" if service == "cloudwatch" else code)


TARGET = {"x-amz-target": "Logs_20140328.DescribeLogGroups"}
TABLE = {"x-amz-target": "DynamoDB_20120810.BatchGetItem"}
FORM = {"content-type": "application/x-www-form-urlencoded"}
RPC = {"smithy-protocol": "rpc-v2-cbor"}
METRICS = "/service/GraniteServiceVersion20100801/operation/GetMetricData"
REGIONS = b"Action=DescribeRegions&Version=2016-11-15&"
PUBLISH = b"Action=Publish&Version=2010-03-31&MessageAttributes"


@pytest.mark.parametrize(
    ("scope", "method", "url", "headers", "body"),
    [
        ("logs", "POST", "/", TARGET, b"{not json"),
        ("logs", "POST", "/", TARGET, b"[]"),
        ("logs", "POST", "/", TARGET, b"\xff"),
        ("dynamodb", "POST", "/", TABLE, b'{"RequestItems": 7}'),
        ("dynamodb", "POST", "/", TABLE, b"[]"),
        ("ec2", "POST", "/", FORM, REGIONS + b"RegionName.x=1"),
        ("ec2", "POST", "/", FORM, REGIONS + b"Filter=a&Filter.1=b"),
        ("sns", "POST", "/", FORM, PUBLISH + b".entry.1=a"),
        ("sns", "POST", "/", FORM, PUBLISH + b"=a"),
        ("lambda", "GET", "/2015-03-31/functions?MaxItems=x", {}, b""),
        ("lambda", "POST", "/2015-03-31/functions", {}, b"{not json"),
        ("s3", "PUT", "/bucket", {}, b"<a><b/>"),
        ("s3", "PUT", "/bucket/key", {"content-encoding": "aws-chunked"}, b"5\r\nhello"),
        ("monitoring", "POST", METRICS, RPC, b"\xff\xff"),
    ],
)
def test_malformed_requests_are_refused(
    scope: str, method: str, url: str, headers: dict[str, str], body: bytes
) -> None:
    """In every protocol, and nothing else is raised."""
    with pytest.raises(RefusedError, match="SerializationException"):
        parse(Request(method, url, headers | signed(scope), body))


@given(
    scope=st.sampled_from(["logs", "monitoring", "ec2", "s3", "lambda", "events", "nobody"]),
    method=st.sampled_from(["GET", "POST", "PUT", "HEAD", "BREW"]),
    url=st.text(max_size=30).map(lambda text: f"/{text}"),
    headers=st.dictionaries(
        st.sampled_from([*TARGET, *FORM, *RPC, "content-encoding", "host"]),
        st.text(max_size=20) | st.sampled_from([*FORM.values(), *RPC.values()]),
    ),
    body=st.binary(max_size=60),
)
def test_any_request_is_a_call_or_refused(
    scope: str, method: str, url: str, headers: dict[str, str], body: bytes
) -> None:
    """A call of an unknown operation can be refused in turn."""
    call: Call | None = None
    with contextlib.suppress(RefusedError):
        call = parse(Request(method, url, headers | signed(scope), body))
    assert refused(call, RefusedError("Code", "said")).status == 400


def test_unsigned_requests_are_refused() -> None:
    """In the words of AWS's common errors."""
    with pytest.raises(RefusedError, match="MissingAuthenticationToken"):
        parse(Request("POST", "/", TARGET, b"{}"))
