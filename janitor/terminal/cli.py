"""The command line: its commands and options. What they do is in the other modules here.

Nothing that calls AWS is imported before a command needs it, so that `--help` is quick.
"""

from __future__ import annotations

import contextlib
import functools
import gc
import inspect
import io
import json
import logging
import os
import signal
import sys
import traceback
from collections.abc import Callable, Collection, Iterator
from enum import StrEnum
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, Literal, TextIO, TypeVar, cast, get_args

import typer
from typer.core import TyperCommand, TyperGroup

from janitor import __version__, terminal
from janitor.core import process
from janitor.core.errors import JanitorError, OutputError, UsageError
from janitor.core.exit_codes import Exit
from janitor.core.text import ODD, lines, visible
from janitor.report.base import SUFFIXES, Format

_Command = TypeVar("_Command", bound=Callable[..., None])


class _Group(TyperGroup):
    """A group of commands, which accepts a command's options before the command."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Move the command to the front, except while a shell completes."""
        return super().parse_args(ctx, args if ctx.resilient_parsing else self._command_first(args))

    def _command_first(self, args: list[str]) -> list[str]:
        if not args or args[0] in _ROOT_OPTIONS:
            return args
        options = filter(_takes_value, _options(self))
        at, with_value = 0, {name for option in options for name in option.opts}
        while at < len(args) and args[at].startswith("-"):
            at += 2 if _wants_value(args[at], with_value) else 1
        return [*args[at : at + 1], *args[:at], *args[at + 1 :]]


def _wants_value(word: str, with_value: Collection[str]) -> bool:
    """Return whether the next word is the value of this one: of an option, or of the last of
    several one-letter options, such as `-qf`.
    """
    if word.startswith("--"):
        return word in with_value
    taking = [at for at, letter in enumerate(word) if f"-{letter}" in with_value]
    return taking[:1] == [len(word) - 1]


