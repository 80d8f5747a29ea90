"""Whole nodes and a real etcd: nodes are found, killed, replaced; etcd is away."""

from __future__ import annotations

from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults

from skynet_tw.discovery.etcd import TTL
from skynet_tw.node.cluster_calls import ClusterAccess

from ..processes import NodeProcess
from .etcdserver import EtcdServerCase
from .whole import WholeCase

net: Any = reactor

NAMES = ("one", "two", "three")


class EtcdNodesTests(EtcdServerCase, WholeCase):
    """Three processes, and a node in this one that only calls them."""

    timeout = 120

    async def setUp(self) -> None:  # type: ignore[override]
        await super().setUp()
        running = [Deferred.fromCoroutine(self.run_node(name)) for name in NAMES]
        self.processes = dict(zip(NAMES, await gatherResults(running), strict=True))
        caller = await self.node(
            "caller", cluster_listen=[], cluster_directory=f"etcd:{self.url}"
        )
        self.cluster: ClusterAccess = caller.node.client().cluster
        await self.until_all_are_known()

    async def run_node(self, name: str, word: str = "") -> NodeProcess:
        """Run a node that publishes its name."""
        return await self.process(
            *(word or name, "--cluster-directory", f"etcd:{self.url}"),
            *("--cluster-name", name),
        )

    async def until_all_are_known(self) -> None:
        """Wait until who calls knows exactly the processes."""
        nodes = {name: self.address(it) for name, it in self.processes.items()}
        known = self.cluster.nodes()
        while known != nodes:
            known = await self.cluster.nodes_other_than(known)

    def ask(self, *message: str) -> Deferred[Any]:
        """Call the relay of a node."""
        node, *values = message
        return self.cluster.call(node, "@relay", *values)

    async def test_find_each_other(self) -> None:
        """All nodes call all by their names, though each was told nothing but etcd."""
        for one in NAMES:
            for other in NAMES:
                self.assertEqual(await self.ask(one, "ASK", other), other)
        for process in self.processes.values():
            self.assertEqual(await process.stop(), 0, process.output)
        # Who stops in order is gone at once.
        self.processes.clear()
        await self.until_all_are_known()

    async def test_killed(self) -> None:
        """A killed node is gone within its lease; calls wait for who replaces it."""
        self.assertEqual(await self.ask("two", "WORD"), "two")
        began = net.seconds()
        await self.processes.pop("two").stop("KILL")
        await self.until_all_are_known()
        # etcd looks for leases that have ended twice a second, and is not alone here.
        self.assertLess(net.seconds() - began, TTL + 3)
        waiting = [self.ask("two", "WORD"), self.ask("three", "ASK", "two")]
        self.processes["two"] = await self.run_node("two", "another")
        self.assertEqual(await gatherResults(waiting), ["another", "another"])

    async def test_etcd_restarts(self) -> None:
        """While etcd is killed and started again, no call fails."""
        self.answers, self.calling = 0, True
        calls = Deferred.fromCoroutine(self.call_always())
        await self.etcd.stop("KILL")
        for process in self.processes.values():
            await process.wait_for("etcd at .*; trying again, the nodes stay")
        before = self.answers
        self.assertEqual(await self.ask("one", "ASK", "two"), "two")
        await self.run_etcd()
        for process in self.processes.values():
            await process.wait_for("etcd at .*: it is back")
        self.assertGreater(self.answers, before)
        # All that etcd does is there again.
        self.processes["four"] = await self.run_node("four")
        await self.until_all_are_known()
        self.assertEqual(await self.ask("one", "ASK", "four"), "four")
        self.calling = False
        await calls

    async def call_always(self) -> None:
        """Call one node after the other, until it is enough."""
        while self.calling:
            for name in NAMES:
                self.assertEqual(await self.ask(name, "WORD"), name)
                self.answers += 1
