"""HOST:PORT and endpoint strings."""

from __future__ import annotations

from typing import Any

from twisted.internet.protocol import Factory
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from skynet_tw import addresses
from skynet_tw.errors import BadAddress


class SplitTests(SynchronousTestCase):
    """What a text means."""

    def test_host_port(self) -> None:
        """Names, IPv4, IPv6 in brackets, and no host at all."""
        for text, expected in [
            ("host:1", ("host", 1)),
            ("10.0.0.1:65535", ("10.0.0.1", 65535)),
            ("[::1]:0", ("::1", 0)),
            (":2013", ("", 2013)),
        ]:
            self.assertEqual(addresses.split(text), expected)

    def test_endpoints(self) -> None:
        """Endpoint strings are left to Twisted."""
        for text in ("tcp:2013", "tcp:host:2013", "unix:/a/b", "tls:host:1"):
            self.assertIsNone(addresses.split(text))

    def test_neither(self) -> None:
        """Anything else is refused."""
        for text in ("", "host", "host:", "host:port", "::1:5", "a:65536", "a:-1"):
            with self.assertRaises(BadAddress):
                addresses.split(text)


class EndpointTests(SynchronousTestCase):
    """What is connected to, and listened on."""

    def setUp(self) -> None:
        self.reactor: Any = MemoryReactorClock()

    def test_client(self) -> None:
        """A numeric address is dialled at once, without a look-up."""
        for text in ("10.0.0.1:5", "[::1]:5", "tcp:10.0.0.1:5"):
            addresses.client(self.reactor, text).connect(Factory())
        dialled = [client[:2] for client in self.reactor.tcpClients]
        self.assertEqual(dialled, [("10.0.0.1", 5), ("::1", 5), ("10.0.0.1", 5)])

    def test_server(self) -> None:
        """The interface and the port that are given are bound."""
        for text in ("10.0.0.1:5", ":0", "tcp:5:interface=10.0.0.1"):
            addresses.server(self.reactor, text).listen(Factory())
        bound = [(server[3], server[0]) for server in self.reactor.tcpServers]
        self.assertEqual(bound, [("10.0.0.1", 5), ("", 0), ("10.0.0.1", 5)])

    def test_bad(self) -> None:
        """Malformed endpoint strings, and what cannot be dialled, are refused."""
        for text in ("host:0", ":5", "tcp", "tcp:", "tcp:host:port"):
            with self.assertRaises(BadAddress):
                addresses.client(self.reactor, text)
        for text in ("tcp:port", "tcp:", "tcp:1:backlog=x", "tcp:1:no=such"):
            with self.assertRaises(BadAddress):
                addresses.server(self.reactor, text)