class _StrictCommand(TyperCommand):
    """A command that refuses an option given twice, or an empty value: one of two policies would
    be ignored, an empty profile would be another account's, and an empty path the working folder.
    """

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Raises UsageError."""
        if not ctx.resilient_parsing:
            values, _, given = self.make_parser(ctx).parse_args(args=[*args])
            for one in given:
                option = one.param_type_name == "option"
                name = "/".join(sorted(one.opts, key=len)) if option else one.metavar
                once = option and _takes_value(one) and not one.multiple
                if once and given.count(one) > 1:
                    raise UsageError(f"{name}: is given more than once")
                value = values[one.name]
                if "" in (value if isinstance(value, list | tuple) else [value]):
                    raise UsageError(f"{name}: is given without a value")
        return super().parse_args(ctx, args)


class _Typer(typer.Typer):
    """A typer application whose commands are strict."""

    def command(self, *args: Any, **settings: Any) -> Callable[[_Command], _Command]:
        """Register a command."""
        return super().command(*args, cls=_StrictCommand, **settings)


@contextlib.contextmanager
def _closed_pipe() -> Iterator[None]:
    """Turn a closed pipe into an OutputError."""
    try:
        yield
    except BrokenPipeError as error:
        raise OutputError(error) from error


class _Root(_Group):
    """All commands; `report` if none is named. A closed pipe raises OutputError, because click
    would exit with 1: findings.
    """

    def _command_first(self, args: list[str]) -> list[str]:
        words = super()._command_first(args)
        named = words and (words[0] in _ROOT_OPTIONS or not words[0].startswith("-"))
        return words if named else ["report", *words]

    def make_context(self, *args: Any, **settings: Any) -> Any:
        """Raises OutputError, while it prints the help."""
        with _closed_pipe():
            return super().make_context(*args, **settings)

    def invoke(self, ctx: Any) -> Any:
        """Raises OutputError."""
        try:
            with _closed_pipe():
                return super().invoke(ctx)
        except KeyboardInterrupt as end:  # typer would exit silently
            raise RuntimeError("interrupted") from end
        except typer.BadParameter as error:
            error.message = error.message.replace("Value error, ", "")
            raise


_ROOT_OPTIONS = ("-h", "--help", "--version")
COMPLETE = "_JANITOR_COMPLETE"
NO_VARIABLE = (
    *("help", "version", "apply", "ignore_protect", "sandbox", "sandbox_state"),
    *("org", "org_role", "ou", "account", "exclude", "document"),
)
"""Options without a variable: one left over in a shell must not turn a dry run into a real one, nor
switch accounts. JANITOR_FORMAT applies to reports, not to the documents of `iam-policy`.
"""


def _options(group: Any) -> Iterator[Any]:
    """Yield the options of all commands of a group, and of its subgroups."""
    for command in group.commands.values():
        yield from (param for param in command.params if param.param_type_name == "option")
        if hasattr(command, "commands"):
            yield from _options(command)


def _takes_value(option: Any) -> bool:
    return not (option.is_flag or option.count)


@functools.cache
def command() -> Any:
    """Return the command line, with an environment variable `JANITOR_…` for each option."""
    root: Any = typer.main.get_command(app)
    for option in _options(root):
        name = max(option.opts, key=len).lstrip("-").replace("-", "_")
        if not {name, option.name} & {*NO_VARIABLE}:
            option.envvar, option.show_envvar = f"JANITOR_{name.upper()}", False
    return root


def _examples(*lines: str) -> str:
    return "\b\nExamples:\n" + "\n".join(f"  janitor {line}" for line in lines)


app = _Typer(
    name="janitor",
    cls=_Root,
    help="Retention for CloudWatch log groups that have none, and proof before every deletion.\n\n"
    "Without a command, `report` runs; it changes nothing. Options may come before or after the "
    "command. All but --apply and those for an organization or the sandbox can also be set as "
    "environment variables, such as JANITOR_REGION.",
    epilog=_examples(
        "--sandbox                      look at a demo account",
        "-r all --ingestion             every enabled Region, and what arrives",
        "report -o report.html          a page",
        "report --org --by ou           every account of the organization",
        "plan -o plan.jsonl             for `janitor apply plan.jsonl`",
        "explain '/aws/lambda/old-*'    why, line by line",
    ),
    rich_markup_mode=None,
    add_completion=False,
    no_args_is_help=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _subgroup(name: str, help: str) -> _Typer:
    group = _Typer(cls=_Group, help=help, no_args_is_help=True, rich_markup_mode=None)
    app.add_typer(group, name=name)
    return group


policy_app = _subgroup("policy", "Show, check and test policies.")
sandbox_app = _subgroup("sandbox", "The demo account.")


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
    typer.Option(
        "--role", metavar="ARN", help="Assume this role and work in its account; repeatable."
    ),
]
ExternalId = Annotated[
    str | None,
    typer.Option(
        "--external-id", metavar="ID", help="The external ID that the trust policies require."
    ),
]
Org = Annotated[
    bool, typer.Option("--org", help="Work in every account of the organization, by --org-role.")
]
OrgRole = Annotated[
    str | None,
    typer.Option(
        "--org-role", metavar="NAME", help="The role of each account; default: janitor-member."
    ),
]
Units = Annotated[
    list[str] | None,
    typer.Option(
        "--ou", metavar="ID", help="--org, but only below this organizational unit; repeatable."
    ),
]
Accounts = Annotated[
    list[str] | None,
    typer.Option("--account", metavar="ID", help="--org, but only this account; repeatable."),
]
Exclude = Annotated[
    list[str] | None,
    typer.Option(
        "--exclude", metavar="ID", help="Leave out this account or organizational unit; repeatable."
    ),
]
PolicyFile = Annotated[
    Path | None,
    typer.Option(
        "-p",
        "--policy",
        metavar="FILE",
        help="Policy file (TOML; `-`: stdin). Default: ./janitor.toml, else the shipped one.",
    ),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Change nothing, only show.")]
NoColor = Annotated[bool, typer.Option("--no-color", help="Plain text, as with NO_COLOR.")]
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
    Format | None,
    typer.Option(
        "-f",
        "--format",
        metavar="FORMAT",
        help=f"{', '.join(Format)}. Default: by the suffix of -o, else table.",
    ),
]
TableOrJson = Annotated[
    Format | None,
    typer.Option("-f", "--format", metavar="FORMAT", help="table or json."),
]
UndoForm = Annotated[
    Format | None,
    typer.Option(
        "-f",
        "--format",
        metavar="FORMAT",
        help="table, json, jsonl, csv or markdown. Default: by the suffix of -o, else table.",
    ),
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
Yes = Annotated[bool, typer.Option("-y", "--yes", help="Do not ask before changing things.")]
Fail = Annotated[
    bool, typer.Option("--fail-on-findings", help="Exit with 1 if there are findings.")
]
Everything = Annotated[
    bool, typer.Option("--all", help="List everything, also what is simply kept.")
]
JournalFile = Annotated[
    Path | None,
    typer.Option(
        "--journal", metavar="FILE", help="Record the changes there (default: a dated file)."
    ),
]
Ingestion = Annotated[
    bool,
    typer.Option("--ingestion", help="Also read how much arrives (GetMetricData is billed)."),
]
By = Annotated[
    str | None,
    typer.Option(
        "--by", metavar="WHAT", help="Sums by account, ou, region, tag:KEY, prefix or rule."
    ),
]
SinceReport = Annotated[
    Path | None,
    typer.Option(
        "--since", metavar="FILE", help="Also show what changed since a report saved as JSON."
    ),
]
Orphans = Annotated[
    bool,
    typer.Option("--orphans", help="Also find log groups whose owner is gone (takes calls)."),
]

_SHARED = {
    "profile": Profile,
    "roles": Roles,
    "external_id": ExternalId,
    "org": Org,
    "org_role": OrgRole,
    "ous": Units,
    "accounts": Accounts,
    "exclude": Exclude,
    "regions": Regions,
    "policy": PolicyFile,
    "sandbox": Sandbox,
    "sandbox_state": State,
    "format": Form,
    "output": Output,
    "journal": JournalFile,
    "yes": Yes,
    "ingestion": Ingestion,
    "by": By,
    "since": SinceReport,
    "orphans": Orphans,
    "all_groups": Everything,
    "fail_on_findings": Fail,
    "api_share": ApiShare,
    "verbose": Verbose,
    "quiet": Quiet,
    "no_color": NoColor,
    "log_format": Logs,
    "dry_run": DryRun,
}
"""The options that several commands have, by their names in `janitor.terminal.options.Options`."""
_ACCOUNT = (
    *("profile", "roles", "external_id", "org", "org_role", "ous", "accounts", "exclude"),
    *("regions", "policy", "sandbox", "sandbox_state"),
)
_OUTPUT = ("format", "output")
_BEHAVIOUR = ("api_share", "verbose", "quiet", "no_color", "log_format")


def _with(*names: str, **other: Any) -> Callable[[_Command], _Command]:
    """Add shared options to a command, which receives them as `**given`. `other` replaces the type
    of an option.
    """

    def decorate(command: _Command) -> _Command:
        signature = inspect.signature(command, eval_str=True)
        parameters = list(signature.parameters.values())[:-1]
        for name in names:
            kind = other.get(name, _SHARED[name])
            default = {bool: False, LogFormat: LogFormat.CONSOLE}.get(get_args(kind)[0])
            keyword = inspect.Parameter.KEYWORD_ONLY
            parameters.append(inspect.Parameter(name, keyword, annotation=kind, default=default))
        vars(command)["__signature__"] = signature.replace(parameters=parameters)
        return command

    return decorate


LOCAL_POLICY = Path("janitor.toml")
"""The policy file that is used from the working directory if none is named."""


def _policy_file(policy: Path | None, *, quiet: bool = False) -> Path | None:
    """Return the named policy file or, after saying so, the one in the working directory."""
    if policy is not None or not LOCAL_POLICY.is_file():
        return policy
    if not quiet:
        sys.stderr.write(f"policy: ./{LOCAL_POLICY}, found here\n")
    return LOCAL_POLICY


def _format_of(output: Path | None) -> Format:
    """Return the format that a file's suffix names. Raises UsageError."""
    suffix = "" if output is None else output.suffix
    if (form := SUFFIXES.get(suffix.lower())) is None:
        raise UsageError(
            f"-o/--output: {output}: no format has the suffix {suffix}; give one with -f/--format, "
            f"or use {', '.join(filter(None, SUFFIXES))}"
        )
    return form


