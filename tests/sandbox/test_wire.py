"""Requests of real clients are understood, and answers are read by them, in every protocol."""

from __future__ import annotations

import contextlib
import gzip
import json
import re
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import botocore
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from botocore.parsers import PROTOCOL_PARSERS, create_parser
from botocore.serialize import create_serializer
from hypothesis import given
from hypothesis import strategies as st

from janitor.sandbox import inprocess, services
from janitor.sandbox.answers import ANSWERS
from janitor.sandbox.wire import (
    Call,
    RefusedError,
    Reply,
    Request,
    answered,
    parse,
    refused,
)
from tests.sandbox.asking import ACCOUNT, REGION
from tests.sandbox.values import full, least, seconds

SERVICES = {
    "logs": "json",
    "cloudwatch": "json",
    "resourcegroupstaggingapi": "json",
    "service-quotas": "json",
    "ssm": "json",
    "dynamodb": "json",  # recursive values
    "sts": "query",
    "sns": "query",
    "elbv2": "query",
    "ec2": "ec2",
    "lambda": "rest-json",
    "apigateway": "rest-json",  # beside apigatewayv2, signed for alike
    "chime-sdk-meetings": "rest-json",  # beside others that have some paths of its own
    "s3": "rest-xml",
    "cloudfront": "rest-xml",
    "partnercentral-revenue-measurement": "smithy-rpc-v2-cbor",
    "eventbridgev2": "smithy-rpc-v2-cbor",
}
NOT_HERE = {
    # Not signed at all.
    "AssumeRoleWithSAML",
    "AssumeRoleWithWebIdentity",
    # Signed for S3's other services.
    "WriteGetObjectResponse",
    "ListDirectoryBuckets",
    # Sent and answered as calls that came later are.
    "GetBucketLifecycle",
    "GetBucketNotification",
    "PutBucketLifecycle",
    "PutBucketNotification",
    # Its answer's root is its value.
    "GetBucketLocation",
}
CHANGED = {"RunInstances": "UserData", "CreateLaunchConfiguration": "UserData"}
"""Parameters that botocore itself encodes once more."""


class Echo:
    """Answers each call with a value of its output shape, and keeps call and answer."""

    def __init__(self, make: Any = full) -> None:
        self.make, self.call = make, Call("", "", {}, "", "", "")
        self.result: dict[str, Any] = {}

    def __call__(self, request: Request) -> Reply:
        self.call = parse(request)
        shape = self.call.model.output_shape
        # Checksums would be checked, and are wrong.
        self.result = {
            name: value
            for name, value in seconds(self.make(shape)).items()
            if not name.startswith("Checksum") and name != "ContentLength"
        }
        return Reply(answered(self.call, self.result))


@cache
def session(handle: Any) -> Any:
    return inprocess.session(handle, f"AKIA{ACCOUNT}", "us-east-1")


def client(handle: Any, service: str) -> Any:
    config = Config(retries={"total_max_attempts": 1, "mode": "standard"})
    return session(handle).client(service, config=config)


FULL, LEAST = Echo(), Echo(least)
CASES = [
    *((FULL, service) for service in SERVICES),
    *((LEAST, service) for service in ("logs", "sns", "lambda", "s3", "eventbridgev2")),
]


@pytest.mark.parametrize(("echo", "service"), CASES)
def test_every_operation_there_and_back(echo: Echo, service: str) -> None:
    """The parameters arrive as they were given, and the answer as it was made."""
    there = client(echo, service)
    assert there.meta.service_model.resolved_protocol == SERVICES[service]
    for method, name in there.meta.method_to_api_mapping.items():
        model = there.meta.service_model.operation_model(name)
        streams = model.has_event_stream_input or model.has_event_stream_output
        if name in NOT_HERE or streams:
            continue
        given = echo.make(model.input_shape)
        got = seconds(getattr(there, method)(**given))
        assert echo.call.operation == name
        assert echo.call.model.service_model.service_name == service
        given.pop(CHANGED.get(name), None)
        assert {key: echo.call.parameters[key] for key in given} == seconds(given), name
        assert {key: got.get(key) for key in echo.result} == echo.result, name


def test_the_sample_has_every_protocol() -> None:
    """All that botocore speaks."""
    assert set(SERVICES.values()) == set(PROTOCOL_PARSERS)


