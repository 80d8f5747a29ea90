# -*- test-case-name: tests.net.test_kit -*-
"""One connection, and all that are open: what every wire's have in common."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IPushProducer
from twisted.internet.protocol import Protocol

from ...oneshot import OneShot
from .pressure import Pressure
from .progress import Progress
from .transport import abort_transport, address_text, half_close_transport, tune


class Connection(Protocol):
    """One connection of ours, dialed or accepted.

    A subclass fills in `opened`, and ``dataReceived`` and ``connectionLost`` as in
    any protocol.  There are three ways to close it: `close`, once all is written;
    `refuse`, with a last word and deaf from then on; `abort`, at once.  The last two
    have a reason, and tell `on_ended`.
    """

    def __init__(self) -> None:
        #: Why we refused or aborted the connection, None while we did not.
        self.ended: str | None = None
        #: When it was opened, on its owner's clock.
        self.since = 0.0
        #: How what is half read or not yet written moves on, for the owner's sweep.
        self.progress = Progress()
        #: Whether the transport is full of what the other side does not read.
        self.is_full = False
        self._pressure: Pressure | None = None

    @property
    def peer_text(self) -> str:
        """The other end, for the log."""
        return address_text(self.transport)

    def connectionMade(self) -> None:
        """Set up the connection."""
        assert self.transport is not None
        tune(self.transport)
        self.opened()

    def opened(self) -> None:
        """The connection is up."""

    def watch_pressure(
        self,
        full: Callable[[], None] = lambda: None,
        free: Callable[[], None] = lambda: None,
    ) -> None:
        """Learn when the transport is full, and when it takes more."""
        assert self.transport is not None

        def is_full() -> None:
            self.is_full = True
            full()

        def is_free() -> None:
            self.is_full = False
            free()

        self._pressure = Pressure(self.transport, is_full, is_free)

    @property
    def unread(self) -> int | None:
        """For `Progress`: how often the transport was full; None if it is not."""
        return None if self._pressure is None else self._pressure.unread

    def write(self, data: bytes) -> None:
        """Write, unless we refused or aborted the connection."""
        if data and self.transport is not None and self.ended is None:
            self.transport.write(data)

    def read(self, on: bool) -> None:
        """Read the connection, or leave with the other side what it sends."""
        transport = self.transport
        if IPushProducer.providedBy(transport):
            if on:
                transport.resumeProducing()
            else:
                transport.pauseProducing()

    def close(self) -> None:
        """Close the connection, once what is buffered for it is written."""
        self.release()
        if self.transport is not None:
            self.transport.loseConnection()

    def half_close(self) -> None:
        """Write what is buffered, and let the other side close when it has read all."""
        self.release()
        half_close_transport(self.transport)

    def refuse(self, reason: str, farewell: bytes = b"") -> None:
        """Write *farewell*, and close the connection then."""
        if self.ended is None:
            self.write(farewell)
            self._give_up(reason)
            self.close()

    def abort(self, reason: str) -> None:
        """Close the connection at once; what is buffered for it is lost."""
        self._give_up(reason)
        abort_transport(self.transport)

    def _give_up(self, reason: str) -> None:
        if self.ended is None:
            self.ended = reason
            self.on_ended(reason)

    def half_open(self) -> int | None:
        """A number that grows as an incomplete frame does; None if there is none."""
        return None

    def on_ended(self, reason: str) -> None:
        """We refuse or abort the connection: its owner is to be told."""

    def release(self) -> None:
        """Watch the transport's pressure no more."""
        if self._pressure is not None:
            self._pressure.release()


C = TypeVar("C")


class Connections(Generic[C]):
    """The connections that are open, in the order in which they were opened."""

    def __init__(self) -> None:
        self._open: dict[C, None] = {}
        self._emptied = OneShot()
        self._emptied.fire()

    def __len__(self) -> int:
        return len(self._open)

    def __iter__(self) -> Iterator[C]:
        return iter(list(self._open))

    def add(self, connection: C) -> None:
        """A connection was opened."""
        if not self._open:
            self._emptied = OneShot()
        self._open[connection] = None

    def discard(self, connection: C) -> None:
        """A connection was closed; it is fine if it was not open."""
        self._open.pop(connection, None)
        if not self._open:
            self._emptied.fire()

    def when_empty(self) -> Deferred[None]:
        """Fire when no connection is open."""
        return self._emptied.when()
