"""Keys, accounts, Regions and roles."""

from __future__ import annotations

from typing import Any

from botocore.config import Config

from janitor.sandbox import inprocess
from janitor.sandbox.organization import ID, Membership, Organization
from janitor.sandbox.store import Store
from janitor.sandbox.world import Key
from tests.sandbox.asking import ACCOUNT, ELSEWHERE, NOW, OTHER, REGION, Still, ask, empty_store

CALLS = (
    ("logs", "describe_log_groups"),
    ("lambda", "list_functions"),
    ("sts", "get_caller_identity"),
    ("ec2", "describe_regions"),
)
NAMES = "logGroups[].logGroupName"
REFUSED = "UnrecognizedClientException"


def client_of(sandbox: Still, key: str, service: str) -> Any:
    """A client with that access key, known or not."""
    config = Config(retries={"total_max_attempts": 1, "mode": "standard"})
    return inprocess.session(sandbox.handle, key, REGION).client(service, config=config)


def test_a_key_is_taken_until_it_expires() -> None:
    """And refused in the words of each service, as is one that nobody knows."""
    account = Still()
    account.world.keys["ASIAX"] = Key(ACCOUNT, NOW + 1000)
    account.time.advance(0.999)
    for service, call in CALLS:
        assert "ResponseMetadata" in ask(client_of(account, "ASIAX", service), call)
    account.time.advance(0.001)
    for key, wanted in (
        ("ASIAX", ["ExpiredTokenException"] * 2 + ["ExpiredToken", "RequestExpired"]),
        ("AKIANOBODY", [REFUSED] * 2 + ["InvalidClientTokenId", "AuthFailure"]),
    ):
        said = [ask(client_of(account, key, service), call) for service, call in CALLS]
        assert said == wanted


def test_accounts_and_regions_are_apart() -> None:
    """Each key sees its own account, each Region its own groups."""
    store = Store()
    for account in (ACCOUNT, OTHER):
        for region in (REGION, ELSEWHERE):
            store.add_group(account, region, f"/{account}/{region}", created=NOW)
    sandbox = Still(store=store)
    for account, region in store.regions:
        logs, sts = (sandbox.client(service, account, region) for service in ("logs", "sts"))
        assert ask(logs, "describe_log_groups", NAMES) == [f"/{account}/{region}"]
        assert ask(sts, "get_caller_identity", "Account") == account
    sandbox.client("logs", OTHER, REGION).delete_log_group(logGroupName=f"/{OTHER}/{REGION}")
    assert [len(region) for region in store.regions.values()] == [1, 1, 0, 1]


def test_regions_are_listed_as_they_are_enabled() -> None:
    """Those that are not only when all are asked for; a Region that refuses a token, though it is
    listed, and one that is not enabled, are UnrecognizedClientException.
    """
    account = Still("/a")
    for name, opt_in in (("af-south-1", "opted-in"), ("me-south-1", "not-opted-in")):
        account.store.region(ACCOUNT, name).opt_in = opt_in
    account.store.region(ACCOUNT, ELSEWHERE).refuses_tokens = True
    free, query = "opt-in-not-required", "Regions[].[RegionName, OptInStatus]"
    enabled = {"af-south-1": "opted-in", REGION: free, ELSEWHERE: free}
    assert dict(account.ask("ec2.describe_regions", query)) == enabled
    every = dict(account.ask("ec2.describe_regions", query, AllRegions=True))
    assert every == enabled | {"me-south-1": "not-opted-in"}
    for region, wanted in (
        (REGION, ["/a"]),
        ("af-south-1", []),
        ("me-south-1", REFUSED),
        (ELSEWHERE, REFUSED),
        ("sa-east-1", REFUSED),
    ):
        logs = account.client("logs", ACCOUNT, region)
        assert ask(logs, "describe_log_groups", NAMES) == wanted
    sts = account.client("sts", ACCOUNT, ELSEWHERE)
    assert ask(sts, "get_caller_identity", "Account") == ACCOUNT


def test_role_leads_to_another_account_for_an_hour() -> None:
    """AssumeRole gives keys of the role's account; of an account that there is not, none."""
    account, session = Still(), {"RoleSessionName": "test"}
    account.store.region(OTHER, REGION)
    role = {"RoleArn": f"arn:aws:iam::{OTHER}:role/reader"}
    keys = account.ask("sts.assume_role", "Credentials", **role, **session)
    there = client_of(account, keys["AccessKeyId"], "sts")
    assert ask(there, "get_caller_identity", "Account") == OTHER
    assert keys["Expiration"].timestamp() == NOW / 1000 + 3600
    account.time.advance(3600)
    assert ask(there, "get_caller_identity") == "ExpiredToken"
    nobody = {"RoleArn": "arn:aws:iam::999999999999:role/x"}
    assert account.ask("sts.assume_role", **nobody, **session) == "AccessDenied"


ANYBODY = {
    "Effect": "Allow",
    "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"},
    "Action": "sts:AssumeRole",
}
CONDITION = {
    "StringEquals": {"sts:ExternalId": "right", "aws:PrincipalOrgID": ID},
    "ArnEquals": {"aws:PrincipalArn": f"arn:aws:iam::{ACCOUNT}:role/hub/*"},
}
HUB, MEMBER = f"arn:aws:iam::{ACCOUNT}:role/hub/janitor", f"arn:aws:iam::{OTHER}:role/member"


def test_role_lets_in_whom_its_trust_policy_says() -> None:
    """All conditions must hold; who is refused does not learn why, nor whether there is a role. An
    external ID that no policy asks for does no harm.
    """
    store = empty_store()
    store.region(OTHER, REGION)
    store.roles[HUB] = {"Statement": [ANYBODY]}
    store.roles[MEMBER] = {"Statement": [ANYBODY | {"Condition": CONDITION}]}
    store.organization = Organization(ACCOUNT, members={ACCOUNT: Membership("hub")})
    sandbox, denied = Still(store=store), "AccessDenied"
    user, stranger = (sandbox.client("sts", account) for account in (ACCOUNT, OTHER))

    def key(sts: Any, role: str, external: str | None = None) -> Any:
        given = {} if external is None else {"ExternalId": external}
        asked = {"RoleArn": role, "RoleSessionName": "test", **given}
        return ask(sts, "assume_role", "Credentials.AccessKeyId", **asked)

    hub = client_of(sandbox, key(user, HUB, "whatever"), "sts")
    member = client_of(sandbox, key(hub, MEMBER, "right"), "sts")
    for sts, account, name in ((hub, ACCOUNT, "janitor"), (member, OTHER, "member")):
        arn = f"arn:aws:sts::{account}:assumed-role/{name}/test"
        assert ask(sts, "get_caller_identity", "Arn") == arn
    assert key(hub, MEMBER, "wrong") == denied
    assert key(hub, MEMBER) == denied
    assert key(user, MEMBER, "right") == denied
    assert key(stranger, HUB) == denied
    assert key(hub, MEMBER + "2", "right") == denied
    store.organization = None
    assert key(hub, MEMBER, "right") == denied, "its account has left"
