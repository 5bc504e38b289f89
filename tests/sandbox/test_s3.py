"""Buckets: the same as moto's where moto can, and as the documentation has it else."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from io import BytesIO
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from moto import mock_aws

from janitor.sandbox.clocks import ManualClock
from janitor.sandbox.store import Bucket
from tests.sandbox.asking import ACCOUNT, NOW, OTHER, REGION, empty_store, refusal, still

ONCE = Config(retries={"total_max_attempts": 1, "mode": "standard"})
BUCKET = {"Bucket": "bucket"}
OBJECT = BUCKET | {"Key": "folder/ä b+c"}


@pytest.fixture(params=["moto", "sandbox", "http"])
def s3(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A client of moto's S3, and of ours: in process, and (with buckets in paths) over HTTP."""
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    sandbox = still()
    match request.param:
        case "moto":
            with mock_aws():
                yield boto3.Session("AKIA", "secret", region_name=REGION).client("s3", config=ONCE)
        case "sandbox":
            yield sandbox.client("s3")
        case _:
            with sandbox.serving() as url:
                session = boto3.Session(f"AKIA{ACCOUNT}", "secret", region_name=REGION)
                yield session.client("s3", endpoint_url=url, config=ONCE)


@pytest.fixture
def bucket(s3: Any) -> Any:
    """The client, once there is a bucket."""
    s3.create_bucket(**BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
    return s3


def failed(call: Any, **parameters: Any) -> tuple[str, int]:
    """Code and status of a refusal."""
    with pytest.raises(ClientError) as error:
        call(**parameters)
    answer = error.value.response
    return answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"]


def test_an_object_is_read_as_it_was_put(bucket: Any) -> None:
    """Its bytes, its ETag, its type and its own metadata; a head tells the same without bytes."""
    body = bytes(range(256))
    etag = f'"{hashlib.md5(body).hexdigest()}"'
    put = bucket.put_object(**OBJECT, Body=body, ContentType="text/x", Metadata={"run": "1"})
    assert put["ETag"] == etag
    got, head = bucket.get_object(**OBJECT), bucket.head_object(**OBJECT)
    assert got["Body"].read() == body
    for answer in (got, head):
        told = (answer["ETag"], answer["ContentType"], answer["ContentLength"], answer["Metadata"])
        assert told == (etag, "text/x", 256, {"run": "1"})
    assert got["LastModified"] == head["LastModified"]


def test_an_object_without_a_type_or_body_has_the_usual_ones(bucket: Any) -> None:
    """Nothing at all is an object too."""
    bucket.put_object(**OBJECT)
    got = bucket.get_object(**OBJECT)
    assert (got["Body"].read(), got["ContentType"]) == (b"", "binary/octet-stream")


def test_files_are_sent_as_they_are(bucket: Any) -> None:
    """Also in chunks with a checksum behind them."""
    body = b"line\r\n0\r\n" * 9999
    bucket.put_object(**OBJECT, Body=BytesIO(body), ChecksumAlgorithm="SHA256")
    assert bucket.get_object(**OBJECT)["Body"].read() == body
    bucket.upload_fileobj(BytesIO(body), "bucket", "other")
    assert bucket.get_object(**BUCKET, Key="other")["Body"].read() == body


def test_what_is_not_there_is_not_found(bucket: Any) -> None:
    """A key, by code or (a head has no body) by status; and a bucket."""
    assert failed(bucket.get_object, **OBJECT) == ("NoSuchKey", 404)
    assert failed(bucket.head_object, **OBJECT) == ("404", 404)
    nowhere = OBJECT | {"Bucket": "nowhere"}
    assert failed(bucket.get_object, **nowhere) == ("NoSuchBucket", 404)
    assert failed(bucket.put_object, **nowhere, Body=b"") == ("NoSuchBucket", 404)
    assert failed(bucket.list_objects_v2, Bucket="nowhere") == ("NoSuchBucket", 404)


def test_what_is_deleted_is_gone(bucket: Any) -> None:
    """And may be deleted once more."""
    bucket.put_object(**OBJECT, Body=b"a")
    for _ in range(2):
        answer = bucket.delete_object(**OBJECT)
        assert answer["ResponseMetadata"]["HTTPStatusCode"] == 204
    assert failed(bucket.get_object, **OBJECT) == ("NoSuchKey", 404)
    assert bucket.list_objects_v2(**BUCKET)["KeyCount"] == 0


def test_a_new_object_is_put_once(bucket: Any) -> None:
    """IfNoneMatch="*" never overwrites."""
    bucket.put_object(**OBJECT, Body=b"first", IfNoneMatch="*")
    again = failed(bucket.put_object, **OBJECT, Body=b"second", IfNoneMatch="*")
    assert again == ("PreconditionFailed", 412)
    assert bucket.get_object(**OBJECT)["Body"].read() == b"first"
    bucket.delete_object(**OBJECT)
    bucket.put_object(**OBJECT, Body=b"third", IfNoneMatch="*")


def test_an_object_is_replaced_if_it_is_the_one_that_was_read(bucket: Any) -> None:
    """IfMatch goes by the ETag; there has to be one."""
    missing = failed(bucket.put_object, **OBJECT, Body=b"a", IfMatch='"0"')
    assert missing == ("NoSuchKey", 404)
    old = bucket.put_object(**OBJECT, Body=b"old")["ETag"]
    new = bucket.put_object(**OBJECT, Body=b"new", IfMatch=old)["ETag"]
    late = failed(bucket.put_object, **OBJECT, Body=b"late", IfMatch=old)
    assert late == ("PreconditionFailed", 412)
    assert bucket.get_object(**OBJECT)["Body"].read() == b"new"
    bucket.put_object(**OBJECT, Body=b"newest", IfMatch=new)


def test_objects_come_in_pages_sorted_by_key(bucket: Any) -> None:
    """Each once; under a prefix only those that begin with it."""
    keys = ["b", "B", "a/1", "a/2", "a/2/x", "a0", "ä", "z&<z>", "a b", "50%41+"]
    for key in keys:
        bucket.put_object(**BUCKET, Key=key, Body=key.encode())
    ordered = sorted(keys, key=str.encode)
    for limit in (1, 2, 4, 1000):
        found, token = list[str](), dict[str, str]()
        while True:
            page = bucket.list_objects_v2(**BUCKET, MaxKeys=limit, **token)
            assert page["KeyCount"] == len(page["Contents"]) <= limit
            found += [entry["Key"] for entry in page["Contents"]]
            if not page["IsTruncated"]:
                break
            token = {"ContinuationToken": page["NextContinuationToken"]}
        assert found == ordered
    under = bucket.list_objects_v2(**BUCKET, Prefix="a/")["Contents"]
    assert [(entry["Key"], entry["Size"]) for entry in under] == [
        ("a/1", 3),
        ("a/2", 3),
        ("a/2/x", 5),
    ]
    assert {entry["ETag"] for entry in under[:1]} == {f'"{hashlib.md5(b"a/1").hexdigest()}"'}
    behind = bucket.list_objects_v2(**BUCKET, StartAfter="b")["Contents"]
    assert [entry["Key"] for entry in behind] == ["z&<z>", "ä"]
    assert "Contents" not in bucket.list_objects_v2(**BUCKET, Prefix="nothing")


def test_keys_are_folded_into_folders(bucket: Any) -> None:
    """As `aws s3 ls` asks for them; a folder is listed once, whatever the page."""
    for key in ("a/1", "a/2", "b", "c/d/e", "c/f"):
        bucket.put_object(**BUCKET, Key=key, Body=b"")
    found = bucket.list_objects_v2(**BUCKET, Delimiter="/")
    assert [entry["Prefix"] for entry in found["CommonPrefixes"]] == ["a/", "c/"]
    assert [entry["Key"] for entry in found["Contents"]] == ["b"]
    inner = bucket.list_objects_v2(**BUCKET, Delimiter="/", Prefix="c/")
    assert [entry["Prefix"] for entry in inner["CommonPrefixes"]] == ["c/d/"]
    assert [entry["Key"] for entry in inner["Contents"]] == ["c/f"]
    paged = bucket.get_paginator("list_objects_v2").paginate(
        **BUCKET, Delimiter="/", PaginationConfig={"PageSize": 1}
    )
    listed = [entry["Prefix"] for page in paged for entry in page.get("CommonPrefixes", [])]
    assert listed == ["a/", "c/"]


def test_buckets_are_made_once_and_listed(bucket: Any) -> None:
    """In the Region that is named."""
    assert [entry["Name"] for entry in bucket.list_buckets()["Buckets"]] == ["bucket"]
    there = {"CreateBucketConfiguration": {"LocationConstraint": REGION}}
    again = failed(bucket.create_bucket, **BUCKET, **there)
    assert again == ("BucketAlreadyOwnedByYou", 409)
    elsewhere = failed(bucket.create_bucket, Bucket="other-bucket")
    assert elsewhere == ("IllegalLocationConstraintException", 400)


# ---- what moto does otherwise --------------------------------------------------------------------


def test_a_wrong_token_is_refused() -> None:
    """Tokens belong to their call."""
    s3 = with_bucket().client("s3")
    assert refusal(s3, "list_objects_v2", **BUCKET, ContinuationToken="x") == "InvalidArgument"


def test_the_bucket_of_another_account_is_denied() -> None:
    """Though its name is taken for all."""
    store = empty_store()
    store.region(OTHER, REGION)
    store.buckets["bucket"] = Bucket(OTHER, REGION, NOW)
    s3 = still(store).client("s3")
    assert refusal(s3, "put_object", **OBJECT) == "AccessDenied"
    there = {"CreateBucketConfiguration": {"LocationConstraint": REGION}}
    assert refusal(s3, "create_bucket", **BUCKET, **there) == "BucketAlreadyExists"
    assert s3.list_buckets()["Buckets"] == []


@pytest.mark.parametrize(
    ("method", "parameters"),
    [
        ("put_object", {"StorageClass": "GLACIER"}),
        ("put_object", {"IfNoneMatch": '"etag"'}),
        ("get_object", {"Range": "bytes=0-1"}),
        ("get_object", {"VersionId": "1"}),
        ("delete_object", {"IfMatch": '"etag"'}),
    ],
)
def test_what_nothing_here_heeds_is_refused(method: str, parameters: dict[str, Any]) -> None:
    """Rather than left out."""
    s3 = with_bucket().client("s3")
    s3.put_object(**OBJECT, Body=b"a")
    assert refusal(s3, method, **OBJECT, **parameters) == "NotImplemented"
    assert refusal(s3, "create_multipart_upload", **OBJECT) == "UnknownOperationException"


def test_time_is_told_in_whole_seconds() -> None:
    """As S3 does, in headers and in lists alike."""
    clock = ManualClock()
    clock.advance(1.999)
    sandbox = with_bucket(clock=clock)
    s3 = sandbox.client("s3")
    s3.put_object(**OBJECT, Body=b"a")
    [listed] = s3.list_objects_v2(**BUCKET)["Contents"]
    told = s3.head_object(**OBJECT)["LastModified"]
    assert listed["LastModified"] == told
    assert told.timestamp() * 1000 == NOW + 1000


def with_bucket(**options: Any) -> Any:
    store = empty_store()
    store.buckets["bucket"] = Bucket(ACCOUNT, REGION, NOW)
    return still(store, **options)
