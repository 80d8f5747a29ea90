# -*- test-case-name: tests.net.test_strangers -*-
"""A periodic look at all connections, in place of a timer for each."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from .limits import ConnectionLimits


class Sweeper:
    """Calls a function every `ConnectionLimits.sweep` seconds while it runs.

    :param clock: says when.
    """

    _log = Logger()

    def __init__(
        self, clock: IReactorTime, limits: ConnectionLimits, sweep: Callable[[], None]
    ) -> None:
        self._interval = limits.sweep
        self._loop = LoopingCall(sweep)
        self._loop.clock = clock

    def start(self) -> None:
        """Begin, unless it runs already."""
        if not self._loop.running:
            self._loop.start(self._interval, now=False).addErrback(
                lambda failure: self._log.failure("the sweep ended", failure)
            )

    def stop(self) -> None:
        """End, if it runs."""
        if self._loop.running:
            self._loop.stop()
