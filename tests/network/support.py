"""Whole nodes on a network in memory: what their tests share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from skynet_tw import Actor, Limits, SkynetError, Start, command
from skynet_tw.net.wires import DEFAULT_WIRE
from skynet_tw.service import NodeService
from skynet_tw.testing import MemoryNetwork, MemoryNodes
from skynet_tw.testing.course import NETWORKS
from skynet_tw.testing.invariants import check_books, check_idle


class Peer(Actor):
    """Notes the numbers that it is sent, and answers in every way.

    It takes its names first; what `started` waits for then is a subclass' affair.
    """

    async def started(self, *names: str) -> None:
        self.seen: list[int] = []
        self.hanging: list[Deferred[Any]] = []
        self.has_started = False
        for name in names:
            await self.register(name)
        await self.prepare()
        self.has_started = True

    async def prepare(self) -> None:
        """Do what takes its time."""

    @command
    def COUNT(self, i: int, *padding: str) -> int:
        assert self.has_started
        self.seen.append(i)
        return i

    @command
    def ECHO(self, *values: Any) -> tuple[Any, ...]:
        return values

    @command
    async def HANG(self, *values: Any) -> Any:
        wait: Deferred[Any] = Deferred()
        self.hanging.append(wait)
        await wait
        return values

    @command
    def FAIL(self) -> None:
        raise ValueError("on purpose")


class SlowPeer(Peer):
    """Is not ready for a second after its names are known."""

    async def prepare(self) -> None:
        await self.sleep(1.0)


class NetworkTestCase(SynchronousTestCase):
    """Runs nodes under seeds; the books balance, and nothing stays behind."""

    #: What the nodes speak.
    wire: ClassVar[str] = DEFAULT_WIRE

    @contextmanager
    def nodes(self, seed: int = 0) -> Iterator[MemoryNodes]:
        """A network of the kind that belongs to a seed."""
        delay, chunk = NETWORKS[seed % len(NETWORKS)]
        network = MemoryNetwork(Clock(), seed, delay, chunk)
        nodes = MemoryNodes(network, wire=self.wire)
        yield nodes
        self.balanced(nodes)
        services = list(nodes.services)
        nodes.stop()
        for service in services:
            check_books(service.node)
            check_idle(service.node)
        self.assertEqual(nodes.clock.getDelayedCalls(), [])
        self.assertEqual(nodes.network.wires, [])

    def balanced(self, nodes: MemoryNodes) -> None:
        """Check the books of all nodes."""
        for service in nodes.services:
            check_books(service.node)

    def three(
        self, nodes: MemoryNodes, limits: Limits | None = None, **options: Any
    ) -> list[NodeService]:
        """Boot three nodes in order, with the peers ONE, TWO and THREE.

        :param limits: those of node 2.
        """
        for harbor, name in enumerate(("ONE", "TWO", "THREE"), 1):
            nodes.start(
                harbor,
                standalone=harbor == 1,
                actors=[Start(Peer, (name,))],
                limits=limits if harbor == 2 else None,
                **options,
            )
            nodes.ready()
        for service in nodes.services:
            for name in ("ONE", "TWO", "THREE"):
                nodes.result(service.node.client().query(name))
        return list(nodes.services)

    def peer(self, nodes: MemoryNodes, service: NodeService) -> Peer:
        """The peer that lives in a node."""
        return nodes.actor(service, Peer)

    def failed(self, waiting: Deferred[Any], *kinds: type[SkynetError]) -> SkynetError:
        """The error with which a call has ended by now."""
        error = self.failureResultOf(waiting, *kinds).value
        assert isinstance(error, SkynetError)
        return error

    def assert_mesh(self, nodes: MemoryNodes) -> None:
        """Each peer calls each by the name ``P`` and its harbor, and by its handle."""
        calls = []
        for service in nodes.services:
            client = service.node.client()
            for other in nodes.services:
                harbor = other.node.harbor
                handle = self.peer(nodes, other).handle
                calls.append((client.call(f"P{harbor}", "ECHO", harbor), harbor))
                calls.append((client.call(handle, "ECHO", harbor), harbor))
        for call, harbor in calls:
            self.assertEqual(nodes.result(call), harbor)
