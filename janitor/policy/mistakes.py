"""Names what is wrong with a policy file: the line, rule, key and value, and what is accepted."""

from __future__ import annotations

import contextlib
import copy
import sys
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError

from janitor.policy.file import Policy

LONGEST = 1000
"""Lines of a policy file, at most, for errors to name their lines: finding these is slow."""

_Path = tuple[str | int, ...]
_Problem = tuple[int | None, str]
"""The line number, if it is known, and the problem."""


def mistakes(error: ValidationError, raw: Mapping[str, Any], text: str) -> list[str]:
    """Return every mistake that makes a policy invalid, in the order of the file. `raw` is the
    parsed `text`, and `error` what validating it raised.
    """
    errors = [dict(e) for e in error.errors()]
    lines = _line_numbers(text)
    problems = [problem for e in errors for problem in _problems(e, raw, lines)]
    problems += _further_contradictions(errors, raw, lines)
    return _in_file_order(problems)


def _line_numbers(text: str) -> dict[_Path, int]:
    """Return the line on which each key and value starts: the one after the longest text that is
    valid TOML without it.
    """
    numbers: dict[_Path, int] = {}
    lines, start = text.splitlines(keepends=True), 1
    for number in range(1, len(lines) + 1 if len(lines) <= LONGEST else 1):
        with contextlib.suppress(ValueError):  # a value continues on the next line
            for path in _paths(tomllib.loads("".join(lines[:number]))):
                numbers.setdefault(path, start)
            start = number + 1
    return numbers


def _paths(value: object, path: _Path = ()) -> Iterator[_Path]:
    yield path
    inner = value.items() if isinstance(value, dict) else ()
    for key, item in enumerate(value) if isinstance(value, list) else inner:
        yield from _paths(item, (*path, key))


def _in_file_order(problems: Sequence[_Problem]) -> list[str]:
    """Return the problems as text, in the order of the file; those without a line come last."""
    ordered = sorted(problems, key=lambda problem: problem[0] or sys.maxsize)
    return [text if line is None else f"line {line}: {text}" for line, text in ordered]


def _further_contradictions(
    errors: Sequence[Mapping[str, Any]], raw: Mapping[str, Any], lines: Mapping[_Path, int]
) -> list[_Problem]:
    """Return the contradictions between rules, which pydantic only looks for once the values with
    `errors` are removed.
    """
    rest = copy.deepcopy(dict(raw))
    for error in errors:
        if not error["loc"] or error["type"] == "missing":
            return []
        _remove(rest, error["loc"])
    try:
        Policy.model_validate(rest)
    except ValidationError as error:
        whole = [dict(e) for e in error.errors() if not e["loc"]]
        return [problem for e in whole for problem in _problems(e, raw, lines)]
    return []


def _remove(value: Any, location: Sequence[str | int]) -> None:
    """Remove, in place, the innermost key on the path to a location; from a section that
    contradicts itself, the keys that may do so.
    """
    inner, key = None, None
    for part in location:
        if isinstance(value, dict):
            inner, key = value, part
        try:
            value = value[part]
        except (KeyError, IndexError, TypeError):
            break
    if isinstance(value, dict):
        for name in ("retention_days", "min_days", "max_days"):
            value.pop(name, None)
    elif inner is not None:
        inner.pop(key, None)


def _problems(
    error: Mapping[str, Any], raw: Mapping[str, Any], lines: Mapping[_Path, int]
) -> Iterator[_Problem]:
    """Return the problems that an error names, each with its line."""
    location = error["loc"]
    if location:
        while location not in lines and location:
            location = location[:-1]
        yield lines.get(location), _problem(error, raw)
        return
    ids = {rule["id"]: index for index, rule in enumerate(raw.get("rules", ()))}
    for text in str(error["msg"]).removeprefix("Value error, ").split("\n"):
        index = next((n for id_, n in ids.items() if text.startswith(f"rule {id_!r}: ")), None)
        yield None if index is None else lines.get(("rules", index)), text


def _problem(error: Mapping[str, Any], raw: Mapping[str, Any]) -> str:
    where: list[str] = []
    location = list(error["loc"])
    if location[:1] == ["rules"] and len(location) > 1:
        index = location[1]
        rules = raw.get("rules")
        entry = rules[index] if isinstance(rules, list) and isinstance(index, int) else None
        name = entry.get("id") if isinstance(entry, dict) else None
        where.append(f"rule {name!r}" if isinstance(name, str) and name else f"rules[{index}]")
        location = location[2:]
    key = ".".join(str(part) for part in location if part != "[key]")
    if key:
        where.append(key)
    value = error["input"]
    shown = "" if isinstance(value, dict) or error["type"] == "missing" else f" (got {value!r})"
    return f"{': '.join(where) or 'policy'}: {_message(error)}{shown}"


def _message(error: Mapping[str, Any]) -> str:
    match error["type"]:
        case "extra_forbidden" if removed := _REMOVED.get(error["loc"]):
            return removed
        case "extra_forbidden":
            key, accepted = error["loc"][-1], _keys_at(error["loc"])
            near = get_close_matches(str(key), accepted, n=1)
            hint = "".join(f"did you mean {name}? " for name in near)
            text = f"unknown key; {hint}accepted: {', '.join(accepted)}"
            places = [f"[{name}]" for name, model in _sections() if key in model.model_fields]
            return f"{text}; it belongs to {' or '.join(places)}" if places else text
        case "missing":
            return "is required"
        case "list_type" if len(error["loc"]) == 1:
            return f"is a list of tables: write [[{error['loc'][0]}]]"
        case "date_type":
            return "is a day without quotes or a time: 2027-06-30"
        case "model_type":
            return f"is a table: write [{'.'.join(map(str, error['loc']))}]"
        case _:
            return str(error["msg"]).removeprefix("Value error, ")


_REMOVED = {
    ("protect", "live_owners"): "is no longer a key: [protect.deletion] owners says which owners "
    "are checked: true, false or a list",
    ("quotas",): "is no longer a key: the account's quotas are read from Service Quotas, and "
    "limits.api_share says how much of them to use",
}
"""Keys of earlier versions, and what replaced them."""


def _sections(
    of: type[BaseModel] = Policy, path: str = ""
) -> Iterator[tuple[str, type[BaseModel]]]:
    """Yield each section, named as between its brackets, and its model."""
    for key, field in of.model_fields.items():
        kind = get_origin(field.annotation)
        if (model := _model(field.annotation)) is not None and kind is not dict:
            yield f"[{key}]" if kind is list else path + key, model
            yield from _sections(model, f"{path}{key}.")


def _model(kind: object) -> type[BaseModel] | None:
    """Return the model of a key, or of the entries of its list or table; None if it has none."""
    kinds = [one for one in (kind, *get_args(kind)) if isinstance(one, type)]
    return next((one for one in kinds if issubclass(one, BaseModel)), None)


def _keys_at(location: tuple[str | int, ...]) -> list[str]:
    model: type[BaseModel] = Policy
    parts = iter(location[:-1])
    for part in parts:
        kind = model.model_fields[str(part)].annotation
        model = _model(kind) or model
        if get_origin(kind) in (list, dict):
            next(parts)  # the index or the name of the entry
    return list(model.model_fields)
