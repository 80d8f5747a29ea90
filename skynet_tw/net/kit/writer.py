# -*- test-case-name: tests.net.test_writer -*-
"""Writing to a transport without waiting for the reactor's next turn."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import cast

from twisted.internet.interfaces import ITransport
from twisted.internet.tcp import Connection
from zope.interface import implementer

from ...interfaces import ILink, Peer
from ...wire.harbor import FrameWriter


@implementer(ILink)
class Link:
    """What messages for one peer are written to.

    :param peer: who is at the other end.
    :param frames: collects them in the form of the wire.
    :param write: writes bytes.
    """

    __slots__ = ("_frames", "_take", "_write", "peer", "send")

    def __init__(
        self, peer: Peer, frames: FrameWriter, write: Callable[[bytes], None]
    ) -> None:
        self.peer = peer
        #: The collector's own method: a link adds nothing to it, and no time.
        self.send = frames.send
        self._frames = frames
        self._take = frames.take
        self._write = write

    @property
    def bytes_written(self) -> int:
        """All bytes that were written so far."""
        return self._frames.bytes_written

    def flush(self) -> None:
        """Write what was collected since the last time, in one piece.

        The owner may be told that the transport is full before this returns.
        """
        data = self._take()
        if data:
            self._write(data)

    def close(self) -> None:
        """Write nothing any more, whoever still holds the link."""
        self._write = _nowhere


def _nowhere(data: bytes) -> None:
    """Take what is written to a link that is down."""


def writer_for(transport: ITransport) -> Callable[[bytes], None]:
    """Return what to call in place of ``transport.write``.

    For a plain TCP connection it tries the socket first.  All other transports, such
    as TLS, Windows' IOCP and those of tests, get their own ``write``.
    """
    if (
        isinstance(transport, Connection)
        and not transport.TLS
        and hasattr(transport, "_tempDataBuffer")
    ):
        return partial(_write_through, transport)
    return transport.write


def _write_through(transport: Connection, data: bytes) -> None:
    """Send to the socket what it takes at once, and leave the rest to the transport.

    ``transport.write`` only collects: it asks the reactor to be told when the socket
    is writable, sends in the reactor's next turn, and then asks to be told no more.
    That is two system calls and one turn for each message that travels alone.
    ``writeSomeData`` is the step which the transport itself takes in that turn:

    - It may only be taken when nothing waits in the transport's two buffers, or bytes
      would overtake each other.  With both empty the transport does not wait for the
      socket, and no producer is paused, so there is no state to be kept up to date.
    - It returns how much the socket took, 0 if none; or an exception if the connection
      is broken.  In these cases ``write`` takes the rest: it calls the producer's
      ``pauseProducing`` as usual, and when the connection is broken, sending fails
      again in the reactor's turn, which then ends the connection in its own way.  To do
      that here would call `connectionLost` in the middle of whoever writes.
    - A connection that is closing, closed or half closed is left to ``write``, too.
    """
    if (
        transport.dataBuffer
        or transport._tempDataBuffer
        or transport.disconnecting
        or not transport.connected
        or transport._writeDisconnecting
    ):
        transport.write(data)
        return
    sent = transport.writeSomeData(data)
    if sent == len(data):
        return
    rest = memoryview(data)
    while isinstance(sent, int) and sent:
        # It takes 128 KiB at a time; go on for as long as the socket does.
        rest = rest[sent:]
        if not rest:
            return
        sent = transport.writeSomeData(cast(bytes, rest))
    transport.write(bytes(rest))
