"""What may import what, read from the code itself."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import botocore.session
import pytest
from botocore import xform_name

PACKAGE = Path(__file__).parents[1] / "janitor"
BELOW = {
    "core": set[str](),
    "policy": {"core"},
    "aws": {"core"},
    "owners": {"core", "aws"},
    "cost": {"core", "policy"},
    "journal": {"core", "aws", "policy"},
    "engine": {"core", "policy", "aws", "owners", "journal"},
    "report": {"core", "cost"},
    "sandbox": {"core"},
}
"""What each folder may import beside itself; the terminal and the function may import all."""
CHANGING = {
    "Changes": {"engine/act.py", "journal/restore.py"},
    "AccountPolicies": {"journal/account_policies.py"},
}
"""The only ways to change anything in an account, and the only modules that may take them. Who may
put account-level policies cannot delete a log group.
"""


def imports(path: Path) -> Iterator[tuple[str, set[str]]]:
    """Each module that a file imports of this package, with the names taken from it."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("janitor"):
            yield str(node.module), {alias.name for alias in node.names}
        elif isinstance(node, ast.Import):
            yield from ((a.name, set[str]()) for a in node.names if a.name.startswith("janitor"))


def folder(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0]


def test_no_import_runs_upward() -> None:
    """A folder knows those below it only."""
    wrong = [
        f"{path.relative_to(PACKAGE)} imports {module}"
        for path in PACKAGE.rglob("*.py")
        if (allowed := BELOW.get(folder(path))) is not None
        for module, names in imports(path)
        for other in ([module.split(".")[1]] if "." in module else names)
        if other in {*BELOW, "terminal", "function"} - {folder(path)} - allowed
    ]
    assert wrong == []


@pytest.mark.parametrize("way", CHANGING)
def test_only_few_modules_reach_a_mutating_call(way: str) -> None:
    """Nobody else takes the ways to one."""
    users = {
        str(path.relative_to(PACKAGE))
        for path in PACKAGE.rglob("*.py")
        for module, names in imports(path)
        if module == "janitor.aws.logs" and names & {way, "*"}
    }
    assert users == CHANGING[way]
    assert not [place for place, name in attributes() if name == way], "by way of the module"


def attributes() -> Iterator[tuple[str, str]]:
    """Each attribute that is used outside the sandbox, and where."""
    for path in PACKAGE.rglob("*.py"):
        if folder(path) != "sandbox":
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Attribute):
                    yield str(path.relative_to(PACKAGE)), node.attr


def test_every_mutating_call_stands_in_one_of_these_ways() -> None:
    """No other code names an operation of CloudWatch Logs that changes something, nor the method of
    boto3's client.
    """
    changing = re.compile(r"(Put|Delete|Create|Associate|Disassociate|Tag|Untag)[A-Z]\w+")
    operations = set(botocore.session.get_session().get_service_model("logs").operation_names)
    found = {
        (str(path.relative_to(PACKAGE)), getattr(scope, "name", ""))
        for path in PACKAGE.rglob("*.py")
        if folder(path) != "sandbox"
        for scope in ast.parse(path.read_text()).body
        for call in ast.walk(scope)
        if isinstance(call, ast.Call)
        for said in call.args
        if isinstance(said, ast.Constant) and isinstance(said.value, str)
        if changing.fullmatch(said.value) and said.value in operations
    }
    methods = {xform_name(name) for name in operations if changing.fullmatch(name)}
    assert not [(at, name) for at, name in attributes() if name in methods]
    assert {place for place, _ in found} == {"aws/logs.py"}
    assert {name for _, name in found} == CHANGING.keys()
