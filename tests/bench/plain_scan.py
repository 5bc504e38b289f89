"""The lower limit: boto3's own paginator over DescribeLogGroups, and nothing else.

Runs as a script, in a virtual environment with only boto3.
"""

from __future__ import annotations

import boto3
from botocore.config import Config

RETRIES = 10


def main() -> None:
    """Read every page and keep nothing."""
    client = boto3.client("logs", config=Config(retries={"max_attempts": RETRIES}))
    groups = sum(
        len(page["logGroups"]) for page in client.get_paginator("describe_log_groups").paginate()
    )
    print(groups)  # noqa: T201


if __name__ == "__main__":
    main()
