"""Whether a role's trust policy lets somebody assume it."""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Any


def trusts(policy: Mapping[str, Any], account: str, context: Mapping[str, str]) -> bool:
    """Whether the policy lets a caller of `account` assume its role. `context` has the values of
    condition keys; a key that is not there matches nothing (IAM User Guide, "Condition operators").

    Raises LookupError on an effect, a principal or an operator that is not known here.
    """
    return any(
        _EFFECTS[one["Effect"]]
        and one["Action"] == "sts:AssumeRole"
        and one["Principal"]["AWS"].split(":")[4] == account
        and all(
            key in context and _OPERATORS[operator](wanted, context[key])
            for operator, keys in one.get("Condition", {}).items()
            for key, wanted in keys.items()
        )
        for one in policy["Statement"]
    )


def _arn_equals(wanted: str, arn: str) -> bool:
    """Part by part, with wildcards in each (as above, "ARN condition operators")."""
    parts, patterns = arn.split(":", 5), wanted.split(":", 5)
    return len(parts) == len(patterns) and all(map(fnmatchcase, parts, patterns))


_EFFECTS = {"Allow": True}
_OPERATORS = {"StringEquals": str.__eq__, "ArnEquals": _arn_equals}
