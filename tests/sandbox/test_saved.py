"""An account kept in a folder is the same account in the next command."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import pytest

from janitor.core.clock import DAY_MS
from janitor.core.errors import UsageError
from janitor.sandbox import demo, saved
from janitor.sandbox.saved import FILE, LATER_MS, kept, load, save
from janitor.sandbox.store import Bucket, Object, Region, Store
from tests.fakes.test_truth import account

NOW = demo.NOW
HERE = (demo.ACCOUNT, "eu-west-1")


def everything(value: Any) -> Any:
    """A store as plain values, equal if nothing tells two apart."""
    if isinstance(value, dict):
        return {key: everything(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return (type(value), [everything(item) for item in value])
    if is_dataclass(value):
        names = {one.name for one in fields(value)} - {"order"}  # a cache
        return {name: everything(getattr(value, name)) for name in names}
    return value


def full() -> Store:
    """A store with something in every part of it."""
    store = account(random.Random(1)).store
    store.quotas[*HERE, "DeleteLogGroup"] = 25.0
    store.buckets["bucket"] = Bucket(*HERE, NOW, {"key": Object(b"\xff", NOW, "etag", "text/x")})
    region = store.region(*HERE)
    region.functions["f"], region.versions["f"] = None, {"1": "/f"}
    region.lacks, region.topics, region.parameters = frozenset({"a"}), {"t": [{}]}, {"p": "v"}
    group = next(iter(region.groups.values()))
    region.resources = {"arn": {"a": "b"}}
    store.tag(group, {"a": "b"}, NOW)
    group.odd, group.filters = {"storedBytes": ...}, {("metric", "f"): {"filterName": "f"}}
    return store


def test_what_is_saved_is_what_is_loaded(tmp_path: Path) -> None:
    """To the last value; what groups share, they share again."""
    store, path = full(), tmp_path / FILE
    for name in {one.name for one in fields(Region)} - {"opt_in", "refuses_tokens", "policies"}:
        assert any(getattr(region, name) for region in store.regions.values()), name
    before = everything(store)
    save(path, store, NOW)
    again, now = load(path)
    assert (everything(again), now) == (before, NOW)
    for region in again.regions.values():
        assert all(group.policies is region.policies for group in region.groups.values())
        assert not [policy for policy in region.policies if policy.due(NOW + 9 * DAY_MS)]
    save(path, store := demo.account(), NOW)
    assert everything(load(path)[0]) == everything(store)


# ---- a folder ------------------------------------------------------------------------------------

GROUPS = {f"/group/{number}" for number in range(4)}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a small account in it."""
    store = Store()
    for name in GROUPS:
        store.add_group(*HERE, name, created=NOW)
    save(tmp_path / FILE, store, NOW)
    return tmp_path


def delete(folder: Path, name: str, *, changing: bool = True) -> None:
    with kept(folder, changing=changing) as sandbox:
        sandbox.client("logs", region="eu-west-1").delete_log_group(logGroupName=name)


def names(folder: Path) -> set[str]:
    with kept(folder, changing=False) as sandbox:
        return set(sandbox.store.region(*HERE).groups)


def test_the_first_command_finds_the_demo_account(tmp_path: Path) -> None:
    """The folder is made when there is something to keep; without a change nothing is written."""
    folder = tmp_path / "made" / "when needed"
    assert "/ecs/checkout-blue" in names(folder)
    assert not folder.exists()
    with kept(folder, changing=True):
        pass
    assert not (folder / FILE).exists()
    delete(folder, "/ecs/checkout-blue")
    assert "/ecs/checkout-blue" not in names(folder)


def test_the_next_command_finds_the_change_a_minute_later(folder: Path) -> None:
    """Also after an error, as on AWS."""

    def fail() -> None:
        with kept(folder, changing=True) as sandbox:
            sandbox.client("logs").delete_log_group(logGroupName="/group/1")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    delete(folder, "/group/2")
    assert names(folder) == {"/group/0", "/group/3"}
    assert load(folder / FILE)[1] == NOW + 2 * LATER_MS


def test_one_command_at_a_time_may_change_an_account(folder: Path) -> None:
    """Another is refused before it does anything; readers see the account of before."""
    with kept(folder, changing=True) as sandbox:
        sandbox.client("logs").delete_log_group(logGroupName="/group/1")
        with pytest.raises(UsageError, match="another command is changing this account"):
            delete(folder, "/group/2")
        assert names(folder) == GROUPS
    delete(folder, "/group/3")
    assert names(folder) == {"/group/0", "/group/2"}


def test_an_account_that_cannot_be_written_is_as_it_was(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk is an error that names the file; nothing half-written is left."""
    before = (folder / FILE).read_bytes()

    def full(path: Path, text: str, **_how: Any) -> None:
        path.write_bytes(text.encode()[:9])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(UsageError, match=f"{FILE}: cannot be written: No space left on device"):
        delete(folder, "/group/1")
    assert (folder / FILE).read_bytes() == before
    assert {path.name for path in folder.iterdir()} == {FILE, f".{FILE}.lock"}


FOREIGN = "is not an account that --sandbox-state saved"
NEWER = f"is of version 2, and this program reads {saved.VERSION} only"
BROKEN: dict[str, Callable[[str], str]] = {
    "empty": lambda text: "",
    "foreign": lambda text: '{"groups": []}',
    "a list": lambda text: "[1]",
    "not UTF-8": lambda text: "\udcff" + text,
    "no time": lambda text: text.replace(str(NOW), '"soon"', 1),
    "cut off": lambda text: text[:-100],
    "a missing field": lambda text: text.replace('"created":', '"made":', 1),
    "an unknown field": lambda text: text.replace('{"Group":{', '{"Group":{"colour":1,', 1),
    "an unknown type": lambda text: text.replace('{"Group":', '{"Crowd":', 1),
    "newer": lambda text: json.dumps(json.loads(text) | {"sandbox_account": 2}),
}


@pytest.mark.parametrize("how", BROKEN)
def test_a_file_that_cannot_be_read_is_an_error_and_is_left(how: str, folder: Path) -> None:
    """The error is one line with the file and what is wrong with it."""
    path = folder / FILE
    path.write_bytes(BROKEN[how](path.read_text()).encode(errors="surrogateescape"))
    before = path.read_bytes()
    for changing in (False, True):
        with pytest.raises(UsageError) as refused:
            delete(folder, "/group/1", changing=changing)
        error = NEWER if how == "newer" else FOREIGN
        assert str(refused.value) == f"--sandbox-state: {path}: {error}"
    assert path.read_bytes() == before


@pytest.mark.parametrize("changing", [False, True])
def test_a_file_in_place_of_the_folder_is_refused(changing: bool, tmp_path: Path) -> None:
    """It is left alone."""
    (tmp_path / "file").write_text("mine")
    with pytest.raises(UsageError, match=r"--sandbox-state: .*file"):
        delete(tmp_path / "file", "/ecs/long-tail", changing=changing)
    assert (tmp_path / "file").read_text() == "mine"
