"""How the mistakes in a policy file are named."""

from __future__ import annotations

import pytest

from janitor.core.errors import PolicyError
from janitor.policy.file import parse


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("[default]\n", ["p.toml", "default", "unknown key", "defaults"]),
        ("[defaults]\nretention_day = 1", ["defaults.retention_day", "retention_days"]),
        ("[defaults]\nretention_days = 31", ["defaults.retention_days", "got 31", "30, 60"]),
        ('[defaults]\nretention_days = "30"', ["retention_days", "integer", "'30'"]),
        ("[defaults]\nretention_days = true", ["retention_days", "True"]),
        ('[defaults]\ndelete_empty = "false"', ["delete_empty", "boolean"]),
        ('[defaults]\nproof = "hope"', ["proof", "'arrivals' or 'events'"]),
        ("[defaults]\ngrace_days = -1", ["grace_days", "-1"]),
        ("[defaults]\nmin_days = 90\nmax_days = 30", ["min_days 90 is more than max_days 30"]),
        ("[limits]\nmax_group_deletion_share = 1.5", ["max_group_deletion_share", "1.5"]),
        ("[limits]\nmax_group_deletion_share = nan", ["max_group_deletion_share"]),
        ("[limits]\napi_share = 0", ["api_share"]),
        ("[quotas]\nDescribeLogGroups = 5", ["quotas: is no longer a key", "limits.api_share"]),
        (
            "[protect]\nlive_owners = true",
            ["line 2: protect.live_owners: is no longer a key", "[protect.deletion] owners"],
        ),
        ("[protect]\nowners = true", ["line 2: protect.owners", "belongs to [protect.deletion]"]),
        ("delete_empty = true", ["line 1: delete_empty", "belongs to [defaults] or [[rules]]"]),
        ('[rules]\nid = "r"', ["line 1: rules: is a list of tables: write [[rules]]"]),
        (
            '[[acknowledged]]\nnames = ["/x"]\nuntil = "2027-06-30"',
            ["line 3: acknowledged.0.until: is a day without quotes or a time: 2027-06-30"],
        ),
        ("[limits]\nfleet = 3", ["line 2: limits.fleet: is a table: write [limits.fleet]"]),
        ('[protect.deletion]\ntags = ["=x"]', ["protect.deletion.tags", '"key=value"']),
        ('[[rules]]\nnames = ["/x"]', ["rules[0]", "id"]),
        ('[[rules]]\nid = "r"\nnames = []', ["rule 'r'", "names"]),
        ('[[rules]]\nid = "r"\nnames = ["re:["]', ["rule 'r'", "regular expression"]),
        ('[protect]\nnames = ["re:(?=x)"]', ["protect.names", "RE2", "(?="]),
        ('[[rules]]\nid = "r"\ntags = ["a=re:(b)\\\\1"]', ["rule 'r'", "tags", "RE2"]),
        ('[protect]\ntags = ["team=re:("]', ["protect.tags", "regular expression", "team=re:("]),
        ('[[rules]]\nid = "r"\nclasses = ["COLD"]', ["rule 'r'", "STANDARD"]),
        ('[[rules]]\nid = "r"\n[[rules]]\nid = "r"', ["'r'", "twice"]),
        ('[[rules]]\nid = "r"\nquiet_days = 456', ["rule 'r'", "quiet_days", "455"]),
        (
            '[protect.deletion]\nowners = false\n[[rules]]\nid = "r"\norphan_days = 30',
            ["rule 'r'", "orphan_days needs owners"],
        ),
        ("nonsense", ["p.toml", "not TOML"]),
    ],
)
def test_a_mistake_is_named_with_key_value_and_accepted_values(text: str, parts: list[str]) -> None:
    """The error contains each part."""
    with pytest.raises(PolicyError) as error:
        parse(text, "p.toml")
    assert all(part in str(error.value) for part in parts), str(error.value)
