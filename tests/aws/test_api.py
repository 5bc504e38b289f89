"""How calls fail: what is garbage must never read as an empty answer."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from unittest.mock import Mock

import pytest

from janitor.aws.api import Api, Counts, UnavailableError
from janitor.aws.logs import Logs
from janitor.aws.pace import Pace
from janitor.core.model import Target
from janitor.engine import candidates
from tests.accounts import ACCOUNT, Cloud, FastClock, Group, api, days_ago, ok

GO = threading.Event()


@pytest.mark.parametrize("said", [b"{}", b'"none"', b"7", b"null"])
def test_an_object_where_a_list_belongs_is_no_empty_list(said: bytes) -> None:
    """botocore would make "no subscription filters" of the first."""
    cloud = Cloud([Group("/a", days_ago(9))])
    logs = Logs(api(cloud))
    group = logs.group("/a")
    assert group is not None
    cloud.fault = lambda _call: ok(b'{"subscriptionFilters":' + said + b"}")
    with pytest.raises(UnavailableError):
        logs.filters(group, "subscription")


def test_tags_whose_reading_failed_are_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """For the next of those that share them; they are not missing."""
    answers: Iterator[Any] = iter(
        [UnavailableError("GetResources", "lost"), {"arn": {"env": "prod"}}]
    )

    def read(_api: object, _arns: list[str]) -> dict[str, dict[str, str]]:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        found: dict[str, dict[str, str]] = answer
        return found

    class Fake:
        clock = FastClock(0)

    monkeypatch.setattr(candidates, "read_tags", read)
    tags = candidates._SharedTags(Fake(), ["arn"])  # type: ignore[arg-type]
    with pytest.raises(UnavailableError):
        tags.of("arn")
    assert tags.of("arn")[0] == {"env": "prod"}


def test_clients_of_targets_that_share_a_session_are_made_one_at_a_time() -> None:
    """A session is not thread-safe; the Regions of an account have one together."""

    class Session:
        making = 0
        overlapped = False

        def client(self, *_named: str, config: object) -> Any:
            self.making += 1
            for _ in range(2000):
                self.overlapped |= self.making != 1
            self.making -= 1
            return Mock()

    session, clock = Session(), FastClock()
    apis = [
        Api(Target(ACCOUNT, f"r-{n}"), session, Pace(lambda _: 1e6, clock), clock, Counts(), GO)
        for n in range(4)
    ]
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(8) as pool:
            services = [f"s{number}" for number in range(20)] * 2
            calls = [pool.map(api.client, services) for api in apis]
            made = [list(call) for call in calls]
    finally:
        sys.setswitchinterval(before)
    assert not session.overlapped
    assert all(len({id(client) for client in clients}) == 20 for clients in made)