@pytest.mark.parametrize("protocol", ["json", "query", "smithy-rpc-v2-cbor"])
def test_a_service_is_understood_in_all_its_protocols(protocol: str) -> None:
    """CloudWatch, as older and other SDKs speak it."""
    service = services.service("cloudwatch")
    serializer = create_serializer(protocol, include_validation=False)
    for name in service.operation_names:
        model = service.operation_model(name)
        given = full(model.input_shape)
        sent = serializer.serialize_to_request(given, model)
        body = sent["body"]
        call = parse(
            Request(
                "POST",
                sent["url_path"],
                {key.lower(): value for key, value in sent["headers"].items()}
                | signed("monitoring"),
                urlencode(body).encode() if isinstance(body, dict) else body,
            )
        )
        assert (call.service, call.operation, call.protocol) == ("monitoring", name, protocol)
        assert call.parameters == seconds(given), name
        result = seconds(full(model.output_shape))
        answer = answered(call, result)
        headers = {"content-type": answer.kind, **answer.headers}
        response = {"body": answer.body, "headers": headers, "status_code": answer.status}
        read = seconds(create_parser(protocol).parse(response, model.output_shape))
        assert {key: read.get(key) for key in result} == result, name


def signed(scope: str) -> dict[str, str]:
    credential = f"Credential=AKIA{ACCOUNT}/20261125/{REGION}/{scope}/aws4_request"
    return {"authorization": f"AWS4-HMAC-SHA256 {credential}, SignedHeaders=host, Signature=0"}


def test_what_is_read_a_million_times_is_not_walked_through() -> None:
    """JSON of CloudWatch Logs and of what else the janitor asks is its own value."""
    for scope, prefix in (
        ("logs", "Logs_20140328"),
        ("monitoring", "GraniteServiceVersion20100801"),
        ("tagging", "ResourceGroupsTaggingAPI_20170126"),
    ):
        for service, name in ANSWERS:
            if service == scope:
                asked = services.targeted(scope, f"{prefix}.{name}")
                assert (asked.as_is, asked.answered_as_is) == (True, True), name


def test_what_services_are_signed_for_is_what_botocore_has() -> None:
    """The table has each service that is not signed for under its own name, and no other."""
    found: dict[str, list[str]] = {}
    for name in services.MODELS.list_available_services("service-2"):
        versions = Path(botocore.__file__).parent.glob(f"data/{name}/*/service-2.json.gz")
        text = gzip.decompress(max(versions).read_bytes()).decode()
        said = re.search(r'"signingName"\s*:\s*"([^"]+)"', text)
        said = said or re.search(r'"endpointPrefix"\s*:\s*"([^"]+)"', text)
        if said and said[1] != name:
            found.setdefault(said[1], []).append(name)
    table = (entry.partition("=") for entry in services.SIGNED_OTHERWISE.split())
    assert {signed: names.split(",") for signed, _, names in table} == found


# ---- refusals ------------------------------------------------------------------------------------

ASKED = {
    "json": ("logs", "delete_log_group", "ResourceNotFoundException", 400),
    "query": ("sns", "list_topics", "NotFound", 404),
    "ec2": ("ec2", "describe_vpcs", "InvalidVpcID.NotFound", 400),
    "rest-json": ("lambda", "get_function", "ResourceNotFoundException", 404),
    "rest-xml": ("cloudfront", "get_distribution", "NoSuchDistribution", 404),
    "rest-xml of S3": ("s3", "get_object", "NoSuchKey", 404),
    "smithy-rpc-v2-cbor": ("eventbridgev2", "describe_event_bus", "ResourceNotFoundException", 400),
    "json that was query": ("cloudwatch", "put_dashboard", "InvalidParameterInput", 400),
}


@pytest.mark.parametrize("protocol", ASKED)
def test_a_refusal_is_read_with_code_message_and_status(protocol: str) -> None:
    """As the exception of the client that the model has, where it has one."""
    service, method, code, status = ASKED[protocol]
    said = "no <such> thing & no other"

    def refuse(request: Request) -> Reply:
        return Reply(refused(parse(request), RefusedError(code, said, status)))

    there = client(refuse, service)
    model = there.meta.service_model.operation_model(there.meta.method_to_api_mapping[method])
    with pytest.raises(ClientError) as error:
        getattr(there, method)(**least(model.input_shape))
    answer = error.value.response
    assert answer["Error"]["Code"] == code
    assert answer["Error"]["Message"] == said
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == status
    assert isinstance(error.value, there.exceptions.from_code(code))
    # What other clients than botocore's go by.
    said_by_shape = answer["Error"].get("QueryErrorCode", code)
    assert (said_by_shape == code) is (method != "put_dashboard")


def test_a_refused_head_has_no_body() -> None:
    """S3 says by the status alone that an object is not there."""

    def refuse(request: Request) -> Reply:
        answer = refused(parse(request), RefusedError("NoSuchKey", "gone", 404))
        assert answer.body == b""
        return Reply(answer)

    with pytest.raises(ClientError) as error:
        client(refuse, "s3").head_object(Bucket="bucket", Key="a")
    assert error.value.response["Error"]["Code"] == "404"


def test_an_answer_beyond_its_shape_is_a_fault_of_the_sandbox() -> None:
    """What no client would read is not silently left out."""

    def mistaken(request: Request) -> Reply:
        return Reply(answered(parse(request), {"Regoins": []}))

    for service, method in (("ec2", "describe_regions"), ("lambda", "list_functions")):
        with pytest.raises(KeyError, match="Regoins"):
            getattr(client(mistaken, service), method)()


