"""The terminal's face: how the commands are typed. What they do is in `janitor.terminal`.

Nothing that talks to AWS is imported before a command needs it, so that `--help` is quick.
"""

from __future__ import annotations

import contextlib
import gc
import io
import json
import logging
import os
import sys
import traceback
from enum import StrEnum
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from janitor import __version__, terminal
from janitor.aws.workers import GARBAGE
from janitor.core.errors import Exit, JanitorError, OutputError, UsageError
from janitor.core.text import ODD, lines, visible
from janitor.report.base import Format


class _Commands(TyperGroup):
    """The commands. A closed pipe is told as one; click would exit with 1: findings."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError as error:
            raise OutputError(error) from error


app = typer.Typer(
    name="janitor",
    cls=_Commands,
    help="Retention for CloudWatch log groups that have none, and proof before every deletion.\n\n"
    "Without a command, `report` runs; it changes nothing.",
    rich_markup_mode=None,
    add_completion=False,
    no_args_is_help=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
policy_app = typer.Typer(help="The policy in force.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(policy_app, name="policy")
sandbox_app = typer.Typer(help="The demo account.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(sandbox_app, name="sandbox")


class LogFormat(StrEnum):
    """The values of `--log-format`."""

    CONSOLE = "console"
    JSON = "json"


Profile = Annotated[str | None, typer.Option("--profile", metavar="NAME", help="AWS profile.")]
Regions = Annotated[
    list[str] | None,
    typer.Option("-r", "--region", metavar="REGION", help="Repeatable; `all`: every enabled one."),
]
Roles = Annotated[
    list[str] | None,
    typer.Option("--role", metavar="ARN", help="Work in its account; repeatable."),
]
PolicyFile = Annotated[
    Path | None, typer.Option("-p", "--policy", metavar="FILE", help="Policy file (TOML).")
]
Sandbox = Annotated[
    bool, typer.Option("--sandbox", help="Use the embedded demo account instead of AWS.")
]
State = Annotated[
    Path | None,
    typer.Option(
        "--sandbox-state",
        metavar="FOLDER",
        help="--sandbox, with the account kept in this folder between commands.",
    ),
]
Form = Annotated[
    Format,
    typer.Option("--format", metavar="FORMAT", help="table, json, jsonl, csv, markdown or html."),
]
Output = Annotated[
    Path | None, typer.Option("-o", "--output", metavar="FILE", help="Write there, not to stdout.")
]
ApiShare = Annotated[
    float | None,
    typer.Option("--api-share", min=0.01, max=1.0, metavar="X", help="Share of each API quota."),
]
Verbose = Annotated[bool, typer.Option("-v", "--verbose", help="Log each item; show tracebacks.")]
Quiet = Annotated[bool, typer.Option("-q", "--quiet", help="No progress, no summary.")]
Logs = Annotated[LogFormat, typer.Option("--log-format", help="Format of the logs on stderr.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask before changing things.")]
Fail = Annotated[
    bool, typer.Option("--fail-on-findings", help="Exit with 1 if there are findings.")
]
Everything = Annotated[bool, typer.Option("--all", help="List what is plainly kept as well.")]
JournalFile = Annotated[
    Path | None,
    typer.Option("--journal", metavar="FILE", help="Record of changes (default: a dated file)."),
]
Ingestion = Annotated[
    bool,
    typer.Option("--ingestion", help="Also read what arrives where (GetMetricData is billed)."),
]
Orphans = Annotated[
    bool,
    typer.Option("--orphans", help="Also ask whose owner is gone (calls to their services)."),
]


_OWN = ("apply", "path", "name", "paths", "groups")
"""What a command takes beside the options that all share."""


def _finish(call: str, log_format: LogFormat, **given: Any) -> None:
    """Run a command of `janitor.terminal` with the options given, and exit with its code.

    Only what the command needs is imported: a third of the time that a small report takes.
    """
    module, _, command = call.partition(".")
    commands = import_module(f"janitor.terminal.{module}")
    verbose, quiet = given.get("verbose", False), given.get("quiet", False)
    configure_logs(log_format, verbose=verbose, quiet=quiet)
    extra = {key: given.pop(key) for key in _OWN if key in given}
    given["sandbox"] = given["sandbox"] or given["sandbox_state"] is not None
    for several in ("regions", "roles"):
        given[several] = tuple(given.get(several) or ())
    raise typer.Exit(int(getattr(commands, command)(commands.Options(**given), **extra)))


@app.command()
def report(
    profile: Profile = None,
    roles: Roles = None,
    regions: Regions = None,
    policy: PolicyFile = None,
    sandbox: Sandbox = False,
    sandbox_state: State = None,
    format: Form = Format.TABLE,
    output: Output = None,
    ingestion: Ingestion = False,
    orphans: Orphans = False,
    all_groups: Everything = False,
    fail_on_findings: Fail = False,
    api_share: ApiShare = None,
    verbose: Verbose = False,
    quiet: Quiet = False,
    log_format: Logs = LogFormat.CONSOLE,
    yes: Yes = False,
) -> None:
    """Show what would be done and why; change nothing."""
    _finish("run.report", **locals())


@app.command()
def plan(
    output: Output = None,
    profile: Profile = None,
    roles: Roles = None,
    regions: Regions = None,
    policy: PolicyFile = None,
    sandbox: Sandbox = False,
    sandbox_state: State = None,
    fail_on_findings: Fail = False,
    api_share: ApiShare = None,
    verbose: Verbose = False,
    quiet: Quiet = False,
    log_format: Logs = LogFormat.CONSOLE,
    yes: Yes = False,
) -> None:
    """Write what would be done as lines that `apply` takes."""
    _finish("run.plan", **locals())


@app.command()
def apply(
    path: Annotated[Path, typer.Argument(metavar="FILE", help="A file that `plan` wrote.")],
    profile: Profile = None,
    roles: Roles = None,
    policy: PolicyFile = None,
    sandbox: Sandbox = False,
    sandbox_state: State = None,
    format: Form = Format.TABLE,
    output: Output = None,
    journal: JournalFile = None,
    yes: Yes = False,
    all_groups: Everything = False,
    fail_on_findings: Fail = False,
    api_share: ApiShare = None,
    verbose: Verbose = False,
    quiet: Quiet = False,
    log_format: Logs = LogFormat.CONSOLE,
) -> None:
    """Do what a plan says; what changed since is kept."""
    _finish("run.apply", **locals())


@app.command()
def run(
    apply: Annotated[bool, typer.Option("--apply", help="Act; without it, a dry run.")] = False,
    profile: Profile = None,
    roles: Roles = None,
    regions: Regions = None,
    policy: PolicyFile = None,
    sandbox: Sandbox = False,
    sandbox_state: State = None,
    format: Form = Format.TABLE,
    output: Output = None,
    journal: JournalFile = None,
    yes: Yes = False,
    ingestion: Ingestion = False,
    all_groups: Everything = False,
    fail_on_findings: Fail = False,
    api_share: ApiShare = None,
    verbose: Verbose = False,
    quiet: Quiet = False,
    log_format: Logs = LogFormat.CONSOLE,
) -> None:
    """Survey and act in one go; a dry run unless --apply."""
    _finish("run.run", **locals())


@app.command()
def restore(
    journals: Annotated[
        list[str],
        typer.Argument(
            metavar="JOURNAL...", help="Files, `-`, s3://BUCKET/KEY or s3://BUCKET/PREFIX/."
        ),
    ],
    apply: Annotated[bool, typer.Option("--apply", help="Do it; without it, only show.")] = False,
    groups: Annotated[
        list[str] | None,
        typer.Option("--group", metavar="GLOB", help="Only log groups named so; repeatable."),
    ] = None,
    profile: Profile = None,
    roles: Roles = None,
    regions: Regions = None,
    policy: PolicyFile = None,
    sandbox: Sandbox = False,
    sandbox_state: State = None,
    format: Form = Format.TABLE,
    output: Output = None,
    journal: JournalFile = None,
    yes: Yes = False,
    all_groups: Everything = False,
    api_share: ApiShare = None,
    verbose: Verbose = False,
    quiet: Quiet = False,
    log_format: Logs = LogFormat.CONSOLE,
) -> None:
    """Undo what journals say was done; shows it unless --apply."""
    given = locals()
    given["paths"] = tuple(given.pop("journals"))
    given["groups"] = tuple(groups or ())
    _finish("restore.restore", **given)


@app.command()
def explain(
    name: Annotated[str, typer.Argument(metavar="GROUP", help="The log group's name.")],
    profile: Profile = None,
    roles: Roles = None,
    regions: Regions = None,
    policy: PolicyFile = None,
    sandbox: Sandbox = False,
    sandbox_state: State = None,
    format: Annotated[
        Format, typer.Option("--format", metavar="FORMAT", help="table or json.")
    ] = Format.TABLE,
    output: Output = None,
    api_share: ApiShare = None,
    verbose: Verbose = False,
    quiet: Quiet = False,
    log_format: Logs = LogFormat.CONSOLE,
) -> None:
    """Show each rule and each piece of evidence for one log group."""
    _finish("explain.explain", **locals())


@policy_app.command("show")
def policy_show(
    policy: PolicyFile = None, sandbox: Sandbox = False, sandbox_state: State = None
) -> None:
    """Print the policy in force, with every default filled in."""
    import tomli_w

    from janitor.policy.file import load

    content = load(policy).model_dump(mode="json", exclude_none=True)
    sys.stdout.write(tomli_w.dumps(content))


@policy_app.command("validate")
def policy_validate(
    policy: PolicyFile = None, sandbox: Sandbox = False, sandbox_state: State = None
) -> None:
    """Check a policy file; every problem is named."""
    from janitor.policy.file import SHIPPED, load

    rules = len(load(policy).rules)
    sys.stdout.write(f"{policy or SHIPPED}: valid, {rules} rule{'' if rules == 1 else 's'}\n")


@policy_app.command("schema")
def policy_schema(sandbox: Sandbox = False, sandbox_state: State = None) -> None:
    """Print the JSON Schema of the policy file, for editors."""
    from janitor.policy.file import json_schema

    sys.stdout.write(json.dumps(json_schema(), indent=2) + "\n")


@app.command("iam-policy")
def iam_policy_command(
    policy: PolicyFile = None,
    sandbox: Sandbox = False,
    sandbox_state: State = None,
    ingestion: Ingestion = False,
    orphans: Orphans = False,
    restore: Annotated[
        bool, typer.Option("--restore", help="What `restore --apply` needs instead.")
    ] = False,
    journal_bucket: Annotated[
        str | None,
        typer.Option("--journal-bucket", metavar="NAME", help="With journals in this S3 bucket."),
    ] = None,
    regions: Annotated[
        list[str] | None,
        typer.Option("-r", "--region", metavar="REGION", help="In these only; repeatable."),
    ] = None,
) -> None:
    """Print the least IAM policy that the policy in force needs."""
    from janitor.aws.targets import check_region, partition_of
    from janitor.function.iam import iam_policy, restore_policy
    from janitor.policy.file import load

    for region in regions or ():
        check_region(region, "-r/--region")
    configured = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or ""
    partitions = {partition_of(region) for region in regions or [configured]}
    if len(partitions) > 1:
        raise UsageError(f"-r/--region: of different partitions: {', '.join(sorted(partitions))}")
    place = partitions.pop()

    if journal_bucket is not None and not restore:
        raise UsageError("--journal-bucket: is for --restore")
    if restore:
        needed = restore_policy(partition=place, journal_bucket=journal_bucket)
    else:
        needed = iam_policy(
            load(policy),
            partition=place,
            regions=tuple(regions or ()),
            ingestion=ingestion,
            orphans=orphans,
        )
    sys.stdout.write(json.dumps(needed, indent=2) + "\n")


@sandbox_app.command("demo")
def sandbox_demo() -> None:
    """Look, clean, look again and undo, on an account made for it; leave a page."""
    from janitor.terminal.demo import demo

    raise typer.Exit(int(demo()))


@sandbox_app.command("serve")
def sandbox_serve(
    port: Annotated[
        int, typer.Option("--port", min=0, max=65535, metavar="N", help="Default: a free one.")
    ] = 0,
    quotas: Annotated[bool, typer.Option("--quotas", help="Throttle as AWS does.")] = False,
) -> None:
    """Serve the demo account on 127.0.0.1, to try other tools on it; print how to reach it."""
    from janitor.terminal.sandbox import serve

    raise typer.Exit(int(serve(port, quotas=quotas)))


@app.callback(invoke_without_command=True)
def _root(
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    if version:
        sys.stdout.write(f"janitor {__version__}\n")
        raise typer.Exit


def _readable(_logger: Any, _name: str, event: Any) -> Any:
    """What is logged, with nothing that a terminal would obey."""
    return {key: lines(v) if isinstance(v, str) else v for key, v in event.items()}


def configure_logs(form: LogFormat, *, verbose: bool, quiet: bool) -> None:
    """Logs go to stderr: warnings and worse, or everything with `verbose`."""
    import structlog

    level = logging.DEBUG if verbose else logging.ERROR if quiet else logging.WARNING
    render: Any = (
        structlog.processors.JSONRenderer()
        if form is LogFormat.JSON
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            _readable,
            render,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),
        cache_logger_on_first_use=False,
    )


def main(argv: list[str] | None = None) -> int:
    """Run the command line and answer with the exit code. No traceback unless `-v`."""
    words = list(sys.argv[1:] if argv is None else argv)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=ODD)
    if not words or (words[0].startswith("-") and words[0] not in ("-h", "--help", "--version")):
        words.insert(0, "report")
    verbose = bool({"-v", "--verbose"} & set(words))
    try:
        try:
            app(args=words, prog_name="janitor", standalone_mode=True)
        except SystemExit as end:
            sys.stdout.flush()
            return end.code if isinstance(end.code, int) else Exit.DONE
    except JanitorError as error:
        return _ended(str(error), error.exit_code, verbose=verbose)
    except KeyboardInterrupt:
        return _ended("interrupted", Exit.INTERRUPTED)
    except OSError as error:
        if error.filename is None:
            return _ended(str(OutputError(error)), Exit.INCOMPLETE, verbose=verbose)
        return _ended(f"{error.filename}: {error.strerror}", Exit.INCOMPLETE, verbose=verbose)
    except Exception as error:  # a bug: say so in one line, the traceback is for -v
        text = f"internal error: {type(error).__name__}: {error} (see -v)"
        return _ended(text, Exit.INCOMPLETE, verbose=verbose)
    return Exit.DONE


def _ended(text: str, code: Exit, *, verbose: bool = False) -> Exit:
    """Say why it ended so, as far as anybody can be told."""
    with contextlib.suppress(OSError):
        if verbose:
            traceback.print_exc()
        for line in text.split("\n"):
            sys.stderr.write(f"janitor: {visible(line)}\n")
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:  # Python would write to it again at its exit
            with contextlib.suppress(OSError, io.UnsupportedOperation):
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    return code


def entry() -> None:
    """The installed command and `python -m janitor`."""
    gc.set_threshold(GARBAGE)
    terminal.alone = True
    code = main()
    # Python looks for garbage a last time at its exit: a quarter of the CPU time of a short run.
    gc.freeze()
    sys.exit(code)
