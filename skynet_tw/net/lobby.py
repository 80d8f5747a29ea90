# -*- test-case-name: tests.net.test_strangers -*-
"""Connections: all that are open, and those of which nobody knows who they are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Generic, Protocol, TypeVar

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from .limits import ConnectionLimits


class Guest(Protocol):
    """A connection in a lobby."""

    @property
    def peer_text(self) -> str:
        """The other end, for the log."""

    def drop(self, reason: str) -> None:
        """Close the connection at once."""


C = TypeVar("C")


class Connections(Generic[C]):
    """The connections that are open, in the order in which they were opened."""

    def __init__(self) -> None:
        self._open: dict[C, None] = {}
        self._waiters: list[Deferred[None]] = []

    def __len__(self) -> int:
        return len(self._open)

    def __iter__(self) -> Iterator[C]:
        return iter(list(self._open))

    def add(self, connection: C) -> None:
        """A connection was opened."""
        self._open[connection] = None

    def discard(self, connection: C) -> None:
        """A connection was closed; it is fine if it was not open."""
        self._open.pop(connection, None)
        if not self._open:
            waiters, self._waiters = self._waiters, []
            for waiter in waiters:
                waiter.callback(None)

    def when_empty(self) -> Deferred[None]:
        """Fire when no connection is open."""
        if not self._open:
            return succeed(None)
        waiter: Deferred[None] = Deferred()
        self._waiters.append(waiter)
        return waiter


class FoldedLog:
    """Logs the first of many like lines, and counts the rest.

    Whoever opens a thousand connections must not be able to fill the log as well.

    :param what: what is dropped, in words.
    """

    _log = Logger()

    def __init__(self, what: str) -> None:
        self._what = what
        self._quiet = False
        self._more = 0
        self._last: tuple[str, str] = ("", "")

    def dropped(self, peer: str, reason: str) -> None:
        """Log, or count, that *peer* was dropped."""
        if self._quiet:
            self._more += 1
            self._last = (peer, reason)
            return
        self._quiet = True
        self._log.warn(
            "{what}: dropped {peer}: {reason}",
            what=self._what,
            peer=peer,
            reason=reason,
        )

    def sweep(self) -> None:
        """Log what was counted since the last time, in one line."""
        if self._more:
            self._log.warn(
                "{what}: dropped {count} more, the last was {peer}: {reason}",
                what=self._what,
                count=self._more,
                peer=self._last[0],
                reason=self._last[1],
            )
        self._quiet = self._more > 0
        self._more = 0


class Lobby:
    """Bounds the number and the patience of connections before their handshake.

    :param clock: gives the time.
    :param limits: how many and how long.
    """

    def __init__(self, clock: IReactorTime, limits: ConnectionLimits) -> None:
        self._clock = clock
        self._limits = limits
        # In the order of arrival: the oldest is the first.
        self._guests: dict[Guest, float] = {}

    def enter(self, guest: Guest) -> None:
        """Take in a connection; the oldest makes room for it if there is none."""
        if len(self._guests) >= self._limits.strangers:
            oldest = next(iter(self._guests))
            del self._guests[oldest]
            oldest.drop("too many connections did not say who they are")
        self._guests[guest] = self._clock.seconds()

    def leave(self, guest: Guest) -> None:
        """The connection is known now, or closed."""
        self._guests.pop(guest, None)

    def sweep(self) -> None:
        """Drop those whose time is over."""
        latest = self._clock.seconds() - self._limits.handshake
        while self._guests:
            guest, since = next(iter(self._guests.items()))
            if since > latest:
                break
            del self._guests[guest]
            guest.drop(f"it did not say who it is for {self._limits.handshake:g} s")
