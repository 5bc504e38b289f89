"""Answers the questions of rules that take calls: is the owner gone, has nothing arrived?

They are asked only if the answer decides what is done. If it cannot be read, it stays open which
rule applies, so nothing is done.
"""

from __future__ import annotations

from collections.abc import Sequence

from janitor.aws.api import ReadError
from janitor.core.clock import DAY_MS
from janitor.core.model import Answer, Evidence, LogGroup, Question
from janitor.core.text import age, counted
from janitor.engine.arrivals import Arrivals
from janitor.engine.proof import OWNERS
from janitor.engine.users import Users
from janitor.policy.file import Policy
from janitor.policy.judge import decides, open_questions


class Questions:
    """Answers the questions of one target. `now` (ms) is the moment by which ages are judged; each
    of `users` reads some of the rows of the owner table.
    """

    def __init__(
        self, policy: Policy, now: int, arrivals: Arrivals, users: Sequence[Users]
    ) -> None:
        self._policy = policy
        self._now = now
        self._arrivals = arrivals
        self._users = users

    def owner_named(self, group: LogGroup) -> str:
        """The owner that the group's name refers to; "" if none that is checked."""
        return next(filter(None, (users.owner_named(group.name) for users in self._users)), "")

    async def answered(self, group: LogGroup) -> LogGroup:
        """The group with the answers that decide what is done with it. Raises StoppedError or
        CredentialsError.
        """
        while asked := open_questions(group, self._policy):
            if decides(asked, group, self._policy, self._now):
                young = [question for question in asked if self._young(group, question)]
                first = (young or asked)[0]
                group = group.with_answers({first: await self._ask(group, first)})
            else:
                text = "not checked: it would make no difference"
                answer = Answer(False, Evidence("policy", text, self._arrivals.clock.now()))
                group = group.with_answers(dict.fromkeys(asked, answer))
        return group

    async def holding(self, group: LogGroup, questions: Sequence[Question]) -> LogGroup:
        """The group with the answers to the questions, up to the first that is not yes. Raises
        StoppedError or CredentialsError.
        """
        for question in questions:
            answer = await self._ask(group, question)
            group = group.with_answers({question: answer})
            if not answer.holds:
                break
        return group

    async def _ask(self, group: LogGroup, question: Question) -> Answer:
        match question.about:
            case "owner":
                return await self._owner_gone(group)
            case "arrivals":
                return await self._quiet(group, question)

    async def _owner_gone(self, group: LogGroup) -> Answer:
        """Whether the owner that the name refers to is gone. Its rows are read first: most log
        groups' owners are found there.
        """
        owner, rows, at = self.owner_named(group), 0, self._arrivals.clock.now()
        if not owner:
            return Answer(
                False, Evidence(OWNERS, "its name does not point to an owner that is checked", at)
            )
        named = [users.of_its_name for users in self._users]
        for of in (*named, *(users.of for users in self._users)):
            usage = await of(group)
            if usage.uses:
                use = usage.uses[0]
                return Answer(False, Evidence(use.source, str(use), use.at))
            if usage.unread:
                unread = usage.unread[0]
                return Answer(None, Evidence(unread.source, str(unread), unread.at))
            rows += 0 if of in named else usage.rows
        text = f"not in use by {owner}, nor by any other of the {rows} kinds of owners checked"
        return Answer(True, Evidence(OWNERS, text, usage.at), owner)

    def _young(self, group: LogGroup, question: Question) -> bool:
        return group.creation_time > self._now - question.days * DAY_MS

    async def _quiet(self, group: LogGroup, question: Question) -> Answer:
        days = counted(question.days, "day")
        if self._young(group, question):
            text = f"created {age(self._now - group.creation_time)} ago, less than {days}"
            return Answer(False, Evidence("DescribeLogGroups", text, self._now))
        source = "GetMetricData"
        try:
            since = self._now - question.days * DAY_MS
            arrived, at = await self._arrivals.since(group.name, since)
        except ReadError as error:
            text = f"could not be read: {error}"
            return Answer(None, Evidence(source, text, self._arrivals.clock.now()))
        match arrived:
            case None:
                text = "whether anything arrived could not be read: no complete answer"
            case True:
                text = f"something arrived in the last {days}"
            case False:
                text = f"nothing arrived in the last {days}"
        return Answer(None if arrived is None else not arrived, Evidence(source, text, at))
