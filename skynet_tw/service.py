# -*- test-case-name: tests.test_boot -*-
"""The node as Twisted's application framework starts and stops it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred, gatherResults
from twisted.logger import Logger

from .boot import Boot
from .errors import BootFailed
from .interfaces import ILayer
from .node.node import Node

_ONCE = "a node starts once; for the next time, make another"


class NodeService(Service):
    """Boots a node, and stops it in order.

    A node starts once.  Actors and other nodes hold its handles, so that it cannot
    become another one: whoever wants it back makes a new service.

    :param node: the node.
    :param boot: its boot.
    :param layers: its remote layers.
    :param on_failure: told when the boot failed after the ports were bound; by default
        that is one line in the log.
    :param closers: closed last: the master, where this node runs it.
    :param when_running: calls a function once the reactor runs.
    """

    _log = Logger()

    def __init__(
        self,
        node: Node,
        boot: Boot,
        layers: Sequence[ILayer],
        on_failure: Callable[[BootFailed], object] | None = None,
        closers: Sequence[Callable[[], Deferred[None]]] = (),
        when_running: Callable[[Callable[[], None]], object] = lambda begin: begin(),
    ) -> None:
        #: The node.
        self.node = node
        #: Its cluster: what is bound, and where the nodes are.
        self.cluster: Any = None
        self.boot = boot
        self._layers = layers
        self._on_failure = self._log_failure if on_failure is None else on_failure
        self._closers = closers
        self._when_running = when_running
        self._may_bind = self._may_start = True

    def when_ready(self) -> Deferred[None]:
        """A fresh Deferred, fired when the boot is done.

        It fails with `BootFailed` as the boot fails, and with `NotReady` when the node
        is stopped before.
        """
        return self.boot.when_ready()

    def privilegedStartService(self) -> None:  # noqa: N802
        """Bind every port, with the rights that binding needs.

        :raises BootFailed: a port cannot be bound; nothing is left bound.  Or the node
            was started before.
        """
        if not self._may_bind:
            raise BootFailed(_ONCE)
        self._may_bind = False
        super().privilegedStartService()
        self.boot.bind()
        error = self.boot.error
        if error is not None:
            self._may_start = False
            Deferred.fromCoroutine(self._close())
            assert error.value is not None
            raise error.value

    def startService(self) -> None:  # noqa: N802
        """Boot once the reactor runs; `when_ready` tells the end of it.

        :raises BootFailed: as `privilegedStartService`, where nobody called that.
        """
        if self._may_bind:
            # ``twist`` has no privileges to drop and does not call it.
            self.privilegedStartService()
        elif not self._may_start:
            raise BootFailed(_ONCE)
        self._may_start = False
        super().startService()
        self.node.enter_thread()
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

    def _log_failure(self, error: BootFailed) -> None:
        self._log.critical("{error}", error=error)

    def stopService(self) -> Deferred[None]:  # noqa: N802
        """End the actors, answer who waits for them, then close every connection.

        :returns: fires when nothing of the node is left: no port, no connection, no
            delayed call.
        """
        self._may_bind = self._may_start = False
        super().stopService()
        self.boot.halt()
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        await self.node.stop()
        await self._close()

    async def _close(self) -> None:
        await gatherResults([layer.leave() for layer in self._layers])
        for close in self._closers:
            await close()
