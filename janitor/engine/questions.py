"""What rules ask about log groups that takes calls: whether an owner is gone, whether all is quiet.

Asked only where the answer decides what is done, and never taken for granted: what cannot be read
leaves it open which rule holds, so that nothing is done.
"""

from __future__ import annotations

from collections.abc import Sequence

from janitor.aws.api import ReadError
from janitor.core.clock import DAY_MS
from janitor.core.model import OWNER_GONE, Answer, Evidence, LogGroup, Question
from janitor.core.text import age
from janitor.engine.arrivals import Arrivals
from janitor.engine.proof import OWNERS
from janitor.engine.users import Users
from janitor.policy.file import Policy
from janitor.policy.judge import decides, open_questions


class Questions:
    """The questions of one target. `now` (ms) is the moment by which ages are judged; each of
    `users` asks some of the rows.
    """

    def __init__(
        self, policy: Policy, now: int, arrivals: Arrivals, users: Sequence[Users]
    ) -> None:
        self._policy = policy
        self._now = now
        self._arrivals = arrivals
        self._users = users

    def owner_named(self, group: LogGroup) -> str:
        """The owner that its name speaks of; "" where it speaks of none that is asked."""
        return next(filter(None, (users.owner_named(group.name) for users in self._users)), "")

    async def answered(self, group: LogGroup) -> LogGroup:
        """The group with the answers on which it hangs what is done with it. Raises StoppedError or
        CredentialsError.
        """
        while asked := open_questions(group, self._policy):
            if decides(asked, group, self._policy, self._now):
                young = [question for question in asked if self._young(group, question)]
                first = (young or asked)[0]
                group = group.with_answers({first: await self._ask(group, first)})
            else:
                text = "not checked: it would make no difference"
                found = Answer(False, Evidence("policy", text, self._arrivals.clock.now()))
                group = group.with_answers(dict.fromkeys(asked, found))
        return group

    async def holding(self, group: LogGroup, questions: Sequence[Question]) -> LogGroup:
        """The group with the answers to questions, up to the first that is not yes. Raises
        StoppedError or CredentialsError.
        """
        for question in questions:
            found = await self._ask(group, question)
            group = group.with_answers({question: found})
            if not found.holds:
                break
        return group

    async def _ask(self, group: LogGroup, question: Question) -> Answer:
        if question == OWNER_GONE:
            return await self._owner_gone(group)
        return await self._quiet(group, question)

    async def _owner_gone(self, group: LogGroup) -> Answer:
        """The rows of which its name speaks come first: most log groups' owners are there."""
        owner, rows, at = self.owner_named(group), 0, self._arrivals.clock.now()
        if not owner:
            return Answer(
                False, Evidence(OWNERS, "its name does not point to an owner that is checked", at)
            )
        named = [users.of_its_name for users in self._users]
        for of in (*named, *(users.of for users in self._users)):
            answer = await of(group)
            if answer.uses:
                use = answer.uses[0]
                return Answer(False, Evidence(use.source, str(use), use.at))
            if answer.unread:
                unread = answer.unread[0]
                return Answer(None, Evidence(unread.source, str(unread), unread.at))
            rows += 0 if of in named else answer.rows
        text = f"not in use by {owner}, nor by any other of the {rows} kinds of owners checked"
        return Answer(True, Evidence(OWNERS, text, answer.at), owner)

    def _young(self, group: LogGroup, question: Question) -> bool:
        return group.creation_time > self._now - question.days * DAY_MS

    async def _quiet(self, group: LogGroup, question: Question) -> Answer:
        days = f"{question.days} day{'' if question.days == 1 else 's'}"
        if self._young(group, question):
            text = f"created {age(max(self._now - group.creation_time, 0))} ago, less than {days}"
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
