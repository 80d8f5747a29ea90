# -*- test-case-name: tests.test_repeater -*-
"""Something that is done again and again."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger


class Repeater:
    """Calls a function every some seconds while it runs.

    `LoopingCall` would do, but it installs Twisted's own reactor when it is made: a
    node takes none but the one that it is given.

    :param function: what is called; what it raises is logged, and it is called again.
    :param seconds: between two calls.
    :param clock: says when.
    """

    _log = Logger()

    def __init__(
        self, function: Callable[[], object], seconds: float, clock: IReactorTime
    ) -> None:
        self._function = function
        self._seconds = seconds
        self._clock = clock
        self._next: IDelayedCall | None = None

    def start(self) -> None:
        """Begin, unless it runs already; the first call is some seconds later."""
        if self._next is None:
            self._next = self._clock.callLater(self._seconds, self._call)

    def stop(self) -> None:
        """End, if it runs."""
        if self._next is not None:
            self._next.cancel()
            self._next = None

    def _call(self) -> None:
        self._next = self._clock.callLater(self._seconds, self._call)
        try:
            self._function()
        except Exception:
            self._log.failure("what is done every {s:g} s failed", s=self._seconds)
