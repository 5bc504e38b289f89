"""The function as Lambda runs it: many links, events delivered twice, links that die.

S3 and SNS are two small clients here, because botocore tries their calls again by itself, and waits
for that in real time: what comes of it is what these answer with.
"""

from __future__ import annotations

import asyncio
import io
import json
import random
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from aws_lambda_powertools.metrics import EphemeralMetrics
from botocore.exceptions import ClientError

from janitor.core.errors import JanitorError
from janitor.engine.plan import ActionLine, parse
from janitor.function import handler
from janitor.function.settings import read_settings
from tests.proof.engine import TALLY, Place, by_item, tally, whole_lines
from tests.proof.process import Process, Waiting, running, session
from tests.proof.witness import Item, Life
from tests.proof.worlds import ACCOUNT, NOW, Account, Trouble, Wanted, toml

ARN = f"arn:aws:lambda:eu-west-1:{ACCOUNT}:function:cloudwatch-janitor"
TOPIC = f"arn:aws:sns:eu-west-1:{ACCOUNT}:topic"
SECONDS_OF_S3 = 0.05


def scheduled(run: str, at: int = NOW) -> dict[str, Any]:
    """EventBridge's event."""
    time = datetime.fromtimestamp(at / 1000, UTC).isoformat()
    return {"source": "aws.events", "detail-type": "Scheduled Event", "id": run, "time": time}


class Bucket:
    """The client of S3, of one bucket. A share of calls fails, one of writes loses its answer."""

    def __init__(self) -> None:
        self.objects: dict[str, tuple[bytes, str]] = {}
        self.share = 0.0
        self.dice = random.Random(0)
        self._written = 0

    def get_object(self, *, Bucket: str, Key: str) -> dict[str, Any]:
        def get() -> dict[str, Any]:
            self._perhaps_fail("GetObject")
            if Key not in self.objects:
                raise _error("NoSuchKey", 404, "GetObject")
            body, etag = self.objects[Key]
            return {"Body": io.BytesIO(body), "ETag": etag}

        running().owed += SECONDS_OF_S3
        return running().step(get)

    def put_object(
        self,
        *,
        Bucket: str,
        Key: str,
        Body: bytes,
        ContentType: str,
        IfMatch: str | None = None,
        IfNoneMatch: str | None = None,
    ) -> dict[str, Any]:
        def put() -> dict[str, Any]:
            self._perhaps_fail("PutObject")
            there = self.objects.get(Key, (b"", None))[1]
            if (IfNoneMatch and there) or (IfMatch and there != IfMatch):
                raise _error("PreconditionFailed", 412, "PutObject")
            told = Key.endswith(".jsonl") and there is not None and self.objects[Key][0] != Body
            assert not told, f"{Key} was written by another, and is written over"
            self._written += 1
            self.objects[Key] = (Body, f'"{self._written}"')
            if Key.startswith("journal/"):
                # Twice because an answer was lost, a line counts once for who reads it.
                journal = running().life.journal
                journal += [line for line in whole_lines(Body.decode()) if line not in journal]
            if self.dice.random() < self.share and (IfMatch or IfNoneMatch):
                # botocore writes again, and meets what it has written.
                raise _error("PreconditionFailed", 412, "PutObject")
            return {"ETag": self.objects[Key][1]}

        running().owed += SECONDS_OF_S3
        return running().step(put)

    def _perhaps_fail(self, operation: str) -> None:
        if self.dice.random() < self.share:
            raise _error("SlowDown", 503, operation)


