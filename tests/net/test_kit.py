"""Tests of what the wires share."""

from __future__ import annotations

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from skynet_tw.net.kit.closing import close_within
from skynet_tw.net.kit.connections import Connections
from skynet_tw.net.kit.oneshot import OneShot
from skynet_tw.net.kit.progress import Progress


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
