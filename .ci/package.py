# ruff: noqa: T201 - a program
"""Build the source archive and from it the wheel, install that with nothing of development, use it.

Run by an environment that has hatchling (`make package-check`).
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build" / "wheel"
BIN = BUILD / "venv" / "bin"
UNJUDGED = 5  # the sandbox has a log group with an odd value


def run(*command: str | Path, code: int = 0) -> str:
    """What a command prints, in a folder where no checkout is importable."""
    done = subprocess.run(command, cwd=BUILD, capture_output=True, text=True, check=False)
    if done.returncode != code:
        words = " ".join(map(str, command))
        sys.exit(f"{words}: exit {done.returncode}, not {code}\n{done.stdout}{done.stderr}")
    return done.stdout


def janitor(*words: str, code: int = 0) -> str:
    """What the installed command prints."""
    return run(BIN / "janitor", *words, code=code)


def build() -> Path:
    """The wheel of the source archive, so that this has all it takes."""
    shutil.rmtree(BUILD, ignore_errors=True)
    BUILD.mkdir(parents=True)
    python = (sys.executable, "-m")
    subprocess.run(
        [*python, "hatchling", "build", "-t", "sdist", "-d", BUILD], cwd=ROOT, check=True
    )
    (archive,) = BUILD.glob("*.tar.gz")
    run(*python, "pip", "wheel", "--no-deps", "--no-build-isolation", archive)
    (wheel,) = BUILD.glob("*.whl")
    return wheel


def install(wheel: Path) -> None:
    """The wheel, in an environment of requirements.txt alone: all that it asks for is there."""
    run(sys.executable, "-m", "venv", "venv")
    pip = (BIN / "python", "-m", "pip", "--disable-pip-version-check")
    pins = ROOT / "requirements.txt"
    run(*pip, "install", "--require-hashes", "--requirement", pins)
    run(*pip, "install", "--no-deps", wheel)
    run(*pip, "check")
    pinned = set(re.findall(r"^[\w-]+", pins.read_text(), re.M))
    listed = json.loads(run(*pip, "list", "--format", "json"))
    installed = {re.sub(r"[-_.]+", "-", package["name"]).lower() for package in listed}
    more = installed - pinned - {"cloudwatch-janitor", "pip", "setuptools"}
    assert not more, f"installed, and not in requirements.txt: {more}"
    assert "moto" not in installed


def planned(report: str) -> Counter[str]:
    """How many of each action a report in JSON plans."""
    told = json.loads(report)
    assert told["summary"]["complete"], told["summary"]
    return Counter(each["action"] for each in told["findings"] if each["status"] == "planned")


def use() -> None:
    """The commands of the README, on the sandbox."""
    assert "Usage: janitor" in janitor("--help")
    before = planned(janitor("report", "--sandbox", "--quiet", "--format", "json", code=UNJUDGED))
    kept = ("--sandbox-state", "account", "--quiet")
    janitor("plan", *kept, "-o", "plan.jsonl", code=UNJUDGED)
    done = json.loads(janitor("apply", "plan.jsonl", *kept, "--yes", "--format", "json"))["summary"]
    assert done["groups_deleted"] == before["delete_group"] > 0, done
    assert done["retention_set"] == before["set_retention"] > 0, done
    assert not planned(janitor("report", *kept, "--format", "json", code=UNJUDGED))
    print(f"wheel: {done['groups_deleted']} log groups deleted in the sandbox, as planned")
    janitor("report", *kept, "--format", "html", "-o", "report.html", code=UNJUDGED)
    page = (BUILD / "report.html").read_text("utf-8")
    assert page.startswith("<!doctype html>")
    assert page.endswith("</html>\n")
    assert 'data-kind="rows"' in page
    print(f"wheel: report.html of {len(page) // 1000} kB")


wheel = build()
print(f"wheel: {wheel.name}, {wheel.stat().st_size // 1000} kB")
install(wheel)
use()
