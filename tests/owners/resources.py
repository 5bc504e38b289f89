"""Resources in moto that use a log group: each generator creates one, yields the log group's name
and deletes the resource again.
"""

from __future__ import annotations

import contextlib
import io
import json
import zipfile
from collections.abc import Callable, Iterator
from typing import Any

from tests.accounts import ACCOUNT, REGION

Aws = Callable[[str], Any]
"""Returns the client of a service."""

ROLE = f"arn:aws:iam::{ACCOUNT}:role/owner"
NAME = "/of/an/owner"
STAYS = frozenset(
    {
        "datasync",
        "ecs-insights",
        "elasticache-cluster",
        "elasticache-rg",
        "elasticbeanstalk",
        "export-task",
        "flink",
        "network-firewall",
        "route53-resolver",
    }
)
"""Rows whose resources moto does not delete, or keeps listing."""
OWNERS: dict[str, Callable[[Aws], Iterator[str]]] = {}
"""Generators by row; other ways of a row to refer to a log group are `row: how`."""


def arn(name: str = NAME, region: str = REGION) -> str:
    return f"arn:aws:logs:{region}:{ACCOUNT}:log-group:{name}:*"


def owner(row: str) -> Callable[[Callable[[Aws], Iterator[str]]], Callable[[Aws], Iterator[str]]]:
    def named(made: Callable[[Aws], Iterator[str]]) -> Callable[[Aws], Iterator[str]]:
        OWNERS[row] = made
        return made

    return named


def _code() -> bytes:
    code = io.BytesIO()
    with zipfile.ZipFile(code, "w") as archive:
        archive.writestr("f.py", "def handler(event, context): pass")
    return code.getvalue()


def _role(aws: Aws) -> str:
    iam = aws("iam")
    with contextlib.suppress(iam.exceptions.EntityAlreadyExistsException):
        iam.create_role(RoleName="owner", AssumeRolePolicyDocument="{}")
    return ROLE


def _function(aws: Aws, **more: Any) -> Any:
    lambdas = aws("lambda")
    lambdas.create_function(
        FunctionName="f",
        Role=_role(aws),
        Runtime="python3.13",
        Handler="f.handler",
        Code={"ZipFile": _code()},
        **more,
    )
    return lambdas


@owner("lambda")
def _lambda(aws: Aws) -> Iterator[str]:
    lambdas = _function(aws)
    yield "/aws/lambda/f"
    lambdas.delete_function(FunctionName="f")


@owner("lambda-edge")
def _edge(aws: Aws) -> Iterator[str]:
    lambdas = _function(aws, Publish=True)
    yield "/aws/lambda/us-east-1.f"
    lambdas.delete_function(FunctionName="f")


def _definition(ecs: Any) -> str:
    log = {"logDriver": "awslogs", "options": {"awslogs-group": NAME}}
    container = {"name": "web", "image": "web", "memory": 128, "logConfiguration": log}
    response = ecs.register_task_definition(family="web", containerDefinitions=[container])
    return str(response["taskDefinition"]["taskDefinitionArn"])


@owner("ecs-service")
def _ecs_service(aws: Aws) -> Iterator[str]:
    ecs = aws("ecs")
    ecs.create_cluster(clusterName="c")
    definition = _definition(ecs)
    ecs.create_service(
        cluster="c", serviceName="checkout", taskDefinition=definition, desiredCount=1
    )
    ecs.deregister_task_definition(taskDefinition=definition)
    yield NAME
    ecs.delete_service(cluster="c", service="checkout", force=True)
    ecs.delete_cluster(cluster="c")


@owner("ecs-task-definition")
def _ecs_definition(aws: Aws) -> Iterator[str]:
    ecs = aws("ecs")
    definition = _definition(ecs)
    yield NAME
    ecs.deregister_task_definition(taskDefinition=definition)


@owner("ecs-exec")
def _ecs_exec(aws: Aws) -> Iterator[str]:
    ecs = aws("ecs")
    log = {"cloudWatchLogGroupName": NAME}
    command = {"logging": "OVERRIDE", "logConfiguration": log}
    ecs.create_cluster(clusterName="c", configuration={"executeCommandConfiguration": command})
    yield NAME
    ecs.delete_cluster(cluster="c")


