"""Debian's Chromium for the tests of the HTML report, and what is said where there is none."""

from __future__ import annotations

import os
import shutil

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
MISSING = (
    "no browser: none of chromium, chromium-browser and google-chrome is on the path "
    "(Debian: apt-get install chromium)"
)
LEFT_OUT = f"LEFT OUT: the HTML report was not tried in a browser; {MISSING}"


def chromium() -> str | None:
    """The path of a browser; `CHROMIUM` names another one. None: there is none."""
    named = os.environ.get("CHROMIUM")
    return named or next(filter(None, map(shutil.which, NAMES)), None)


def arguments() -> list[str]:
    """The sandbox of Chromium does not work for root, as in containers."""
    as_root = hasattr(os, "geteuid") and os.geteuid() == 0
    return ["--no-sandbox"] if as_root else []
