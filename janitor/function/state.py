"""The state of a run between the function's links, in the deployment's bucket.

Only the function's role may write there, so no event can forge a survey, a plan or a count: an
event names run and link, everything else is read from here. The state is replaced only where it is
still the version that was read, so that a link that is delivered twice changes nothing.
"""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Literal, TypeVar

from botocore.exceptions import BotoCoreError, ClientError
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from janitor.aws.api import BOOKKEEPING_TIMEOUT
from janitor.aws.workers import NoAnswerError, T, Workers, within
from janitor.core.errors import JanitorError
from janitor.core.model import Target
from janitor.core.tally import Tally
from janitor.engine.plan import ActionLine, Planned, grouped, parse
from janitor.journal.archive import UNDER_WAY, error_code, is_taken

ACTIONS: dict[str, str] = {"PutObject": "s3:PutObject", "GetObject": "s3:GetObject"}
PREFIX = "runs/"
"""Key prefix of the runs of one account."""
FLEET = "fleet/"
"""Key prefix of the runs of a fleet, where each target has a state of its own."""

_Model = TypeVar("_Model", bound=BaseModel)
_JSON = "application/json"
_LINES = "application/x-ndjson"


class StateError(JanitorError):
    """The state of a run could not be read or written."""


class DamagedError(StateError):
    """The state is not what this code writes; another attempt will not help."""


class TakenError(Exception):
    """Another delivery of the same link wrote the object first."""


class StrictModel(BaseModel):
    """A part of an object in the bucket."""

    model_config = ConfigDict(extra="forbid", strict=True)


class EarlierPass(StrictModel):
    """How far a pass by other code came in a Region; fields as in `TargetState`. `refused` says
    that it could delete nothing, `again` that part of what it did may not have been counted.
    """

    plan: list[str]
    line: int = 0
    ahead: list[int] = Field(default_factory=list)
    swept: dict[int, int] = Field(default_factory=dict)
    refused: bool = False
    again: bool = False


class TargetState(StrictModel):
    """How far the work in a Region has come.

    `token` is the page token that the survey continues from, `listed` the names on the page before.
    `plan` lists the objects that hold the plan; its first `line` lines are done, as are the log
    groups at the positions `ahead`; `swept` counts the streams swept at other positions.

    `earlier` are passes by other code and `done` is what they did. `there` counts the log groups
    that they may have deleted, but that this survey has found.
    """

    token: str | None = None
    listed: list[str] = Field(default_factory=list)
    surveyed: bool = False
    failed: bool = False
    plan: list[str] = Field(default_factory=list)
    line: int = 0
    ahead: list[int] = Field(default_factory=list)
    swept: dict[int, int] = Field(default_factory=dict)
    acted: bool = False
    tally: Tally | None = None
    earlier: list[EarlierPass] = Field(default_factory=list)
    done: Tally | None = None
    there: int = 0


class Claim(StrictModel):
    """The invocation (by request id) that works on the link, until `until` (ms) at the latest."""

    request: str
    until: int


class LedgerRow(StrictModel):
    """A row of the saved `janitor.cost.money.Ledger`."""

    region: str
    log_class: str = Field(alias="class")
    groups: int
    stored_bytes: int
    freed_at_once_bytes: int
    freed_steady_bytes: int
    orphans: int
    orphan_bytes: int
    orphans_unread: int


class CallCounts(StrictModel):
    """The saved `janitor.aws.api.Counts`."""

    calls: dict[str, int]
    throttled: dict[str, int]
    owner_calls: int
    metrics: dict[str, int]
    taken: list[tuple[str, str, int, float]]


class RunState(StrictModel):
    """The state of a run, or of one target in a fleet's run.

    `version` is that of the code that made the survey, `link` the number of the link that may work
    now, `findings` the objects that hold a fleet's findings. `again` says that an invocation died
    while it acted: whatever the plan names may be done already. Ages are as of `started` (ms), the
    time of the event; one that comes late is first handled when the run `began`.
    """

    version: str
    run: str
    trigger: Literal["schedule", "hand", "fleet"]
    dry_run: bool
    started: int = Field(ge=0, lt=10**14)
    began: int = Field(0, ge=0, lt=10**14)
    policy: str
    account: str
    link: int = 0
    acting: bool = False
    again: bool = False
    claim: Claim | None = None
    regions: dict[str, TargetState]
    refused: str | None = None
    ledger: list[LedgerRow] = Field(default_factory=list)
    counts: CallCounts | None = None
    findings: list[str] = Field(default_factory=list)
    ended: dict[str, Any] | None = None
    """The summary, once there is nothing more to do."""
    told: bool = False
    """Whether metrics and notification have been published."""

    @property
    def since(self) -> int:
        """When its time began to count, in ms."""
        return max(self.started, self.began)

    @property
    def surveyed(self) -> bool:
        """Whether the survey of every Region has ended, complete or failed."""
        return all(region.surveyed or region.failed for region in self.regions.values())


