"""The operation of an AWS service that a request means, found in botocore's service models.

Requests say what they are signed for, which is not always botocore's name of the service, and
several services may share a name. Each protocol says the rest in its own way: a target, an action,
or a path. Models are loaded when a request first needs them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any
from urllib.parse import parse_qsl

from botocore.exceptions import UnknownServiceError
from botocore.loaders import Loader
from botocore.model import OperationModel, ServiceModel

from janitor.sandbox.shapes import verbatim

SIGNED_OTHERWISE = """
IoTSecuredTunneling=iotsecuretunneling access-analyzer=accessanalyzer
account-access=account-access-runtime aco-automation=compute-optimizer-automation
agent-registry=agent-registry-control aidevops=devops-agent airflow=mwaa
airflow-serverless=mwaa-serverless aoss=opensearchserverless apigateway=apigatewayv2
app-integrations=appintegrations appconfig=appconfigdata
application-cost-profiler=applicationcostprofiler applicationinsights=application-insights aps=amp
aws-marketplace=marketplace-agreement,marketplace-catalog,marketplace-deployment,marketplace-discovery,marketplace-entitlement,marketplace-reporting,meteringmarketplace
awsssoportal=sso backup-search=backupsearch
bedrock=bedrock-agent,bedrock-agent-runtime,bedrock-data-automation,bedrock-data-automation-runtime,bedrock-runtime
bedrock-agentcore=bedrock-agentcore-control cases=connectcases
cassandra=keyspaces,keyspacesstreams
chime=chime-sdk-identity,chime-sdk-media-pipelines,chime-sdk-meetings,chime-sdk-messaging,chime-sdk-voice
cleanrooms-ml=cleanroomsml cloudcontrolapi=cloudcontrol cloudhsm=cloudhsmv2
cloudsearch=cloudsearchdomain cloudwatch=cloudwatchomni codeguru-profiler=codeguruprofiler
connect=connect-contact-lens,connectscheduling
connect-campaigns=connectcampaigns,connectcampaignsv2 dynamodb=dynamodbstreams
elasticfilesystem=efs elasticloadbalancing=elb,elbv2 elasticmapreduce=emr
elemental-inference=elementalinference end-user-messaging=endusermessaging es=opensearch
events=eventbridgev2 execute-api=apigatewaymanagementapi,connectparticipant forecast=forecastquery
geo=location greengrass=greengrassv2 health-agent=connecthealth iam=iam-toolbox iotdata=iot-data
iotmanagedintegrations=iot-managed-integrations ivs=ivs-realtime
kinesisanalytics=kinesisanalyticsv2
kinesisvideo=kinesis-video-archived-media,kinesis-video-media,kinesis-video-signaling,kinesis-video-webrtc-storage
lambda=lambda-core,lambda-microvms,lambda-web launchwizard=launch-wizard
lex=lex-models,lex-runtime,lexv2-models,lexv2-runtime mediastore=mediastore-data
mgh=migrationhub-config migrationhub-orchestrator=migrationhuborchestrator
migrationhub-strategy=migrationhubstrategy mobiletargeting=pinpoint monitoring=cloudwatch
mturk-requester=mturk neptune-db=neptunedata notifications-contacts=notificationscontacts
osm=opensearchmemory partnercentral=partnercentral-revenue-measurement
payment-cryptography=payment-cryptography-data personalize=personalize-events,personalize-runtime
pricingplanmanager=pricing-plan-manager profile=customer-profiles rds=docdb,neptune
refactor-spaces=migration-hub-refactor-spaces resiliencehub=resiliencehubv2 s3=s3control
s3-outposts=s3outposts
sagemaker=sagemaker-a2i-runtime,sagemaker-edge,sagemaker-featurestore-runtime,sagemaker-inference-router-runtime,sagemaker-metrics,sagemaker-runtime,sagemakerjobruntime,sagemakertrainingsessionruntime
scn=supplychain sdb=simpledbv2 servicecatalog=servicecatalog-appregistry
servicequotas=service-quotas ses=mailmanager,pinpoint-email,sesv2 signer=signer-data
sms-voice=pinpoint-sms-voice,pinpoint-sms-voice-v2 social-messaging=socialmessaging sso=sso-admin
sso-oauth=sso-oidc states=stepfunctions supportapp=support-app tagging=resourcegroupstaggingapi
tax=taxsettings thinclient=workspaces-thin-client timestream=timestream-query,timestream-write
voiceid=voice-id wisdom=qconnect
"""
"""The services that are not signed for under their own name: `signing name=service,service`."""

MODELS = Loader([Loader.BUILTIN_DATA_PATH], include_default_search_paths=False)
"""Of the services; each is read once for all sessions, and none from the user's own folder."""
_CHANGED = ("s3", "s3control")
"""What botocore's clients change in their models (1.44.5, handlers.py: no bucket in the path)."""
_SHARED = {
    signed: tuple(services.split(","))
    for signed, _, services in (entry.partition("=") for entry in SIGNED_OTHERWISE.split())
}
_LABEL = re.compile(r"\{([^}+]+)(\+?)\}")


@dataclass(frozen=True, slots=True, eq=False)
class Operation:
    """An operation, in the protocol in which it was asked for. `service` is what requests are
    signed for; `model` is None where botocore knows no such operation. `as_is` and `answered_as_is`
    say that JSON of its input and output needs no changes, `kind` what it calls that JSON.
    """

    service: str
    name: str
    protocol: str
    model: Any = None
    as_is: bool = False
    answered_as_is: bool = False
    kind: str = "application/x-amz-json-1.1"


