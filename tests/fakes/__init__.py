"""The fake account (`janitor.sandbox`) on trial: faults, other actors, and a judge of the truth.

account = Builder()
account.group("123456789012", "eu-west-1", "/app", created=…)
with Cloud(account) as cloud:
    cloud.client("logs").describe_log_groups()
    cloud.judge()
"""

from tests.fakes.builder import Builder
from tests.fakes.cloud import Cloud

__all__ = ["Builder", "Cloud"]
