"""An account kept in a folder between commands: `--sandbox-state FOLDER`.

One JSON file, put in place whole, so that whoever reads it meanwhile reads all of it. Whoever may
change the account holds a lock from reading to writing. Rows (`Plain`) are not kept: the demo
account, with which a folder begins, has none.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any, Final

from janitor.core.errors import UsageError
from janitor.sandbox import demo
from janitor.sandbox.account import Sandbox
from janitor.sandbox.organization import Membership, Organization, Unit
from janitor.sandbox.retention_policies import RetentionPolicy, Terms
from janitor.sandbox.store import Bucket, Events, Group, Lags, Object, Region, Store, Stream

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
        before = _said(store) if changing else None
        try:
            yield demo.sandbox(store, now)
        finally:
            if changing and _said(store) != before:
                save(path, store, now + LATER_MS)


def save(path: Path, store: Store, now: int) -> None:
    """Write the account, whole or not at all. `now` is its time in ms. Raises UsageError."""
    said = {"sandbox_account": VERSION, "now": now, "store": _said(store)}
    new = path.with_name(f".{FILE}.new")
    try:
        new.write_text(json.dumps(said, separators=(",", ":")), encoding="utf-8")
        new.replace(path)
    except OSError as error:
        new.unlink(missing_ok=True)
        raise _unusable(path, f"cannot be written: {error.strerror}") from error


def load(path: Path) -> tuple[Store, int]:
    """The account in a file, and its time in ms. Raises UsageError."""
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
        version, now = said["sandbox_account"], int(said["now"])
        if version == VERSION:
            return _read(said["store"]), now
    except OSError as error:
        raise _unusable(path, f"cannot be read: {error.strerror}") from error
    except (ValueError, TypeError, LookupError) as error:
        raise _unusable(path, "is not an account that --sandbox-state saved") from error
    raise _unusable(path, f"is of version {version}, and this program reads {VERSION} only")


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

_KINDS: Final[dict[str, Any]] = {
    kind.__name__: kind
    for kind in (
        *(Store, Lags, Region, Group, Stream, RetentionPolicy, Terms, Bucket, Object),
        *(Organization, Unit, Membership),
    )
}
_FOUND_AGAIN: Final = frozenset({"plain", "names", "order"})
_SHARED: Final = "policies"
"""What a group has of its Region."""


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
        case tuple() | frozenset():
            return {type(value).__name__: [_said(item) for item in value]}
        case bytes():
            return {"bytes": value.hex()}
        case _ if value is ...:
            return {"...": None}
    names = {one.name for one in fields(value)} - _FOUND_AGAIN
    names -= {_SHARED} if isinstance(value, Group) else set()
    return {type(value).__name__: {name: _said(getattr(value, name)) for name in sorted(names)}}


def _read(said: Any) -> Any:
    """The reverse of `_said`. Raises ValueError, TypeError and LookupError."""
    if isinstance(said, list):
        return [_read(item) for item in said]
    if not isinstance(said, dict):
        return said
    [(name, value)] = said.items()
    match name:
        case "events":
            return [Events(*row) for row in value]
        case "dict":
            return {_read(key): _read(item) for key, item in value}
        case "tuple":
            return tuple(_read(value))
        case "frozenset":
            return frozenset(_read(value))
        case "bytes":
            return bytes.fromhex(value)
        case "...":
            return ...
    made = _KINDS[name](**{field: _read(item) for field, item in value.items()})
    if isinstance(made, Region):
        for group in made.groups.values():
            made.names.append(group.name)
            group.policies = made.policies
        made.names.sort()
    return made
