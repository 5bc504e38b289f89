"""CloudWatch Logs: account-level policies of type RETENTION_POLICY (botocore 1.44.5)."""

from __future__ import annotations

import json
import math
import re
from typing import Any

from janitor.sandbox.answers.logs import RETENTION_DAYS
from janitor.sandbox.retention_policies import MOST_POLICIES, RetentionPolicy, Terms, ruling
from janitor.sandbox.store import Region
from janitor.sandbox.wire import Call, RefusedError
from janitor.sandbox.world import World, document, invalid, missing, unheeded

_TYPE = "RETENTION_POLICY"
_NEVER = "NEVER_EXPIRE"
_TOP = 20
_CRITERIA = re.compile(r"LogGroupNamePrefix IN (\[.*\])", re.DOTALL)
"""How index policies are scoped; the reference shows no form for retention policies."""


def describe_account_policies(world: World, call: Call) -> dict[str, Any]:
    if call.parameters["policyType"] != _TYPE:
        return {"accountPolicies": []}  # none of the other types is ever here
    wanted = call.parameters.get("policyName")
    policies = [one for one in world.region(call).policies if wanted in (None, one.name)]
    if wanted is not None and not policies:
        raise missing("account policy")
    shown = [_shown(one.name, one.terms, one.updated, call) for one in policies]
    return world.page_of(call, "accountPolicies", shown, ("limit", world.page))


def _shown(name: str, terms: Terms, updated: int, call: Call) -> dict[str, Any]:
    mode = "NEW_ONLY" if terms.new_only else "RETROACTIVE"
    content = {"retentionInDays": terms.days or _NEVER, "enforcementMode": mode}
    scope = f"LogGroupNamePrefix IN {json.dumps(list(terms.prefixes))}"
    return {
        "policyName": name,
        "policyDocument": json.dumps(content),
        "policyType": _TYPE,
        "scope": "ALL",
        **({} if "" in terms.prefixes else {"selectionCriteria": scope}),
        "lastUpdatedTime": updated,
        "accountId": call.account,
    }


def put_account_policy(world: World, call: Call) -> dict[str, Any]:
    region, policy = _there(world, call)
    now, name, terms = world.clock.now(), str(call.parameters["policyName"]), _terms(call)
    if name.startswith("aws/"):
        raise invalid("policyName cannot start with aws/")
    if policy is None and len(region.policies) >= MOST_POLICIES:
        raise RefusedError("LimitExceededException", "Resource limit exceeded.")
    put = RetentionPolicy(name, terms, created=now) if policy is None else policy
    if call.parameters.get("dryRun"):
        wanted = RetentionPolicy(name, terms, in_force=terms, created=put.created)
        return _previewed(world, call, policy, wanted)
    if policy is None:
        region.policies.append(put)
    put.terms, put.updated = terms, now
    return {"accountPolicy": _shown(name, terms, now, call)}


def delete_account_policy(world: World, call: Call) -> dict[str, Any]:
    region, policy = _there(world, call)
    if policy is None:
        raise missing("account policy")
    if call.parameters.get("dryRun"):
        return _previewed(world, call, policy, None)
    region.policed(world.clock.now(), lambda: region.policies.remove(policy))
    return {}


def _there(world: World, call: Call) -> tuple[Region, RetentionPolicy | None]:
    """The Region and the policy of the name in the call."""
    if call.parameters["policyType"] != _TYPE:
        raise unheeded("account policies other than RETENTION_POLICY")
    region, name = world.region(call), call.parameters["policyName"]
    return region, next((one for one in region.policies if one.name == name), None)


def _terms(call: Call) -> Terms:
    _, content = document(call)
    days, mode = content.get("retentionInDays"), content.get("enforcementMode")
    if days != _NEVER and (days not in RETENTION_DAYS or days < 30):
        raise invalid(f"retentionInDays: {days!r}")
    if mode not in ("NEW_ONLY", "RETROACTIVE"):
        raise invalid(f"enforcementMode: {mode!r}")
    criteria, prefixes = call.parameters.get("selectionCriteria"), [""]
    if criteria is not None:
        found = _CRITERIA.fullmatch(criteria)
        try:
            prefixes = json.loads(found[1]) if found else []
        except ValueError:
            prefixes = []
        if not prefixes or not all(isinstance(prefix, str) for prefix in prefixes):
            raise invalid(f"selectionCriteria: {criteria!r}")
    return Terms(None if days == _NEVER else days, tuple(prefixes), mode == "NEW_ONLY")


def _previewed(
    world: World, call: Call, policy: RetentionPolicy | None, wanted: RetentionPolicy | None
) -> dict[str, Any]:
    """A dry run's result: how the log groups in scope would change if the change were in force.
    Raises RefusedError while another dry run is in progress in the account.
    """
    if world.clock.now() < world.dry_run_until.get(call.account, 0):
        raise RefusedError(world.unknowns.dry_run_busy, "Another dry run is in progress.")
    region, scope = world.region(call), wanted or policy
    assert scope is not None, "a policy is put or deleted"
    after = [one for one in region.policies if one is not policy]
    if wanted is not None:  # in the place of the one before
        after.insert(region.policies.index(policy) if policy else len(after), wanted)
    changes, entries = [0, 0, 0], list[dict[str, Any]]()
    for group in region.after(""):
        # A policy for new log groups is taken to count existing ones as unchanged.
        if group.log_class == "DELIVERY" or not group.name.startswith(scope.terms.prefixes):
            continue
        _, then = ruling(after, group.name, group.created) or ("", group.own_days)
        before, new = group.days or math.inf, then or math.inf
        changes[(new > before) - (new < before)] += 1
        entries.append(
            {
                "logGroupName": group.name,
                "currentRetention": str(group.days or _NEVER),
                "proposedRetention": str(then or _NEVER),
                "storedBytes": group.stored_shown(world.clock.now(), world.store.lags.stored),
            }
        )
    entries.sort(key=lambda entry: -int(entry["storedBytes"]))
    unchanged, longer, shorter = changes
    result = {
        "totalMatchedLogGroups": len(entries),
        "increasedRetentionLogGroupCount": longer,
        "decreasedRetentionLogGroupCount": shorter,
        "unchangedRetentionLogGroupCount": unchanged,
        "failedAnalysisCount": 0,
        "topLogGroupsImpacted": entries[:_TOP],
    }
    return {"dryRunResult": result}
