# -*- test-case-name: tests.net.test_kit -*-
"""Something that happens once, and those who wait for it."""

from __future__ import annotations

from twisted.internet.defer import Deferred, fail, succeed


class OneShot:
    """Gives a fresh Deferred to each who waits for one event."""

    def __init__(self) -> None:
        self._waiters: list[Deferred[None]] = []
        self._error: tuple[type[Exception], str] | None = None
        #: Whether it has happened.
        self.fired = False

    def when(self) -> Deferred[None]:
        """Fire when it happens, at once if it has; it may be cancelled."""
        if self.fired:
            return succeed(None)
        if self._error is not None:
            kind, why = self._error
            return fail(kind(why))
        waiter: Deferred[None] = Deferred(self._waiters.remove)
        self._waiters.append(waiter)
        return waiter

    def fire(self) -> None:
        """It has happened."""
        self.fired = True
        for waiter in self._take():
            waiter.callback(None)

    def fail(self, kind: type[Exception], why: str) -> None:
        """It will never happen, unless it has: each who waits gets an own error."""
        if not self.fired:
            self._error = kind, why
            for waiter in self._take():
                waiter.errback(kind(why))

    def _take(self) -> list[Deferred[None]]:
        waiters, self._waiters = self._waiters, []
        return waiters
