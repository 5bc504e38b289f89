"""STS: who is asking, and as whom."""

from __future__ import annotations

from typing import Any

from janitor.sandbox.wire import Call, RefusedError
from janitor.sandbox.world import Key, World


def get_caller_identity(world: World, call: Call) -> dict[str, Any]:
    arn = f"arn:aws:iam::{call.account}:user/somebody"
    return {"Arn": arn, "UserId": call.key, "Account": call.account}


def assume_role(world: World, call: Call) -> dict[str, Any]:
    """Keys of the account in the role's ARN, if the store knows that account."""
    role, session = str(call.parameters["RoleArn"]), call.parameters["RoleSessionName"]
    account = role.split(":")[4]
    if account not in world.store.accounts:
        said = f"not authorized to perform: sts:AssumeRole on {role}"
        raise RefusedError("AccessDenied", said, 403)
    key = f"ASIA{account}"
    until = world.clock.now() + 3_600_000
    world.keys[key] = Key(account, until)
    name = role.rsplit("/", 1)[-1]
    return {
        "Credentials": {
            "AccessKeyId": key,
            "SecretAccessKey": "secret",
            "SessionToken": "session",
            "Expiration": until // 1000,
        },
        "AssumedRoleUser": {
            "AssumedRoleId": f"AROA:{session}",
            "Arn": f"arn:aws:sts::{account}:assumed-role/{name}/{session}",
        },
    }
