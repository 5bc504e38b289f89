"""What is provisioned, for `pulumi up`: the janitor, who watches it, and two sample functions."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

if __name__ == "__main__":
    # Pulumi runs this folder as a program, which puts it on sys.path; there packaging.py would hide
    # the distribution of that name, which pulumi itself imports.
    here = Path(__file__).resolve().parent
    sys.path[:] = [entry for entry in sys.path if Path(entry).resolve() != here]

import pulumi
import pulumi_aws as aws

from deploy import packaging
from deploy.alarms import DAY_S, NAMESPACE, Alarms, AlarmsArgs
from deploy.bucket import RunBucket, RunBucketArgs
from deploy.config import Config, from_stack
from deploy.dashboard import Dashboard, DashboardArgs
from deploy.function import ImageCode, LambdaFunction, LambdaFunctionArgs, ZipCode
from deploy.image import ContainerImage, ContainerImageArgs
from deploy.schedule import Schedule, ScheduleArgs
from deploy.topic import Topic, TopicArgs
from janitor.function.iam import function_policy, watch_policy

JANITOR = "cloudwatch-janitor"
WATCH = "cloudwatch-janitor-watch"
RUNTIME = "python3.13"
POLICY_FILE = "policy.toml"


def provision(config: Config) -> None:
    """Declare everything that `config` asks for, and export what it is called.

    Raises:
        pulumi.RunError: A package cannot be made; nothing was declared.
    """
    packages = _packages(config)
    _tag_everything(config.tags)
    if "janitor" in packages:
        janitor(config, packages["janitor"])
    if "hash" in packages:
        hash_sample(packages["hash"])
    if "helloworld" in packages:
        helloworld_sample(packages["helloworld"])


def janitor(config: Config, archive: Path) -> None:
    """The janitor, its schedule, and whatever tells that it does not work."""
    failures = aws.sqs.Queue(
        "failures",
        name=f"{JANITOR}-failures",
        message_retention_seconds=14 * DAY_S,
        sqs_managed_sse_enabled=True,
    )
    here = _here()
    topic = _topic(config)
    bucket = f"{JANITOR}-{here['account']}-{here['region']}"
    environment = _environment(config)
    if config.notify and topic is not None:
        environment["JANITOR_NOTIFY_TOPIC"] = topic
    args = RunBucketArgs(
        bucket=bucket,
        partition=here["partition"],
        writer=f"arn:{here['partition']}:iam::{here['account']}:role/{JANITOR}",
        days=config.keep_days,
    )
    environment["JANITOR_BUCKET"] = RunBucket("bucket", args).bucket
    function = LambdaFunction(
        "janitor",
        LambdaFunctionArgs(
            name=JANITOR,
            description="Gives log groups a retention and deletes those that are proved empty.",
            code=ZipCode(
                archive=archive, runtime=RUNTIME, handler="janitor.function.handler.handler"
            ),
            memory_mb=256,
            timeout_s=900,
            environment=environment,
            policy=function_policy(
                config.policy(),
                **here,
                regions=config.regions,
                function=JANITOR,
                parameter=config.policy_parameter,
                notify_topic=_topic_arn(config, here) if config.notify else None,
                bucket=bucket,
            ),
            reserved_concurrency=config.reserved_concurrency or None,
            on_failure=failures.arn,
            may_invoke_itself=True,  # a run of more than 15 minutes goes on in a new invocation
        ),
    )
    schedule = Schedule(
        "janitor",
        ScheduleArgs(
            rule=JANITOR,
            description="Starts the janitor.",
            expression=config.schedule,
            function_name=function.name,
            function_arn=function.arn,
        ),
    )
    alarms = Alarms(
        "janitor",
        AlarmsArgs(
            function_name=function.name,
            watch_name=watch(archive).name,
            topic=topic,
        ),
    )
    if config.dashboard:
        dashboard = Dashboard(
            "janitor",
            DashboardArgs(
                name=JANITOR,
                region=here["region"],
                function_name=JANITOR,
                watch_name=WATCH,
                alarms=alarms.arns,
            ),
        )
        pulumi.export("dashboard", dashboard.name)
    pulumi.export("bucket", environment["JANITOR_BUCKET"])
    if config.notify:
        pulumi.export("topic", topic)
    pulumi.export("lambda", function.arn)
    pulumi.export("rule", schedule.rule)
    pulumi.export("failures", failures.url)
    pulumi.export("alarms", alarms.names)


def watch(archive: Path) -> LambdaFunction:
    """The function that says once a day whether the janitor's last complete run is 35 days ago.

    An alarm can look back 7 days at most, so it cannot see by itself that a month was missed.
    """
    function = LambdaFunction(
        "watch",
        LambdaFunctionArgs(
            name=WATCH,
            description="Says whether a complete run of the janitor is overdue.",
            code=ZipCode(
                archive=archive, runtime=RUNTIME, handler="janitor.function.watch.handler"
            ),
            memory_mb=256,
            timeout_s=60,
            environment={**_powertools(WATCH), "JANITOR_FUNCTION": JANITOR},
            policy=watch_policy(),
        ),
    )
    Schedule(
        "watch",
        ScheduleArgs(
            rule=WATCH,
            description="Starts the watch over the janitor.",
            expression="rate(1 day)",
            function_name=function.name,
            function_arn=function.arn,
        ),
    )
    return function


def hash_sample(archive: Path) -> None:
    """A sample function from a zip file."""
    function = LambdaFunction(
        "hash",
        LambdaFunctionArgs(
            name="hash",
            description="A sample: a function from a zip file.",
            code=ZipCode(archive=archive, runtime=RUNTIME, handler="handler.handler"),
            memory_mb=128,
            timeout_s=3,
        ),
    )
    pulumi.export("hash", function.arn)


def helloworld_sample(context: Path) -> None:
    """A sample function from a container image."""
    image = ContainerImage(
        "helloworld", ContainerImageArgs(repository="helloworld", context=context)
    )
    function = LambdaFunction(
        "helloworld",
        LambdaFunctionArgs(
            name="helloworld",
            description="A sample: a function from a container image.",
            code=ImageCode(image_uri=image.image_uri),
            memory_mb=128,
            timeout_s=3,
        ),
    )
    pulumi.export("helloworld", function.arn)


def _here() -> dict[str, str]:
    """The stack's account, partition and Region, as policies name them."""
    return {
        "account": aws.get_caller_identity().account_id,
        "partition": aws.get_partition().partition,
        "region": aws.get_region().region,
    }


