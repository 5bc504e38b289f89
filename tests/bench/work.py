"""What the job needs at least: calls per operation, and the time that the quotas allow for them.

This is computed from the scenario alone; nothing here knows how any tool works.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from janitor.sandbox.quotas import QUOTAS

DELETED = (
    "DescribeSubscriptionFilters",
    "ListTagsForResource",
    "DescribeIndexPolicies",
    "GetTransformer",
    "DescribeResourcePolicies",
    "DescribeLogStreams",
    "DescribeLogGroups",
    "DeleteLogGroup",
)
"""One call of each for a deletion: the last look, what it takes to make the group again, and it."""


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

    def survey(self) -> dict[str, int]:
        """The calls by which it is found out what is to be done: before a deletion is planned its
        streams are read, what subscribes to it, and whether anything arrived in it. Tags may forbid
        a change: they are read 100 groups a call for what would be changed.
        """
        return {
            "DescribeLogGroups": self.pages,
            "GetResources": -(-(self.puts + self.deletions) // 100),
            "DescribeLogStreams": self.deletions,
            "GetMetricData": -(-self.deletions // 500),
            "DescribeSubscriptionFilters": self.deletions,
        }

    def act(self) -> dict[str, int]:
        """The calls by which it is done: what is to be changed is read again, 50 groups a call, and
        the tags of each by itself; what is to be deleted is looked at right before.
        """
        changed = self.puts + self.deletions
        again = {
            "DescribeLogGroups": -(-changed // 50),
            "ListTagsForResource": self.puts,
            "GetMetricData": -(-self.deletions // 500),
            "PutRetentionPolicy": self.puts,
        }
        return dict(Counter(again) + Counter(dict.fromkeys(DELETED, self.deletions)))

    def calls(self) -> dict[str, int]:
        """The calls that the work needs."""
        return dict(Counter(self.survey()) + Counter(self.act()))

    def ordered_bound(self) -> float:
        """Seconds that the slowest quota of the survey asks for, then that of acting: the limits
        hold for the whole run, and are checked on the whole plan before its first deletion.
        """
        return slowest(self.survey()) + slowest(self.act())

    def minimal_bound(self) -> float:
        """The same for what every tool does: scan, read streams, change, all of it at once."""
        return slowest(
            {
                "DescribeLogGroups": self.pages,
                "DescribeLogStreams": self.deletions,
                "PutRetentionPolicy": self.puts,
                "DeleteLogGroup": self.deletions,
            }
        )


def slowest(calls: Mapping[str, int]) -> float:
    """Seconds that the slowest of these operations takes at its quota, all of them overlapping."""
    return max((count / QUOTAS[name].rate for name, count in calls.items()), default=0.0)
