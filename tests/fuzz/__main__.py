"""Fuzz each loader for a number of minutes.

    python -m tests.fuzz [--minutes 5] [--seed SEED] [--only LOADER]

It prints what was tried. An input that raises an undocumented error, or takes longer than a few
seconds, is kept in build/fuzz/, and the exit code is 1. The same seed produces the same inputs.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import sys
import time
import traceback
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.fuzz.loaders import LOADERS

KEPT = Path("build/fuzz")
SLOW = 5.0
"""Seconds of CPU that an input may take at most."""
MOST_KEPT = 10


def fuzz(name: str, seed: int, *, seconds: float, most: int = sys.maxsize) -> list[bytes]:
    """Return the inputs on which a loader failed, after at most so many seconds and inputs."""
    loader, documented = LOADERS[name]
    dice, failing, ends = random.Random(f"{name} {seed}"), list[bytes](), Counter[str]()
    began = time.monotonic()
    with TemporaryDirectory(prefix="janitor-fuzz-") as folder, open(os.devnull, "w") as nowhere:
        with contextlib.redirect_stdout(nowhere):
            make, load = loader(Path(folder))
        while (
            time.monotonic() - began < seconds and ends.total() < most and len(failing) < MOST_KEPT
        ):
            body, used = make(dice), time.process_time()
            try:
                with contextlib.redirect_stdout(nowhere):  # the function's log
                    load(body)
                ends["loaded"] += 1
            except documented as error:
                ends[type(error).__name__] += 1
            except Exception as error:  # noqa: BLE001  # undocumented errors are the failures
                ends[f"{type(error).__name__}!"] += 1
                failing.append(body)
                sys.stderr.write(f"{name}: {traceback.format_exc(limit=-4)}\n")
            if time.process_time() - used > SLOW:
                ends["too slow!"] += 1
                failing.append(body)
    results = ", ".join(f"{count:,} {end}" for end, count in ends.most_common())
    took = time.monotonic() - began
    sys.stdout.write(f"{name}: {ends.total():,} inputs in {took:.0f} s: {results}\n")
    sys.stdout.flush()
    return failing


def main() -> int:
    """Fuzz each loader, and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz")
    parser.add_argument("--minutes", type=float, default=5)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**32))
    parser.add_argument("--only", choices=[*LOADERS])
    options = parser.parse_args()
    sys.stdout.write(f"seed {options.seed}\n")
    failed = 0
    for name in [options.only] if options.only else LOADERS:
        for body in fuzz(name, options.seed, seconds=options.minutes * 60):
            KEPT.mkdir(parents=True, exist_ok=True)
            path = KEPT / f"{name}-{failed}"
            path.write_bytes(body)
            sys.stdout.write(f"kept: {path}\n")
            failed += 1
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
