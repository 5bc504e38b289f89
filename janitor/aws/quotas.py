"""The account's own quotas, where it may ask Service Quotas for them."""

from __future__ import annotations

import re
from typing import Any

import structlog

from janitor.aws.api import Api, ReadError, UnavailableError
from janitor.policy.file import DEFAULT_QUOTAS, Policy

ACTIONS: dict[str, str] = {"ListServiceQuotas": "servicequotas:ListServiceQuotas"}
_NAME = re.compile(r"(\w+) throttle limit in transactions per second")
"""How the quotas of CloudWatch Logs are named (CloudWatch Logs quotas page)."""

log = structlog.get_logger("janitor")


def learn_quotas(api: Api, policy: Policy) -> None:
    """Pace the target's calls by the account's applied quotas, at the policy's share of each.

    What the policy file says itself is left alone. Without the permission, or an answer that makes
    sense, the defaults stay: they are what an account has unless AWS raised (or lowered) them.
    """
    try:
        applied = _applied(api)
    except ReadError as error:
        log.info("default_quotas", region=api.target.region, error=str(error))
        return
    share = policy.limits.api_share
    own = policy.own_quotas
    api.pace.learn({name: value * share for name, value in applied.items() if name not in own})


def _applied(api: Api) -> dict[str, float]:
    """Calls a second by operation, of those that this program makes. Raises ReadError.

    Asked once: this only makes a run faster, so no time is spent on trying again.
    """
    found: dict[str, float] = {}
    token: dict[str, Any] = {}
    while True:
        answer = api.once(
            "ListServiceQuotas",
            api.client("service-quotas").list_service_quotas,
            expect="Quotas",
            ServiceCode="logs",
            MaxResults=100,
            **token,
        )
        for quota in answer["Quotas"]:
            named = _NAME.fullmatch(str(quota.get("QuotaName")))
            value = quota.get("Value")
            if named and named[1] in DEFAULT_QUOTAS and isinstance(value, float) and value > 0:
                found[named[1]] = value
        if not answer.get("NextToken"):
            return found
        if token == {"NextToken": answer["NextToken"]}:
            raise UnavailableError("ListServiceQuotas", "the same page token twice")
        token = {"NextToken": answer["NextToken"]}
