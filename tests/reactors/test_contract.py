"""
What skynet_tw needs of a reactor: real sockets on loopback, real threads.

Each test takes the reactor that is installed, so the same file runs on every
reactor (:mod:`tests.reactors.matrix`). Ports are chosen by the system; nothing
sleeps, a test that waits for something waits for an event.
"""

from __future__ import annotations

import os
import socket
from typing import Any

from twisted.internet import task
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP4ServerEndpoint
from twisted.internet.error import ConnectionDone, ConnectionRefusedError
from twisted.internet.interfaces import (
    IHalfCloseableProtocol,
    IPushProducer,
    IReadWriteDescriptor,
)
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.threads import blockingCallFromThread, deferToThread
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase
from zope.interface import implementer

# More than the buffers of both ends of a loopback connection hold together.
LARGE = 16 * 1024 * 1024
MANY = 150


@implementer(IHalfCloseableProtocol)
class Recorder(Protocol):
    """Keeps what arrives and tells who waits for it."""

    transport: Any

    def __init__(self) -> None:
        self.received = bytearray()
        self.calls: list[str] = []
        self.lost: Deferred[BaseException | None] = Deferred()
        self.read_closed: Deferred[None] = Deferred()
        self._waiting: list[tuple[int, Deferred[bytes]]] = []

    def wait_for(self, size: int) -> Deferred[bytes]:
        """:returns: fires with all that was received, once it is so many bytes."""
        waiter: Deferred[bytes] = Deferred()
        self._waiting.append((size, waiter))
        self._tell()
        return waiter

    def dataReceived(self, data: bytes) -> None:
        self.calls.append("data")
        self.received += data
        self._tell()

    def readConnectionLost(self) -> None:
        self.calls.append("read closed")
        self.read_closed.callback(None)

    def writeConnectionLost(self) -> None:
        self.calls.append("write closed")

    def connectionLost(self, reason: Failure) -> None:  # type: ignore[override]
        self.calls.append("lost")
        self.lost.callback(reason.value)

    def _tell(self) -> None:
        ready = [waiter for size, waiter in self._waiting if size <= self.size]
        self._waiting = [entry for entry in self._waiting if entry[0] > self.size]
        for waiter in ready:
            waiter.callback(bytes(self.received))

    @property
    def size(self) -> int:
        return len(self.received)


class Echo(Recorder):
    """Sends back what arrives."""

    def dataReceived(self, data: bytes) -> None:
        super().dataReceived(data)
        self.transport.write(data)


class Accepting(Factory):
    """
    Builds the protocols of one port and hands them out in order of arrival.

    :ivar number: of the port; known still when it is closed.
    :ivar built: both ends of all connections to the port.
    """

    def __init__(self, protocol: type[Recorder]) -> None:
        self._protocol = protocol
        self.port: Any = None
        self.number = 0
        self.built: list[Recorder] = []
        self._waiting: list[Deferred[Recorder]] = []

    def buildProtocol(self, addr: object) -> Recorder:
        made = self._protocol()
        made.factory = self
        self.built.append(made)
        # In a later turn: by then the protocol has its transport.
        from twisted.internet import reactor

        if self._waiting:
            reactor.callLater(0, self._waiting.pop(0).callback, made)
        return made

    def next(self) -> Deferred[Recorder]:
        waiter: Deferred[Recorder] = Deferred()
        self._waiting.append(waiter)
        return waiter


@implementer(IPushProducer)
class LargeProducer:
    """
    Writes ``LARGE`` bytes as fast as the transport asks for them.

    :ivar pauses: how often the transport said that it has enough.
    """

    BLOCK = bytes(range(256)) * 256

    def __init__(self, transport: Any) -> None:
        self.transport = transport
        self.pauses = 0
        self.paused: Deferred[None] = Deferred()
        self._left = LARGE
        self._running = False

    def start(self) -> None:
        self.transport.registerProducer(self, True)
        self.resumeProducing()

    def resumeProducing(self) -> None:
        self._running = True
        while self._running and self._left:
            self.transport.write(self.BLOCK)
            self._left -= len(self.BLOCK)
        if not self._left:
            self.transport.unregisterProducer()
            self.transport.loseConnection()

    def pauseProducing(self) -> None:
        self._running = False
        self.pauses += 1
        if self.pauses == 1:
            self.paused.callback(None)

    def stopProducing(self) -> None:
        self._left = 0
        self._running = False


@implementer(IReadWriteDescriptor)
class Descriptor:
    """One end of a socket pair, added to the reactor by hand."""

    def __init__(self) -> None:
        self.here, self.there = socket.socketpair()
        for end in (self.here, self.there):
            end.setblocking(False)
        self.calls: list[str] = []
        self.called: Deferred[None] = Deferred()

    def fileno(self) -> int:
        return self.here.fileno()

    def logPrefix(self) -> str:
        return "Descriptor"

    def doRead(self) -> None:
        self._note("read")

    def doWrite(self) -> None:
        self._note("write")

    def connectionLost(self, reason: Failure) -> None:
        self.calls.append("lost")

    def _note(self, call: str) -> None:
        self.calls.append(call)
        if not self.called.called:
            self.called.callback(None)

    def close(self) -> None:
        self.here.close()
        self.there.close()


