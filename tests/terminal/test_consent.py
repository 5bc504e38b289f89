"""What a person is shown before the question, and the exit code afterwards."""

from __future__ import annotations

import io
import json
import re
import sys
from pathlib import Path

import pytest

from janitor.core.exit_codes import Exit
from janitor.cost.prices import PriceList
from janitor.terminal import consent
from tests.conftest import Run

HERE = ("--sandbox", "-r", "us-east-1")


def at_a_terminal(monkeypatch: pytest.MonkeyPatch, answer: str) -> None:
    monkeypatch.setattr(consent, "can_ask", lambda: True)
    monkeypatch.setattr(sys, "stdin", io.StringIO(answer))


@pytest.mark.usefixtures("few_owners")
@pytest.mark.parametrize(("quiet", "answer"), [([], "\n"), (["-q"], "")], ids=["", "quiet, Ctrl-D"])
def test_every_deletion_is_shown_before_the_question(
    quiet: list[str], answer: str, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So is what is lost for good, even with --quiet, and without a yes nothing is done."""
    planned = json.loads(run("report", *HERE, "--format", "json").out)
    deleted = [f["group"] for f in planned["findings"] if f["action"] == "delete_group"]
    at_a_terminal(monkeypatch, answer)
    done = run("run", "--apply", *HERE, *quiet)
    shown, _, question = done.err.rpartition("Do all of this in ")
    assert (done.code, done.out) == (2, "")
    assert question == (
        "account 123456789012 (storefront-production), us-east-1? [y/N] "
        f"{'' if answer else chr(10)}janitor: not confirmed; nothing was done\n"
    )
    assert [name for name in deleted if f"us-east-1  {name}\n" not in shown] == []
    rules = re.findall(r"^ +\d+ +\d+ +([\d.]+) GiB +\$[\d.]+  (\w+)$", shown, re.MULTILINE)
    total = planned["summary"]["money"]["freed_at_once_bytes"] / 2**30
    assert sum(float(size) for size, _ in rules) == pytest.approx(total, abs=0.2)
    assert f"retention would delete about {total:.1f} GiB of existing events" in shown
    assert f"Saves about ${planned['summary']['money']['saved_at_once_usd']:.2f} a month" in shown
    assert not list(Path.cwd().glob("janitor-journal-*"))


@pytest.mark.usefixtures("few_owners")
def test_savings_without_a_price_are_unknown_not_zero(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither a report nor the question names an amount."""
    monkeypatch.setattr(PriceList, "storage", lambda *_: None)
    answer, *_ = run("report", *HERE).out.split("account ")
    assert answer.endswith("given retention.\n")
    at_a_terminal(monkeypatch, "\n")
    asked = run("run", "--apply", *HERE).err
    assert "What that saves is unknown" in asked
    assert "$" not in asked


@pytest.mark.usefixtures("few_owners")
def test_after_a_yes_the_plan_is_carried_out_and_the_loss_named(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The undo names the loss in the same words."""
    at_a_terminal(monkeypatch, "y\n")
    done = run("run", "--apply", *HERE, "--journal", "j")
    lost = re.findall(r"^lost for good: retention deleted .*", done.err, re.MULTILINE)
    assert re.search(r"(\d+) planned, \1 done$", done.err, re.MULTILINE), done.err
    assert len(lost) == 1
    assert "changes were made" in done.out
    assert lost[0] in run("restore", "j", "--sandbox").err


def test_without_a_terminal_the_sandbox_needs_yes_too(run: Run) -> None:
    """The exit code is 2, and nothing is done."""
    done = run("run", "--apply", "--sandbox")
    assert (done.code, done.out) == (2, "")
    assert done.err == (
        "janitor: there is no terminal to ask at, so --yes is needed; nothing was done\n"
    )


def test_a_run_without_changes_does_not_claim_any(run: Run) -> None:
    """It says that nothing was changed."""
    Path("p.toml").write_text("[defaults]\nretention_days = 3653\n[protect]\nnames = ['*']\n")
    done = run("run", "--apply", "--yes", *HERE, "-p", "p.toml")
    assert done.code == 0, done.err
    assert "nothing was changed" in done.out
    assert "changes were made" not in done.out
    assert "0 planned, 0 done" in done.err


ODD = "[protect.deletion]\nowners = false\n[[acknowledged]]\nnames = {names}\nuntil = {until}\n"


@pytest.mark.parametrize(
    ("names", "until", "code", "expired"),
    [
        (["*"], "2026-11-25", Exit.DONE, False),
        (["*"], "2026-11-24", Exit.UNJUDGED, True),
        (["/other"], "2027-06-30", Exit.UNJUDGED, False),
    ],
    ids=["today", "yesterday", "another"],
)
def test_an_acknowledged_unknown_has_no_exit_code_until_its_date(
    names: list[str], until: str, code: Exit, expired: bool, run: Run
) -> None:
    """It is 2026-11-25 in the sandbox, and expired entries are named."""
    Path("p.toml").write_text(ODD.format(names=json.dumps(names), until=until))
    done = run("report", "--sandbox", "-p", "p.toml", "--format", "json")
    answer = json.loads(done.out)
    unknown = [f for f in answer["findings"] if f["status"] == "unknown"]
    assert done.code == code, done.err
    assert len(unknown) == answer["summary"]["unknown"] > 0
    assert all(("acknowledged until" in f["reason"]) == (code is Exit.DONE) for f in unknown)
    assert (f"acknowledged until {until}, which has passed: *" in done.err) == expired
