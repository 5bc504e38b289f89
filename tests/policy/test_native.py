"""Rules as account-level retention policies: refused if AWS's policy would mean something else."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from pydantic import ValidationError

from janitor.core.clock import DAY_MS
from janitor.core.model import Answer, Evidence, LogGroup, Question, SetRetention, Target
from janitor.core.native import AccountPolicy, Terms
from janitor.policy.file import Policy, parse
from janitor.policy.judge import judge
from janitor.policy.native import Native, native_rules, policy_name
from janitor.sandbox.retention_policies import RetentionPolicy, ruling
from janitor.sandbox.retention_policies import Terms as Put

NOW = 1_800_000_000_000
BARE: dict[str, Any] = {"protect": {"tags": [], "own_groups": []}}
PLAIN = st.lists(st.sampled_from(["/a/*", "/a/b/*", "/a*", "/b/*", "*"]), min_size=1, max_size=2)
ODD = st.lists(st.sampled_from(["/a/b", "/?/x", "re:^/a", "/[ab]/*", "*x", "/b/*"]), min_size=1)
CONDITIONS: list[dict[str, Any]] = [
    {"tags": ["t"]},
    {"classes": ["INFREQUENT_ACCESS"]},
    {"regions": ["us-*"]},
    {"quiet_days": 30},
    {"min_days": 30},
]

EXEMPTIONS: list[dict[str, Any]] = [
    {"names": ["*held*"]},
    {"names": ["/b/kept*"]},
    {"tags": ["keep"]},
    {"own_groups": ["/a/own"]},
]


def mostly(usual: Any, *others: Any) -> st.SearchStrategy[Any]:
    """Draw the usual value two times out of three, else one of the others."""
    return st.sampled_from([*[usual] * 2 * len(others), *others])


@st.composite
def policies(draw: st.DrawFn) -> Policy:
    """Draw a policy of up to four rules, most of them with plain prefixes."""
    days = st.sampled_from([30, 30, 90, 90, 365, 14, None])
    rules = [
        {
            "id": f"r{number}",
            "names": draw(draw(mostly(PLAIN, ODD, st.none()))),
            "retention_days": draw(days),
            **draw(mostly({}, *CONDITIONS)),
        }
        for number in range(draw(st.integers(1, 4)))
    ]
    protect: dict[str, Any] = {"tags": [], "own_groups": []} | draw(mostly({}, *EXEMPTIONS))
    defaults = {"retention_days": draw(days), "max_days": draw(mostly(None, None, None, 365))}
    try:
        return Policy.model_validate({"defaults": defaults, "protect": protect, "rules": rules})
    except ValidationError:
        assume(False)
        raise


GROUPS = [
    LogGroup(
        Target("123456789012", region),
        name,
        "arn",
        NOW - DAY_MS,
        stored_bytes=1,
        log_class=log_class,
        tags=tags,
        answers={Question("arrivals", 30): Answer(quiet, Evidence("", "", NOW))},
    )
    for region in ("eu-west-1", "us-east-1")
    for name in ("/a/x", "/a/b", "/a/b/x", "/b/x", "/ax", "/x", "/a/held", "/b/kept", "/a/own")
    for log_class in ("STANDARD", "INFREQUENT_ACCESS")
    for tags in ({}, {"t": ""}, {"keep": ""})
    for quiet in (True, False)
]
OTHERS = st.lists(
    st.builds(
        Terms,
        days=st.sampled_from([30, 90, 3653, None]),
        prefixes=st.sampled_from([("",), ("/a/",), ("/a/b/",), ("/b/",)]),
        new_only=st.booleans(),
    ),
    max_size=2,
)


def in_force(name: str, terms: Terms) -> RetentionPolicy:
    """Return a policy as AWS stores it, created before the log groups."""
    put = Put(terms.days, terms.prefixes, terms.new_only)
    return RetentionPolicy(name, put, put)


@given(policies(), OTHERS, mostly(False, True))
def test_a_new_log_group_gets_the_retention_of_its_rule(
    policy: Policy, others: list[Terms], ignore_protect: bool
) -> None:
    """By AWS's choice among policies it gets the days that `judge` would set, and no retention from
    others' policies becomes longer.
    """
    foreign = [AccountPolicy.of(f"org-{n}", terms) for n, terms in enumerate(others)]
    results = native_rules(policy, foreign, ignore_protect=ignore_protect)
    own = [one for one in results if isinstance(one, Native)]
    theirs = [in_force(f"org-{n}", terms) for n, terms in enumerate(others)]
    everyones = [*theirs, *(in_force(one.policy.name, one.terms) for one in own)]
    unprotected = Policy.model_validate({**policy.model_dump(), **BARE})
    for group in GROUPS:
        after = ruling(everyones, group.name, group.creation_time)
        before = ruling(theirs, group.name, group.creation_time)
        if before is not None:
            assert after == before
        elif after is not None:
            action = judge(group, unprotected if ignore_protect else policy, NOW)
            assert isinstance(action, SetRetention), action
            assert action.days == after[1]


def rule(id_: str, names: str, days: int, more: str = "") -> str:
    return f'[[rules]]\nid = "{id_}"\nnames = {names}\nretention_days = {days}\n{more}\n'


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        (rule("a", '["/a/*", "/b/*"]', 90), ["90"]),
        (rule("a", '["*"]', 3653), ["3653"]),
        (rule("a", '["/a/*"]', 90, 'tags = ["t"]'), ["tags"]),
        (rule("a", '["/a/*"]', 90, 'classes = ["STANDARD"]'), ["classes"]),
        (rule("a", '["/a/*"]', 90, 'regions = ["*"]'), ["regions"]),
        (rule("a", '["/a/*"]', 90, "quiet_days = 9"), ["quiet_days"]),
        (rule("a", '["/a/*"]', 90, "orphan_days = 9"), ["orphan_days"]),
        (rule("a", '["/a/*"]', 90, "max_days = 90"), ["bounds"]),
        (rule("a", '["/a/*", "/b"]', 90), ["'/b' is not a plain prefix"]),
        (rule("a", '["/a/?/*"]', 90), ["not a plain prefix"]),
        (rule("a", '["re:^/a/*"]', 90), ["not a plain prefix"]),
        (rule("a", '["/a/*"]', 14), ["30 or more"]),
        ('[[rules]]\nid = "a"\nretention_days = 90', ["no names"]),
        ('[[rules]]\nid = "a"\nnames = ["/a/*"]', ["no retention_days"]),
        (rule("b", '["/a/b/*"]', 365) + rule("a", '["/a/*"]', 90), ["365", "90"]),
        (rule("b", '["/a/b/*"]', 30) + rule("a", '["/a/*"]', 90), ["30", "rule 'b' comes first"]),
        (rule("b", '["/a/b"]', 90) + rule("a", '["/a/*"]', 90), ["not a plain", "90"]),
        (rule("b", '["/a/b"]', 365) + rule("a", '["/a/*"]', 90), ["not a plain", "rule 'b'"]),
        (rule("b", '["/b/*"]', 30) + rule("a", '["/a/*"]', 90), ["30", "90"]),
        ('[protect]\nnames = ["*x*"]\n' + rule("a", '["/a/*"]', 90), ["name *x*"]),
        ('[protect]\nnames = ["/b/*"]\n' + rule("a", '["/a/*"]', 90), ["90"]),
        ('[protect]\ntags = ["keep"]\n' + rule("a", '["/a/*"]', 90), ["tag keep"]),
        ('[protect]\nown_groups = ["/a/x"]\n' + rule("a", '["/a/*"]', 90), ["name /a/x"]),
    ],
)
def test_each_rule_becomes_a_policy_or_is_refused(rules: str, expected: list[str]) -> None:
    """Each rule yields its days, or a reason that names what AWS's policies do not support."""
    raw = tomllib.loads(rules)
    protect = {**BARE["protect"], **raw.get("protect", {})}
    policy = Policy.model_validate({**raw, "protect": protect})
    results = native_rules(policy, [], ignore_protect=False)
    texts = [str(one.terms.days) if isinstance(one, Native) else one.reason for one in results]
    assert all(part in text for part, text in zip(expected, texts, strict=True)), texts


