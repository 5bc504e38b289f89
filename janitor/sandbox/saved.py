"""An account kept in a folder between commands: `--sandbox-state FOLDER`.

One file, put in place whole, so that whoever reads it meanwhile reads all of it. Whoever may change
the account holds a lock from reading to writing. A first line says the version, the account's time
and a checksum; the second holds the account as JSON.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import tempfile
from array import array
from collections.abc import Collection, Iterator
from dataclasses import fields
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from janitor.core.errors import UsageError
from janitor.sandbox import demo
from janitor.sandbox.account import Sandbox
from janitor.sandbox.retention_policies import RetentionPolicy, Terms
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

VERSION: Final = 1
FILE: Final = "account.json"
LATER_MS: Final = 60_000
"""Time stands still during a command; the one after a change comes a minute later."""


@contextlib.contextmanager
def kept(folder: Path, *, changing: bool) -> Iterator[Sandbox]:
    """The account in a folder, or the demo account if it holds none; saved if it was changed.

    Raises UsageError where the folder or its file cannot be used, and where `changing` meets
    another command that may change the account. A file that is not understood is left as it is.
    """
    path = folder / FILE
    with _alone(folder) if changing else contextlib.nullcontext():
        new = not path.exists() and not folder.is_file()
        store, now = (demo.account(), demo.NOW) if new else load(path)
        before = _text(store) if changing else ""
        try:
            yield demo.sandbox(store, now)
        finally:
            if changing and (text := _text(store)) != before:
                _write(path, text, now + LATER_MS)


def save(path: Path, store: Store, now: int) -> None:
    """Write the account, whole or not at all. `now` is its time in ms. Raises UsageError."""
    _write(path, _text(store), now)


def _write(path: Path, text: str, now: int) -> None:
    head = {"sandbox_account": VERSION, "now": now, "sha256": sha256(text.encode()).hexdigest()}
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{FILE}.")
        try:
            with open(handle, "w", encoding="utf-8") as file:
                file.write(f"{json.dumps(head)}\n{text}\n")
                file.flush()
                os.fsync(file.fileno())
            Path(name).replace(path)
        finally:
            Path(name).unlink(missing_ok=True)
    except OSError as error:
        raise _unusable(path, f"cannot be written: {error.strerror}") from error


def load(path: Path) -> tuple[Store, int]:
    """The account in a file, and its time in ms. Raises UsageError."""
    try:
        first, _, text = path.read_text(encoding="utf-8").partition("\n")
        head = json.loads(first)
        version, now, checksum = head["sandbox_account"], int(head["now"]), head["sha256"]
    except OSError as error:
        raise _unusable(path, f"cannot be read: {error.strerror}") from error
    except (ValueError, TypeError, KeyError) as error:
        why = "is not an account that --sandbox-state saved: its first line does not say so"
        raise _unusable(path, why) from error
    if version != VERSION:
        raise _unusable(path, f"is of version {version}, and this program reads {VERSION} only")
    if sha256(text.removesuffix("\n").encode()).hexdigest() != checksum:
        raise _unusable(path, "is damaged: its second line is not what was saved (checksum)")
    try:
        store = _read(json.loads(text))
    except _UnknownError as error:
        raise _unusable(path, f"was saved by another version of this program: {error}") from error
    assert isinstance(store, Store)
    return store, now


def _unusable(path: Path, why: str) -> UsageError:
    return UsageError(f"--sandbox-state: {path}: {why}")


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """While nobody else changes the folder's account. Raises UsageError."""
    with contextlib.ExitStack() as held:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            file = held.enter_context((folder / f".{FILE}.lock").open("w"))
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise _unusable(folder, "another command is changing this account") from error
        except OSError as error:
            raise _unusable(folder, f"cannot be used: {error.strerror}") from error
        yield


# ---- the account as JSON -------------------------------------------------------------------------

_DATA: Final = (Lags, Bucket, Object, RetentionPolicy, Terms)
_FIELDS: Final[dict[type, Collection[str]]] = {
    Region: vars(Region("", "")).keys(),
    Plain: vars(Plain()).keys(),
    Group: [slot for slot in Group.__slots__ if slot not in ("order", "policies")],
    Stream: Stream.__slots__,
    **{kind: [one.name for one in fields(kind)] for kind in (Store, *_DATA)},
}
_BY_NAME: Final = {kind.__name__: kind for kind in _FIELDS}


class _UnknownError(Exception):
    """Something that this version does not have, or has and was not told."""


def _text(store: Store) -> str:
    return json.dumps(_said(store), separators=(",", ":"))


def _said(value: Any) -> Any:
    """What JSON knows as it is; all else as an object of one key that says what it is."""
    match value:
        case None | bool() | int() | float() | str():
            return value
        case list() if value and isinstance(value[0], Events):  # they are most of an account
            return {"events": [[e.at, e.count, e.bytes, e.ingested] for e in value]}
        case list():
            return [_said(item) for item in value]
        case dict():
            return {"dict": [[_said(key), _said(item)] for key, item in value.items()]}
        case frozenset():
            return {"frozenset": sorted(value)}
        case tuple():
            return {"tuple": [_said(item) for item in value]}
        case array():
            return {"array": [value.typecode, value.tolist()]}
        case bytes() | bytearray():
            return {type(value).__name__: value.hex()}
        case _ if value is ...:
            return {"...": None}
        case _:
            kind = type(value)
            return {kind.__name__: {name: _said(getattr(value, name)) for name in _FIELDS[kind]}}


def _read(said: Any) -> Any:
    """The reverse of `_said`. Raises _UnknownError."""
    match said:
        case list():
            return [_read(item) for item in said]
        case {"events": rows}:
            return [Events(*row) for row in rows]
        case {"dict": pairs}:
            return {_read(key): _read(item) for key, item in pairs}
        case {"tuple": items}:
            return tuple(_read(item) for item in items)
        case {"frozenset": items}:
            return frozenset(items)
        case {"array": [code, items]}:
            return array(code, items)
        case {"bytes": digits}:
            return bytes.fromhex(digits)
        case {"bytearray": digits}:
            return bytearray.fromhex(digits)
        case {"...": _}:
            return ...
        case dict():
            [(name, values)] = said.items()
            return _made(name, values)
        case _:
            return said


def _made(name: str, said: dict[str, Any]) -> object:
    if (kind := _BY_NAME.get(name)) is None:
        raise _UnknownError(name)
    if differing := said.keys() ^ set(_FIELDS[kind]):
        raise _UnknownError(f"{name}.{min(differing)}")
    made: object = object.__new__(kind)
    for field, value in said.items():
        object.__setattr__(made, field, _read(value))  # some are frozen
    match made:  # what is one object in a store, not two alike
        case Region():
            for group in made.groups.values():
                group.order = None
                made.put(group)
        case RetentionPolicy() if made.in_force == made.terms:
            made.in_force = made.terms
    return made
