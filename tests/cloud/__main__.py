"""The simulator as a process of its own: `python -m tests.cloud --scenario bench`.

Prints one JSON line with its URL and the AWS_… variables that lead there, then serves until its
stdin ends or it is interrupted, and prints the verdict as a second line. `GET /_verdict` tells it
while it runs.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import json
import signal
import sys

from tests.cloud.cloud import Cloud
from tests.cloud.faults import Rates
from tests.cloud.scenarios import SCENARIOS, targets


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.cloud", description=__doc__)
    parser.add_argument("--scenario", choices=[*SCENARIOS, "targets"], default="bench")
    parser.add_argument(
        "--groups", type=int, help="how many; the scenario's own number if left out"
    )
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--latency", type=float, default=0.03, help="seconds")
    parser.add_argument("--jitter", type=float, default=0.01, help="seconds")
    parser.add_argument("--no-quotas", action="store_true")
    parser.add_argument("--empty-pages", type=float, default=0.0, help="share, 0 to 1")
    parser.add_argument("--faults", type=_share, default=0.0, help="share of each kind, 0 to 0.1")
    options = parser.parse_args()
    size = {} if options.groups is None else {"groups": options.groups}
    make = targets if options.scenario == "targets" else SCENARIOS[options.scenario]
    scenario = make(seed=options.seed, **size)
    # What is there now stays; looking through it again and again would cost time.
    gc.collect()
    gc.freeze()
    share = options.faults
    faults = Rates(
        seed=options.seed,
        throttle=share,
        unavailable=share,
        internal=share,
        reset_before=share,
        reset_after=share,
        garbage=share,
        aborted=share,
    )
    cloud = Cloud(
        scenario.store,
        quotas=not options.no_quotas,
        latency=options.latency,
        jitter=options.jitter,
        faults=faults if share else None,
        empty_pages=options.empty_pages,
        seed=options.seed,
        port=options.port,
    )
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with cloud:
        _say({"url": cloud.url, "environment": cloud.environment()})
        with contextlib.suppress(KeyboardInterrupt):
            sys.stdin.read()
        _say(cloud.judge().summary())


def _share(text: str) -> float:
    share = float(text)
    if not 0 <= share <= 0.1:
        raise argparse.ArgumentTypeError(f"{text} is not within 0 to 0.1")
    return share


def _say(value: object) -> None:
    sys.stdout.write(json.dumps(value) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
