"""Node tables that our nodes send to a real one, which then knows whom we know."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.testing import EventLoggingObserver
from twisted.logger import formatEvent, globalLogPublisher

from skynet_tw import Actor, Start, command
from skynet_tw.discovery.table import TableDirectory

from ..processes import ROOT
from ..test_docs import blocks
from .clusters import ANY, ClusterCase, ClusterProbe, RealNode
from .world import free_address


class Bank(Actor):
    """A bank with a word, which is its answer."""

    async def started(self, word: str) -> None:
        self.word = word
        await self.cluster.register("bank")

    @command
    def WORD(self) -> str:
        return self.word


class PushTests(ClusterCase):
    """A real node with the service ``@nodes``, and one of ours with a directory."""

    def setUp(self) -> None:
        super().setUp()
        self.observer = EventLoggingObserver.createWithCleanup(self, globalLogPublisher)

    async def pusher(self, real: RealNode) -> ClusterProbe:
        """Start the node of ours that tells the real one."""
        self.found = {"real": real.address}
        self.directory = TableDirectory(self.found)
        node = await self.our_node(
            {},
            cluster_nodes=None,
            cluster_directory=self.directory,
            start=["skynet_tw.discovery.push:TablePusher real @nodes"],
        )
        return self.cluster_probe(node)

    async def find(self, **changes: str | None) -> None:
        """Let the directory find nodes, or lose them, and wait until Lua knows."""
        before = len(self.lines)
        found = {**self.found, **changes}
        self.found = {name: it for name, it in found.items() if it is not None}
        self.directory.update(self.found)
        said = f"real@nodes knows where {len(self.found)} nodes are"
        await self.until(lambda: said in self.lines[before:])

    async def bank(self, word: str) -> str:
        """Start a bank, which only the directory will know; and where it is."""
        node = await self.our_node({}, actors=[Start(Bank, (word,))])
        address: str = node.cluster.addresses()[0]
        return address

    def word(self, ours: ClusterProbe) -> Deferred[Any]:
        """What the bank answers to a call from Lua."""
        return Deferred.fromCoroutine(self.lua(ours, "call", "bank", "@bank", "WORD"))

    @property
    def lines(self) -> list[str]:
        """What the pusher has logged."""
        return [
            formatEvent(event)
            for event in self.observer
            if event["log_namespace"].startswith("skynet_tw.discovery.push")
        ]

    def test_page(self) -> None:
        """The service of these tests is the one that the documentation shows."""
        [(_, shown)] = blocks(ROOT / "docs" / "discovery.md", "lua")
        service = ROOT / "tests" / "real" / "services" / "nodes.lua"
        self.assertEqual(service.read_text().partition("\n\n")[2], shown)

    async def test_learns(self) -> None:
        """Lua calls nodes that its own table never had, until they are gone."""
        real = await self.real_node(ANY, "nodes")
        ours = await self.pusher(real)
        waiting = self.word(ours)
        await self.find(bank=await self.bank("first"))
        self.assertEqual(await waiting, "first")
        await self.find(bank=await self.bank("second"))
        self.assertEqual(await self.word(ours), "second")
        await self.find(bank=None)
        await self.lua_fails(ours, "call", "bank", "@bank", "WORD")

    async def test_comes_back(self) -> None:
        """A Lua node that was started again is told what it has forgotten."""
        address = free_address()
        real = await self.real_node(address, "nodes")
        ours = await self.pusher(real)
        await self.find(bank=await self.bank("first"))
        await real.process.stop("KILL")
        await self.real_node(address, "nodes")
        self.assertEqual(await self.word(ours), "first")

    async def test_no_service(self) -> None:
        """A node without the service is named in one line, and is not disturbed."""
        real = await self.real_node(ANY)
        ours = await self.pusher(real)
        await self.until(lambda: self.lines)
        [line] = self.lines
        self.assertRegex(
            line,
            r"^real@nodes does not take the node table: .+"
            r" \(a service there has to do cluster\.reload\); trying again$",
        )
        self.assertEqual(await ours.cluster.call("real", "@probe", "ECHO", 1), 1)
