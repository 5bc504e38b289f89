"""The run that is meant for AWS, on the sandbox over HTTP."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from janitor.sandbox.account import Sandbox
from janitor.sandbox.store import Store
from janitor.sandbox.unknowns import Unknowns
from janitor.sandbox.wire import Answer, Call, Reply
from tests.sandbox.asking import ACCOUNT, REGION, add, empty_store, names
from tests.sandbox.contract import __main__ as contract
from tests.sandbox.contract.backend import Backend, OutsideError, guarded
from tests.sandbox.contract.questions import QUESTIONS, answer

FOLDER = Path(__file__).parents[3]
READS = ("Describe", "List", "Get", "Filter")


def answers(unknowns: Unknowns, **lags: float) -> dict[str, str]:
    sandbox = Sandbox(empty_store(**lags), unknowns=unknowns)
    backend = Backend("ours", sandbox.session(), ACCOUNT)
    return {question.title: answer(question, backend) for question in QUESTIONS}


@pytest.mark.parametrize(
    ("unknowns", "wanted"),
    [
        (
            Unknowns(tokens="offset"),
            {
                "Second page after 1 and 3 of 1 2 3 were deleted": "goes on with /6",
                "Second page after 4, the next, was deleted": "goes on with /5 /6",
                "Second page after 0 was made": "goes on with /3 /4 /5, and more",
            },
        ),
        (
            Unknowns(tokens="end", no_transformer="empty"),
            {
                "Second page after 1 and 3 of 1 2 3 were deleted": "answers with none",
                "Second page after 4, the next, was deleted": "answers with none",
                "GetTransformer of none": "{}",
            },
        ),
        (
            Unknowns(
                tokens="refused",
                no_data_protection="not found",
                subscription_filters="served",
            ),
            {
                "Second page after 1 and 3 of 1 2 3 were deleted": "refused with InvalidParam",
                "GetDataProtectionPolicy of none": "refused with ResourceNotFoundException",
                "describe_subscription_filters by class": "INFREQUENT_ACCESS: answered; DELIV",
            },
        ),
    ],
)
def test_questions_tell_the_possibilities_apart(unknowns: Unknowns, wanted: dict[str, str]) -> None:
    """Asked of an account that does otherwise, the answer is another."""
    usual, found = answers(Unknowns()), answers(unknowns)
    for title, said in wanted.items():
        assert found[title].startswith(said)
    assert not [said for said in found.values() if "could not be asked" in said]
    changed = {title for title in found if found[title] != usual[title]}
    assert changed <= wanted.keys() | {"Second page after 4, the next, was deleted"}


def test_nothing_beyond_the_prefix_can_be_changed() -> None:
    """Not a group that only begins alike, nor what belongs to the account, nor other services."""
    store = empty_store()
    for name in ("/p/x/a", "/p/xy", "/other"):
        add(store, name)
    backend = Backend("ours", guarded(Sandbox(store).session(), "/p/x"), ACCOUNT)
    logs, document = backend["logs"], {"policyName": "p", "policyDocument": "{}"}
    arn = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:/other"
    outside: list[tuple[str, Callable[..., Any], dict[str, Any]]] = [
        ("logs", logs.delete_log_group, {"logGroupName": "/other"}),
        ("logs", logs.delete_log_group, {"logGroupName": "/p/xy"}),
        ("logs", logs.put_retention_policy, {"logGroupName": "/p/xy", "retentionInDays": 1}),
        ("logs", logs.tag_resource, {"resourceArn": arn, "tags": {"a": "b"}}),
        ("logs", logs.delete_transformer, {"logGroupIdentifier": arn}),
        ("logs", logs.put_resource_policy, document),
        ("logs", logs.put_account_policy, {**document, "policyType": "RETENTION_POLICY"}),
        ("lambda", backend["lambda"].invoke, {"FunctionName": "f", "InvocationType": "Event"}),
    ]
    before = store.state()
    for _service, call, parameters in outside:
        with pytest.raises(OutsideError):
            call(**parameters)
    assert store.state() == before
    assert len(names(logs)) == 3
    logs.delete_log_group(logGroupName="/p/x/a")
    assert names(logs) == ["/other", "/p/xy"]


@dataclass
class Seen:
    """What the account was asked to change; `act` is called once, before the first change that is
    `due`.
    """

    due: Callable[[Call], bool] = lambda _call: False
    act: Callable[[], None] = lambda: None
    changes: list[tuple[str, str | None]] = field(default_factory=list)
    acted: bool = False

    def __call__(self, call: Call, answer: Callable[[], Answer]) -> Reply:
        if not call.operation.startswith(READS):
            self.changes.append((call.operation, call.group))
            if not self.acted and self.due(call):
                self.acted = True
                self.act()
        return Reply(answer())


@contextmanager
def served(seen: Seen, store: Store) -> Iterator[dict[str, str]]:
    """The environment that leads to an account over HTTP."""
    sandbox = Sandbox(store, intercept=seen)
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
    """Every assertion holds, every question is answered, and only its own names were touched."""
    seen, store = Seen(), empty_store()
    add(store, "/janitor-contract")
    with served(seen, store) as environment, start(environment) as process:
        said = process.communicate()[0]
    assert process.returncode == 0, said
    assert "failed" not in said
    for question in QUESTIONS:
        assert f"{question.title}: " in said
    assert "could not be asked" not in said
    assert {name for _, name in seen.changes if name}
    assert all(str(name).startswith("/janitor-contract/") for _, name in seen.changes)
    assert [group.name for group in store.groups()] == ["/janitor-contract"]


def test_interrupted_run_leaves_nothing() -> None:
    """Whoever stops it amid the assertions finds the account as it was."""
    started: list[subprocess.Popen[str]] = []
    seen, store = Seen(), empty_store()
    seen.due = lambda call: call.operation == "PutLogEvents"
    seen.act = lambda: started[0].send_signal(signal.SIGINT)
    with served(seen, store) as environment, start(environment) as process:
        started.append(process)
        said = process.communicate()[0]
    assert process.returncode == 130, said
    assert "Deleted all that was beneath" in said
    assert QUESTIONS[0].title not in said
    assert list(store.groups()) == []


def test_what_ends_it_is_handed_on_once_all_is_deleted() -> None:
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


@pytest.mark.parametrize("said", [None, "210987654321", ""])
def test_run_needs_the_accounts_id(
    said: str | None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without it, or with another, nothing is asked but who the caller is."""
    seen = Seen()
    with served(seen, empty_store()) as environment:
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        monkeypatch.delenv("CONTRACT_AWS_ACCOUNT", raising=False)
        if said is not None:
            monkeypatch.setenv("CONTRACT_AWS_ACCOUNT", said)
        assert contract.main() == 2
    assert seen.changes == []
    assert capsys.readouterr().err == f"Nothing was done: {ACCOUNT} was not confirmed.\n"
