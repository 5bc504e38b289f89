"""`explain`: each rule and each piece of evidence for one log group."""

from __future__ import annotations

import contextlib
import json
import sys
import threading
import uuid
from collections.abc import Iterator

from janitor.aws.api import Api, Counts, ReadError
from janitor.aws.pace import StoppedError
from janitor.core.errors import Exit, UsageError
from janitor.core.text import visible
from janitor.cost.money import price_list
from janitor.engine import explain as explaining
from janitor.engine.explain import Explanation
from janitor.engine.summary import Summary
from janitor.policy.file import Policy
from janitor.report import Format
from janitor.terminal.shared import (
    Options,
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
    stop, counts, summary = threading.Event(), Counts(), Summary()
    policy = read_policy(options)
    with (
        in_account(options) as account,
        output(options) as out,
        interruptible(summary, stop),
    ):
        now = account.clock.now()
        apis = connect(account, options.regions, policy, counts, stop)
        try:
            told = _explanations(apis, name, policy, now, stop, summary)
        except StoppedError:
            return Exit.INTERRUPTED
        if options.format is Format.JSON:
            info = run_info(options, "explain", policy, apis, now, uuid.uuid4().hex, dry_run=True)
            prices = price_list(policy.prices)
            groups = [explanation.as_dict(prices) for explanation in told]
            out.write(json.dumps({"run": info.as_dict(), "groups": groups}, indent=2) + "\n")
        else:
            out.write("\n".join(explaining.text(explanation) for explanation in told))
    for error in summary.errors:
        sys.stderr.write(f"janitor: error: {visible(error)}\n")
    return max([summary.exit_code(), *(explanation.exit_code for explanation in told)])


def _explanations(
    apis: list[Api],
    name: str,
    policy: Policy,
    now: int,
    stop: threading.Event,
    summary: Summary,
) -> list[Explanation]:
    """One for each target that has the group. Raises UsageError where none has."""
    told: list[Explanation] = []
    for api in apis:
        try:
            found = explaining.find(api, name)
        except ReadError as error:
            summary.error(f"{api.target}: could not be looked into: {error}")
            continue
        if found is not None:
            told.append(explaining.explain(api, *found, policy, now, stop))
    if not told:
        raise UsageError("\n".join([*summary.errors, *_nowhere(apis, name)]))
    return told


def _nowhere(apis: list[Api], name: str) -> Iterator[str]:
    """That no group has the name, which have one like it, and among how many that was looked for.

    A Region that cannot be read was told of already, and holds no name to propose.
    """
    yield f"no log group is named {name!r} in {', '.join(str(api.target) for api in apis)}"
    looks, read = explaining.Looks.like(name), 0
    for api in apis:
        with contextlib.suppress(*ReadError):
            names = looks.names(api)
            read += len(names)
            if near := explaining.nearest(name, names):
                yield f"nearest in {api.target}:"
                yield from (f"  {other}" for other in near)
    yield f"looked among {read} names that {looks}"
    yield f"(in each Region at most {explaining.PAGES_A_LOOK} pages of each kind)"
