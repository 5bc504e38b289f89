"""The state of a run between the function's links, in the deployment's bucket.

Only the function's role writes there, so no event can invent a survey, a plan or a count: an event
names run and link, everything else is read from here. Objects are written whole, and the state
only over the version that was read, so that a link that is delivered twice changes nothing.
"""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Literal, TypeVar

from botocore.exceptions import BotoCoreError, ClientError
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from janitor.aws.api import CLOSE_LASTS
from janitor.aws.workers import NoAnswerError, T, Workers, within
from janitor.core.errors import JanitorError
from janitor.core.model import Target
from janitor.core.tally import Tally
from janitor.engine.plan import ActionLine, Planned, grouped, parse
from janitor.journal.archive import UNDER_WAY, error_code, is_taken

ACTIONS: dict[str, str] = {"PutObject": "s3:PutObject", "GetObject": "s3:GetObject"}
PREFIX = "runs/"
"""Where runs of one account are."""
FLEET = "fleet/"
"""Where runs of a fleet are: each of their targets has a state of its own."""

_Model = TypeVar("_Model", bound=BaseModel)
_JSON = "application/json"
_LINES = "application/x-ndjson"


class StateError(JanitorError):
    """The state of the run cannot be read or written."""


class DamagedError(StateError):
    """It can be read, and is not what this code writes there: another try will not help."""


class TakenError(Exception):
    """Somebody else wrote the state first: another delivery of the same link is at work."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class Passed(_Part):
    """A pass over a Region that other code began, as far as it came: see `TargetState`. `refused`
    says that nothing might be deleted, `again` that not all that it did was counted.
    """

    plan: list[str]
    line: int = 0
    ahead: list[int] = Field(default_factory=list)
    swept: dict[int, int] = Field(default_factory=dict)
    refused: bool = False
    again: bool = False


class TargetState(_Part):
    """How far a Region is. `token` is where its survey goes on, `listed` are the names on the page
    before, `plan` the objects that hold what was planned so far, `line` how many lines of them are
    done, `ahead` the positions of log groups behind that which are done as well, `swept` the
    streams that are swept of others. `earlier` are the passes of other code, `done` what they did,
    `there` how many log groups that they may have deleted this survey has found.
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
    earlier: list[Passed] = Field(default_factory=list)
    done: Tally | None = None
    there: int = 0


class Claim(_Part):
    """Which invocation is at work on the link, and until when (ms) at the latest."""

    request: str
    until: int


class LedgerRow(_Part):
    """What `janitor.cost.money.Ledger` goes on from."""

    region: str
    log_class: str = Field(alias="class")
    groups: int
    stored_bytes: int
    freed_at_once_bytes: int
    freed_steady_bytes: int
    orphans: int
    orphan_bytes: int
    orphans_unread: int


class CallCounts(_Part):
    """What `janitor.aws.api.Counts` goes on from."""

    calls: dict[str, int]
    throttled: dict[str, int]
    owner_calls: int
    metrics: dict[str, int]
    taken: list[tuple[str, str, int, float]]


class RunState(_Part):
    """One run, or one target of a fleet's. `link` is the number of the link that may work now,
    `version` that of the code which surveys or has surveyed, `findings` the objects of a fleet that
    hold what was found. `again`: an invocation died while it acted, and what it did is looked for
    until all of the plan is done.
    """

    version: str
    run: str
    trigger: Literal["schedule", "hand", "fleet"]
    dry_run: bool
    started: int = Field(ge=0, lt=10**14)
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
    """Whether the metrics are out and people were told."""

    @property
    def surveyed(self) -> bool:
        """Whether every target's survey came to its end, be it to a bad one."""
        return all(region.surveyed or region.failed for region in self.regions.values())


