"""The tools: how each is installed, and which commands do the whole job."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from janitor.owners.table import table

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
BUILD = ROOT / "build" / "bench"
POLICY = HERE / "policies" / "bench.toml"
UNPACED = HERE / "policies" / "unpaced.toml"
DAYS = "365"


@dataclass(frozen=True, slots=True)
class Work:
    """The options of a tool: a folder for its output, and the Regions. `policy` (None: the shipped
    one), `roles` and `share` of the quotas are for the janitor only.
    """

    folder: Path
    regions: tuple[str, ...]
    policy: Path | None = POLICY
    roles: tuple[str, ...] = ()
    share: float = 1.0


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool in its own virtual environment; `commands` do the job, in order."""

    name: str
    package: str
    commands: Callable[[Path, Work], list[list[str]]]

    @property
    def venv(self) -> Path:
        return BUILD / self.name


@dataclass(frozen=True, slots=True)
class Ran:
    """What a tool's commands used: seconds, and in `max_rss` the bytes of the largest process."""

    wall: float
    cpu: float
    max_rss: int
    codes: tuple[int, ...]
    timed_out: bool
    stderr: str


def janitor_options(work: Work) -> list[str]:
    """Return the options that `run` and `report` share."""
    policy = [] if work.policy is None else ["-p", str(work.policy)]
    regions = [part for region in work.regions for part in ("-r", region)]
    roles = [part for role in work.roles for part in ("--role", role)]
    quiet = ["--quiet", "--log-format", "json", "--api-share", f"{work.share}"]
    return [*quiet, *policy, *regions, *roles]


def _janitor(bin_: Path, work: Work) -> list[list[str]]:
    return [
        [
            *(str(bin_ / "janitor"), "run", "--apply", "--yes", "--format", "json"),
            *janitor_options(work),
            *("-o", str(work.folder / "result.json"), "--journal", str(work.folder / "journal")),
        ]
    ]


def report_command(bin_: Path, work: Work) -> list[list[str]]:
    """Return the janitor's `report`, which scans and judges only."""
    return [
        [
            *(str(bin_ / "janitor"), "report", "--format", "jsonl"),
            *janitor_options(work),
            *("-o", str(work.folder / "report.jsonl")),
        ]
    ]


def _log_minder(bin_: Path, work: Work) -> list[list[str]]:
    minder = [str(bin_ / "cwlog-minder"), "--region", work.regions[0]]
    return [
        [*minder, "set-log-retention", "--days", DAYS],
        [*minder, "delete-empty-log-streams"],
        [*minder, "delete-empty-log-groups"],
    ]


def _c7n(bin_: Path, work: Work) -> list[list[str]]:
    return [
        [
            *(str(bin_ / "custodian"), "run", "--region", work.regions[0]),
            *("--output-dir", str(work.folder / "output"), "--cache", str(work.folder / "cache")),
            str(HERE / "policies" / "c7n.yml"),
        ]
    ]


def _plain(bin_: Path, work: Work) -> list[list[str]]:
    return [[str(bin_ / "python"), str(HERE / "plain_scan.py")]]


def plain_calls(calls: Mapping[str, int]) -> Tool:
    """Return a tool that makes so many calls of each operation by boto3 alone, to as many hosts."""
    hosts = str(len({row.service for row in table()}))

    def commands(bin_: Path, work: Work) -> list[list[str]]:
        script, regions = str(HERE / "plain_calls.py"), ",".join(work.regions)
        return [[str(bin_ / "python"), script, json.dumps(calls), regions, hosts]]

    return Tool("plain", "boto3", commands)


JANITOR = Tool("janitor", "cloudwatch-janitor", _janitor)
REPORT = Tool("janitor", "cloudwatch-janitor", report_command)
LOG_MINDER = Tool("log-minder", "aws-cloudwatch-log-minder", _log_minder)
C7N = Tool("c7n", "c7n", _c7n)
PLAIN = Tool("plain", "boto3", _plain)


