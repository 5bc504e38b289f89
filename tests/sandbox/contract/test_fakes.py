"""Assertions that hold on moto and on the sandbox, but are not made on AWS, where they would take
long, concern the whole account or need other resources. At the end, where moto differs.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import Any

import pytest

from janitor.sandbox.store import Bucket
from tests.sandbox.asking import ACCOUNT, NOW, OTHER, REGION, UNKNOWN, Still, ask, paged
from tests.sandbox.contract.backend import Backend
from tests.sandbox.contract.test_everywhere import now, written

BUCKET = {"Bucket": "bucket"}
OBJECT = BUCKET | {"Key": "folder/ä b+c"}
NOWHERE = OBJECT | {"Bucket": "nowhere"}
TOPIC = f"arn:aws:sns:{REGION}:{ACCOUNT}:runs"
MESSAGE = {"TopicArn": TOPIC, "Subject": "Over", "Message": "ä & b"}
FUNCTION = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:"
PARAMETERS = {"/janitor/policy": "[defaults]\n", "plain": "ä"}


def ours(owner: str = ACCOUNT) -> Still:
    """An account with a topic, parameters, and a bucket of this owner's."""
    account = Still()
    account.store.buckets["bucket"] = Bucket(owner, REGION, NOW)
    account.here.topics["runs"] = []
    account.here.parameters |= PARAMETERS
    return account


def test_written_stream_shows_its_times(backend: Backend) -> None:
    """First and last event and the ingestion are shown; a stream never written shows none."""
    times = written(backend, "written")
    backend.do("create_log_stream", of="/a", logStreamName="never")
    query = "logStreams[].[firstEventTimestamp, lastEventTimestamp, lastIngestionTime]"
    never, shown = backend.ask("describe_log_streams", query, of="/a")
    assert never[1] is None
    assert shown[:2] == [times[0], times[-1]]
    assert abs(shown[2] - now()) < 60_000


def test_listing_after_the_next_group_is_deleted(backend: Backend) -> None:
    """moto's page token is the next group's name, and the listing ends silently if that is gone.
    AWS does not say what it does; by default the sandbox goes on.
    """
    backend.make("/0", "/1", "/2", "/3")
    asked = {"logGroupNamePrefix": backend.prefix, "limit": 2}
    first = backend["logs"].describe_log_groups(**asked)
    backend.do("delete_log_group", of="/2")
    left = backend.names(limit=2, nextToken=first["nextToken"])
    assert left == ([] if backend.kind == "moto" else ["/3"])


def test_tagging_api_lists_tagged_groups(backend: Backend) -> None:
    """By the ARN without `:*`, or all of them; groups without tags are left out."""
    backend.make("/tagged", tags={"team": "shop"})
    backend.make("/bare")
    arns = [backend.arn(name) for name in ("/tagged", "/bare", "/none")]
    tagging = backend["resourcegroupstaggingapi"]
    tags = [{"Key": "team", "Value": "shop"}]
    wanted = [{"ResourceARN": backend.arn("/tagged"), "Tags": tags}]
    for by in ({}, {"ResourceARNList": arns}):
        answer = tagging.get_resources(**by)
        assert answer["ResourceTagMappingList"] == wanted
        assert not answer.get("PaginationToken")


def test_subscription_filters_are_described_as_they_were_put(backend: Backend) -> None:
    """Name, pattern and destination are shown until they are deleted; a third one is refused, and a
    prefix limits the list, though not moto's.
    """
    # moto checks that the destination exists, and accepts a log group as one.
    backend.make("/a", "/to")
    put = [
        {"filterName": f"f{number}", "filterPattern": "", "destinationArn": backend.arn("/to")}
        for number in range(3)
    ]
    codes = [backend.ask("put_subscription_filter", of="/a", **one) for one in put]
    assert codes[2] == "LimitExceededException"
    described = "describe_subscription_filters", "subscriptionFilters"
    found = backend.ask(*described, of="/a")
    limited = backend.ask(*described, of="/a", filterNamePrefix="f1")
    assert limited == (found if backend.kind == "moto" else found[1:])
    for one, shown in zip(put[:2], found, strict=True):
        assert one.items() <= shown.items()
        backend.do("delete_subscription_filter", of="/a", filterName=one["filterName"])
    assert backend.ask(*described, of="/a") == []


def test_role_is_assumed_and_no_functions_are_an_empty_list(backend: Backend) -> None:
    """AssumeRole returns keys that expire later."""
    role = {"RoleArn": f"arn:aws:iam::{backend.account}:role/reader", "RoleSessionName": "test"}
    credentials = ask(backend["sts"], "assume_role", "Credentials", **role)
    assert credentials["AccessKeyId"].startswith("ASIA")
    assert credentials["Expiration"] > datetime.now(UTC)
    assert ask(backend["lambda"], "list_functions", "Functions") == []


