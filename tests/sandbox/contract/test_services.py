"""S3, SNS, Systems Manager and Lambda: the same as moto's where moto can, else as AWS has it."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from janitor.sandbox.store import Bucket
from tests.sandbox.asking import ACCOUNT, NOW, OTHER, REGION, UNKNOWN, Still, ask, paged
from tests.sandbox.contract.backend import Backend

BUCKET = {"Bucket": "bucket"}
OBJECT = BUCKET | {"Key": "folder/ä b+c"}
NOWHERE = OBJECT | {"Bucket": "nowhere"}
MESSAGE = {
    "TopicArn": f"arn:aws:sns:{REGION}:{ACCOUNT}:runs",
    "Subject": "Over",
    "Message": "ä & b",
}
FUNCTION = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:"
PARAMETERS = {"/janitor/policy": "[defaults]\n", "plain": "ä"}


def ours(owner: str = ACCOUNT) -> Still:
    """An account with a bucket of its owner's, a topic and parameters."""
    account = Still()
    account.store.buckets["bucket"] = Bucket(owner, REGION, NOW)
    account.here.topics["runs"] = []
    account.here.parameters |= PARAMETERS
    return account


@pytest.fixture
def there(backend: Backend) -> Backend:
    """The same in moto's account, or that one."""
    if backend.kind == "ours":
        return Backend("ours", ours().session(), ACCOUNT)
    where = {"LocationConstraint": REGION}
    backend["s3"].create_bucket(**BUCKET, CreateBucketConfiguration=where)
    backend["sns"].create_topic(Name="runs")
    for name, value in PARAMETERS.items():
        backend["ssm"].put_parameter(Name=name, Value=value, Type="String")
    return backend


# ---- as moto -------------------------------------------------------------------------------------


def test_an_object_is_read_as_it_was_put(there: Backend) -> None:
    """Its bytes, ETag and type; nothing at all is an object too, of the usual type."""
    s3, body = there["s3"], bytes(range(256))
    etag = f'"{hashlib.md5(body).hexdigest()}"'
    assert s3.put_object(**OBJECT, Body=body, ContentType="text/x")["ETag"] == etag
    got = s3.get_object(**OBJECT)
    assert got["Body"].read() == body
    assert (got["ETag"], got["ContentType"], got["ContentLength"]) == (etag, "text/x", 256)
    s3.put_object(**OBJECT)
    got = s3.get_object(**OBJECT)
    assert (got["Body"].read(), got["ContentType"]) == (b"", "binary/octet-stream")


def test_an_object_is_put_once_or_in_place_of_the_one_that_was_read(there: Backend) -> None:
    """IfNoneMatch="*" never overwrites; IfMatch goes by the ETag, and there has to be one."""
    s3, late = there["s3"], "PreconditionFailed"
    assert ask(s3, "put_object", **OBJECT, Body=b"a", IfMatch='"0"') == "NoSuchKey"
    old = s3.put_object(**OBJECT, Body=b"old", IfNoneMatch="*")["ETag"]
    assert ask(s3, "put_object", **OBJECT, Body=b"a", IfNoneMatch="*") == late
    assert s3.get_object(**OBJECT)["Body"].read() == b"old"
    s3.put_object(**OBJECT, Body=b"new", IfMatch=old)
    assert ask(s3, "put_object", **OBJECT, Body=b"a", IfMatch=old) == late
    assert s3.get_object(**OBJECT)["Body"].read() == b"new"


def test_objects_come_in_pages_sorted_by_key(there: Backend) -> None:
    """Each once; under a prefix only those that begin with it."""
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


@pytest.mark.parametrize(("name", "value"), PARAMETERS.items())
def test_a_parameter_is_read(there: Backend, name: str, value: str) -> None:
    """By its name, with its ARN."""
    found = ask(
        there["ssm"], "get_parameter", "Parameter.[Name, Value, Type, Version, ARN]", Name=name
    )
    arn = f"arn:aws:ssm:{REGION}:{ACCOUNT}:parameter/{name.removeprefix('/')}"
    assert found == [name, value, "String", 1, arn]


def test_each_message_has_an_id(there: Backend) -> None:
    """Of its own."""
    assert len({there["sns"].publish(**MESSAGE)["MessageId"] for _ in range(3)}) == 3


