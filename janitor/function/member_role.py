"""The role of a fleet's member accounts, as a CloudFormation template.

One template serves every account: CloudFormation fills in the id of the account.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from janitor.aws.targets import (
    ACCOUNT,
    ROLE_ARN,
    check_external_id,
    check_role_name,
    check_value,
)

ROLE = "janitor-member"
"""The default name of the role."""
HERE = "${AWS::AccountId}"
"""Stands for the role's own account in a policy document."""

_ORGANIZATION = r"o-[a-z0-9]{10,32}"


def member_template(
    document: Mapping[str, Any],
    *,
    trust: str,
    external_id: str,
    organization: str | None = None,
    role: str = ROLE,
    partition: str = "aws",
) -> dict[str, Any]:
    """Return the template of the role `role` (with its path, if any) with the policy `document`, in
    which `HERE` stands for the account.

    `trust` is an account of the `partition`, or the ARN of the one role that may assume this role;
    in both cases only with the external ID, and only while that account belongs to `organization`,
    if given. The ARN is a condition: as the principal it would have to exist already, and would no
    longer match once the role is created anew (IAM User Guide, "Principal").

    Raises UsageError, which names the command's options, for values that AWS would refuse.
    """
    check_external_id(external_id, "--external-id")
    check_role_name(role, "--org-role")
    what = "an account (12 digits) or the ARN of a role"
    check_value("--trust", trust, what, ACCOUNT, ROLE_ARN)
    path, _, name = f"/{role}".rpartition("/")
    conditions: dict[str, dict[str, str]] = {"StringEquals": {"sts:ExternalId": external_id}}
    if organization is not None:
        what = "the id of an organization (such as o-exampleorgid)"
        check_value("--org-id", organization, what, _ORGANIZATION)
        conditions["StringEquals"]["aws:PrincipalOrgID"] = organization
    if ROLE_ARN.fullmatch(trust):
        conditions["ArnEquals"] = {"aws:PrincipalArn": trust}
        _, partition, _, _, trust, _ = trust.split(":", 5)
    return {
        "AWSTemplateFormatVersion": "2010-09-09",
        "Description": "The role that cloudwatch-janitor assumes in this account.",
        "Resources": {
            "Role": {
                "Type": "AWS::IAM::Role",
                "Properties": {
                    "RoleName": name,
                    "Path": f"{path}/",
                    "Description": "Assumed by cloudwatch-janitor.",
                    "AssumeRolePolicyDocument": {
                        "Version": "2012-10-17",
                        "Statement": [
                            {
                                "Effect": "Allow",
                                "Principal": {"AWS": f"arn:{partition}:iam::{trust}:root"},
                                "Action": "sts:AssumeRole",
                                "Condition": conditions,
                            }
                        ],
                    },
                    "Policies": [
                        {"PolicyName": "cloudwatch-janitor", "PolicyDocument": _filled(document)}
                    ],
                },
            }
        },
        "Outputs": {"Role": {"Value": {"Fn::GetAtt": ["Role", "Arn"]}}},
    }


def _filled(value: Any) -> Any:
    """Return the value with Fn::Sub around every string that contains `HERE`."""
    match value:
        case str() if HERE in value:
            return {"Fn::Sub": value}
        case list():
            return [_filled(one) for one in value]
        case Mapping():
            return {key: _filled(one) for key, one in value.items()}
    return value