@owner("ecs-insights")
def _ecs_insights(aws: Aws) -> Iterator[str]:
    ecs = aws("ecs")
    ecs.create_cluster(clusterName="c")
    yield "/aws/ecs/containerinsights/c/performance"


@owner("cloudformation-stack")
def _stack(aws: Aws) -> Iterator[str]:
    stacks = aws("cloudformation")
    group = {"Type": "AWS::Logs::LogGroup", "Properties": {"LogGroupName": NAME}}
    template = json.dumps({"Resources": {"Logs": group}})
    stacks.create_stack(StackName="s", TemplateBody=template)
    yield NAME
    stacks.delete_stack(StackName="s")


@owner("session-manager")
def _sessions(aws: Aws) -> Iterator[str]:
    ssm = aws("ssm")
    name = "SSM-SessionManagerRunShell"
    content = {"schemaVersion": "1.0", "inputs": {"cloudWatchLogGroupName": NAME}}
    ssm.create_document(Name=name, DocumentType="Session", Content=json.dumps(content))
    yield NAME
    ssm.delete_document(Name=name)


def _rest_stage(aws: Aws) -> tuple[Any, str]:
    gateway = aws("apigateway")
    api = gateway.create_rest_api(name="a")["id"]
    (root,) = gateway.get_resources(restApiId=api)["items"]
    gateway.put_method(
        restApiId=api, resourceId=root["id"], httpMethod="GET", authorizationType="NONE"
    )
    gateway.put_integration(restApiId=api, resourceId=root["id"], httpMethod="GET", type="MOCK")
    gateway.create_deployment(restApiId=api, stageName="prod")
    return gateway, api


@owner("apigateway-stage")
def _rest_access(aws: Aws) -> Iterator[str]:
    gateway, api = _rest_stage(aws)
    change = {"op": "replace", "path": "/accessLogSettings/destinationArn", "value": arn()[:-2]}
    gateway.update_stage(restApiId=api, stageName="prod", patchOperations=[change])
    yield NAME
    gateway.delete_rest_api(restApiId=api)


@owner("apigateway-stage: its execution log")
def _rest_execution(aws: Aws) -> Iterator[str]:
    gateway, api = _rest_stage(aws)
    yield f"API-Gateway-Execution-Logs_{api}/prod"
    gateway.delete_rest_api(restApiId=api)


@owner("apigatewayv2-stage")
def _http_access(aws: Aws) -> Iterator[str]:
    gateway = aws("apigatewayv2")
    api = gateway.create_api(Name="a", ProtocolType="HTTP")["ApiId"]
    settings = {"DestinationArn": arn()[:-2], "Format": "$context.requestId"}
    gateway.create_stage(ApiId=api, StageName="prod", AccessLogSettings=settings)
    yield NAME
    gateway.delete_api(ApiId=api)


@owner("batch")
def _batch(aws: Aws) -> Iterator[str]:
    batch = aws("batch")
    log = {"logDriver": "awslogs", "options": {"awslogs-group": NAME}}
    job = batch.register_job_definition(
        jobDefinitionName="j",
        type="container",
        containerProperties={
            "image": "i",
            "vcpus": 1,
            "memory": 128,
            "command": ["c"],
            "logConfiguration": log,
        },
    )
    yield NAME
    batch.deregister_job_definition(jobDefinition=job["jobDefinitionArn"])


@owner("batch: the log group of all jobs")
def _batch_all(aws: Aws) -> Iterator[str]:
    made = _batch(aws)
    next(made)
    yield "/aws/batch/job"
    next(made, None)


@owner("step-functions")
def _machine(aws: Aws) -> Iterator[str]:
    machines = aws("stepfunctions")
    definition = {"StartAt": "S", "States": {"S": {"Type": "Pass", "End": True}}}
    destination = {"cloudWatchLogsLogGroup": {"logGroupArn": arn()}}
    machine = machines.create_state_machine(
        name="m",
        definition=json.dumps(definition),
        roleArn=_role(aws),
        loggingConfiguration={"level": "ALL", "destinations": [destination]},
    )["stateMachineArn"]
    yield NAME
    machines.delete_state_machine(stateMachineArn=machine)