def _run(call: str, log_format: LogFormat, **given: Any) -> None:
    """Run a command, named by module and function, and exit with its code.

    Only the command's module is imported, which saves a third of the time of a small report.
    """
    module, _, name = call.partition(".")
    commands = import_module(f"janitor.terminal.{module}")
    verbose, quiet = given.get("verbose", False), given.get("quiet", False)
    color = not given.get("no_color", False)
    configure_logs(log_format, verbose=verbose, quiet=quiet, color=color)
    arguments = {key: given.pop(key) for key in given.keys() - _SHARED.keys()}
    if given.pop("dry_run", False):
        if arguments.get("apply"):
            raise UsageError("--apply, --dry-run: give one of them")
        if name == "apply":
            arguments["dry_run"] = True
    given["sandbox"] = given["sandbox"] or given["sandbox_state"] is not None
    if "format" in given:
        given["format"] = given["format"] or _format_of(given["output"])
    given["policy"] = _policy_file(given["policy"], quiet=quiet)
    for repeatable in ("regions", "roles", "ous", "accounts", "exclude"):
        given[repeatable] = tuple(given.get(repeatable) or ())
    given["org"] = given.get("org") or bool(given["ous"] or given["accounts"])
    if not given["org"] and (given["exclude"] or given.get("org_role")):
        raise UsageError("--exclude, --org-role: are for --org")
    raise typer.Exit(int(getattr(commands, name)(commands.Options(**given), **arguments)))


