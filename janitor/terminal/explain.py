"""`explain`: each rule and each piece of evidence for one log group."""

from __future__ import annotations

import asyncio
import contextlib
import json
import uuid
from collections.abc import AsyncIterator

from janitor.aws.api import Api, Counts, ReadError
from janitor.core.clock import Stop, StoppedError
from janitor.core.errors import Exit, UsageError
from janitor.cost.money import price_list
from janitor.policy.file import Policy
from janitor.report.base import Format
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


def explain(options: Options, name: str) -> Exit:
    """Each rule and each piece of evidence for one log group, wherever there is one of that name.

    `--format json` prints `{"run": {...}, "groups": [...]}` (`Explanation.as_dict`).
    """
    if options.format not in (Format.TABLE, Format.JSON):
        raise UsageError(f"--format: explain prints table or json, not {options.format}")
    explaining.checked_name(name)
    return asyncio.run(_explain(options, name))


async def _explain(options: Options, name: str) -> Exit:
    stop, counts, errors = Stop(), Counts(), list[str]()
    policy = read_policy(options)
    with in_account(options) as account, output(options) as out, interruptible(stop):
        now = account.clock.now()
        apis = await connect(account, options.regions, policy, counts, stop, errors.append)
        try:
            found = await _explanations(apis, name, policy, now, stop, errors)
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
    apis: list[Api], name: str, policy: Policy, now: int, stop: Stop, errors: list[str]
) -> list[Explanation]:
    """One for each target that has the group. Raises UsageError where none has."""
    explained: list[Explanation] = []
    for api in apis:
        try:
            found = await explaining.find(api, name)
        except ReadError as error:
            errors.append(f"{api.target}: could not be looked into: {error}")
            continue
        if found is not None:
            explained.append(await explaining.explain(api, *found, policy, now, stop))
    if not explained:
        nowhere = [line async for line in _nowhere(apis, name)]
        raise UsageError("\n".join([*errors, *nowhere]))
    return explained


async def _nowhere(apis: list[Api], name: str) -> AsyncIterator[str]:
    """That no group has the name, which have one like it, and among how many that was looked for.

    A Region that cannot be read was told of already, and holds no name to propose.
    """
    yield f"no log group is named {name!r} in {', '.join(str(api.target) for api in apis)}"
    looks, read = explaining.ReadTimes.like(name), 0
    for api in apis:
        with contextlib.suppress(*ReadError):
            names = await looks.names(api)
            read += len(names)
            if near := explaining.nearest(name, names):
                yield f"nearest in {api.target}:"
                for other in near:
                    yield f"  {other}"
    yield f"looked among {read} names that {looks}"
    yield f"(in each Region at most {explaining.PAGES_A_LOOK} pages of each kind)"