@owner("vpc-flow-log")
def _flow_log(aws: Aws) -> Iterator[str]:
    aws("logs").create_log_group(logGroupName=NAME)
    ec2 = aws("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    (log,) = ec2.create_flow_logs(
        ResourceIds=[vpc],
        ResourceType="VPC",
        TrafficType="ALL",
        LogDestinationType="cloud-watch-logs",
        LogGroupName=NAME,
        DeliverLogsPermissionArn=_role(aws),
    )["FlowLogIds"]
    yield NAME
    ec2.delete_flow_logs(FlowLogIds=[log])
    aws("logs").delete_log_group(logGroupName=NAME)


@owner("logs-delivery")
def _delivery(aws: Aws) -> Iterator[str]:
    logs = aws("logs")
    logs.create_log_group(logGroupName=NAME)
    destination = {"destinationResourceArn": arn()}
    logs.put_delivery_destination(name="d", deliveryDestinationConfiguration=destination)
    yield NAME
    logs.delete_delivery_destination(name="d")
    logs.delete_log_group(logGroupName=NAME)


@owner("rds")
def _rds(aws: Aws) -> Iterator[str]:
    rds = aws("rds")
    rds.create_db_instance(
        DBInstanceIdentifier="db",
        DBInstanceClass="db.t4g.micro",
        Engine="postgres",
        MasterUsername="u",
        MasterUserPassword="password-of-a-fake",
        AllocatedStorage=20,
    )
    yield "/aws/rds/instance/db/postgresql"
    rds.delete_db_instance(DBInstanceIdentifier="db", SkipFinalSnapshot=True)


@owner("rds-cluster")
def _rds_cluster(aws: Aws) -> Iterator[str]:
    rds = aws("rds")
    rds.create_db_cluster(
        DBClusterIdentifier="cl",
        Engine="aurora-postgresql",
        MasterUsername="u",
        MasterUserPassword="password-of-a-fake",
    )
    yield "/aws/rds/cluster/cl/postgresql"
    rds.delete_db_cluster(DBClusterIdentifier="cl", SkipFinalSnapshot=True)


@owner("eks")
def _eks(aws: Aws) -> Iterator[str]:
    eks = aws("eks")
    subnets = {"subnetIds": ["subnet-1"]}
    eks.create_cluster(name="k", roleArn=_role(aws), resourcesVpcConfig=subnets)
    yield "/aws/eks/k/cluster"
    eks.delete_cluster(name="k")


@owner("codebuild")
def _codebuild(aws: Aws) -> Iterator[str]:
    builds = aws("codebuild")
    builds.create_project(
        name="build",
        source={"type": "S3", "location": "bucket/path"},
        artifacts={"type": "NO_ARTIFACTS"},
        environment={
            "type": "LINUX_CONTAINER",
            "image": "i",
            "computeType": "BUILD_GENERAL1_SMALL",
        },
        serviceRole=_role(aws),
    )
    yield "/aws/codebuild/build"
    builds.delete_project(name="build")


@owner("firehose")
def _firehose(aws: Aws) -> Iterator[str]:
    firehose = aws("firehose")
    options = {"Enabled": True, "LogGroupName": NAME, "LogStreamName": "s"}
    firehose.create_delivery_stream(
        DeliveryStreamName="f",
        ExtendedS3DestinationConfiguration={
            "RoleARN": _role(aws),
            "BucketARN": "arn:aws:s3:::bucket",
            "CloudWatchLoggingOptions": options,
        },
    )
    yield NAME
    firehose.delete_delivery_stream(DeliveryStreamName="f")


