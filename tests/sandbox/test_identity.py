"""Keys, accounts and Regions."""

from __future__ import annotations

from typing import Any

from botocore.config import Config

from janitor.sandbox import inprocess
from janitor.sandbox.account import Sandbox
from janitor.sandbox.clocks import ManualClock
from janitor.sandbox.organization import ID, Membership, Organization
from janitor.sandbox.store import Store
from janitor.sandbox.world import Key
from tests.sandbox.asking import (
    ACCOUNT,
    ELSEWHERE,
    NOW,
    OTHER,
    REGION,
    add,
    empty_store,
    names,
    refusal,
    still,
)

CALLS = (
    ("logs", "describe_log_groups"),
    ("lambda", "list_functions"),
    ("sts", "get_caller_identity"),
    ("ec2", "describe_regions"),
)


def client_of(sandbox: Sandbox, key: str, service: str, region: str = REGION) -> Any:
    """A client with that access key, known or not."""
    config = Config(retries={"total_max_attempts": 1, "mode": "standard"})
    return inprocess.session(sandbox.handle, key, region).client(service, config=config)


def test_unknown_key_is_refused() -> None:
    """In the words of each protocol."""
    said = [refusal(client_of(still(), "AKIANOBODY", service), call) for service, call in CALLS]
    unknown = "UnrecognizedClientException"
    assert said == [unknown, unknown, "InvalidClientTokenId", "AuthFailure"]


def test_key_expires() -> None:
    """It is taken until then, and then refused in the words of each service."""
    clock = ManualClock()
    sandbox = still(clock=clock)
    sandbox.world.keys["ASIAX"] = Key(ACCOUNT, NOW + 1000)
    clients = [(client_of(sandbox, "ASIAX", service), call) for service, call in CALLS]
    clock.advance(0.999)
    for client, call in clients:
        getattr(client, call)()
    clock.advance(0.001)
    expired = "ExpiredTokenException"
    said = [refusal(client, call) for client, call in clients]
    assert said == [expired, expired, "ExpiredToken", "RequestExpired"]


def test_accounts_and_regions_are_apart() -> None:
    """Each key sees its own account, each Region its own groups."""
    store = Store()
    for account in (ACCOUNT, OTHER):
        for region in (REGION, ELSEWHERE):
            store.add_group(account, region, f"/{account}/{region}", created=NOW)
    sandbox = still(store)
    for account, region in store.regions:
        assert names(sandbox.client("logs", account, region)) == [f"/{account}/{region}"]
        identity = sandbox.client("sts", account).get_caller_identity()
        assert identity["Account"] == account
    sandbox.client("logs", OTHER, REGION).delete_log_group(logGroupName=f"/{OTHER}/{REGION}")
    assert [len(region) for region in store.regions.values()] == [1, 1, 0, 1]


def test_regions_are_listed_as_they_are_enabled() -> None:
    """Those that are not only when all are asked for; a Region that refuses a token, though it is
    listed, and one that is not enabled, are UnrecognizedClientException.
    """
    store = empty_store()
    add(store, "/a")
    store.region(ACCOUNT, "af-south-1").opt_in = "opted-in"
    store.region(ACCOUNT, "me-south-1").opt_in = "not-opted-in"
    store.region(ACCOUNT, ELSEWHERE).refuses_tokens = True
    sandbox = still(store)
    ec2 = sandbox.client("ec2", ACCOUNT, REGION)

    def listed(**how: Any) -> dict[str, str]:
        regions = ec2.describe_regions(**how)["Regions"]
        return {region["RegionName"]: region["OptInStatus"] for region in regions}

    free = "opt-in-not-required"
    enabled = {"af-south-1": "opted-in", REGION: free, ELSEWHERE: free}
    assert listed() == enabled
    assert listed(AllRegions=True) == enabled | {"me-south-1": "not-opted-in"}
    for region, wanted in (
        (REGION, None),
        ("af-south-1", None),
        ("me-south-1", "UnrecognizedClientException"),
        (ELSEWHERE, "UnrecognizedClientException"),
        ("sa-east-1", "UnrecognizedClientException"),
    ):
        logs = sandbox.client("logs", ACCOUNT, region)
        if wanted is None:
            logs.describe_log_groups()
        else:
            assert refusal(logs, "describe_log_groups") == wanted
    assert sandbox.client("sts", ACCOUNT, ELSEWHERE).get_caller_identity()["Account"] == ACCOUNT


