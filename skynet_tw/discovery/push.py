# -*- test-case-name: tests.discovery.test_push -*-
"""An actor that tells a Lua node where the nodes are, as its own node finds them."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, DeferredList
from twisted.logger import Logger

from .. import Actor
from ..errors import RemoteError, SkynetError
from ..net.kit.logging import FailureLog
from .nodetable import lua_table

#: Seconds between two pushes of the same table, and after one that failed.  A Lua node
#: that was started again has only its own file.
EVERY = 5.0


class TablePusher(Actor):
    """Sends the node table to a service of a Lua node, at each change and again.

    The service gets a call with a command and the table, and does ``cluster.reload``
    with the table: addresses by the names of nodes, false for those that are gone.
    Where it is the same table as before, that has no effect (cluster, section 7).
    """

    _log = Logger()

    def started(self, node: str, target: str, command: str = "RELOAD") -> None:
        """Begin.

        :param node: the Lua node, by its name in this node's own table.
        :param target: the service: ``@name`` or ``.name``.
        :param command: what it calls that.
        :raises BadAddress: there can be no such service.
        """
        self._service = self.cluster.proxy(node, target)
        self._command = command
        #: The nodes that the last push told of, None if it was not taken.
        self._told: dict[str, str] | None = None
        #: The nodes that the Lua node may have heard of.
        self._heard: set[str] = set()
        self._failures = FailureLog(
            self._log,
            "{service} does not take the node table: {error}; trying again",
            service=self._service.address,
        )
        self.fork(self._push_always())

    async def _push_always(self) -> None:
        while True:
            nodes = self.cluster.nodes()
            try:
                await self._push(nodes)
            except RemoteError as error:
                self._failed(f"{error} (a service there has to do cluster.reload)")
            except SkynetError as error:
                self._failed(str(error))
            await self._changed(nodes)

    async def _push(self, nodes: dict[str, str]) -> None:
        addresses = lua_table(nodes)
        table = lua_table(nodes, self._heard)
        # Also where the call fails: it may have run.
        self._heard.update(addresses)
        await self._service.call(self._command, table)
        self._heard = set(addresses)
        self._failures.succeeded()
        if nodes != self._told:
            self._told = nodes
            self._log.info(
                "{service} knows where {count} nodes are",
                service=self._service.address,
                count=len(addresses),
            )

    def _failed(self, error: str) -> None:
        self._told = None
        self._failures.failed(error)

    async def _changed(self, nodes: dict[str, str]) -> None:
        """Wait until the nodes are others, for some seconds at most."""
        waits: list[Deferred[Any]] = [
            self.cluster.nodes_other_than(nodes),
            self.sleep(EVERY),
        ]
        try:
            await DeferredList(waits, fireOnOneCallback=True, consumeErrors=True)
        finally:
            for wait in waits:
                wait.cancel()