@owner("wafv2")
def _waf(aws: Aws) -> Iterator[str]:
    waf, name = aws("wafv2"), "aws-waf-logs-w"
    visible = {
        "SampledRequestsEnabled": False,
        "CloudWatchMetricsEnabled": False,
        "MetricName": "m",
    }
    acl = waf.create_web_acl(
        Name="w", Scope="REGIONAL", DefaultAction={"Allow": {}}, VisibilityConfig=visible
    )["Summary"]
    log = {"ResourceArn": acl["ARN"], "LogDestinationConfigs": [arn(name)]}
    waf.put_logging_configuration(LoggingConfiguration=log)
    yield name
    waf.delete_logging_configuration(ResourceArn=acl["ARN"])


@owner("events-target")
def _rule(aws: Aws) -> Iterator[str]:
    events = aws("events")
    events.put_rule(Name="r", ScheduleExpression="rate(1 day)")
    events.put_targets(Rule="r", Targets=[{"Id": "1", "Arn": arn()}])
    yield NAME
    events.remove_targets(Rule="r", Ids=["1"])
    events.delete_rule(Name="r")


@owner("bedrock")
def _bedrock(aws: Aws) -> Iterator[str]:
    bedrock = aws("bedrock")
    cloudwatch = {"logGroupName": NAME, "roleArn": _role(aws)}
    bedrock.put_model_invocation_logging_configuration(
        loggingConfig={"cloudWatchConfig": cloudwatch}
    )
    yield NAME
    bedrock.delete_model_invocation_logging_configuration()


@owner("opensearch")
def _opensearch(aws: Aws) -> Iterator[str]:
    domains = aws("opensearch")
    options = {"INDEX_SLOW_LOGS": {"CloudWatchLogsLogGroupArn": arn(), "Enabled": True}}
    domains.create_domain(DomainName="domain", LogPublishingOptions=options)
    yield NAME
    domains.delete_domain(DomainName="domain")


@owner("route53-resolver")
def _resolver(aws: Aws) -> Iterator[str]:
    resolver = aws("route53resolver")
    resolver.create_resolver_query_log_config(Name="r", DestinationArn=arn(), CreatorRequestId="1")
    yield NAME


@owner("elasticache-rg")
def _replication_group(aws: Aws) -> Iterator[str]:
    cache = aws("elasticache")
    cache.create_replication_group(
        ReplicationGroupId="g",
        ReplicationGroupDescription="g",
        LogDeliveryConfigurations=_cache_log(),
    )
    yield NAME


@owner("elasticache-cluster")
def _cache_cluster(aws: Aws) -> Iterator[str]:
    cache = aws("elasticache")
    cache.create_cache_cluster(
        CacheClusterId="cc",
        Engine="redis",
        NumCacheNodes=1,
        CacheNodeType="cache.t4g.micro",
        LogDeliveryConfigurations=_cache_log(),
    )
    yield NAME


def _cache_log() -> list[dict[str, Any]]:
    details = {"CloudWatchLogsDetails": {"LogGroup": NAME}}
    return [
        {
            "LogType": "slow-log",
            "DestinationType": "cloudwatch-logs",
            "DestinationDetails": details,
            "LogFormat": "json",
        }
    ]


@owner("elasticbeanstalk")
def _beanstalk(aws: Aws) -> Iterator[str]:
    beanstalk = aws("elasticbeanstalk")
    beanstalk.create_application(ApplicationName="a")
    beanstalk.create_environment(
        ApplicationName="a", EnvironmentName="prod", SolutionStackName="64bit Amazon Linux"
    )
    yield "/aws/elasticbeanstalk/prod/var/log/eb-engine.log"


@owner("iot-rule")
def _iot_rule(aws: Aws) -> Iterator[str]:
    iot = aws("iot")
    log = {"cloudwatchLogs": {"roleArn": _role(aws), "logGroupName": NAME}}
    rule = {"sql": "SELECT * FROM 'x'", "actions": [log]}
    iot.create_topic_rule(ruleName="r", topicRulePayload=rule)
    yield NAME
    iot.delete_topic_rule(ruleName="r")


@owner("pipes")
def _pipe(aws: Aws) -> Iterator[str]:
    pipes = aws("pipes")
    pipes.create_pipe(
        Name="p",
        Source=f"arn:aws:sqs:{REGION}:{ACCOUNT}:q",
        Target=arn()[:-2],
        RoleArn=_role(aws),
    )
    yield NAME
    pipes.delete_pipe(Name="p")


