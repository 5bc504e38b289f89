"""SNS: what is published stays in the store, with its topic."""

from __future__ import annotations

import re
import uuid
from typing import Any

from janitor.sandbox.wire import Call, RefusedError
from janitor.sandbox.world import World

_LONGEST = 262_144
_SUBJECT = re.compile(r"[!-~][ -~]{0,99}")
"""Of a subject: ASCII, at most 100 characters, none of them a line break or a control character,
the first no space (SNS API reference, Publish)."""


def publish(world: World, call: Call) -> dict[str, Any]:
    p = call.parameters
    if left := p.keys() - {"TopicArn", "Subject", "Message", "MessageAttributes"}:
        raise RefusedError("InvalidParameter", f"Invalid parameter: {', '.join(sorted(left))}")
    if not p.get("Message"):
        raise RefusedError("InvalidParameter", "Invalid parameter: Empty message")
    if len(p["Message"].encode()) > _LONGEST:
        raise RefusedError("InvalidParameter", "Invalid parameter: Message too long")
    if "Subject" in p and not _SUBJECT.fullmatch(p["Subject"]):
        raise RefusedError("InvalidParameter", "Invalid parameter: Subject")
    _, _, _, region, account, name, *_ = f"{p.get('TopicArn', '')}::::::".split(":")
    if (account, region) != (call.account, call.region):
        raise RefusedError("InvalidParameter", "Invalid parameter: TopicArn")
    published = world.region(call).topics.get(name)
    if published is None:
        raise RefusedError("NotFound", "Topic does not exist", 404)
    published.append({key: value for key, value in p.items() if key != "TopicArn"})
    return {"MessageId": str(uuid.UUID(int=len(published)))}