# ---- S3, SNS and Systems Manager -----------------------------------------------------------------


@pytest.fixture
def there(backend: Backend) -> Backend:
    """`ours`, or the same in moto."""
    if backend.kind == "ours":
        return Backend("ours", ours().session(), ACCOUNT)
    where = {"LocationConstraint": REGION}
    backend["s3"].create_bucket(**BUCKET, CreateBucketConfiguration=where)
    backend["sns"].create_topic(Name="runs")
    for name, value in PARAMETERS.items():
        backend["ssm"].put_parameter(Name=name, Value=value, Type="String")
    return backend


def test_an_object_is_read_as_it_was_put(there: Backend) -> None:
    """Bytes, ETag and content type are kept; an empty object has the default type."""
    s3, body = there["s3"], bytes(range(256))
    etag = f'"{hashlib.md5(body).hexdigest()}"'
    assert s3.put_object(**OBJECT, Body=body, ContentType="text/x")["ETag"] == etag
    got = s3.get_object(**OBJECT)
    assert got["Body"].read() == body
    assert (got["ETag"], got["ContentType"], got["ContentLength"]) == (etag, "text/x", 256)
    s3.put_object(**OBJECT)
    got = s3.get_object(**OBJECT)
    assert (got["Body"].read(), got["ContentType"]) == (b"", "binary/octet-stream")


def test_conditional_writes(there: Backend) -> None:
    """IfNoneMatch="*" never overwrites; IfMatch only replaces the object with that ETag."""
    s3, late = there["s3"], "PreconditionFailed"
    assert ask(s3, "put_object", **OBJECT, Body=b"a", IfMatch='"0"') == "NoSuchKey"
    old = s3.put_object(**OBJECT, Body=b"old", IfNoneMatch="*")["ETag"]
    assert ask(s3, "put_object", **OBJECT, Body=b"a", IfNoneMatch="*") == late
    assert s3.get_object(**OBJECT)["Body"].read() == b"old"
    s3.put_object(**OBJECT, Body=b"new", IfMatch=old)
    assert ask(s3, "put_object", **OBJECT, Body=b"a", IfMatch=old) == late
    assert s3.get_object(**OBJECT)["Body"].read() == b"new"


def test_objects_come_in_pages_sorted_by_key(there: Backend) -> None:
    """Each object comes once; a prefix limits the list."""
    s3, keys = there["s3"], ["b", "B", "a/1", "a/2", "a/2/x", "a0", "ä", "z&<z>", "a b", "50%41+"]
    for key in keys:
        s3.put_object(**BUCKET, Key=key, Body=key.encode())
    for limit in (1, 4, 1000):
        found = list[str]()
        for page in paged(s3, "list_objects_v2", **BUCKET, MaxKeys=limit):
            assert page["KeyCount"] == len(page["Contents"]) <= limit
            assert page["IsTruncated"] == ("NextContinuationToken" in page)
            found += [entry["Key"] for entry in page["Contents"]]
        assert found == sorted(keys, key=str.encode)
    under = ask(s3, "list_objects_v2", "Contents[].[Key, Size, ETag]", **BUCKET, Prefix="a/")
    assert [one[:2] for one in under] == [["a/1", 3], ["a/2", 3], ["a/2/x", 5]]
    assert under[0][2] == f'"{hashlib.md5(b"a/1").hexdigest()}"'
    assert ask(s3, "list_objects_v2", "Contents", **BUCKET, Prefix="nothing") is None


def test_parameters_are_read_and_each_message_has_an_id(there: Backend) -> None:
    """A parameter is shown with its ARN."""
    for name, value in PARAMETERS.items():
        query = "Parameter.[Name, Value, Type, Version, ARN]"
        arn = f"arn:aws:ssm:{REGION}:{ACCOUNT}:parameter/{name.removeprefix('/')}"
        found = ask(there["ssm"], "get_parameter", query, Name=name)
        assert found == [name, value, "String", 1, arn]
    assert len({there["sns"].publish(**MESSAGE)["MessageId"] for _ in range(3)}) == 3


def test_what_is_missing_or_too_long_is_refused(there: Backend) -> None:
    """A missing key, bucket, parameter or topic; a message or a subject that is too long."""
    for service, method, parameters, code in (
        ("s3", "get_object", OBJECT, "NoSuchKey"),
        ("s3", "get_object", NOWHERE, "NoSuchBucket"),
        ("s3", "put_object", NOWHERE | {"Body": b""}, "NoSuchBucket"),
        ("s3", "list_objects_v2", {"Bucket": "nowhere"}, "NoSuchBucket"),
        ("ssm", "get_parameter", {"Name": "/janitor/gone"}, "ParameterNotFound"),
        ("sns", "publish", MESSAGE | {"TopicArn": f"{TOPIC}-gone"}, "NotFound"),
        ("sns", "publish", MESSAGE | {"Message": "x" * 262_145}, "InvalidParameter"),
        ("sns", "publish", MESSAGE | {"Subject": "x" * 101}, "InvalidParameter"),
    ):
        assert ask(there[service], method, **parameters) == code