@owner("flink")
def _flink(aws: Aws) -> Iterator[str]:
    flink = aws("kinesisanalyticsv2")
    stream = arn()[:-1] + "log-stream:s"
    flink.create_application(
        ApplicationName="a",
        RuntimeEnvironment="FLINK-1_20",
        ServiceExecutionRole=_role(aws),
        CloudWatchLoggingOptions=[{"LogStreamARN": stream}],
    )
    yield NAME


@owner("transfer")
def _transfer(aws: Aws) -> Iterator[str]:
    transfer = aws("transfer")
    server = transfer.create_server(StructuredLogDestinations=[arn()])["ServerId"]
    yield NAME
    transfer.delete_server(ServerId=server)


@owner("sagemaker-endpoint")
def _sagemaker(aws: Aws) -> Iterator[str]:
    sagemaker = aws("sagemaker")
    sagemaker.create_model(ModelName="m", ExecutionRoleArn=_role(aws))
    variant = {
        "VariantName": "v",
        "ModelName": "m",
        "InitialInstanceCount": 1,
        "InstanceType": "ml.t2.medium",
    }
    sagemaker.create_endpoint_config(EndpointConfigName="c", ProductionVariants=[variant])
    sagemaker.create_endpoint(EndpointName="e", EndpointConfigName="c")
    yield "/aws/sagemaker/Endpoints/e"
    sagemaker.delete_endpoint(EndpointName="e")


def _subnets(aws: Aws) -> list[str]:
    ec2 = aws("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    return [
        ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.0.{n}.0/24", AvailabilityZone=REGION + zone)[
            "Subnet"
        ]["SubnetId"]
        for n, zone in enumerate("ab")
    ]


@owner("directory-service")
def _directory(aws: Aws) -> Iterator[str]:
    ds, subnets = aws("ds"), _subnets(aws)
    vpc = aws("ec2").describe_subnets(SubnetIds=subnets)["Subnets"][0]["VpcId"]
    directory = ds.create_microsoft_ad(
        Name="example.org",
        Password="Password-of-a-fake-1",
        VpcSettings={"VpcId": vpc, "SubnetIds": subnets},
    )["DirectoryId"]
    aws("logs").create_log_group(logGroupName=NAME)
    ds.create_log_subscription(DirectoryId=directory, LogGroupName=NAME)
    yield NAME
    ds.delete_log_subscription(DirectoryId=directory)
    aws("logs").delete_log_group(logGroupName=NAME)


@owner("appsync")
def _appsync(aws: Aws) -> Iterator[str]:
    appsync = aws("appsync")
    log = {"fieldLogLevel": "ERROR", "cloudWatchLogsRoleArn": _role(aws)}
    api = appsync.create_graphql_api(name="a", authenticationType="API_KEY", logConfig=log)
    made = api["graphqlApi"]["apiId"]
    yield f"/aws/appsync/apis/{made}"
    appsync.delete_graphql_api(apiId=made)


@owner("rds-proxy")
def _proxy(aws: Aws) -> Iterator[str]:
    rds = aws("rds")
    rds.create_db_proxy(
        DBProxyName="p",
        EngineFamily="POSTGRESQL",
        Auth=[
            {
                "AuthScheme": "SECRETS",
                "SecretArn": "arn:aws:secretsmanager:x",
                "IAMAuth": "DISABLED",
            }
        ],
        RoleArn=_role(aws),
        VpcSubnetIds=_subnets(aws),
    )
    yield "/aws/rds/proxy/p"
    rds.delete_db_proxy(DBProxyName="p")


@owner("redshift")
def _redshift(aws: Aws) -> Iterator[str]:
    redshift = aws("redshift")
    redshift.create_cluster(
        ClusterIdentifier="r",
        NodeType="ra3.large",
        MasterUsername="user",
        MasterUserPassword="Password1",
        NumberOfNodes=2,
    )
    yield "/aws/redshift/cluster/r/useractivitylog"
    redshift.delete_cluster(ClusterIdentifier="r", SkipFinalClusterSnapshot=True)


