"""HOST:PORT and endpoint strings."""

from __future__ import annotations

from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import Factory
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

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
        for text in ("[a]:1", "[1.2.3.4]:1", "a b:1", "a\n:1", "a\udcff:1", "a:\u0661"):
            with self.assertRaises(BadAddress) as caught:
                addresses.split(text)
            self.assertTrue(str(caught.exception).isprintable())

    def test_everywhere(self) -> None:
        """All forms of the address of all interfaces are known, and no other is one."""
        four = ("", "*", "0", "0.0", "0.0.0.0", "0x0", "::ffff:0.0.0.0", "::ffff:0:0")
        for host in (*four, "::", "0::0", "::%eth0"):
            self.assertTrue(addresses.is_everywhere(host), host)
            own = "127.0.0.1" if host in four else "::1"
            self.assertEqual(addresses.reachable(host), own, host)
        for host in (
            "127.0.0.1",
            "0.0.0.1",
            "::1",
            "::ffff:1.2.3.4",
            "host",
            "0x",
            "1",
        ):
            self.assertFalse(addresses.is_everywhere(host), host)
            self.assertEqual(addresses.reachable(host), host)

    def test_bound(self) -> None:
        """An endpoint string says what it binds, as far as it does."""
        for text, expected in [
            ("tcp:5", ("", 5)),
            ("tcp:port=5:interface=10.0.0.1", ("10.0.0.1", 5)),
            (r"tcp6:0:interface=\:\:1:backlog=5", ("::1", 0)),
            ("systemd:domain=INET:index=0", ("", None)),
            ("unix:/a/b", ("", None)),
        ]:
            self.assertEqual(addresses.bound(text), expected)


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

    def test_any_error(self) -> None:
        """Whatever the parser of a kind of endpoint raises, the text is refused."""

        def fail(reactor: Any, text: str) -> None:
            raise ImportError("no module\nof that name")

        self.patch(addresses, "serverFromString", fail)
        self.patch(addresses, "clientFromString", fail)
        for make in (addresses.server, addresses.client):
            with self.assertRaises(BadAddress) as caught:
                make(self.reactor, "ssl:5")
            self.assertIn("'ssl:5'", str(caught.exception))


class ReachableTests(SynchronousTestCase):
    """Who listens can dial the same port, whatever is bound."""

    def dialed(self, host: IAddress, text: str = "tcp:0") -> str:
        """What is dialed when *host* was bound."""

        class Port:
            def getHost(self) -> IAddress:
                return host

        class Listening:
            def listen(self, factory: Factory) -> Deferred[Any]:
                return succeed(Port())

        dialed: list[str] = []
        listening: Any = Listening()
        client: Any = dialed.append
        port = addresses.Reachable(listening, client)
        self.assertIsInstance(self.successResultOf(port.listen(Factory())), Port)
        port.dial(text)
        return dialed[0]

    def test_dial(self) -> None:
        """The real port, on loopback where that is all interfaces."""
        for host, dialed in [
            (IPv4Address("TCP", "0.0.0.0", 5), "127.0.0.1:5"),
            (IPv4Address("TCP", "10.0.0.1", 5), "10.0.0.1:5"),
            (IPv6Address("TCP", "::", 5), "[::1]:5"),
            (IPv6Address("TCP", "fd00::1", 5), "[fd00::1]:5"),
            (UNIXAddress(b"/a:b"), r"unix:/a\:b"),
        ]:
            self.assertEqual(self.dialed(host), dialed)

    def test_unknown(self) -> None:
        """A port whose kind says nothing is dialed by its own words."""
        self.assertEqual(self.dialed(_UnknownAddress(), "kind:x"), "kind:x")


@implementer(IAddress)
class _UnknownAddress:
    """The address of a kind of port that nobody has heard of."""