class ContractTests(TestCase):
    """Promises of a reactor that a node is built on."""

    timeout = 10

    async def listen(self, protocol: type[Recorder]) -> Accepting:
        from twisted.internet import reactor

        accepting = Accepting(protocol)
        endpoint = TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1")
        accepting.port = await endpoint.listen(accepting)
        accepting.number = accepting.port.getHost().port
        self.addCleanup(accepting.port.stopListening)
        self.addCleanup(self.close, accepting.built)
        return accepting

    async def connect(self, accepting: Accepting) -> Recorder:
        from twisted.internet import reactor

        endpoint = TCP4ClientEndpoint(reactor, "127.0.0.1", accepting.number)
        client = await endpoint.connect(Factory.forProtocol(Recorder))
        assert isinstance(client, Recorder)
        accepting.built.append(client)
        return client

    async def pair(
        self, protocol: type[Recorder] = Recorder
    ) -> tuple[Recorder, Recorder]:
        """:returns: the client and the server of one connection."""
        accepting = await self.listen(protocol)
        accepted = accepting.next()
        client = await self.connect(accepting)
        return client, await accepted

    def close(self, connected: list[Recorder]) -> Deferred[Any]:
        for protocol in connected:
            protocol.transport.abortConnection()
        return gatherResults([protocol.lost for protocol in connected])

    async def turns(self, count: int = 20) -> None:
        """Let the reactor go round, looking at its descriptors each time."""
        from twisted.internet import reactor

        for _ in range(count):
            await task.deferLater(reactor, 0)

    async def test_echo(self) -> None:
        """A process connects to its own port, writes, and reads the answer."""
        client, _ = await self.pair(Echo)
        client.transport.write(b"hello")
        self.assertEqual(await client.wait_for(5), b"hello")

    async def test_connected_before_accepted(self) -> None:
        """Two clients of one port each talk to a server of their own."""
        accepting = await self.listen(Recorder)
        accepted = [accepting.next(), accepting.next()]
        clients = [await self.connect(accepting), await self.connect(accepting)]
        servers = [await waiting for waiting in accepted]
        for client, word in zip(clients, (b"one", b"two"), strict=True):
            client.transport.write(word)
        arrived = [await server.wait_for(3) for server in servers]
        self.assertEqual(sorted(arrived), [b"one", b"two"])

    async def test_back_pressure(self) -> None:
        """A producer is paused while nobody reads, and all arrives in order."""
        client, server = await self.pair()
        server.transport.pauseProducing()
        await self.turns()
        producer = LargeProducer(client.transport)
        producer.start()
        await producer.paused
        await self.turns()
        self.assertEqual(server.size, 0)
        server.transport.resumeProducing()
        received = await server.wait_for(LARGE)
        expected = LargeProducer.BLOCK * (LARGE // len(LargeProducer.BLOCK))
        self.assertTrue(received == expected, "the bytes differ")
        self.assertGreater(producer.pauses, 1)
        await server.read_closed

    async def test_large_both_ways(self) -> None:
        """Sixteen mebibytes go each way over one connection at the same time."""
        client, server = await self.pair()
        expected = os.urandom(1 << 20) * (LARGE >> 20)
        client.transport.write(expected)
        server.transport.write(expected)
        for received in (await server.wait_for(LARGE), await client.wait_for(LARGE)):
            self.assertTrue(received == expected, "the bytes differ")

    async def test_paused_does_not_read(self) -> None:
        """A paused transport delivers nothing, though it goes on writing."""
        client, server = await self.pair()
        server.transport.pauseProducing()
        client.transport.write(b"not yet")
        for count in range(1, 6):
            server.transport.write(b"x")
            await client.wait_for(count)
        server.transport.write(bytes(LARGE))
        await client.wait_for(LARGE + 5)
        self.assertEqual(server.calls, [])
        server.transport.resumeProducing()
        self.assertEqual(await server.wait_for(7), b"not yet")

    async def test_half_close(self) -> None:
        """One side ends its writing, the other still answers, then both close."""
        client, server = await self.pair()
        client.transport.write(b"question")
        client.transport.loseWriteConnection()
        await server.read_closed
        self.assertEqual(bytes(server.received), b"question")
        server.transport.write(b"answer" * 100_000)
        server.transport.loseConnection()
        self.assertEqual(await client.wait_for(600_000), b"answer" * 100_000)
        await client.read_closed
        client.transport.loseConnection()
        for side in (client, server):
            self.assertIsInstance(await side.lost, ConnectionDone)

    async def test_read_after_peer_closed(self) -> None:
        """What was written before a close is delivered before its end."""
        client, server = await self.pair()
        server.transport.pauseProducing()
        client.transport.write(b"last words" * 1000)
        client.transport.loseConnection()
        await client.lost
        self.assertEqual(server.calls, [])
        server.transport.resumeProducing()
        await server.read_closed
        self.assertEqual(bytes(server.received), b"last words" * 1000)
        server.transport.loseConnection()
        self.assertIsInstance(await server.lost, ConnectionDone)

    async def test_abort(self) -> None:
        """A reset connection is lost on the other side, which says so once."""
        client, server = await self.pair()
        client.transport.write(b"x")
        await server.wait_for(1)
        client.transport.abortConnection()
        await server.lost
        self.assertEqual(server.calls.count("lost"), 1)

    async def test_refused(self) -> None:
        """Connecting to a port that nobody listens on fails with its reason."""
        accepting = await self.listen(Recorder)
        await accepting.port.stopListening()
        with self.assertRaises(ConnectionRefusedError):
            await self.connect(accepting)

    async def test_port_closed_later(self) -> None:
        """Connections live on after their port stopped; new ones are refused."""
        accepting = await self.listen(Echo)
        accepted = accepting.next()
        client = await self.connect(accepting)
        await accepted
        await accepting.port.stopListening()
        with self.assertRaises(ConnectionRefusedError):
            await self.connect(accepting)
        client.transport.write(b"still here")
        self.assertEqual(await client.wait_for(10), b"still here")

    async def test_many(self) -> None:
        """Many connections are open at once, and each gets its own answer."""
        accepting = await self.listen(Echo)
        clients = await gatherResults(
            [Deferred.fromCoroutine(self.connect(accepting)) for _ in range(MANY)]
        )
        for number, client in enumerate(clients):
            client.transport.write(b"%08d" % number * 100)
        for number, client in enumerate(clients):
            self.assertEqual(await client.wait_for(800), b"%08d" % number * 100)

    async def test_numbers_used_again(self) -> None:
        """Closed descriptors leave no trace for those that get their numbers."""
        accepting = await self.listen(Echo)
        for turn in range(30):
            accepted = accepting.next()
            client = await self.connect(accepting)
            server = await accepted
            client.transport.write(b"%d" % turn)
            self.assertEqual(await client.wait_for(1), (b"%d" % turn)[: client.size])
            client.transport.loseConnection()
            await client.lost
            server.transport.loseConnection()
            await server.lost

    async def test_only_read(self) -> None:
        """A descriptor added for reading is never asked to write."""
        from twisted.internet import reactor

        descriptor = Descriptor()
        self.addCleanup(descriptor.close)
        reactor.addReader(descriptor)
        self.addCleanup(reactor.removeReader, descriptor)
        await self.turns()
        self.assertEqual(descriptor.calls, [])
        descriptor.there.send(b"x")
        await descriptor.called
        await self.turns()
        reactor.removeReader(descriptor)
        self.assertEqual(set(descriptor.calls), {"read"})

    async def test_only_write(self) -> None:
        """A descriptor added for writing is never asked to read."""
        from twisted.internet import reactor

        descriptor = Descriptor()
        self.addCleanup(descriptor.close)
        descriptor.there.send(b"x")
        reactor.addWriter(descriptor)
        self.addCleanup(reactor.removeWriter, descriptor)
        await descriptor.called
        await self.turns()
        reactor.removeWriter(descriptor)
        self.assertEqual(set(descriptor.calls), {"write"})

    async def test_removed(self) -> None:
        """A descriptor that was removed is not called again, nor one never ready."""
        from twisted.internet import reactor

        descriptor = Descriptor()
        self.addCleanup(descriptor.close)
        reactor.addReader(descriptor)
        reactor.addWriter(descriptor)
        reactor.removeReader(descriptor)
        reactor.removeWriter(descriptor)
        reactor.removeWriter(descriptor)
        descriptor.there.send(b"x")
        await self.turns()
        self.assertEqual(descriptor.calls, [])

    async def test_delayed_calls(self) -> None:
        """Delayed calls run in the order of their times; cancelled ones do not."""
        from twisted.internet import reactor

        ran: list[str] = []
        done: Deferred[None] = Deferred()
        reactor.callLater(0.02, done.callback, None)
        reactor.callLater(0.01, ran.append, "second")
        reactor.callLater(0.005, ran.append, "cancelled").cancel()
        reactor.callLater(0, ran.append, "first")
        await done
        self.assertEqual(ran, ["first", "second"])

    async def test_woken_by_thread(self) -> None:
        """A call from a thread wakes the reactor, again and again."""
        from twisted.internet import reactor

        threads: Any = reactor
        answers: list[int] = []

        def in_thread() -> int:
            for number in range(20):
                blockingCallFromThread(threads, answers.append, number)
            return len(answers)

        started = reactor.seconds()
        self.assertEqual(await deferToThread(in_thread), 20)
        self.assertEqual(answers, list(range(20)))
        # A reactor that lost its waker gets there, one time limit at a time.
        self.assertLess(reactor.seconds() - started, 5)
