# -*- test-case-name: tests.node.test_calls -*-
"""The one table that owns the calls in flight.

Answers to calls within the node carry the `Reply` itself.  Only calls that leave the
node, and calls with a time limit, stand in the table.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from ..errors import SkynetError
from ..message import MAX_SESSION
from .reply import Reply

#: Time limits are checked at most this often, in seconds.
SWEEP_INTERVAL = 0.01


def _no_answer(reply: Reply) -> str:
    return "no answer"


class Calls:
    """The table session -> reply of one node, and its time limits.

    :param clock: gives the time and one delayed call for all limits.
    """

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._waiting: dict[int, Reply] = {}
        self._last_session = 0
        self._sweep: IDelayedCall | None = None
        self._sweep_at = 0.0
        self._stopped = False
        #: Turned into the time limit's error text: what a queued call waits for.
        self.explain: Callable[[Reply], str] = _no_answer

    def __len__(self) -> int:
        return len(self._waiting)

    def __iter__(self) -> Iterator[Reply]:
        return iter(list(self._waiting.values()))

    def add(self, reply: Reply, timeout: float | None) -> int:
        """Enter a call and return its session, 1..0x7fffffff, unique in this node.

        :param timeout: seconds from now, None for no limit.
        """
        waiting = self._waiting
        session = self._last_session + 1
        while session in waiting or session > MAX_SESSION:
            session = 1 if session > MAX_SESSION else session + 1
        self._last_session = session
        waiting[session] = reply
        reply.session = session
        if timeout is not None:
            reply.deadline = deadline = self._clock.seconds() + timeout
            if self._sweep is None or deadline < self._sweep_at:
                self._schedule(deadline)
        return session

    def get(self, session: int) -> Reply | None:
        """The call that waits for this session."""
        return self._waiting.get(session)

    def pop(self, session: int) -> Reply | None:
        """Take the call that waits for this session out of the table."""
        return self._waiting.pop(session, None)

    def forget(self, reply: Reply) -> None:
        """Take a call out of the table; its answer, if one comes, is late."""
        if reply.session:
            self._waiting.pop(reply.session, None)

    def fail(self, reply: Reply, error: SkynetError) -> None:
        """Take a call out of the table, and raise *error* where it is awaited."""
        self.forget(reply)
        reply.fail(error)

    def stop(self) -> None:
        """Cancel the sweep; calls that still wait are cancelled."""
        if self._sweep is not None:
            self._sweep.cancel()
            self._sweep = None
        self._stopped = True
        for reply in self:
            reply.abandon()

    def _schedule(self, deadline: float) -> None:
        if self._stopped:
            return
        if self._sweep is not None:
            self._sweep.cancel()
        delay = max(deadline - self._clock.seconds(), 0.0)
        self._sweep_at = deadline
        self._sweep = self._clock.callLater(delay, self._expire)

    def _expire(self) -> None:
        """Fail the calls whose time is over; one look at the table serves them all."""
        self._sweep = None
        now = self._clock.seconds()
        deadlines = [r.deadline for r in self if r.deadline is not None]
        later = [deadline for deadline in deadlines if deadline > now]
        if later:
            # Calls made one after the other do not cost a look at the table each.
            self._schedule(max(min(later), now + SWEEP_INTERVAL))
        if len(later) < len(deadlines):
            for reply in self:
                if reply.deadline is not None and reply.deadline <= now:
                    what = f"{self.explain(reply)} within the time limit"
                    self.fail(reply, reply.expiry(what))
