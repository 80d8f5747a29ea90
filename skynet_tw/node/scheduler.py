# -*- test-case-name: tests.node.test_scheduler -*-
"""One scheduler for all actors of a node: who runs next, and for how long.

A turn runs inside one reactor call: it gives each actor that has messages a short
batch, round and round, until nothing is left or the turn's time is over; then the
reactor has its turn.  What the actors wrote is flushed once, at the turn's end.

Whoever wakes somebody puts him into the queue, and goes on with his own work: the
woken runs from the queue, never inside the waker, so that no chain of wake-ups grows
the stack.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from contextvars import Context
from typing import Any, ClassVar

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from .failures import failure_of

#: Messages that an actor may handle before the next actor has its turn.
BATCH = 16

#: Seconds that a turn may last before the reactor has its own; beside a flood, a quiet
#: actor waits for about two of them.
SLICE = 0.002


class Runnable:
    """Something that stands in a scheduler's queue."""

    __slots__ = ()

    def run(self, limit: int) -> None:
        """Do a piece of work, of at most *limit* steps."""
        raise NotImplementedError

    def pending(self) -> bool:
        """Tell whether there is more to do; it then goes to the end of the queue."""
        return False


class _Call(Runnable):
    """A function that is called in its turn."""

    __slots__ = ("args", "function")

    def __init__(self, function: Callable[..., Any], args: tuple[Any, ...]) -> None:
        self.function = function
        self.args = args

    def run(self, limit: int) -> None:
        self.function(*self.args)


class Scheduler:
    """The queue of what has something to do.

    :param clock: gives the time, and the delayed call that continues a turn.
    :param at_end: called when a turn ends, to write what was collected.
    """

    _log: ClassVar[Logger] = Logger()

    def __init__(self, clock: IReactorTime, at_end: Callable[[], None]) -> None:
        self._clock = clock
        self._at_end = at_end
        self._wake: IDelayedCall | None = None
        #: What all actors begin with: no context variables of anybody.
        self._variables = Context()
        #: The same, without the message at work.
        self.clean = Context()
        #: What will run, in that order.
        self.ready: deque[Runnable] = deque()
        #: Whether a turn is under way.
        self.running = False
        self._now = 0.0

    def schedule(self, runnable: Runnable) -> None:
        """Let something run in this turn, or in one that is arranged."""
        self.ready.append(runnable)
        if not self.running and self._wake is None:
            self._wake = self._clock.callLater(0, self._woken)

    def in_turn(self, function: Callable[..., Any], *args: Any) -> None:
        """Call *function* in a turn: at once where none is under way.

        Within a turn it waits for its place in the queue, as an actor's code may be
        what asks for it.
        """
        if self.running:
            self.ready.append(_Call(function, args))
        else:
            self.ready.appendleft(_Call(function, args))
            self.run()

    def run(self) -> None:
        """Have a turn, unless one is under way."""
        if not self.running:
            self.running = True
            self._variables.run(self._turn)

    def seconds(self) -> float:
        """The time; within a turn, when it was looked at last, a batch ago at most.

        To ask a reactor for the time costs 0.1 us, for each call that has a limit.
        """
        return self._now if self.running else self._clock.seconds()

    def stop(self) -> None:
        """Stop: what is queued does not run."""
        self.ready.clear()
        if self._wake is not None:
            self._wake.cancel()
            self._wake = None

    def _turn(self) -> None:
        ready = self.ready
        seconds = self._clock.seconds
        try:
            self._now = seconds()
            end = self._now + SLICE
            while ready:
                runnable = ready.popleft()
                try:
                    runnable.run(BATCH)
                except BaseException as error:
                    # Each part of an actor's code has a guard of its own; what comes
                    # through is a fault of ours, and must not stop the others.
                    self._log.failure("a turn went wrong", failure_of(error))
                if runnable.pending():
                    ready.append(runnable)
                self._now = seconds()
                if self._now >= end:
                    break
        finally:
            self.running = False
            if ready and self._wake is None:
                self._wake = self._clock.callLater(0, self._woken)
            self._at_end()

    def _woken(self) -> None:
        self._wake = None
        self.run()
