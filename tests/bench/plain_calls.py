"""The lower limit: as many calls of each operation as a run made, by boto3 alone.

`plain_calls.py CALLS REGIONS`: CALLS is a JSON object of counts by operation over all REGIONS
(comma-separated). A mutating call is replaced by a reading one. Runs as a script, in a virtual
environment with only boto3.
"""

from __future__ import annotations

import contextlib
import functools
import json
import ssl
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import boto3
from botocore.exceptions import ClientError
from botocore.httpsession import create_urllib3_context

PAGE = 50


def _parameters(group: Mapping[str, str]) -> dict[str, tuple[str, dict[str, Any]]]:
    """Return, by operation, the service and the parameters for one log group."""
    name, arn = group["logGroupName"], group["logGroupArn"]
    return {
        "DescribeLogGroups": ("logs", {"logGroupNamePrefix": name, "limit": 1}),
        "DescribeLogStreams": ("logs", {"logGroupName": name}),
        "DescribeSubscriptionFilters": ("logs", {"logGroupName": name}),
        "DescribeIndexPolicies": ("logs", {"logGroupIdentifiers": [name]}),
        "GetTransformer": ("logs", {"logGroupIdentifier": name}),
        "ListTagsForResource": ("logs", {"resourceArn": arn}),
        "ListFunctions": ("lambda", {}),
        "GetResources": ("resourcegroupstaggingapi", {"ResourceARNList": [arn]}),
    }


def _method(operation: str) -> str:
    return "".join(f"_{char.lower()}" if char.isupper() else char for char in operation)[1:]


def _connecting_anew(client: Any, context: ssl.SSLContext) -> Any:
    """Return the client, which will open another connection. One TLS context for all is the
    janitor's own saving: boto3 reads the certificate authorities again for each.
    """
    client.close()
    client._endpoint.http_session._manager.connection_pool_kw["ssl_context"] = context
    return client


def region(name: str, calls: Mapping[str, float], hosts: int, context: ssl.SSLContext) -> int:
    """Make one Region's share of the calls, and return how many were made."""
    clients: dict[str, Any] = {"logs": boto3.client("logs", name)}
    groups: list[dict[str, str]] = []
    made = 0
    for page in clients["logs"].get_paginator("describe_log_groups").paginate(limit=PAGE):
        groups += page["logGroups"]
        made += 1
    for operation, count in calls.items():
        for number in range(round(count) - (made if operation == "DescribeLogGroups" else 0)):
            known = _parameters(groups[number % len(groups)])
            read = operation if operation in known else "DescribeLogGroups"
            service, parameters = known[read]
            if service not in clients:
                clients[service] = boto3.client(service, name)
            client = clients[service]
            if operation not in known and (hosts := hosts - 1) >= 0:
                client = _connecting_anew(client, context)
            with contextlib.suppress(ClientError):  # "not found" is an answer too
                getattr(client, _method(read))(**parameters)
            made += 1
    return made


def main() -> None:
    """Make the calls, each Region in a thread, because clients mostly wait."""
    calls, regions, hosts = json.loads(sys.argv[1]), sys.argv[2].split(","), int(sys.argv[3])
    context: Any = create_urllib3_context()
    context.load_verify_locations = functools.cache(context.load_verify_locations)
    share = {operation: count / len(regions) for operation, count in calls.items()}
    with ThreadPoolExecutor(len(regions)) as threads:
        made = threads.map(lambda name: region(name, share, hosts, context), regions)
        print(sum(made))  # noqa: T201


if __name__ == "__main__":
    main()
