"""The program of `pulumi up`: it provisions the janitor, its watch, and two sample functions."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

if __name__ == "__main__":
    # Pulumi runs this folder as a program, which puts it on sys.path; there packaging.py would hide
    # the distribution of that name, which pulumi itself imports.
    here = Path(__file__).resolve().parent
    sys.path[:] = [str(here.parent), *(path for path in sys.path if Path(path).resolve() != here)]

import pulumi
import pulumi_aws as aws

from deploy import packaging
from deploy.alarms import DAY_S, NAMESPACE, Alarms, AlarmsArgs
from deploy.bucket import RunBucket, RunBucketArgs
from deploy.config import Config, FleetConfig, from_stack
from deploy.dashboard import Dashboard, DashboardArgs
from deploy.fleet import Fleet, FleetArgs, MemberRoles, MemberRolesArgs
from deploy.function import (
    ImageCode,
    LambdaFunction,
    LambdaFunctionArgs,
    ZipCode,
    detects_loops,
)
from deploy.image import ContainerImage, ContainerImageArgs
from deploy.new_groups import TIMEOUT_S, NewGroups, NewGroupsArgs
from deploy.schedule import Schedule, ScheduleArgs
from deploy.topic import Topic, TopicArgs
from janitor.aws.regions import known_regions
from janitor.function.iam import (
    fleet_policy,
    function_policy,
    iam_policy,
    new_groups_policy,
    watch_policy,
)
from janitor.function.member_role import HERE, member_template

RUNTIME = "python3.13"
POLICY_FILE = "policy.toml"


def provision(config: Config) -> None:
    """Declare everything that `config` asks for, and export names and ARNs.

    Raises:
        pulumi.RunError: A package cannot be built; nothing was declared.
    """
    packages = _packages(config)
    _tag_everything(config.tags)
    if "janitor" in packages:
        janitor(config, packages["janitor"])
    if "hash" in packages:
        hash_sample(config, packages["hash"])
    if "helloworld" in packages:
        helloworld_sample(config, packages["helloworld"])


def janitor(config: Config, archive: Path) -> None:
    """Declare the janitor, its schedule and alarms, and the parts that `config` adds."""
    here = _here()
    roles = f"arn:{here['partition']}:iam::{here['account']}:role/{config.name}"
    runs = RunBucket(
        "bucket",
        RunBucketArgs(
            bucket=_bucket(config, here),
            partition=here["partition"],
            writer=roles,
            journal_writer=f"{roles}-new-groups" if config.new_groups else None,
            fleet_writer=f"{roles}-fleet" if config.fleet else None,
            days=config.keep_days,
        ),
    )
    _create_first(runs)
    failures = aws.sqs.Queue(
        "failures",
        name=f"{config.name}-failures",
        message_retention_seconds=14 * DAY_S,
        sqs_managed_sse_enabled=True,
    )
    topic = _topic(config)
    environment = {
        "JANITOR_BUCKET": runs.bucket,
        "JANITOR_NOTIFY_TOPIC": topic if config.notify else None,
        "JANITOR_SCHEDULED_DRY_RUN": "true" if config.scheduled_run == "dry-run" else "false",
    }
    log_group = _log_group(config, "janitor")
    function = LambdaFunction(
        "janitor",
        LambdaFunctionArgs(
            name=config.name,
            log_group=log_group,
            description="Gives log groups a retention and deletes those that are proved empty.",
            code=_zip_code(archive, packaging.JANITOR.handler),
            memory_mb=512,  # cheapest for many Regions: docs/deployment.md has the figures
            timeout_s=900,
            environment=_environment(config, config.name, config.regions, environment),
            policy=function_policy(
                config.policy(),
                **here,
                regions=config.regions,
                function=config.name,
                log_group=log_group,
                parameter=config.policy_parameter,
                notify_topic=_topic_arn(config, here) if config.notify else None,
                bucket=_bucket(config, here),
            ),
            reserved_concurrency=config.reserved_concurrency or None,
            on_failure=failures.arn,
            # A run of more than 15 minutes continues in a new invocation.
            may_invoke_itself=detects_loops(here["region"]),
        ),
    )
    schedule = Schedule(
        "janitor",
        ScheduleArgs(
            rule=config.name,
            description="Starts the janitor.",
            expression=config.schedule,
            function_name=function.name,
            function_arn=function.arn,
        ),
    )
    regions = _new_groups_regions(config, here["region"]) if config.new_groups else ()
    watcher = watch(config, archive, regions)
    alarms = Alarms(
        "janitor",
        AlarmsArgs(
            function_name=function.name,
            queue_name=failures.name,
            watch_name=watcher.name,
            topic=topic,
        ),
    )
    if config.new_groups:
        new_groups(config, archive, here, regions, runs.bucket, watcher.name, topic)
    if config.fleet is not None:
        fleet(config, config.fleet, archive, here, runs.bucket, failures, topic)
    if config.dashboard:
        dashboard = Dashboard(
            "janitor",
            DashboardArgs(
                name=config.name,
                region=here["region"],
                function_name=config.name,
                log_group=log_group,
                queue_name=f"{config.name}-failures",
                watch_name=f"{config.name}-watch",
                alarms=alarms.arns,
                fleet=f"{config.name}-fleet" if config.fleet else None,
                new_groups=f"{config.name}-new-groups" if config.new_groups else None,
            ),
        )
        pulumi.export("dashboard", dashboard.name)
    pulumi.export("bucket", runs.bucket)
    if config.notify:
        pulumi.export("topic", topic)
    pulumi.export("lambda", function.arn)
    pulumi.export("rule", schedule.rule)
    pulumi.export("failures", failures.url)
    pulumi.export("alarms", alarms.names)


def new_groups(
    config: Config,
    archive: Path,
    here: Mapping[str, str],
    regions: Sequence[str],
    bucket: pulumi.Input[str],
    watch_name: pulumi.Input[str],
    topic: pulumi.Input[str] | None,
) -> None:
    """Declare the function that gives new log groups of the Regions their retention."""
    name, log_group = f"{config.name}-new-groups", _log_group(config, "new-groups")
    function = LambdaFunction(
        "new-groups",
        LambdaFunctionArgs(
            name=name,
            log_group=log_group,
            description="Sets retention on log groups that were just created.",
            code=_zip_code(archive, "janitor.function.new_groups.handler"),
            memory_mb=256,
            timeout_s=TIMEOUT_S,
            environment=_environment(config, name, regions, {"JANITOR_BUCKET": bucket}),
            policy=new_groups_policy(
                config.policy(),
                **here,
                regions=regions,
                log_group=log_group,
                queue=name,
                parameter=config.policy_parameter,
                bucket=_bucket(config, here),
            ),
        ),
    )
    events = NewGroups(
        "new-groups",
        NewGroupsArgs(
            name=name,
            **here,
            regions=regions,
            function_arn=function.arn,
            watch_name=watch_name,
            topic=topic,
        ),
    )
    pulumi.export("new_groups", function.arn)
    pulumi.export("new_groups_failures", events.failures)
    pulumi.export("new_groups_alarms", events.alarms)


def fleet(
    config: Config,
    wanted: FleetConfig,
    archive: Path,
    here: Mapping[str, str],
    bucket: pulumi.Input[str],
    failures: aws.sqs.Queue,
    topic: pulumi.Input[str] | None,
) -> None:
    """Declare the runs over many accounts: function, state machine and, if wanted, the roles."""
    name, log_group = f"{config.name}-fleet", _log_group(config, "fleet")
    environment = {
        "JANITOR_BUCKET": bucket,
        "JANITOR_NOTIFY_TOPIC": topic if config.notify else None,
        "JANITOR_FLEET_ROLE": wanted.role,
        "JANITOR_FLEET_EXTERNAL_ID": wanted.external_id,
        "JANITOR_FLEET_OUS": ",".join(wanted.ous),
        "JANITOR_FLEET_ACCOUNTS": ",".join(wanted.accounts),
        "JANITOR_FLEET_EXCLUDE": ",".join(wanted.exclude),
    }
    function = LambdaFunction(
        "fleet",
        LambdaFunctionArgs(
            name=name,
            log_group=log_group,
            description="Surveys and cleans one account and Region of a fleet at a time.",
            code=_zip_code(archive, "janitor.function.fleet.handler"),
            memory_mb=512,
            timeout_s=900,
            environment=_environment(config, name, config.regions, environment),
            policy=fleet_policy(
                **here,
                role=wanted.role,
                lists=bool(wanted.ous or not wanted.accounts),
                parameter=config.policy_parameter,
                notify_topic=_topic_arn(config, here) if config.notify else None,
                bucket=_bucket(config, here),
            ),
        ),
    )
    if wanted.stack_set:
        member_roles(config, wanted, here)
    machine = Fleet(
        "fleet",
        FleetArgs(
            name=name,
            **here,
            bucket=_bucket(config, here),
            concurrency=wanted.concurrency,
            schedule=wanted.schedule,
            dry_run=wanted.scheduled_run == "dry-run",
            function=function,
            failures=failures,
            watch_name=watch(config, archive, of="fleet").name,
            topic=topic,
        ),
    )
    pulumi.export("fleet", machine.arn)
    pulumi.export("fleet_role", f"arn:{here['partition']}:iam::{here['account']}:role/{name}")
    pulumi.export("fleet_alarms", machine.alarms)


def member_roles(config: Config, wanted: FleetConfig, here: Mapping[str, str]) -> None:
    """Declare the role that the fleet's function assumes, in each account."""
    organization = aws.organizations.get_organization()
    template = member_template(
        iam_policy(
            config.policy().with_own_groups(_log_group(config, "fleet")),
            account=HERE,
            partition=here["partition"],
            regions=config.regions,
        ),
        trust=f"arn:{here['partition']}:iam::{here['account']}:role/{config.name}-fleet",
        external_id=wanted.external_id,
        organization=organization.id,
        role=wanted.role,
    )
    MemberRoles(
        "member-roles",
        MemberRolesArgs(
            name=f"{config.name}-member",
            region=here["region"],
            template=template,
            ous=wanted.ous or [root.id for root in organization.roots],
            delegated=organization.master_account_id != here["account"],
        ),
    )


