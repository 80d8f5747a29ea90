"""Tests of what the wires share."""

from __future__ import annotations

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.protocol import Factory
from twisted.internet.task import Clock
from twisted.internet.testing import MemoryReactor, StringTransport
from twisted.trial.unittest import SynchronousTestCase

from skynet_tw.net.kit.closing import close_within
from skynet_tw.net.kit.connections import Connection, Connections
from skynet_tw.net.kit.member import bound_address
from skynet_tw.net.kit.pressure import Pressure
from skynet_tw.net.kit.progress import Progress
from skynet_tw.oneshot import OneShot


class OneShotTests(SynchronousTestCase):
    """Those who wait for one thing."""

    def test_fires(self) -> None:
        """Whoever waited, and whoever comes later, gets a Deferred that fires."""
        it = OneShot()
        early = it.when()
        self.assertNoResult(early)
        it.fire()
        self.assertTrue(it.is_done)
        self.assertIsNone(self.successResultOf(early))
        self.assertIsNone(self.successResultOf(it.when()))

    def test_fails(self) -> None:
        """Whoever waited, and whoever comes later, gets an error of his own."""
        it = OneShot()
        early = it.when()
        it.fail(lambda: ValueError("no"))
        first = self.failureResultOf(early, ValueError)
        second = self.failureResultOf(it.when(), ValueError)
        self.assertEqual(str(second.value), "no")
        self.assertIsNot(first.value, second.value)

    def test_once(self) -> None:
        """What happens first counts."""
        it = OneShot()
        it.fire()
        it.fail(lambda: ValueError("no"))
        it.fire()
        self.assertIsNone(self.successResultOf(it.when()))
        it = OneShot()
        it.fail(lambda: ValueError("no"))
        it.fire()
        self.failureResultOf(it.when(), ValueError)

    def test_cancelled(self) -> None:
        """Whoever cancels is forgotten, and the owner is told of it."""
        cancelled: list[bool] = []
        it = OneShot(lambda: cancelled.append(True))
        gone, here = it.when(), it.when()
        gone.cancel()
        self.failureResultOf(gone, CancelledError)
        self.assertEqual(cancelled, [True])
        it.fire()
        self.successResultOf(here)

    def test_cancelled_meanwhile(self) -> None:
        """Whoever is woken may cancel another who still waits."""
        it = OneShot()
        first, second = it.when(), it.when()
        first.addCallback(lambda _: second.cancel())
        it.fire()
        self.successResultOf(first)
        self.failureResultOf(second, CancelledError)


class ProgressTests(SynchronousTestCase):
    """Things that stand still."""

    def setUp(self) -> None:
        self.progress = Progress()

    def test_stands_still(self) -> None:
        """The time counts from the look that first found the mark."""
        self.assertEqual(self.progress.stands(1, 10.0), 0.0)
        self.assertEqual(self.progress.stands(1, 40.0), 30.0)

    def test_moves(self) -> None:
        """Each change of the mark begins anew; nothing unfinished counts as 0."""
        for mark in (1, 2, None, 2):
            self.assertEqual(self.progress.stands(mark, 10.0), 0.0)
        self.assertEqual(self.progress.stands(None, 99.0), 0.0)

    def test_forget(self) -> None:
        """What stood still because of us has new time."""
        self.progress.stands(1, 10.0)
        self.progress.forget()
        self.assertEqual(self.progress.stands(1, 40.0), 0.0)


class PressureTests(SynchronousTestCase):
    """A transport that is full now and then."""

    def setUp(self) -> None:
        self.told: list[str] = []
        self.transport = StringTransport()
        self.pressure = Pressure(
            self.transport,
            lambda: self.told.append("full"),
            lambda: self.told.append("free"),
        )

    def test_told(self) -> None:
        """Each change is told once."""
        for tell in (
            self.pressure.resumeProducing,
            self.pressure.pauseProducing,
            self.pressure.pauseProducing,
            self.pressure.resumeProducing,
        ):
            tell()
        self.assertEqual(self.told, ["full", "free"])
        self.assertFalse(self.pressure.is_full)

    def test_progress(self) -> None:
        """A transport that was empty meanwhile has not stood still."""
        self.assertIsNone(self.pressure.unread)
        self.pressure.pauseProducing()
        before = self.pressure.unread
        self.assertIsNotNone(before)
        self.pressure.resumeProducing()
        self.pressure.pauseProducing()
        self.assertNotEqual(self.pressure.unread, before)

    def test_released(self) -> None:
        """After `release` the transport has no producer, however often it is called."""
        self.pressure.release()
        self.assertIsNone(self.transport.producer)
        self.pressure.release()


