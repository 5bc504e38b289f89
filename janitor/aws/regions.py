"""Regions: which there are, which an account has enabled (`all`), and which one is configured."""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Iterable
from difflib import get_close_matches

import boto3

from janitor.aws.api import Api, needed
from janitor.aws.models import loader
from janitor.core.errors import UsageError

ACTIONS: dict[str, str] = {"DescribeRegions": "ec2:DescribeRegions"}
ALL = "all"
"""Stands for all Regions that the account has enabled."""
DEFAULT_REGION = "us-east-1"
"""The Region that is asked about an account if none is configured."""
_REGION = re.compile(r"[a-z]+(-[a-z]+)+-[0-9]+")


async def enabled(api: Api) -> list[str]:
    """The account's enabled Regions, from EC2, whose model is loaded for the owners anyway. The
    service `account` (ListRegions) has a smaller model, but no endpoint outside the partitions aws
    and aws-cn (botocore 1.44.5).
    """
    answer = await needed(api, "ec2", "DescribeRegions", "Regions")
    names = sorted(str(region.get("RegionName")) for region in answer["Regions"])
    if odd := [name for name in names if not _REGION.fullmatch(name)]:
        raise UsageError(f"DescribeRegions: {odd[0]!r} is not a Region")
    return names


@functools.cache
def known_regions() -> tuple[str, ...]:
    """Every Region that this botocore knows, from both of its lists: neither need be complete."""
    regions = {
        region
        for name in ("endpoints", "partitions")
        for partition in loader(None).load_data(name)["partitions"]
        for region in partition["regions"]
    }
    return tuple(sorted(region for region in regions if _REGION.fullmatch(region)))


def partition_of(region: str) -> str:
    """The partition of a Region (such as aws-cn), even of one that this botocore does not know."""
    partitions = loader(None).load_data("endpoints")["partitions"]
    found = (part for part in partitions if re.match(part["regionRegex"], region))
    return str(next((part["partition"] for part in found), "aws"))


def has_endpoint(service: str, region: str) -> bool:
    """Whether botocore knows an endpoint of the service in the Region."""
    model = loader(None).load_service_model(service, "service-2")
    prefix = model["metadata"]["endpointPrefix"]
    return any(
        region in partition["services"].get(prefix, {}).get("endpoints", ())
        for partition in loader(None).load_data("endpoints")["partitions"]
    )


def check_region(region: str, where: str) -> None:
    """Raise UsageError if there is no such Region. `where` names the option or key."""
    known = known_regions()
    if region not in known:
        near = get_close_matches(region.lower(), known, n=3)
        hint = f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(known)}"
        raise UsageError(f"{where}: {region!r} is not an AWS Region ({hint})")


def configured_region(aws: boto3.Session) -> str | None:
    """The Region that the environment or the profile names."""
    return os.environ.get("AWS_REGION") or aws.region_name


def environment_region() -> str:
    """The Region that the environment names; empty if none. Raises UsageError if it is unknown."""
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        if region := os.environ.get(name, ""):
            check_region(region, name)
            return region
    return ""


def one_partition(regions: Iterable[str], arns: Iterable[str] = ()) -> str:
    """The partition of all of them. Raises UsageError if there are several, because credentials
    belong to one.
    """
    found = {region: partition_of(region) for region in regions}
    found |= {arn: arn.split(":")[1] for arn in arns}
    if len({*found.values()}) > 1:
        each = ", ".join(f"{what} ({partition})" for what, partition in found.items())
        raise UsageError(
            f"these are in different partitions of AWS: {each}; give Regions of one (-r/--region)"
        )
    return next(iter(found.values()), "aws")
