"""A CloudWatch Logs on the loopback interface, for tests and benchmarks.

with Cloud(store) as cloud:
    cloud.session().client("logs").describe_log_groups()
    cloud.judge()
"""

from tests.cloud.cloud import Cloud

__all__ = ["Cloud"]