@app.command(
    epilog=_examples(
        "report",
        "report -r all --ingestion",
        "report -o report.html",
        "report --by tag:team",
        "report --org --exclude ou-exam-12345678 --by ou",
        "report --since april.json -o report.html",
        "report -f json | jq .summary",
    )
)
@_with(
    *_ACCOUNT,
    *_OUTPUT,
    *("ingestion", "by", "since", "orphans", "all_groups", "fail_on_findings"),
    *_BEHAVIOUR,
    *("yes", "dry_run"),
)
def report(**given: Any) -> None:
    """Show what would be done and why; change nothing."""
    _run("run.report", **given)


@app.command(epilog=_examples("plan -o plan.jsonl"))
@_with("output", *_ACCOUNT, "fail_on_findings", *_BEHAVIOUR, "yes", "dry_run")
def plan(**given: Any) -> None:
    """Write what would be done to a file for `apply`."""
    _run("run.plan", **given)


@app.command(epilog=_examples("apply plan.jsonl", "apply plan.jsonl --yes --journal changes.jsonl"))
@_with(
    *(name for name in _ACCOUNT if name != "regions"),
    *_OUTPUT,
    *("journal", "yes", "all_groups", "fail_on_findings"),
    *_BEHAVIOUR,
    "dry_run",
)
def apply(
    path: Annotated[Path, typer.Argument(metavar="FILE", help="A file that `plan` wrote.")],
    **given: Any,
) -> None:
    """Carry out a plan; keep what has changed since."""
    _run("run.apply", path=path, **given)