@owner("dms")
def _dms(aws: Aws) -> Iterator[str]:
    dms = aws("dms")
    made = dms.create_replication_instance(
        ReplicationInstanceIdentifier="d", ReplicationInstanceClass="dms.t3.micro"
    )["ReplicationInstance"]["ReplicationInstanceArn"]
    yield "dms-tasks-d"
    dms.delete_replication_instance(ReplicationInstanceArn=made)


@owner("glue-job")
def _glue(aws: Aws) -> Iterator[str]:
    glue = aws("glue")
    glue.create_job(
        Name="g",
        Role=_role(aws),
        Command={"Name": "glueetl"},
        DefaultArguments={"--continuous-log-logGroup": NAME},
    )
    yield NAME
    glue.delete_job(JobName="g")


@owner("sns-delivery")
def _sns(aws: Aws) -> Iterator[str]:
    sns = aws("sns")
    topic = sns.create_topic(Name="t")["TopicArn"]
    yield f"sns/{REGION}/{ACCOUNT}/t/Failure"
    sns.delete_topic(TopicArn=topic)


@owner("cloudfront-function")
def _cloudfront(aws: Aws) -> Iterator[str]:
    cloudfront = aws("cloudfront")
    made = cloudfront.create_function(
        Name="rewrite",
        FunctionConfig={"Comment": "", "Runtime": "cloudfront-js-2.0"},
        FunctionCode=b"function handler(event) {}",
    )
    yield "/aws/cloudfront/function/rewrite"
    cloudfront.delete_function(Name="rewrite", IfMatch=made["ETag"])


@owner("cloudhsm")
def _cloudhsm(aws: Aws) -> Iterator[str]:
    hsm = aws("cloudhsmv2")
    made = hsm.create_cluster(HsmType="hsm1.medium", SubnetIds=["subnet-12345678"])
    cluster = made["Cluster"]["ClusterId"]
    yield f"/aws/cloudhsm/{cluster}"
    hsm.delete_cluster(ClusterId=cluster)


@owner("codepipeline")
def _pipeline(aws: Aws) -> Iterator[str]:
    pipelines = aws("codepipeline")
    kind = {"owner": "AWS", "version": "1"}
    stages: list[Any] = [
        {
            "name": name,
            "actions": [
                {
                    "name": name,
                    "actionTypeId": {**kind, "category": category, "provider": provider},
                    "outputArtifacts": [{"name": "a"}] if name == "Source" else [],
                    "inputArtifacts": [] if name == "Source" else [{"name": "a"}],
                }
            ],
        }
        for name, category, provider in (
            ("Source", "Source", "S3"),
            ("Build", "Build", "CodeBuild"),
        )
    ]
    pipelines.create_pipeline(
        pipeline={
            "name": "p",
            "roleArn": _pipeline_role(aws),
            "artifactStore": {"type": "S3", "location": "bucket"},
            "stages": stages,
        }
    )
    yield "/aws/codepipeline/p"
    pipelines.delete_pipeline(name="p")


def _pipeline_role(aws: Aws) -> str:
    trusted = {"Statement": [{"Principal": {"Service": "codepipeline.amazonaws.com"}}]}
    role = {"RoleName": "pipeline", "AssumeRolePolicyDocument": json.dumps(trusted)}
    with contextlib.suppress(aws("iam").exceptions.EntityAlreadyExistsException):
        aws("iam").create_role(**role)
    return f"arn:aws:iam::{ACCOUNT}:role/pipeline"


@owner("metric-alarm")
def _alarm(aws: Aws) -> Iterator[str]:
    cloudwatch = aws("cloudwatch")
    cloudwatch.put_metric_alarm(
        AlarmName="a",
        Namespace="AWS/Logs",
        MetricName="IncomingLogEvents",
        Dimensions=[{"Name": "LogGroupName", "Value": NAME}],
        Period=60,
        EvaluationPeriods=1,
        Threshold=1,
        Statistic="Sum",
        ComparisonOperator="LessThanThreshold",
    )
    yield NAME
    cloudwatch.delete_alarms(AlarmNames=["a"])


