"""The sample functions, packaged and run as Lambda runs them."""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy import packaging
from tests.function.runtime import Function


@pytest.fixture(scope="module")
def hashing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Function]:
    root = tmp_path_factory.mktemp("hash")
    archive = packaging.zip_of(packaging.stage(packaging.HASH, packaging.host(), root=root))
    folder = root / "unzipped"
    with zipfile.ZipFile(archive) as file:
        file.extractall(folder)
    with Function(folder, packaging.HASH.handler, name="hash") as function:
        yield function


@pytest.fixture(scope="module")
def helloworld(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Function]:
    root = tmp_path_factory.mktemp("helloworld")
    folder = packaging.stage(packaging.HELLOWORLD, packaging.host(), root=root)
    context = packaging.image_context(folder)
    with Function(context / "helloworld", packaging.HELLOWORLD.handler) as function:
        yield function


def test_hash_answers_and_logs_its_input(hashing: Function) -> None:
    """The documentation's example has the right digest."""
    text = (packaging.ROOT / "docs" / "deployment.md").read_text()
    payload, digest = re.findall(r"^    --payload '(.+)' answer.*\n\"(.*)\"$", text, re.M)[0]
    answer = hashing.invoke(payload.encode())
    assert answer.value == digest
    assert answer.value == "uU0nuZNNPgilLlLX2n2r-sSE7-N6U4DukIj3rOLvzek="
    assert answer.logs == "input: hello world\n"


@pytest.mark.parametrize(
    ("text", "digest"),
    [
        ("", "47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU="),
        ("grüße 👋", "udxhXSssDnGyOp_0HstWa2fXg1GGtwwwhzgXTXE6RnE="),
    ],
)
def test_hash_is_of_the_text_in_utf_8(hashing: Function, text: str, digest: str) -> None:
    """The empty string has one too, and JSON's escapes make no difference."""
    escaped, plain = json.dumps(text), json.dumps(text, ensure_ascii=False)
    assert hashing.invoke(escaped.encode()).value == digest
    assert hashing.invoke(plain.encode()).value == digest


@pytest.mark.parametrize(
    ("payload", "error", "message"),
    [
        (b'{"text": "hello"}', "TypeError", "expected a JSON string, got dict"),
        (b"null", "TypeError", "expected a JSON string, got NoneType"),
        (b"17", "TypeError", "expected a JSON string, got int"),
        (
            rb'"ab\ud800"',
            "ValueError",
            r"expected a string of whole characters, got \ud800 at position 2",
        ),
    ],
)
def test_hash_says_what_is_wrong_with_a_payload(
    hashing: Function, payload: bytes, error: str, message: str
) -> None:
    """In one line, and the function can be invoked again."""
    answer = hashing.invoke(payload)
    assert (answer.error_type, answer.error_message) == (error, message)
    assert "input:" not in answer.logs
    assert hashing.invoke(b'"x"').error_type is None


@pytest.mark.parametrize("payload", [b"", b"{", b'"open'])
def test_a_payload_that_is_not_json_does_not_reach_the_handler(
    hashing: Function, payload: bytes
) -> None:
    """The runtime refuses it, an empty payload too."""
    assert hashing.invoke(payload).error_type == "Runtime.UnmarshalError"


@pytest.mark.parametrize("payload", [b"{}", b'"hello"', b"null"])
def test_helloworld_answers_every_event(helloworld: Function, payload: bytes) -> None:
    """With the same text."""
    assert helloworld.invoke(payload).payload == b'"Hello World"'


PROBE = """
import json, os, sys, time
calls = 0
print("started")

def handler(event, context):
    global calls
    calls += 1
    if event == "exit":
        os._exit(3)
    if event == "sleep":
        time.sleep(60)
    if event == "arn":
        return context.invoked_function_arn
    if event == "id":
        return context.aws_request_id
    if event == "remaining":
        return context.get_remaining_time_in_millis()
    if event == "path":
        return sys.path
    return calls
"""


@pytest.fixture(scope="module")
def probe(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Function]:
    folder = tmp_path_factory.mktemp("probe")
    (folder / "probe.py").write_text(PROBE)
    with Function(folder, "probe.handler", name="probe") as function:
        yield function


def test_deadline_request_id_and_arn_reach_the_context(probe: Function) -> None:
    """As Lambda passes them."""
    assert 50_000 < probe.invoke(b'"remaining"', deadline_ms=60_000).value <= 60_000
    assert probe.invoke(b'"id"', request_id="8476a536").value == "8476a536"
    assert probe.invoke(b'"arn"', arn=f"{probe.arn}:live").value == f"{probe.arn}:live"


def test_a_function_sees_no_installed_packages(probe: Function) -> None:
    """A module that is not staged cannot be imported."""
    assert not [entry for entry in probe.invoke(b'"path"').value if "site-packages" in entry]


def test_a_process_stays_warm_until_it_ends(probe: Function) -> None:
    """One process counts its calls; after an exit or a timeout a new one counts from 1."""
    first = probe.invoke(b"{}").value
    assert probe.invoke(b"{}").value == first + 1
    ended = probe.invoke(b'"exit"')
    assert (ended.error_type, ended.error_message) == ("Runtime.ExitError", "exited with status 3")
    again = probe.invoke(b"{}")
    assert (again.value, again.logs) == (1, "started\n")
    late = probe.invoke(b'"sleep"', deadline_ms=100)
    assert (late.error_type, late.error_message) == (
        "Sandbox.Timedout",
        "Task timed out after 0.10 seconds",
    )
    assert probe.invoke(b"{}").value == 1


def test_a_function_that_cannot_start_says_why(tmp_path: Path) -> None:
    """In the answer to each invocation."""
    (tmp_path / "broken.py").write_text("import nowhere")
    with Function(tmp_path, "broken.handler") as function:
        for _ in range(2):
            answer = function.invoke(b"{}")
            assert answer.error_type == "Runtime.ImportModuleError"
            assert "No module named 'nowhere'" in (answer.error_message or "")
