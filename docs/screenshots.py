"""The pictures in `docs/images/`, of the sandbox account: `make screenshots`.

terminal.svg is what `janitor report --sandbox` prints; report.png and report-dark.png are its page.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import sys
import tempfile
from pathlib import Path
from typing import Literal
from unittest.mock import patch

from playwright.sync_api import Browser, ViewportSize, sync_playwright
from rich.console import Console
from rich.text import Text

from janitor.terminal.cli import main as janitor
from tests.report.browser import MISSING, arguments, chromium

IMAGES = Path(__file__).parent / "images"
COLUMNS = 100
LINES = 46
VIEW: ViewportSize = {"width": 1360, "height": 1290}
WORDS = ["report", "--sandbox", "--ingestion", "--quiet"]
# The font of rich's picture would be fetched from a server.
FONTS = re.compile(r"@font-face\s*\{.*?\}\s*", re.S)


def terminal() -> str:
    """The first lines of the table, as an SVG picture of a terminal."""
    out = io.StringIO()
    wanted = {"COLUMNS": str(COLUMNS), "FORCE_COLOR": "1", "TERM": "xterm-256color"}
    with patch.dict(os.environ, wanted), contextlib.redirect_stdout(out):
        janitor(WORDS)
    lines = [line.rstrip() for line in out.getvalue().splitlines()[:LINES]]
    console = Console(record=True, width=COLUMNS, file=io.StringIO())
    console.print(Text("$ janitor report --sandbox --ingestion", style="bold"))
    console.print(Text.from_ansi("\n".join([*lines, "…"])))
    picture = console.export_svg(title="cloudwatch-janitor", unique_id="terminal")
    return FONTS.sub("", picture).replace("Fira Code, monospace", "ui-monospace, monospace")


def page(browser: Browser, path: Path, scheme: Literal["light", "dark"], image: Path) -> None:
    """The top of the page, in light or dark."""
    context = browser.new_context(
        viewport=VIEW, color_scheme="dark" if scheme == "dark" else "light"
    )
    view = context.new_page()
    view.emulate_media(color_scheme=scheme)
    view.goto(path.as_uri())
    view.wait_for_selector("body[data-ready]")
    view.screenshot(path=image, animations="disabled")
    context.close()


def main() -> int:
    """Write the pictures; give the exit code."""
    path = chromium()
    if path is None:
        sys.stderr.write(f"{MISSING}\n")
        return 1
    IMAGES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / "report.html"
        (IMAGES / "terminal.svg").write_text(terminal(), encoding="utf-8")
        janitor([*WORDS, "--format", "html", "-o", str(made)])
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=path, args=arguments())
            page(browser, made, "light", IMAGES / "report.png")
            page(browser, made, "dark", IMAGES / "report-dark.png")
            browser.close()
    for image in sorted(IMAGES.iterdir()):
        sys.stdout.write(f"{image.stat().st_size / 1000:8.1f} kB  docs/images/{image.name}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
