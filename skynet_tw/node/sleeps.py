# -*- test-case-name: tests.node.test_actor -*-
"""Actors that wait for a time."""

from __future__ import annotations

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IDelayedCall

from .core import Core
from .deferred import NodeDeferred


class Sleeps:
    """The sleeps of all actors of a node, which end with it."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._timers: dict[NodeDeferred[None], IDelayedCall] = {}

    def __len__(self) -> int:
        return len(self._timers)

    def sleep(self, seconds: float) -> Deferred[None]:
        """A Deferred that fires after some seconds."""
        sleep: NodeDeferred[None] = NodeDeferred(self._core.scheduler, self._cancelled)
        sleep.what = f"{seconds:g} s to pass"
        timer = self._core.clock.callLater(seconds, self._over, sleep)
        self._timers[sleep] = timer
        return sleep

    def stop(self) -> None:
        """Cancel all; nobody is told who does not wait for it."""
        for sleep in list(self._timers):
            sleep.addErrback(lambda failure: failure.trap(CancelledError))
            sleep.cancel()

    def _over(self, sleep: NodeDeferred[None]) -> None:
        del self._timers[sleep]
        sleep.fire(None)

    def _cancelled(self, sleep: NodeDeferred[None]) -> None:
        timer = self._timers.pop(sleep, None)
        if timer is not None:
            timer.cancel()
