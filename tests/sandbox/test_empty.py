"""Services without resources here: they list nothing, know nothing by name, and change nothing."""

from __future__ import annotations

from typing import Any

import pytest

from tests.sandbox.asking import ACCOUNT, MISSING, UNKNOWN, Still, ask, outcome

_NO_ITEMS = {"MaxItems": 0, "IsTruncated": False, "Quantity": 0, "Items": []}
NOTHING = [
    ("ecs", "describe_clusters", {}, {"clusters": [], "failures": []}),
    ("ec2", "describe_flow_logs", {}, {"FlowLogs": []}),
    ("rds", "describe_db_instances", {}, {"DBInstances": []}),
    ("apigateway", "get_rest_apis", {}, {"items": []}),
    ("cloudtrail", "lookup_events", {}, {"Events": []}),
    # One for all Regions, though signed for a Region that is not enabled here.
    ("iam", "list_roles", {"PathPrefix": "/"}, {"Roles": []}),
    ("route53", "list_hosted_zones", {}, {"HostedZones": [], "IsTruncated": False, "MaxItems": ""}),
    ("cloudfront", "list_distributions", {}, {"DistributionList": {"Marker": "", **_NO_ITEMS}}),
    # Selected by a kind, not by a name.
    ("application-autoscaling", "describe_scalable_targets", {"ServiceNamespace": "ecs"}, {}),
]
REFUSED = [
    # By name: the code and status of the service's model.
    ("dynamodb", "describe_table", {"TableName": "a"}, MISSING, 400),
    ("ecs", "list_tasks", {"cluster": "a"}, "ClusterNotFoundException", 400),
    ("rds", "describe_db_instances", {"DBInstanceIdentifier": "a"}, "DBInstanceNotFound", 404),
    ("iam", "get_role", {"RoleName": "a"}, "NoSuchEntity", 404),
    ("apigateway", "get_stages", {"restApiId": "a"}, "NotFoundException", 404),
    ("cloudfront", "get_distribution", {"Id": "a"}, "NoSuchDistribution", 404),
    # An account that is in no organization cannot read one.
    ("organizations", "list_accounts", {}, "AWSOrganizationsNotInUseException", 400),
    # Changes.
    ("ecs", "create_cluster", {}, UNKNOWN, 400),
    ("rds", "delete_db_instance", {"DBInstanceIdentifier": "a"}, UNKNOWN, 400),
    # By name, where the model has no error for what does not exist.
    ("ec2", "describe_instances", {"InstanceIds": ["i-1"]}, UNKNOWN, 400),
    ("cloudformation", "describe_stacks", {"StackName": "a"}, UNKNOWN, 400),
    # Not a list.
    ("ec2", "get_ebs_encryption_by_default", {}, UNKNOWN, 400),
    # Services that have resources here.
    ("lambda", "get_function", {"FunctionName": "a"}, UNKNOWN, 400),
    ("logs", "get_log_group_fields", {"logGroupName": "a"}, UNKNOWN, 400),
    ("cloudwatch", "list_metrics", {}, UNKNOWN, 400),
    ("sns", "list_topics", {}, UNKNOWN, 400),
]


@pytest.mark.parametrize(("service", "method", "parameters", "nothing"), NOTHING)
def test_a_list_is_empty(service: str, method: str, parameters: Any, nothing: Any) -> None:
    """It is complete: there is no token, and a paginator stops after one page."""
    client = Still().client(service)
    answer = getattr(client, method)(**parameters)
    assert {key: answer.get(key) for key in nothing} == nothing
    assert not [key for key in answer if "token" in key.lower() and answer[key]]
    if client.can_paginate(method):
        assert len(list(client.get_paginator(method).paginate(**parameters))) == 1


@pytest.mark.parametrize(("service", "method", "parameters", "code", "status"), REFUSED)
def test_all_else_is_refused(
    service: str, method: str, parameters: Any, code: str, status: int
) -> None:
    """As not found, or as a call that AWS does not know."""
    refusal = outcome(Still().client(service), method, **parameters)
    assert (refusal[0], refusal[2]) == (code, status)


def test_only_global_services_answer_in_any_region() -> None:
    """The others answer as in a Region that is not enabled."""
    for service, method, query, wanted in (
        ("ecs", "list_clusters", "@", "UnrecognizedClientException"),
        ("rds", "describe_db_instances", "@", "UnrecognizedClientException"),
        ("iam", "list_roles", "Roles", []),
    ):
        client = Still().client(service, ACCOUNT, "eu-north-1")
        assert ask(client, method, query) == wanted


def test_quotas_of_one_service_do_not_bind_another() -> None:
    """API Gateway has an operation GetResources too."""
    account = Still(quotas=True)
    for _ in range(30):
        refusal = account.ask("apigateway.get_resources", restApiId="a")
        assert refusal == "NotFoundException"
