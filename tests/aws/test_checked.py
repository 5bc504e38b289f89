"""A botocore that behaves differently is refused before anything is sent."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3
import botocore
import botocore.session
import pytest
from botocore.awsrequest import AWSResponse, HTTPHeaders
from botocore.credentials import Credentials
from botocore.hooks import EventAliaser
from botocore.signers import RequestSigner

from janitor.aws import targets
from janitor.aws.api import Api, Counts, UnavailableError
from janitor.aws.pace import Pace
from janitor.aws.workers import Inline
from janitor.core.clock import Stop, SystemClock
from janitor.core.errors import CredentialsError
from janitor.core.exit_codes import Exit
from janitor.core.model import Target
from janitor.terminal.cli import main

LOGS = Path(botocore.__file__).parent / "data" / "logs" / "2014-03-28"
ROLE = "arn:aws:iam::123456789012:role/janitor"


def renamed(event: str) -> Callable[[pytest.MonkeyPatch, Path], None]:
    """Return a break: botocore no longer calls the handlers of this event."""

    def break_it(patch: pytest.MonkeyPatch, _folder: Path) -> None:
        emit = EventAliaser.emit

        def other(self: Any, event_name: str, **more: Any) -> Any:
            return emit(self, event_name.replace(event, f"new-{event}"), **more)

        patch.setattr(EventAliaser, "emit", other)

    return break_it


def signed_for_its_own(patch: pytest.MonkeyPatch, _folder: Path) -> None:
    """botocore signs for the client's Region, whatever the call's context says."""
    sign = RequestSigner.sign

    def other(self: Any, operation_name: str, request: Any, **more: Any) -> Any:
        request.context.pop("signing", None)
        return sign(self, operation_name, request, **more)

    patch.setattr(RequestSigner, "sign", other)


def cbor(patch: pytest.MonkeyPatch, _folder: Path) -> None:
    """botocore prefers CBOR if a service speaks it."""
    order = ("smithy-rpc-v2-cbor", "json", "rest-json", "rest-xml", "query", "ec2")
    patch.setattr("botocore.model.PRIORITY_ORDERED_SUPPORTED_PROTOCOLS", order)


def older_model(patch: pytest.MonkeyPatch, folder: Path) -> None:
    """The model of CloudWatch Logs is older than account-level retention policies."""
    model = json.loads(gzip.decompress((LOGS / "service-2.json.gz").read_bytes()))
    del model["shapes"]["LogGroup"]["members"]["retentionPolicyName"]
    place = folder / "logs" / LOGS.name
    place.mkdir(parents=True)
    (place / "service-2.json").write_text(json.dumps(model))
    patch.setenv("AWS_DATA_PATH", str(folder))


@pytest.mark.parametrize(
    ("break_it", "why"),
    [
        (older_model, "does not know account-level retention policies"),
        (renamed("before-parse"), "reads garbage as an empty list of subscription filters"),
        (renamed("before-send"), "cannot be tried"),
        (renamed("before-endpoint-resolution"), "does not send a call to the Region that is asked"),
        (signed_for_its_own, "does not send a call to the Region that is asked"),
        (cbor, "speaks smithy-rpc-v2-cbor with cloudwatch"),
    ],
)
def test_a_botocore_that_behaves_differently_is_refused(
    break_it: Callable[[pytest.MonkeyPatch, Path], None],
    why: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """One line says what is wrong and what to install, and the exit code is 2."""
    break_it(monkeypatch, tmp_path)
    assert main(["report", "-r", "eu-west-1"]) == Exit.USAGE
    printed = capsys.readouterr()
    assert printed.err.startswith(f"janitor: botocore {botocore.__version__} {why}")
    assert "install boto3==" in printed.err
    assert printed.err.count("\n") == 1
    assert not printed.out


def test_a_session_without_the_roles_credentials_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It would clean the account of the caller."""
    caller = boto3.Session("key", "secret")
    assert targets.assumed(caller, ROLE).get_credentials() is not None
    monkeypatch.setattr(
        botocore.session.Session, "get_credentials", lambda _self: Credentials("key", "secret")
    )
    with pytest.raises(CredentialsError, match="does not accept a role's credentials"):
        targets.assumed(caller, ROLE)


def test_an_answer_that_cannot_be_checked_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """In CBOR too, an object where a list belongs does not mean that there are no tags."""
    cbor(monkeypatch, tmp_path)
    body = b"\xa1\x76ResourceTagMappingList\xa0"
    answer = SimpleNamespace(stream=lambda: [body])

    class Session(boto3.Session):
        def client(self, *named: Any, **more: Any) -> Any:
            made = super().client(*named, **more)
            made.meta.events.register(
                "before-send",
                lambda request, **_more: AWSResponse(request.url, 200, HTTPHeaders(), answer),
            )
            return made

    clock = SystemClock()
    api = Api(
        Target("123456789012", "eu-west-1"),
        Session("key", "secret"),
        Pace(lambda _operation: 1e6, clock),
        clock,
        Counts(),
        Stop(),
        Inline(),
    )
    with pytest.raises(UnavailableError, match="not JSON"):
        asyncio.run(
            api.once("resourcegroupstaggingapi", "GetResources", expect="ResourceTagMappingList")
        )
