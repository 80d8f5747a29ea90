"""Nodes in cluster mode, real ones and ours, side by side on loopback."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from skynet_tw import Start, command, make_node
from skynet_tw.net.kit.limits import ConnectionLimits
from skynet_tw.service import NodeService

from ..processes import NodeProcess
from .world import Probe, RealCase

#: Where a node listens that shall choose a free port and say which.
ANY = "127.0.0.1:0"


class ClusterProbe(Probe):
    """A probe that others find as ``@probe``, and this node as ``.probe``."""

    async def started(self, *names: str) -> None:
        await super().started(".probe")
        await self.cluster.register("probe")

        #: Fires when who sent the last WATCH is gone.
        self.watched: Deferred[str] | None = None

    @command
    def WATCH(self) -> None:
        self.watched = self.watch(self.sender)

    @command
    def BLOB(self, size: int) -> str:
        unit = "0123456789abcdef"
        return (unit * (size // len(unit) + 1))[:size]


@dataclass
class RealNode:
    """A real node with the service clusternode."""

    process: NodeProcess
    #: Where it listens.
    address: str
    #: The handle of its probe.
    probe: int


class ClusterCase(RealCase):
    """A test with real nodes in cluster mode."""

    async def real_node(self, address: str = ANY, *service: str) -> RealNode:
        """Start a real node, with one service more if it is named."""
        start = " ".join(["clusternode", address, *service])
        process = self.run_real("--harbor", "0", "--start", start)
        found = await process.wait_for(r"clusternode ready (\S+) probe :(\w+)")
        return RealNode(process, found[1], int(found[2], 16))

    def start_node(
        self,
        nodes: dict[str, str | bool] | str,
        *,
        actors: Sequence[Start] = (Start(ClusterProbe),),
        connections: ConnectionLimits | None = None,
        **options: Any,
    ) -> NodeService:
        """Start a node of ours with a table, or file, of nodes; it boots by itself."""
        config = {"harbor": 0, "cluster_listen": [ANY], "cluster_nodes": nodes}
        service = make_node(
            {**config, **options},
            reactor=reactor,
            actors=actors,
            on_failure=self.failures.append,
            connections=connections,
        )
        service.startService()
        self.addCleanup(self.stop_ours, service)
        return service

    async def our_node(
        self, nodes: dict[str, str | bool] | str, **options: Any
    ) -> NodeService:
        """Start a node of ours, and wait until it is ready."""
        service = self.start_node(nodes, **options)
        await service.node.when_ready()
        return service

    async def pair(
        self, *service: str, **options: Any
    ) -> tuple[ClusterProbe, RealNode]:
        """Start one of each: ``real`` is known to ours, and ``ours`` to the real one.

        :param service: the real node's additional service, and its arguments.
        :param options: of our node.
        :returns: the probe of ours, and the real node.
        """
        real = await self.real_node(ANY, *service)
        node = await self.our_node({"real": real.address}, **options)
        ours = self.cluster_probe(node)
        await self.introduce(ours, node)
        return ours, real

    async def introduce(self, ours: ClusterProbe, node: NodeService) -> None:
        """Tell the real node where our node is."""
        address = node.cluster.addresses()[0]
        await self.lua(ours, "reload", {"ours": address})

    async def lua(self, ours: ClusterProbe, function: str, *args: Any) -> Any:
        """What a function of ``skynet.cluster`` returns in the real node."""
        call = ours.cluster.call("real", "@probe", "CLUSTER", function, *args)
        answer = await call
        ok, *results = answer if isinstance(answer, tuple) else (answer,)
        self.assertIs(ok, True, results)
        return results[0] if len(results) == 1 else tuple(results) or None

    async def lua_fails(self, ours: ClusterProbe, function: str, *args: Any) -> str:
        """The text of the error that a function raises there."""
        ok, text = await ours.cluster.call("real", "@probe", "CLUSTER", function, *args)
        self.assertIs(ok, False)
        return text

    def cluster_probe(self, service: NodeService) -> ClusterProbe:
        """The probe of a node of ours."""
        probe = self.probe(service)
        assert isinstance(probe, ClusterProbe)
        return probe

    async def until(self, condition: Callable[[], object]) -> None:
        """Wait for something that no Deferred tells; the test's time limits it."""
        while not condition():
            await deferLater(reactor, 0.01)


def body(size: int, *before: int) -> int:
    """How long a text is which makes a message of *size* bytes.

    :param before: the lengths of the short texts in front of it.
    """
    left = size - sum(length + 1 for length in before)
    # The head of a text has its length in 2 bytes, of a longer one in 4.
    return left - 3 if left - 3 < 0x10000 else left - 5
