"""The role of a fleet's member accounts."""

from __future__ import annotations

import json
from typing import Any

import boto3
import pytest
from moto import mock_aws

from janitor.function.iam import iam_policy
from janitor.policy.file import load
from tests.conftest import Run

FLEET, MEMBER, ORGANIZATION = "111122223333", "444455556666", "o-exampleorgid"
FUNCTION = f"arn:aws:iam::{FLEET}:role/fleet/janitor-fleet"
WORDS = ("iam-policy", "--format", "cloudformation", "--external-id", "a-b:c/d")
PLAIN = ("--trust", FLEET)
TRUSTED = (*WORDS, "--trust", FUNCTION, "--org-id", ORGANIZATION)


def evaluated(template: Any) -> Any:
    """A template with Fn::Sub evaluated, as CloudFormation does in the member account."""
    match template:
        case {"Fn::Sub": str(text)}:
            return text.replace("${AWS::AccountId}", MEMBER)
        case dict():
            return {key: evaluated(value) for key, value in template.items()}
        case list():
            return [evaluated(value) for value in template]
    return template


def role(run: Run, *words: str) -> dict[str, Any]:
    """The role's properties in the template that the command prints."""
    done = run(*words)
    assert done.code == 0, done.err
    properties: dict[str, Any] = evaluated(json.loads(done.out)["Resources"]["Role"]["Properties"])
    return properties


def test_only_the_fleet_may_assume_the_role_with_the_external_id_and_from_the_organization(
    run: Run,
) -> None:
    """One statement has all three conditions, and IAM accepts the role."""
    properties = role(run, *TRUSTED, "--org-role", "ops/janitor")
    assert (properties["Path"], properties["RoleName"]) == ("/ops/", "janitor")
    (statement,) = properties["AssumeRolePolicyDocument"]["Statement"]
    assert statement["Principal"] == {"AWS": f"arn:aws:iam::{FLEET}:root"}
    assert statement["Condition"] == {
        "StringEquals": {"sts:ExternalId": "a-b:c/d", "aws:PrincipalOrgID": ORGANIZATION},
        "ArnEquals": {"aws:PrincipalArn": FUNCTION},
    }
    with mock_aws():
        iam = boto3.client("iam", region_name="eu-west-1")
        trust = json.dumps(properties["AssumeRolePolicyDocument"])
        iam.create_role(RoleName="janitor", Path="/ops/", AssumeRolePolicyDocument=trust)
        for policy in properties["Policies"]:
            document = json.dumps(policy["PolicyDocument"], separators=(",", ":"))
            assert len(document) <= 10_240, "IAM's limit for all inline policies of a role"
            iam.put_role_policy(
                RoleName="janitor", PolicyName=policy["PolicyName"], PolicyDocument=document
            )


@pytest.mark.parametrize("words", [(), ("--restore",), ("--native", "-r", "eu-west-1")])
def test_the_role_may_do_what_the_printed_policy_says_in_its_own_account(
    run: Run, words: tuple[str, ...]
) -> None:
    """No more, with each of the command's policies."""
    printed = run("iam-policy", *words).out.replace(":*:log-group", f":{MEMBER}:log-group")
    printed = printed.replace("iam::*:", f"iam::{MEMBER}:")
    (policy,) = role(run, *TRUSTED, *words)["Policies"]
    assert policy["PolicyDocument"] == json.loads(printed)
    if not words:
        assert policy["PolicyDocument"] == iam_policy(load(None), account=MEMBER)


def test_without_an_organization_there_is_a_warning(run: Run) -> None:
    """A whole account may be trusted; the external ID is still required."""
    done = run(*WORDS, *PLAIN)
    assert "left the organization" in done.err
    (statement,) = role(run, *WORDS, *PLAIN)["AssumeRolePolicyDocument"]["Statement"]
    assert statement["Condition"] == {"StringEquals": {"sts:ExternalId": "a-b:c/d"}}
    for words in (("--trust", FUNCTION.replace("aws", "aws-cn")), ("-r", "cn-north-1", *PLAIN)):
        (statement,) = role(run, *WORDS, *words)["AssumeRolePolicyDocument"]["Statement"]
        assert statement["Principal"] == {"AWS": f"arn:aws-cn:iam::{FLEET}:root"}


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (WORDS, "--trust"),
        ((*WORDS[:3], "--trust", FLEET), "--external-id"),
        ((*WORDS[:3], "--trust", FLEET, "--external-id", "a b"), "--external-id"),
        ((*WORDS, "--trust", f"arn:aws:iam::{FLEET}:root"), "--trust"),
        ((*WORDS, "--trust", "*"), "--trust"),
        ((*WORDS, "--trust", FLEET, "--org-id", "example"), "--org-id"),
        ((*WORDS, "--trust", FLEET, "--org-role", "a/b/"), "--org-role"),
        (("iam-policy", "--trust", FLEET), "--format cloudformation"),
    ],
)
def test_a_wrong_trust_is_refused(run: Run, words: tuple[str, ...], named: str) -> None:
    """Exit 2 and a line that names the option; nothing that could be deployed is printed."""
    done = run(*words)
    assert (done.code, done.out) == (2, "")
    assert named in done.err