@dataclass
class RunStore:
    """The objects of runs under `prefix`, or those of a fleet's `target`. `client` is S3's."""

    client: Any
    name: str
    workers: Workers
    prefix: str = PREFIX
    target: Target | None = None
    etag: str | None = field(default=None, init=False)

    async def load(self, run: str) -> RunState | None:
        """Return the state of a run, if it has started. Raises StateError, DamagedError."""
        key = self.key(run, "state.json")
        answer, text = await self._read(key)
        if text is None:
            return None
        self.etag = answer["ETag"]
        return self.parsed(text, RunState, key)

    def parsed(self, text: bytes, model: type[_Model], key: str) -> _Model:
        """Return the object `text` as `model`. Raises DamagedError."""
        try:
            return model.model_validate_json(text)
        except ValidationError as error:
            raise DamagedError(str(self._failed(key, "read", error))) from error

    async def _read(self, key: str) -> tuple[Mapping[str, Any], bytes | None]:
        """Return S3's answer, and the object if there is one. Raises StateError."""
        try:
            answer = await self._call(lambda: self.client.get_object(Bucket=self.name, Key=key))
            return answer, await self._call(answer["Body"].read)
        except ClientError as error:
            if error_code(error) in ("NoSuchKey", "404"):
                return {}, None
            raise self._failed(key, "read", error) from error

    async def save(self, state: RunState) -> None:
        """Replace the version that was last read or written. Raises TakenError, StateError."""
        key = self.key(state.run, "state.json")
        condition = {"IfNoneMatch": "*"} if self.etag is None else {"IfMatch": self.etag}
        body = state.model_dump_json(exclude_defaults=True, by_alias=True).encode()
        self.etag = await self._write(key, body, _JSON, condition)

    async def write_plan(self, key: str, lines: Iterable[ActionLine]) -> None:
        """Create an object of a plan. Raises StateError, also if there is one."""
        await self.write_lines(key, (line.model_dump_json() for line in lines))

    async def write_lines(self, key: str, lines: Iterable[str]) -> None:
        """Create an object of JSON lines. Raises StateError, also if there is one."""
        body = "".join(f"{line}\n" for line in lines).encode()
        try:
            await self._write(key, body, _LINES, {"IfNoneMatch": "*"})
        except TakenError as error:
            raise self._failed(key, "written", error) from error

    async def write(self, key: str, body: bytes, kind: str = _JSON) -> None:
        """Write an object, replacing what is there. Raises StateError."""
        await self._write(key, body, kind, {})

    async def create(self, key: str, body: bytes) -> bytes:
        """Create a JSON object unless there is one, and return what is there then.

        Of concurrent writers the first wins, and all get what it wrote. Raises StateError.
        """
        try:
            await self._write(key, body, _JSON, {"IfNoneMatch": "*"})
        except TakenError as error:
            if (there := await self.read(key)) is None:
                raise self._failed(key, "written", error) from error
            return there
        return body

    async def read(self, key: str) -> bytes | None:
        """Return an object, if there is one. Raises StateError."""
        return (await self._read(key))[1]

    def key(self, run: str, name: str) -> str:
        """Return the key of an object of the run, or of its target."""
        place = "" if self.target is None else f"/{self.target.account}/{self.target.region}"
        return f"{self.prefix}{run}{place}/{name}"

    def lines_key(
        self, run: str, target: Target, what: str, link: int, began: int, number: int
    ) -> str:
        """Return the key of an object of a plan, or of findings; keys sort in the order of writing.

        `began` (ms), the start of this attempt at the link, keeps the attempts' objects apart.
        """
        folder = f"{self.prefix}{run}/{target.account}/{target.region}"
        return f"{folder}/{what}-{link:03}-{began}-{number:05}.jsonl"

    async def _write(self, key: str, body: bytes, kind: str, condition: Mapping[str, str]) -> str:
        """Write an object and return its ETag. Raises StateError, or TakenError if the condition
        fails.

        botocore retries a write whose answer was lost, and the retry fails on what the first
        attempt wrote: an object with the same body counts as written.
        """
        put = functools.partial(
            self.client.put_object, Bucket=self.name, Key=key, Body=body, ContentType=kind
        )
        for attempts_left in (1, 0):
            try:
                answer = await self._call(functools.partial(put, **condition))
                break
            except ClientError as error:
                if not is_taken(error):
                    raise self._failed(key, "written", error) from error
                if attempts_left and error_code(error) == UNDER_WAY:
                    continue
                answer, text = await self._read(key)
                if text != body:
                    raise TakenError("somebody else wrote it") from error
        return str(answer["ETag"])

    async def planned(self, keys: Sequence[str], line: int) -> AsyncIterator[Planned]:
        """Yield what the plan's objects hold from `line` on, and read each object when it is due.

        All lines of a log group are in one object. Raises StateError, PlanError.
        """
        before = 0
        for key in keys:
            _, body = await self._read(key)
            if body is None:
                raise self._failed(key, "read", "it is not there")
            lines = body.splitlines()  # as text: also at U+2028 and the like, which names may hold
            left = islice(parse(lines, key), max(line - before, 0), None)
            for planned in grouped(found for found in left if isinstance(found, ActionLine)):
                yield planned
            before += len(lines)

    async def _call(self, call: Callable[[], T]) -> T:
        try:
            return await within(BOOKKEEPING_TIMEOUT, self.workers.run(call))
        except (BotoCoreError, NoAnswerError) as error:
            raise StateError(f"s3://{self.name}: {error}") from error

    def _failed(self, key: str, done: str, why: object) -> StateError:
        return StateError(f"s3://{self.name}/{key} could not be {done}: {why}")
