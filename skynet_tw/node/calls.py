# -*- test-case-name: tests.node.test_calls -*-
"""Calls in flight: what a caller waits on, and the one table that owns the waits.

A `Reply` is an ordinary Deferred for whoever wants one.  A handler that awaits it is
resumed directly, without the Deferred's callbacks: that is most of what a call
costs beyond its bytes.

Answers to calls within the node carry the `Reply` itself.  Only calls that leave the
node, and calls with a time limit, stand in the table.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.python.failure import Failure

from ..errors import CallTimeout, SkynetError
from ..handle import Handle
from ..message import MAX_SESSION

if TYPE_CHECKING:
    from .context import Context
    from .task import Task

#: Time limits are checked at most this often, in seconds.
SWEEP_INTERVAL = 0.01


class Reply(Deferred[Any]):
    """The answer to one call: ``None``, the value, or a tuple of several values."""

    #: The task that awaits the answer and nothing else does, if there is one.
    task: Task | None = None
    #: The session in the table, 0 for a call that is not there.
    session = 0
    #: The callee's address, 0 while only a name is known.
    target = 0
    #: The time limit on the node's clock, None without one.
    deadline: float | None = None
    #: What the caller gets at the time limit; another class until the request leaves.
    expiry: type[SkynetError] = CallTimeout
    #: Whether the answer is raw bytes instead of packed values.
    raw = False
    #: Whether it has callbacks, so that the answer takes the Deferred's own way.
    shared = False

    def __init__(self, caller: Context, describe: int | str) -> None:
        super().__init__(_cancelled)
        self.caller = caller
        #: The address as the caller gave it, for error texts.
        self.describe = describe

    def __await__(self) -> Generator[Deferred[Any], Any, Any]:
        if self.called or self.paused:
            return (yield from super().__await__())
        # Whoever drives the coroutine, a Task or Twisted, sends the answer in.
        return (yield self)

    def succeed(self, value: Any) -> None:
        """Resume who waits with *value*; nothing happens if it was answered before."""
        if self.called:
            return
        task = self.task
        if task is None:
            self.callback(value)
        else:
            self.called = True
            self.result = value
            self.task = None
            task.advance(task.coroutine.send, value)

    def fail(self, error: BaseException) -> None:
        """Raise *error* where the answer is awaited, unless it was answered before."""
        if self.called:
            return
        task, self.task = self.task, None
        if task is None:
            self.errback(Failure(error))
        else:
            self.called = True
            self.result = None
            task.throw(error)

    def abandon(self) -> None:
        """The caller is gone; it is no matter if nobody hears of it."""
        if not self.called:
            self.caller.node.calls.forget(self)
            self.addErrback(lambda failure: failure.trap(SkynetError))
            self.fail(SkynetError("the caller ended before the answer came"))

    @property
    def callee(self) -> str:
        """Who was called, in words."""
        called = self.describe
        return str(Handle(called)) if isinstance(called, int) else str(called)

    def _share(self) -> None:
        """Take the Deferred's own way from now on: somebody adds a callback."""
        self.shared = True
        task, self.task = self.task, None
        if task is not None:
            super().addBoth(task.resume)

    if not TYPE_CHECKING:

        def addCallbacks(self, *args, **kwargs):  # noqa: N802
            self._share()
            return super().addCallbacks(*args, **kwargs)

        def addCallback(self, *args, **kwargs):  # noqa: N802
            self._share()
            return super().addCallback(*args, **kwargs)

        def addErrback(self, *args, **kwargs):  # noqa: N802
            self._share()
            return super().addErrback(*args, **kwargs)

        def addBoth(self, *args, **kwargs):  # noqa: N802
            self._share()
            return super().addBoth(*args, **kwargs)


def _cancelled(reply: Deferred[Any]) -> None:
    assert isinstance(reply, Reply)
    reply.caller.node.calls.forget(reply)
    if reply.task is not None:
        reply.fail(CancelledError())


class Calls:
    """The table session -> reply of one node, and its time limits.

    :param clock: gives the time and one delayed call for all limits.
    :param on_late: told the number of sessions that were answered too late.
    """

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._waiting: dict[int, Reply] = {}
        self._last_session = 0
        self._sweep: IDelayedCall | None = None
        self._sweep_at = 0.0
        self._stopped = False
        #: Turned into the time limit's error text: what a queued call waits for.
        self.explain: Callable[[Reply], str] = lambda reply: "no answer"

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
