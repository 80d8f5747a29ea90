# -*- test-case-name: tests.node.test_ledger -*-
"""What became of each message: the books of a node.

``accepted == delivered + refused + expired + dropped + waiting`` holds at all times;
what waits is counted where it waits, so that the equation is a check.  Only the verbs
of `Ledger` write its fields.
"""

from __future__ import annotations

from collections import Counter, deque
from typing import ClassVar

from twisted.logger import Logger

from ..handle import Handle
from ..message import PType
from ..status import DeadLetter, LedgerStatus

#: How many dead letters are kept to be looked at.
KEPT_LETTERS = 256

#: How many reasons are counted each for itself: some name what was waited for.
KEPT_REASONS = 256


class Ledger:
    """Counts the fates of messages, and logs those that are lost."""

    _log: ClassVar[Logger] = Logger()

    def __init__(self) -> None:
        #: Messages that were put into a queue: a mailbox, or to wait for a way out.
        self.queued = 0
        #: Of those, the ones that were handed to an actor or written to a link.
        self.handled = 0
        #: Messages that were written to a link at once; one number for two facts, as
        #: most remote messages go this way.
        self.written_directly = 0
        #: Not taken in the end, and the sender was told.
        self.refused = 0
        #: Waited in vain until its time limit.
        self.expired = 0
        #: Lost for a reason which was counted and logged.
        self.dropped = 0
        #: Answers that came when nobody waited for them any more.
        self.late_answers = 0
        #: How often each reason dropped a message.
        self.reasons: Counter[str] = Counter()
        #: The newest dead letters, oldest first.
        self.dead_letters: deque[DeadLetter] = deque(maxlen=KEPT_LETTERS)

    def __repr__(self) -> str:
        return (
            f"<Ledger: {self.accepted} accepted = {self.delivered} delivered"
            f" + {self.refused} refused + {self.expired} expired"
            f" + {self.dropped} dropped + those that wait>"
        )

    @property
    def accepted(self) -> int:
        """Messages taken: from actors of this node, and from other nodes."""
        return self.queued + self.written_directly

    @property
    def delivered(self) -> int:
        """Messages handed to an actor, or written to a link."""
        return self.handled + self.written_directly

    def balance(self, waiting: int) -> int:
        """Messages that are unaccounted for; 0 is the only honest result."""
        fates = self.delivered + self.refused + self.expired + self.dropped
        return self.accepted - fates - waiting

    def status(self, waiting: int) -> LedgerStatus:
        """The books as they are.

        :param waiting: how many messages wait now.
        """
        return LedgerStatus(
            self.accepted,
            self.delivered,
            self.refused,
            self.expired,
            self.dropped,
            waiting,
            self.late_answers,
            tuple(self.reasons.most_common()),
            tuple(self.dead_letters),
        )

    # What happens to a message

    def queue(self, count: int = 1) -> None:
        """Messages are put into a queue."""
        self.queued += count

    def move(self) -> None:
        """A message goes from one queue to another, which counted it again."""
        self.queued -= 1

    def deliver(self) -> None:
        """A message leaves its queue, to an actor or to a link."""
        self.handled += 1

    def write(self) -> None:
        """A message is written to a link without a wait."""
        self.written_directly += 1

    def unwrite(self, peer: str, count: int) -> None:
        """Pushes that were written are lost: their link kept them, and has ended."""
        self.handled -= count
        for _ in range(count):
            self.drop("its node is gone", 0, peer, int(PType.LUA))

    def unwrite_call(self) -> None:
        """A request that was written has another fate: its link has kept it."""
        self.handled -= 1

    def refuse_call(self) -> None:
        """A request leaves its queue; its caller is told that it will not run."""
        self.refused += 1

    def expire_call(self) -> None:
        """A request leaves its queue; its caller was told that it waits no longer."""
        self.expired += 1

    def answer_late(self) -> None:
        """An answer comes when nobody waits for it any more."""
        self.late_answers += 1

    def lose(
        self, reason: str, source: int, destination: int | str, ptype: int
    ) -> None:
        """Take and drop a message that no queue took."""
        self.queued += 1
        self.drop(reason, source, destination, ptype)

    def drop(
        self, reason: str, source: int, destination: int | str, ptype: int
    ) -> None:
        """Count and keep a message that is lost."""
        self.dropped += 1
        self._record(reason, source, destination, ptype)

    def expire(
        self, reason: str, source: int, destination: int | str, ptype: int
    ) -> None:
        """Count and keep a message whose time is over."""
        self.expired += 1
        self._record(reason, source, destination, ptype)

    def refuse(
        self, reason: str, source: int, destination: int | str, ptype: int
    ) -> None:
        """Count and keep a one-way message that was refused after it was taken."""
        self.refused += 1
        self._record(reason, source, destination, ptype)

    def _record(
        self, reason: str, source: int, destination: int | str, ptype: int
    ) -> None:
        to = destination if isinstance(destination, str) else Handle(destination)
        letter = DeadLetter(reason, Handle(source), to, ptype)
        self.dead_letters.append(letter)
        kind = reason
        if reason not in self.reasons and len(self.reasons) >= KEPT_REASONS:
            kind = "one of many other reasons"
        self.reasons[kind] = times = self.reasons[kind] + 1
        # The first tells what is wrong; powers of ten tell how bad it is.
        if str(times).strip("0") == "1":
            self._log.warn(
                "dead letter: {reason} ({times} so far): {kind} from {source} to {to}",
                reason=reason,
                times=times,
                kind=_name(ptype),
                source=letter.source,
                to=to,
            )


def _name(ptype: int) -> str:
    try:
        return PType(ptype).name
    except ValueError:
        return f"type {ptype}"
