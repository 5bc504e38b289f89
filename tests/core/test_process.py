"""How a process is set up where it has less than a CPU."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from janitor.core.process import _cpus

V1 = {"cpu.cfs_quota_us": "29000\n", "cpu.cfs_period_us": "100000\n"}
V1_NONE = {"cpu.cfs_quota_us": "-1\n", "cpu.cfs_period_us": "100000\n"}


@pytest.mark.parametrize(
    ("own", "groups", "cpus"),
    [
        pytest.param("0::/\n", {".": {"cpu.max": "20000 100000\n"}}, 0.2, id="a container"),
        pytest.param("0::/\n", {".": {"cpu.max": "max 100000\n"}}, math.inf, id="no quota"),
        pytest.param(
            "0::/a:b/c\n", {"a:b/c": {"cpu.max": "50000 100000"}}, 0.5, id="a group of a machine"
        ),
        pytest.param("3:cpu,cpuacct:/a\n0::/\n", {"cpu/a": V1}, 0.29, id="version 1"),
        pytest.param("3:cpu:/docker/1\n", {"cpu": V1}, 0.29, id="version 1, a container"),
        pytest.param("3:cpu:/a\n", {"cpu/a": V1_NONE}, math.inf, id="version 1, no quota"),
        pytest.param("", {"cpu": V1_NONE, "cpu.max": {}}, math.inf, id="unknown to the kernel"),
        pytest.param(None, {}, math.inf, id="not Linux"),
    ],
)
def test_a_quota_is_found(
    tmp_path: Path, own: str | None, groups: Mapping[str, Mapping[str, str]], cpus: float
) -> None:
    """In a container and in a group of a machine, in both versions of cgroups; or there is none."""
    (tmp_path / "mounted").mkdir()
    for group, files in groups.items():
        folder = tmp_path / "mounted" / group
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            (folder / name).write_text(text)
    if own is not None:
        (tmp_path / "own").write_text(own)
    assert _cpus({}, tmp_path / "own", tmp_path / "mounted") == pytest.approx(cpus)


@pytest.mark.parametrize(("memory", "one"), [("512", True), ("3008", False)])
def test_less_than_a_cpu_is_used_as_one(memory: str, one: bool) -> None:
    """A function of 512 MB has a part of several CPUs; its threads would wait for each other."""
    count = "import os; print(len(getattr(os, 'sched_getaffinity', lambda _process: '?')(0)))"

    def cpus(script: str) -> int:
        environment = {**os.environ, "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": memory}
        return int(subprocess.check_output([sys.executable, "-c", script], env=environment))

    there = cpus(count)
    set_up = cpus(f"from janitor.core import process; process.set_up(); {count}")
    assert set_up == (1 if one else there)
