"""What a warm function keeps."""

from __future__ import annotations

from janitor.function.warm import WarmSession


def test_a_warm_function_caches_only_the_clients_that_each_run_needs() -> None:
    """Those of the dozens of services that are only read for owners would fill its memory."""
    aws = WarmSession()

    def cached(service: str) -> bool:
        return aws.client(service, "eu-west-1") is aws.client(service, "eu-west-1")

    assert [cached("logs"), cached("ecs")] == [True, False]
