"""`janitor sandbox fleet`: three accounts of an organization, cleaned in one run."""

from __future__ import annotations

import tempfile
from pathlib import Path

from janitor.core.exit_codes import Exit
from janitor.function.iam import iam_policy
from janitor.function.member_role import HERE, ROLE, member_template
from janitor.policy.file import load
from janitor.sandbox import demo, fleets, saved
from janitor.sandbox.organization import ID
from janitor.terminal import cli
from janitor.terminal.output import show

EXTERNAL_ID = "demo-4711"


def fleet() -> int:
    """Run the demo, and return 0 if each command ended as expected, 130 after Ctrl-C, else 3.

    The management account lacks the role, because StackSets do not reach it. The lab is over its
    limits, so each command ends with 4.
    """
    folder = Path(tempfile.mkdtemp(prefix="janitor-fleet-"))
    account, journal = folder / "account", folder / "journal.jsonl"
    words = ["--trust", fleets.MANAGEMENT, "--external-id", EXTERNAL_ID, "--org-id", ID]
    show(f"$ janitor iam-policy --format cloudformation {' '.join(words)} > member.json")
    begin(account)
    show("A StackSet has made that role in three accounts; not in the management account.")
    kept = ["--external-id", EXTERNAL_ID, "--sandbox-state", str(account)]
    without = ["--org", "--exclude", fleets.MANAGEMENT]
    codes: list[int] = []
    for command in (
        ["report", "--org"],
        ["run", *without, "--apply", "--yes", "--journal", str(journal)],
        ["report", *without, "--by", "ou"],
    ):
        show(f"\n$ janitor {' '.join([*command, *kept])}")
        codes.append(cli.main([*command, *kept]))
        if codes[-1] == Exit.INTERRUPTED:
            break
    show(f"\nTo continue with these accounts: janitor report --org {' '.join(kept)}")
    if codes[-1] == Exit.INTERRUPTED:
        return Exit.INTERRUPTED
    return Exit.DONE if {*codes} == {Exit.REFUSED} else Exit.INCOMPLETE


def begin(folder: Path) -> None:
    """Save the accounts in a folder; all but the management account have the member role."""
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
