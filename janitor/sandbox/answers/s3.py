"""S3: unversioned buckets. Parameters beyond those supported are refused with NotImplemented.

A conditional write that another one overtakes is answered with 409 ConditionalRequestConflict (S3
API reference, PutObject). Calls here never overlap, so tests produce that with an interceptor.
"""

from __future__ import annotations

import hashlib
from typing import Any
from urllib.parse import quote

from janitor.sandbox.store import Bucket, Object
from janitor.sandbox.wire import Call, RefusedError
from janitor.sandbox.world import World

_CHECKED = ("ContentLength", "ContentMD5", "ChecksumAlgorithm", "ChecksumMode")
"""Parameters that protect the transfer, as the checksums themselves do."""


def put_object(world: World, call: Call) -> dict[str, Any]:
    """With IfNoneMatch="*" only a new object is put, with IfMatch only in place of the object with
    that ETag (S3 user guide, conditional writes).
    """
    p = call.parameters
    bucket = _bucket(world, call, "Body", "IfNoneMatch", "IfMatch", "ContentType")
    current = bucket.objects.get(p["Key"])
    if p.get("IfNoneMatch", "*") != "*":
        raise _refused("NotImplemented", "If-None-Match other than *")
    if "IfNoneMatch" in p and current is not None:
        raise _refused("PreconditionFailed", "If-None-Match")
    if "IfMatch" in p:
        if current is None:
            raise _refused("NoSuchKey")
        if p["IfMatch"].strip('"') != current.etag.strip('"'):
            raise _refused("PreconditionFailed", "If-Match")
    body = p.get("Body", b"")
    kind = p.get("ContentType") or "binary/octet-stream"
    etag = f'"{hashlib.md5(body, usedforsecurity=False).hexdigest()}"'
    bucket.objects[p["Key"]] = Object(body, world.clock.now(), etag, kind)
    return {"ETag": etag}


def get_object(world: World, call: Call) -> dict[str, Any]:
    current = _bucket(world, call).objects.get(call.parameters["Key"])
    if current is None:
        raise _refused("NoSuchKey")
    return {
        "Body": current.body,
        "ETag": current.etag,
        "LastModified": current.changed // 1000,
        "ContentLength": len(current.body),
        "ContentType": current.kind,
    }


def list_objects_v2(world: World, call: Call) -> dict[str, Any]:
    p = call.parameters
    bucket = _bucket(world, call, "Prefix", "MaxKeys", "ContinuationToken", "EncodingType")
    prefix, limit = p.get("Prefix", ""), min(p.get("MaxKeys", 1000), 1000)
    place = world.place("ListObjectsV2", p.get("ContinuationToken"), "", "InvalidArgument")
    keys = sorted(key for key in bucket.objects if key.startswith(prefix) and key > place)
    page, more = keys[:limit], len(keys) > limit
    encoded = quote if p.get("EncodingType") == "url" else str
    contents = [
        {
            "Key": encoded(key),
            "LastModified": bucket.objects[key].changed // 1000,
            "ETag": bucket.objects[key].etag,
            "Size": len(bucket.objects[key].body),
            "StorageClass": "STANDARD",
        }
        for key in page
    ]
    answer = {"Name": p["Bucket"], "Prefix": encoded(prefix), "MaxKeys": limit}
    answer |= {"KeyCount": len(page), "IsTruncated": more, "Contents": contents}
    answer |= {name: p[name] for name in ("ContinuationToken", "EncodingType") if name in p}
    if more:
        answer["NextContinuationToken"] = world.token("ListObjectsV2", page[-1])
    return answer


def _bucket(world: World, call: Call, *supported: str) -> Bucket:
    """The call's bucket. Raises RefusedError, also for parameters that are not supported."""
    known = {"Bucket", "Key", *supported, *_CHECKED}
    left = [
        name
        for name, value in call.parameters.items()
        if name not in known and value and not name.startswith("Checksum")
    ]
    if left:
        raise _refused("NotImplemented", ", ".join(left))
    bucket = world.store.buckets.get(call.parameters["Bucket"])
    if bucket is None:
        raise _refused("NoSuchBucket")
    if bucket.account != call.account:
        raise _refused("AccessDenied")
    return bucket


_REFUSALS = {
    "AccessDenied": (403, "Access Denied"),
    "NoSuchBucket": (404, "The specified bucket does not exist"),
    "NoSuchKey": (404, "The specified key does not exist."),
    "NotImplemented": (501, "A header you provided implies functionality that is not implemented"),
    "PreconditionFailed": (412, "At least one of the pre-conditions you specified did not hold"),
}


def _refused(code: str, what: str = "") -> RefusedError:
    status, message = _REFUSALS[code]
    return RefusedError(code, f"{message}: {what}" if what else message, status)
