"""Requests in waiting: what is kept of them, and for how long."""

from __future__ import annotations

from twisted.internet.defer import CancelledError
from twisted.trial.unittest import SynchronousTestCase

from skynet_tw.errors import QueueFull
from skynet_tw.node.limits import Limits
from skynet_tw.node.waits import Waits
from skynet_tw.node.work import REDIRECTED

ONE, TWO = 0x02000001, 0x03000002


class WaitsTests(SynchronousTestCase):
    """The table of who waits for what."""

    def setUp(self) -> None:
        self.waits: Waits[str] = Waits(Limits(messages=4, size=100))

    def test_succeed(self) -> None:
        """All who wait for a key are answered, in order, and nobody else."""
        woken: list[str] = []
        first, second = (self.waits.add("a", 1, caller) for caller in (ONE, TWO))
        other = self.waits.add("b", 1, ONE)
        first.addCallback(lambda value: woken.append(f"first {value}"))
        second.addCallback(lambda value: woken.append(f"second {value}"))
        self.waits.succeed("a", 5)
        self.waits.succeed("a", 6)
        self.assertEqual(woken, ["first 5", "second 5"])
        self.assertNoResult(other)
        self.assertEqual(list(self.waits), ["b"])

    def test_fail(self) -> None:
        """Each who waits gets an error of its own, which it may change and raise."""
        waiting = [self.waits.add("a", 1, ONE) for _ in range(2)]
        self.waits.fail("a", "no")
        errors = [self.failureResultOf(wait, ValueError).value for wait in waiting]
        self.assertIsNot(*errors)

    def test_cancel(self) -> None:
        """A wait that is cancelled leaves nothing behind."""
        wait = self.waits.add("a", 1, ONE)
        wait.cancel()
        self.failureResultOf(wait, CancelledError)
        self.assert_empty()
        self.waits.succeed("a", 5)

    def test_cancelled_by_another(self) -> None:
        """Whom an answer wakes may cancel the next one's wait."""
        first, second = self.waits.add("a", 1, ONE), self.waits.add("a", 1, TWO)
        first.addCallback(lambda _: second.cancel())
        self.waits.succeed("a", 5)
        self.failureResultOf(second, CancelledError)
        self.assert_empty()

    def test_bounds(self) -> None:
        """So many may wait, with so many bytes in their keys; who leaves makes room."""
        large = self.waits.add("a", 99, ONE)
        with self.assertRaises(QueueFull):
            self.waits.add("b", 2, ONE)
        large.cancel()
        self.failureResultOf(large, CancelledError)
        for _ in range(4):
            self.waits.add("b", 2, ONE)
        with self.assertRaises(QueueFull):
            self.waits.add("b", 2, ONE)
        self.waits.succeed("b", 1)
        self.waits.add("b", 2, ONE)

    def test_callers_gone(self) -> None:
        """What a caller that is gone waits for is forgotten, and gets no answer."""
        gone = [self.waits.add(key, 1, ONE) for key in "aab"]
        left = self.waits.add("a", 1, TWO)
        asked: list[int] = []

        def has_gone(handle: int) -> bool:
            asked.append(handle)
            return handle == ONE

        self.waits.callers_gone(has_gone)
        self.assertEqual(asked, [ONE, TWO])  # once each, whatever it waits for
        for wait in gone:
            self.assertIs(self.successResultOf(wait), REDIRECTED)
        self.assertEqual(self.waits.callers("a"), [TWO])
        self.waits.succeed("a", 5)
        self.assertEqual(self.successResultOf(left), 5)
        self.assert_empty()

    def assert_empty(self) -> None:
        """Nothing is kept, in any table."""
        self.assertEqual(len(self.waits), 0)
        kept = [value for value in vars(self.waits).values() if value]
        self.assertEqual(kept, [Limits(messages=4, size=100)])
