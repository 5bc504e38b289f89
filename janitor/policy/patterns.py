"""Globs, RE2 patterns and tags as a policy writes them: what they match, and which are valid."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from fnmatch import translate
from functools import lru_cache


@lru_cache(maxsize=4096)
def _finder(pattern: str) -> Callable[[str], object]:
    if pattern.startswith("re:"):
        return _search(pattern[3:])
    return glob(pattern)


_SPECIAL = re.compile(r"[*?[]")


def glob(pattern: str) -> Callable[[str], object]:
    """Return a function that is truthy for a text that the glob matches, case-sensitively."""
    plain = pattern.strip("*")
    if not _SPECIAL.search(plain):  # true of most globs, and far faster than a regular expression
        match pattern.startswith("*"), pattern.endswith("*"):
            case True, True:
                return lambda text: plain in text
            case True, False:
                return lambda text: text.endswith(plain)
            case False, True:
                return lambda text: text.startswith(plain)
            case _:
                return lambda text: text == plain
    with warnings.catch_warnings():
        # Python warns of sets such as `[[a]`, which are meant literally.
        warnings.simplefilter("ignore", FutureWarning)
        # fnmatch.translate writes expressions that do not backtrack from one `*` into another.
        return re.compile(translate(pattern)).match


def any_of(patterns: Sequence[str] | None) -> Callable[[str], object] | None:
    """Return a function that is truthy for a text that any pattern matches; None without any."""
    finders = [_finder(pattern) for pattern in patterns or ()]
    if len(finders) > 1:
        return lambda text: any(find(text) for find in finders)
    return finders[0] if finders else None


def matches(pattern: str, text: str) -> bool:
    """Whether a glob matches the whole text (case-sensitive, `*` also matches `/`), or a `re:…`
    matches anywhere in it.
    """
    return bool(_finder(pattern)(text))


def has_tag(wanted: str, tags: Mapping[str, str]) -> bool:
    """Whether `tags` contain the wanted "key", or "key=value" where the value is a pattern."""
    key, equals, value = wanted.partition("=")
    return key in tags and (not equals or matches(value, tags[key]))


def _search(expression: str) -> Callable[[str], object]:
    """Return a function that searches a text for a regular expression. Raises ValueError.

    RE2 takes time linear in the text, while an expression of a dozen characters could hang Python's
    own. It is imported here because most policies do not need it.
    """
    import re2

    options = re2.Options()
    options.log_errors = False
    try:
        compiled = re2.compile(expression, options)
    except re2.error as error:
        text = error.args[0]
        why = text.decode(errors="replace") if isinstance(text, bytes) else str(text)
        raise ValueError(f"not a valid RE2 regular expression: {why}") from error
    return lambda text: compiled.search(text.encode(errors="replace"))


def valid_pattern(text: str) -> str:
    """Return the pattern. Raises ValueError unless it is a glob or a valid `re:…`."""
    if text.startswith("re:"):
        _search(text[3:])
    return text


def valid_tag(text: str) -> str:
    """Return the tag, "key" or "key=value". Raises ValueError unless it is valid."""
    key, _, value = text.partition("=")
    if not key:
        raise ValueError('a tag is "key" or "key=value"')
    valid_pattern(value)
    return text
