"""The operation that a request asks for, found in botocore's service models.

A request says what it is signed for, which is not always botocore's name of the service. Each
protocol names the operation in its own way: by a target, an action or a path. A model is loaded
when a request first needs it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any
from urllib.parse import parse_qsl

from botocore.loaders import Loader
from botocore.model import ServiceModel


class _Models(Loader):
    """botocore's loader. `cut` may remove from a model what this process never calls: the models of
    all services that may use log groups take 90 MB more otherwise, and their clients a second.
    """

    cut: Callable[[str, dict[str, Any]], None] | None = None

    def load_service_model(
        self, service_name: str, type_name: str, api_version: str | None = None
    ) -> Any:
        """The model, read once."""
        model = super().load_service_model(service_name, type_name, api_version)
        if self.cut is not None and type_name == "service-2":
            self.cut(service_name, model)
        return model


MODELS = _Models([Loader.BUILTIN_DATA_PATH], include_default_search_paths=False)
"""The service models, each read once for all sessions, and none from the user's own folder."""
_CHANGED = ("s3",)
"""Models that botocore's clients change (1.44.5, handlers.py: no bucket in the path)."""
_SIGNED_OTHERWISE = {
    "airflow": ("mwaa",),
    "airflow-serverless": ("mwaa-serverless",),
    "apigateway": ("apigateway", "apigatewayv2"),
    "aps": ("amp",),
    "bedrock-agentcore": ("bedrock-agentcore-control",),
    "cloudhsm": ("cloudhsmv2",),
    "elasticfilesystem": ("efs",),
    "elasticloadbalancing": ("elb", "elbv2"),
    "elasticmapreduce": ("emr",),
    "es": ("es", "opensearch"),
    "kinesisanalytics": ("kinesisanalyticsv2",),
    "lambda": ("lambda", "lambda-microvms", "lambda-web"),
    "lex": ("lexv2-models",),
    "monitoring": ("cloudwatch",),
    "servicequotas": ("service-quotas",),
    "sms-voice": ("pinpoint-sms-voice-v2",),
    "states": ("stepfunctions",),
    "tagging": ("resourcegroupstaggingapi",),
}
"""Services of the sandbox and of the owner table by what their requests are signed for, where that
is not the service's own name."""
_LABEL = re.compile(r"\{([^}+]+)(\+?)\}")


@dataclass(frozen=True, slots=True, eq=False)
class Operation:
    """An operation and the protocol of its request. `service` is what requests are signed for;
    `model` is None if botocore knows no such operation.
    """

    service: str
    name: str
    protocol: str
    model: Any = None

    @property
    def shape(self) -> Any:
        """The shape of its input, or None."""
        return None if self.model is None else self.model.input_shape


@cache
def service(name: str) -> Any:
    """The model of a service, by botocore's name. Raises UnknownServiceError."""
    models = Loader(MODELS.search_paths) if name in _CHANGED else MODELS
    return ServiceModel(models.load_service_model(name, "service-2"), name)


@cache
def signed_for(scope: str) -> tuple[Any, ...]:
    """The models of the services whose requests are signed for `scope`."""
    known = MODELS.list_available_services("service-2")
    return tuple(service(one) for one in _SIGNED_OTHERWISE.get(scope, (scope,)) if one in known)


@lru_cache(4096)
def targeted(scope: str, target: str, protocol: str = "json") -> Operation:
    """The operation of a target: prefix and name."""
    prefix, _, name = target.rpartition(".")
    models = (m for m in signed_for(scope) if m.metadata.get("targetPrefix") == prefix)
    return _named(scope, name, protocol, models)


@lru_cache(4096)
def action(scope: str, name: str, version: str) -> Operation:
    """The operation of an `Action`, of the API's `Version`."""
    models = [m for m in signed_for(scope) if m.api_version == version]
    ec2 = any(model.protocol == "ec2" for model in models)
    return _named(scope, name, "ec2" if ec2 else "query", models)


def _named(scope: str, name: str, protocol: str, models: Iterable[Any]) -> Operation:
    found = next((model for model in models if name in model.operation_names), None)
    model = None if found is None else found.operation_model(name)
    return Operation(scope, name, protocol, model)


@dataclass(frozen=True, slots=True)
class _Route:
    """How requests for an operation look. The path has `literal` characters beside its labels; the
    query has `fixed` parts (name and value, which may be empty) and the names `query`.
    """

    pattern: re.Pattern[str]
    labels: tuple[str, ...]
    literal: int
    fixed: tuple[tuple[str, str], ...]
    query: tuple[str, ...]
    headers: tuple[str, ...]
    model: Any

    def fits(self, query: Mapping[str, list[str]], headers: Mapping[str, str]) -> bool:
        return (
            all(name in query and (not value or value in query[name]) for name, value in self.fixed)
            and all(name in query for name in self.query)
            and all(name in headers for name in self.headers)
        )

    def weight(self) -> tuple[Any, ...]:
        """The specificity: of several routes that fit, the most specific wins."""
        return self.literal, len(self.fixed), len(self.query) + len(self.headers)


def routed(
    scope: str, method: str, path: str, query: Mapping[str, list[str]], headers: Mapping[str, str]
) -> tuple[Operation, dict[str, str]]:
    """The operation of a REST request, and the labels in its path, still encoded."""
    found = [
        (route, match)
        for model in signed_for(scope)
        for route in _routes(model.service_name).get(method, ())
        if (match := route.pattern.fullmatch(path)) and route.fits(query, headers)
    ]
    if not found:
        protocols = [model.resolved_protocol for model in signed_for(scope)] or ["rest-json"]
        return Operation(scope, f"{method} {path}", protocols[0]), {}
    route, match = max(found, key=lambda pair: pair[0].weight())
    model = route.model
    operation = Operation(scope, model.name, model.service_model.resolved_protocol, model)
    return operation, dict(zip(route.labels, match.groups(), strict=True))


@cache
def _routes(name: str) -> dict[str, list[_Route]]:
    model, routes = service(name), dict[str, list[_Route]]()
    if model.resolved_protocol in ("rest-json", "rest-xml"):
        for operation in model.operation_names:
            route = _route(model.operation_model(operation))
            routes.setdefault(route.model.http["method"], []).append(route)
    return routes


def _route(model: Any) -> _Route:
    template, _, literals = model.http["requestUri"].partition("?")
    shape, by = model.input_shape, dict[str, list[str]]()
    for name in shape.required_members if shape else ():
        place = shape.members[name].serialization
        by.setdefault(place.get("location"), []).append(place.get("name", name))
    parts = _LABEL.split(template.rstrip("/"))
    # Text, label and "+" (if the label may contain slashes) by turns.
    pieces = [re.escape(text) for text in parts[::3]]
    groups = ["(.+)" if greedy else "([^/]+)" for greedy in parts[2::3]]
    pattern = pieces[0] + "".join(a + b for a, b in zip(groups, pieces[1:], strict=True))
    return _Route(
        pattern=re.compile(pattern + ("" if parts[-2:-1] == ["+"] and not parts[-1] else "/?")),
        labels=tuple(parts[1::3]),
        literal=len("".join(parts[::3])),
        fixed=tuple(parse_qsl(literals, keep_blank_values=True)),
        query=tuple(by.get("querystring", ())),
        headers=tuple(name.lower() for name in by.get("header", ())),
        model=model,
    )
