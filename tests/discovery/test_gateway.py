"""The lines of an answer, as they come from the network."""

from __future__ import annotations

from twisted.internet.defer import CancelledError
from twisted.internet.error import ConnectionLost
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.client import ResponseDone

from skynet_tw.discovery import gateway
from skynet_tw.discovery.asking import EngineError
from skynet_tw.discovery.gateway import Lines

ANSWER = b'{"a": 1}\n\n{"b": 2}\r\n{"c": 3}'


class LinesTests(SynchronousTestCase):
    """Each line is taken once, whole, as soon as it is there."""

    def setUp(self) -> None:
        self.taken: list[bytes] = []
        self.transport = StringTransport()
        self.lines = Lines(self.taken.append)
        self.lines.makeConnection(self.transport)

    def end(self, reason: Exception | None = None) -> None:
        """The answer is over."""
        self.lines.connectionLost(Failure(reason or ResponseDone()))

    def test_splits(self) -> None:
        """Lines are the same however the bytes are cut."""
        for size in range(1, len(ANSWER) + 1):
            self.setUp()
            for at in range(0, len(ANSWER), size):
                self.lines.dataReceived(ANSWER[at : at + size])
            self.end()
            self.successResultOf(self.lines.done)
            stripped = [line.strip() for line in self.taken]
            self.assertEqual(stripped, [b'{"a": 1}', b'{"b": 2}', b'{"c": 3}'], size)

    def test_at_once(self) -> None:
        """A line is taken when it is whole, not at the end."""
        self.lines.dataReceived(b"one\ntw")
        self.assertEqual(self.taken, [b"one"])
        self.lines.dataReceived(b"o\n")
        self.assertEqual(self.taken, [b"one", b"two"])

    def test_lost(self) -> None:
        """An answer that breaks off fails with the reason."""
        self.lines.dataReceived(b"one\n")
        self.end(ConnectionLost())
        self.failureResultOf(self.lines.done, ConnectionLost)

    def test_too_long(self) -> None:
        """A line without an end is given up at the limit."""
        self.patch(gateway, "MAX_LINE", 10)
        self.lines.dataReceived(b"12345\n123456")
        self.assertNoResult(self.lines.done)
        self.lines.dataReceived(b"78901")
        self.failureResultOf(self.lines.done, EngineError)
        self.assertTrue(self.transport.disconnecting)

    def test_cancel(self) -> None:
        """To cancel closes the connection, and nothing more is taken."""
        self.lines.done.cancel()
        self.failureResultOf(self.lines.done, CancelledError)
        self.assertTrue(self.transport.disconnecting)
        self.lines.dataReceived(b"one\n")
        self.end()
        self.assertEqual(self.taken, [])

    def test_cancel_within(self) -> None:
        """Who takes a line may cancel: the rest of the read is not taken."""
        taken: list[bytes] = []

        def take(line: bytes) -> None:
            taken.append(line)
            lines.done.cancel()

        lines = Lines(take)
        lines.makeConnection(self.transport)
        lines.dataReceived(b"one\ntwo\n")
        self.failureResultOf(lines.done, CancelledError)
        self.assertEqual(taken, [b"one"])
