"""Run one command and report what it used: `python -I -S measure.py REPORT TIMEOUT CPU COMMAND…`.

CPU is empty, or limits the command to a small one (see `tests.bench.small`). This is a separate
process, because Linux counts the memory of the parent as the new process's peak, and the benchmark
itself holds a million log groups.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import time

PERIOD = 0.1
"""Seconds; also the kernel's default for a CPU quota."""


def main(report: str, timeout: str, cpu: str, *command: str) -> None:
    """Write the exit code, CPU seconds and peak bytes of the command; the caller measures time."""
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
        _stop_and_go(child, float(cpu))
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


def _stop_and_go(child: int, share: float) -> None:
    """Let the child run only for a share of each period, until it ends. That is stricter than a
    quota, which a process saves up while it waits.
    """
    while os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
        os.kill(child, signal.SIGCONT)
        time.sleep(PERIOD * share)
        os.kill(child, signal.SIGSTOP)
        time.sleep(PERIOD * (1 - share))


if __name__ == "__main__":
    main(*sys.argv[1:])
