# -*- test-case-name: tests.net.test_network -*-
"""Connections of the memory network."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol, cast

from twisted.internet.error import (
    ConnectionAborted,
    ConnectionDone,
    ConnectionLost,
)
from twisted.internet.interfaces import (
    IAddress,
    IConsumer,
    IDelayedCall,
    IProducer,
    IProtocol,
    IPushProducer,
    IReactorTime,
    ITransport,
)
from twisted.python.failure import Failure
from zope.interface import implementer


class Conditions(Protocol):
    """What a connection is exposed to."""

    def seconds_of_delay(self) -> float:
        """How long the next step takes."""

    def bytes_of_read(self) -> int:
        """How many bytes the next read brings at most; 0 for no limit."""

    def is_silent(self, address: str) -> bool:
        """Whether nothing gets through to or from *address*."""


class Wire:
    """What joins the two ends of a connection.

    :param clock: schedules each delivery.
    :param address: the address that was dialed.
    :param conditions: decides how and whether bytes get through.
    """

    def __init__(
        self, clock: IReactorTime, address: str, conditions: Conditions
    ) -> None:
        self.clock = clock
        self.conditions = conditions
        #: The address that was dialed.
        self.address = address
        #: Called when both ends are closed.
        self.on_closed: Callable[[], None] = lambda: None
        self._ends: tuple[MemoryTransport, ...] = ()

    def join(self, one: MemoryTransport, other: MemoryTransport) -> None:
        """Make them the ends of this wire."""
        self._ends = (one, other)
        one.other, other.other = other, one

    def cut(self) -> None:
        """Break the connection; both ends notice in a moment."""
        for end in self._ends:
            end.break_off(Failure(ConnectionLost()))

    def pump(self) -> None:
        """Go on delivering, if anything waits."""
        for end in self._ends:
            end.deliver_soon()

    def closed(self) -> None:
        """One end is closed."""
        if not any(end.connected for end in self._ends):
            self.on_closed()


@implementer(ITransport, IConsumer, IPushProducer)
class MemoryTransport:
    """One end of a connection.

    As TCP's, it calls nobody from within its methods but producers; it pauses a
    producer when more than `buffer_size` bytes wait, and resumes it when none do.
    """

    #: Bytes that may wait before the producer is paused.
    buffer_size = 65536

    #: The other end.
    other: MemoryTransport

    def __init__(
        self,
        wire: Wire,
        protocol: IProtocol | None,
        host: IAddress,
        peer: IAddress,
    ) -> None:
        self._wire = wire
        self._protocol = protocol
        self._host = host
        self._peer = peer
        self._waiting = bytearray()
        self._delivery: IDelayedCall | None = None
        self._end: IDelayedCall | None = None
        self._reading = True
        self._producer: IProducer | None = None
        self._streaming = False
        self._producer_paused = False
        #: Whether the protocol was not told yet that the connection is lost.
        self.connected = True
        #: Whether it is to be closed once nothing waits.
        self.disconnecting = False

    # ITransport

    def write(self, data: bytes) -> None:
        """Let *data* follow what waits."""
        if not isinstance(data, bytes):
            raise TypeError("Data must be bytes")
        if not self.connected or not data:
            return
        self._waiting += data
        if self._streaming and len(self._waiting) > self.buffer_size:
            self._producer_paused = True
            cast(IPushProducer, self._producer).pauseProducing()
        self.deliver_soon()

    def writeSequence(self, data: Iterable[bytes]) -> None:
        """Write several pieces."""
        self.write(b"".join(data))

    def loseConnection(self) -> None:
        """Close once nothing waits; nothing more is read."""
        if self.connected and not self.disconnecting:
            self.disconnecting = True
            self._reading = False
            self.deliver_soon()

    def abortConnection(self) -> None:
        """Close at once; the other end sees a broken connection."""
        self.break_off(Failure(ConnectionAborted()))
        self.other.break_off(Failure(ConnectionLost()))

    def getPeer(self) -> IAddress:
        """The address of the other end."""
        return self._peer

    def getHost(self) -> IAddress:
        """The address of this end."""
        return self._host

    # IConsumer

    def registerProducer(self, producer: IProducer, streaming: bool) -> None:
        """Pause and resume *producer* from now on."""
        if self._producer is not None:
            raise RuntimeError("there is a producer already")
        if not self.connected:
            producer.stopProducing()
            return
        self._producer = producer
        self._streaming = streaming
        self._producer_paused = False
        if not streaming:
            self._resume_producer()

    def unregisterProducer(self) -> None:
        """Leave the producer alone."""
        self._producer = None
        self._streaming = False
        if self.disconnecting:
            self.deliver_soon()

    def _resume_producer(self) -> None:
        self._producer_paused = False
        cast(IPushProducer, self._producer).resumeProducing()

    # IPushProducer

    def pauseProducing(self) -> None:
        """Read no more."""
        self._reading = False

    def resumeProducing(self) -> None:
        """Read again."""
        if self.connected and not self.disconnecting:
            self._reading = True
            self.other.deliver_soon()

    def stopProducing(self) -> None:
        """Close."""
        self.loseConnection()

    # Delivery

    def deliver_soon(self) -> None:
        """Hand the next piece of what waits to the other end, after a delay."""
        if (
            self._delivery is None
            and self.connected
            and (self._waiting or self.disconnecting)
        ):
            delay = self._wire.conditions.seconds_of_delay()
            self._delivery = self._wire.clock.callLater(delay, self._deliver)

    def _deliver(self) -> None:
        self._delivery = None
        other = self.other
        if self._wire.conditions.is_silent(self._wire.address):
            return
        if self._waiting:
            if other.connected and other.disconnecting:
                # The other end reads no more: what we say is lost.
                self._waiting.clear()
            elif not other._reading:
                return
            else:
                size = self._wire.conditions.bytes_of_read() or len(self._waiting)
                piece = bytes(self._waiting[:size])
                del self._waiting[:size]
                other._receive(piece)
        if not self.connected:
            return
        if self._waiting:
            self.deliver_soon()
            return
        if self._producer is not None and (
            not self._streaming or self._producer_paused
        ):
            self._resume_producer()
        elif self.disconnecting:
            self.break_off(Failure(ConnectionDone()))
            other._finish_reading()

    def _receive(self, data: bytes) -> None:
        if self.connected and self._protocol is not None:
            self._protocol.dataReceived(data)

    def _finish_reading(self) -> None:
        """The other end closed: so does this, as protocols without half-close do."""
        self.break_off(Failure(ConnectionDone()))

    def break_off(self, reason: Failure) -> None:
        """Lose the connection in a moment, and all that waits."""
        if self.connected and self._end is None:
            self._end = self._wire.clock.callLater(0, self._lose, reason)

    def _lose(self, reason: Failure) -> None:
        self.connected = False
        self._waiting.clear()
        if self._delivery is not None:
            self._delivery.cancel()
            self._delivery = None
        producer, self._producer = self._producer, None
        self._streaming = False
        if producer is not None:
            producer.stopProducing()
        self._wire.closed()
        if self._protocol is not None:
            self._protocol.connectionLost(reason)
