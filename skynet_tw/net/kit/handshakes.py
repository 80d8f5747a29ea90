# -*- test-case-name: tests.net.test_strangers -*-
"""Connections that are not identified yet."""

from __future__ import annotations

from twisted.internet.interfaces import IReactorTime

from .connections import Connection
from .limits import ConnectionLimits


class PendingHandshakes:
    """Limits how many connections may be unidentified, and for how long.

    :param clock: gives the time.
    :param limits: how many and how long.
    """

    def __init__(self, clock: IReactorTime, limits: ConnectionLimits) -> None:
        self._clock = clock
        self._limits = limits
        # In the order of arrival: the oldest is the first.
        self._pending: dict[Connection, float] = {}

    def enter(self, connection: Connection) -> None:
        """Take in a connection; the oldest makes room for it if there is none."""
        if len(self._pending) >= self._limits.strangers:
            oldest = next(iter(self._pending))
            del self._pending[oldest]
            oldest.abort("too many connections did not say who they are")
        self._pending[connection] = self._clock.seconds()

    def leave(self, connection: Connection) -> None:
        """The connection is known now, or closed."""
        self._pending.pop(connection, None)

    def sweep(self) -> None:
        """Drop those whose time is over."""
        latest = self._clock.seconds() - self._limits.handshake
        while self._pending:
            connection, since = next(iter(self._pending.items()))
            if since > latest:
                break
            del self._pending[connection]
            seconds = self._limits.handshake
            connection.abort(f"it did not say who it is for {seconds:g} s")
