"""Services without resources here: they list nothing, know nothing by name, and change nothing."""

from __future__ import annotations

from typing import Any

import pytest

from tests.sandbox.asking import ACCOUNT, MISSING, UNKNOWN, Still, ask, outcome

_NO_ITEMS = {"MaxItems": 0, "IsTruncated": False, "Quantity": 0, "Items": []}
NOTHING = [
    ("ecs", "list_clusters", {}, {"clusterArns": []}),
    ("ecs", "describe_clusters", {}, {"clusters": [], "failures": []}),
    ("ec2", "describe_flow_logs", {}, {"FlowLogs": []}),
    ("rds", "describe_db_instances", {}, {"DBInstances": []}),
    ("stepfunctions", "list_state_machines", {}, {"stateMachines": []}),
    ("apigateway", "get_rest_apis", {}, {"items": []}),
    ("apigatewayv2", "get_apis", {}, {"Items": []}),
    ("cloudtrail", "describe_trails", {}, {"trailList": []}),
    ("cloudtrail", "lookup_events", {}, {"Events": []}),
    # One for all Regions, though signed for one that is not enabled here.
    ("iam", "list_roles", {"PathPrefix": "/"}, {"Roles": []}),
    ("route53", "list_hosted_zones", {}, {"HostedZones": [], "IsTruncated": False, "MaxItems": ""}),
    ("cloudfront", "list_distributions", {}, {"DistributionList": {"Marker": "", **_NO_ITEMS}}),
    # What is selected by a kind, and not by a name.
    ("application-autoscaling", "describe_scalable_targets", {"ServiceNamespace": "ecs"}, {}),
]
NO_CLUSTER = "ClusterNotFoundException"
NAMED = [
    ("dynamodb", "describe_table", {"TableName": "a"}, MISSING, 400),
    ("ecs", "describe_services", {"cluster": "a", "services": ["b"]}, NO_CLUSTER, 400),
    ("ecs", "list_tasks", {"cluster": "a"}, NO_CLUSTER, 400),
    ("rds", "describe_db_instances", {"DBInstanceIdentifier": "a"}, "DBInstanceNotFound", 404),
    ("iam", "get_role", {"RoleName": "a"}, "NoSuchEntity", 404),
    ("eks", "describe_cluster", {"name": "a"}, MISSING, 404),
    ("apigateway", "get_stages", {"restApiId": "a"}, "NotFoundException", 404),
    ("cloudfront", "get_distribution", {"Id": "a"}, "NoSuchDistribution", 404),
    # An account that is in no organization cannot read one.
    ("organizations", "list_accounts", {}, "AWSOrganizationsNotInUseException", 400),
]
UNKNOWN_HERE = [
    # A change.
    ("ecs", "create_cluster", {}),
    ("rds", "delete_db_instance", {"DBInstanceIdentifier": "a"}),
    ("sqs", "receive_message", {"QueueUrl": "https://a"}),
    # By name, and the model does not say how AWS tells that there is none.
    ("ec2", "describe_instances", {"InstanceIds": ["i-1"]}),
    ("cloudformation", "describe_stacks", {"StackName": "a"}),
    # No list.
    ("ec2", "get_ebs_encryption_by_default", {}),
    # Of services with resources here, which nothing may deny.
    ("lambda", "get_function", {"FunctionName": "a"}),
    ("logs", "get_log_group_fields", {"logGroupName": "a"}),
    ("cloudwatch", "list_metrics", {}),
    ("sns", "list_topics", {}),
]


@pytest.mark.parametrize(("service", "method", "parameters", "nothing"), NOTHING)
def test_a_list_is_empty(service: str, method: str, parameters: Any, nothing: Any) -> None:
    """And complete: there is no token, and no paginator goes on."""
    client = Still().client(service)
    answer = getattr(client, method)(**parameters)
    assert {key: answer.get(key) for key in nothing} == nothing
    assert not [key for key in answer if "token" in key.lower() and answer[key]]
    if client.can_paginate(method):
        assert len(list(client.get_paginator(method).paginate(**parameters))) == 1


@pytest.mark.parametrize(("service", "method", "parameters", "code", "status"), NAMED)
def test_what_is_named_is_not_found(
    service: str, method: str, parameters: Any, code: str, status: int
) -> None:
    """By the code and status of the service's model."""
    said = outcome(Still().client(service), method, **parameters)
    assert (said[0], said[2]) == (code, status)


@pytest.mark.parametrize(("service", "method", "parameters"), UNKNOWN_HERE)
def test_all_else_is_refused(service: str, method: str, parameters: Any) -> None:
    """As calls that AWS does not know."""
    assert Still().ask(f"{service}.{method}", **parameters) == UNKNOWN


def test_only_services_for_all_regions_are_answered_from_any() -> None:
    """The others as in a Region that is not enabled."""
    for service, method, query, wanted in (
        ("ecs", "list_clusters", "@", "UnrecognizedClientException"),
        ("rds", "describe_db_instances", "@", "UnrecognizedClientException"),
        ("iam", "list_roles", "Roles", []),
    ):
        client = Still().client(service, ACCOUNT, "eu-north-1")
        assert ask(client, method, query) == wanted


def test_quotas_of_one_service_do_not_bind_another() -> None:
    """Operations of several services have the same name."""
    account = Still(quotas=True)
    for _ in range(30):
        assert account.ask("apigateway.get_rest_apis", "items") == []
        said = account.ask("apigateway.get_resources", restApiId="a")
        assert said == "NotFoundException"
