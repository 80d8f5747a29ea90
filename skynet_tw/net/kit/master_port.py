# -*- test-case-name: tests.test_sockets -*-
"""The port of a master that runs in a node's own process."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.interfaces import (
    IListeningPort,
    IProtocol,
    IProtocolFactory,
    IStreamClientEndpoint,
    IStreamServerEndpoint,
)
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from .closing import stop_listening
from .master import MasterFactory
from .member import bound_address, cannot_listen


@implementer(IStreamClientEndpoint)
class MasterPort:
    """Binds a master's port; as an endpoint, it leads to that port.

    So a node finds its own master whatever port the system chose for it.

    :param factory: the master.
    :param listen: what is bound.
    :param address: the same in words, ``host:port`` or an endpoint string.
    :param dial: turns ``host:port`` into an endpoint.
    """

    _log = Logger()

    def __init__(
        self,
        factory: MasterFactory,
        listen: IStreamServerEndpoint,
        address: str,
        dial: Callable[[str], IStreamClientEndpoint],
    ) -> None:
        self._factory = factory
        self._listen = listen
        self._dial = dial
        self._port: IListeningPort | None = None
        #: Where the master is; the real port is known after `bind`.
        self.address = address

    def __str__(self) -> str:
        return self.address

    def bind(self) -> Deferred[None]:
        """Bind the port at once; it fails with `BootFailed`."""

        def bound(port: IListeningPort) -> None:
            self._port = port
            self.address = bound_address(self.address, port)
            self._log.info("master listens on {address}", address=self.address)

        def refused(failure: Failure) -> None:
            raise cannot_listen("the master", self.address, failure) from None

        listening = maybeDeferred(self._listen.listen, self._factory)
        return listening.addCallbacks(bound, refused)

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        """Connect to the master."""
        return self._dial(self.address).connect(protocolFactory)

    async def _close(self) -> None:
        if self._port is not None:
            await stop_listening(self._port)
        await self._factory.close()

    def close(self) -> Deferred[None]:
        """Close the port and all connections."""
        return Deferred.fromCoroutine(self._close())
