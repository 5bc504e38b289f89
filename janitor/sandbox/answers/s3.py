"""S3: unversioned buckets. What a call asks for beyond this is refused with S3's NotImplemented.

A conditional write that another one overtakes is answered with 409 ConditionalRequestConflict (S3
API reference, PutObject); here calls are carried out one after the other, so an interceptor has to
answer so.
"""

from __future__ import annotations

import hashlib
from itertools import islice
from typing import Any
from urllib.parse import quote

from janitor.sandbox.store import Bucket, Object
from janitor.sandbox.wire import Call, RefusedError
from janitor.sandbox.world import Handler, World

_KEPT = ("ContentType", "ContentEncoding", "CacheControl", "ContentDisposition", "Metadata")
_CHECKED = ("ContentLength", "ContentMD5", "ChecksumAlgorithm", "ChecksumMode")
"""What is sent to make sure of the transfer, as are the checksums themselves."""


def create_bucket(world: World, call: Call) -> dict[str, Any]:
    name = _heeded(call, "CreateBucketConfiguration")
    wanted = (call.parameters.get("CreateBucketConfiguration") or {}).get("LocationConstraint")
    if (wanted or "us-east-1") != call.region:
        raise RefusedError(
            "IllegalLocationConstraintException",
            f"The {wanted or 'unspecified'} location constraint is incompatible for the region "
            "specific endpoint this request was sent to.",
        )
    if (there := world.store.buckets.get(name)) is not None:
        own = there.account == call.account
        code = "BucketAlreadyOwnedByYou" if own else "BucketAlreadyExists"
        raise RefusedError(code, "The requested bucket name is not available.", 409)
    world.store.buckets[name] = Bucket(call.account, call.region, world.clock.now())
    return {"Location": f"/{name}"}


def list_buckets(world: World, call: Call) -> dict[str, Any]:
    if call.parameters:
        raise _not_implemented(", ".join(call.parameters))
    own = [pair for pair in world.store.buckets.items() if pair[1].account == call.account]
    listed = [{"Name": name, "CreationDate": _time(there.created)} for name, there in sorted(own)]
    return {"Buckets": listed, "Owner": {"ID": call.account}}


def put_object(world: World, call: Call) -> dict[str, Any]:
    """Whole, or with IfNoneMatch="*" only as a new object, or with IfMatch only in place of the one
    with that ETag (S3 user guide, conditional writes).
    """
    p, bucket = call.parameters, _bucket(world, call, "Body", "IfNoneMatch", "IfMatch", *_KEPT)
    there = bucket.objects.get(p["Key"])
    if p.get("IfNoneMatch", "*") != "*":
        raise _not_implemented("If-None-Match other than *")
    if "IfNoneMatch" in p and there is not None:
        raise _failed("If-None-Match")
    if "IfMatch" in p:
        if there is None:
            raise _no_key(call)
        if p["IfMatch"].strip('"') != there.etag.strip('"'):
            raise _failed("If-Match")
    body = p.get("Body", b"")
    about = {"ContentType": "binary/octet-stream"} | {
        name: p[name] for name in _KEPT if p.get(name)
    }
    etag = f'"{hashlib.md5(body, usedforsecurity=False).hexdigest()}"'
    bucket.objects[p["Key"]] = Object(body, world.clock.now(), etag, about)
    return {"ETag": etag}


def get_object(world: World, call: Call) -> dict[str, Any]:
    return head_object(world, call) | {"Body": _object(world, call).body}


def head_object(world: World, call: Call) -> dict[str, Any]:
    there = _object(world, call)
    return {
        "ETag": there.etag,
        "LastModified": _time(there.changed),
        "ContentLength": len(there.body),
        **there.about,
    }


def delete_object(world: World, call: Call) -> dict[str, Any]:
    """What is not there counts as deleted."""
    _bucket(world, call).objects.pop(call.parameters["Key"], None)
    return {}