def test_what_is_not_there_or_too_long_is_refused(there: Backend) -> None:
    """A key, a bucket, a parameter, a topic; a message, a subject."""
    for service, method, parameters, code in (
        ("s3", "get_object", OBJECT, "NoSuchKey"),
        ("s3", "get_object", NOWHERE, "NoSuchBucket"),
        ("s3", "put_object", NOWHERE | {"Body": b""}, "NoSuchBucket"),
        ("s3", "list_objects_v2", {"Bucket": "nowhere"}, "NoSuchBucket"),
        ("ssm", "get_parameter", {"Name": "/janitor/gone"}, "ParameterNotFound"),
        ("sns", "publish", MESSAGE | {"TopicArn": MESSAGE["TopicArn"] + "-gone"}, "NotFound"),
        ("sns", "publish", MESSAGE | {"Message": "x" * 262_145}, "InvalidParameter"),
        ("sns", "publish", MESSAGE | {"Subject": "x" * 101}, "InvalidParameter"),
    ):
        assert ask(there[service], method, **parameters) == code


# ---- what moto does otherwise --------------------------------------------------------------------


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
def test_what_nothing_here_heeds_is_refused(method: str, parameters: Any, code: str) -> None:
    """Rather than left out; by SNS's own rules for messages, subjects and topics."""
    usual = {"s3": OBJECT, "sns": MESSAGE}.get(method.partition(".")[0], {})
    account = ours()
    assert account.ask(method, **usual | parameters) == code
    assert (account.here.topics, account.world.invoked) == ({"runs": []}, [])


def test_the_bucket_of_another_account_is_denied() -> None:
    """To whoever asks."""
    assert ours(OTHER).ask("s3.put_object", **OBJECT) == "AccessDenied"


def test_time_is_told_in_whole_seconds() -> None:
    """As S3 does, in headers and in lists alike; a token belongs to its call."""
    account = ours()
    account.time.advance(1.999)
    account.ask("s3.put_object", **OBJECT, Body=b"a")
    told = account.ask("s3.get_object", "LastModified", **OBJECT)
    assert account.ask("s3.list_objects_v2", "Contents[].LastModified", **BUCKET) == [told]
    assert told.timestamp() * 1000 == NOW + 1000
    said = account.ask("s3.list_objects_v2", **BUCKET, ContinuationToken="x")
    assert said == "InvalidArgument"


def test_what_is_published_or_invoked_is_kept() -> None:
    """The message without its topic; an asynchronous invocation, after which nothing runs."""
    account = ours()
    account.ask("sns.publish", **MESSAGE)
    assert account.here.topics["runs"] == [{key: MESSAGE[key] for key in ("Subject", "Message")}]
    call = {"FunctionName": "f", "InvocationType": "Event", "Payload": b'{"a": 1}'}
    assert account.ask("lambda.invoke", "StatusCode", **call) == 202
    [invoked] = account.world.invoked
    assert (invoked["function"], invoked["payload"]) == ("f", b'{"a": 1}')


def test_functions_are_listed_in_pages_and_versions_where_they_are_asked_for() -> None:
    """With the log group that they have or the usual one; a version may have another (FACTS.md)."""
    account = Still()
    account.here.functions |= {f"f{number:02d}": None for number in range(60)} | {
        "custom": "/custom"
    }
    account.here.versions["custom"] = {"1": "/old", "2": None}

    def listed(**how: str) -> dict[str, str]:
        assert len(list(paged(account.client("lambda"), "list_functions", **how))) == 2
        query = "Functions[].[FunctionArn, LoggingConfig.LogGroup]"
        found = account.ask("lambda.list_functions", query, **how)
        assert len(dict(found)) == len(found)
        return {arn.removeprefix(FUNCTION): group for arn, group in found}

    latest, every = listed(), listed(FunctionVersion="ALL")
    assert (len(latest), len(every)) == (61, 63)
    assert (latest["custom"], latest["f59"]) == ("/custom", "/aws/lambda/f59")
    own = {name: group for name, group in every.items() if name.startswith("custom")}
    assert own == {
        "custom:$LATEST": "/custom",
        "custom:1": "/old",
        "custom:2": "/aws/lambda/custom",
    }