@app.command(epilog=_examples("run", "run --apply", "run --apply --yes -q -o report.html"))
@_with(
    *_ACCOUNT,
    *_OUTPUT,
    *("journal", "yes", "ingestion", "by", "all_groups", "fail_on_findings"),
    *_BEHAVIOUR,
    "dry_run",
)
def run(
    apply: Annotated[bool, typer.Option("--apply", help="Act; without it, a dry run.")] = False,
    **given: Any,
) -> None:
    """Survey and act in one go; a dry run unless --apply."""
    _run("run.run", apply=apply, **given)


@app.command(epilog=_examples("native -p janitor.toml", "native -p janitor.toml -r all --apply"))
@_with(
    *_ACCOUNT,
    *_OUTPUT,
    *("journal", "yes", "fail_on_findings"),
    *_BEHAVIOUR,
    "dry_run",
    format=TableOrJson,
)
def native(
    apply: Annotated[bool, typer.Option("--apply", help="Act; without it, only show.")] = False,
    ignore_protect: Annotated[
        bool,
        typer.Option(
            "--ignore-protect",
            help="Also where `[protect]` exempts log groups that AWS's policies cannot exempt.",
        ),
    ] = False,
    **given: Any,
) -> None:
    """Turn prefix rules into account-level retention policies."""
    _run("native.native", apply=apply, ignore_protect=ignore_protect, **given)


@app.command(
    epilog=_examples(
        "restore janitor-journal-20270101T060000Z.jsonl", 'restore JOURNAL --apply --group "/ecs/*"'
    )
)
@_with(*_ACCOUNT, *_OUTPUT, "journal", "yes", "all_groups", *_BEHAVIOUR, "dry_run", format=UndoForm)
def restore(
    journals: Annotated[
        list[str],
        typer.Argument(
            metavar="JOURNAL", help="Files, `-`, s3://BUCKET/KEY or s3://BUCKET/PREFIX/."
        ),
    ],
    apply: Annotated[bool, typer.Option("--apply", help="Do it; without it, only show.")] = False,
    groups: Annotated[
        list[str] | None,
        typer.Option(
            "--group", metavar="GLOB", help="Only log groups with matching names; repeatable."
        ),
    ] = None,
    **given: Any,
) -> None:
    """Undo what journals recorded; only shows it unless --apply."""
    given |= {"paths": tuple(journals), "groups": tuple(groups or ())}
    _run("restore.restore", apply=apply, **given)


@app.command(
    epilog=_examples(
        "explain /aws/lambda/orders",
        "explain '/ecs/*' -r eu-west-1",
        "explain arn:aws:logs:eu-west-1:123456789012:log-group:/ecs/web",
    )
)
@_with(*_ACCOUNT, *_OUTPUT, *_BEHAVIOUR, format=TableOrJson)
def explain(
    names: Annotated[
        list[str], typer.Argument(metavar="GROUP", help="Names, globs or ARNs of log groups.")
    ],
    **given: Any,
) -> None:
    """Show every rule and piece of evidence for log groups."""
    _run("explain.explain", names=tuple(names), **given)


@app.command(epilog=_examples("report --all -f json -o may.json", "diff april.json may.json"))
def diff(
    old: Annotated[Path, typer.Argument(metavar="OLD", help="A report saved as JSON.")],
    new: Annotated[Path, typer.Argument(metavar="NEW", help="A later one.")],
    format: TableOrJson = None,
) -> None:
    """Show what changed between two reports."""
    from janitor.terminal.difference import diff as compare

    raise typer.Exit(int(compare(old, new, format or Format.TABLE)))


@app.command()
def schema(
    of: Annotated[
        Literal["report", "native", "restore", "fleet"],
        typer.Argument(
            metavar="WHAT",
            help="report (also of run and apply), native, restore, or fleet (the report.json of "
            "the deployed fleet).",
        ),
    ] = "report",
) -> None:
    """Print the JSON Schema of what `--format json` prints."""
    from janitor.report.schema import json_schema

    sys.stdout.write(json.dumps(json_schema(of), indent=2) + "\n")


