# -*- test-case-name: tests.node.test_scheduler -*-
"""One scheduler for all actors of a node: who runs next, and for how long.

A turn runs inside one reactor call: it gives each actor that has messages a short
batch, round and round, until nothing is left or the turn's time is over; then the
reactor has its turn.  What the actors wrote is flushed once, at the turn's end.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from twisted.internet.interfaces import IDelayedCall, IReactorTime

if TYPE_CHECKING:
    from .context import Context
    from .task import Task

#: Messages that an actor may handle before the next actor has its turn.
BATCH = 16

#: Seconds that a turn may last before the reactor has its own; beside a flood, a quiet
#: actor waits for about two of them.
SLICE = 0.002


class Scheduler:
    """The queue of actors that have something to do.

    :param clock: gives the time, and the delayed call that continues a turn.
    :param at_end: called when a turn ends, to write what was collected.
    """

    def __init__(self, clock: IReactorTime, at_end: Callable[[], None]) -> None:
        self._clock = clock
        self._at_end = at_end
        self._wake: IDelayedCall | None = None
        #: Actors with messages, in the order in which they will run.
        self.ready: deque[Context] = deque()
        #: Whether a turn is under way.
        self.running = False
        #: The coroutine at work, if one is.
        self.current: Task | None = None
        #: Called once the running batch is over: actors that left during it.
        self.afterwards: list[Callable[[], None]] = []

    def schedule(self, context: Context) -> None:
        """Let an actor run in this turn, or in one that is arranged."""
        self.ready.append(context)
        if not self.running and self._wake is None:
            self._wake = self._clock.callLater(0, self._woken)

    def enter(self, function: Callable[..., None], *args: Any) -> None:
        """Call *function* within a turn, and let those run who got messages by it."""
        if self.running:
            function(*args)
            return
        self.running = True
        try:
            function(*args)
        finally:
            self.running = False
            self.run()

    def run(self) -> None:
        """Have a turn, unless one is under way."""
        if self.running:
            return
        self.running = True
        ready = self.ready
        seconds = self._clock.seconds
        afterwards = self.afterwards
        try:
            if afterwards:
                self._run_afterwards()
            end = seconds() + SLICE
            while ready:
                context = ready.popleft()
                context.run(BATCH)
                if afterwards:
                    self._run_afterwards()
                if context.mailbox and not context.gated:
                    ready.append(context)
                else:
                    context.scheduled = context.gated
                if seconds() >= end:
                    break
        finally:
            self.running = False
            if ready and self._wake is None:
                self._wake = self._clock.callLater(0, self._woken)
            self._at_end()

    def stop(self) -> None:
        """Run nobody any more."""
        self.ready.clear()
        if self._wake is not None:
            self._wake.cancel()
            self._wake = None

    def _woken(self) -> None:
        self._wake = None
        self.run()

    def _run_afterwards(self) -> None:
        while self.afterwards:
            self.afterwards.pop(0)()
