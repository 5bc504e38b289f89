"""Run one command and tell what it used: `python -I -S measure.py REPORT TIMEOUT CPU COMMAND…`.

CPU is empty, or what holds the command to a small one (see `tests.bench.small`).
A process of its own, because Linux counts the memory of whoever starts a process as the new
process's peak, and the benchmark itself holds a million log groups.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import time

PERIOD = 0.1
"""Seconds: the kernel's default for a quota as well."""


def main(report: str, timeout: str, cpu: str, *command: str) -> None:
    """Wall time is the caller's matter; here are CPU seconds, peak bytes and the exit code."""
    if cpu.startswith("/"):
        with open(os.path.join(cpu, "cgroup.procs"), "w", encoding="ascii") as processes:
            processes.write("0")
    child = os.posix_spawn(command[0], command, os.environ)
    timed_out = False

    def too_late(_signal: int, _frame: object) -> None:
        nonlocal timed_out
        timed_out = True
        with contextlib.suppress(ProcessLookupError):  # it has just ended by itself
            os.kill(child, signal.SIGKILL)

    signal.signal(signal.SIGALRM, too_late)
    signal.setitimer(signal.ITIMER_REAL, float(timeout))
    if cpu and not cpu.startswith("/"):
        _stand_still(child, float(cpu))
    _, status, usage = os.wait4(child, 0)
    signal.setitimer(signal.ITIMER_REAL, 0)
    used = {
        "code": os.waitstatus_to_exitcode(status),
        "timed_out": timed_out,
        "cpu": usage.ru_utime + usage.ru_stime,
        "max_rss": usage.ru_maxrss * 1024,
    }
    with open(report, "w", encoding="utf-8") as file:
        json.dump(used, file)


def _stand_still(child: int, share: float) -> None:
    """Let it run for a share of each period only, until it ends. That is harder than a quota, which
    a process saves up while it waits.
    """
    while os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
        os.kill(child, signal.SIGCONT)
        time.sleep(PERIOD * share)
        os.kill(child, signal.SIGSTOP)
        time.sleep(PERIOD * (1 - share))


if __name__ == "__main__":
    main(*sys.argv[1:])