def _new_groups_regions(config: Config, home: str) -> list[str]:
    """Return the Regions whose new log groups are reported, the stack's first: those configured, or
    all that are enabled now. The functions refuse those that are newer than their botocore.
    """
    regions = config.regions or {*aws.get_regions().names} & {*known_regions()}
    return sorted(regions, key=lambda region: (region != home, region))


def watch(
    config: Config, archive: Path, regions: Sequence[str] = (), *, of: str = ""
) -> LambdaFunction:
    """Declare the function that checks once a day whether the last complete run of the janitor, or
    of its part `of`, is 35 days ago, and whether events of new log groups in `regions` can come.

    An alarm looks back 7 days at most, so it cannot see by itself that a month was missed.
    """
    watched = f"{config.name}-{of}" if of else config.name
    name, what = f"{watched}-watch", f"{of}-watch" if of else "watch"
    environment = {**_powertools(name), "JANITOR_FUNCTION": watched}
    if regions:
        environment["JANITOR_NEW_GROUPS"] = f"{config.name}-new-groups"
        environment["JANITOR_REGIONS"] = ",".join(regions)
    function = LambdaFunction(
        what,
        LambdaFunctionArgs(
            name=name,
            log_group=_log_group(config, what),
            description=f"Checks whether a complete run of the {of or 'janitor'} is overdue.",
            code=_zip_code(archive, "janitor.function.watch.handler"),
            memory_mb=256,
            timeout_s=300 if regions else 60,  # it may need a CloudTrail client for each Region
            environment=environment,
            policy=watch_policy(new_groups=bool(regions)),
        ),
    )
    Schedule(
        what,
        ScheduleArgs(
            rule=name,
            description=f"Starts the watch over the {of or 'janitor'}.",
            expression="rate(1 day)",
            function_name=function.name,
            function_arn=function.arn,
        ),
    )
    return function


