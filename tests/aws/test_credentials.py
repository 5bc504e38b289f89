"""Credentials that cannot be obtained: the message says what helps, after a few attempts."""

from __future__ import annotations

import getpass
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from botocore.credentials import AssumeRoleProvider
from botocore.exceptions import (
    ClientError,
    CredentialRetrievalError,
    EndpointConnectionError,
    LoginRefreshRequired,
    SSOTokenLoadError,
    UnauthorizedSSOTokenError,
)

from janitor.aws.credentials import ATTEMPTS, COOLDOWN, Renewal, credentials_error
from janitor.core.errors import CredentialsError
from tests.conftest import Run
from tests.virtual import VirtualClock

KEYS = {"access_key": "a", "secret_key": "b", "token": "t", "expiry_time": "2030-01-01T00:00:00Z"}


class Source:
    """Answers with each error in turn, then with keys."""

    def __init__(self, *errors: Exception | None) -> None:
        self.errors = list(errors)
        self.asked = 0
        self.clock = VirtualClock(0)

    def __call__(self) -> Mapping[str, Any]:
        self.asked += 1
        error = self.errors.pop(0) if self.errors else None
        if error is not None:
            raise error
        return KEYS

    def renewal(self, fetch: Callable[[], Mapping[str, Any]] | None = None) -> Renewal:
        clock = self.clock
        return Renewal(fetch or self, clock=clock.monotonic, sleep=clock.jump)


def refused(code: str, status: int) -> ClientError:
    response = {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(response, "AssumeRole")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "error",
    [
        EndpointConnectionError(endpoint_url="http://169.254.169.254/"),
        CredentialRetrievalError(provider="custom-process", error_msg="timed out"),
        refused("Throttling", 400),
        refused("", 503),
    ],
)
def test_a_transient_error_is_retried(error: Exception) -> None:
    """The second attempt succeeds without a message."""
    source = Source(error)
    assert source.renewal()() == KEYS
    assert source.asked == 2


def test_an_empty_answer_of_the_metadata_service_is_retried() -> None:
    """botocore makes an empty answer of its 429, which it gives to many callers at a time."""
    source, answers = Source(), [{}, KEYS]
    assert source.renewal(lambda: answers.pop(0))() == KEYS


@pytest.mark.parametrize(
    ("error", "hint"),
    [
        (UnauthorizedSSOTokenError(), "aws sso login"),
        (SSOTokenLoadError(error_msg="none"), "aws sso login"),
        (LoginRefreshRequired(), "`aws login`"),
        (FileNotFoundError(2, "No such file", "/var/token"), "/var/token"),
        (EOFError(), "terminal"),
        (refused("AccessDenied", 403), "AccessDenied"),
    ],
)
def test_a_permanent_error_says_what_helps_after_one_attempt(error: Exception, hint: str) -> None:
    """A code is asked for, or a program started, only once."""
    source = Source(error)
    with pytest.raises(CredentialsError, match=hint):
        source.renewal()()
    assert source.asked == 1


def test_failed_credentials_are_not_renewed_for_a_while() -> None:
    """The threads of all Regions ask in the same second, and again before each call."""
    source = Source(*[CredentialRetrievalError(provider="p", error_msg="gone") for _ in range(999)])
    renewal = source.renewal()
    for _ in range(100):
        with pytest.raises(CredentialsError, match="gone"):
            renewal()
    assert source.asked == ATTEMPTS
    source.errors.clear()
    source.clock.jump(COOLDOWN)
    assert renewal() == KEYS


def test_an_error_of_the_callers_credentials_is_not_wrapped() -> None:
    """A role's credentials need the caller's, whose error already says what helps."""
    error = CredentialsError("once")
    assert credentials_error(error) is error


PROFILES = {
    "process": ("credential_process = {folder}/helper", "helper"),
    "failing": ("credential_process = {folder}/failing", "expired: run aws sso login"),
    "web": (
        "role_arn = arn:aws:iam::123456789012:role/r\nweb_identity_token_file = {folder}/token",
        "token",
    ),
    "sso": (
        "sso_session = s\nsso_account_id = 123456789012\nsso_role_name = r\n"
        "[sso-session s]\nsso_region = eu-west-1\nsso_start_url = https://example.org",
        "aws sso login",
    ),
    "mfa": (
        "role_arn = arn:aws:iam::123456789012:role/r\nsource_profile = base\n"
        "mfa_serial = arn:aws:iam::123456789012:mfa/m\n"
        "[profile base]\naws_access_key_id = a\naws_secret_access_key = b",
        "an MFA code is needed",
    ),
}


@pytest.mark.parametrize(("profile", "says"), PROFILES.values(), ids=PROFILES.keys())
def test_a_profile_without_credentials_ends_with_one_line_and_exit_2(
    profile: str, says: str, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is printed as a result, and a program that provides credentials starts once."""
    config, started = tmp_path / "config", tmp_path / "started"
    text = profile.format(folder=tmp_path)
    config.write_text(f"[profile p]\nregion = eu-west-1\n{text}\n")
    failing = tmp_path / "failing"
    failing.write_text(
        f"#!/bin/sh\necho x >> {started}\necho 'expired: run aws sso login' >&2\nexit 1\n"
    )
    failing.chmod(0o755)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    prompting = AssumeRoleProvider.__init__
    defaults = [_nobody if d is getpass.getpass else d for d in prompting.__defaults__ or ()]
    monkeypatch.setattr(prompting, "__defaults__", tuple(defaults))
    done = run("report", "--profile", "p", "-r", "eu-west-1", "-r", "us-east-1")
    assert (done.code, done.out) == (2, "")
    assert says in done.err
    assert "internal error" not in done.err
    assert len(done.err.splitlines()) == 1
    assert not started.exists() or started.read_text() == "x\n"


def _nobody(_prompt: str) -> str:
    raise EOFError
