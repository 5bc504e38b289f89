"""Objects: the same as moto's where moto can, and as the documentation has it else."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from janitor.sandbox.clocks import ManualClock
from janitor.sandbox.store import Bucket
from tests.sandbox.asking import ACCOUNT, NOW, OTHER, REGION, empty_store, refusal, still
from tests.sandbox.conftest import Either

BUCKET = {"Bucket": "bucket"}
OBJECT = BUCKET | {"Key": "folder/ä b+c"}


def with_bucket(account: str = ACCOUNT, **options: Any) -> Any:
    """A client of a sandbox with a bucket of that account."""
    store = empty_store()
    store.buckets["bucket"] = Bucket(account, REGION, NOW)
    return still(store, **options).client("s3")


@pytest.fixture
def bucket(either: Either) -> Any:
    """A client of moto's S3, and of ours; there is one bucket."""
    session, store = either
    s3 = session.client("s3")
    if store is None:
        s3.create_bucket(**BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
    else:
        store.buckets["bucket"] = Bucket(ACCOUNT, REGION, NOW)
    return s3


def test_an_object_is_read_as_it_was_put(bucket: Any) -> None:
    """Its bytes, ETag and type; nothing at all is an object too, of the usual type."""
    body = bytes(range(256))
    etag = f'"{hashlib.md5(body).hexdigest()}"'
    assert bucket.put_object(**OBJECT, Body=body, ContentType="text/x")["ETag"] == etag
    got = bucket.get_object(**OBJECT)
    assert got["Body"].read() == body
    assert (got["ETag"], got["ContentType"], got["ContentLength"]) == (etag, "text/x", 256)
    bucket.put_object(**OBJECT)
    got = bucket.get_object(**OBJECT)
    assert (got["Body"].read(), got["ContentType"]) == (b"", "binary/octet-stream")


def test_what_is_not_there_is_not_found(bucket: Any) -> None:
    """A key, and a bucket."""
    assert refusal(bucket, "get_object", **OBJECT) == "NoSuchKey"
    nowhere = OBJECT | {"Bucket": "nowhere"}
    assert refusal(bucket, "get_object", **nowhere) == "NoSuchBucket"
    assert refusal(bucket, "put_object", **nowhere, Body=b"") == "NoSuchBucket"
    assert refusal(bucket, "list_objects_v2", Bucket="nowhere") == "NoSuchBucket"


def test_a_new_object_is_put_once(bucket: Any) -> None:
    """IfNoneMatch="*" never overwrites."""
    bucket.put_object(**OBJECT, Body=b"first", IfNoneMatch="*")
    again = refusal(bucket, "put_object", **OBJECT, Body=b"second", IfNoneMatch="*")
    assert again == "PreconditionFailed"
    assert bucket.get_object(**OBJECT)["Body"].read() == b"first"


def test_an_object_is_replaced_if_it_is_the_one_that_was_read(bucket: Any) -> None:
    """IfMatch goes by the ETag; there has to be one."""
    missing = refusal(bucket, "put_object", **OBJECT, Body=b"a", IfMatch='"0"')
    assert missing == "NoSuchKey"
    old = bucket.put_object(**OBJECT, Body=b"old")["ETag"]
    bucket.put_object(**OBJECT, Body=b"new", IfMatch=old)
    late = refusal(bucket, "put_object", **OBJECT, Body=b"late", IfMatch=old)
    assert late == "PreconditionFailed"
    assert bucket.get_object(**OBJECT)["Body"].read() == b"new"


def test_objects_come_in_pages_sorted_by_key(bucket: Any) -> None:
    """Each once; under a prefix only those that begin with it."""
    keys = ["b", "B", "a/1", "a/2", "a/2/x", "a0", "ä", "z&<z>", "a b", "50%41+"]
    for key in keys:
        bucket.put_object(**BUCKET, Key=key, Body=key.encode())
    for limit in (1, 4, 1000):
        found, token = list[str](), dict[str, str]()
        while True:
            page = bucket.list_objects_v2(**BUCKET, MaxKeys=limit, **token)
            assert page["KeyCount"] == len(page["Contents"]) <= limit
            found += [entry["Key"] for entry in page["Contents"]]
            if not page["IsTruncated"]:
                break
            token = {"ContinuationToken": page["NextContinuationToken"]}
        assert found == sorted(keys, key=str.encode)
    under = bucket.list_objects_v2(**BUCKET, Prefix="a/")["Contents"]
    sizes = [(entry["Key"], entry["Size"]) for entry in under]
    assert sizes == [("a/1", 3), ("a/2", 3), ("a/2/x", 5)]
    assert under[0]["ETag"] == f'"{hashlib.md5(b"a/1").hexdigest()}"'
    assert "Contents" not in bucket.list_objects_v2(**BUCKET, Prefix="nothing")


# ---- what moto does otherwise --------------------------------------------------------------------


def test_the_bucket_of_another_account_is_denied() -> None:
    """To whoever asks."""
    assert refusal(with_bucket(OTHER), "put_object", **OBJECT) == "AccessDenied"


@pytest.mark.parametrize(
    ("method", "parameters", "code"),
    [
        ("put_object", {"StorageClass": "GLACIER"}, "NotImplemented"),
        ("put_object", {"IfNoneMatch": '"etag"'}, "NotImplemented"),
        ("get_object", {"Range": "bytes=0-1"}, "NotImplemented"),
        ("get_object", {"VersionId": "1"}, "NotImplemented"),
        ("delete_object", {}, "UnknownOperationException"),
    ],
)
def test_what_nothing_here_heeds_is_refused(
    method: str, parameters: dict[str, Any], code: str
) -> None:
    """Rather than left out."""
    assert refusal(with_bucket(), method, **OBJECT, **parameters) == code


def test_time_is_told_in_whole_seconds() -> None:
    """As S3 does, in headers and in lists alike; a token belongs to its call."""
    clock = ManualClock()
    clock.advance(1.999)
    s3 = with_bucket(clock=clock)
    s3.put_object(**OBJECT, Body=b"a")
    [listed] = s3.list_objects_v2(**BUCKET)["Contents"]
    told = s3.get_object(**OBJECT)["LastModified"]
    assert listed["LastModified"] == told
    assert told.timestamp() * 1000 == NOW + 1000
    assert refusal(s3, "list_objects_v2", **BUCKET, ContinuationToken="x") == "InvalidArgument"
