"""Access keys, accounts, Regions, roles and organizations."""

from __future__ import annotations

from typing import Any

from botocore.config import Config

from janitor.sandbox import inprocess
from janitor.sandbox.organization import ID, ROOT, Membership, Organization
from janitor.sandbox.world import Key
from tests.sandbox.asking import (
    ACCOUNT,
    ELSEWHERE,
    NOW,
    OTHER,
    REGION,
    Still,
    ask,
    empty_store,
    paged,
)

CALLS = (
    ("logs", "describe_log_groups"),
    ("lambda", "list_functions"),
    ("sts", "get_caller_identity"),
    ("ec2", "describe_regions"),
)
NAMES = "logGroups[].logGroupName"
REFUSED = "UnrecognizedClientException"


def client_of(sandbox: Still, key: str, service: str) -> Any:
    """A client with this access key, known or not."""
    config = Config(retries={"total_max_attempts": 1, "mode": "standard"})
    return inprocess.session(sandbox.handle, key, REGION).client(service, config=config)


def test_unknown_and_expired_keys_are_refused() -> None:
    """With each service's own codes."""
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
        codes = [ask(client_of(account, key, service), call) for service, call in CALLS]
        assert codes == wanted


def test_regions_are_listed_as_they_are_enabled() -> None:
    """Disabled Regions are listed only by AllRegions and refuse calls, as may an enabled one."""
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


# ---- roles ---------------------------------------------------------------------------------------


def test_role_leads_to_another_account_for_an_hour() -> None:
    """AssumeRole returns keys of the role's account, if the account exists."""
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


def test_role_admits_whom_its_trust_policy_says() -> None:
    """All conditions must hold, and a refusal does not say why. An external ID that no policy asks
    for does no harm.
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
    assert key(hub, MEMBER, "wrong") == key(hub, MEMBER) == denied
    assert key(user, MEMBER, "right") == key(stranger, HUB) == denied
    assert key(hub, MEMBER + "2", "right") == denied
    store.organization = None
    assert key(hub, MEMBER, "right") == denied, "its account has left"


# ---- organizations -------------------------------------------------------------------------------


def test_only_managers_read_an_organization_in_pages_of_twenty() -> None:
    """The management account and delegated administrators may read it; `tests/aws` asserts the rest
    on moto and here.
    """
    store = empty_store()
    store.region(OTHER, REGION)
    members = {f"{number:012}": Membership(f"a{number}") for number in range(43)}
    members |= {ACCOUNT: Membership("management"), OTHER: Membership("other", state="CLOSED")}
    store.organization = Organization(ACCOUNT, members=members)
    manager, other = (Still(store=store).client("organizations", of) for of in (ACCOUNT, OTHER))
    listed = "list_accounts_for_parent"
    pages = [page["Accounts"] for page in paged(manager, listed, ParentId=ROOT)]
    assert [len(page) for page in pages] == [20, 20, 5]
    assert {"Id": OTHER, "State": "CLOSED", "Status": "SUSPENDED"}.items() <= pages[2][-1].items()
    assert ask(other, "list_roots") == "AccessDeniedException"
    store.organization.administrators = frozenset({OTHER})
    assert ask(other, "list_roots", "Roots[].Id") == [ROOT]