def test_no_retention_from_others_policies_becomes_longer() -> None:
    """A policy that is not understood is also a reason to refuse, a longer one is not."""
    policy = parse("[protect]\ntags = []\n" + rule("a", '["/a/*"]', 90), "t")

    def refused(document: str, criteria: str | None) -> bool:
        other = AccountPolicy("o", document, criteria)
        [result] = native_rules(policy, [other], ignore_protect=False)
        return not isinstance(result, Native)

    thirty = '{"retentionInDays": 30, "enforcementMode": "NEW_ONLY"}'
    assert refused(thirty, None)
    assert refused(thirty, 'LogGroupNamePrefix IN ["/a/b"]')
    assert not refused(thirty, 'LogGroupNamePrefix IN ["/b"]')
    assert not refused('{"retentionInDays": "NEVER_EXPIRE", "enforcementMode": "NEW_ONLY"}', None)
    assert refused("{}", 'LogGroupNamePrefix IN ["/b"]')
    assert refused(thirty, 'LogGroupName NOT IN ["/b"]')


def test_there_are_at_most_twenty_policies() -> None:
    """Others' policies count, and the first rules take the places that are left."""
    rules = "".join(rule(f"r{n}", f'["/{n}/*"]', 90) for n in range(20))
    policy = parse("[protect]\ntags = []\n" + rules, "t")
    others = [AccountPolicy.of(f"o{n}", Terms(90, ("/o/",))) for n in range(3)]
    results = native_rules(policy, others, ignore_protect=False)
    assert [isinstance(one, Native) for one in results] == [True] * 17 + [False] * 3


def test_policy_names_are_distinct() -> None:
    """They are short and ASCII whatever the ids of the rules."""
    ids = ["web", "web logs", "web/logs", "ü", "x" * 300, "x" * 301]
    names = [policy_name(one) for one in ids]
    assert names[0] == "cloudwatch-janitor-web"
    assert len(set(names)) == len(ids)
    assert all(len(name) < 100 and name.isascii() for name in names)
