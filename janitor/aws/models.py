"""Loads botocore's models of the services, cut down to the operations that are called.

The models of the 78 services in the owner table take 115 MB of memory, cut down 37 MB (measured
with botocore 1.44.5).
"""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Mapping, Set
from typing import Any

from botocore.loaders import JSONFileLoader, Loader

_CALLED: dict[str, Set[str]] = {}


def keep_only(operations: Mapping[str, Set[str]]) -> None:
    """Cut these services' models down to these operations, as this process calls no others."""
    _CALLED.update(operations)


class Plain(JSONFileLoader):
    """Loads JSON into plain dicts. botocore's ordered ones take twice the time and a quarter more
    memory (1.44.5, measured on the owner table).
    """

    def _load_file(self, full_path: str, open_method: Any) -> Any:
        if not os.path.isfile(full_path):
            return None  # it is in another folder
        with open_method(full_path, "rb") as file:
            return json.load(file)


class Models(Loader):
    """botocore's loader, with the cuts of `keep_only`."""

    FILE_LOADER_CLASS = Plain

    def load_service_model(
        self, service_name: str, type_name: str, api_version: str | None = None
    ) -> Any:
        """The model, read once."""
        model = super().load_service_model(service_name, type_name, api_version)
        if type_name == "service-2":
            cut(service_name, model)
        return model


@functools.cache
def loader(data_path: str | None) -> Models:
    """The loader of botocore's models, shared so that not every account's session reads them."""
    paths = data_path.split(os.pathsep) if data_path else []
    return Models(extra_search_paths=[os.path.expanduser(path) for path in paths])


def cut(service: str, model: dict[str, Any]) -> None:
    """Cut a service's model down to the operations of `keep_only`, and the shapes that they use."""
    called = _CALLED.get(service)
    if called is None or model["operations"].keys() <= called:
        return
    operations = {name: model["operations"][name] for name in called & model["operations"].keys()}
    shapes: dict[str, Any] = {}
    found = list(_shapes(list(operations.values())))
    while found:
        name = found.pop()
        if name not in shapes:
            shapes[name] = model["shapes"][name]
            found += _shapes([shapes[name]])
    model.update(operations=operations, shapes=shapes)


def _shapes(described: Any) -> list[str]:
    """The names of the shapes to which a part of a model refers."""
    match described:
        case {"shape": str(name)}:
            return [name]
        case dict():
            return [name for part in described.values() for name in _shapes(part)]
        case list():
            return [name for part in described for name in _shapes(part)]
    return []
