"""Damages what each loader reads, again and again, for so many minutes each.

    python -m tests.fuzz [--minutes 5] [--seed SEED] [--only LOADER]

Prints what was tried. What ends in another error than the loader's own, or takes longer than a few
seconds, is kept in build/fuzz/ and ends in exit code 1; with that seed it comes again.
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
"""Seconds of CPU in which every input must have been dealt with."""
MOST_KEPT = 10


def fuzz(name: str, seed: int, *, seconds: float, most: int = sys.maxsize) -> list[bytes]:
    """What was not dealt with of so many trials of a loader, or of what fits into the time."""
    loader, own = LOADERS[name]
    dice, wrong, ends = random.Random(f"{name} {seed}"), list[bytes](), Counter[str]()
    began = time.monotonic()
    with TemporaryDirectory(prefix="janitor-fuzz-") as folder, open(os.devnull, "w") as nowhere:
        with contextlib.redirect_stdout(nowhere):
            make, load = loader(Path(folder))
        while time.monotonic() - began < seconds and ends.total() < most and len(wrong) < MOST_KEPT:
            body, used = make(dice), time.process_time()
            try:
                with contextlib.redirect_stdout(nowhere):  # the function's log
                    load(body)
                ends["loaded"] += 1
            except own as error:
                ends[type(error).__name__] += 1
            except Exception as error:  # noqa: BLE001  # that is what is looked for
                ends[f"{type(error).__name__}!"] += 1
                wrong.append(body)
                sys.stderr.write(f"{name}: {traceback.format_exc(limit=-4)}\n")
            if time.process_time() - used > SLOW:
                ends["too slow!"] += 1
                wrong.append(body)
    said = ", ".join(f"{count:,} {end}" for end, count in ends.most_common())
    took = time.monotonic() - began
    sys.stdout.write(f"{name}: {ends.total():,} inputs in {took:.0f} s: {said}\n")
    sys.stdout.flush()
    return wrong


def main() -> int:
    """Try each loader."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz")
    parser.add_argument("--minutes", type=float, default=5)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**32))
    parser.add_argument("--only", choices=[*LOADERS])
    said = parser.parse_args()
    sys.stdout.write(f"seed {said.seed}\n")
    failed = 0
    for name in [said.only] if said.only else LOADERS:
        for body in fuzz(name, said.seed, seconds=said.minutes * 60):
            KEPT.mkdir(parents=True, exist_ok=True)
            path = KEPT / f"{name}-{failed}"
            path.write_bytes(body)
            sys.stdout.write(f"kept: {path}\n")
            failed += 1
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
