"""What the functions of the zip have in common."""

from __future__ import annotations

from janitor.function.invocation import WarmSession


def test_a_warm_function_keeps_the_clients_that_each_run_needs_and_no_others() -> None:
    """Dozens of services are asked for owners in each Region: together they would fill it."""
    aws = WarmSession()

    def kept(service: str) -> bool:
        return aws.client(service, "eu-west-1") is aws.client(service, "eu-west-1")

    assert [kept("logs"), kept("ecs")] == [True, False]
