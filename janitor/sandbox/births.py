"""Log groups made in the demo account while the janitor looks on, and the events about them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

from janitor.sandbox import demo
from janitor.sandbox.account import Sandbox
from janitor.sandbox.clocks import ManualClock

REGION: Final = demo.REGIONS[0]
WAIT: Final = 900
"""Seconds for which the queue holds a message back."""
FUNCTION: Final = "checkout-v2"
OWNERS_TAGS: Final = {"team": "payments", "cost-centre": "4711", "version": "2"}
MADE: Final[dict[str, dict[str, str]]] = {
    f"/aws/lambda/{FUNCTION}": {},
    "/ecs/checkout-v2": {},
    "/lab/checkout-experiment": {"janitor:keep": "until the end of the experiment"},
}
"""The log groups, and the tags with which they are made."""
OWN_DAYS: Final = {"/ecs/checkout-v2": 30}
"""Retention that the group's maker sets while its message waits."""


def make(sandbox: Sandbox) -> list[dict[str, Any]]:
    """Make a function, whose first invocation makes its log group, and two other log groups.
    Returns CloudTrail's CreateLogGroup events of them, as EventBridge delivers them.
    """
    region, now = sandbox.store.region(demo.ACCOUNT, REGION), sandbox.clock.now()
    region.functions[FUNCTION] = None
    arn = f"arn:aws:lambda:{REGION}:{demo.ACCOUNT}:function:{FUNCTION}"
    region.resources[arn] = dict(OWNERS_TAGS)
    # Without quotas to take a share of, the function does not pace its calls: nobody has to wait.
    region.lacks |= {"ListServiceQuotas"}
    for name, tags in MADE.items():
        sandbox.store.add_group(demo.ACCOUNT, REGION, name, created=now, tags=dict(tags))
    return [_event(name, now) for name in MADE]


def pass_time(sandbox: Sandbox) -> None:
    """Let the messages' delay pass, in which one maker sets a retention."""
    assert isinstance(sandbox.clock, ManualClock), "the demo account's"
    sandbox.clock.advance(WAIT)
    for name, days in OWN_DAYS.items():
        if (group := sandbox.store.region(demo.ACCOUNT, REGION).get(name)) is not None:
            group.retention = days


def _event(name: str, now: int) -> dict[str, Any]:
    """An event as the EventBridge User Guide shows those that CloudTrail delivers."""
    at = datetime.fromtimestamp(now / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    detail = {
        "eventTime": at,
        "eventSource": "logs.amazonaws.com",
        "eventName": "CreateLogGroup",
        "awsRegion": REGION,
        "requestParameters": {"logGroupName": name},
        "responseElements": None,
    }
    return {
        "version": "0",
        "detail-type": "AWS API Call via CloudTrail",
        "source": "aws.logs",
        "account": demo.ACCOUNT,
        "time": at,
        "region": REGION,
        "resources": [],
        "detail": detail,
    }
