"""Finds Chromium for the tests of the HTML report."""

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
    """Return the path of a browser, which `CHROMIUM` overrides; None if there is none."""
    named = os.environ.get("CHROMIUM")
    return named or next(filter(None, map(shutil.which, NAMES)), None)


def arguments() -> list[str]:
    """Return Chromium's arguments; its sandbox does not work for root, as in containers."""
    as_root = hasattr(os, "geteuid") and os.geteuid() == 0
    return ["--no-sandbox"] if as_root else []
