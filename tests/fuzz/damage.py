"""Damaged texts, JSON values and JSON lines."""

from __future__ import annotations

import json
from random import Random
from typing import Any

SCRAPS = (
    *('"', "'", "{", "}", "[", "]", ",", ":", "\\", "\n", "\r", "\t", "\0", "#", "=", "."),
    *("\u2028", "\u2029", "\u0085", "\u202e", "\ufeff", "😀", "\\ud800", "\\u0000", "\x1b[2J"),
    *("null", "true", "NaN", "-1", "1e999", "9" * 5_000, "[" * 3_000, '{"a":' * 3_000),
    *('{"event": "journal", ', '"""', "[[rules]]\n", "re:(a+)+$", "re:[", "../../etc/passwd"),
)
ODD: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 2**31, 2**63, 10**30, -(10**30), 0.5, -0.0, 1e308),
    *("", " ", "x", "\u2028", "\0", "\ud800", "\x1b[2J", "x" * 100_000, "9" * 40, "é" * 600),
    *(
        [],
        {},
        [None],
        {"": None},
        [[]],
        [{}],
        {"a": {"a": {"a": []}}},
        "arn:aws:logs:x",
        "*",
        "re:(",
    ),
)


def text(dice: Random, seed: str) -> str:
    """Return a text with pieces removed, doubled, replaced or inserted."""
    for _ in range(dice.choice((1, 1, 1, 2, 4))):
        at, to = sorted(dice.randrange(len(seed) + 1) for _ in range(2))
        if dice.random() < 0.5:
            to = min(at + dice.randrange(1, 9), len(seed))
        seed = dice.choice(
            (
                seed[:at] + seed[to:],
                seed[:to] + seed[at:to] + seed[to:],
                seed[:at] + dice.choice(SCRAPS) + seed[to:],
                seed[:at] + dice.choice(SCRAPS) + seed[at:],
                seed[:to],
            )
        )[:1_000_000]
    return seed


def value(dice: Random, seed: Any) -> Any:
    """Return a JSON value in which one value is replaced, missing or added."""
    if isinstance(seed, dict) and seed and dice.random() < 0.9:
        damaged, key = dict(seed), dice.choice([*seed])
        match dice.randrange(8):
            case 0:
                del damaged[key]
            case 1:
                damaged[dice.choice(("x", "", "\u2028", *seed))] = dice.choice((*ODD, seed[key]))
            case _:
                damaged[key] = value(dice, seed[key])
        return damaged
    if isinstance(seed, list) and seed and dice.random() < 0.9:
        at = dice.randrange(len(seed))
        return [*seed[:at], value(dice, seed[at]), *seed[at + dice.randrange(2) :]]
    return dice.choice(ODD)


def lines(dice: Random, seed: str) -> str:
    """Return JSON lines of which some are damaged or doubled."""
    found = seed.splitlines()
    for _ in range(dice.choice((1, 1, 2))):
        at = dice.randrange(len(found))
        try:
            found[at] = json.dumps(
                value(dice, json.loads(found[at])), ensure_ascii=dice.random() < 0.5
            )
        except ValueError:
            found[at] = text(dice, found[at])
        if dice.random() < 0.2:
            found.insert(dice.randrange(len(found)), dice.choice(found))
    whole = "".join(f"{line}\n" for line in found)
    return text(dice, whole) if dice.random() < 0.3 else whole