def _topic(config: Config) -> pulumi.Input[str] | None:
    """Who is told: the topic that is configured, one that is made, or nobody."""
    if config.alarm_topic is not None or not config.notify:
        return config.alarm_topic
    return Topic("janitor", TopicArgs(name=JANITOR, emails=config.notify_email)).arn


def _topic_arn(config: Config, here: Mapping[str, str]) -> str:
    """The topic's ARN before it exists, so that a preview shows the whole policy."""
    made = f"arn:{here['partition']}:sns:{here['region']}:{here['account']}:{JANITOR}"
    return config.alarm_topic or made


def _environment(config: Config) -> dict[str, pulumi.Input[str]]:
    environment: dict[str, pulumi.Input[str]] = {
        **_powertools(JANITOR),
        "JANITOR_SCHEDULED_DRY_RUN": "true" if config.scheduled_run == "dry-run" else "false",
    }
    if config.regions:
        environment["JANITOR_REGIONS"] = ",".join(config.regions)
    if config.policy_file is not None:
        environment["JANITOR_POLICY_FILE"] = POLICY_FILE
    if config.policy_parameter is not None:
        environment["JANITOR_POLICY_PARAMETER"] = config.policy_parameter
    return environment


def _powertools(service: str) -> dict[str, str]:
    return {"POWERTOOLS_METRICS_NAMESPACE": NAMESPACE, "POWERTOOLS_SERVICE_NAME": service}


def _packages(config: Config) -> dict[str, Path]:
    """What each function runs: a zip file, or the folder that its image is built from."""
    try:
        return {name: _package(name, config) for name in config.functions}
    except packaging.PackagingError as error:
        raise pulumi.RunError(str(error)) from error  # which Pulumi prints as the line that it is


def _package(name: str, config: Config) -> Path:
    function = packaging.FUNCTIONS[name]
    policy = config.policy_path() if name == "janitor" else None
    folder = packaging.stage(function, extra={} if policy is None else {POLICY_FILE: policy})
    return packaging.image_context(folder) if function.dockerfile else packaging.zip_of(folder)


def _tag_everything(tags: Mapping[str, str]) -> None:
    """Tag what is declared from now on, where AWS has tags for it.

    The provider's default_tags would need a provider of our own, which would not know the stack's
    aws:region and aws:profile.
    """

    def tagged(
        args: pulumi.ResourceTransformationArgs,
    ) -> pulumi.ResourceTransformationResult | None:
        # An image's `tags` are something else.
        if not args.type_.startswith("aws:") or not hasattr(type(args.resource), "tags"):
            return None
        return pulumi.ResourceTransformationResult({**args.props, "tags": dict(tags)}, args.opts)

    if tags:
        pulumi.runtime.register_stack_transformation(tagged)


if __name__ == "__main__":
    provision(from_stack())
