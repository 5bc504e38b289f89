"""Renews credentials, and explains to people why there are none.

botocore renews expiring credentials before a call, on whatever thread makes it, and if that failed,
again before the next one: a `credential_process` would be started a hundred times.
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
PAUSE = 1.0
"""Seconds between two attempts."""
COOLDOWN = 30.0
"""Seconds without attempts after a failure. Until the old credentials expire, they are used."""
METADATA_ATTEMPTS = 3
"""Attempts to ask a metadata service, which may answer 429. botocore makes one."""

_LOGIN = (SSOError, TokenRetrievalError, NoAuthTokenError)
NO_CREDENTIALS = (
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
"""botocore's errors if there are no credentials."""
NO_FILE = (FileNotFoundError, NotADirectoryError, IsADirectoryError, PermissionError)
"""Errors of a token file or a `credential_process` program, which botocore lets through."""
_TRANSIENT = (ConnectionError, HTTPClientError, MetadataRetrievalError)
_PERMANENT = (*_LOGIN, LoginError, *NO_FILE, EOFError, InvalidConfigError, PartialCredentialsError)
"""A second attempt would end the same way."""


def credentials_error(error: Exception) -> CredentialsError:
    """The error for people, with a hint what to do about it."""
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
            text = " ".join(str(error).split())  # a program's stderr has line breaks
    if isinstance(error, LoginError):
        hint = "sign in again: `aws login`"
    elif isinstance(error, _LOGIN) or "sso login" in text.lower():
        hint = "sign in again: `aws sso login`"
    elif isinstance(error, EOFError):
        hint = "run it in a terminal, or use session credentials"
    else:
        hint = ""
    return CredentialsError(f"{text}; {hint}" if hint else text)


class Renewal:
    """Gets credentials, in one thread at a time: botocore holds its lock meanwhile. A transient
    failure is retried; after any other, or the last attempt, AWS is not asked again for a while.
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
        """The credentials in botocore's format. Raises CredentialsError."""
        if self._failed and self._clock() < self._until:
            raise CredentialsError(self._failed)
        for left in range(ATTEMPTS - 1, -1, -1):
            try:
                fetched = self._fetch()
                if not fetched:  # botocore's answer if the metadata service refused
                    raise MetadataRetrievalError(error_msg="no credentials in the answer")
                self._failed = ""
                return fetched
            except (BotoCoreError, ClientError, OSError, EOFError, ValueError) as error:
                if not left or not _is_transient(error):
                    self._failed = f"{self._what}{credentials_error(error)}"
                    self._until = self._clock() + COOLDOWN
                    raise CredentialsError(self._failed) from error
            self._sleep(PAUSE)
        raise AssertionError("unreachable: the last attempt returns or raises")


def _is_transient(error: Exception) -> bool:
    """Whether a second attempt may succeed."""
    if isinstance(error, ClientError):
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        code = str(error.response.get("Error", {}).get("Code", ""))
        return status == 429 or status >= 500 or "hrottl" in code or code == "IDPCommunicationError"
    return isinstance(error, (*_TRANSIENT, CredentialRetrievalError)) or (
        isinstance(error, OSError) and not isinstance(error, _PERMANENT)
    )


def renew_carefully(inner: botocore.session.Session) -> None:
    """Get the session's credentials, and let `Renewal` renew those that expire. Raises
    CredentialsError.
    """
    asked = inner.get_config_variable("metadata_service_num_attempts")
    inner.set_config_variable("metadata_service_num_attempts", max(asked, METADATA_ATTEMPTS))
    try:
        found = inner.get_credentials()
    except (*NO_CREDENTIALS, *NO_FILE, EOFError, ValueError) as error:
        raise credentials_error(error) from error
    if (renew := getattr(found, "_refresh_using", None)) is not None:
        # botocore has no public way to say how credentials are renewed.
        found._refresh_using = Renewal(renew)  # type: ignore[union-attr]