# ---- where moto differs --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "parameters", "code"),
    [
        ("s3.put_object", {"StorageClass": "GLACIER"}, "NotImplemented"),
        ("s3.put_object", {"IfNoneMatch": '"etag"'}, "NotImplemented"),
        ("s3.get_object", {"Range": "bytes=0-1"}, "NotImplemented"),
        ("s3.get_object", {"VersionId": "1"}, "NotImplemented"),
        ("s3.delete_object", {}, UNKNOWN),
        ("sns.publish", {"Message": ""}, "InvalidParameter"),
        ("sns.publish", {"Subject": "two\nlines"}, "InvalidParameter"),
        ("sns.publish", {"Subject": "ümlaut"}, "InvalidParameter"),
        ("sns.publish", {"PhoneNumber": "+4911"}, "InvalidParameter"),
        ("sns.publish", {"TopicArn": f"arn:aws:sns:us-east-1:{ACCOUNT}:runs"}, "InvalidParameter"),
        ("lambda.invoke", {"FunctionName": "f"}, UNKNOWN),
    ],
)
def test_unsupported_and_invalid_parameters_are_refused(
    method: str, parameters: Any, code: str
) -> None:
    """Nothing is published or invoked; SNS has its own rules for messages, subjects and topics."""
    usual = {"s3": OBJECT, "sns": MESSAGE}.get(method.partition(".")[0], {})
    account = ours()
    assert account.ask(method, **usual | parameters) == code
    assert (account.here.topics, account.world.invoked) == ({"runs": []}, [])


def test_times_are_whole_seconds_and_another_accounts_bucket_is_denied() -> None:
    """S3 shows the same time in headers and in lists; a page token belongs to its call."""
    account = ours()
    account.time.advance(1.999)
    account.do("s3.put_object", **OBJECT, Body=b"a")
    shown = account.ask("s3.get_object", "LastModified", **OBJECT)
    assert account.ask("s3.list_objects_v2", "Contents[].LastModified", **BUCKET) == [shown]
    assert shown.timestamp() * 1000 == NOW + 1000
    codes = account.ask("s3.list_objects_v2", **BUCKET, ContinuationToken="x")
    assert codes == "InvalidArgument"
    assert ours(OTHER).ask("s3.put_object", **OBJECT) == "AccessDenied"


def test_published_messages_and_invocations_are_recorded() -> None:
    """A message is kept without its topic; an asynchronous invocation runs nothing."""
    account = ours()
    account.do("sns.publish", **MESSAGE)
    assert account.here.topics["runs"] == [{key: MESSAGE[key] for key in ("Subject", "Message")}]
    call = {"FunctionName": "f", "InvocationType": "Event", "Payload": b'{"a": 1}'}
    assert account.ask("lambda.invoke", "StatusCode", **call) == 202
    [invoked] = account.world.invoked
    assert (invoked["function"], invoked["payload"]) == ("f", b'{"a": 1}')


def test_functions_are_listed_in_pages_with_versions_if_asked_for() -> None:
    """With their own log group or the usual one; a version may have another."""
    account = Still()
    account.here.functions |= {f"f{number:02d}": None for number in range(60)}
    account.here.functions["custom"] = "/custom"
    account.here.versions["custom"] = {"1": "/old", "2": None}
    client = account.client("lambda")

    def listed(**how: Any) -> dict[str, str]:
        pages = [len(page["Functions"]) for page in paged(client, "list_functions", **how)]
        assert len(pages) == 2 or max(pages) == how["MaxItems"]
        query = "Functions[].[FunctionArn, LoggingConfig.LogGroup]"
        found = account.ask("lambda.list_functions", query, **how)
        assert len(dict(found)) == len(found)
        return {arn.removeprefix(FUNCTION): group for arn, group in found}

    latest, every = listed(), listed(FunctionVersion="ALL")
    assert listed(MaxItems=7) == latest
    assert (len(latest), len(every)) == (61, 63)
    assert (latest["custom"], latest["f59"]) == ("/custom", "/aws/lambda/f59")
    groups = {"$LATEST": "/custom", "1": "/old", "2": "/aws/lambda/custom"}
    own = {name: group for name, group in every.items() if name.startswith("custom")}
    assert own == {f"custom:{version}": group for version, group in groups.items()}
