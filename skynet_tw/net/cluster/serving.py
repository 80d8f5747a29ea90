# -*- test-case-name: tests.network.test_cluster -*-
"""Nodes that call us: the connections to our ports."""

from __future__ import annotations

from typing import Protocol as TypingProtocol

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress, IReactorTime
from twisted.internet.protocol import Factory
from zope.interface import implementer

from ...errors import QueueFull, SkynetError
from ...interfaces import IClient, IClusterReceiver, LinkInfo
from ...link.cluster import ClusterServer
from ...link.effects import LogLine
from ...link.parts import AT_ONCE
from ..kit.connections import Connections
from ..kit.limits import ConnectionLimits
from ..kit.logging import FoldedLog
from ..kit.progress import Progress
from ..kit.shell import Shell
from .calling import EVERYTHING, ROOM
from .protocol import ClusterConnection

#: Bytes of answers that may wait for one client; what is beyond gets an error.
MAX_WAITING = 64 * 1024 * 1024


class Surroundings(TypingProtocol):
    """What all clients of a node share."""

    clock: IReactorTime
    limits: ConnectionLimits
    #: Whether no client is read.
    paused: bool

    @property
    def receiver(self) -> IClusterReceiver: ...


@implementer(IClient)
class Client:
    """A node that calls us, by one connection.

    :param clients: all of them.
    """

    def __init__(self, clients: Clients) -> None:
        self._clients = clients
        self._core = ClusterServer()
        self._connection: ClusterConnection | None = None
        self._agent: object = None
        self._progress = Progress()
        self._unread = Progress()
        self._since = 0.0
        self._bytes_out = 0
        #: Bytes of small answers that were written while the transport was full.
        self._beyond = 0
        self.address = ""
        self.is_open = False
        self._shell = Shell({LogLine: self._note})

    # The connection: its owner

    def opened(self, connection: ClusterConnection) -> None:
        """The connection is made."""
        around = self._clients.around
        self.address = connection.peer_text
        self._since = around.clock.seconds()
        reason = self._clients.refuses()
        if reason is None:
            try:
                self._agent = around.receiver.client_connected(self)
            except SkynetError as error:
                reason = str(error)
        if reason is not None:
            connection.abort(reason)
            self._clients.strangers.dropped(self.address, reason)
            return
        self._connection = connection
        self.is_open = True
        self._clients.open.add(self)
        self.read()

    def received(self, data: bytes) -> None:
        """Take one read; all requests in it are handed on at once."""
        core = self._core
        requests = core.feed(data)
        if requests:
            self._clients.around.receiver.requests_received(self._agent, requests)
        if core.effects:
            self._shell.do(core.take_effects())
        if core.has_more:
            # Not what actors answer, but what the connection itself does.
            self.flush()

    def _note(self, line: LogLine) -> None:
        """It sent what cannot be used; any number of clients may do so."""
        text = line.format.format(**line.fields)
        self._clients.ignored.dropped(self.address, text)

    def full(self) -> None:
        """It does not read our answers as fast as we write them."""

    def free(self) -> None:
        """It has read them."""
        self._beyond = 0
        self.flush()
        self.read()

    def closed(self, connection: ClusterConnection, reason: str) -> None:
        """The connection is closed."""
        if self._connection is not None:
            self._connection = None
            self.is_open = False
            self._clients.open.discard(self)
            self._clients.around.receiver.client_lost(self._agent, reason)

    # Answers: IClient

    def answer(self, session: int, body: bytes) -> None:
        """Collect what a request returned."""
        waiting = self._core.waiting + self._beyond
        if waiting and waiting + len(body) > MAX_WAITING:
            raise QueueFull(
                f"{waiting} bytes of answers wait for {self.address} already"
            )
        self._core.answer(session, body)

    def fail(self, session: int, reason: str) -> None:
        """Collect why a request failed."""
        self._core.fail(session, reason)

    def flush(self) -> None:
        """Write what was collected, and of large answers what the transport takes."""
        connection, core = self._connection, self._core
        if connection is None:
            return
        data = core.take(0 if connection.is_full else ROOM)
        if data:
            self._write(connection, data)
        while core.busy and not connection.is_full and connection is self._connection:
            self._write(connection, core.take(ROOM))
        if connection.is_full:
            self.read()

    def _write(self, connection: ClusterConnection, data: bytes) -> None:
        self._bytes_out += len(data)
        if connection.is_full:
            self._beyond += len(data)
        connection.write_out(data)

    # Watching

    @property
    def _is_behind(self) -> bool:
        """Whether too much of our answers is not read, to read more requests.

        That the transport is full does not tell: it always is while a large answer is
        under way, and this is not to hold up small ones.
        """
        connection = self._connection
        full = connection is not None and connection.is_full
        return self._beyond > ROOM or (full and self._core.under_way > AT_ONCE)

    def read(self) -> None:
        """Read it, or not, as all are read now."""
        connection = self._connection
        if connection is not None:
            connection.read(self._clients.reading and not self._is_behind)

    def info(self) -> LinkInfo:
        """The connection as it is."""
        connection = self._connection
        assert connection is not None
        return LinkInfo(
            f"from {self.address}",
            self.address,
            self._clients.around.clock.seconds() - self._since,
            self._core.bytes_read,
            self._bytes_out,
            connection.is_full,
        )

    def sweep(self, now: float) -> None:
        """Drop it if it stands still in the middle of something."""
        connection, stall = self._connection, self._clients.around.limits.stall
        if connection is None:
            return
        # What we do not read does not move because of us.
        is_read = self._clients.reading and not connection.is_full
        half_open = self._core.half_open if is_read else None
        if self._unread.stands(connection.unread, now) >= stall:
            self._drop(f"it read nothing for {stall:g} s")
        elif self._progress.stands(half_open, now) >= stall:
            self._drop(f"half a request stood still for {stall:g} s")

    @property
    def is_silent(self) -> bool:
        """Whether it has said nothing at all."""
        return self._core.bytes_read == 0

    def make_room(self) -> None:
        """Close at once, for another one that may have something to say."""
        self._drop("it said nothing, and another one came")

    def _drop(self, reason: str) -> None:
        assert self._connection is not None
        self._clients.strangers.dropped(self.address, reason)
        self._connection.abort(reason)

    def close(self) -> None:
        """Write what is left, and close."""
        if self._connection is not None:
            self._connection.write_out(self._core.take(EVERYTHING))
            self._connection.close()