def hash_sample(config: Config, archive: Path) -> None:
    """Declare a sample function from a zip file."""
    function = LambdaFunction(
        "hash",
        LambdaFunctionArgs(
            name=f"{config.name}-hash",
            log_group=_log_group(config, "hash"),
            description="A sample: a function from a zip file.",
            code=_zip_code(archive, packaging.HASH.handler),
            memory_mb=128,
            timeout_s=3,
        ),
    )
    pulumi.export("hash", function.arn)


def helloworld_sample(config: Config, context: Path) -> None:
    """Declare a sample function from a container image."""
    name = f"{config.name}-helloworld"
    image = ContainerImage("helloworld", ContainerImageArgs(repository=name, context=context))
    function = LambdaFunction(
        "helloworld",
        LambdaFunctionArgs(
            name=name,
            log_group=_log_group(config, "helloworld"),
            description="A sample: a function from a container image.",
            code=ImageCode(image_uri=image.image_uri),
            memory_mb=128,
            timeout_s=3,
        ),
    )
    pulumi.export("helloworld", function.arn)


def _zip_code(archive: Path, handler: str) -> ZipCode:
    return ZipCode(archive=archive, runtime=RUNTIME, handler=handler)


def _here() -> dict[str, str]:
    """Return the stack's account, partition and Region, as arguments of policies."""
    return {
        "account": aws.get_caller_identity().account_id,
        "partition": aws.get_partition().partition,
        "region": aws.get_region().region,
    }


