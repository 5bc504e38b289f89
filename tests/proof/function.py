"""The function as Lambda runs it: many links, events delivered twice, invocations that die.

S3 and SNS are two small clients here, because botocore retries their calls itself and waits in real
time: these answer as botocore does after its retries.
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
from tests.proof.engine import TALLY, Environment, by_item, complete_lines, tally
from tests.proof.process import Death, InlineWorkers, Process, running, session
from tests.proof.witness import Item, Record
from tests.proof.worlds import ACCOUNT, NOW, Account, PolicyFile, Trouble, toml

ARN = f"arn:aws:lambda:eu-west-1:{ACCOUNT}:function:cloudwatch-janitor"
TOPIC = f"arn:aws:sns:eu-west-1:{ACCOUNT}:topic"
SECONDS_OF_S3 = 0.05


def scheduled(run: str, at: int = NOW) -> dict[str, Any]:
    """Return EventBridge's event of a schedule."""
    time = datetime.fromtimestamp(at / 1000, UTC).isoformat()
    return {"source": "aws.events", "detail-type": "Scheduled Event", "id": run, "time": time}


class Bucket:
    """The S3 client of one bucket. A `share` of the calls fails, and of the conditional writes as
    many lose their answer.
    """

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

        running().latency += SECONDS_OF_S3
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
            stored, etag = self.objects.get(Key, (Body, None))
            if (IfNoneMatch and etag) or (IfMatch and etag != IfMatch):
                raise _error("PreconditionFailed", 412, "PutObject")
            lost = Key.endswith(".jsonl") and stored != Body
            assert not lost, f"{Key} was written by another, and is overwritten"
            self._written += 1
            self.objects[Key] = (Body, f'"{self._written}"')
            if Key.startswith("journal/"):
                # A line that was written again because an answer was lost counts once.
                journal = running().record.journal
                journal += [line for line in complete_lines(Body.decode()) if line not in journal]
            if self.dice.random() < self.share and (IfMatch or IfNoneMatch):
                # The answer was lost: botocore's retry finds what the first attempt wrote.
                raise _error("PreconditionFailed", 412, "PutObject")
            return {"ETag": self.objects[Key][1]}

        running().latency += SECONDS_OF_S3
        return running().step(put)

    def _perhaps_fail(self, operation: str) -> None:
        if self.dice.random() < self.share:
            raise _error("SlowDown", 503, operation)


