"""Tests of the network in memory."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from twisted.internet.error import (
    CannotListenError,
    ConnectionDone,
    ConnectionLost,
    ConnectionRefusedError,
    TimeoutError,
)
from twisted.internet.interfaces import (
    IConsumer,
    IListeningPort,
    IPushProducer,
    IStreamClientEndpoint,
    IStreamServerEndpoint,
    ITransport,
)
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from skynet_tw.testing.network import MemoryNetwork
from skynet_tw.testing.transport import MemoryTransport

WHERE = "host:1"


def _itself(protocol: Protocol) -> Protocol:
    return protocol


@implementer(IPushProducer)
class Notes(Protocol):
    """Notes what happens to it; also a producer that does."""

    def __init__(self) -> None:
        self.reads: list[bytes] = []
        self.lost: Failure | None = None
        self.calls: list[str] = []

    def dataReceived(self, data: bytes) -> None:
        self.reads.append(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.lost = reason

    def pauseProducing(self) -> None:
        self.calls.append("pause")

    def resumeProducing(self) -> None:
        self.calls.append("resume")

    def stopProducing(self) -> None:
        self.calls.append("stop")

    @property
    def wire(self) -> MemoryTransport:
        """The transport."""
        assert isinstance(self.transport, MemoryTransport)
        return self.transport

    @property
    def heard(self) -> bytes:
        """All that was read."""
        return b"".join(self.reads)


class MemoryNetworkTests(SynchronousTestCase):
    """Connections between two protocols."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.network = MemoryNetwork(self.clock)

    def listen(self, address: str = WHERE) -> list[Notes]:
        """Listen, and return the list of what is accepted."""
        accepted: list[Notes] = []

        def build() -> Notes:
            accepted.append(Notes())
            return accepted[-1]

        endpoint = self.network.server(address)
        self.port = self.successResultOf(endpoint.listen(factory(build)))
        return accepted

    def connect(self) -> tuple[Notes, Notes]:
        """Connect, and return both ends, the client first."""
        accepted = self.listen()
        client = Notes()
        connected = self.network.client(WHERE).connect(factory(lambda: client))
        self.clock.advance(0)
        self.assertIs(self.successResultOf(connected), client)
        return client, accepted[0]

    def test_interfaces(self) -> None:
        """The parts provide what they promise."""
        client, _ = self.connect()
        for interface in (ITransport, IConsumer, IPushProducer):
            self.assertTrue(verifyObject(interface, client.transport))
        self.assertTrue(verifyObject(IListeningPort, self.port))
        network = self.network
        self.assertTrue(verifyObject(IStreamClientEndpoint, network.client(WHERE)))
        self.assertTrue(verifyObject(IStreamServerEndpoint, network.server(WHERE)))

    def test_both_ways(self) -> None:
        """Bytes arrive whole and in order; nothing happens within `write`."""
        client, server = self.connect()
        client.wire.write(b"a")
        client.wire.writeSequence([b"b", b"c"])
        server.wire.write(b"d")
        self.assertEqual(server.reads, [])
        self.clock.advance(0)
        self.assertEqual((client.heard, server.heard), (b"d", b"abc"))
        self.assertEqual(client.wire.getPeer(), server.wire.getHost())
        self.assertEqual(client.wire.getHost(), server.wire.getPeer())

    def test_close(self) -> None:
        """What was written before a close arrives; both ends are told."""
        client, server = self.connect()
        client.wire.write(b"last")
        client.wire.loseConnection()
        self.clock.advance(0)
        self.assertEqual(server.heard, b"last")
        for end in (client, server):
            assert end.lost is not None
            self.assertTrue(end.lost.check(ConnectionDone))
        self.assertEqual(self.network.wires, [])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_abort(self) -> None:
        """What was written before an abort is lost."""
        client, server = self.connect()
        client.wire.write(b"last")
        client.wire.abortConnection()
        self.clock.advance(0)
        assert server.lost is not None
        self.assertTrue(server.lost.check(ConnectionLost))

    def test_cut(self) -> None:
        """A cut breaks both ends, and new connections can be made."""
        client, server = self.connect()
        self.network.cut(WHERE)
        self.clock.advance(0)
        for end in (client, server):
            assert end.lost is not None
            self.assertTrue(end.lost.check(ConnectionLost))
        self.assertEqual(self.network.connections(WHERE), 0)

    def test_producer(self) -> None:
        """A producer is paused when much waits, and resumed when nothing does."""
        client, server = self.connect()
        client.wire.registerProducer(client, True)
        server.wire.pauseProducing()
        client.wire.write(bytes(65536))
        self.clock.advance(1)
        self.assertEqual(client.calls, [])
        client.wire.write(b"x")
        self.assertEqual(client.calls, ["pause"])
        self.clock.advance(1)
        self.assertEqual(server.reads, [])
        server.wire.resumeProducing()
        self.clock.advance(1)
        self.assertEqual(client.calls, ["pause", "resume"])
        self.assertEqual(len(server.heard), 65537)
        self.network.cut(WHERE)
        self.clock.advance(0)
        self.assertEqual(client.calls, ["pause", "resume", "stop"])

    def test_refused(self) -> None:
        """Nobody listens, or is made to refuse."""
        endpoint = self.network.client(WHERE)
        attempt = endpoint.connect(factory(Notes))
        self.clock.advance(0)
        self.failureResultOf(attempt, ConnectionRefusedError)
        self.listen()
        self.network.refuse(WHERE)
        attempt = endpoint.connect(factory(Notes))
        self.clock.advance(0)
        self.failureResultOf(attempt, ConnectionRefusedError)
        self.network.mend(WHERE)
        attempt = endpoint.connect(factory(Notes))
        self.clock.advance(0)
        self.successResultOf(attempt)

    def test_silence(self) -> None:
        """Without a sound, bytes wait and connecting fails in the end."""
        client, server = self.connect()
        self.network.silence(WHERE)
        client.wire.write(b"a")
        attempt = self.network.client(WHERE).connect(factory(Notes))
        self.network.run(29)
        self.assertEqual(server.reads, [])
        self.assertNoResult(attempt)
        self.network.run(2)
        self.failureResultOf(attempt, TimeoutError)
        self.network.mend(WHERE)
        self.network.run(1)
        self.assertEqual(server.heard, b"a")

    def test_cancel(self) -> None:
        """An attempt that is cancelled leaves nothing behind."""
        self.listen()
        attempt = self.network.client(WHERE).connect(factory(Notes))
        attempt.cancel()
        self.failureResultOf(attempt)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_ports(self) -> None:
        """Free ports are found, ports in use are refused, closed ones are free."""
        endpoint = self.network.server("host:0")
        ports = [
            self.successResultOf(endpoint.listen(factory(Notes))) for _ in range(2)
        ]
        numbers = {port.getHost().port for port in ports}  # type: ignore[attr-defined]
        self.assertEqual(len(numbers), 2)
        self.listen()
        again = self.network.server(WHERE)
        self.failureResultOf(again.listen(factory(Notes)), CannotListenError)
        self.port.stopListening()
        self.successResultOf(again.listen(factory(Notes)))

    def test_seeds(self) -> None:
        """The same seed makes the same reads, another one makes others."""
        runs = []
        for seed in (1, 1, 2):
            self.clock = Clock()
            self.network = MemoryNetwork(self.clock, seed, (0.0, 0.1), 9)
            accepted = self.listen()
            client = Notes()
            self.network.client(WHERE).connect(factory(partial(_itself, client)))
            self.network.run(0.2)
            client.wire.write(bytes(range(100)))
            self.network.run(20)
            self.assertEqual(accepted[0].heard, bytes(range(100)))
            runs.append([len(read) for read in accepted[0].reads])
        self.assertEqual(runs[0], runs[1])
        self.assertNotEqual(runs[0], runs[2])


def factory(build: Callable[[], Protocol]) -> Factory:
    """A factory that builds just that."""
    made = Factory()
    made.noisy = False
    made.buildProtocol = lambda addr: build()  # type: ignore[method-assign]
    return made
