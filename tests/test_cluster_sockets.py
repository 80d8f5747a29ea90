"""Cluster connections on real sockets of loopback: how they are closed."""

from __future__ import annotations

from typing import Any

from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.internet.protocol import Factory
from zope.interface import implementer

from skynet_tw.net.cluster import routing
from skynet_tw.net.kit.limits import ConnectionLimits
from skynet_tw.wire import cluster as wire

from .test_sockets import (
    ANY,
    LOOPBACK,
    Doorkeeper,
    Raw,
    SocketTestCase,
    WatchedFactory,
)

#: Pushes that the buffers of the system hold.
PUSHES = 2000


class Late(Raw):
    """Reads only when it is told to; closes when the other side does."""

    transport: Any

    def connectionMade(self) -> None:
        self.transport.pauseProducing()

    def read(self) -> None:
        """Read, from now on."""
        self.transport.resumeProducing()

    def pushes(self) -> int:
        """How many pushes have come."""
        return len(wire.RequestReader().feed(bytes(self.heard)))


@implementer(IHalfCloseableProtocol)
class Lasting(Raw):
    """Leaves its end open when the other one is closed, as real nodes do."""

    def readConnectionLost(self) -> None:
        """The other side says nothing more."""

    def writeConnectionLost(self) -> None:
        """We say nothing more."""


class ClosingTests(SocketTestCase):
    """Links and clients are closed when all is read, and as soon as it is."""

    # Longer than a test may take.
    limits = ConnectionLimits(close=100)

    async def test_unread(self) -> None:
        """A link is closed when the node has read all, and not replaced before."""
        keeper = Doorkeeper()
        factory = WatchedFactory(Factory.forProtocol(Late), keeper)
        listening = self.reactor.listenTCP(0, factory, interface=LOOPBACK)
        self.addCleanup(listening.stopListening)
        address = f"{LOOPBACK}:{listening.getHost().port}"
        service = self.start(0, cluster_nodes={"db": address})
        await service.node.when_ready()
        cluster = service.node.client().cluster
        cluster.send("db", "@x", 0)
        await keeper.have_accepted(1)
        (first,) = keeper.open
        self.addCleanup(first.read)
        await self.logged.when(lambda: service.cluster.linked() == ["db"])
        await self.turn()
        for n in range(1, PUSHES):
            cluster.send("db", "@x", n)
        # What we have not read when we close must not reset the connection.
        first.transport.getHandle().send(wire.result(7, b""))
        told = [cluster.reload({"db": False}), cluster.reload({"db": address})]
        cluster.send("db", "@x", PUSHES)
        for _ in range(20):
            await self.turn()
        self.assertNoResult(told[0])
        self.assertEqual(keeper.accepted, 1)
        accepted = keeper.have_accepted(1)
        first.read()
        await first.changed.when(lambda: first.lost)
        self.assertEqual(first.pushes(), PUSHES)
        for reloaded in told:
            await reloaded
        await accepted
        await self.turn()
        (second,) = keeper.open
        second.read()
        await second.changed.when(lambda: second.pushes() == 1)

    async def test_left_open(self) -> None:
        """A link is closed also to a node that leaves its end open."""
        self.patch(routing, "LINGER", 0.01)
        keeper = Doorkeeper()
        factory = WatchedFactory(Factory.forProtocol(Lasting), keeper)
        listening = self.reactor.listenTCP(0, factory, interface=LOOPBACK)
        self.addCleanup(listening.stopListening)
        address = f"{LOOPBACK}:{listening.getHost().port}"
        service = self.start(0, cluster_nodes={"db": address})
        await service.node.when_ready()
        cluster = service.node.client().cluster
        cluster.send("db", "@x", 0)
        await self.logged.when(lambda: service.cluster.linked() == ["db"])
        await self.turn()
        await cluster.reload({"db": False})
        keeper.open[0].close()

    async def test_paused(self) -> None:
        """A node that reads nobody notices all the same that a client has closed."""
        keeper = Doorkeeper()
        service = self.start(0, keeper=keeper, cluster_listen=[ANY])
        await service.node.when_ready()
        await self.connect(keeper.port(0))
        await keeper.have_accepted(0)
        service.cluster.pause_reading()
        await self.stop(service)
