"""What MkDocs fills in from the program itself: `<!-- from the program: NAME -->` in a page.

So the reference pages cannot say anything else than the program does.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from typing import Any

import typer.main
from typer.cli import get_docs_for_click

from janitor.function.iam import (
    fleet_policy,
    function_policy,
    iam_policy,
    new_groups_policy,
    state_machine_policy,
)
from janitor.function.member_role import ROLE
from janitor.owners.table import Question, Row, Severity, actions, services, table
from janitor.policy.file import json_schema, load
from janitor.terminal.cli import app

MARK = re.compile(r"<!-- from the program: ([a-z-]+) -->")


def commands() -> str:
    """Every command with its options, as `--help` knows them."""
    command = typer.main.get_command(app)
    context = typer.Context(command, info_name="janitor")
    with context:
        text = get_docs_for_click(obj=command, ctx=context, name="janitor")
    # The lists of subcommands cut their help short; each has a section of its own anyway.
    return re.sub(r"\*\*Commands\*\*:\n\n(\* .*\n)+", "", text.removeprefix("# `janitor`\n"))


def policy_keys() -> str:
    """Each section of the policy file: its keys, what they accept, their defaults, their meaning.

    Raises ValueError on a key that says nothing of itself.
    """
    schema = json_schema()
    sections = []
    for name, value in schema["properties"].items():
        section = _of(schema, value)
        several = "items" in value or value.get("type") == "array"
        if "properties" not in section:
            sections.append(f"## `[{name}]`\n\n{_described(name, value)}\n")
        else:
            sections += _section(schema, f"[[{name}]]" if several else f"[{name}]", section)
    return "\n".join(sections)


def _section(schema: dict[str, Any], head: str, section: dict[str, Any]) -> list[str]:
    """A section, and those within it."""
    lines = [f"## `{head}`", "", section["description"], ""]
    lines += ["| key | accepted | default | meaning |", "| --- | --- | --- | --- |"]
    within = []
    for key, said in section["properties"].items():
        if "properties" in (inner := _of(schema, said)):
            within += _section(schema, f"{head[:-1]}.{key}]", inner)
            continue
        cells = (f"`{key}`", _accepted(schema, said), _default(section, key, said))
        lines.append(f"| {' | '.join(cells)} | {_described(key, said)} |")
    return ["\n".join(lines) + "\n", *within]


def _of(schema: dict[str, Any], value: dict[str, Any]) -> dict[str, Any]:
    reference = value.get("$ref") or value.get("items", {}).get("$ref")
    return schema["$defs"][reference.rsplit("/", 1)[-1]] if reference else value


def _described(key: str, said: dict[str, Any]) -> str:
    if not said.get("description"):
        raise ValueError(f"policy key {key} has no description")
    return str(said["description"]).replace("|", "\\|")


def _accepted(schema: dict[str, Any], said: dict[str, Any]) -> str:
    parts = [part for part in said.get("anyOf", [said]) if part.get("type") != "null"]
    return " or ".join(_one_accepted(schema, _of(schema, part)) for part in parts)


def _one_accepted(schema: dict[str, Any], one: dict[str, Any]) -> str:
    if "enum" in one and one["type"] == "integer":
        return "[days that AWS accepts](#days-that-aws-accepts)"
    if "enum" in one:
        return ", ".join(f"`{json.dumps(value)}`" for value in one["enum"])
    if one["type"] == "array":
        return f"list of {_accepted(schema, one['items'])}"
    if one["type"] == "boolean":
        return "`true`, `false`"
    least = f"at least {one['minimum']}" if "minimum" in one else ""
    least = f"above {one['exclusiveMinimum']}" if "exclusiveMinimum" in one else least
    most = f"at most {one['maximum']}" if "maximum" in one else ""
    return ", ".join(filter(None, (one["type"], least, most)))


def _default(section: dict[str, Any], key: str, said: dict[str, Any]) -> str:
    if key in section.get("required", []):
        return "required"
    value = said.get("default")
    return "absent" if value is None else f"`{json.dumps(value)}`"


def days() -> str:
    """The retention days that AWS accepts."""
    for said in json_schema()["$defs"]["Defaults"]["properties"]["retention_days"]["anyOf"]:
        if "enum" in said:
            return ", ".join(str(value) for value in said["enum"])
    raise ValueError("the schema lists no days")


def least_policy() -> str:
    """The IAM policy of `janitor iam-policy` for the shipped policy."""
    return _code(iam_policy(load(None)))


def least_function_policy() -> str:
    """The IAM policy of the deployed function for the shipped policy."""
    return _code(
        function_policy(
            load(None),
            account="123456789012",
            partition="aws",
            region="eu-west-1",
            function="cloudwatch-janitor",
            log_group="/cloudwatch-janitor/janitor",
            bucket="cloudwatch-janitor-123456789012",
        )
    )


_HERE: dict[str, Any] = {
    "account": "123456789012",
    "partition": "aws",
    "region": "eu-west-1",
    "bucket": "cloudwatch-janitor-123456789012",
}


def least_fleet_policy() -> str:
    """What the function of a fleet may do with its own rights."""
    return _code(fleet_policy(**_HERE, role=ROLE))


def least_state_machine_policy() -> str:
    """What the state machine of a fleet may do."""
    name = "cloudwatch-janitor-fleet"
    return _code(state_machine_policy(**_HERE, machine=name, function=name))


def least_new_groups_policy() -> str:
    """What the function for new log groups needs with the shipped policy, in one Region."""
    return _code(
        new_groups_policy(
            load(None),
            account="123456789012",
            partition="aws",
            region="eu-west-1",
            regions=["eu-west-1"],
            log_group="/cloudwatch-janitor/new-groups",
            queue="cloudwatch-janitor-new-groups",
            bucket="cloudwatch-janitor-123456789012",
        )
    )


def shipped_policy() -> str:
    """The policy that applies without a file."""
    from importlib.resources import files

    text = (files("janitor.policy") / "default_policy.toml").read_text(encoding="utf-8")
    return f"```toml\n{text}```"


def _code(document: dict[str, Any]) -> str:
    return f"```json\n{json.dumps(document, indent=2)}\n```"


SEVERITIES: dict[Severity, str] = {
    "breaks": "Something stops, or is refused",
    "silent": "Logs are lost, without an error",
    "recreated": "Made again by the service, bare",
}
REGION = "eu-west-1"
"""A Region without owners of its own, for figures."""


def owner_figures() -> str:
    """How many owners there are, and of how many a log group of any name is asked."""
    rows = table()
    anybody = [row for row in rows if row.may_own("any", REGION)]
    cheap = [row for row in map(Row.again, rows) if row is not None]
    again = [row for row in cheap if row.may_own("any", REGION)]
    figures = [
        ("kinds of owners (rows)", len(rows)),
        ("of them, so many without which something stops", _count(rows, "breaks")),
        ("that lose their logs without an error", _count(rows, "silent")),
        ("that make the log group again, bare", _count(rows, "recreated")),
        ("services", len(services(rows))),
        ("IAM actions, all of which only read", len(actions(rows))),
        (
            f"rows that are asked of a log group that anybody could own, in a Region like {REGION}",
            len(anybody),
        ),
        ("rows that are asked again before a deletion", len(cheap)),
        ("of them, so many of a log group that anybody could own", len(again)),
    ]
    lines = ["| what | number |", "| --- | ---: |"]
    return "\n".join([*lines, *(f"| {what} | {number} |" for what, number in figures)])


def _count(rows: Sequence[Row], severity: Severity) -> int:
    return sum(row.severity == severity for row in rows)


def owner_names() -> str:
    """The names that speak of an owner, as regular expressions."""
    lines = ["| name | speaks of |", "| --- | --- |"]
    for row in table():
        if row.speaks is not None:
            name = re.sub(r"\(\?P<(\w+)>", "(", row.speaks.pattern).replace("|", "\\|")
            owner = re.sub(r"\{\w+\}", "…", row.user)
            lines.append(f"| `{name}` | {owner} |")
    return "\n".join(lines)


def owner_table() -> str:
    """Every row of the table of owners, by what happens without the log group."""
    parts = []
    for severity, title in SEVERITIES.items():
        lines = [
            f"### {title}",
            "",
            "| owner | without its log group | could own | asked by | asked again |",
        ]
        lines.append("| --- | --- | --- | --- | --- |")
        lines += [_owner(row) for row in table() if row.severity == severity]
        parts.append("\n".join(lines))
    return "\n\n".join(parts)


def _owner(row: Row) -> str:
    user = re.sub(r"\{\w+\}", "…", row.user).removesuffix(" …")
    if row.names is not None:
        names = f"`{row.names.pattern}`"
    else:
        names = "any name" if row.usual is None else f"any name, usually `{row.usual.pattern}`"
    if fixed := row.only or row.home:
        names += f", in {fixed} only" if row.only else f", by functions in {fixed}"
    asked = _calls(row, row.listing)
    if row.probe is not None:
        asked += f"; of one log group by {_calls(row, row.probe.question)}"
    return f"| `{row.id}`<br>{user} | {row.without} | {names} | {asked} | {_again(row)} |"


def _calls(row: Row, question: Question) -> str:
    named = {action.partition(":")[2]: action for action in row.actions}
    calls = [step.call for step in question.steps]
    if named.keys() >= set(calls):
        return " → ".join(f"`{named[call]}`" for call in calls)
    needed = ", ".join(f"`{action}`" for action in sorted(row.actions))
    return f"{' → '.join(f'`{call}`' for call in calls)} (needs {needed})"


def _again(row: Row) -> str:
    again = row.again()
    if again is None:
        return "no"
    if again.names is row.names or again.names is None:
        return "yes"
    return "conventional names only"


PARTS: dict[str, Callable[[], str]] = {
    "commands": commands,
    "policy-keys": policy_keys,
    "days": days,
    "iam-policy": least_policy,
    "function-policy": least_function_policy,
    "new-groups-policy": least_new_groups_policy,
    "fleet-policy": least_fleet_policy,
    "state-machine-policy": least_state_machine_policy,
    "shipped-policy": shipped_policy,
    "owner-figures": owner_figures,
    "owner-names": owner_names,
    "owner-table": owner_table,
}


def on_page_markdown(markdown: str, **_: Any) -> str:
    """MkDocs calls this for each page. Raises KeyError on a part that there is not."""
    return MARK.sub(lambda found: PARTS[found.group(1)](), markdown)
