# ruff: noqa: T201 - a program
"""Build the source archive and the wheel from it, install that without development tools, use it.

Needs an environment with hatchling (`make package-check`).
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
    """Return the output of a command, run in a folder from which no checkout is importable."""
    done = subprocess.run(command, cwd=BUILD, capture_output=True, text=True, check=False)
    if done.returncode != code:
        line = " ".join(map(str, command))
        sys.exit(f"{line}: exit {done.returncode}, not {code}\n{done.stdout}{done.stderr}")
    return done.stdout


def janitor(*arguments: str, code: int = 0) -> str:
    """Return the output of the installed command."""
    return run(BIN / "janitor", *arguments, code=code)


def build() -> Path:
    """Build the wheel from the source archive, which shows that the archive is complete."""
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
    """Install the wheel beside requirements.txt alone, which must satisfy its dependencies."""
    run(sys.executable, "-m", "venv", "venv")
    pip = (BIN / "python", "-m", "pip", "--disable-pip-version-check")
    pins = ROOT / "requirements.txt"
    run(*pip, "install", "--require-hashes", "--requirement", pins)
    run(*pip, "install", "--no-deps", wheel)
    run(*pip, "check")
    pinned = set(re.findall(r"^[\w-]+", pins.read_text(), re.M))
    listed = json.loads(run(*pip, "list", "--format", "json"))
    installed = {re.sub(r"[-_.]+", "-", package["name"]).lower() for package in listed}
    unpinned = installed - pinned - {"cloudwatch-janitor", "pip", "setuptools"}
    assert not unpinned, f"installed, but not in requirements.txt: {unpinned}"
    assert "moto" not in installed


def planned(report: str) -> Counter[str]:
    """Count the planned actions of a JSON report."""
    parsed = json.loads(report)
    assert parsed["summary"]["complete"], parsed["summary"]
    return Counter(row["action"] for row in parsed["findings"] if row["status"] == "planned")


def use() -> None:
    """Run the README's commands on the sandbox."""
    assert "Usage: janitor" in janitor("--help")
    before = planned(janitor("report", "--sandbox", "--quiet", "--format", "json", code=UNJUDGED))
    sandbox = ("--sandbox-state", "account", "--quiet")
    janitor("plan", *sandbox, "-o", "plan.jsonl", code=UNJUDGED)
    applied = janitor("apply", "plan.jsonl", *sandbox, "--yes", "--format", "json")
    done = json.loads(applied)["summary"]
    assert done["groups_deleted"] == before["delete_group"] > 0, done
    assert done["retention_set"] == before["set_retention"] > 0, done
    assert not planned(janitor("report", *sandbox, "--format", "json", code=UNJUDGED))
    print(f"wheel: {done['groups_deleted']} log groups deleted in the sandbox, as planned")
    janitor("report", *sandbox, "--format", "html", "-o", "report.html", code=UNJUDGED)
    page = (BUILD / "report.html").read_text("utf-8")
    assert page.startswith("<!doctype html>")
    assert page.endswith("</html>\n")
    assert 'data-kind="rows"' in page
    print(f"wheel: report.html of {len(page) // 1000} kB")


wheel = build()
print(f"wheel: {wheel.name}, {wheel.stat().st_size // 1000} kB")
install(wheel)
use()
