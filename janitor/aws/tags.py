"""Reads the tags of many log groups a call, through the tagging API."""

from __future__ import annotations

from collections.abc import Collection

from janitor.aws.api import Api, UnavailableError, chunks

ACTIONS: dict[str, str] = {"GetResources": "tag:GetResources"}
ARNS_A_CALL = 100


async def read_tags(api: Api, arns: Collection[str]) -> dict[str, dict[str, str]]:
    """The tags of each log group ARN (without the trailing `:*`), 100 a call.

    GetResources leaves out resources that never had tags, so a missing ARN has none. Given a list
    of ARNs, it does not page: a page token means that the answer is incomplete. Raises CallError or
    UnavailableError.
    """
    tags: dict[str, dict[str, str]] = {arn: {} for arn in arns}
    for chunk in chunks(list(arns), ARNS_A_CALL):
        answer = await api.call(
            "resourcegroupstaggingapi",
            "GetResources",
            expect="ResourceTagMappingList",
            ResourceARNList=chunk,
        )
        if answer.get("PaginationToken"):
            raise UnavailableError("GetResources", "the answer to a list of ARNs is incomplete")
        for entry in answer["ResourceTagMappingList"]:
            arn = str(entry["ResourceARN"]).removesuffix(":*")
            tags[arn] = {str(tag["Key"]): str(tag["Value"]) for tag in entry.get("Tags", [])}
    return tags
