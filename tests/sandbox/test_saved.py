"""An account kept in a folder is the same account in the next command."""

from __future__ import annotations

import json
import os
from array import array
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from janitor.core.errors import UsageError
from janitor.sandbox import demo, saved
from janitor.sandbox.retention_policies import RetentionPolicy, Terms
from janitor.sandbox.saved import FILE, LATER_MS, kept, load, save
from janitor.sandbox.store import (
    Bucket,
    Events,
    Group,
    Lags,
    Object,
    Plain,
    Region,
    Store,
    Stream,
)

NOW = demo.NOW
HERE = (demo.ACCOUNT, "eu-west-1")

# ---- whatever a store holds ----------------------------------------------------------------------

texts = st.text(max_size=5)
whole = st.integers(0, 2**40)
days = st.none() | st.integers(1, 3653)
values = st.recursive(st.none() | st.booleans() | whole | texts, st.lists, max_leaves=3)
tags = st.dictionaries(texts, texts, max_size=2)
rows = st.lists(st.builds(Events, whole, whole, whole, whole), max_size=2)
OF_GROUP: dict[str, st.SearchStrategy[Any]] = {
    "retention": days,
    "stored": whole,
    "log_class": texts,
    "kms": st.none() | texts,
    "bearer": st.booleans(),
    "data_protection": st.none() | texts,
    "protection_status": st.none() | texts,
    "index": st.none() | texts,
    "transformer": st.lists(st.dictionaries(texts, values, max_size=1), max_size=2),
    "filters": st.dictionaries(st.tuples(texts, texts), tags, max_size=2),
    "protected": st.booleans(),
    "metric_filters": st.lists(texts, max_size=2).map(tuple),
    "subscriptions": st.lists(texts, max_size=2).map(tuple),
    "tags": tags,
    "odd": st.none() | st.dictionaries(texts, values | st.just(...), max_size=2),
}
OF_REGION: dict[str, st.SearchStrategy[Any]] = {
    "functions": st.dictionaries(texts, st.none() | texts, max_size=2),
    "versions": st.dictionaries(texts, tags, max_size=1),
    "arrivals": st.dictionaries(texts, rows, max_size=2),
    "resource_policies": st.dictionaries(st.tuples(texts, st.none() | texts), tags, max_size=1),
    "syslog": st.lists(tags, max_size=1),
    "opt_in": texts,
    "refuses_tokens": st.booleans(),
    "lacks": st.frozensets(texts, max_size=2),
    "topics": st.dictionaries(texts, st.lists(tags, max_size=1), max_size=1),
    "parameters": tags,
    "tagged": st.dictionaries(texts, st.lists(st.tuples(whole, tags), max_size=1), max_size=1),
}
terms = st.builds(Terms, days, st.lists(texts, max_size=2).map(tuple), st.booleans())


@st.composite
def policies(draw: st.DrawFn) -> RetentionPolicy:
    put = draw(terms)
    in_force = draw(st.none() | st.just(put) | terms)
    return RetentionPolicy(draw(texts), put, in_force, draw(whole), draw(whole), draw(texts))


@st.composite
def stores(draw: st.DrawFn) -> Store:
    store = Store(Lags(*(draw(st.floats(0, 9)) for _ in fields(Lags))))
    for account, region in draw(st.sets(st.tuples(texts, texts), max_size=2)):
        place = store.region(account, region)
        for name, strategy in OF_REGION.items():
            setattr(place, name, draw(strategy))
        place.policies += draw(st.lists(policies(), max_size=2))
        names = sorted(draw(st.sets(texts, max_size=4)))
        place.plain = Plain(
            names,
            array("q", [draw(whole) for _ in names]),
            array("h", [draw(st.integers(0, 3653)) for _ in names]),
            array("q", [draw(whole) for _ in names]),
        )
        for name in draw(st.sets(texts, max_size=2)):
            place.get(name)  # a row becomes a group
            group = place.groups.get(name) or Group(account, region, name, draw(whole))
            place.put(group)
            for slot, strategy in OF_GROUP.items():
                setattr(group, slot, draw(strategy))
            for stream in draw(st.sets(texts, max_size=2)):
                group.streams[stream] = Stream(
                    stream, draw(whole), draw(st.none() | st.floats(0, 9))
                )
                group.streams[stream].events = draw(rows)
    objects = st.builds(Object, st.binary(max_size=9), whole, texts, tags)
    kept = st.builds(Bucket, texts, texts, whole, st.dictionaries(texts, objects, max_size=2))
    store.buckets = draw(st.dictionaries(texts, kept, max_size=1))
    store.quotas = draw(
        st.dictionaries(st.tuples(texts, texts, texts), st.floats(0, 9), max_size=1)
    )
    return store


