"""What a log group's name identifies: its owner, and who would recreate it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from janitor.owners.table import Row, table
from tests.owners.world import Empty, World, owning, region_of

NAMES = {
    "lambda": "/aws/lambda/x",
    "lambda-edge": "/aws/lambda/us-east-1.x",
    "lambda-capacity-provider": "/aws/lambda/capacity-provider/x",
    "apigateway-stage": "API-Gateway-Execution-Logs_k3v9x2m7q1/x",
    "apigatewayv2-stage": "/aws/apigateway/k3v9x2m7q1/x",
    "step-functions": "/aws/vendedlogs/states/x-Logs",
    "rds": "/aws/rds/instance/x/postgresql",
    "rds-cluster": "/aws/rds/cluster/x/audit",
    "eks": "/aws/eks/x/cluster",
    "ecs-insights": "/aws/ecs/containerinsights/x/performance",
    "codebuild": "/aws/codebuild/x",
    "firehose": "/aws/kinesisfirehose/x",
    "opensearch": "/aws/OpenSearchService/domains/x/search-logs",
    "elasticbeanstalk": "/aws/elasticbeanstalk/x/var/log/web.stdout.log",
    "sagemaker-endpoint": "/aws/sagemaker/Endpoints/x",
    "appsync": "/aws/appsync/apis/x",
    "rds-proxy": "/aws/rds/proxy/x",
    "redshift": "/aws/redshift/cluster/x/connectionlog",
    "redshift-serverless": "/aws/redshift/x/connectionlog",
    "dms": "dms-tasks-x",
    "dms-serverless": "dms-serverless-replication-x",
    "apprunner": "/aws/apprunner/x/1/service",
    "sns-delivery": "sns/eu-west-1/123456789012/x/Failure",
    "cloudfront-function": "/aws/cloudfront/function/x",
    "connect": "/aws/connect/x",
    "amplify": "/aws/amplify/dx",
    "deadline": "/aws/deadline/farm-x/queue-y",
    "codepipeline": "/aws/codepipeline/x",
    "mwaa": "airflow-x-Scheduler",
    "pipes": "/aws/vendedlogs/pipes/x",
    "mq": "/aws/amazonmq/broker/b-x/general",
    "flink": "/aws/kinesis-analytics/x",
    "transfer": "/aws/transfer/s-0123456789abcdef0",
    "osis": "/aws/vendedlogs/OpenSearchIngestion/x/audit-logs",
}
SPEAKING = [row for row in table() if row.speaks is not None]
OTHERS = (
    "/app/x",
    "/aws/lambda/web/x",
    "/aws/lambda/team/x",
    "/aws/apigateway/welcome",
    "/aws/vendedlogs/states/x",
    "/aws/rds/instance/x",
    "/aws/containerinsights/x/application",
    "/aws/eks/fluentbit-cloudwatch/logs",
    "/aws/amplify/web-app",
    "/aws/amazonmq/broker/web-app/general",
    "RDSOSMetrics",
    "/aws/batch/job",
    "sns/eu-west-1/123456789012/DirectPublishToPhoneNumber/Failure",
    "aws-waf-logs-x",
    "/aws-glue/jobs/output",
)
"""Names that people chose, or that identify no single owner."""


@pytest.mark.parametrize("row", SPEAKING, ids=lambda row: row.id)
def test_a_name_identifies_one_owner(row: Row) -> None:
    """A name that a service makes identifies one owner of one kind, and that row is read for it."""
    name, region = NAMES[row.id], region_of(row)
    assert {other.id for other in table() if other.owner_named(name, region)} == {row.id}
    owner = row.owner_named(name, region)
    assert "{" not in owner
    assert owner.split("s-")[-1].split(" of ")[0].endswith(("x", "0"))
    answer = World(Empty(row), region).of([row], name)[name]
    assert (answer.rows, answer.nobody) == (1, True)


@pytest.mark.parametrize("row", SPEAKING, ids=lambda row: row.id)
def test_an_existing_owner_is_found_by_the_name_that_identifies_it(row: Row) -> None:
    """A row finds the owner that a name identifies, if the row itself makes up that name."""
    region, answers, listed = region_of(row), owning(row), replace(row, probe=None)
    for name in answers.names:
        if row.owner_named(name, region):
            assert World(answers, region).of([listed], name)[name].uses


def test_other_names_identify_no_owner() -> None:
    """NAMES covers every row that identifies owners, and names that people chose identify none."""
    assert NAMES.keys() == {row.id for row in SPEAKING}
    assert [
        (row.id, name) for row in table() for name in OTHERS if row.owner_named(name, "any")
    ] == []


def test_a_log_group_is_recreated_by_services_that_create_it_themselves() -> None:
    """The next owner of the name or kind recreates it, or may (Lambda needs permission)."""
    rows = {row.id: row for row in table()}
    expected = {
        ("rds", "/aws/rds/instance/x/error"): "the next RDS instance of that name "
        "recreates it, without retention",
        ("rds", "RDSOSMetrics"): "the next RDS instance that logs there recreates it, "
        "without retention",
        ("lambda", "/aws/lambda/x"): "the next Lambda function of that name "
        "may recreate it, without retention",
        ("lambda", "/app"): "",
        ("vpc-flow-log", "/app"): "",
    }
    for (row, name), text in expected.items():
        assert rows[row].recreated_by(name, "eu-west-1") == text