@policy_app.command("show")
def policy_show(policy: PolicyFile = None) -> None:
    """Print the policy in force, with every default filled in."""
    import tomli_w

    from janitor.policy.file import load

    content = load(_policy_file(policy)).model_dump(exclude_none=True)
    sys.stdout.write(tomli_w.dumps(content))


@policy_app.command("validate")
def policy_validate(policy: PolicyFile = None) -> None:
    """Check a policy file: every problem with its line. Also names rules that never match."""
    from janitor.terminal.policies import validate

    raise typer.Exit(int(validate(_policy_file(policy))))


@policy_app.command(
    "test",
    epilog=_examples(
        "policy test /aws/lambda/orders /ecs/web -p new.toml",
        "policy test --report report.json -p new.toml --against old.toml",
    ),
)
def policy_test(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="GROUP", help="Names of log groups.")
    ] = None,
    policy: PolicyFile = None,
    report: Annotated[
        Path | None,
        typer.Option("--report", metavar="FILE", help="Those of a saved report (--all -f json)."),
    ] = None,
    against: Annotated[
        Path | None,
        typer.Option("--against", metavar="FILE", help="Show what differs from this policy."),
    ] = None,
    region: Annotated[
        str,
        typer.Option("-r", "--region", metavar="REGION", help="Region of the named log groups."),
    ] = "",
    format: TableOrJson = None,
) -> None:
    """Show which rule applies to which log group. With --against, only what differs."""
    from janitor.terminal.policies import test

    form = format or Format.TABLE
    raise typer.Exit(int(test(_policy_file(policy), names or (), report, against, region, form)))


@policy_app.command("schema")
def policy_schema() -> None:
    """Print the JSON Schema of the policy file, for editors."""
    from janitor.policy.file import json_schema

    sys.stdout.write(json.dumps(json_schema(), indent=2) + "\n")


