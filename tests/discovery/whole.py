"""Whole nodes that find each other: processes, and nodes in the test's own process."""

from __future__ import annotations

from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.trial.unittest import TestCase

from skynet_tw import Actor, Start, command, make_node
from skynet_tw.service import NodeService

from ..processes import ROOT, NodeProcess

#: Where a node listens that shall choose a free port and say which.
ANY = "127.0.0.1:0"


class Relay(Actor):
    """Has a word, and asks the relays of other nodes for theirs."""

    async def started(self, word: str) -> None:
        self.word = word
        await self.cluster.register("relay")

    @command
    def WORD(self) -> str:
        return self.word

    @command
    def ASK(self, node: str) -> Deferred[Any]:
        return self.cluster.call(node, "@relay", "WORD")


class WholeCase(TestCase):
    """A test with nodes that have a relay each."""

    async def process(self, word: str, *options: str) -> NodeProcess:
        """Run a node by ``twistd``, and wait until it is ready."""
        process = NodeProcess.node(
            reactor,
            *("--path", str(ROOT), "--harbor", "0", "--cluster-listen", ANY),
            *("--start", f"{__name__}:Relay {word}", *options),
        )
        self.addCleanup(process.stop, "KILL")
        await process.wait_for("node ready")
        return process

    async def node(self, word: str, **config: Any) -> NodeService:
        """Start a node in this process, and wait until it is ready."""
        service = make_node(
            {"harbor": 0, "cluster_listen": [ANY], **config},
            reactor=reactor,
            actors=[Start(Relay, (word,))],
        )
        service.startService()
        self.addCleanup(service.stopService)
        await service.when_ready()
        return service

    def address(self, node: NodeService | NodeProcess) -> str:
        """Where a node listens."""
        if isinstance(node, NodeService):
            return str(node.cluster.addresses()[0])
        [line] = [it for it in node.lines if "cluster listens on " in it]
        return line.rpartition(" ")[2]
