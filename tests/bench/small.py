"""A share of a CPU, as AWS Lambda gives it to small functions."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PERIOD_US = 100_000


@dataclass(frozen=True, slots=True)
class Small:
    """The CPU argument of `measure.py`, and its description in the table."""

    cpu: str
    how: str


@contextlib.contextmanager
def small(share: float, mounted: Path = Path("/sys/fs/cgroup")) -> Iterator[Small]:
    """A CPU quota of the kernel, if this user may create one (cgroups v1 or v2). Otherwise the
    process is stopped for the rest of each tenth of a second.
    """
    quota = round(share * PERIOD_US)
    group = _group(mounted / "cpu", "cpu.cfs_quota_us", f"{quota}") or _group(
        mounted, "cpu.max", f"{quota} {PERIOD_US}"
    )
    if group is None:
        yield Small(str(share), "by stopping the process again and again")
        return
    try:
        yield Small(str(group), "a CPU quota")
    finally:
        group.rmdir()


def _group(parent: Path, file: str, text: str) -> Path | None:
    """Create a cgroup with this limit; return None if that is not possible."""
    group = parent / f"janitor-bench-{os.getpid()}"
    try:
        group.mkdir()
    except OSError:
        return None
    try:
        with (group / file).open("r+") as limit:  # the kernel creates it
            limit.write(text)
    except OSError:
        group.rmdir()
        return None
    return group
