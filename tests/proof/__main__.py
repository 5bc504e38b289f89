"""Try the properties of `tests.proof.test_proof` on many random accounts, on every core.

    python -m tests.proof --accounts 10000 --minutes 45 [--seed SEED] [--write docs/proof.md]

Prints (and writes) what was tried, and exits with 1 if anything failed. The command to repeat a
failed batch, `--only PROPERTY --accounts 25 --seed SEED`, is printed with it.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import time
import traceback
from collections import Counter
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from pathlib import Path

from hypothesis import Phase, seed, settings

from tests import conftest
from tests.proof import test_proof
from tests.proof.engine import TALLY

assert conftest, "registers the profiles"
BATCH = 25


def batch(name: str, start: int, accounts: int) -> tuple[str, int, Counter[str], str]:
    """Try examples of a property from a seed: return what was tried, and how it failed, if it
    did.
    """
    TALLY.clear()  # this process may have run another batch
    options = settings(
        settings.get_profile("deep"),
        max_examples=accounts,
        phases=[Phase.generate],
        database=None,
    )
    failure = ""
    try:
        seed(start)(options(test_proof.property_test(name)))()
    except Exception as error:  # noqa: BLE001  # a failure is reported, and the other batches run
        notes = "\n".join(getattr(error, "__notes__", []))
        failure = f"{traceback.format_exc(limit=-3)}\n{notes}"
    return name, start, TALLY, failure


def main() -> int:
    """Run as many batches as were asked for, or as there is time for."""
    parser = argparse.ArgumentParser(prog="python -m tests.proof")
    parser.add_argument("--accounts", type=int, default=10_000)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**32))
    parser.add_argument("--only", choices=list(test_proof.GIVEN))
    parser.add_argument("--write", type=Path, help="a file for the result")
    options = parser.parse_args()
    sys.stdout.write(f"seed {options.seed}\n")
    sys.stdout.flush()
    names = [options.only] if options.only else list(test_proof.GIVEN)
    jobs = [
        (names[number % len(names)], options.seed + number, min(BATCH, options.accounts))
        for number in range(max(1, options.accounts // BATCH))
    ]
    total, by_name, failures = Counter[str](), dict.fromkeys(names, 0), 0
    ends = time.monotonic() + options.minutes * 60
    with ProcessPoolExecutor() as pool:
        running: set[Future[tuple[str, int, Counter[str], str]]] = set()
        while jobs or running:
            while jobs and len(running) < (os.cpu_count() or 1) and time.monotonic() < ends:
                running.add(pool.submit(batch, *jobs.pop(0)))
            if not running:
                break
            finished, running = wait(running, return_when=FIRST_COMPLETED)
            for future in finished:
                name, start, tally, failure = future.result()
                total.update(tally)
                by_name[name] += tally["accounts"]
                if failure:
                    failures += 1
                    again = f"--only {name} --accounts {BATCH} --seed {start}"
                    sys.stdout.write(f"FAILED: {again}\n{failure}\n")
    text = summary(total, by_name, failures, options.seed)
    sys.stdout.write(text + "\n")
    if options.write:
        options.write.parent.mkdir(exist_ok=True)
        options.write.write_text(text + "\n")
    return min(failures, 1)


def summary(total: Counter[str], by_name: dict[str, int], failures: int, first: int) -> str:
    """Return the result as Markdown."""

    def n(key: str) -> str:
        return f"{total[key]:,}"

    rows = "\n".join(f"| `test_{name}` | {count:,} |" for name, count in by_name.items())
    return f"""| property (`tests/proof/test_proof.py`) | accounts |
|---|---|
{rows}

{n("accounts")} accounts, {n("runs")} runs, {n("calls")} calls, {n("faults")} faults,
{n("kills")} runs killed; {n("delete_group")} log groups deleted, {n("sweep_streams")} log streams
swept, retention set on {n("set_retention")}. **{failures} failed**
(`python -m tests.proof --seed {first}`)."""


if __name__ == "__main__":
    sys.exit(main())
