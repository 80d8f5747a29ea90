"""A shell in memory: whole commands, on a network and a clock of the test."""

from __future__ import annotations

import io
from typing import NamedTuple

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.python import usage

from skynet_tw import Actor
from skynet_tw.cli import commands, failures, options
from skynet_tw.service import NodeService
from skynet_tw.testing.network import MemoryNetwork
from skynet_tw.testing.nodes import MemoryNodes

#: Where the node of a test listens for the cluster.
ADDRESS = "127.0.0.1:7000"


class Ended(NamedTuple):
    """How a command ended."""

    status: int
    out: str
    err: str


class Shell:
    """Runs commands beside a node that listens at `ADDRESS`.

    :param actors: what the node starts.
    """

    def __init__(self, *actors: type[Actor]) -> None:
        self.nodes = MemoryNodes(MemoryNetwork(Clock()))
        #: The node.
        self.service: NodeService = self.nodes.start(
            0, actors=actors, cluster_listen=[ADDRESS]
        )
        self.nodes.ready()

    def run(self, *words: str) -> Ended:
        """Run a command line until its end, as `skynet_tw.cli.main` does."""
        return self.nodes.result(self.begin(*words))

    def begin(self, *words: str) -> Deferred[Ended]:
        """Begin a command line."""
        return Deferred.fromCoroutine(self._run(list(words)))

    async def _run(self, words: list[str]) -> Ended:
        out, err = io.StringIO(), io.StringIO()
        try:
            request = options.read(words)
        except usage.UsageError as error:
            status = failures.USAGE
            commands.write(err, failures.usage(error))
        else:
            network = self.nodes.network
            status = await commands.run(
                self.nodes.clock,
                request,
                out,
                err,
                server=network.server,
                client=network.client,
            )
        return Ended(status, out.getvalue(), err.getvalue())

    def stop(self) -> None:
        """Stop the node; nothing is left of any command.

        :raises AssertionError: a connection or a delayed call is.
        """
        self.nodes.stop()
        assert not self.nodes.network.wires, self.nodes.network.wires
        calls = self.nodes.clock.getDelayedCalls()
        assert not calls, calls