@app.command(
    "iam-policy",
    epilog=_examples(
        "iam-policy -p janitor.toml",
        "iam-policy --format cloudformation --trust 111122223333 --external-id ID --org-id o-…",
    ),
)
def iam_policy_command(
    policy: PolicyFile = None,
    sandbox: Sandbox = False,
    sandbox_state: State = None,
    ingestion: Annotated[
        bool, typer.Option("--ingestion", help="Also what `--ingestion` of a report needs.")
    ] = False,
    orphans: Annotated[
        bool, typer.Option("--orphans", help="Also what `--orphans` of a report needs.")
    ] = False,
    restore: Annotated[
        bool, typer.Option("--restore", help="What `restore --apply` needs instead.")
    ] = False,
    native: Annotated[
        bool, typer.Option("--native", help="What `native --apply` needs, and its undo, instead.")
    ] = False,
    journal_bucket: Annotated[
        str | None,
        typer.Option("--journal-bucket", metavar="NAME", help="With journals in this S3 bucket."),
    ] = None,
    regions: Annotated[
        list[str] | None,
        typer.Option("-r", "--region", metavar="REGION", help="In these only; repeatable."),
    ] = None,
    document: Annotated[
        Literal["json", "cloudformation"],
        typer.Option(
            "-f", "--format", metavar="FORMAT", help="json, or cloudformation: a role that has it."
        ),
    ] = "json",
    trust: Annotated[
        str | None,
        typer.Option(
            "--trust", metavar="ACCOUNT", help="Who may assume it: an account, or a role's ARN."
        ),
    ] = None,
    external_id: ExternalId = None,
    org_id: Annotated[
        str | None,
        typer.Option(
            "--org-id", metavar="ID", help="Only while that account is in this organization."
        ),
    ] = None,
    org_role: OrgRole = None,
) -> None:
    """Print the least IAM policy that the policy in force needs."""
    from janitor.aws import targets
    from janitor.aws.regions import check_region, environment_region, one_partition
    from janitor.function.iam import iam_policy, native_policy, restore_policy
    from janitor.function.member_role import HERE, ROLE, member_template
    from janitor.journal.archive import check_bucket
    from janitor.policy.file import load

    for region in regions or ():
        check_region(region, "-r/--region")
    trusted = [trust] if trust and targets.ROLE_ARN.fullmatch(trust) else []
    configured = [] if sandbox or trusted else [environment_region()]
    partition = one_partition(filter(None, regions or configured), trusted)
    if journal_bucket is not None:
        if not restore:
            raise UsageError("--journal-bucket: is only for --restore")
        check_bucket(journal_bucket, "--journal-bucket")
    if restore and native:
        raise UsageError("--restore, --native: give one of them")
    template = document == "cloudformation"
    if not template and (trust or org_id):
        raise UsageError("--trust, --org-id: are for --format cloudformation")
    account = HERE if template else "*"
    if native:
        needed = native_policy(regions=tuple(regions or ()))
    elif restore:
        needed = restore_policy(account=account, partition=partition, journal_bucket=journal_bucket)
    else:
        needed = iam_policy(
            load(_policy_file(policy)),
            account=account,
            partition=partition,
            regions=tuple(regions or ()),
            ingestion=ingestion,
            orphans=orphans,
        )
    if template:
        if trust is None or external_id is None:
            raise UsageError("--format cloudformation: needs --trust ACCOUNT and --external-id ID")
        needed = member_template(
            needed,
            trust=trust,
            external_id=external_id,
            organization=org_id,
            role=org_role or ROLE,
            partition=partition,
        )
        if org_id is None:
            sys.stderr.write(
                "without --org-id the role may be assumed even after that account has left the "
                "organization\n"
            )
    sys.stdout.write(json.dumps(needed, indent=2) + "\n")


@app.command(epilog="\b\nExample:\n  janitor completion bash >> ~/.bashrc")
def completion(
    shell: Annotated[
        Literal["bash", "zsh", "fish"],
        typer.Argument(metavar="SHELL", help="bash, zsh or fish."),
    ],
) -> None:
    """Print a shell completion script."""
    from typer._completion_shared import get_completion_script

    script = get_completion_script(prog_name="janitor", complete_var=COMPLETE, shell=shell)
    sys.stdout.write(f"{script}\n")


@sandbox_app.command("demo")
def sandbox_demo() -> None:
    """Report, clean up, report again and undo. The first report is also written as a page."""
    from janitor.terminal.demo import demo

    raise typer.Exit(int(demo()))


@sandbox_app.command("new-groups")
def sandbox_new_groups() -> None:
    """Show what the deployed function does about new log groups."""
    from janitor.terminal.new_groups import new_groups

    configure_logs(LogFormat.CONSOLE, verbose=False, quiet=True, color=True)
    raise typer.Exit(int(new_groups()))


@sandbox_app.command("fleet")
def sandbox_fleet() -> None:
    """Clean three accounts of an organization. Reports before and after."""
    from janitor.terminal.fleet import fleet

    raise typer.Exit(int(fleet()))


@sandbox_app.command("serve")
def sandbox_serve(
    port: Annotated[
        int, typer.Option("--port", min=0, max=65535, metavar="N", help="Default: a free one.")
    ] = 0,
    quotas: Annotated[bool, typer.Option("--quotas", help="Throttle as AWS does.")] = False,
) -> None:
    """Serve the demo account on 127.0.0.1 for other tools. Prints how to reach it."""
    from janitor.terminal.sandbox import serve

    raise typer.Exit(int(serve(port, quotas=quotas)))


