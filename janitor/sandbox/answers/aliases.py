"""IAM: what an account is called."""

from __future__ import annotations

from typing import Any

from janitor.sandbox.wire import Call
from janitor.sandbox.world import World


def list_account_aliases(world: World, call: Call) -> dict[str, Any]:
    """A list of one, or of none (IAM API reference)."""
    alias = world.store.aliases.get(call.account)
    return {"AccountAliases": [] if alias is None else [alias], "IsTruncated": False}
