"""`explain`: each rule and each piece of evidence for one log group."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace

from janitor.aws.api import Api, Counts, ReadError
from janitor.aws.logs import Logs
from janitor.aws.targets import check_region, one_partition
from janitor.core.clock import Stop, StoppedError
from janitor.core.errors import Exit, UsageError
from janitor.core.model import LogGroup
from janitor.cost.money import price_list
from janitor.policy.file import Policy, matches
from janitor.report.base import Format, check_table_or_json
from janitor.terminal import explanation as explaining
from janitor.terminal.explanation import Explanation
from janitor.terminal.shared import (
    Options,
    complain,
    connect,
    in_account,
    interruptible,
    output,
    read_policy,
    run_info,
)

ARN = re.compile(r"arn:(aws[a-z-]*):logs:([a-z0-9-]+):(\d{12}):log-group:([^:]+)(:\*)?")
MOST = 50
"""Log groups that one glob may match: each takes several calls to explain."""


@dataclass(frozen=True, slots=True)
class _Asked:
    """What to look for, and where: account and Region are of an ARN."""

    name: str
    account: str | None = None
    region: str | None = None

    @classmethod
    def of(cls, word: str) -> _Asked:
        """Raises UsageError on what is not the name, glob or ARN of a log group."""
        if (arn := ARN.fullmatch(word)) is None:
            asked = cls(word)
        else:
            check_region(arn[2], word)
            one_partition([arn[2]], [word])
            asked = cls(arn[4], arn[3], arn[2])
        explaining.checked_name(re.sub(r"[*?\[\]!]", "x", asked.name))
        return asked

    @property
    def glob(self) -> bool:
        """Whether it may be several: no log group's name has such a sign."""
        return any(sign in self.name for sign in "*?[")

    def there(self, api: Api) -> bool:
        """Whether the target is one that is meant."""
        target = api.target
        return self.region in (None, target.region) and self.account in (None, target.account)


def explain(options: Options, names: tuple[str, ...]) -> Exit:
    """Each rule and each piece of evidence for log groups, wherever there are any of these names.

    A name may be a glob or an ARN; an ARN's Region is looked in where none is given.
    `--format json` prints `{"run": {...}, "groups": [...]}` (`Explanation.as_dict`).
    """
    check_table_or_json("explain", options.format)
    asked = [_Asked.of(name) for name in names]
    regions = tuple(dict.fromkeys(one.region for one in asked if one.region))
    if not options.regions and regions and len(regions) == len({one.region for one in asked}):
        options = replace(options, regions=regions)
    return asyncio.run(_explain(options, asked))


async def _explain(options: Options, asked: list[_Asked]) -> Exit:
    stop, counts, errors = Stop(), Counts(), list[str]()
    policy = read_policy(options)
    with in_account(options) as account, output(options) as out, interruptible(stop):
        now = account.clock.now()
        accounts = {one.account for one in asked}
        only = () if None in accounts else accounts
        reached = await connect(account, options.regions, policy, counts, stop, only)
        apis = reached.apis
        errors += reached.unusable.values()
        try:
            found = [
                explanation
                for one in asked
                for explanation in await _explanations(apis, one, policy, now, stop, errors)
            ]
        except StoppedError:
            return Exit.INTERRUPTED
        if options.format is Format.JSON:
            info = run_info(options, "explain", policy, apis, now, uuid.uuid4().hex, dry_run=True)
            prices = price_list(policy.prices)
            groups = [explanation.as_dict(prices) for explanation in found]
            out.write(json.dumps({"run": info.as_dict(), "groups": groups}, indent=2) + "\n")
        else:
            out.write("\n".join(explaining.text(explanation) for explanation in found))
    for error in errors:
        complain(f"error: {error}")
    if errors:
        return Exit.INCOMPLETE
    unclear = (one.group for one in found if one.unclear)
    accepted = (policy.acknowledged_until(group, now) for group in unclear)
    return Exit.DONE if all(accepted) else Exit.UNJUDGED


async def _explanations(
    apis: list[Api], asked: _Asked, policy: Policy, now: int, stop: Stop, errors: list[str]
) -> list[Explanation]:
    """One for each log group that is meant. Raises UsageError where there is none."""
    explained: list[Explanation] = []
    if not (there := [api for api in apis if asked.there(api)]):
        places = ", ".join(str(api.target) for api in apis)
        raise UsageError(f"{asked.name} is in {asked.account}/{asked.region}, not in {places}")
    for api in there:
        try:
            found = await _found(api, asked)
        except ReadError as error:
            errors.append(f"{api.target}: could not be searched: {error}")
            continue
        for group, at in found:
            explained.append(await explaining.explain(api, group, at, policy, now, stop))
    if not explained:
        nowhere = [line async for line in _nowhere(there, asked)]
        raise UsageError("\n".join([*errors, *nowhere]))
    return explained


async def _found(api: Api, asked: _Asked) -> list[tuple[LogGroup, int]]:
    """The log groups that are meant, and when they were read. Raises what reading raises, and
    UsageError on a glob that matches too many.
    """
    if not asked.glob:
        found = await explaining.find(api, asked.name)
        return [] if found is None else [found]
    groups: list[tuple[LogGroup, int]] = []
    async for page, _ in Logs(api).groups():
        at = api.clock.now()
        groups += [(group, at) for group in page if matches(asked.name, group.name)]
        if len(groups) > MOST:
            raise UsageError(
                f"{asked.name!r} matches more than {MOST} log groups in {api.target}; "
                "give a narrower glob, or use `janitor report --all`"
            )
    return groups


async def _nowhere(apis: list[Api], asked: _Asked) -> AsyncIterator[str]:
    """That no group has the name, which have one like it, and among how many that was looked for.

    A Region that cannot be read was told of already, and holds no name to propose.
    """
    places, name = ", ".join(str(api.target) for api in apis), asked.name
    if asked.glob:
        yield f"no log group matches {name!r} in {places}"
        return
    yield f"no log group is named {name!r} in {places}"
    looks, read = explaining.ReadTimes.like(name), 0
    for api in apis:
        with contextlib.suppress(*ReadError):
            names = await looks.names(api)
            read += len(names)
            if near := explaining.nearest(name, names):
                yield f"nearest names in {api.target}:"
                for other in near:
                    yield f"  {other}"
    yield f"searched {read} names that {looks}"
    yield f"(in each Region at most {explaining.PAGES_A_LOOK} pages of each kind)"