def list_objects_v2(world: World, call: Call) -> dict[str, Any]:
    p = call.parameters
    asked = ("Prefix", "Delimiter", "MaxKeys", "StartAfter", "ContinuationToken", "EncodingType")
    bucket = _bucket(world, call, *asked)
    prefix, delimiter = p.get("Prefix", ""), p.get("Delimiter", "")
    limit = min(p.get("MaxKeys", 1000), 1000)
    if limit < 0:
        raise RefusedError("InvalidArgument", "max-keys must not be negative")
    place = world.place("ListObjectsV2", p.get("ContinuationToken"), "", "InvalidArgument")
    entries: dict[str, str] = {}
    for key in sorted(bucket.objects):
        if key.startswith(prefix) and key > p.get("StartAfter", ""):
            rest, found, _ = key[len(prefix) :].partition(delimiter) if delimiter else (key, "", "")
            name = prefix + rest + found if found else key
            if name > place:
                entries.setdefault(name, "" if found else key)
    page = list(islice(entries, limit))

    def told(text: str) -> str:
        return quote(text) if p.get("EncodingType") == "url" else text

    contents = [
        {
            "Key": told(name),
            "LastModified": _time(bucket.objects[name].changed),
            "ETag": bucket.objects[name].etag,
            "Size": len(bucket.objects[name].body),
            "StorageClass": "STANDARD",
        }
        for name in page
        if entries[name]
    ]
    answer: dict[str, Any] = {
        "Name": p["Bucket"],
        "MaxKeys": limit,
        "KeyCount": len(page),
        "IsTruncated": 0 < len(page) < len(entries),
        "Contents": contents,
        "CommonPrefixes": [{"Prefix": told(name)} for name in page if not entries[name]],
    }
    answer |= {name: told(p.get(name, "")) for name in ("Prefix", "Delimiter", "StartAfter")}
    answer |= {name: p[name] for name in ("ContinuationToken", "EncodingType") if name in p}
    if answer["IsTruncated"]:
        answer["NextContinuationToken"] = world.token("ListObjectsV2", page[-1])
    return answer


def _bucket(world: World, call: Call, *heeded: str) -> Bucket:
    """The bucket of the call, which may have the parameters named. Raises RefusedError."""
    bucket = world.store.buckets.get(_heeded(call, "Key", *heeded))
    if bucket is None:
        raise RefusedError("NoSuchBucket", "The specified bucket does not exist", 404)
    if bucket.account != call.account:
        raise RefusedError("AccessDenied", "Access Denied", 403)
    return bucket


def _object(world: World, call: Call) -> Object:
    there = _bucket(world, call).objects.get(call.parameters["Key"])
    if there is None:
        raise _no_key(call)
    return there


def _heeded(call: Call, *heeded: str) -> str:
    """The bucket's name, if nothing else is asked for. Raises RefusedError."""
    known = {"Bucket", *heeded, *_CHECKED}
    left = [
        name
        for name, value in call.parameters.items()
        if name not in known and value and not name.startswith("Checksum")
    ]
    if left:
        raise _not_implemented(", ".join(left))
    return str(call.parameters["Bucket"])


def _not_implemented(what: str) -> RefusedError:
    said = f"A header you provided implies functionality that is not implemented: {what}"
    return RefusedError("NotImplemented", said, 501)


def _no_key(call: Call) -> RefusedError:
    return RefusedError("NoSuchKey", "The specified key does not exist.", 404)


def _failed(condition: str) -> RefusedError:
    said = f"At least one of the pre-conditions you specified did not hold: {condition}"
    return RefusedError("PreconditionFailed", said, 412)


def _time(at: int) -> int:
    """S3 tells whole seconds."""
    return at // 1000


CALLS: dict[tuple[str, str], Handler] = {
    ("s3", "CreateBucket"): create_bucket,
    ("s3", "ListBuckets"): list_buckets,
    ("s3", "PutObject"): put_object,
    ("s3", "GetObject"): get_object,
    ("s3", "HeadObject"): head_object,
    ("s3", "DeleteObject"): delete_object,
    ("s3", "ListObjectsV2"): list_objects_v2,
}