def _error(code: str, status: int, operation: str) -> ClientError:
    response: Any = {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(response, operation)


class Topic:
    """The client of SNS."""

    def __init__(self) -> None:
        self.told: Counter[str] = Counter()
        """Messages by run."""

    def publish(self, *, MessageAttributes: Mapping[str, Any], **_more: Any) -> dict[str, Any]:
        run = MessageAttributes["run_id"]["StringValue"]
        running().step(lambda: self.told.update([run]))
        return {}


@dataclass
class Delivery:
    """An event on its way to the function, and how often it is tried."""

    event: Any
    request: str
    tries: int = 2

    @property
    def run(self) -> str:
        """The run that it is about."""
        if isinstance(self.event, dict):
            return str(self.event.get("run") or self.event.get("id") or self.request)
        return self.request


class Invocation(Process):
    """One invocation of the function, which Lambda ends after so many seconds."""

    def __init__(
        self,
        place: Function,
        delivery: Delivery,
        seconds: float,
        dies_at: int | None = None,
        *,
        after: bool = False,
    ) -> None:
        super().__init__(place.cloud, Life(), dies_at, after=after, cpu=place.account.cpu)
        self.life.planned = Planned(place.bucket, partial(place.states, delivery.run))
        self.delivery = delivery
        self.aws_request_id = delivery.request
        self.invoked_function_arn = ARN
        self.log_group_name = "/cloudwatch-janitor/janitor"
        self.failed = False
        self.answer: dict[str, Any] = {}
        self._place = place
        self._ends = place.clock.monotonic() + seconds

    def get_remaining_time_in_millis(self) -> int:
        return int((self._ends - self._place.clock.monotonic()) * 1000)

    async def run(self) -> None:
        """From the event to the answer, if there is one."""
        loop = asyncio.get_running_loop()
        timeout = loop.call_at(self._ends, self.kill)
        try:
            self.answer = await self.live(self._answer()) or {}
        except JanitorError:
            self.failed = True
        finally:
            timeout.cancel()

    async def _answer(self) -> dict[str, Any]:
        place = self._place
        metrics = EphemeralMetrics(namespace="test", service="test")
        janitor = handler.Janitor(place.settings, place, place.clock, metrics, Waiting())  # type: ignore[arg-type]
        return await janitor.answer(self.delivery.event, self)


class Function(Place):
    """A place whose janitor is the function; the boto3 session of its account."""

    region_name = "eu-west-1"
    invocation: type[Invocation] = Invocation

    def __init__(self, account: Account, wanted: Wanted, folder: Path) -> None:
        super().__init__(account, wanted, folder)
        self.bucket, self.topic = Bucket(), Topic()
        self.queue: list[Delivery] = []
        self.lives: dict[str, list[Life]] = {}
        """What is known of the invocations of each run."""
        self.cut_off = 0
        """How many invocations came to no answer."""
        self.given_up = False
        """Whether Lambda does not try an event any more."""
        self.requests = 0
        policy = folder / "policy.toml"
        policy.write_text(toml(wanted.said))
        self.settings = read_settings(
            {
                "JANITOR_BUCKET": "bucket",
                "JANITOR_POLICY_FILE": str(policy),
                "JANITOR_NOTIFY_TOPIC": TOPIC,
                "JANITOR_MAX_LINKS": "9999",
            }
        )

    def client(self, service: str, region_name: str | None = None, **_options: Any) -> Any:
        match service:
            case "s3":
                return self.bucket
            case "sns":
                return self.topic
            case _:
                return session(ACCOUNT, self.region_name).client(service, region_name)

    def trouble(self, trouble: Trouble | None) -> None:
        super().trouble(trouble)
        self.bucket.share = 0.0 if trouble is None else trouble.bucket
        self.bucket.dice = random.Random(0 if trouble is None else trouble.seed)

    def send(self, event: Any) -> None:
        """Somebody invokes the function, asynchronously."""
        self.queue.append(self.delivery(event))

    def delivery(self, event: Any) -> Delivery:
        """The event on its way."""
        self.requests += 1
        return Delivery(event, f"request-{self.requests}")

    def invoke(
        self,
        deliveries: Sequence[Delivery],
        seconds: float,
        dies_at: int | None = None,
        *,
        after: bool = False,
    ) -> list[Invocation]:
        """Lambda runs the function for these at the same time; the first of them may die. What came
        to no end is tried once more, later.
        """
        made = [
            self.invocation(self, delivery, seconds, None if number else dies_at, after=after)
            for number, delivery in enumerate(deliveries)
        ]

        async def all_of_them() -> None:
            await asyncio.gather(*(one.run() for one in made))

        with self.cloud:
            self.clock.run(all_of_them())
        for one in made:
            self._ended(one)
        for call in self.cloud.world.invoked:
            self.send(json.loads(call["payload"]))
        self.cloud.world.invoked.clear()
        return made

    def _ended(self, one: Invocation) -> None:
        delivery = one.delivery
        self.lives.setdefault(delivery.run, []).append(one.life)
        # Where the state was taken over, or cannot be written, what was under way ends as it may.
        cut = one.dead or one.failed or bool(one.answer.get("repeated") or self.bucket.share)
        self.witness.check_journal(one.life, killed=cut)
        TALLY.add(tally(one.life, killed=one.dead))
        if one.dead or one.failed:
            self.cut_off += 1
            delivery.tries -= 1
            if delivery.tries:
                self.clock.jump(60)
                self.queue.append(delivery)
            self.given_up |= not delivery.tries

    def effects(self, run: str) -> Counter[Item]:
        """What a run changed."""
        return sum((life.effects for life in self.lives.get(run, ())), Counter[Item]())

    def check_limits(self) -> None:
        """No run changed more than the policy allows, over all of its links."""
        for run, lives in self.lives.items():
            scanned = {group for life in lives for group in life.scanned}
            self.witness.check_limits(scanned, self.effects(run))

    @property
    def acting(self) -> set[str]:
        """The runs that changed something."""
        return {run for run in self.lives if self.effects(run)}

    @property
    def refused(self) -> bool:
        """Whether a limit forbade a run anything."""
        return any(state.get("refused") for run in self.lives for state in self.states(run))

    def states(self, run: str) -> Iterator[dict[str, Any]]:
        """The states of a run, of which a fleet's has more than one."""
        if (state := self.state(run)) is not None:
            yield state

    def state(self, run: str) -> dict[str, Any] | None:
        """The state of a run, as it was written last."""
        body, _ = self.bucket.objects.get(f"runs/{run}/state.json", (b"null", ""))
        found: dict[str, Any] | None = json.loads(body)
        return found


@dataclass
class Planned(Mapping[Item, Mapping[str, Any]]):
    """What the objects of a run's plan in the bucket hold by now."""

    bucket: Bucket
    states: Callable[[], Iterable[Mapping[str, Any]]]
    known: dict[str, dict[Item, Mapping[str, Any]]] = field(default_factory=dict)

    def __getitem__(self, item: Item) -> Mapping[str, Any]:
        for lines in self._objects():
            if item in lines:
                return lines[item]
        raise KeyError(item)

    def __iter__(self) -> Iterator[Item]:
        return (item for lines in self._objects() for item in lines)

    def __len__(self) -> int:
        return sum(map(len, self._objects()))

    def _objects(self) -> Iterator[dict[Item, Mapping[str, Any]]]:
        for region in (one for state in self.states() for one in state["regions"].values()):
            for key in region.get("plan", ()):
                body, etag = self.bucket.objects[key]
                if etag not in self.known:
                    lines = parse(body.decode().splitlines(), key)
                    self.known[etag] = by_item(one for one in lines if isinstance(one, ActionLine))
                yield self.known[etag]