def _topic(config: Config) -> pulumi.Input[str] | None:
    """Return the configured topic, else a new one for `notify`, else None."""
    if config.alarm_topic is not None or not config.notify:
        return config.alarm_topic
    return Topic("janitor", TopicArgs(name=config.name, emails=config.notify_email)).arn


def _topic_arn(config: Config, here: Mapping[str, str]) -> str:
    """Return the topic's ARN, even before it exists, so that a preview shows the whole policy."""
    own = f"arn:{here['partition']}:sns:{here['region']}:{here['account']}:{config.name}"
    return config.alarm_topic or own


def _bucket(config: Config, here: Mapping[str, str]) -> str:
    return f"{config.name}-{here['account']}"


def _environment(
    config: Config,
    service: str,
    regions: Sequence[str],
    more: Mapping[str, pulumi.Input[str] | None],
) -> dict[str, pulumi.Input[str]]:
    """Return a function's environment variables, those that have a value."""
    variables = {
        **_powertools(service),
        "JANITOR_POLICY_FILE": None if config.policy_file is None else POLICY_FILE,
        "JANITOR_POLICY_PARAMETER": config.policy_parameter,
        "JANITOR_REGIONS": ",".join(regions),
        **more,
    }
    return {key: value for key, value in variables.items() if value is not None and value != ""}


def _powertools(service: str) -> dict[str, str]:
    return {"POWERTOOLS_METRICS_NAMESPACE": NAMESPACE, "POWERTOOLS_SERVICE_NAME": service}


def _packages(config: Config) -> dict[str, Path]:
    """Build the package of each function: a zip file, or the folder of its image."""
    try:
        return {name: _package(name, config) for name in config.functions}
    except packaging.PackagingError as error:
        raise pulumi.RunError(str(error)) from error  # Pulumi prints it without a traceback


def _package(name: str, config: Config) -> Path:
    function = packaging.FUNCTIONS[name]
    policy = config.policy_path() if name == "janitor" else None
    folder = packaging.stage(function, extra={} if policy is None else {POLICY_FILE: policy})
    return packaging.image_context(folder) if function.dockerfile else packaging.zip_of(folder)


def _log_group(config: Config, function: str) -> str:
    return f"/{config.name}/{function}"


def _create_first(bucket: RunBucket) -> None:
    """Let everything that is declared later depend on the bucket, so that a second stack of the
    same name creates nothing: CreateBucket refuses it, in any Region. CreateQueue, CreateTopic and
    PutRule would return what the first stack has, and destroying the second would delete it.
    """

    def depend(
        args: pulumi.ResourceTransformationArgs,
    ) -> pulumi.ResourceTransformationResult:
        dependency = pulumi.ResourceOptions(depends_on=[bucket])
        opts = pulumi.ResourceOptions.merge(args.opts, dependency)
        return pulumi.ResourceTransformationResult(args.props, opts)

    pulumi.runtime.register_stack_transformation(depend)


def _tag_everything(tags: Mapping[str, str]) -> None:
    """Tag everything that is declared later and that AWS can tag.

    The provider's default_tags would need an explicit provider, which would not know the stack's
    aws:region and aws:profile.
    """

    def tag(
        args: pulumi.ResourceTransformationArgs,
    ) -> pulumi.ResourceTransformationResult | None:
        # The `tags` of an image are something else.
        if not args.type_.startswith("aws:") or not hasattr(type(args.resource), "tags"):
            return None
        return pulumi.ResourceTransformationResult({**args.props, "tags": dict(tags)}, args.opts)

    if tags:
        pulumi.runtime.register_stack_transformation(tag)


if __name__ == "__main__":
    provision(from_stack())