def install(tool: Tool) -> str:
    """Create the tool's virtual environment if it is missing; return the installed version."""
    if tool is JANITOR:
        return _install_janitor()
    requirements = HERE / "requirements" / f"{tool.name}.txt"
    stamp = tool.venv / "installed.txt"
    if not stamp.exists() or stamp.read_text() != requirements.read_text():
        _make_venv(tool.venv)
        _pip(tool.venv, "--require-hashes", "--requirement", str(requirements))
        stamp.write_text(requirements.read_text())
    return _version(tool)


def _install_janitor() -> str:
    """Build and install the wheel of this checkout each time, with its pinned dependencies."""
    pins = ROOT / "requirements.txt"
    wheels = BUILD / "wheel"
    shutil.rmtree(wheels, ignore_errors=True)
    _quietly(
        [
            *(sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check"),
            *("--no-deps", "--no-build-isolation", "--wheel-dir", str(wheels), str(ROOT)),
        ]
    )
    (wheel,) = wheels.glob("*.whl")
    stamp = JANITOR.venv / "installed.txt"
    if not stamp.exists() or stamp.read_text() != pins.read_text():
        _make_venv(JANITOR.venv)
        _pip(JANITOR.venv, "--require-hashes", "--requirement", str(pins))
        stamp.write_text(pins.read_text())
    # Each commit has the same version, so pip would not replace it.
    _pip(JANITOR.venv, "--force-reinstall", "--no-deps", str(wheel))
    return _version(JANITOR)


def _make_venv(place: Path) -> None:
    shutil.rmtree(place, ignore_errors=True)
    _quietly([sys.executable, "-m", "venv", str(place)])


def _pip(venv: Path, *arguments: str) -> None:
    pip = [str(venv / "bin" / "python"), "-m", "pip", "install", "--quiet"]
    _quietly([*pip, "--disable-pip-version-check", *arguments])


def _quietly(command: Sequence[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}\n{done.stdout}{done.stderr}")


def _version(tool: Tool) -> str:
    code = f"from importlib.metadata import version; print(version({tool.package!r}))"
    command = [str(tool.venv / "bin" / "python"), "-c", code]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def run(
    commands: Sequence[Sequence[str]],
    environment: Mapping[str, str],
    folder: Path,
    timeout: float,
    cpu: str = "",
) -> Ran:
    """Run the commands in order, within `timeout` seconds in all; `cpu` is as in `measure.py`."""
    # No tool may see this machine's AWS configuration or home folder.
    clean = {"PATH": os.environ.get("PATH", ""), "HOME": str(folder), "LC_ALL": "C.UTF-8"}
    measure = [sys.executable, "-I", "-S", str(HERE / "measure.py")]
    report, log = folder / "used.json", folder / "stderr.txt"
    began = time.monotonic()
    used: list[dict[str, Any]] = []
    for command in commands:
        left = max(timeout - (time.monotonic() - began), 0.1)
        with log.open("ab") as errors, (folder / "stdout.txt").open("ab") as out:
            subprocess.run(
                [*measure, str(report), str(left), cpu, *command],
                stdout=out,
                stderr=errors,
                cwd=folder,
                env={**clean, **environment},
                check=True,
            )
        used.append(json.loads(report.read_text()))
        if used[-1]["timed_out"]:
            break
    return Ran(
        wall=time.monotonic() - began,
        cpu=sum(one["cpu"] for one in used),
        max_rss=max(one["max_rss"] for one in used),
        codes=tuple(one["code"] for one in used),
        timed_out=any(one["timed_out"] for one in used),
        stderr=_nowhere(log.read_text(errors="replace"), folder)[-2000:],
    )


def _nowhere(text: str, folder: Path) -> str:
    """Return the text without the paths of this machine, because it is published."""
    places = {str(folder): "~", str(ROOT): ".", sys.base_prefix: "python"}
    for place, name in places.items():
        text = text.replace(place, name)
    return text
