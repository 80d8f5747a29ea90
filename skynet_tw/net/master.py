# -*- test-case-name: tests.net.test_strangers -*-
"""The master's port: slaves and strangers."""

from __future__ import annotations

from typing import cast

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import (
    IAddress,
    IConsumer,
    IPushProducer,
    IReactorTime,
)
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from ..link.master import Effects, Master
from .limits import ConnectionLimits
from .lobby import Connections, FoldedLog, Lobby
from .sweep import Sweeper
from .transport import address_text, drop_transport, tune


@implementer(IPushProducer)
class MasterProtocol(Protocol):
    """One control connection, of a slave or of a stranger."""

    def __init__(self, factory: MasterFactory) -> None:
        self._factory = factory
        #: Whether the transport is full of what the slave does not read.
        self.full = False
        #: Which half packet or full transport made its last progress when.
        self.stalled: tuple[int, float] | None = None
        #: Whether we closed the connection.
        self.dropped = False

    @property
    def peer_text(self) -> str:
        """The other end, for the log."""
        return address_text(self.transport)

    def connectionMade(self) -> None:
        """Somebody connected."""
        transport = self.transport
        assert transport is not None
        tune(transport)
        cast(IConsumer, transport).registerProducer(self, True)
        self._factory.opened(self)

    def dataReceived(self, data: bytes) -> None:
        """Take what it says."""
        if not self.dropped:
            self._factory.received(self, data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The connection is closed, by whomever."""
        self._factory.closed(self, reason.getErrorMessage())

    def drop(self, reason: str) -> None:
        """Close the connection at once, and count it as lost."""
        self._factory.drop(self, reason)

    def close(self) -> None:
        """Close the connection, once what is buffered for it is written."""
        if not self.dropped:
            self.dropped = True
            assert self.transport is not None
            # A transport does not close as long as it has a producer that it paused.
            cast(IConsumer, self.transport).unregisterProducer()
            self.transport.loseConnection()

    def abort(self) -> None:
        """Close the connection without a chance for what is buffered."""
        self.dropped = True
        drop_transport(self.transport)

    def pauseProducing(self) -> None:
        """The slave does not read what we write."""
        self.full = True

    def resumeProducing(self) -> None:
        """It does again."""
        self.full = False

    def stopProducing(self) -> None:
        """The connection is about to be lost; `connectionLost` says so, too."""


class MasterFactory(Factory):
    """A master: listen with it on the port that the slaves connect to.

    It begins to watch its connections with the first port that listens, and ends with
    the last.

    :param clock: tells the time, and when to look at the connections.
    :param limits: what strangers and stalled slaves may cost.
    """

    noisy = False
    _log = Logger()

    def __init__(
        self, clock: IReactorTime, limits: ConnectionLimits | None = None
    ) -> None:
        self._clock = clock
        self._limits = limits or ConnectionLimits()
        #: The table of slaves and names.
        self.master = Master(clock.seconds)
        self._lobby = Lobby(clock, self._limits)
        self._strangers = FoldedLog("master's port")
        self._open: Connections[MasterProtocol] = Connections()
        self._sweeper = Sweeper(clock, self._limits, self._sweep)

    def startFactory(self) -> None:
        """A port begins to listen."""
        self._sweeper.start()

    def stopFactory(self) -> None:
        """No port listens any more."""
        self._sweeper.stop()

    def buildProtocol(self, addr: IAddress | None) -> MasterProtocol:
        """Somebody connected."""
        return MasterProtocol(self)

    def close(self) -> Deferred[None]:
        """Close all connections; to be called when no port listens any more.

        :returns: fires when all are closed.
        """
        for protocol in self._open:
            protocol.close()
        deadline = self._clock.callLater(self._limits.close, self._abort)

        def closed(_: None) -> None:
            if deadline.active():
                deadline.cancel()

        return self._open.when_empty().addCallback(closed)

    def _abort(self) -> None:
        for protocol in self._open:
            protocol.abort()

    def opened(self, protocol: MasterProtocol) -> None:
        """A connection is up; nobody knows yet whose."""
        self._open.add(protocol)
        self.master.connected(protocol, protocol.peer_text)
        self._lobby.enter(protocol)

    def received(self, protocol: MasterProtocol, data: bytes) -> None:
        """A connection brought bytes."""
        self._apply(self.master.feed(protocol, data))
        if self.master.joined(protocol):
            self._lobby.leave(protocol)

    def closed(self, protocol: MasterProtocol, reason: str) -> None:
        """A connection is gone."""
        self._lobby.leave(protocol)
        self._apply(self.master.lost(protocol, reason))
        self._open.discard(protocol)

    def drop(self, protocol: MasterProtocol, reason: str) -> None:
        """Close a connection at once."""
        if protocol.dropped:
            return
        if not self.master.joined(protocol):
            self._strangers.dropped(protocol.peer_text, reason)
        protocol.abort()
        self._lobby.leave(protocol)
        self._apply(self.master.lost(protocol, reason))

    def _apply(self, effects: Effects) -> None:
        for connection, data in effects.writes:
            assert isinstance(connection, MasterProtocol)
            if connection.transport is not None:
                connection.transport.write(data)
        for connection, reason in effects.closes:
            assert isinstance(connection, MasterProtocol)
            self._lobby.leave(connection)
            self._strangers.dropped(connection.peer_text, reason)
            connection.close()
        for notice in effects.notices:
            emit = self._log.warn if notice.warn else self._log.info
            emit(notice.format, **notice.fields)

    def _sweep(self) -> None:
        self._lobby.sweep()
        self._strangers.sweep()
        now = self._clock.seconds()
        for protocol in self._open:
            # A full transport does not count up: it has to become empty in time.
            progress = -1 if protocol.full else self.master.half_open(protocol)
            if progress is None:
                protocol.stalled = None
            elif protocol.stalled is None or protocol.stalled[0] != progress:
                protocol.stalled = (progress, now)
            elif now - protocol.stalled[1] >= self._limits.stall:
                what = "it did not read" if protocol.full else "half a packet stood"
                self.drop(protocol, f"{what} for {self._limits.stall:g} s")