def _error(code: str, status: int, operation: str) -> ClientError:
    response: Any = {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(response, operation)


class Topic:
    """The SNS client."""

    def __init__(self) -> None:
        self.published: Counter[str] = Counter()
        """Messages by run."""

    def publish(self, *, MessageAttributes: Mapping[str, Any], **_more: Any) -> dict[str, Any]:
        run = MessageAttributes["run_id"]["StringValue"]
        running().step(lambda: self.published.update([run]))
        return {}


@dataclass
class Delivery:
    """An event on its way to the function, and the attempts that Lambda has left."""

    event: Any
    request: str
    attempts: int = 2

    @property
    def run(self) -> str:
        """The run that the event is about."""
        if isinstance(self.event, dict):
            return str(self.event.get("run") or self.event.get("id") or self.request)
        return self.request


class Invocation(Process):
    """One invocation of the function, which Lambda ends after some seconds; its context too."""

    def __init__(
        self, env: Function, delivery: Delivery, seconds: float, death: Death | None = None
    ) -> None:
        super().__init__(env.cloud, Record(), death, cpu=env.account.cpu)
        self.record.planned = Planned(env.bucket, partial(env.states, delivery.run))
        self.delivery = delivery
        self.aws_request_id = delivery.request
        self.invoked_function_arn = ARN
        self.log_group_name = "/cloudwatch-janitor/janitor"
        self.failed = False
        self.answer: dict[str, Any] = {}
        self._env = env
        self._ends = env.clock.monotonic() + seconds

    def get_remaining_time_in_millis(self) -> int:
        return int((self._ends - self._env.clock.monotonic()) * 1000)

    async def run(self) -> None:
        """Run until the function answers, fails or is killed."""
        timeout = asyncio.get_running_loop().call_at(self._ends, self.kill)
        try:
            self.answer = await self.live(self._answer()) or {}
        except JanitorError:
            self.failed = True
        finally:
            timeout.cancel()

    async def _answer(self) -> dict[str, Any]:
        env = self._env
        metrics = EphemeralMetrics(namespace="test", service="test")
        janitor = handler.Janitor(env.settings, env, env.clock, metrics, InlineWorkers())  # type: ignore[arg-type]
        return await janitor.answer(self.delivery.event, self)


class Function(Environment):
    """An environment with the function; also the boto3 session of its account."""

    region_name = "eu-west-1"
    invocation: type[Invocation] = Invocation
    variables: Mapping[str, str] = {}
    """Environment variables that a subclass adds."""

    def __init__(self, account: Account, policy: PolicyFile, folder: Path) -> None:
        super().__init__(account, policy, folder)
        self.bucket, self.topic = Bucket(), Topic()
        self.queue: list[Delivery] = []
        self.records: dict[str, list[Record]] = {}
        """The records of each run's invocations."""
        self.cut_off = 0
        """How many invocations came to no answer."""
        self.given_up = False
        """Whether Lambda has stopped retrying an event."""
        self.requests = 0
        file = folder / "policy.toml"
        file.write_text(toml(policy.content))
        self.settings = read_settings(
            {
                "JANITOR_BUCKET": "bucket",
                "JANITOR_POLICY_FILE": str(file),
                "JANITOR_NOTIFY_TOPIC": TOPIC,
                "JANITOR_MAX_LINKS": "9999",
                **self.variables,
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
        """Invoke the function asynchronously."""
        self.queue.append(self.delivery(event))

    def delivery(self, event: Any) -> Delivery:
        """Return a new delivery of the event."""
        self.requests += 1
        return Delivery(event, f"request-{self.requests}")

    def invoke(
        self, deliveries: Sequence[Delivery], seconds: float, death: Death | None = None
    ) -> list[Invocation]:
        """Run the function for these events at the same time; `death` is that of the first. Events
        without an answer are queued again.
        """
        made = [
            self.invocation(self, delivery, seconds, None if number else death)
            for number, delivery in enumerate(deliveries)
        ]

        async def run_all() -> None:
            await asyncio.gather(*(one.run() for one in made))

        with self.cloud:
            self.clock.run(run_all())
        for one in made:
            self._ended(one)
        for call in self.cloud.world.invoked:
            self.send(json.loads(call["payload"]))
        self.cloud.world.invoked.clear()
        return made

    def _ended(self, one: Invocation) -> None:
        delivery = one.delivery
        self.records.setdefault(delivery.run, []).append(one.record)
        # If another link took over, or state cannot be written, begun changes may have no end.
        cut = one.dead or one.failed or bool(one.answer.get("repeated") or self.bucket.share)
        self.witness.check_journal(one.record, killed=cut)
        TALLY.update(tally(one.record, killed=one.dead))
        if one.dead or one.failed:
            self.cut_off += 1
            delivery.attempts -= 1
            if delivery.attempts:
                self.clock.jump(60)
                self.queue.append(delivery)
            self.given_up |= not delivery.attempts

    def effects(self, run: str) -> Counter[Item]:
        """Return what a run changed."""
        return sum((record.effects for record in self.records.get(run, ())), Counter[Item]())

    def check_limits(self) -> None:
        """Check that no run, over all of its links, changed more than the policy allows."""
        for run, records in self.records.items():
            scanned = {group for record in records for group in record.scanned}
            self.witness.check_limits(scanned, self.effects(run))

    @property
    def acting(self) -> set[str]:
        """The runs that changed something."""
        return {run for run in self.records if self.effects(run)}

    @property
    def refused(self) -> bool:
        """Whether a limit refused a run anything."""
        return any(state.get("refused") for run in self.records for state in self.states(run))

    def states(self, run: str) -> Iterator[dict[str, Any]]:
        """The states of a run; a fleet's run has one for each target."""
        if (state := self.state(run)) is not None:
            yield state

    def state(self, run: str) -> dict[str, Any] | None:
        """Return the state of a run as it was last written."""
        body, _ = self.bucket.objects.get(f"runs/{run}/state.json", (b"null", ""))
        found: dict[str, Any] | None = json.loads(body)
        return found


@dataclass
class Rounds:
    """Rounds of invocations, and what goes wrong in them: `trouble` in the first `troubled` rounds;
    little time, `seconds` in the first round; a death in each round that has one; in the rounds
    `repeated` an event comes twice; `others` are a round and what a stranger sends then.
    """

    env: Function
    trouble: Trouble
    troubled: int
    seconds: float
    deaths: Sequence[tuple[int, bool] | None]
    repeated: frozenset[int]
    others: Sequence[tuple[int, Any]]
    number: int = 0

    def invoke(self, due: Sequence[Delivery], seconds: float | None = None) -> list[Invocation]:
        """Invoke the function for these events, in `seconds` if given, and what else comes."""
        env, number = self.env, self.number
        self.number += 1
        env.trouble(self.trouble if number < self.troubled else None)
        again = [env.delivery(due[0].event)] * (number in self.repeated)
        strange = [env.delivery(event) for at, event in self.others if at == number]
        death = self.deaths[number] if number < len(self.deaths) else None
        made = env.invoke(
            [*due, *again, *strange],
            seconds or min(self.seconds * 1.3**number, 900),
            death and Death(*death),
        )
        assert not env.witness.violations, env.witness.violations
        return made


@dataclass
class Planned(Mapping[Item, Mapping[str, Any]]):
    """The plan of a run as the bucket has it now, by item."""

    bucket: Bucket
    states: Callable[[], Iterable[Mapping[str, Any]]]
    cache: dict[str, dict[Item, Mapping[str, Any]]] = field(default_factory=dict)

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
                if etag not in self.cache:
                    lines = parse(body.decode().splitlines(), key)
                    self.cache[etag] = by_item(one for one in lines if isinstance(one, ActionLine))
                yield self.cache[etag]