@cache
def service(name: str) -> Any:
    """The model of a service, by botocore's name. Raises UnknownServiceError."""
    models = Loader(MODELS.search_paths) if name in _CHANGED else MODELS
    return ServiceModel(models.load_service_model(name, "service-2"), name)


@cache
def signed_for(scope: str) -> tuple[Any, ...]:
    """The models of all services whose requests are signed for `scope`."""
    return tuple(_known((scope, *_SHARED.get(scope, ()))))


@cache
def everywhere(scope: str) -> bool:
    """Whether a service is one for all Regions, though its requests are signed for one."""
    [aws, *_] = MODELS.load_data("endpoints")["partitions"]
    prefixes = {model.endpoint_prefix for model in signed_for(scope)}
    return any(
        aws["services"].get(prefix, {}).get("isRegionalized") is False for prefix in prefixes
    )


def _known(names: Iterable[str]) -> Iterator[Any]:
    for name in names:
        try:
            yield service(name)
        except UnknownServiceError:
            continue


def targeted(scope: str, target: str) -> Operation:
    """The operation of an `X-Amz-Target`."""
    prefix, _, name = target.rpartition(".")
    models = (m for m in signed_for(scope) if m.metadata.get("targetPrefix") == prefix)
    return _named(scope, name, "json", models)


@lru_cache(4096)
def rpc(scope: str, path: str) -> Operation:
    """The operation of a path `/service/<target prefix>/operation/<name>` (Smithy RPC v2)."""
    *_, prefix, _, name = ["", "", "", *path.split("/")]
    models = (m for m in signed_for(scope) if m.metadata.get("targetPrefix") == prefix)
    return _named(scope, name, "smithy-rpc-v2-cbor", models)


@lru_cache(4096)
def action(scope: str, name: str, version: str) -> Operation:
    """The operation of an `Action`, of the API's `Version`."""
    models = [m for m in signed_for(scope) if m.api_version == version]
    ec2 = any(model.protocol == "ec2" for model in models)
    return _named(scope, name, "ec2" if ec2 else "query", models)


def _named(scope: str, name: str, protocol: str, models: Iterable[Any]) -> Operation:
    found = next((model for model in models if name in model.operation_names), None)
    model = None if found is None else found.operation_model(name)
    return _operation(scope, name, protocol, model)


@cache
def _operation(scope: str, name: str, protocol: str, model: OperationModel | None) -> Operation:
    if model is None:
        return Operation(scope, name, protocol)
    as_is, answered_as_is = verbatim(model.input_shape), verbatim(model.output_shape)
    kind = f"application/x-amz-json-{model.metadata.get('jsonVersion', '1.1')}"
    return Operation(scope, name, protocol, model, as_is, answered_as_is, kind)


@dataclass(frozen=True, slots=True)
class _Route:
    """Requests that mean an operation. What lies between its labels is `literal` characters long;
    `fixed` is in its query, with a value or without; `query` and `headers` are required of it.
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

    def weight(self, host: str) -> tuple[Any, ...]:
        """Where several fit, the most particular is meant, of the service that the host names."""
        prefix = self.model.service_model.endpoint_prefix
        required = len(self.query) + len(self.headers)
        current = not self.model.deprecated
        return f".{prefix}." in f".{host}", self.literal, len(self.fixed), required, current


def routed(
    scope: str,
    method: str,
    host: str,
    path: str,
    query: Mapping[str, list[str]],
    headers: Mapping[str, str],
) -> tuple[Operation, dict[str, str]]:
    """The operation of a REST request, and the labels in its path, as they are encoded there."""
    found = [
        (route, match)
        for model in signed_for(scope)
        for route in _routes(model.service_name).get(method, ())
        if (match := route.pattern.fullmatch(path)) and route.fits(query, headers)
    ]
    if not found:
        protocols = [model.resolved_protocol for model in signed_for(scope)] or ["rest-json"]
        return Operation(scope, f"{method} {path}", protocols[0]), {}
    route, match = max(found, key=lambda pair: pair[0].weight(host))
    model = route.model
    operation = _operation(scope, model.name, model.service_model.resolved_protocol, model)
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
    greedy, pieces, at = False, list[str](), 0
    for label in _LABEL.finditer(template):
        greedy = bool(label[2])
        pieces += [re.escape(template[at : label.start()]), "(.+)" if greedy else "([^/]+)"]
        at = label.end()
    rest = template[at:]
    pieces.append(re.escape(rest.rstrip("/")) + ("" if greedy and not rest else "/?"))
    query, headers = list[str](), list[str]()
    shape = model.input_shape
    for member in shape.required_members if shape else ():
        serialization = shape.members[member].serialization
        wire_name = serialization.get("name", member)
        match serialization.get("location"):
            case "querystring" if shape.members[member].type_name != "map":
                query.append(wire_name)
            case "header":
                headers.append(wire_name.lower())
    return _Route(
        pattern=re.compile("".join(pieces)),
        labels=tuple(label[1] for label in _LABEL.finditer(template)),
        literal=len(_LABEL.sub("", template).rstrip("/")),
        fixed=tuple(parse_qsl(literals, keep_blank_values=True)),
        query=tuple(query),
        headers=tuple(headers),
        model=model,
    )
