"""A sample function that is deployed as a container image."""


def handler(event: object, context: object) -> str:  # noqa: ARG001 - Lambda passes both
    """Return `Hello World`, whatever the event is."""
    return "Hello World"
