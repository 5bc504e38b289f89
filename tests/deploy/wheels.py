"""The janitor's package, made without asking the package index for the same wheels again."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from deploy import packaging
from deploy.packaging import JANITOR, Machine


def staged(machine: Machine, root: Path, *, extra: Mapping[str, Path] | None = None) -> Path:
    """`stage` of the janitor under `root`; pip checks the hashes of the wheels that were kept."""
    wheels = _kept(machine)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PIP_NO_INDEX", "1")
        patch.setenv("PIP_FIND_LINKS", str(wheels))
        return packaging.stage(JANITOR, machine, root=root, extra=extra)


def _kept(machine: Machine) -> Path:
    """The wheels that are pinned now: downloaded once, and kept under build/."""
    assert JANITOR.requirements is not None
    meant = f"{machine}{JANITOR.requirements.read_text()}"
    folder = packaging.BUILD / "wheels" / hashlib.sha256(meant.encode()).hexdigest()[:16]
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
            made = Path(temporary, "wheels")
            packaging._download(JANITOR, JANITOR.requirements, machine, made)
            if not folder.is_dir():  # another worker may have been quicker
                made.rename(folder)
    return folder
