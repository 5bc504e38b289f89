"""How IAM evaluates policy documents."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from moto.iam.access_control import IAMPolicy, PermissionResult


def allowed(documents: Iterable[Mapping[str, Any]], action: str, resource: str) -> bool:
    """Return IAM's decision for a role with these policies, and assert that moto agrees.

    A Deny wins, and without an Allow nothing is allowed.
    """
    effects, others = set(), set()
    for document in documents:
        effects |= {
            statement["Effect"]
            for statement in document["Statement"]
            if _matches(statement["Action"], action.lower(), lower=True)
            and _matches(statement["Resource"], resource)
        }
        policy = IAMPolicy({"policy_document": json.dumps(document)})
        others.add(policy.is_action_permitted(action, resource))
    decision = effects == {"Allow"}
    assert decision is (others - {PermissionResult.NEUTRAL} == {PermissionResult.PERMITTED})
    return decision


def _matches(patterns: str | list[str], text: str, *, lower: bool = False) -> bool:
    each = [patterns] if isinstance(patterns, str) else patterns
    return any(_glob(pattern.lower() if lower else pattern, text) for pattern in each)


def _glob(pattern: str, text: str) -> bool:
    regex = re.escape(pattern).replace(r"\*", ".*").replace(r"\?", ".")
    return re.fullmatch(regex, text, re.DOTALL) is not None
