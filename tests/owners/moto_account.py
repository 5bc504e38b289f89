"""A moto account that does without the packages only some of its services need."""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import os
import sys
from collections.abc import Iterator
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any
from unittest import mock

import boto3
import botocore.session

from tests.accounts import REGION
from tests.owners.shapes import LOADER

NOT_NEEDED = ("aws_xray_sdk", "docker", "graphql", "joserfc", "openapi_spec_validator", "pyparsing")


class _Absent(MetaPathFinder, Loader):
    """Provides mock modules for packages that are not installed and never called."""

    def __init__(self) -> None:
        self._names = [name for name in NOT_NEEDED if importlib.util.find_spec(name) is None]

    def find_spec(self, fullname: str, *_more: object) -> ModuleSpec | None:
        if fullname.partition(".")[0] in self._names:
            return ModuleSpec(fullname, self, is_package=True)
        return None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        made: Any = mock.MagicMock(name=spec.name)
        made.__path__ = []
        return made  # type: ignore[no-any-return]

    def exec_module(self, module: ModuleType) -> None:
        del module

    def forget(self) -> None:
        for name in [n for n in sys.modules if n.partition(".")[0] in self._names]:
            del sys.modules[name]


@contextlib.contextmanager
def account() -> Iterator[boto3.Session]:
    """A session of an empty account."""
    from moto import mock_aws  # takes half a second, which only these tests need

    absent = _Absent()
    sys.meta_path.append(absent)
    try:
        with (
            mock.patch.dict(os.environ, MOTO_EC2_LOAD_DEFAULT_AMIS="false"),  # there are a thousand
            mock_aws(config={"batch": {"use_docker": False}, "lambda": {"use_docker": False}}),
        ):
            yield _session()
    finally:
        sys.meta_path.remove(absent)
        absent.forget()


@functools.cache
def _session() -> boto3.Session:
    """The session of all accounts, made after moto has started: service models are read once."""
    inner = botocore.session.Session()
    inner.register_component("data_loader", LOADER)
    return boto3.Session("key", "secret", region_name=REGION, botocore_session=inner)
