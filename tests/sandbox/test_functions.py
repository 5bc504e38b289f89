"""Lambda functions, their published versions, and where they log."""

from __future__ import annotations

from typing import Any

from tests.sandbox.asking import ACCOUNT, REGION, empty_store, flat, still


def test_functions_are_listed_in_pages() -> None:
    """`$LATEST` of each, with the log group that it has or the usual one."""
    store = empty_store()
    region = store.region(ACCOUNT, REGION)
    region.functions.update({f"f{number:02d}": None for number in range(60)}, custom="/custom")
    listed = still(store).client("lambda").get_paginator("list_functions").paginate()
    found = flat([page["Functions"] for page in listed])
    groups = {one["FunctionName"]: one["LoggingConfig"]["LogGroup"] for one in found}
    assert len(found) == len(groups) == 61
    assert (groups["custom"], groups["f59"]) == ("/custom", "/aws/lambda/f59")
    assert {one["Version"] for one in found} == {"$LATEST"}
    assert found[0]["FunctionArn"] == f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:custom"


def test_published_versions_are_listed_if_all_are_asked_for() -> None:
    """Then every ARN says which version it is of."""
    store = empty_store()
    region = store.region(ACCOUNT, REGION)
    region.functions["f"], region.versions["f"] = None, {"1": "/old"}
    client = still(store).client("lambda")

    def groups(**how: Any) -> dict[str, str]:
        listed = client.list_functions(**how)["Functions"]
        return {
            one["FunctionArn"].split(":", 6)[6]: one["LoggingConfig"]["LogGroup"] for one in listed
        }

    assert groups() == {"f": "/aws/lambda/f"}
    assert groups(FunctionVersion="ALL") == {"f:$LATEST": "/aws/lambda/f", "f:1": "/old"}


def test_invocation_is_recorded() -> None:
    """An asynchronous one is answered with 202; nothing runs."""
    sandbox = still()
    client = sandbox.client("lambda")
    answer = client.invoke(FunctionName="f", InvocationType="Event", Payload=b'{"a": 1}')
    assert answer["StatusCode"] == 202
    [invoked] = sandbox.world.invoked
    assert (invoked["function"], invoked["payload"]) == ("f", b'{"a": 1}')
