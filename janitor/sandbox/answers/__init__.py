"""What each call is answered with, a module for each service or part of one."""

from janitor.sandbox.answers import (
    account_policies,
    empty,
    events,
    filters,
    functions,
    identity,
    logs,
    metrics,
    policies,
    s3,
    service_quotas,
    sns,
    ssm,
    tagging,
)
from janitor.sandbox.wire import Call, RefusedError
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
    **s3.CALLS,
    **sns.CALLS,
    **ssm.CALLS,
}
"""By service, as requests are signed for it, and operation."""
_HELD = frozenset(service for service, _ in ANSWERS) - {"ec2"}
"""Services whose resources are here. Of EC2's, only the Regions are."""


def answer_to(call: Call) -> Handler:
    """What carries the call out. Raises RefusedError for what is not known here."""
    known = ANSWERS.get((call.service, call.operation))
    if known is None and call.service in _HELD:
        said = f"The sandbox does not know {call.operation}"
        raise RefusedError("UnknownOperationException", said)
    return known or empty.answer
