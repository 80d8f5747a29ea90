# -*- test-case-name: tests.network.test_cluster -*-
"""Connections of a cluster: one that calls a node, one by which a node calls us."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from twisted.internet.defer import Deferred, succeed
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure

from ...oneshot import OneShot
from ..kit.greeting import GreetingConnection
from ..kit.writer import writer_for


class Owner(Protocol):
    """Whom a connection belongs to."""

    def opened(self, connection: ClusterConnection) -> None:
        """It is up."""

    def received(self, data: bytes) -> None:
        """Bytes have come."""

    def full(self) -> None:
        """Its transport is full."""

    def free(self) -> None:
        """Its transport can take more."""

    def closed(self, connection: ClusterConnection, reason: str) -> None:
        """It is closed, or we closed it; said once."""


class ClusterConnection(GreetingConnection):
    """A connection between two nodes of a cluster; nobody greets (cluster, section 1).

    :param owner: is told what happens.
    """

    def __init__(self, owner: Owner) -> None:
        super().__init__()
        self._owner: Owner | None = owner
        #: Writes bytes; nowhere before the connection is made and after it is closed.
        self.write_out: Callable[[bytes], None] = _nowhere
        self._is_lost = False
        self._gone = OneShot()

    def when_gone(self) -> Deferred[None]:
        """Fire when the connection is lost; at once if it was never made."""
        return succeed(None) if self.transport is None else self._gone.when()

    def opened(self) -> None:
        """There is no handshake: it can be used."""
        assert self.transport is not None
        if self._owner is None:
            # Not every endpoint can be stopped while it connects.
            self.abort("nobody waits for it any more")
            return
        self.write_out = writer_for(self.transport)
        # Nothing stands between a read and who takes it.
        self.dataReceived = self._owner.received  # type: ignore[method-assign]
        self.watch_pressure(self._owner.full, self._owner.free)
        self._owner.opened(self)
        self.greeted()

    def dataReceived(self, data: bytes) -> None:
        """What is read once the connection is closed concerns nobody."""

    def close(self) -> None:
        """Write what is buffered, and let the other side close when it has read it."""
        self._end("it was closed")
        if not self._is_lost:
            # Else its end would not be noticed.
            self.read(True)
            self.half_close()

    def finish(self) -> None:
        """Close the connection once what is buffered is written, read or not."""
        super().close()

    def on_ended(self, reason: str) -> None:
        """We abort the connection."""
        self._end(reason)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The connection is closed."""
        self._is_lost = True
        self._end(reason.getErrorMessage())
        super().connectionLost(reason)
        self._gone.fire()

    def _end(self, reason: str) -> None:
        self.write_out = _nowhere
        self.dataReceived = _nowhere  # type: ignore[method-assign]
        owner, self._owner = self._owner, None
        if owner is not None:
            owner.closed(self, reason)


def _nowhere(data: bytes) -> None:
    """Take what is read from a connection that is closed, or written to it."""
