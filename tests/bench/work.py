"""The calls that a job needs at least, by operation, and the time they take at the quotas.

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
"""One call of each for a deletion: the last look, what an undo needs, and the deletion itself."""


@dataclass(frozen=True, slots=True)
class Need:
    """A job: the log groups, and how many of them get a retention or are deleted."""

    groups: int
    puts: int
    deletions: int

    @property
    def pages(self) -> int:
        """Pages of DescribeLogGroups in a scan."""
        return -(-self.groups // 50)

    def survey(self) -> dict[str, int]:
        """Return the calls of the survey: before a deletion is planned, the group's streams,
        subscription filters and arrivals are read; tags, which may forbid a change, are read for
        what would be changed, 100 groups a call.
        """
        return {
            "DescribeLogGroups": self.pages,
            "GetResources": -(-(self.puts + self.deletions) // 100),
            "DescribeLogStreams": self.deletions,
            "GetMetricData": -(-self.deletions // 500),
            "DescribeSubscriptionFilters": self.deletions,
        }

    def act(self) -> dict[str, int]:
        """Return the calls of act: groups to change are read again, 50 a call, and their tags one
        by one; groups to delete are looked at just before.
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
        """Return the calls of the whole job."""
        return dict(Counter(self.survey()) + Counter(self.act()))

    def ordered_bound(self) -> float:
        """Return the seconds of the survey at its slowest quota, plus those of act: the limits are
        checked on the whole plan before the first deletion.
        """
        return slowest(self.survey()) + slowest(self.act())

    def minimal_bound(self) -> float:
        """Return the seconds of what every tool does, all at once: scan, read streams, change."""
        return slowest(
            {
                "DescribeLogGroups": self.pages,
                "DescribeLogStreams": self.deletions,
                "PutRetentionPolicy": self.puts,
                "DeleteLogGroup": self.deletions,
            }
        )


def slowest(calls: Mapping[str, int]) -> float:
    """Return the seconds of the slowest of these operations at its quota; all of them overlap."""
    return max((count / QUOTAS[name].rate for name, count in calls.items()), default=0.0)