class Clients(Factory):
    """All nodes that call us; builds the protocols of our ports.

    :param around: what they share with the rest of the layer.
    """

    noisy = False

    def __init__(self, around: Surroundings) -> None:
        self.around = around
        self.open: Connections[Client] = Connections()
        self.strangers = FoldedLog("port of the cluster")
        self.ignored = FoldedLog("port of the cluster", "ignored something of")
        self._connections: Connections[ClusterConnection] = Connections()
        self._serving = False
        self._closing = False

    def buildProtocol(self, addr: IAddress | None) -> ClusterConnection:
        """A node connects to us."""
        return _Accepted(Client(self), self._connections)

    @property
    def reading(self) -> bool:
        """Whether what they ask is read."""
        return self._serving and not self.around.paused

    def refuses(self) -> str | None:
        """Why no other connection is wanted, None if one is."""
        if self._closing:
            return "this node leaves"
        most = self.around.limits.clients
        if len(self.open) >= most:
            # Those that we do not read may well have said something.
            silent = [client for client in self.open if client.is_silent]
            if not self.reading or not silent:
                return f"{most} nodes are connected already"
            silent[0].make_room()
        return None

    def serve(self) -> None:
        """Read what they ask, from now on."""
        self._serving = True
        self.read()

    def read(self) -> None:
        """Read all, or leave with them what they send, as it is wanted now."""
        for client in self.open:
            client.read()

    def infos(self) -> list[LinkInfo]:
        """Describe the connections, in the order in which they were made."""
        return [client.info() for client in self.open]

    def sweep(self) -> None:
        """Drop those that stand still."""
        self.strangers.sweep()
        self.ignored.sweep()
        now = self.around.clock.seconds()
        for client in self.open:
            client.sweep(now)

    def close(self) -> Deferred[None]:
        """Write what is left, and close all; fires when all are closed."""
        self._closing = True
        for client in self.open:
            client.close()
        return self._connections.when_empty()

    def abort(self) -> None:
        """Close at once what is not closed yet."""
        for connection in self._connections:
            connection.abort("this node leaves")


class _Accepted(ClusterConnection):
    """A connection of a client, until its transport is gone."""

    def __init__(self, owner: Client, all_open: Connections[ClusterConnection]) -> None:
        super().__init__(owner)
        self._all = all_open

    def opened(self) -> None:
        self._all.add(self)
        super().opened()

    def connectionLost(self, reason=None):  # type: ignore[no-untyped-def]
        super().connectionLost(reason)
        self._all.discard(self)
