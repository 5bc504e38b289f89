"""The janitor's package, staged from cached wheels."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from deploy import packaging
from deploy.packaging import JANITOR, Machine


def staged(machine: Machine, root: Path, *, extra: Mapping[str, Path] | None = None) -> Path:
    """Stage the janitor under `root`; pip checks the hashes of the cached wheels."""
    wheels = _cached(machine)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PIP_NO_INDEX", "1")
        patch.setenv("PIP_FIND_LINKS", str(wheels))
        return packaging.stage(JANITOR, machine, root=root, extra=extra)


def _cached(machine: Machine) -> Path:
    """A folder under build/ with the wheels that are pinned now, downloaded once."""
    assert JANITOR.requirements is not None
    key = f"{machine}{JANITOR.requirements.read_text()}"
    folder = packaging.BUILD / "wheels" / hashlib.sha256(key.encode()).hexdigest()[:16]
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
            wheels = Path(temporary, "wheels")
            packaging._download(JANITOR, JANITOR.requirements, machine, wheels)
            if not folder.is_dir():  # another pytest worker may have been faster
                wheels.rename(folder)
    return folder
