"""Tests of writing past the reactor."""

from __future__ import annotations

from typing import Any, cast

from twisted.internet import main
from twisted.internet.interfaces import ITransport
from twisted.internet.protocol import Protocol
from twisted.internet.tcp import Connection
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase

from skynet_tw.net.kit.writer import writer_for


class FakeReactor:
    """Notes whether somebody waits to write."""

    writing = False

    def addWriter(self, writer: object) -> None:
        self.writing = True

    def removeWriter(self, writer: object) -> None:
        self.writing = False

    def addReader(self, reader: object) -> None: ...

    def removeReader(self, reader: object) -> None: ...


class FakeSocket:
    """Takes as many bytes as a test lets it."""

    def __init__(self) -> None:
        self.sent = b""
        #: Bytes that each call may take; what to raise when there is no more.
        self.room: list[int] = []
        self.error: OSError = BlockingIOError(11, "would block")
        self.calls = 0

    def setblocking(self, blocking: bool) -> None: ...

    def fileno(self) -> int:
        return 99

    def send(self, data: memoryview) -> int:
        self.calls += 1
        if not self.room:
            raise self.error
        taken = bytes(data[: self.room.pop(0)])
        self.sent += taken
        return len(taken)


class WriterTests(SynchronousTestCase):
    """A plain TCP connection with a socket that does as it is told."""

    def setUp(self) -> None:
        self.reactor = FakeReactor()
        self.socket = FakeSocket()
        self.transport = Connection(
            cast(Any, self.socket), Protocol(), cast(Any, self.reactor)
        )
        self.transport.connected = 1
        self.write = writer_for(cast(ITransport, self.transport))

    def turn(self) -> object:
        """Let the reactor write."""
        self.assertTrue(self.reactor.writing)
        return self.transport.doWrite()

    def test_at_once(self) -> None:
        """What the socket takes is sent at once, and the reactor is not bothered."""
        self.socket.room = [100]
        self.write(b"hello")
        self.assertEqual(self.socket.sent, b"hello")
        self.assertFalse(self.reactor.writing)

    def test_part(self) -> None:
        """What the socket does not take follows in the reactor's turn."""
        self.socket.room = [2]
        self.write(b"hello")
        self.assertEqual(self.socket.sent, b"he")
        self.socket.room = [100]
        self.assertIsNone(self.turn())
        self.assertEqual(self.socket.sent, b"hello")
        self.assertFalse(self.reactor.writing)

    def test_nothing(self) -> None:
        """A socket that takes nothing leaves all to the reactor."""
        self.write(b"hello")
        self.assertEqual(self.socket.sent, b"")
        self.socket.room = [100]
        self.turn()
        self.assertEqual(self.socket.sent, b"hello")

    def test_order(self) -> None:
        """Nothing overtakes what waits, in either of the transport's buffers."""
        self.write(b"one ")
        self.socket.room = [100]
        self.write(b"two ")
        self.assertEqual(self.socket.sent, b"")
        self.socket.room = [1]
        self.turn()
        self.socket.room = [100, 100]
        self.write(b"three ")
        self.assertEqual(self.socket.sent, b"o")
        while self.reactor.writing:
            self.turn()
        self.assertEqual(self.socket.sent, b"one two three ")
        self.socket.room = [100]
        self.write(b"four")
        self.assertEqual(self.socket.sent, b"one two three four")

    def test_broken(self) -> None:
        """A broken connection ends in the reactor's turn, in its own way."""
        self.socket.error = BrokenPipeError(32, "broken pipe")
        self.write(b"hello")
        self.assertIs(self.turn(), main.CONNECTION_LOST)

    def test_closing_and_closed(self) -> None:
        """A connection that closes or is closed is not written to past its buffer."""
        self.socket.room = [100]
        self.transport.disconnecting = 1
        self.write(b"hello")
        self.assertEqual(self.socket.calls, 0)
        self.transport.disconnecting = 0
        self.transport.connected = 0
        self.write(b"hello")
        self.assertEqual(self.socket.calls, 0)

    def test_large(self) -> None:
        """A large write is sent in the portions that the transport uses."""
        self.socket.room = [1 << 30]
        data = bytes(1 << 20)
        self.write(data)
        self.assertEqual(len(self.socket.sent), self.transport.SEND_LIMIT)
        while self.reactor.writing:
            self.socket.room = [1 << 30]
            self.turn()
        self.assertEqual(self.socket.sent, data)

    def test_producer(self) -> None:
        """A producer is paused by what the socket did not take, and resumed after."""
        calls: list[str] = []

        class Producer:
            def pauseProducing(self) -> None:
                calls.append("pause")

            def resumeProducing(self) -> None:
                calls.append("resume")

            def stopProducing(self) -> None: ...

        self.transport.registerProducer(cast(Any, Producer()), True)
        self.socket.room = [1]
        self.write(bytes(65536))
        self.assertEqual(calls, [])
        self.write(bytes(2))
        self.assertEqual(calls, ["pause"])
        self.socket.room = [1 << 30]
        self.turn()
        self.assertEqual(calls, ["pause", "resume"])

    def test_other_transports(self) -> None:
        """All other transports, and TCP under TLS, are written to as usual."""
        other = StringTransport()
        writer_for(other)(b"hello")
        self.assertEqual(other.value(), b"hello")
        self.transport.TLS = True
        self.assertEqual(
            writer_for(cast(ITransport, self.transport)), self.transport.write
        )
