"""Large messages of a cluster, beside which the small ones of others go on."""

from __future__ import annotations

from typing import Any, ClassVar

from twisted.internet.protocol import Factory
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from skynet_tw import Actor, QueueFull, command
from skynet_tw.net.cluster import serving
from skynet_tw.seri import pack
from skynet_tw.testing import MemoryNetwork, MemoryNodes
from skynet_tw.wire.cluster import Failure, ResponseReader

from ..net.linkworld import Stranger
from .test_cluster_strangers import request

SERVER = "server:7000"

#: Bytes of a large message: many times what a transport holds.
LARGE = 4 * 1024**2


class Service(Actor):
    """Takes and gives text of any length."""

    async def started(self) -> None:
        self.handled = 0
        await self.cluster.register("service")

    @command
    def TEXT(self, size: int) -> str:
        self.handled += 1
        return "x" * size

    @command
    async def LATER(self, size: int) -> str:
        await self.sleep(1)
        return "x" * size

    @command
    def LENGTH(self, text: str) -> int:
        return len(text)


class LargeCase(SynchronousTestCase):
    """Two nodes on a slow network."""

    #: About 800 KB in a second.
    network: ClassVar[dict[str, Any]] = {"delay": (0.01, 0.01), "chunk": 16 * 1024}

    def setUp(self) -> None:
        network = MemoryNetwork(Clock(), **self.network)
        self.nodes = MemoryNodes(network)
        self.addCleanup(self.nodes.stop)
        self.server = self.nodes.start(0, actors=[Service], cluster_listen=[SERVER])
        caller = self.nodes.start(0, cluster_nodes={"server": SERVER})
        self.nodes.ready()
        self.one, self.other = caller.node.client(), caller.node.client()


class LargeTests(LargeCase):
    """A slow network, on which a large message takes seconds."""

    def test_requests(self) -> None:
        """A large request of one actor does not hold up the small ones of another."""
        large = self.one.cluster.call("server", "@service", "LENGTH", "x" * LARGE)
        for _ in range(3):
            small = self.other.cluster.call("server", "@service", "LENGTH", "abc")
            self.assertEqual(self.nodes.result(small, within=0.5), 3)
        self.assertNoResult(large)
        self.assertEqual(self.nodes.result(large), LARGE)

    def test_answers(self) -> None:
        """A large answer does not hold up requests that come later, and theirs."""
        large = self.one.cluster.call("server", "@service", "TEXT", LARGE)
        self.nodes.run(0.5)
        for _ in range(3):
            small = self.other.cluster.call("server", "@service", "TEXT", 3)
            self.assertEqual(self.nodes.result(small, within=0.5), "xxx")
        self.assertNoResult(large)
        self.assertEqual(len(self.nodes.result(large)), LARGE)

    def test_unread(self) -> None:
        """Whoever reads no answers soon has no more requests read, also beside one."""
        connected = self.nodes.network.client(SERVER).connect(
            Factory.forProtocol(Stranger)
        )
        stranger = self.nodes.result(connected)
        assert isinstance(stranger, Stranger) and stranger.transport is not None
        stranger.transport.pauseProducing()  # type: ignore[attr-defined]
        stranger.say(request("@service", 1, pack("TEXT", LARGE)))
        for session in range(2, 2000):
            stranger.say(request("@service", session, pack("TEXT", 1000)))
        self.nodes.run(10)
        service = self.nodes.actor(self.server, Service)
        self.assertTrue(1 < service.handled < 1000, service.handled)
        stranger.transport.resumeProducing()  # type: ignore[attr-defined]
        self.nodes.run(30)
        self.assertEqual(service.handled, 1999)

    def test_unread_later(self) -> None:
        """The answers that wait for one client are bounded, also many small ones."""
        self.patch(serving, "MAX_WAITING", 1024**2)
        stranger: Any = self.nodes.result(
            self.nodes.network.client(SERVER).connect(Factory.forProtocol(Stranger))
        )
        stranger.transport.pauseProducing()
        sessions = range(1, 200)
        for session in sessions:
            stranger.say(request("@service", session, pack("LATER", 30_000)))
        self.nodes.run(3)
        self.flushLoggedErrors(QueueFull)
        self.assertLess(len(stranger.transport.other._waiting), 1.5 * 1024**2)
        stranger.transport.resumeProducing()
        self.nodes.run(10)
        answers: list[Any] = ResponseReader().feed(stranger.heard)
        answered = [it.session if isinstance(it, Failure) else it[0] for it in answers]
        self.assertEqual(sorted(answered), [*sessions])


class SlowTests(LargeCase):
    """A network on which it takes a minute."""

    network: ClassVar[dict[str, Any]] = {"delay": (0.1, 0.1), "chunk": 2 * 1024}

    def test_lives(self) -> None:
        """A node that takes a large request is not silent, though it answers later."""
        size = 600_000
        large = self.one.cluster.call(
            "server", "@service", "LENGTH", "x" * size, timeout=100
        )
        self.nodes.run(20, 0.1)
        self.assertNoResult(large)
        self.assertEqual(self.nodes.result(large), size)
