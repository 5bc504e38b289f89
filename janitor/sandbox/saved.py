"""An account kept in a folder between commands: `--sandbox-state FOLDER`.

It is one JSON file, replaced atomically, so that readers always see a whole one. A command that may
change the account holds a lock from reading to writing.
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
"""Time stands still during a command; the command after a change runs a minute later."""


@contextlib.contextmanager
def kept(folder: Path, *, changing: bool) -> Iterator[Sandbox]:
    """The account in a folder, or the demo account if it holds none; saved if it was changed.

    Raises UsageError if the folder or its file cannot be used, or if two commands may change the
    account at once. A file that cannot be read is left alone.
    """
    path = folder / FILE
    with _lock(folder) if changing else contextlib.nullcontext():
        new = not path.exists() and not folder.is_file()
        store, now = (demo.account(), demo.NOW) if new else load(path)
        before = _dumped(store) if changing else None
        try:
            yield demo.sandbox(store, now)
        finally:
            if changing and _dumped(store) != before:
                save(path, store, now + LATER_MS)


def save(path: Path, store: Store, now: int) -> None:
    """Write the account atomically. `now` is its time in ms. Raises UsageError."""
    content = {"sandbox_account": VERSION, "now": now, "store": _dumped(store)}
    new = path.with_name(f".{FILE}.new")
    try:
        new.write_text(json.dumps(content, separators=(",", ":")), encoding="utf-8")
        new.replace(path)
    except OSError as error:
        new.unlink(missing_ok=True)
        raise _unusable(path, f"cannot be written: {error.strerror}") from error


def load(path: Path) -> tuple[Store, int]:
    """The account in a file, and its time in ms. Raises UsageError."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        version, now = content["sandbox_account"], int(content["now"])
        if version == VERSION:
            return _loaded(content["store"]), now
    except OSError as error:
        raise _unusable(path, f"cannot be read: {error.strerror}") from error
    except (ValueError, TypeError, LookupError) as error:
        raise _unusable(path, "is not an account that --sandbox-state saved") from error
    raise _unusable(path, f"is of version {version}, and this program reads {VERSION} only")


def _unusable(path: Path, why: str) -> UsageError:
    return UsageError(f"--sandbox-state: {path}: {why}")


@contextlib.contextmanager
def _lock(folder: Path) -> Iterator[None]:
    """Hold the folder's lock. Raises UsageError."""
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
_LEFT_OUT: Final = {Region: {"names"}, Group: {"order", "policies"}}
"""Fields that are derived, or shared with the Region."""


def _dumped(value: Any) -> Any:
    """JSON's own values as they are; all others as an object whose one key names the type."""
    match value:
        case None | bool() | int() | float() | str():
            return value
        case list() if value and isinstance(value[0], Events):  # they are most of an account
            return {"events": [[e.at, e.count, e.bytes, e.ingested] for e in value]}
        case list():
            return [_dumped(item) for item in value]
        case dict():
            return {"dict": [[_dumped(key), _dumped(item)] for key, item in value.items()]}
        case tuple() | frozenset():
            return {type(value).__name__: [_dumped(item) for item in value]}
        case bytes():
            return {"bytes": value.hex()}
        case _ if value is ...:
            return {"...": None}
    names = {one.name for one in fields(value)} - _LEFT_OUT.get(type(value), set())
    return {type(value).__name__: {name: _dumped(getattr(value, name)) for name in sorted(names)}}


def _loaded(value: Any) -> Any:
    """The reverse of `_dumped`. Raises ValueError, TypeError and LookupError."""
    if isinstance(value, list):
        return [_loaded(item) for item in value]
    if not isinstance(value, dict):
        return value
    [(kind, content)] = value.items()
    match kind:
        case "events":
            return [Events(*row) for row in content]
        case "dict":
            return {_loaded(key): _loaded(item) for key, item in content}
        case "tuple" | "frozenset":
            return (tuple if kind == "tuple" else frozenset)(_loaded(content))
        case "bytes":
            return bytes.fromhex(content)
        case "...":
            return ...
    made = _KINDS[kind](**{name: _loaded(item) for name, item in content.items()})
    if isinstance(made, Region):
        made.names = sorted(made.groups)
        for group in made.groups.values():
            group.policies = made.policies
    return made
