"""The run for AWS, on the sandbox over HTTP."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from janitor.sandbox.account import Sandbox
from janitor.sandbox.store import Store
from janitor.sandbox.unknowns import Unknowns
from janitor.sandbox.wire import Answer, Call, Reply
from tests.sandbox.asking import ACCOUNT, add, arn, empty_store
from tests.sandbox.contract import __main__ as contract
from tests.sandbox.contract.backend import READS, Backend, OutsideError, guarded
from tests.sandbox.contract.questions import QUESTIONS, answer

FOLDER = Path(__file__).parents[3]
ONE, GONE, NEXT, MADE = (
    f"Second page after {what}"
    for what in (
        *("1 was deleted", "1 and 3 of 1 2 3 were deleted", "4, the next, was deleted"),
        "0 was made",
    )
)
PROTECTION, TRANSFORMER = "GetDataProtectionPolicy of none", "GetTransformer of none"
SUBSCRIBED = "describe_subscription_filters by class"
MISSING = "refused with ResourceNotFoundException"
REFUSED = "refused with InvalidParameterException"
USUAL = {
    **dict.fromkeys((ONE, GONE, MADE), "goes on with /4 /5 /6"),
    NEXT: "goes on with /5 /6",
    PROTECTION: "{'logGroupIdentifier': '/a'}",
    TRANSFORMER: MISSING,
    "dataProtectionStatus before, with and after a policy": "None → ACTIVATED → DELETED",
}


def answers(unknowns: Unknowns) -> dict[str, str]:
    backend = Backend("ours", Sandbox(empty_store(), unknowns=unknowns).session(), ACCOUNT)
    return {title: answer(ask, backend) for title, ask in QUESTIONS.items()}


@pytest.mark.parametrize(
    ("unknowns", "wanted"),
    [
        (
            {"tokens": "offset"},
            {
                ONE: "goes on with /5 /6",
                GONE: "goes on with /6",
                MADE: "goes on with /3 /4 /5, and more to come",
            },
        ),
        (
            {"tokens": "end", "no_data_protection": "empty", "no_transformer": "empty"},
            dict.fromkeys((GONE, NEXT), "answers with none")
            | dict.fromkeys((PROTECTION, TRANSFORMER), "{}"),
        ),
        (
            {
                "tokens": "refused",
                "no_data_protection": "not found",
                "no_transformer": "identifier",
                "subscription_filters": "served",
            },
            {
                **dict.fromkeys((GONE, NEXT), REFUSED),
                PROTECTION: MISSING,
                TRANSFORMER: f"{{'logGroupIdentifier': '{arn('/a')}'}}",
                SUBSCRIBED: "INFREQUENT_ACCESS: answered; DELIVERY: answered",
            },
        ),
    ],
    ids=["offset", "end", "refused"],
)
def test_the_answers_tell_the_possibilities_apart(unknowns: Any, wanted: dict[str, str]) -> None:
    """Whatever AWS does with listings when groups vanish, and with what does not exist, the
    sandbox can do, and the questions find out.
    """
    usual, found = answers(Unknowns()), answers(Unknowns(**unknowns))
    expected = USUAL | wanted
    assert {title: found[title] for title in expected} == expected
    assert {title: usual[title] for title in USUAL} == USUAL
    assert not [text for text in found.values() if "could not be asked" in text]
    assert {title for title in found if found[title] != usual[title]} == wanted.keys()


@pytest.mark.parametrize(
    ("service", "method", "parameters"),
    [
        ("logs", "delete_log_group", {"logGroupName": "/other"}),
        ("logs", "put_retention_policy", {"logGroupName": "/p/xy", "retentionInDays": 1}),
        ("logs", "tag_resource", {"resourceArn": arn("/other"), "tags": {"a": "b"}}),
        ("logs", "delete_transformer", {"logGroupIdentifier": arn("/other")}),
        ("logs", "put_resource_policy", {"policyName": "p", "policyDocument": "{}"}),
        ("lambda", "invoke", {"FunctionName": "f", "InvocationType": "Event"}),
    ],
)
def test_nothing_outside_the_prefix_can_be_changed(
    service: str, method: str, parameters: dict[str, Any]
) -> None:
    """Neither a group with a similar name, nor the account's own settings, nor other services."""
    store = empty_store()
    for name in ("/p/x/a", "/p/xy", "/other"):
        add(store, name)
    backend = Backend("ours", guarded(Sandbox(store).session(), "/p/x"), ACCOUNT)
    before = store.state()
    with pytest.raises(OutsideError):
        getattr(backend[service], method)(**parameters)
    assert store.state() == before
    backend["logs"].delete_log_group(logGroupName="/p/x/a")
    assert [group.name for group in store.groups()] == ["/other", "/p/xy"]