@dataclass
class RunStore:
    """The objects of one run under `prefix`; of a fleet's, those of `target`. `client` is S3's."""

    client: Any
    name: str
    workers: Workers
    prefix: str = PREFIX
    target: Target | None = None
    etag: str | None = field(default=None, init=False)

    async def load(self, run: str) -> RunState | None:
        """The state of a run, if it has begun. Raises StateError, DamagedError."""
        key = self.key(run, "state.json")
        answer, text = await self._read(key)
        if text is None:
            return None
        self.etag = answer["ETag"]
        return self.parsed(text, RunState, key)

    def parsed(self, text: bytes, model: type[_Model], key: str) -> _Model:
        """What an object says. Raises DamagedError."""
        try:
            return model.model_validate_json(text)
        except ValidationError as error:
            raise DamagedError(str(self._failed(key, "read", error))) from error

    async def _read(self, key: str) -> tuple[Mapping[str, Any], bytes | None]:
        """S3's answer, and the object if there is one. Raises StateError."""
        try:
            answer = await self._call(lambda: self.client.get_object(Bucket=self.name, Key=key))
            return answer, await self._call(answer["Body"].read)
        except ClientError as error:
            if error_code(error) in ("NoSuchKey", "404"):
                return {}, None
            raise self._failed(key, "read", error) from error

    async def save(self, state: RunState) -> None:
        """Write the state over the version that was read or written last.

        Raises TakenError where somebody else wrote, StateError.
        """
        key = self.key(state.run, "state.json")
        condition = {"IfNoneMatch": "*"} if self.etag is None else {"IfMatch": self.etag}
        body = state.model_dump_json(exclude_defaults=True, by_alias=True).encode()
        self.etag = await self._write(key, body, _JSON, condition)

    async def write_plan(self, key: str, lines: Iterable[ActionLine]) -> None:
        """Write one object of a plan, over none that is there. Raises StateError."""
        await self.write_lines(key, (line.model_dump_json() for line in lines))

    async def write_lines(self, key: str, lines: Iterable[str]) -> None:
        """Write an object of JSON lines, over none that is there. Raises StateError."""
        body = "".join(f"{line}\n" for line in lines).encode()
        try:
            await self._write(key, body, _LINES, {"IfNoneMatch": "*"})
        except TakenError as error:
            raise self._failed(key, "written", error) from error

    async def write(self, key: str, body: bytes, kind: str = _JSON) -> None:
        """Write an object, in the place of what was there. Raises StateError."""
        await self._write(key, body, kind, {})

    async def create(self, key: str, body: bytes) -> bytes:
        """Write an object of JSON, unless there is one; what stands there then. Raises StateError.

        Of several that write at the same time one is the first, and all go by what it wrote.
        """
        try:
            await self._write(key, body, _JSON, {"IfNoneMatch": "*"})
        except TakenError as error:
            if (there := await self.read(key)) is None:
                raise self._failed(key, "written", error) from error
            return there
        return body

    async def read(self, key: str) -> bytes | None:
        """An object, if there is one. Raises StateError."""
        return (await self._read(key))[1]

    def key(self, run: str, name: str) -> str:
        """The key of one of the run's objects, or of one of the target's."""
        place = "" if self.target is None else f"/{self.target.account}/{self.target.region}"
        return f"{self.prefix}{run}{place}/{name}"

    async def _write(self, key: str, body: bytes, kind: str, condition: Mapping[str, str]) -> str:
        """The ETag of what is written. Raises TakenError where somebody else wrote, StateError.

        A write that lost its answer is tried again by botocore, and then refused for what it has
        written itself.
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
        """What the objects of a plan hold, from a line on; each is read once it is needed. All
        lines of a log group are in the same. Raises StateError, PlanError.
        """
        before = 0
        for key in keys:
            _, body = await self._read(key)
            if body is None:
                raise self._failed(key, "read", "it is not there")
            lines = body.splitlines()  # as text it has more line ends, which stand in names
            left = islice(parse(lines, key), max(line - before, 0), None)
            for planned in grouped(found for found in left if isinstance(found, ActionLine)):
                yield planned
            before += len(lines)

    async def _call(self, call: Callable[[], T]) -> T:
        try:
            return await within(CLOSE_LASTS, self.workers.run(call))
        except (BotoCoreError, NoAnswerError) as error:
            raise StateError(f"s3://{self.name}: {error}") from error

    def _failed(self, key: str, done: str, why: object) -> StateError:
        return StateError(f"s3://{self.name}/{key} could not be {done}: {why}")


def lines_key(
    run: str,
    target: Target,
    link: int,
    began: int,
    number: int,
    *,
    prefix: str = PREFIX,
    what: str = "plan",
) -> str:
    """The key of one object of a plan, or of findings; keys sort in their order. `began` (ms) is
    when this attempt at the link did: no attempt writes over what another has written.
    """
    folder = f"{prefix}{run}/{target.account}/{target.region}"
    return f"{folder}/{what}-{link:03}-{began}-{number:05}.jsonl"
