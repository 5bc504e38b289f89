"""What MkDocs fills in from the program itself: `<!-- from the program: NAME -->` in a page.

So the reference pages cannot say anything else than the program does.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import typer.main
from typer.cli import get_docs_for_click

from janitor.function.iam import function_policy, iam_policy
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
            continue
        head = f"[[{name}]]" if several else f"[{name}]"
        lines = [f"## `{head}`", "", section["description"], ""]
        lines += ["| key | accepted | default | meaning |", "| --- | --- | --- | --- |"]
        for key, said in section["properties"].items():
            cells = (f"`{key}`", _accepted(schema, said), _default(section, key, said))
            lines.append(f"| {' | '.join(cells)} | {_described(key, said)} |")
        sections.append("\n".join(lines) + "\n")
    return "\n".join(sections)


def _of(schema: dict[str, Any], value: dict[str, Any]) -> dict[str, Any]:
    reference = value.get("$ref") or value.get("items", {}).get("$ref")
    return schema["$defs"][reference.rsplit("/", 1)[-1]] if reference else value


def _described(key: str, said: dict[str, Any]) -> str:
    if not said.get("description"):
        raise ValueError(f"policy key {key} has no description")
    return str(said["description"]).replace("|", "\\|")


def _accepted(schema: dict[str, Any], said: dict[str, Any]) -> str:
    for one in [part for part in said.get("anyOf", [said]) if part.get("type") != "null"]:
        one = _of(schema, one) if "$ref" in one else one
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
    raise ValueError(f"nothing is accepted: {said}")


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
            bucket="cloudwatch-janitor-123456789012-eu-west-1",
        )
    )


def shipped_policy() -> str:
    """The policy that applies without a file."""
    from importlib.resources import files

    text = (files("janitor.policy") / "default_policy.toml").read_text(encoding="utf-8")
    return f"```toml\n{text}```"


def _code(document: dict[str, Any]) -> str:
    return f"```json\n{json.dumps(document, indent=2)}\n```"


PARTS: dict[str, Callable[[], str]] = {
    "commands": commands,
    "policy-keys": policy_keys,
    "days": days,
    "iam-policy": least_policy,
    "function-policy": least_function_policy,
    "shipped-policy": shipped_policy,
}


def on_page_markdown(markdown: str, **_: Any) -> str:
    """MkDocs calls this for each page. Raises KeyError on a part that there is not."""
    return MARK.sub(lambda found: PARTS[found.group(1)](), markdown)
