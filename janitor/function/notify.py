"""The notification of a run: one message to an SNS topic, at the end of the run's last link.

It is sent if a scheduled run changed something, failed, or was refused by a limit; for a dry run
that means failed or would be refused. SNS delivers at least once: a repeated message has the same
`run_id`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from janitor.core.errors import JanitorError
from janitor.core.loss import loss
from janitor.core.text import sentence, visible

ACTIONS: dict[str, str] = {"Publish": "sns:Publish"}
LONGEST_SUBJECT = 99
"""Characters: ASCII without control characters, "less than 100" (SNS API reference, Publish)."""

LONGEST_MESSAGE = 200_000
"""Bytes of a body; SNS takes 262,144 with the attributes."""

MOST_PROBLEMS = 20
LONGEST_PROBLEM = 500
COUNTED = (
    ("Retention set", "retention_set", "set_retention"),
    ("Log groups deleted", "groups_deleted", "delete_group"),
    ("Log streams deleted", "streams_deleted", "sweep_streams"),
)
"""A label, the summary's key for what was done, and that for what a dry run would do."""

LEFT = (
    ("Accounts that failed", "accounts_failed"),
    ("Failed", "failed"),
    ("Refused by a limit", "refused"),
    ("Not reached", "not_reached"),
    ("Unknown, so kept", "unknown"),
)
_IN_SUBJECT = (
    ("account{s} failed", "accounts_failed"),
    ("failed", "failed"),
    ("refused", "refused"),
    ("not reached", "not_reached"),
    ("group{s} deleted", "groups_deleted"),
    ("stream{s} swept", "streams_deleted"),
    ("given retention", "retention_set"),
)
"""As many of these as fit, in this order, leaving out zeros."""


class NotifyError(JanitorError):
    """The message could not be sent; the run itself is done."""


@dataclass(frozen=True, slots=True)
class Notice:
    """What a notification is made of. `function` is the function's ARN, `log_group` the name of its
    log group, `summary` as in `--format json`. For a fleet `over` says how many accounts, and
    `report` where its HTML page is.
    """

    run: str
    function: str
    log_group: str
    dry_run: bool
    summary: Mapping[str, Any]
    over: str = ""
    report: str = ""

    @property
    def result(self) -> str | None:
        """`failed`, `refused` or `changed`, the first that fits; None if nobody need know."""
        summary = self.summary
        if summary["failed"] or summary["not_reached"] or summary["errors"]:
            return "failed"
        if summary.get("refused_because"):
            return "refused"
        return "changed" if any(summary[done] for _, done, _ in COUNTED) else None

    @property
    def failed(self) -> bool:
        """Whether a person should look at the run."""
        return self.result in ("failed", "refused")


def send(client: Any, topic: str, notice: Notice, now: int) -> None:
    """Send the notice if it has a result. `client` is SNS's, `now` in ms. Raises NotifyError."""
    result = notice.result
    if result is None:
        return
    try:
        client.publish(
            TopicArn=topic,
            Subject=subject(notice, result),
            Message=message(notice, result, now),
            MessageAttributes=attributes(notice, result),
        )
    except (ClientError, BotoCoreError) as error:
        raise NotifyError(f"the notification could not be sent: {topic}: {error}") from error


def subject(notice: Notice, result: str) -> str:
    """Return the subject: the function, its account, and how the run ended."""
    _, _, _, _, account, _, name, *_ = notice.function.split(":")
    text = f"{name} in {account}{notice.over and ', ' + notice.over}: {result}"
    for label, key in _IN_SUBJECT:
        count = notice.summary.get(key)
        longer = f"{text}, {count} {label.format(s='' if count == 1 else 's')}"
        if count and len(longer) <= LONGEST_SUBJECT:
            text = longer
    return text.encode("ascii", "replace").decode()


def message(notice: Notice, result: str, now: int) -> str:
    """Return the body: text for people, at most LONGEST_MESSAGE bytes. `now` in ms."""
    text = "\n".join(_paragraphs(notice, result, now))
    return text.encode()[:LONGEST_MESSAGE].decode(errors="ignore")


def _paragraphs(notice: Notice, result: str, now: int) -> Iterator[str]:
    _, _, _, region, account, _, name, *_ = notice.function.split(":")
    ended = datetime.fromtimestamp(now / 1000, UTC).strftime("%Y-%m-%d %H:%M UTC")
    kind = "dry run (nothing was changed)" if notice.dry_run else "run"
    kind = f"{kind} over {notice.over}, made by" if notice.over else f"scheduled {kind} of"
    yield f"A {kind} {name} in account {account}, {region}, ended on {ended}: {result}"
    yield ""
    yield from _counts(notice.summary, dry_run=notice.dry_run)
    yield from _problems(notice.summary)
    yield ""
    if notice.report:
        yield f"What was done and what failed, account by account: {notice.report}"
    yield f'Each change is a line of the log group {notice.log_group} with run_id "{notice.run}".'


def _counts(summary: Mapping[str, Any], *, dry_run: bool) -> Iterator[str]:
    would = summary.get("would") or summary["planned"]
    yield f"{'Log groups scanned':<32}{summary['groups_scanned']:>12,}"
    for label, done, planned in COUNTED:
        count = would[planned] if dry_run else summary[done]
        yield f"{label + ' (would be)' * dry_run:<32}{count:>12,}"
    for label, key in LEFT:
        if summary.get(key):
            yield f"{label:<32}{summary[key]:>12,}"
    yield sentence(loss(summary["money"]["freed_at_once_bytes"], dry_run=dry_run))


def _problems(summary: Mapping[str, Any]) -> Iterator[str]:
    if refused := summary.get("refused_because"):
        yield f"Refused: {shortened(refused)}"
    for label, kind in (("Error", "errors"), ("Warning", "warnings")):
        problems = summary[kind]
        yield from (f"{label}: {shortened(text)}" for text in problems[:MOST_PROBLEMS])
        if len(problems) > MOST_PROBLEMS:
            yield f"… and {len(problems) - MOST_PROBLEMS} more {kind}"


def shortened(text: str, longest: int = LONGEST_PROBLEM) -> str:
    """Return the text, safe to print, cut after `longest` characters."""
    text = visible(text)
    return text if len(text) <= longest else f"{text[:longest]}…"


def attributes(notice: Notice, result: str) -> dict[str, dict[str, str]]:
    """Return the message attributes, for programs and filter policies: ten, the most that raw
    delivery to SQS takes.

    `run_id`, `account`, `region`, `result` (`changed`, `failed` or `refused`) and `dry_run`
    (`true` or `false`) are strings; `retention_set`, `groups_deleted`, `streams_deleted` and
    `failed` are numbers; `summary` is a JSON object of all the run's counters.
    """
    _, _, _, region, account, *_ = notice.function.split(":")
    summary = notice.summary
    strings = {
        "run_id": notice.run,
        "account": account,
        "region": region,
        "result": result,
        "dry_run": "true" if notice.dry_run else "false",
        "summary": json.dumps({key: value for key, value in summary.items() if _is_counter(value)}),
    }
    numbers = {
        key: str(summary.get(key, 0))
        for key in ("retention_set", "groups_deleted", "streams_deleted", "failed")
    }
    return {
        **{name: {"DataType": "String", "StringValue": value} for name, value in strings.items()},
        **{name: {"DataType": "Number", "StringValue": value} for name, value in numbers.items()},
    }


def _is_counter(value: object) -> bool:
    """Whether a value is a number, a flag, or counts by kind: texts and lists have no bound."""
    match value:
        case bool() | int():
            return True
        case dict():
            return all(isinstance(each, int) for each in value.values())
        case _:
            return False
