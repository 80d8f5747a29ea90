# -*- test-case-name: tests.test_boot -*-
"""The node as Twisted's application framework starts and stops it."""

from __future__ import annotations

from collections.abc import Callable

from twisted.application.service import Service
from twisted.internet.defer import Deferred, succeed
from twisted.logger import Logger

from .boot import Boot
from .errors import BootFailed
from .interfaces import IRemote
from .node.node import Node


class NodeService(Service):
    """Boots a node, and stops it in order.

    :param node: the node.
    :param boot: its boot.
    :param remote: its remote layer, None for a node without one.
    :param on_failure: told when the boot failed after the ports were bound.
    :param closers: closed last: the master, where this node runs it.
    :param when_running: calls a function once the reactor runs.
    """

    _log = Logger()

    def __init__(
        self,
        node: Node,
        boot: Boot,
        remote: IRemote | None,
        on_failure: Callable[[BootFailed], None],
        closers: tuple[Callable[[], Deferred[None]], ...] = (),
        when_running: Callable[[Callable[[], None]], object] = lambda begin: begin(),
    ) -> None:
        self.node = node
        self.boot = boot
        self._remote = remote
        self._on_failure = on_failure
        self._closers = closers
        self._when_running = when_running
        self._bound = False

    def privilegedStartService(self) -> None:  # noqa: N802
        """Bind every port, with the rights that binding needs.

        :raises BootFailed: a port cannot be bound; nothing is left bound.
        """
        super().privilegedStartService()
        self._bound = True
        self.boot.bind()
        error = self.boot.error
        if error is not None:
            Deferred.fromCoroutine(self._close())
            assert error.value is not None
            raise error.value

    def startService(self) -> None:  # noqa: N802
        """Boot once the reactor runs; `Boot.when_ready` tells the end of it."""
        super().startService()
        self.node.enter_thread()
        if not self._bound:
            # ``twist`` has no privileges to drop and does not call the other.
            self.privilegedStartService()
        self.boot.when_ready().addErrback(self._failed)
        self._when_running(self._begin)

    def _begin(self) -> None:
        if self.running:
            self.node.enter_thread()
            self.boot.begin()

    def _failed(self, failure: object) -> None:
        error = self.boot.error
        if error is not None and isinstance(error.value, BootFailed):
            self._on_failure(error.value)

    def stopService(self) -> Deferred[None]:  # noqa: N802
        """End the actors, answer who waits for them, then close every connection."""
        super().stopService()
        self.boot.halt()
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        await self.node.stop()
        await self._close()

    async def _close(self) -> None:
        await (succeed(None) if self._remote is None else self._remote.leave())
        for close in self._closers:
            await close()
