"""Lambda functions, their published versions, and where they log."""

from __future__ import annotations

from tests.sandbox.asking import ACCOUNT, REGION, empty_store, flat, still

ARN = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:"


def test_functions_are_listed_in_pages_and_versions_where_they_are_asked_for() -> None:
    """With the log group that they have or the usual one; a version may have another (FACTS.md)."""
    store = empty_store()
    region = store.region(ACCOUNT, REGION)
    region.functions.update({f"f{number:02d}": None for number in range(60)}, custom="/custom")
    region.versions["custom"] = {"1": "/old", "2": None}
    client = still(store).client("lambda")

    def listed(**how: str) -> dict[str, str]:
        pages = list(client.get_paginator("list_functions").paginate(**how))
        assert len(pages) == 2
        found = flat([page["Functions"] for page in pages])
        groups = {one["FunctionArn"]: one["LoggingConfig"]["LogGroup"] for one in found}
        assert len(groups) == len(found)
        return groups

    latest, every = listed(), listed(FunctionVersion="ALL")
    assert (len(latest), len(every)) == (61, 63)
    assert (latest[ARN + "custom"], latest[ARN + "f59"]) == ("/custom", "/aws/lambda/f59")
    assert every[ARN + "custom:$LATEST"] == "/custom"
    assert (every[ARN + "custom:1"], every[ARN + "custom:2"]) == ("/old", "/aws/lambda/custom")


def test_invocation_is_recorded() -> None:
    """An asynchronous one is answered with 202; nothing runs."""
    sandbox = still()
    client = sandbox.client("lambda")
    answer = client.invoke(FunctionName="f", InvocationType="Event", Payload=b'{"a": 1}')
    assert answer["StatusCode"] == 202
    [invoked] = sandbox.world.invoked
    assert (invoked["function"], invoked["payload"]) == ("f", b'{"a": 1}')
