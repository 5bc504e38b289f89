"""A CPU of which only a part is there, as AWS Lambda gives it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PERIOD_US = 100_000


@dataclass(frozen=True, slots=True)
class Small:
    """What `measure.py` is told, and how to call it in the table."""

    cpu: str
    how: str


@contextlib.contextmanager
def small(share: float, mounted: Path = Path("/sys/fs/cgroup")) -> Iterator[Small]:
    """A CPU quota of the kernel, where it lets this user make one (cgroups of version 1 or 2).

    Otherwise the process is stopped for the rest of each tenth of a second.
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
    """A cgroup with that in its file, or None."""
    group = parent / f"janitor-bench-{os.getpid()}"
    try:
        group.mkdir()
    except OSError:
        return None
    try:
        with (group / file).open("r+") as limit:  # which the kernel makes, not we
            limit.write(text)
    except OSError:
        group.rmdir()
        return None
    return group