@owner("insight-rule")
def _insight(aws: Aws) -> Iterator[str]:
    cloudwatch = aws("cloudwatch")
    definition = {"Schema": {"Name": "CloudWatchLogRule"}, "LogGroupNames": [NAME]}
    cloudwatch.put_insight_rule(
        RuleName="i", RuleState="ENABLED", RuleDefinition=json.dumps(definition)
    )
    yield NAME
    cloudwatch.delete_insight_rules(RuleNames=["i"])


def _bucket(aws: Aws) -> None:
    here = {"LocationConstraint": REGION}
    with contextlib.suppress(aws("s3").exceptions.BucketAlreadyOwnedByYou):
        aws("s3").create_bucket(Bucket="bucket", CreateBucketConfiguration=here)


@owner("export-task")
def _export(aws: Aws) -> Iterator[str]:
    aws("s3").create_bucket(
        Bucket="bucket", CreateBucketConfiguration={"LocationConstraint": REGION}
    )
    logs = aws("logs")
    logs.create_log_group(logGroupName=NAME)
    logs.create_export_task(logGroupName=NAME, fromTime=0, to=1, destination="bucket")
    yield NAME


@owner("network-firewall")
def _firewall(aws: Aws) -> Iterator[str]:
    firewalls = aws("network-firewall")
    made = firewalls.create_firewall(FirewallName="f", FirewallPolicyArn="arn", VpcId="vpc-1")
    log = {
        "LogType": "ALERT",
        "LogDestinationType": "CloudWatchLogs",
        "LogDestination": {"logGroup": NAME},
    }
    firewalls.update_logging_configuration(
        FirewallArn=made["Firewall"]["FirewallArn"],
        LoggingConfiguration={"LogDestinationConfigs": [log]},
    )
    yield NAME


@owner("vpc-lattice-network")
def _lattice(aws: Aws) -> Iterator[str]:
    lattice = aws("vpc-lattice")
    network = lattice.create_service_network(name="network")["id"]
    made = lattice.create_access_log_subscription(resourceIdentifier=network, destinationArn=arn())[
        "arn"
    ]
    yield NAME
    lattice.delete_access_log_subscription(accessLogSubscriptionIdentifier=made)


@owner("fsx")
def _fsx(aws: Aws) -> Iterator[str]:
    fsx = aws("fsx")
    log = {
        "FileAccessAuditLogLevel": "FAILURE_ONLY",
        "FileShareAccessAuditLogLevel": "DISABLED",
        "AuditLogDestination": arn(),
    }
    windows = {"ThroughputCapacity": 8, "AuditLogConfiguration": log}
    made = fsx.create_file_system(
        FileSystemType="WINDOWS", SubnetIds=["subnet-12345678"], WindowsConfiguration=windows
    )["FileSystem"]["FileSystemId"]
    yield NAME
    fsx.delete_file_system(FileSystemId=made)


@owner("amp")
def _amp(aws: Aws) -> Iterator[str]:
    amp = aws("amp")
    workspace = amp.create_workspace(alias="w")["workspaceId"]
    amp.create_logging_configuration(workspaceId=workspace, logGroupArn=arn())
    yield NAME
    amp.delete_logging_configuration(workspaceId=workspace)


@owner("connect")
def _connect(aws: Aws) -> Iterator[str]:
    connect = aws("connect")
    made = connect.create_instance(
        InstanceAlias="desk",
        IdentityManagementType="CONNECT_MANAGED",
        InboundCallsEnabled=False,
        OutboundCallsEnabled=False,
    )["Id"]
    yield "/aws/connect/desk"
    connect.delete_instance(InstanceId=made)


@owner("datasync")
def _datasync(aws: Aws) -> Iterator[str]:
    datasync = aws("datasync")
    places = [
        datasync.create_location_smb(
            ServerHostname="h", Subdirectory="/", User="u", Password="p", AgentArns=["arn:a"]
        )["LocationArn"]
        for _ in range(2)
    ]
    datasync.create_task(
        SourceLocationArn=places[0], DestinationLocationArn=places[1], CloudWatchLogGroupArn=arn()
    )
    yield NAME


