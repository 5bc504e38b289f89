"""How calls fail: what is garbage must never read as an empty answer."""

from __future__ import annotations

import asyncio
import sys
from typing import Any
from unittest.mock import Mock

import pytest

from janitor.aws.api import Api, Counts, UnavailableError
from janitor.aws.logs import Logs
from janitor.aws.pace import Pace
from janitor.aws.workers import Threads
from janitor.core.clock import Stop, SystemClock
from janitor.core.model import Target
from tests.accounts import ACCOUNT, Cloud, Group, api, days_ago, ok


@pytest.mark.parametrize("said", [b"{}", b'"none"', b"7", b"null"])
def test_an_object_where_a_list_belongs_is_no_empty_list(said: bytes) -> None:
    """botocore would make "no subscription filters" of the first."""
    cloud = Cloud([Group("/a", days_ago(9))])
    logs = Logs(api(cloud))
    group = cloud.clock.run(logs.group("/a"))
    assert group is not None
    cloud.fault = lambda _call: ok(b'{"subscriptionFilters":' + said + b"}")
    with pytest.raises(UnavailableError):
        cloud.clock.run(logs.filters(group, "subscription"))


def test_clients_of_targets_that_share_a_session_are_made_one_at_a_time() -> None:
    """A session is not thread-safe; the Regions of an account have one together."""

    class Session:
        made = making = 0
        overlapped = False

        def client(self, *_named: str, config: object) -> Any:
            self.making += 1
            for _ in range(2000):
                self.overlapped |= self.making != 1
            self.making -= 1
            self.made += 1
            return Mock(**{"method.return_value": {}})

    async def calls() -> None:
        clock, counts, stop, workers = SystemClock(), Counts(), Stop(), Threads()
        pace = Pace(lambda _operation: 1e6, clock)
        apis = [
            Api(Target(ACCOUNT, f"r-{n}"), session, pace, clock, counts, stop, workers)
            for n in range(4)
        ]
        services = [f"s{number}" for number in range(20)] * 2
        await asyncio.gather(*(api.once(name, "Method") for api in apis for name in services))

    session = Session()
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        asyncio.run(calls())
    finally:
        sys.setswitchinterval(before)
    assert not session.overlapped
    assert session.made == 4 * 20
