# -*- test-case-name: tests.test_descriptors -*-
"""Descriptors that the select reactor cannot watch.

``select`` knows descriptors below 1,024 only, and Twisted's select reactor gives up all
others without an error: a port of a node would just not be there.  On that reactor,
ports and connections are made through these endpoints, which say so.
"""

from __future__ import annotations

import select
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import (
    IAddress,
    IListeningPort,
    IProtocol,
    IProtocolFactory,
    IReactorTime,
    IStreamServerEndpoint,
)
from twisted.logger import Logger
from zope.interface import implementer

from .errors import SkynetError
from .net.kit.transport import abort_transport, address_text


def objection(descriptor: Any) -> str | None:
    """Why ``select`` cannot watch what has a ``fileno``, None if it can."""
    number = descriptor.fileno()
    if number < 0:
        return None  # It is closed already.
    try:
        select.select([number], [], [], 0)
    except ValueError:
        return (
            f"the select reactor cannot carry descriptor {number},"
            " only those below 1024; choose another --reactor"
        )
    return None


@implementer(IStreamServerEndpoint)
class SelectServerEndpoint:
    """Listens, and fails if the select reactor cannot carry the port.

    :param endpoint: what listens.
    :param clock: the reactor.
    """

    def __init__(self, endpoint: IStreamServerEndpoint, clock: IReactorTime) -> None:
        self._endpoint = endpoint
        self._clock = clock

    def listen(self, protocolFactory: IProtocolFactory) -> Deferred[IListeningPort]:  # noqa: N803
        """Listen."""

        def check(port: IListeningPort) -> IListeningPort:
            reason = objection(port)
            if reason is not None:
                port.stopListening()
                raise SkynetError(reason)
            return port

        factory = _SelectFactory(protocolFactory, self._clock)
        return self._endpoint.listen(factory).addCallback(check)


@implementer(IProtocolFactory)
class _SelectFactory:
    """Drops the accepted connections that the select reactor cannot carry."""

    noisy = False
    _log = Logger(namespace="skynet_tw.descriptors")

    def __init__(self, factory: IProtocolFactory, clock: IReactorTime) -> None:
        self._factory = factory
        self._clock = clock
        self._dropped = 0

    def doStart(self) -> None:  # noqa: N802
        self._factory.doStart()

    def doStop(self) -> None:  # noqa: N802
        self._factory.doStop()

    def buildProtocol(self, addr: IAddress) -> IProtocol | None:  # noqa: N802
        protocol = self._factory.buildProtocol(addr)
        if protocol is not None:
            # By then it has its transport, and the reactor did not look at it yet.
            self._clock.callLater(0, self._check, protocol)
        return protocol

    def _check(self, protocol: Any) -> None:
        transport = protocol.transport
        reason = None if transport is None else objection(transport)
        if reason is None:
            return
        self._dropped += 1
        # The first, and powers of ten of them.
        if str(self._dropped).strip("0") == "1":
            self._log.error(
                "dropped {peer} ({count} so far): {reason}",
                peer=address_text(transport),
                count=self._dropped,
                reason=reason,
            )
        abort_transport(transport)
