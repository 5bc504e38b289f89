"""How a process of the janitor's own is set up: one event loop, and calls on threads."""

from __future__ import annotations

import contextlib
import gc
import math
import os
import random
from collections.abc import Iterator, Mapping
from pathlib import Path

GARBAGE = 20_000
"""Objects between two searches for reference cycles. Python's 700 cost a ninth of a run's CPU time,
because boto3 makes hundreds of objects a call, and few cycles.
"""

A_CPU_MB = 1769
"""Memory for which Lambda gives a function one CPU (Lambda developer guide, "Configure Lambda
function memory").
"""


def set_up(environment: Mapping[str, str] = os.environ) -> None:
    """Set up this process. Threads started before keep to the CPUs they had."""
    gc.set_threshold(GARBAGE)
    if _cpus(environment) < 1:
        # Several CPUs, each for a part of the time, as Lambda has them: there the threads wake each
        # other up on another one to wait for Python's lock, for a quarter of all CPU time.
        with contextlib.suppress(AttributeError, OSError):  # not Linux, or not allowed
            os.sched_setaffinity(0, {random.choice([*os.sched_getaffinity(0)])})


def _cpus(
    environment: Mapping[str, str],
    own: Path = Path("/proc/self/cgroup"),
    mounted: Path = Path("/sys/fs/cgroup"),
) -> float:
    """How many CPUs the process may use at most: by Lambda's memory size, or by a container's quota
    (cgroups, version 1 or 2). Infinite if neither says.
    """
    memory = environment.get("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "")
    if memory.isdecimal():
        return int(memory) / A_CPU_MB
    return min(_quotas(own, mounted), default=math.inf)


def _quotas(own: Path, mounted: Path) -> Iterator[float]:
    """The quotas, in CPUs, of the process's own group and of the outermost that can be seen."""
    with contextlib.suppress(OSError):
        groups = {line.split(":", 2)[2] for line in own.read_text().splitlines()} | {"/"}
        for group in groups:
            for folder in (mounted / group.lstrip("/"), mounted / "cpu" / group.lstrip("/")):
                with contextlib.suppress(OSError, ValueError):  # there is none, or it is "max"
                    quota, period = (folder / "cpu.max").read_text().split()
                    yield int(quota) / int(period)
                with contextlib.suppress(OSError):
                    quota = (folder / "cpu.cfs_quota_us").read_text()
                    if int(quota) > 0:  # -1 is none
                        yield int(quota) / int((folder / "cpu.cfs_period_us").read_text())
