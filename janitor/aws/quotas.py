"""How often AWS may be called: default quotas, and the account's own from Service Quotas."""

from __future__ import annotations

import re
from typing import Any

import structlog

from janitor.aws.api import Api, ReadError, UnavailableError

ACTIONS: dict[str, str] = {"ListServiceQuotas": "servicequotas:ListServiceQuotas"}
_FIVE_A_SECOND = """
AssociateKmsKey DeleteAccountPolicy DeleteRetentionPolicy DescribeAccountPolicies
DescribeIndexPolicies DescribeMetricFilters DescribeResourcePolicies DescribeSubscriptionFilters
GetDataProtectionPolicy GetTransformer ListSyslogConfigurations ListTagsForResource PutAccountPolicy
PutBearerTokenAuthentication PutDataProtectionPolicy PutIndexPolicy PutMetricFilter
PutResourcePolicy PutRetentionPolicy PutSubscriptionFilter PutSyslogConfiguration PutTransformer
TagResource
"""
DEFAULT_QUOTAS: dict[str, float] = {
    **dict.fromkeys(_FIVE_A_SECOND.split(), 5),
    "DescribeLogGroups": 10,
    "DescribeLogStreams": 25,
    "FilterLogEvents": 5,
    "DeleteLogGroup": 10,
    "DeleteLogStream": 15,
    "CreateLogGroup": 10,
    "GetMetricData": 3,
    "GetResources": 15,
    "ListFunctions": 15,
    "ListServiceQuotas": 5,
    "GetCallerIdentity": 100,
    "DescribeRegions": 20,
    "ListRoots": 5,
    "ListAccountsForParent": 5,
    "ListOrganizationalUnitsForParent": 5,
    "DescribeOrganizationalUnit": 5,
}
"""Calls a second per account and Region (CloudWatch Logs quotas page). FilterLogEvents has 5 to 25
by Region, which cannot be raised: the lowest is safe everywhere. The values from GetResources on,
and those of index, resource and account policies and syslog, are not published, but assumed.
GetMetricData allows 50 calls a second, but at most 396,000 data points together (CloudWatch quotas
page), and one call here asks for up to 100,500.
"""

SERVICE_QUOTAS: dict[str, float] = {
    "lambda": 15,
    "ecs": 20,
    "ec2": 20,
    "cloudformation": 5,
    "apigateway": 5,
    "stepfunctions": 5,
    "rds": 10,
    "events": 10,
    "firehose": 5,
    "cloudwatch": 9,
    "logs": 5,
}
"""Calls a second to a service for the owner table, all operations together: the lowest quota on its
quotas page for the calls in question or, if it has none (CloudFormation, RDS), less than what
others report as throttled. All management calls of an account to API Gateway, deployments included,
share 10 a second: half of that.
"""

UNKNOWN_QUOTA = 2.0
"""The same for services with unknown quotas."""


def default_quota(name: str) -> float:
    """The default quota of an operation or a service, in calls a second."""
    return DEFAULT_QUOTAS.get(name) or SERVICE_QUOTAS.get(name, UNKNOWN_QUOTA)


_NAME = re.compile(r"(\w+) throttle limit in transactions per second")
"""The names of CloudWatch Logs' quotas (CloudWatch Logs quotas page)."""

log = structlog.get_logger("janitor")


async def learn_quotas(api: Api, share: float) -> None:
    """Pace the target's calls by the account's applied quotas, at `share` (0 to 1) of each.

    Without the permission or a valid answer the defaults stay, which an account has unless AWS
    raised (or lowered) them.
    """
    try:
        applied = await _applied(api)
    except ReadError as error:
        log.info("default_quotas", region=api.target.region, error=str(error))
        return
    api.pace.learn({name: value * share for name, value in applied.items()})


async def _applied(api: Api) -> dict[str, float]:
    """The applied quotas of this program's operations, in calls a second. Raises ReadError.

    There are no retries, because this only makes a run faster.
    """
    found: dict[str, float] = {}
    token: dict[str, Any] = {}
    while True:
        answer = await api.once(
            "service-quotas",
            "ListServiceQuotas",
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
