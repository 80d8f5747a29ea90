"""The HTTP agent of directories."""

from __future__ import annotations

from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import (
    IHostnameResolver,
    IReactorPluggableNameResolver,
)
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from skynet_tw.discovery.agent import TIMEOUT, http_agent


class Transport(StringTransport):
    """A transport in memory that has what the HTTP client asks of TCP."""

    def setTcpNoDelay(self, enabled: bool) -> None:
        pass


@implementer(IHostnameResolver, IReactorPluggableNameResolver)
class Reactor(MemoryReactorClock):
    """A reactor in memory, on which each name is an address of this machine."""

    def __init__(self) -> None:
        super().__init__()
        self.nameResolver = self

    def installNameResolver(self, resolver: Any) -> Any:
        raise NotImplementedError

    def resolveHostName(
        self,
        resolutionReceiver: Any,
        hostName: str,
        portNumber: int = 0,
        addressTypes: Any = None,
        transportSemantics: str = "TCP",
    ) -> Any:
        resolutionReceiver.resolutionBegan(self)
        address = IPv4Address("TCP", "127.0.0.1", portNumber)
        resolutionReceiver.addressResolved(address)
        resolutionReceiver.resolutionComplete()
        return self


class AgentTests(SynchronousTestCase):
    """Where it connects to, what it says there, and what it does not log."""

    def request(self, url: bytes) -> tuple[Any, Deferred[Any]]:
        """Make a request; what was dialed for it, and its answer to come."""
        reactor: Any = Reactor()
        answer = http_agent(reactor).request(b"POST", url)
        [dialed] = reactor.tcpClients
        return dialed, answer

    def said(self, factory: Any) -> bytes:
        """The first bytes of a connection."""
        protocol = factory.buildProtocol(IPv4Address("TCP", "127.0.0.1", 2379))
        transport = Transport()
        protocol.makeConnection(transport)
        return transport.value()

    def test_http(self) -> None:
        """A URL's port is dialed, with a time limit, and asked in the clear."""
        (_, port, factory, timeout, _), _ = self.request(b"http://a:2379/v3/x")
        self.assertEqual((port, timeout), (2379, TIMEOUT))
        self.assertEqual(self.said(factory)[:15], b"POST /v3/x HTTP")

    def test_https(self) -> None:
        """A URL of https is asked over TLS."""
        (_, port, factory, _, _), _ = self.request(b"https://a.example.org/v3/x")
        self.assertEqual(port, 443)
        self.assertEqual(self.said(factory)[:2], b"\x16\x03", "a record of a handshake")

    def test_quiet(self) -> None:
        """A connection that is made and closed logs nothing."""
        for url in (b"http://a:2379/v3/x", b"https://a:2379/v3/x"):
            with capturedLogs() as events:
                (_, _, factory, _, _), _ = self.request(url)
                factory.doStart()
                factory.doStop()
            self.assertEqual(events, [])
