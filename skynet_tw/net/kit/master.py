# -*- test-case-name: tests.net.test_strangers,tests.net.test_strangers2013 -*-
"""The master's port: its connections, whatever the wire."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress, IReactorTime
from twisted.internet.protocol import Factory, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure

from ...link.effects import Close, Effect, LogLine, Write
from ...link.master_core import MasterCore
from ...repeater import Repeater
from .closing import close_within
from .connections import Connection, Connections
from .handshakes import PendingHandshakes
from .limits import ConnectionLimits
from .logging import FoldedLog, emit
from .shell import Shell


class MasterConnection(Connection):
    """A connection that somebody opened: a harbor or a stranger.

    :param factory: the master that it belongs to.
    """

    def __init__(self, factory: MasterFactory) -> None:
        super().__init__()
        self._factory = factory

    def opened(self) -> None:
        self.watch_pressure()
        self._factory.opened(self)

    def dataReceived(self, data: bytes) -> None:
        """Take what it says."""
        if self.ended is None:
            self._factory.received(self, data)

    def on_ended(self, reason: str) -> None:
        """Count the connection as lost."""
        self._factory.ended(self, reason)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._factory.closed(self, reason.getErrorMessage())


class MasterFactory(Factory):
    """A master: listen with it on the port that the harbors connect to.

    It begins to watch its connections with the first port that listens, and ends with
    the last.

    :param master: the table of harbors and names.
    :param clock: tells the time, and when to look at the connections.
    :param limits: limits on unidentified and stalled connections.
    :param does: what is done for more kinds of effects, by their classes.
    """

    noisy = False
    _log: ClassVar[Logger] = Logger()

    def __init__(
        self,
        master: MasterCore[Any, Any],
        clock: IReactorTime,
        limits: ConnectionLimits,
        does: Mapping[type, Callable[[Any], object]],
    ) -> None:
        #: The table of harbors and names.
        self.master = master
        self.clock = clock
        self.limits = limits
        self.connections: Connections[MasterConnection] = Connections()
        self._pending = PendingHandshakes(clock, limits)
        self._strangers = FoldedLog("master's port")
        #: Whether no connection is wanted any more.
        self.is_closing = False
        self._sweeper = Repeater(self.sweep, limits.sweep, clock)
        self._shell = Shell(
            {
                Write: self.write,
                Close: self._close,
                LogLine: lambda line: emit(self._log, line),
                **does,
            }
        )

    def startFactory(self) -> None:
        self._sweeper.start()

    def stopFactory(self) -> None:
        self._sweeper.stop()

    def buildProtocol(self, addr: IAddress | None) -> MasterConnection:
        return MasterConnection(self)

    def close(self) -> Deferred[None]:
        """Close all connections; to be called when no port listens any more.

        :returns: fires when all are closed.
        """
        return close_within(self.limits.close, self.clock, self.closing(), self.abort)

    def closing(self) -> list[Deferred[None]]:
        """Close all connections; each Deferred fires when a part is closed."""
        self.is_closing = True
        for connection in self.connections:
            connection.close()
        return [self.connections.when_empty()]

    def abort(self) -> None:
        """Close at once what is not closed yet."""
        for connection in self.connections:
            connection.abort("the master ends")

    # The connections that others opened

    def opened(self, connection: MasterConnection) -> None:
        """A connection is up; nobody knows yet whose."""
        self.connections.add(connection)
        self.master.connected(connection, connection.peer_text)
        self._pending.enter(connection)

    def received(self, connection: MasterConnection, data: bytes) -> None:
        """A connection brought bytes."""
        if self.is_closing:
            return
        self.do(self.master.feed(connection, data))
        if self.master.joined(connection):
            self._pending.leave(connection)

    def closed(self, connection: MasterConnection, reason: str) -> None:
        """A connection is gone."""
        self._pending.leave(connection)
        self.do(self.master.lost(connection, reason))
        self.connections.discard(connection)

    def ended(self, connection: MasterConnection, reason: str) -> None:
        """We refuse or abort a connection."""
        if not (self.is_closing or self.master.joined(connection)):
            self._strangers.dropped(connection.peer_text, reason)
        self._pending.leave(connection)
        self.do(self.master.lost(connection, reason))

    # What the core wants

    def do(self, effects: list[Effect]) -> None:
        """Do what the core wants to be done."""
        self._shell.do(effects)

    def write(self, effect: Write) -> None:
        """Write to a connection."""
        assert isinstance(effect.to, MasterConnection)
        effect.to.write(effect.data)

    def _close(self, effect: Close) -> None:
        connection = effect.connection
        assert isinstance(connection, MasterConnection)
        connection.refuse(str(effect.error), effect.farewell)

    def sweep(self) -> None:
        """Close connections that keep us waiting."""
        self._pending.sweep()
        self._strangers.sweep()
        now = self.clock.seconds()
        stall = self.limits.stall
        for connection in self.connections:
            full = connection.is_full
            mark = connection.unread if full else self.master.half_open(connection)
            if connection.progress.stands(mark, now) >= stall:
                what = "it did not read" if full else "half a packet stood still"
                connection.abort(f"{what} for {stall:g} s")
