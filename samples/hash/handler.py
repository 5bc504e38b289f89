"""A sample function that is deployed as a zip file."""

from base64 import urlsafe_b64encode
from hashlib import sha256


def handler(event: object, context: object) -> str:  # noqa: ARG001 - Lambda passes both
    """Return the URL-safe Base64 of the SHA-256 of the event, a JSON string, in UTF-8.

    Raises:
        TypeError: The event is not a string.
        ValueError: It holds half a surrogate pair, which UTF-8 cannot encode.
    """
    if not isinstance(event, str):
        raise TypeError(f"expected a JSON string, got {type(event).__name__}")
    try:
        data = event.encode()
    except UnicodeEncodeError as error:
        half = f"\\u{ord(event[error.start]):04x} at position {error.start}"
        raise ValueError(f"expected a string of whole characters, got {half}") from None
    print(f"input: {event}")  # noqa: T201 - Lambda logs what a function prints
    return urlsafe_b64encode(sha256(data).digest()).decode()
