# -*- test-case-name: tests.net.test_kit -*-
"""Something that happens once, and those who wait for it."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.defer import Deferred, fail, succeed
from twisted.python.failure import Failure


class OneShot:
    """Fires or fails once, and gives a fresh Deferred to each who waits for that.

    :param cancelled: called when one who waits has cancelled that.
    """

    def __init__(self, cancelled: Callable[[], object] = lambda: None) -> None:
        self._cancelled = cancelled
        self._waiters: list[Deferred[None]] = []
        self._error: Callable[[], Exception | Failure] | None = None
        #: Whether it has fired or failed.
        self.is_done = False

    def when(self) -> Deferred[None]:
        """Fire or fail with this, at once if it is done; it may be cancelled."""
        if self._error is not None:
            return fail(self._error())
        if self.is_done:
            return succeed(None)
        waiter: Deferred[None] = Deferred(self._forget)
        self._waiters.append(waiter)
        return waiter

    def _forget(self, waiter: Deferred[None]) -> None:
        self._waiters.remove(waiter)
        self._cancelled()

    def fire(self) -> None:
        """It has happened; nothing is done the second time."""
        if not self.is_done:
            self.is_done = True
            # One by one: whoever is woken may cancel another who still waits.
            while self._waiters:
                self._waiters.pop(0).callback(None)

    def fail(self, error: Callable[[], Exception | Failure]) -> None:
        """It will never happen; nothing is done if it has.

        :param error: makes the error, one for each who waits.
        """
        if not self.is_done:
            self.is_done = True
            self._error = error
            while self._waiters:
                self._waiters.pop(0).errback(error())
