"""Tests of the table of the other harbors of 2013."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from skynet_tw.link.effects import (
    Await,
    Dial,
    Effect,
    Expected,
    Finish,
    Gone,
    Lost,
    Ready,
    StopDialing,
)
from skynet_tw.link.membership2013 import Membership2013
from skynet_tw.link.peer2013 import (
    CLOSED_AFTER,
    GONE_AFTER,
    HEARD_AFTER,
    NOTICED_AFTER,
)


class Membership2013Tests(SynchronousTestCase):
    """Who is linked when, and what is done for it."""

    def setUp(self) -> None:
        self.table = Membership2013(1)

    def announce(self, harbor: int, address: str = "") -> list[Effect]:
        return self.table.announce(harbor, address or f"host:{harbor}", "own:1")

    def link(self, harbor: int) -> None:
        """Link one harbor."""
        self.announce(harbor)
        self.table.connected(harbor)
        self.table.called(f"from {harbor}")
        self.table.caller_is(f"from {harbor}", harbor)
        self.assertIn(harbor, self.table.linked())

    def test_link(self) -> None:
        """A harbor is linked when we reached it and it reached us."""
        self.assertEqual(
            self.announce(2), [Expected(2), Dial(2, "host:2"), Await(2, GONE_AFTER)]
        )
        self.assertEqual(self.table.pending(), [(2, "at host:2")])
        self.assertEqual(self.table.connected(2), [Await(2, HEARD_AFTER)])
        self.assertEqual(self.table.pending(), [(2, "to dial us")])
        self.assertEqual(self.table.called("a"), [Await(2, NOTICED_AFTER)])
        self.assertEqual(self.table.linked(), [])
        self.assertEqual(self.table.too_late(2), [Await(2, None), Ready(2)])
        self.assertEqual(self.table.pending(), [])
        self.assertEqual(self.table.linked(), [2])

    def test_called_first(self) -> None:
        """It may have reached us before we reached it."""
        self.table.called("a")
        self.announce(2)
        self.assertEqual(
            self.table.connected(2), [Await(2, HEARD_AFTER), Await(2, NOTICED_AFTER)]
        )
        self.assertEqual(self.table.too_late(2), [Await(2, None), Ready(2)])

    def test_heard_first(self) -> None:
        """When messages came from it, its own connection is up for certain."""
        self.table.called("a")
        self.table.caller_is("a", 2)
        self.announce(2)
        self.assertIn(Ready(2), self.table.connected(2))

    def test_the_master_does_not_count(self) -> None:
        """The call of the master is not taken for that of a harbor."""
        self.table.called("m")
        self.table.caller_is_master("m", True)
        self.announce(2)
        self.assertEqual(self.table.connected(2), [Await(2, HEARD_AFTER)])

    def test_never_calls(self) -> None:
        """A harbor that does not dial us counts as linked after a while."""
        self.announce(2)
        self.table.connected(2)
        self.assertEqual(self.table.too_late(2), [Await(2, None), Ready(2)])

    def test_several_at_once(self) -> None:
        """As nobody says who he is, all are waited for, or until they do."""
        self.announce(2)
        self.announce(3)
        self.table.connected(2)
        self.table.connected(3)
        self.assertEqual(self.table.called("a"), [])
        self.assertEqual(self.table.caller_is("a", 3), [Await(3, None), Ready(3)])
        self.assertEqual(self.table.called("b"), [Await(2, NOTICED_AFTER)])

    def test_all_have_called(self) -> None:
        """When there are as many calls as harbors, each is linked once reached."""
        self.announce(2)
        self.announce(3)
        self.table.called("a")
        self.table.called("b")
        self.assertIn(Await(2, NOTICED_AFTER), self.table.connected(2))
        self.assertIn(Await(3, NOTICED_AFTER), self.table.connected(3))
        self.assertIn(Ready(3), self.table.too_late(3))
        # While it gets its time it may be lost, move, or make room for another.
        lost = self.table.lost(2, "cut", False)
        self.assertEqual(lost, [Await(2, GONE_AFTER)])
        self.assertIn(Await(2, NOTICED_AFTER), self.table.connected(2))
        self.assertIn(Dial(2, "new:2"), self.announce(2, "new:2"))
        self.assertIn(Await(2, NOTICED_AFTER), self.table.connected(2))
        self.assertIn(StopDialing(2), self.announce(4, "new:2"))

    def test_lost(self) -> None:
        """A link that breaks is dialed by whoever dialed it; it may come back."""
        self.link(2)
        self.assertEqual(
            self.table.lost(2, "cut", False), [Lost(2, "cut"), Await(2, GONE_AFTER)]
        )
        self.assertEqual(self.table.linked(), [])
        self.table.failed(2, "refused")
        (gone,) = self.table.too_late(2)
        self.assertEqual(gone, Gone(2, f"refused, for {GONE_AFTER:g} s"))
        self.assertEqual(self.table.pending(), [])
        self.assertIn(Ready(2), self.table.connected(2))

    def test_lost_before_it_was_linked(self) -> None:
        """A connection that nobody wrote to breaks without a word."""
        self.announce(2)
        self.table.connected(2)
        self.assertEqual(self.table.lost(2, "cut", False), [Await(2, GONE_AFTER)])

    def test_announced_anew(self) -> None:
        """The old link is closed, and the new one dialed when it is read."""
        self.link(2)
        self.assertEqual(self.announce(2, "new:2"), [Finish(2), Await(2, CLOSED_AFTER)])
        self.assertEqual(self.table.linked(), [])
        self.assertEqual(
            self.table.lost(2, "closed", True),
            [Dial(2, "new:2"), Await(2, GONE_AFTER)],
        )
        self.assertIn(Ready(2), self.table.connected(2))

    def test_announced_anew_and_cut(self) -> None:
        """If the old link ends in another way, what was written may be lost."""
        self.link(2)
        self.announce(2)
        self.announce(2, "newer:2")
        self.assertEqual(
            self.table.lost(2, "cut", False),
            [Lost(2, "cut"), Dial(2, "newer:2"), Await(2, GONE_AFTER)],
        )

    def test_announced_anew_and_silent(self) -> None:
        """A harbor that does not close the old link is not waited for."""
        self.link(2)
        self.announce(2)
        lost, dial, _ = self.table.too_late(2)
        self.assertIsInstance(lost, Lost)
        self.assertEqual(dial, Dial(2, "host:2"))

    def test_announced_while_dialing(self) -> None:
        """The last address is the one that is dialed."""
        for _ in range(2):
            self.assertIn(Dial(2, "a:2"), self.announce(2, "a:2"))
            self.assertIn(Dial(2, "b:2"), self.announce(2, "b:2"))
            self.table.connected(2)

    def test_own(self) -> None:
        """We never link to ourselves, whatever id our address is given."""
        self.assertEqual(self.announce(1), [])
        self.assertEqual(
            self.announce(2, "own:1"),
            [
                Await(2, None),
                StopDialing(2),
                Gone(2, "it was announced at our own address"),
            ],
        )
        self.assertEqual(self.table.linked(), [])

    def test_another_harbor_at_the_same_address(self) -> None:
        """Messages for the one that lived there must not reach the other."""
        self.link(2)
        actions = self.announce(3, "host:2")
        self.assertEqual(
            [type(action) for action in actions],
            [Lost, Await, StopDialing, Gone, Expected, Dial, Await],
        )
        self.assertEqual(actions[-2], Dial(3, "host:2"))
        self.assertIn(Dial(2, "moved:2"), self.announce(2, "moved:2"))

    def test_late_events(self) -> None:
        """What comes late does nothing."""
        for harbor in (2, 3):
            self.assertEqual(self.table.lost(harbor, "", True), [])
            self.assertEqual(self.table.connected(harbor), [])
            self.assertEqual(self.table.too_late(harbor), [])
        self.table.caller_lost("nobody")
        self.link(2)
        self.announce(2)
        self.assertEqual(self.table.connected(2), [])
