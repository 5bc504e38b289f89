"""What each call is answered with, a module for each service or part of one."""

from janitor.sandbox.answers import (
    account_policies,
    events,
    filters,
    functions,
    identity,
    logs,
    metrics,
    policies,
    service_quotas,
    tagging,
)
from janitor.sandbox.world import Handler

ANSWERS: dict[tuple[str, str], Handler] = {
    **logs.CALLS,
    **events.CALLS,
    **filters.CALLS,
    **policies.CALLS,
    **account_policies.CALLS,
    **metrics.CALLS,
    **tagging.CALLS,
    **functions.CALLS,
    **identity.CALLS,
    **service_quotas.CALLS,
}
"""By service, as requests are signed for it, and operation."""