def test_role_leads_to_another_account_for_an_hour() -> None:
    """AssumeRole gives keys of the role's account; of an account that there is not, none."""
    clock, store = ManualClock(), empty_store()
    store.region(OTHER, REGION)
    sandbox = still(store, clock=clock)
    sts = sandbox.client("sts", ACCOUNT)
    role = {"RoleArn": f"arn:aws:iam::{OTHER}:role/reader", "RoleSessionName": "test"}
    keys = sts.assume_role(**role)["Credentials"]
    there = client_of(sandbox, keys["AccessKeyId"], "sts")
    assert there.get_caller_identity()["Account"] == OTHER
    assert keys["Expiration"].timestamp() == NOW / 1000 + 3600
    clock.advance(3600)
    assert refusal(there, "get_caller_identity") == "ExpiredToken"
    nobody = role | {"RoleArn": "arn:aws:iam::999999999999:role/x"}
    assert refusal(sts, "assume_role", **nobody) == "AccessDenied"


TRUST: dict[str, Any] = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"},
            "Action": "sts:AssumeRole",
            "Condition": {
                "StringEquals": {"sts:ExternalId": "right", "aws:PrincipalOrgID": ID},
                "ArnEquals": {"aws:PrincipalArn": f"arn:aws:iam::{ACCOUNT}:role/hub/*"},
            },
        }
    ],
}
HUB, MEMBER = f"arn:aws:iam::{ACCOUNT}:role/hub/janitor", f"arn:aws:iam::{OTHER}:role/member"
OPEN = {"Statement": [{key: v for key, v in TRUST["Statement"][0].items() if key != "Condition"}]}


def test_role_lets_in_whom_its_trust_policy_says() -> None:
    """All conditions must hold; who is refused does not learn why, nor whether there is a role. An
    external ID that no policy asks for does no harm.
    """
    store = empty_store()
    store.region(OTHER, REGION)
    store.roles = {HUB: OPEN, MEMBER: TRUST}
    store.organization = Organization(ACCOUNT, members={ACCOUNT: Membership("hub")})
    sandbox = still(store)
    user, stranger = (sandbox.client("sts", account) for account in (ACCOUNT, OTHER))

    def keys(sts: Any, role: str, **more: str) -> str:
        answer = sts.assume_role(RoleArn=role, RoleSessionName="test", **more)
        return str(answer["Credentials"]["AccessKeyId"])

    hub = client_of(sandbox, keys(user, HUB, ExternalId="whatever"), "sts")
    member = client_of(sandbox, keys(hub, MEMBER, ExternalId="right"), "sts")
    name = f"arn:aws:sts::{OTHER}:assumed-role/member/test"
    assert member.get_caller_identity()["Arn"] == name
    for sts, role, more in (
        (hub, MEMBER, {"ExternalId": "wrong"}),
        (hub, MEMBER, {}),
        (user, MEMBER, {"ExternalId": "right"}),
        (stranger, HUB, {}),
        (hub, MEMBER + "2", {"ExternalId": "right"}),
    ):
        asked = {"RoleArn": role, "RoleSessionName": "test", **more}
        assert refusal(sts, "assume_role", **asked) == "AccessDenied", (role, more)
    store.organization = None
    asked = {"RoleArn": MEMBER, "RoleSessionName": "test", "ExternalId": "right"}
    assert refusal(hub, "assume_role", **asked) == "AccessDenied", "its account has left"