@app.callback(invoke_without_command=True)
def _root(
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    if version:
        sys.stdout.write(f"janitor {__version__}\n")
        raise typer.Exit


class _Logs(io.TextIOBase):
    """Stderr, but a log line that cannot be written does not cut off a change under way."""

    def write(self, text: str) -> int:
        with contextlib.suppress(OSError):
            sys.stderr.write(text)
        return len(text)

    def flush(self) -> None:
        with contextlib.suppress(OSError):
            sys.stderr.flush()


_LOGS = cast(TextIO, _Logs())


def _escaped(_logger: Any, _name: str, event: Any) -> Any:
    """Return a log event without control characters that a terminal would obey."""
    return {key: lines(v) if isinstance(v, str) else v for key, v in event.items()}


def configure_logs(form: LogFormat, *, verbose: bool, quiet: bool, color: bool) -> None:
    """Send logs to stderr: warnings and errors, everything with `verbose`, or errors if `quiet`.
    `color` allows colours at a terminal.
    """
    import structlog

    level = logging.DEBUG if verbose else logging.ERROR if quiet else logging.WARNING
    render: Any = (
        structlog.processors.JSONRenderer()
        if form is LogFormat.JSON
        else structlog.dev.ConsoleRenderer(
            colors=color and sys.stderr.isatty() and not os.environ.get("NO_COLOR")
        )
    )
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            _escaped,
            render,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=lambda *_: structlog.PrintLogger(_LOGS),
        cache_logger_on_first_use=False,
    )


def main(argv: list[str] | None = None) -> int:
    """Run the command line and return the exit code. A traceback is only printed with `-v`."""
    words = list(sys.argv[1:] if argv is None else argv)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=ODD)
    verbose = bool({"-v", "--verbose"} & set(words))
    try:
        if COMPLETE in os.environ:
            from typer._completion_classes import completion_init

            completion_init()
        try:
            command().main(args=words, prog_name="janitor", standalone_mode=True)
        except SystemExit as end:
            sys.stdout.flush()
            return end.code if isinstance(end.code, int) else Exit.DONE
    except JanitorError as error:
        return _failed(str(error), error.exit_code, verbose=verbose)
    except KeyboardInterrupt:
        return _failed("interrupted", Exit.INTERRUPTED)
    except OSError as error:
        named = error.filename is not None
        text = f"{error.filename}: {error.strerror}" if named else str(OutputError(error))
        return _failed(text, Exit.INCOMPLETE, verbose=verbose)
    except Exception as error:  # a bug: one line, and the traceback with -v
        if isinstance(error.__cause__, KeyboardInterrupt):  # Python may also chain it so in imports
            return _failed("interrupted", Exit.INTERRUPTED)
        text = f"internal error: {type(error).__name__}: {error} (see -v)"
        return _failed(text, Exit.INCOMPLETE, verbose=verbose)
    return Exit.DONE


def _failed(text: str, code: Exit, *, verbose: bool = False) -> Exit:
    """Print why the program fails, if that is possible, and return the exit code."""
    with contextlib.suppress(OSError):
        if verbose:
            traceback.print_exc()
        for line in text.split("\n"):
            sys.stderr.write(f"janitor: {visible(line)}\n")
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:  # Python would write to the stream again when it exits
            with contextlib.suppress(OSError, io.UnsupportedOperation):
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    return code


def entry() -> None:
    """Run as the installed command, or as `python -m janitor`."""
    process.set_up()
    terminal.owns_process = True
    for name in ("stdin", "stdout", "stderr"):
        # A file opened later, such as a journal, would take the number of a closed stream.
        if getattr(sys, name) is None:
            null = os.open(os.devnull, os.O_RDWR)
            setattr(sys, name, os.fdopen(null, "r" if name == "stdin" else "w"))
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) == signal.SIG_DFL:  # nohup's SIGHUP stays ignored
            signal.signal(number, signal.default_int_handler)
    code = main()
    # The garbage collection at Python's exit takes a quarter of the CPU time of a short run.
    gc.freeze()
    sys.exit(code)
