"""The answer to each call, in a module for each service or part of one.

Public functions of a module are named after the operations that they carry out.
"""

from __future__ import annotations

import inspect

from janitor.sandbox.answers import (
    account_policies,
    empty,
    events,
    filters,
    identity,
    logs,
    metrics,
    organizations,
    policies,
    s3,
    tagging,
)
from janitor.sandbox.answers.others import OTHERS
from janitor.sandbox.wire import Call
from janitor.sandbox.world import Handler, unheeded

_MODULES = {
    "logs": (logs, events, filters, policies, account_policies),
    "monitoring": (metrics,),
    "tagging": (tagging,),
    "sts": (identity,),
    "organizations": (organizations,),
    "s3": (s3,),
}
ANSWERS: dict[tuple[str, str], Handler] = OTHERS | {
    (service, "".join(map(str.capitalize, name.split("_")))): function
    for service, modules in _MODULES.items()
    for module in modules
    for name, function in inspect.getmembers(module, inspect.isfunction)
    if function.__module__ == module.__name__ and not name.startswith("_")
}
"""By service, as requests are signed for it, and operation."""
_HELD = {service for service, _ in ANSWERS} - {"ec2", "iam", "organizations"}
"""Services whose resources exist here. Of EC2 only the Regions do, of IAM only the alias, and most
accounts are in no organization.
"""
_NONE_HERE = {
    *("DescribeAlarms", "DescribeInsightRules", "ListCapacityProviders", "ListMicrovmImages"),
    *("ListWebFunctions", "DescribeDeliveryDestinations", "DescribeExportTasks"),
    *("DescribeImportTasks", "ListLogAnomalyDetectors", "ListScheduledQueries"),
    *("DescribeMaintenanceWindows", "ListDocuments"),
}
"""Operations of those services that list resources which do not exist here."""


def answer_to(call: Call) -> Handler:
    """The handler of a call. Raises RefusedError if the sandbox does not support it."""
    known = ANSWERS.get((call.service, call.operation))
    if known is None and call.service in _HELD and call.operation not in _NONE_HERE:
        raise unheeded(call.operation)
    return known or empty.answer