class ConnectionTests(SynchronousTestCase):
    """The ways to close a connection."""

    def setUp(self) -> None:
        self.ended: list[str] = []
        self.connection = Connection()
        self.connection.on_ended = self.ended.append  # type: ignore[method-assign, assignment]
        self.transport = StringTransport()
        self.connection.makeConnection(self.transport)

    def test_close(self) -> None:
        """A connection that is closed is no longer watched, and nobody is told why."""
        self.connection.watch_pressure()
        self.connection.close()
        self.assertTrue(self.transport.disconnecting)
        self.assertIsNone(self.transport.producer)
        self.assertEqual(self.ended, [])

    def test_refuse(self) -> None:
        """A refused connection gets its last word, and is closed after it."""
        self.connection.refuse("why", b"bye")
        self.connection.write(b"more")
        self.assertEqual(self.transport.value(), b"bye")
        self.assertTrue(self.transport.disconnecting)
        self.assertEqual((self.connection.ended, self.ended), ("why", ["why"]))

    def test_abort(self) -> None:
        """A connection that is aborted takes nothing more; the first reason counts."""
        self.connection.abort("first")
        self.connection.abort("second")
        self.connection.write(b"more")
        self.connection.refuse("third", b"bye")
        self.assertTrue(self.transport.disconnected)
        self.assertEqual(self.transport.value(), b"")
        self.assertEqual(self.ended, ["first"])


class ConnectionsTests(SynchronousTestCase):
    """All connections that are open."""

    def test_when_empty(self) -> None:
        """Whoever waits is told when the last one has closed, each time."""
        connections: Connections[str] = Connections()
        self.successResultOf(connections.when_empty())
        for _ in range(2):
            connections.add("a")
            connections.add("b")
            empty = connections.when_empty()
            connections.discard("a")
            self.assertNoResult(empty)
            connections.discard("b")
            self.successResultOf(empty)


class BoundAddressTests(SynchronousTestCase):
    """What a port is called that is bound."""

    def test_port(self) -> None:
        """A port that the system chose takes the place of 0, and of nothing else."""
        reactor = MemoryReactor()
        port = reactor.listenTCP(4321, Factory())
        for address, expected in [
            ("127.0.0.1:0", "127.0.0.1:4321"),
            ("127.0.0.1:00", "127.0.0.1:4321"),
            (":0", ":4321"),
            ("[::0]:0", "[::0]:4321"),
            ("tcp:0", "tcp:4321"),
            ("tcp:port=0", "tcp:port=4321"),
            ("tcp:0:interface=127.0.0.1", "tcp:4321:interface=127.0.0.1"),
            (r"tcp6:0:interface=\:\:0", r"tcp6:4321:interface=\:\:0"),
            ("127.0.0.1:7000", "127.0.0.1:7000"),
            ("[::0]:7000", "[::0]:7000"),
            ("tcp:7000:interface=0", "tcp:7000:interface=0"),
        ]:
            self.assertEqual(bound_address(address, port), expected)


class CloseWithinTests(SynchronousTestCase):
    """Closing with a deadline."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.aborted: list[bool] = []
        self.closing: list[Deferred[None]] = [Deferred(), Deferred()]
        self.closed = close_within(
            5.0, self.clock, self.closing, lambda: self.aborted.append(True)
        )

    def test_in_time(self) -> None:
        """When all has closed, nothing is aborted, and no timer is left."""
        self.closing[0].callback(None)
        self.assertNoResult(self.closed)
        self.closing[1].callback(None)
        self.successResultOf(self.closed)
        self.assertEqual((self.aborted, self.clock.getDelayedCalls()), ([], []))

    def test_too_late(self) -> None:
        """What is open after the time is aborted, and still waited for."""
        self.clock.advance(5.0)
        self.assertEqual(self.aborted, [True])
        self.assertNoResult(self.closed)
        for it in self.closing:
            it.callback(None)
        self.successResultOf(self.closed)
