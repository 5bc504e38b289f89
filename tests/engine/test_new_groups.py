"""New log groups, as a property of any account, policy and names."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from janitor.core.clock import DAY_MS
from janitor.engine.new_groups import NEW_DAYS, give_retention
from janitor.policy.file import Policy
from janitor.policy.patterns import matches
from tests.accounts import NOW, Cloud, Group, api, changing
from tests.engine.test_properties import accounts, journal, policies, relaxed


def days_for(group: Group, policy: Policy) -> int | None:
    """Return the retention that a log group should get, computed independently."""
    if group.retention or group.under or group.odd or group.log_class == "DELIVERY":
        return None
    if any(matches(pattern, group.name) for pattern in policy.protect.names):
        return None
    given_tags = {f"{key}={value}" for key, value in group.tags.items()}
    if given_tags & {*policy.protect.tags} or group.tags.keys() & {*policy.protect.tags}:
        return None
    tagged = [r for r in policy.rules if r.tags and given_tags & {*r.tags} and r.retention_days]
    days = tagged[0].retention_days if tagged else policy.defaults.retention_days
    age = NOW - group.created
    young = age <= NEW_DAYS * DAY_MS and age < (days or 0) * DAY_MS
    return days if young else None


@settings(relaxed, max_examples=25)
@given(accounts, policies, st.data())
def test_new_groups_get_the_policys_retention_and_nothing_else_changes(
    groups: list[Group], policy: Policy, data: st.DataObject
) -> None:
    """Old log groups, those with a retention and missing ones are left alone."""
    names = data.draw(
        st.lists(st.sampled_from([*(group.name for group in groups), "/none"]), unique=True)
    )
    expected = {group.name: days_for(group, policy) for group in groups if group.name in names}
    cloud = Cloud(groups)
    with journal() as made:
        for _ in range(2):  # a message comes twice
            born = cloud.clock.run(give_retention(api(cloud), names, policy, made))
            odd = {group.name for group in groups if group.odd and group.name in names}
            assert born.failures.keys() <= odd
    assert dict(cloud.puts) == {name: days for name, days in expected.items() if days}
    assert len(cloud.puts) == len(dict(cloud.puts))
    assert changing(cloud.calls) <= {"PutRetentionPolicy"}
