"""STS: who the caller is, and the roles it may assume."""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Any

from janitor.sandbox.organization import ID
from janitor.sandbox.wire import Call, RefusedError
from janitor.sandbox.world import Key, World


def get_caller_identity(world: World, call: Call) -> dict[str, Any]:
    key = world.keys[call.key]
    arn = _user(call) if key.role is None else _session(key.role, key.session)
    return {"Arn": arn, "UserId": call.key, "Account": call.account}


def assume_role(world: World, call: Call) -> dict[str, Any]:
    """Keys of the role, if its trust policy admits the caller; in a store without roles, anybody
    may assume any. A missing external ID is refused in the same words as anything else
    (aws/aws-msk-iam-auth issue 108); one that the policy does not ask for does no harm
    (aws/aws-sdk-js issue 3869).
    """
    p, store, caller = call.parameters, world.store, world.keys[call.key]
    role, session = str(p["RoleArn"]), str(p["RoleSessionName"])
    account = role.split(":")[4]
    # For a role's session, aws:PrincipalArn is the role. aws:PrincipalOrgID exists only if the
    # caller's account is in an organization (IAM User Guide, "Global condition keys").
    context = {"aws:PrincipalArn": caller.role or _user(call)}
    if (organization := store.organization) is not None and call.account in organization.members:
        context["aws:PrincipalOrgID"] = ID
    if "ExternalId" in p:
        context["sts:ExternalId"] = str(p["ExternalId"])
    policy = store.roles.get(role)
    trusted = not store.roles if policy is None else _trusts(policy, call.account, context)
    if account not in store.accounts or not trusted:
        user = get_caller_identity(world, call)["Arn"]
        message = f"User: {user} is not authorized to perform: sts:AssumeRole on resource: {role}"
        raise RefusedError("AccessDenied", message, 403)
    until = world.clock.now() + 3_600_000
    key = f"ASIA{account}{len(world.keys)}"
    world.keys[key] = Key(account, until, role, session)
    secrets = {"SecretAccessKey": "secret", "SessionToken": "session"}
    return {
        "Credentials": {"AccessKeyId": key, "Expiration": until // 1000} | secrets,
        "AssumedRoleUser": {"AssumedRoleId": f"AROA:{session}", "Arn": _session(role, session)},
    }


def _user(call: Call) -> str:
    return f"arn:aws:iam::{call.account}:user/somebody"


def _session(role: str, session: str) -> str:
    """The ARN of a role's session, which leaves out the role's path."""
    account, name = role.split(":")[4], role.rsplit("/", 1)[-1]
    return f"arn:aws:sts::{account}:assumed-role/{name}/{session}"


def _trusts(policy: Mapping[str, Any], account: str, context: Mapping[str, str]) -> bool:
    """Whether the trust policy admits a caller of `account`. `context` has the values of condition
    keys; one that is absent matches nothing (IAM User Guide, "Condition operators").

    Raises LookupError on an effect, a principal or an operator that is not supported here.
    """
    return any(
        _EFFECTS[one["Effect"]]
        and one["Action"] == "sts:AssumeRole"
        and one["Principal"]["AWS"].split(":")[4] == account
        and all(
            key in context and _OPERATORS[operator](wanted, context[key])
            for operator, keys in one.get("Condition", {}).items()
            for key, wanted in keys.items()
        )
        for one in policy["Statement"]
    )


def _arn_equals(wanted: str, arn: str) -> bool:
    """Part by part, with wildcards in each (same guide, "ARN condition operators")."""
    parts, patterns = arn.split(":", 5), wanted.split(":", 5)
    return len(parts) == len(patterns) and all(map(fnmatchcase, parts, patterns))


_EFFECTS = {"Allow": True}
_OPERATORS = {"StringEquals": str.__eq__, "ArnEquals": _arn_equals}