@owner("osis")
def _osis(aws: Aws) -> Iterator[str]:
    osis = aws("osis")
    log = {"IsLoggingEnabled": True, "CloudWatchLogDestination": {"LogGroup": NAME}}
    osis.create_pipeline(
        PipelineName="pipe",
        MinUnits=1,
        MaxUnits=1,
        PipelineConfigurationBody='version: "2"\npipe:\n  source: {http: {}}\n  sink: []',
        LogPublishingOptions=log,
    )
    yield NAME
    osis.delete_pipeline(PipelineName="pipe")


@owner("fis")
def _fis(aws: Aws) -> Iterator[str]:
    fis = aws("fis")
    made = fis.create_experiment_template(
        clientToken="1",
        description="d",
        stopConditions=[{"source": "none"}],
        actions={},
        roleArn=_role(aws),
        logConfiguration={
            "logSchemaVersion": 2,
            "cloudWatchLogsConfiguration": {"logGroupArn": arn()},
        },
    )["experimentTemplate"]["id"]
    yield NAME
    fis.delete_experiment_template(id=made)


@owner("athena")
def _athena(aws: Aws) -> Iterator[str]:
    athena = aws("athena")
    log = {"Enabled": True, "LogGroup": NAME}
    configuration = {"MonitoringConfiguration": {"CloudWatchLoggingConfiguration": log}}
    athena.create_work_group(Name="w", Configuration=configuration)
    yield NAME
    athena.delete_work_group(WorkGroup="w")


@owner("mq")
def _mq(aws: Aws) -> Iterator[str]:
    mq = aws("mq")
    made = mq.create_broker(
        AutoMinorVersionUpgrade=False,
        BrokerName="b",
        DeploymentMode="SINGLE_INSTANCE",
        EngineType="ACTIVEMQ",
        EngineVersion="5.18",
        HostInstanceType="mq.m5.large",
        PubliclyAccessible=False,
        Users=[{"Username": "user", "Password": "password-of-a-fake"}],
    )["BrokerId"]
    yield f"/aws/amazonmq/broker/{made}/general"
    mq.delete_broker(BrokerId=made)


@owner("lexv2")
def _lex(aws: Aws) -> Iterator[str]:
    lex = aws("lexv2-models")
    bot = lex.create_bot(
        botName="b",
        roleArn=_role(aws),
        dataPrivacy={"childDirected": False},
        idleSessionTTLInSeconds=60,
    )["botId"]
    destination = {"cloudWatch": {"cloudWatchLogGroupArn": arn(), "logPrefix": "p"}}
    log = {"textLogSettings": [{"enabled": True, "destination": destination}]}
    lex.create_bot_alias(botAliasName="live", botId=bot, conversationLogSettings=log)
    yield NAME
    lex.delete_bot(botId=bot)


@owner("cloudtrail")
def _trail(aws: Aws) -> Iterator[str]:
    aws("s3").create_bucket(
        Bucket="bucket", CreateBucketConfiguration={"LocationConstraint": REGION}
    )
    trails = aws("cloudtrail")
    trails.create_trail(
        Name="trail",
        S3BucketName="bucket",
        CloudWatchLogsLogGroupArn=arn(),
        CloudWatchLogsRoleArn=_role(aws),
    )
    yield NAME
    trails.delete_trail(Name="trail")


@owner("route53-query")
def _zone(aws: Aws) -> Iterator[str]:
    aws("logs").create_log_group(logGroupName="/aws/route53/z")
    route53 = aws("route53")
    zone = route53.create_hosted_zone(Name="example.org", CallerReference="1")["HostedZone"]["Id"]
    made = route53.create_query_logging_config(
        HostedZoneId=zone.removeprefix("/hostedzone/"),
        CloudWatchLogsLogGroupArn=arn("/aws/route53/z", "us-east-1"),
    )["QueryLoggingConfig"]["Id"]
    yield "/aws/route53/z"
    route53.delete_query_logging_config(Id=made)
