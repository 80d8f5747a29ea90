"""Tests of who dialed a harbor of 2013; whole crowds are in `test_strangers2013`."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from skynet_tw.link.callers2013 import MAX_CALLERS, NEAREST, Callers2013
from skynet_tw.link.effects import Close, Effect, MasterFound


def closed(effects: list[Effect]) -> list[object]:
    """Which connections are to be closed."""
    assert all(isinstance(effect, Close) for effect in effects)
    return [effect.connection for effect in effects if isinstance(effect, Close)]


class MasterTests(SynchronousTestCase):
    """Which of them is the master."""

    def setUp(self) -> None:
        self.callers = Callers2013(strangers=4, handshake=10.0)

    def test_silent(self) -> None:
        """When nothing comes for a moment, it is the first who may be the master."""
        for caller, may_be in (("a", False), ("b", True), ("c", True)):
            self.assertEqual(self.callers.opened(caller, 0.0, may_be), [])
        self.assertIsNone(self.callers.master)
        self.assertEqual(self.callers.quiet(), [MasterFound("b", None)])
        self.assertEqual(self.callers.master, "b")

    def test_harbor(self) -> None:
        """Who has sent a message is a harbor, and not the master."""
        self.callers.opened("a", 0.0, True)
        self.assertEqual(self.callers.is_harbor("a", 7), [])
        self.assertEqual(self.callers.quiet(), [])

    def test_announces(self) -> None:
        """Who speaks as the master does is the master, whoever was before."""
        self.callers.opened("a", 0.0, True)
        self.callers.quiet()
        self.callers.opened("b", 1.0, False)
        self.assertEqual(self.callers.announces("b"), [MasterFound("b", "a")])
        self.assertEqual(self.callers.announces("b"), [])
        self.assertFalse(self.callers.closed("a"))
        self.assertTrue(self.callers.closed("b"))
        self.assertIsNone(self.callers.master)

    def test_many_masters(self) -> None:
        """Of those who speak as the master, the last ones are kept."""
        said: list[Effect] = []
        for caller in range(MAX_CALLERS + 2):
            self.callers.opened(caller, 0.0, False)
            found, *close = self.callers.announces(caller)
            self.assertIsInstance(found, MasterFound)
            said += close
            for effect in close:
                assert isinstance(effect, Close)
                self.callers.dropped(effect.connection)
        self.assertEqual(closed(said), [0, 1])


class PatienceTests(SynchronousTestCase):
    """Which of them are kept."""

    def setUp(self) -> None:
        self.callers = Callers2013(strangers=4, handshake=10.0)

    def test_in_time(self) -> None:
        """Who does not say who he is is closed when his time is over, not before."""
        self.callers.opened("a", 0.0, False)
        self.callers.opened("b", 5.0, False)
        self.assertEqual(self.callers.sweep(9.9), [])
        self.assertEqual(closed(self.callers.sweep(10.0)), ["a"])
        self.callers.dropped("a")
        self.assertEqual(self.callers.sweep(14.0), [])
        self.callers.is_harbor("b", 7)
        self.assertEqual(self.callers.sweep(100.0), [])

    def test_too_many(self) -> None:
        """One more than there is room for costs the oldest his place."""
        for caller in range(4):
            self.assertEqual(self.callers.opened(caller, 0.0, False), [])
        self.assertEqual(closed(self.callers.opened(4, 0.0, False)), [0])

    def test_may_be_a_harbor(self) -> None:
        """Those who came next to the announcement of a silent harbor are kept."""
        callers = Callers2013(strangers=1000, handshake=10.0)
        for caller in range(100):
            callers.opened(caller, float(caller), False)
        callers.announced(7, 50.0)
        kept = {*range(100)} - set(closed(callers.sweep(200.0)))
        # Those around its announcement, and the newest: it may have dialed again.
        self.assertEqual(len(kept), NEAREST + 1)
        self.assertIn(50, kept)
        self.assertIn(99, kept)
        # Once it speaks, nobody has to be kept for it.
        callers.is_harbor(50, 7)
        self.assertEqual(set(closed(callers.sweep(200.0))), {*range(100)} - {50})

    def test_many_of_one_harbor(self) -> None:
        """A harbor that has many connections lost the older ones."""
        for caller in range(MAX_CALLERS):
            self.callers.opened(caller, 0.0, False)
            self.assertEqual(self.callers.is_harbor(caller, 7), [])
        self.callers.opened("new", 1.0, False)
        self.assertEqual(closed(self.callers.is_harbor("new", 7)), [0])
