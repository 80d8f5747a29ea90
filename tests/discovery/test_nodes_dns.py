"""Whole nodes that find each other in DNS, as an orchestrator writes it."""

from __future__ import annotations

from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import gatherResults
from twisted.names import dns

from skynet_tw.discovery.dns import DNSDirectory
from skynet_tw.service import NodeService

from .dnsserver import DNSServerCase, Zone
from .whole import WholeCase

SERVICE = "_skynet._tcp.example.org"

NAMES = ("one", "two", "three")


class DNSNodesTests(DNSServerCase, WholeCase):
    """Nodes whose ports the system chose, and SRV records of these."""

    def setUp(self) -> None:
        self.zone = Zone({SERVICE: []})
        self.port = self.serve(self.zone)

    async def run_node(self, word: str) -> NodeService:
        """Start a node that asks the server."""
        net: Any = reactor
        resolver = self.resolver(self.port)
        directory = DNSDirectory(SERVICE, None, resolver, net)
        return await self.node(word, cluster_directory=directory)

    def publish(self, nodes: dict[str, NodeService], ttl: int) -> None:
        """Write the records: the port of each node, and its host."""
        records = []
        for name, node in nodes.items():
            host, _, port = self.address(node).rpartition(":")
            target = f"{name}.example.org"
            records.append(dns.Record_SRV(0, 0, int(port), target, ttl=ttl))
            self.zone.set(target, [dns.Record_A(host, ttl=ttl)])
        self.zone.set(SERVICE, records)

    async def test_find_each_other(self) -> None:
        """All nodes call all by their names; who is replaced elsewhere is found."""
        nodes = {name: await self.run_node(name) for name in NAMES}
        self.publish(nodes, 1)
        clusters = [node.node.client().cluster for node in nodes.values()]
        # An answer without nodes holds for some seconds: ask again now.
        await gatherResults([cluster.reload() for cluster in clusters])
        for cluster in clusters:
            for name in NAMES:
                self.assertEqual(await cluster.call(name, "@relay", "WORD"), name)
        one = clusters[0]
        known = one.nodes()
        another = await self.run_node("another")
        # A question that is under way at the end leaves a timer of Twisted's behind.
        await clusters[1].reload()
        await nodes["two"].stopService()
        waiting = one.call("two", "@relay", "WORD")
        moved = {**nodes, "two": another}
        self.publish(moved, 1)
        # By itself now: the records hold for a second.
        changed = await one.nodes_other_than(known)
        self.assertEqual(changed, {**known, "two": self.address(another)})
        self.assertEqual(await waiting, "another")
        # Nor is one under way here.
        self.publish(moved, 60)
        await gatherResults(
            [node.node.client().cluster.reload() for node in moved.values()]
        )
