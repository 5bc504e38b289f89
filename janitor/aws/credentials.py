"""Credentials: what is said when they cannot be had, and how often that is tried.

botocore asks for those that expire anew before a call, on whatever thread makes it, and again
before the next where that failed: a `credential_process` would be started a hundred times.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import botocore.session
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConfigNotFound,
    ConnectionError,
    CredentialRetrievalError,
    HTTPClientError,
    InvalidConfigError,
    LoginError,
    MetadataRetrievalError,
    NoAuthTokenError,
    NoCredentialsError,
    PartialCredentialsError,
    RefreshWithMFAUnsupportedError,
    SSOError,
    TokenRetrievalError,
    UnknownCredentialError,
)

from janitor.core.errors import CredentialsError

HINT = "try `janitor report --sandbox` for a look without an account"
NOWHERE = f"no AWS credentials found: set AWS_PROFILE, or run `aws configure`; {HINT}"
ATTEMPTS = 3
BETWEEN = 1.0
"""Seconds between two attempts."""
RESTS = 30.0
"""Seconds for which what has failed is not tried again. Until the old ones expire they are used."""
METADATA_ATTEMPTS = 3
"""How often a metadata service is asked; it may answer 429. botocore asks once."""

_LOGIN = (SSOError, TokenRetrievalError, NoAuthTokenError)
NONE = (
    *_LOGIN,
    ConfigNotFound,
    CredentialRetrievalError,
    InvalidConfigError,
    LoginError,
    MetadataRetrievalError,
    NoCredentialsError,
    PartialCredentialsError,
    RefreshWithMFAUnsupportedError,
    UnknownCredentialError,
)
"""botocore's own errors where there are no credentials."""
NO_FILE = (FileNotFoundError, NotADirectoryError, IsADirectoryError, PermissionError)
"""A token file, or the program of a `credential_process`: botocore lets these through."""
_PASSES = (ConnectionError, HTTPClientError, MetadataRetrievalError)
_AT_ONCE = (*_LOGIN, LoginError, *NO_FILE, EOFError, InvalidConfigError, PartialCredentialsError)
"""A second attempt would find the same."""


def lost(error: Exception) -> CredentialsError:
    """The error for people, with what they can do about it."""
    match error:
        case CredentialsError():
            return error
        case NoCredentialsError():
            return CredentialsError(NOWHERE)
        case EOFError():
            text = "an MFA code is needed, and there is no terminal to ask at"
        case OSError():
            text = f"cannot get credentials: {error}"
        case _:
            text = " ".join(str(error).split())  # a program's stderr has lines
    said = text.lower()
    if isinstance(error, LoginError):
        hint = "sign in again: `aws login`"
    elif isinstance(error, _LOGIN) or "sso login" in said:
        hint = "sign in again: `aws sso login`"
    elif isinstance(error, EOFError):
        hint = "run it in a terminal, or use session credentials"
    else:
        hint = ""
    return CredentialsError(f"{text}; {hint}" if hint else text)


class Renewal:
    """Gets credentials, for all threads: botocore holds its lock meanwhile. What only passes is
    tried again; what has failed is not, for a while.
    """

    def __init__(
        self,
        fetch: Callable[[], Mapping[str, Any]],
        what: str = "",
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """`what` begins the error's text."""
        self._fetch = fetch
        self._what = what
        self._clock = clock
        self._sleep = sleep
        self._failed = ""
        self._until = 0.0

    def __call__(self) -> Mapping[str, Any]:
        """The credentials as botocore has them. Raises CredentialsError."""
        if self._failed and self._clock() < self._until:
            raise CredentialsError(self._failed)
        for left in range(ATTEMPTS - 1, -1, -1):
            try:
                fetched = self._fetch()
                if not fetched:  # so botocore says that the metadata service refused
                    raise MetadataRetrievalError(error_msg="no credentials in the answer")
                self._failed = ""
                return fetched
            except (BotoCoreError, ClientError, OSError, EOFError, ValueError) as error:
                if not left or not _passes(error):
                    self._failed = f"{self._what}{lost(error)}"
                    self._until = self._clock() + RESTS
                    raise CredentialsError(self._failed) from error
            self._sleep(BETWEEN)
        raise AssertionError("unreachable: the last attempt returns or raises")


def _passes(error: Exception) -> bool:
    """Whether a second attempt may end otherwise."""
    if isinstance(error, ClientError):
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        code = str(error.response.get("Error", {}).get("Code", ""))
        return status == 429 or status >= 500 or "hrottl" in code or code == "IDPCommunicationError"
    return isinstance(error, (*_PASSES, CredentialRetrievalError)) or (
        isinstance(error, OSError) and not isinstance(error, _AT_ONCE)
    )


def watch(inner: botocore.session.Session) -> None:
    """Have the session get its credentials, and renew them, as `Renewal` does.

    Nothing is done about those that do not expire. Raises CredentialsError.
    """
    asked = inner.get_config_variable("metadata_service_num_attempts")
    inner.set_config_variable("metadata_service_num_attempts", max(asked, METADATA_ATTEMPTS))
    try:
        found = inner.get_credentials()
    except (*NONE, *NO_FILE, EOFError, ValueError) as error:
        raise lost(error) from error
    if (renew := getattr(found, "_refresh_using", None)) is not None:
        # botocore has no public way to say how credentials are renewed.
        found._refresh_using = Renewal(renew)  # type: ignore[union-attr]