# ---- garbage -------------------------------------------------------------------------------------

TARGET = {"x-amz-target": "Logs_20140328.DescribeLogGroups"}
TABLE = {"x-amz-target": "DynamoDB_20120810.BatchGetItem"}
FORM = {"content-type": "application/x-www-form-urlencoded"}
RPC = {"smithy-protocol": "rpc-v2-cbor"}


@pytest.mark.parametrize(
    ("scope", "method", "url", "headers", "body"),
    [
        ("logs", "POST", "/", TARGET, b"{not json"),
        ("logs", "POST", "/", TARGET, b"[]"),
        ("logs", "POST", "/", TARGET, b"\xff"),
        ("dynamodb", "POST", "/", TABLE, b'{"RequestItems": 7}'),
        ("dynamodb", "POST", "/", TABLE, b'{"RequestItems": {"a": {"Keys": [[]]}}}'),
        ("ec2", "POST", "/", FORM, b"Action=DescribeRegions&Version=2016-11-15&RegionName.x=1"),
        (
            "ec2",
            "POST",
            "/",
            FORM,
            b"Action=DescribeRegions&Version=2016-11-15&Filter=a&Filter.1=b",
        ),
        (
            "sns",
            "POST",
            "/",
            FORM,
            b"Action=Publish&Version=2010-03-31&MessageAttributes.entry.1=a",
        ),
        ("sns", "POST", "/", FORM, b"Action=Publish&Version=2010-03-31&MessageAttributes=a"),
        ("lambda", "GET", "/2015-03-31/functions?MaxItems=x", {}, b""),
        ("lambda", "POST", "/2015-03-31/functions", {}, b"{not json"),
        ("s3", "PUT", "/bucket", {}, b"<a><b/>"),
        ("s3", "PUT", "/bucket/key", {"content-encoding": "aws-chunked"}, b"5\r\nhello"),
        ("events", "POST", "/service/AWSEventsV2/operation/ListEventBuses", RPC, b"\xff\xff"),
    ],
)
def test_what_does_not_have_its_shape_is_refused(
    scope: str, method: str, url: str, headers: dict[str, str], body: bytes
) -> None:
    """Whatever the protocol, and nothing else is raised."""
    with pytest.raises(RefusedError, match="SerializationException"):
        parse(Request(method, url, headers | signed(scope), body))


@given(
    scope=st.sampled_from(["logs", "monitoring", "ec2", "s3", "lambda", "events", "nobody"]),
    method=st.sampled_from(["GET", "POST", "PUT", "HEAD", "BREW"]),
    url=st.text(max_size=30).map(lambda text: f"/{text}"),
    headers=st.dictionaries(
        st.sampled_from(["x-amz-target", "content-type", "content-encoding", "host"]),
        st.text(max_size=20),
    ),
    body=st.binary(max_size=60),
)
def test_whatever_comes_is_a_call_or_refused(
    scope: str, method: str, url: str, headers: dict[str, str], body: bytes
) -> None:
    """And a call that nobody knows can be refused in turn."""
    call = None
    with contextlib.suppress(RefusedError):
        call = parse(Request(method, url, headers | signed(scope), body))
    assert refused(call, RefusedError("Code", "said")).status == 400


def test_what_is_not_signed_is_refused() -> None:
    """In the words of AWS's common errors."""
    with pytest.raises(RefusedError, match="MissingAuthenticationToken"):
        parse(Request("POST", "/", TARGET, b"{}"))


# ---- times ---------------------------------------------------------------------------------------


def test_times_are_written_as_the_model_says() -> None:
    """In headers and bodies, as a number or as text; fractions of a second where there is room."""

    def written(scope: str, method: str, url: str, headers: dict[str, str], result: Any) -> Any:
        call = parse(Request(method, url, headers | signed(scope), b""))
        return answered(call, result)

    at = 1_795_597_200.25
    told = {"LastModified": at, "ObjectLockRetainUntilDate": at}
    head = written("s3", "HEAD", "/bucket/key", {}, told)
    assert head.headers["last-modified"] == "Wed, 25 Nov 2026 09:00:00 GMT"
    assert head.headers["x-amz-object-lock-retain-until-date"] == "2026-11-25T09:00:00.250000Z"
    listed = written("s3", "GET", "/", {}, {"Buckets": [{"CreationDate": at}]})
    assert b"<CreationDate>2026-11-25T09:00:00.250000Z</CreationDate>" in listed.body
    table = {"x-amz-target": "DynamoDB_20120810.DescribeTable"}
    described = written("dynamodb", "POST", "/", table, {"Table": {"CreationDateTime": at}})
    assert json.loads(described.body) == {"Table": {"CreationDateTime": at}}
