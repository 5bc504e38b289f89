"""Services without resources here: they list nothing, know nothing by name, and change nothing."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.sandbox.asking import ACCOUNT, REGION, refusal, still

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
    (
        "cloudfront",
        "list_distributions",
        {},
        {
            "DistributionList": {
                "Marker": "",
                "MaxItems": 0,
                "IsTruncated": False,
                "Quantity": 0,
                "Items": [],
            }
        },
    ),
    # What is selected by a kind, and not by a name.
    ("application-autoscaling", "describe_scalable_targets", {"ServiceNamespace": "ecs"}, {}),
]
NO_CLUSTER = "ClusterNotFoundException"
NAMED = [
    ("dynamodb", "describe_table", {"TableName": "a"}, "ResourceNotFoundException", 400),
    (
        "ecs",
        "describe_services",
        {"cluster": "a", "services": ["b"]},
        "ClusterNotFoundException",
        400,
    ),
    ("ecs", "list_tasks", {"cluster": "a"}, NO_CLUSTER, 400),
    ("rds", "describe_db_instances", {"DBInstanceIdentifier": "a"}, "DBInstanceNotFound", 404),
    ("iam", "get_role", {"RoleName": "a"}, "NoSuchEntity", 404),
    ("eks", "describe_cluster", {"name": "a"}, "ResourceNotFoundException", 404),
    ("apigateway", "get_stages", {"restApiId": "a"}, "NotFoundException", 404),
    ("cloudfront", "get_distribution", {"Id": "a"}, "NoSuchDistribution", 404),
    # An account that is in no organization cannot read one.
    ("organizations", "list_accounts", {}, "AWSOrganizationsNotInUseException", 400),
]
UNKNOWN = [
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
    client = still().client(service)
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
    with pytest.raises(ClientError) as error:
        getattr(still().client(service), method)(**parameters)
    answer = error.value.response
    assert (answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"]) == (code, status)


@pytest.mark.parametrize(("service", "method", "parameters"), UNKNOWN)
def test_all_else_is_refused(service: str, method: str, parameters: Any) -> None:
    """As calls that AWS does not know."""
    assert refusal(still().client(service), method, **parameters) == "UnknownOperationException"


def test_only_services_for_all_regions_are_answered_from_any() -> None:
    """The others as in a Region that is not enabled."""
    sandbox = still()
    for service, method in (("ecs", "list_clusters"), ("rds", "describe_db_instances")):
        client = sandbox.client(service, ACCOUNT, "eu-north-1")
        assert refusal(client, method) == "UnrecognizedClientException"
    assert sandbox.client("iam", ACCOUNT, "eu-north-1").list_roles()["Roles"] == []


def test_quotas_of_one_service_do_not_bind_another() -> None:
    """Operations of several services have the same name."""
    sandbox = still(quotas=True)
    gateway = sandbox.client("apigateway", ACCOUNT, REGION)
    for _ in range(30):
        assert gateway.get_rest_apis()["items"] == []
        assert refusal(gateway, "get_resources", restApiId="a") == "NotFoundException"
