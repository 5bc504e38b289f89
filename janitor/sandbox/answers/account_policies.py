"""CloudWatch Logs: account-level policies of type RETENTION_POLICY (botocore 1.44.5)."""

from __future__ import annotations

import json
import re
from typing import Any

from janitor.sandbox.answers.logs import RETENTION_DAYS
from janitor.sandbox.retention_policies import MOST_POLICIES, RetentionPolicy, Terms
from janitor.sandbox.wire import Call, RefusedError
from janitor.sandbox.world import World, document, invalid

_TYPE = "RETENTION_POLICY"
_NEVER = "NEVER_EXPIRE"
_CRITERIA = re.compile(r"LogGroupNamePrefix IN (\[.*\])", re.DOTALL)
"""The form in which index policies are scoped; the reference shows none for retention policies."""


def put_account_policy(world: World, call: Call) -> dict[str, Any]:
    p, region, now = call.parameters, world.region(call), world.clock.now()
    _only_retention(call)
    name, terms = str(p["policyName"]), _terms(call)
    if name.startswith("aws/"):
        raise invalid("policyName cannot start with aws/")
    policy = next((one for one in region.policies if one.name == name), None)
    if policy is None and len(region.policies) >= MOST_POLICIES:
        raise RefusedError("LimitExceededException", "Resource limit exceeded.")
    put = RetentionPolicy(name, terms, created=now) if policy is None else policy
    if policy is None:
        region.policies.append(put)
    put.terms, put.updated = terms, now
    said = {key: p[key] for key in ("policyName", "policyType", "policyDocument")}
    return {"accountPolicy": said | {"lastUpdatedTime": now, "accountId": call.account}}


def _only_retention(call: Call) -> None:
    if call.parameters["policyType"] != _TYPE:
        raise RefusedError("UnknownOperationException", "only RETENTION_POLICY is heeded here")


def _terms(call: Call) -> Terms:
    _, said = document(call)
    days, mode = said.get("retentionInDays"), said.get("enforcementMode")
    if days != _NEVER and (days not in RETENTION_DAYS or days < 30):
        raise invalid(f"retentionInDays: {days!r}")
    if mode not in ("NEW_ONLY", "RETROACTIVE"):
        raise invalid(f"enforcementMode: {mode!r}")
    criteria = call.parameters.get("selectionCriteria")
    prefixes: Any = [""]
    if criteria is not None:
        found = _CRITERIA.fullmatch(criteria)
        try:
            prefixes = json.loads(found[1]) if found else None
        except ValueError:
            prefixes = None
        if not prefixes or not all(isinstance(prefix, str) for prefix in prefixes):
            raise invalid(f"selectionCriteria: {criteria!r}")
    return Terms(None if days == _NEVER else days, tuple(prefixes), mode == "NEW_ONLY")


def delete_account_policy(world: World, call: Call) -> dict[str, Any]:
    _only_retention(call)
    region, name = world.region(call), call.parameters["policyName"]
    policy = next((one for one in region.policies if one.name == name), None)
    if policy is None:
        raise RefusedError("ResourceNotFoundException", f"no policy named {name}")
    region.policed(world.clock.now(), lambda: region.policies.remove(policy))
    return {}