@contextmanager
def served(store: Store, seen: Callable[[Call], object]) -> Iterator[dict[str, str]]:
    """The environment that leads to an account over HTTP; `seen` is called before each change."""

    def between(call: Call, answer: Callable[[], Answer]) -> Reply:
        if not call.operation.startswith(READS):
            seen(call)
        return Reply(answer())

    sandbox = Sandbox(store, intercept=between)
    with sandbox.serving() as url:
        yield sandbox.environment(url)


def start(environment: dict[str, str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.sandbox.contract"],
        cwd=FOLDER,
        env={**os.environ, **environment, "CONTRACT_AWS_ACCOUNT": ACCOUNT},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_run_asserts_asks_and_leaves_nothing() -> None:
    """Every assertion holds, every question is answered, and only its own names are touched."""
    changed, store = set[str](), empty_store()
    add(store, "/janitor-contract")
    with (
        served(store, lambda call: changed.add(call.group or "")) as environment,
        start(environment) as process,
    ):
        out = process.communicate()[0]
    assert process.returncode == 0, out
    assert not [text for text in ("failed", "could not be asked") if text in out]
    assert all(f"{title}: " in out for title in QUESTIONS)
    assert changed - {""}
    assert all(name.startswith("/janitor-contract/") for name in changed - {""})
    assert [group.name for group in store.groups()] == ["/janitor-contract"]


def test_interrupted_run_leaves_nothing() -> None:
    """A run that is stopped amid the assertions leaves the account as it was."""
    started: list[subprocess.Popen[str]] = []
    store = empty_store()

    def stop(call: Call) -> None:
        if call.operation == "PutLogEvents" and started:
            started.pop().send_signal(signal.SIGINT)

    with served(store, stop) as environment, start(environment) as process:
        started.append(process)
        out = process.communicate()[0]
    assert process.returncode == 130, out
    assert "Deleted all that was beneath" in out
    assert ONE not in out
    assert list(store.groups()) == []


def test_what_ends_a_run_is_raised_after_the_cleaning() -> None:
    """A signal as well as an error; protected groups are deleted too, others are not."""
    store = empty_store()
    add(store, "/px/a")
    backend = Backend("ours", Sandbox(store).session(), ACCOUNT, "/p")

    def run(end: Callable[[], Any]) -> None:
        with contract.cleaned(backend):
            backend.make("/a", deletionProtectionEnabled=True)
            backend.make("/b")
            end()

    for end, wanted in (
        (lambda: os.kill(os.getpid(), signal.SIGTERM), KeyboardInterrupt),
        (lambda: backend["logs"].delete_log_group(logGroupName="/none"), ClientError),
    ):
        with pytest.raises(wanted):
            run(end)
        assert [group.name for group in store.groups()] == ["/px/a"]


@pytest.mark.parametrize("account", [None, "210987654321", ""])
def test_run_needs_the_accounts_id(
    account: str | None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without it, or with another, nothing is called but GetCallerIdentity."""
    changes = list[Call]()
    with served(empty_store(), changes.append) as environment:
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        monkeypatch.delenv("CONTRACT_AWS_ACCOUNT", raising=False)
        if account is not None:
            monkeypatch.setenv("CONTRACT_AWS_ACCOUNT", account)
        assert contract.main() == 2
    assert changes == []
    assert capsys.readouterr().err == f"Nothing was done: {ACCOUNT} was not confirmed.\n"
