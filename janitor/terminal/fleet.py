"""`janitor sandbox fleet`: three accounts of an organization, surveyed and cleaned together."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from janitor.core.errors import Exit
from janitor.function.iam import iam_policy
from janitor.function.member_role import HERE, ROLE, member_template
from janitor.policy.file import load
from janitor.sandbox import demo, fleets, saved
from janitor.sandbox.organization import ID
from janitor.terminal import cli

EXTERNAL_ID = "demo-4711"


def fleet() -> int:
    """Run it; give the exit code: 0 where each command ended as it should, else 3.

    The management account has no such role, as a StackSet does not reach it; and in the lab more
    would be deleted than the limits allow, so that each command ends with 4.
    """
    folder = Path(tempfile.mkdtemp(prefix="janitor-fleet-"))
    account, journal = folder / "account", folder / "journal.jsonl"
    words = ["--trust", fleets.MANAGEMENT, "--external-id", EXTERNAL_ID, "--org-id", ID]
    _say(f"$ janitor iam-policy --format cloudformation {' '.join(words)} > member.json")
    begin(account)
    _say("A StackSet has made that role in three accounts; not in the management account.")
    kept = ["--external-id", EXTERNAL_ID, "--sandbox-state", str(account)]
    without = ["--org", "--exclude", fleets.MANAGEMENT]
    right = True
    for command in (
        ["report", "--org"],
        ["run", *without, "--apply", "--yes", "--journal", str(journal)],
        ["report", *without, "--by", "ou"],
    ):
        _say(f"\n$ janitor {' '.join([*command, *kept])}")
        right = cli.main([*command, *kept]) == Exit.REFUSED and right
    _say(f"\nTo continue with these accounts: janitor report --org {' '.join(kept)}")
    return Exit.DONE if right else Exit.INCOMPLETE


def begin(folder: Path) -> None:
    """Keep the accounts in a folder, each but the management account with the member role."""
    store = fleets.accounts()
    template = member_template(
        iam_policy(load(None), account=HERE),
        trust=fleets.MANAGEMENT,
        external_id=EXTERNAL_ID,
        organization=ID,
    )
    trust = template["Resources"]["Role"]["Properties"]["AssumeRolePolicyDocument"]
    store.roles = {f"arn:aws:iam::{one}:role/{ROLE}": trust for one in fleets.ACCOUNTS}
    folder.mkdir()
    saved.save(folder / saved.FILE, store, demo.NOW)


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