def everything(value: Any) -> Any:
    """A store as plain values, all of it: two are equal if nothing tells them apart."""
    if isinstance(value, dict):
        return {key: everything(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return (type(value), [everything(item) for item in value])
    if is_dataclass(value):
        return {one.name: everything(getattr(value, one.name)) for one in fields(value)}
    if isinstance(value, Group | Stream):
        slots = set(value.__slots__) - {"order"}  # what it sorted, for the next time
        return {slot: everything(getattr(value, slot)) for slot in slots}
    if isinstance(value, Region | Plain):
        return {name: everything(item) for name, item in vars(value).items()}
    return value


def test_every_part_of_a_store_is_tried() -> None:
    """Whoever adds to it is told here."""
    own = {"account", "region", "name", "created", "streams", "policies", "order"}
    assert set(Group.__slots__) == OF_GROUP.keys() | own
    own = {"account", "name", "plain", "groups", "names", "policies"}
    assert vars(Region("", "")).keys() == OF_REGION.keys() | own
    assert vars(Store()).keys() == {"lags", "regions", "quotas", "buckets"}


@given(stores())
def test_what_is_saved_is_what_is_loaded(
    tmp_path_factory: pytest.TempPathFactory, store: Store
) -> None:
    """To the last value; and what groups share, they share again."""
    path = tmp_path_factory.getbasetemp() / FILE
    before = everything(store)
    save(path, store, NOW)
    again, now = load(path)
    assert (everything(again), now) == (before, NOW)
    assert everything(store) == before
    for region in again.regions.values():
        assert all(group.policies is region.policies for group in region.groups.values())
        old = store.region(region.account, region.name).policies
        assert [p.due(2**41) for p in region.policies] == [
            p.in_force is not p.terms and p.in_force != p.terms for p in old
        ]


def test_the_demo_account_answers_as_before(tmp_path: Path) -> None:
    """Every log group, over the API."""

    def shown(store: Store) -> list[Any]:
        logs = demo.sandbox(store, NOW).client("logs")
        pages = logs.get_paginator("describe_log_groups").paginate()
        return [entry for page in pages for entry in page["logGroups"]]

    save(tmp_path / FILE, demo.account(), NOW)
    assert shown(load(tmp_path / FILE)[0]) == shown(demo.account())


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
    """And makes the folder when there is something to keep; what changes nothing writes nothing."""
    folder = tmp_path / "made" / "when needed"
    assert "/ecs/checkout-blue" in names(folder)
    assert not folder.exists()
    with kept(folder, changing=True):
        pass
    assert not (folder / FILE).exists()
    delete(folder, "/ecs/checkout-blue")
    assert "/ecs/checkout-blue" not in names(folder)


def test_what_changed_is_there_in_the_next_command_a_minute_later(folder: Path) -> None:
    """Command after command."""
    for number, name in enumerate(sorted(GROUPS), 1):
        delete(folder, name)
        assert name not in names(folder)
        assert load(folder / FILE)[1] == NOW + number * LATER_MS
    assert names(folder) == set()


def test_what_was_done_before_an_error_is_kept(folder: Path) -> None:
    """As on AWS."""

    def interrupted() -> None:
        with kept(folder, changing=True) as sandbox:
            sandbox.client("logs").delete_log_group(logGroupName="/group/1")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert names(folder) == GROUPS - {"/group/1"}


def test_one_command_at_a_time_may_change_an_account(folder: Path) -> None:
    """Another one is refused before it does anything; those that look see the whole one before."""
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

    def full(_file: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UsageError, match=f"{FILE}: cannot be written: No space left on device"):
        delete(folder, "/group/1")
    assert (folder / FILE).read_bytes() == before
    assert {path.name for path in folder.iterdir()} == {FILE, f".{FILE}.lock"}


def _head(text: str, **changed: Any) -> str:
    first, _, account = text.partition("\n")
    return json.dumps(json.loads(first) | changed) + "\n" + account


def _other(text: str, old: str, new: str) -> str:
    """With a checksum that fits."""
    first, account, _ = text.split("\n")
    account = account.replace(old, new, 1)
    return _head(f"{first}\n{account}\n", sha256=sha256(account.encode()).hexdigest())


def _broken() -> Iterator[Any]:
    foreign = "is not an account that --sandbox-state saved"
    yield pytest.param(lambda text: "", foreign, id="empty")
    yield pytest.param(lambda text: '{"groups": []}', foreign, id="foreign")
    yield pytest.param(lambda text: "[1]\n" + text, foreign, id="a list")
    yield pytest.param(lambda text: "\udcff" + text, foreign, id="not UTF-8")
    yield pytest.param(lambda text: _head(text, now="soon"), foreign, id="no time")
    yield pytest.param(lambda text: text[:-100], "is damaged", id="cut off")
    yield pytest.param(
        lambda text: text.replace("group/1", "group/7", 1), "is damaged", id="edited"
    )
    newer = f"is of version 2, and this program reads {saved.VERSION} only"
    yield pytest.param(lambda text: _head(text, sandbox_account=2), newer, id="newer")
    for old, new, named in (
        ('"lags":', '"leads":', "Store.lags"),
        ('{"Group":{', '{"Group":{"colour":"red",', "Group.colour"),
        ('{"Group":', '{"Crowd":', "Crowd"),
    ):
        said = f"was saved by another version of this program: {named}"
        yield pytest.param(lambda text, o=old, n=new: _other(text, o, n), said, id=named)


@pytest.mark.parametrize(("breaking", "said"), list(_broken()))
def test_a_file_that_is_not_understood_is_an_error_and_is_left(
    breaking: Any, said: str, folder: Path
) -> None:
    """One line that names it and what is wrong with it, for those that look and those that act."""
    path = folder / FILE
    path.write_bytes(breaking(path.read_text()).encode(errors="surrogateescape"))
    before = path.read_bytes()
    for changing in (False, True):
        with pytest.raises(UsageError) as refused:
            delete(folder, "/group/1", changing=changing)
        assert str(refused.value).startswith(f"--sandbox-state: {path}: {said}")
        assert "\n" not in str(refused.value)
    assert path.read_bytes() == before


def test_what_is_no_folder_is_refused_before_anything_is_done(tmp_path: Path) -> None:
    """A file in its place, for those that change and those that look."""
    (tmp_path / "file").write_text("mine")
    for changing in (False, True):
        with pytest.raises(UsageError, match=r"--sandbox-state: .*file"):
            delete(tmp_path / "file", "/ecs/long-tail", changing=changing)
    assert (tmp_path / "file").read_text() == "mine"
