"""Reduced service models keep everything that is called."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.loaders import Loader
from botocore.model import ServiceModel

from janitor.aws import models
from janitor.aws.models import Models, keep_only


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models, "_CALLED", {})


def described(shape: Any, within: tuple[str, ...] = ()) -> Any:
    """Return a shape's name with those of everything inside it."""
    if shape is None or shape.name in within:
        return shape and shape.name
    inner = {**getattr(shape, "members", {})}
    inner |= {
        kind: getattr(shape, kind) for kind in ("member", "key", "value") if hasattr(shape, kind)
    }
    within = (*within, shape.name)
    return shape.name, {name: described(part, within) for name, part in inner.items()}


@pytest.mark.parametrize("name", ["ecs", "ec2", "rds", "iot"])
def test_operations_that_are_called_are_unchanged(name: str) -> None:
    """Their input, output and errors are the same to the last member; the others are gone."""
    whole = ServiceModel(Loader().load_service_model(name, "service-2"), name)
    called = set(list(whole.operation_names)[::9])
    keep_only({name: called})
    cut = ServiceModel(Models().load_service_model(name, "service-2"), name)
    assert set(cut.operation_names) == called
    for operation in called:
        before: Any = whole.operation_model(operation)
        after: Any = cut.operation_model(operation)
        assert described(after.input_shape) == described(before.input_shape)
        assert described(after.output_shape) == described(before.output_shape)
        codes = [[error.error_code for error in model.error_shapes] for model in (before, after)]
        assert codes[0] == codes[1]
    assert len(cut.shape_names) < len(whole.shape_names)


def test_other_services_are_kept_whole() -> None:
    """A model is kept whole until somebody says what is called of it."""
    whole = Loader().load_service_model("logs", "service-2")["operations"].keys()
    loader = Models()
    assert loader.load_service_model("logs", "service-2")["operations"].keys() == whole
    keep_only({"ecs": {"ListClusters"}})
    assert loader.load_service_model("logs", "service-2")["operations"].keys() == whole
