"""`explain`: every rule and piece of evidence for log groups."""

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
from janitor.aws.regions import check_region, one_partition
from janitor.core.clock import Stop, StoppedError
from janitor.core.errors import UsageError
from janitor.core.exit_codes import Exit
from janitor.core.model import LogGroup, Target
from janitor.cost.prices import price_list
from janitor.owners.owners import OwnerCache
from janitor.policy.file import Policy
from janitor.policy.patterns import matches
from janitor.report.base import Format, check_table_or_json
from janitor.terminal import explanation as explaining
from janitor.terminal.account import connect, in_account
from janitor.terminal.explanation import Explanation
from janitor.terminal.options import Options, read_policy
from janitor.terminal.output import complain, output, run_info
from janitor.terminal.signals import interruptible

ARN = re.compile(r"arn:(aws[a-z-]*):logs:([a-z0-9-]+):(\d{12}):log-group:([^:]+)(:\*)?")
MOST = 50
"""Log groups that one glob may match, because each takes several calls to explain."""


@dataclass(frozen=True, slots=True)
class _Search:
    """A name or glob to look for; account and Region are set if it was given as an ARN."""

    name: str
    account: str | None = None
    region: str | None = None

    @classmethod
    def parse(cls, word: str) -> _Search:
        """Raises UsageError on anything but the name, glob or ARN of a log group."""
        if (arn := ARN.fullmatch(word)) is None:
            search = cls(word)
        else:
            check_region(arn[2], word)
            one_partition([arn[2]], [word])
            search = cls(arn[4], arn[3], arn[2])
        explaining.check_name(search.name)
        return search

    @property
    def glob(self) -> bool:
        """Whether it is a glob: names of log groups have none of these characters."""
        return any(sign in self.name for sign in "*?[")

    def covers(self, target: Target) -> bool:
        """Return whether to look in the target."""
        return self.region in (None, target.region) and self.account in (None, target.account)


def explain(options: Options, names: tuple[str, ...]) -> Exit:
    """Print every rule and piece of evidence for the log groups with these names, in all targets.

    A name may be a glob or an ARN, whose Region is used if no option gives one.
    `--format json` prints `{"run": {...}, "groups": [...]}` (`Explanation.as_dict`).
    """
    check_table_or_json("explain", options.format)
    searches = [_Search.parse(name) for name in names]
    regions = tuple(dict.fromkeys(one.region for one in searches if one.region))
    if not options.regions and regions and len(regions) == len({one.region for one in searches}):
        options = replace(options, regions=regions)
    return asyncio.run(_explain(options, searches))


async def _explain(options: Options, searches: list[_Search]) -> Exit:
    stop, counts, errors = Stop(), Counts(), list[str]()
    policy = read_policy(options)
    with in_account(options) as account, output(options) as out, interruptible(stop):
        now = account.clock.now()
        accounts = {search.account for search in searches}
        only = () if None in accounts else accounts
        reached = await connect(account, options.regions, policy, counts, stop, only)
        apis, owner_cache = reached.apis, OwnerCache()
        errors += reached.unusable.values()
        try:
            found = [
                explanation
                for search in searches
                for explanation in await _explanations(
                    apis, search, policy, now, stop, owner_cache, errors
                )
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
    acknowledged = (policy.acknowledged_until(group, now) for group in unclear)
    return Exit.DONE if all(acknowledged) else Exit.UNJUDGED


async def _explanations(
    apis: list[Api],
    search: _Search,
    policy: Policy,
    now: int,
    stop: Stop,
    owner_cache: OwnerCache,
    errors: list[str],
) -> list[Explanation]:
    """Return one for each log group found. Raises UsageError if there is none."""
    explained: list[Explanation] = []
    if not (covered := [api for api in apis if search.covers(api.target)]):
        places = ", ".join(str(api.target) for api in apis)
        raise UsageError(f"{search.name} is in {search.account}/{search.region}, not in {places}")
    for api in covered:
        try:
            found = await _find(api, search)
        except ReadError as error:
            errors.append(f"{api.target}: could not be searched: {error}")
            continue
        for group, at in found:
            one = await explaining.explain(api, group, at, policy, now, stop, owner_cache)
            explained.append(one)
    if not explained:
        lines = [line async for line in _not_found(covered, search)]
        raise UsageError("\n".join([*errors, *lines]))
    return explained


async def _find(api: Api, search: _Search) -> list[tuple[LogGroup, int]]:
    """Return the log groups and when they were read. Raises what reading raises, and UsageError on
    a glob that matches too many.
    """
    if not search.glob:
        found = await explaining.find(api, search.name)
        return [] if found is None else [found]
    groups: list[tuple[LogGroup, int]] = []
    async for page, _ in Logs(api).groups(prefix=re.split(r"[*?\[]", search.name)[0]):
        at = api.clock.now()
        groups += [(group, at) for group in page if matches(search.name, group.name)]
        if len(groups) > MOST:
            raise UsageError(
                f"{search.name!r} matches more than {MOST} log groups in {api.target}; "
                "give a narrower glob, or use `janitor report --all`"
            )
    return groups


async def _not_found(apis: list[Api], search: _Search) -> AsyncIterator[str]:
    """Yield that no log group has the name, similar names, and how many names were searched.

    A Region that cannot be read has been reported already.
    """
    places, name = ", ".join(str(api.target) for api in apis), search.name
    if search.glob:
        yield f"no log group matches {name!r} in {places}"
        return
    yield f"no log group is named {name!r} in {places}"
    similar, read = explaining.SimilarNames.of(name), 0
    for api in apis:
        with contextlib.suppress(*ReadError):
            names = await similar.read(api)
            read += len(names)
            if near := explaining.nearest(name, names):
                yield f"nearest names in {api.target}:"
                for other in near:
                    yield f"  {other}"
    yield f"searched {read} names that {similar}"
    yield f"(in each Region at most {explaining.PAGES_A_SEARCH} pages of each kind)"
