"""The account that assertions are made about: moto's, the sandbox's or AWS's."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Literal

import boto3
import pytest
from botocore.config import Config

from janitor.sandbox.store import arn_of, name_of
from janitor.sandbox.wire import NAMED_BY
from tests.sandbox.asking import ask, outcome, paged

READS = ("Describe", "List", "Get", "Filter")
_parts = count(1)


class OutsideError(Exception):
    """A call that may change something that the contract did not make."""


@dataclass
class Backend:
    """Log groups under `prefix` are the contract's own; `patience` is how many seconds it waits for
    what the account shows late.
    """

    kind: Literal["moto", "ours", "aws"]
    session: boto3.Session
    account: str
    prefix: str = "/contract"
    patience: int = 0
    _clients: dict[str, Any] = field(default_factory=dict)

    def __getitem__(self, service: str) -> Any:
        if service not in self._clients:
            attempts = 10 if self.patience else 1
            config = Config(retries={"total_max_attempts": attempts, "mode": "standard"})
            self._clients[service] = self.session.client(service, config=config)
        return self._clients[service]

    @property
    def region(self) -> str:
        return str(self.session.region_name)

    def part(self) -> Backend:
        """The same account, with a prefix that nobody has used."""
        prefix = f"{self.prefix}/{next(_parts):04d}"
        return Backend(self.kind, self.session, self.account, prefix, self.patience, self._clients)

    def name(self, name: str) -> str:
        return self.prefix + name

    def arn(self, name: str) -> str:
        return arn_of(self.account, self.region, self.name(name))

    def make(self, *names: str, **more: Any) -> None:
        """Create log groups of these names beneath the prefix."""
        for name in names:
            self["logs"].create_log_group(logGroupName=self.name(name), **more)

    def entries(self, **narrowed: Any) -> list[dict[str, Any]]:
        """What DescribeLogGroups shows beneath the prefix."""
        asked = {"logGroupNamePrefix": self.prefix} | narrowed
        pages = paged(self["logs"], "describe_log_groups", **asked)
        return [entry for page in pages for entry in page["logGroups"]]

    def names(self, **narrowed: Any) -> list[str]:
        """Their names, without the prefix."""
        found = self.entries(**narrowed)
        return [str(entry["logGroupName"]).removeprefix(self.prefix) for entry in found]

    def soon(self, shown: Callable[[], Any], wanted: Any) -> None:
        """Assert what is shown, at once or as soon as the account shows it."""
        until = time.monotonic() + self.patience
        while shown() != wanted and time.monotonic() < until:
            time.sleep(1)
        assert shown() == wanted

    def ask(
        self, method: str, query: str = "@", /, of: str | None = None, **parameters: Any
    ) -> Any:
        """`ask` with CloudWatch Logs, about the log group `of` if given."""
        return ask(self["logs"], method, query, **self._named(of), **parameters)

    def do(self, method: str, /, of: str | None = None, **parameters: Any) -> None:
        """The same for a call that must succeed. Raises ClientError."""
        getattr(self["logs"], method)(**self._named(of), **parameters)

    def _named(self, of: str | None) -> dict[str, Any]:
        return {} if of is None else {"logGroupName": self.name(of)}

    def outcome(self, service: str, method: str, **parameters: Any) -> tuple[str, str]:
        """("answered", ""), or the error's code and message."""
        try:
            return outcome(self[service], method, **parameters)[:2]
        except NotImplementedError:
            return "not implemented", ""


def guarded(session: boto3.Session, prefix: str) -> boto3.Session:
    """The session, whose clients from now on change nothing but log groups beneath the prefix."""

    def guard(params: Mapping[str, Any], model: Any, **_more: Any) -> None:
        if model.name.startswith(READS):
            return
        named = [name_of(str(params[key])) for key in NAMED_BY if key in params]
        own = all(name.startswith(f"{prefix}/") for name in named)
        if model.service_model.service_name != "logs" or not named or not own:
            raise OutsideError(f"{model.name} {named} is not beneath {prefix}/")

    session.events.register_first("before-parameter-build", guard)
    return session


AWS = pytest.StashKey[Backend]()
"""The AWS account that a run is made on, in pytest's configuration."""
