"""What the job needs at least: calls per operation, and the time that the quotas allow for them.

This is computed from the scenario alone; nothing here knows how any tool works.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from janitor.sandbox.quotas import QUOTAS

SUBSCRIPTIONS = "DescribeSubscriptionFilters"
DEFINITION = ("GetDataProtectionPolicy", "DescribeIndexPolicies", "GetTransformer")
"""What is read before a deletion, so that the group can be made again."""
OURS = {SUBSCRIPTIONS, *DEFINITION}
"""Once a deletion each: what other tools do without."""
A_LOOK = (
    *DEFINITION,
    "DescribeLogGroups",
    "DescribeLogStreams",
    SUBSCRIPTIONS,
    "DeleteLogGroup",
)
"""One call of each for a deletion that is looked at right before, the deletion included."""


@dataclass(frozen=True, slots=True)
class Need:
    """A job: so many log groups, of which so many get a retention or are deleted."""

    groups: int
    puts: int
    deletions: int

    @property
    def pages(self) -> int:
        """Pages of DescribeLogGroups in a scan."""
        return -(-self.groups // 50)

    def calls(self) -> dict[str, int]:
        """The calls that the work needs.

        A candidate's streams are read twice, to prove it and in the last look. Tags may forbid a
        change: they are read 100 groups a call for what would be changed, and again in the last
        look, which may be a second old, so once for each second of deletions.
        """
        a_second = QUOTAS[SUBSCRIPTIONS].rate
        return {
            "DescribeLogGroups": self.pages + self.deletions,
            "PutRetentionPolicy": self.puts,
            "DescribeLogStreams": 2 * self.deletions,
            **dict.fromkeys(OURS, self.deletions),
            "DeleteLogGroup": self.deletions,
            "GetMetricData": -(-self.deletions // 500),
            "GetResources": -(-(self.puts + self.deletions) // 100)
            + round(self.deletions / a_second),
        }

    def minimal_bound(self) -> float:
        """Seconds that the slowest quota asks for, without the calls of `OURS`."""
        calls = {name: count for name, count in self.calls().items() if name not in OURS}
        return slowest(calls)

    def safe_bound(self) -> float:
        """The same with the calls of `OURS`, once for each deletion."""
        return slowest(self.calls())

    def ordered_bound(self) -> float:
        """The same where no deletion, and so no last look, may begin before the scan's end:
        the limits hold for the whole run, and are checked before its first deletion.
        """
        scan = self.pages / QUOTAS["DescribeLogGroups"].rate
        return max(scan + slowest(dict.fromkeys(A_LOOK, self.deletions)), self.safe_bound())


def slowest(calls: Mapping[str, int]) -> float:
    """Seconds that the slowest of these operations takes at its quota, all of them overlapping."""
    return max((count / QUOTAS[name].rate for name, count in calls.items()), default=0.0)
