"""Tests of the table of harbors."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from skynet_tw.link.effects import Dial, Expected, Gone, StopDialing
from skynet_tw.link.membership import Membership


class DialTests(SynchronousTestCase):
    """Which harbors are dialed."""

    def setUp(self) -> None:
        self.members = Membership(2)

    def test_new(self) -> None:
        """A harbor that the master tells of is expected, and dialed."""
        self.assertEqual(
            self.members.connect(3, "host:3"), [Expected(3), Dial(3, "host:3")]
        )

    def test_own_id(self) -> None:
        """We do not dial ourselves."""
        self.assertEqual(self.members.connect(2, "host:2"), [])
        self.assertEqual(self.members.dead(2), [])

    def test_again_while_dialing(self) -> None:
        """The same address goes on being dialed, another one takes its place."""
        self.members.connect(3, "host:3")
        self.assertEqual(self.members.connect(3, "host:3"), [Expected(3)])
        self.assertEqual(
            self.members.connect(3, "else:3"), [Expected(3), Dial(3, "else:3")]
        )

    def test_linked(self) -> None:
        """A harbor that is linked is not dialed, but where it is now is remembered."""
        self.members.connect(3, "host:3")
        self.members.link_up(3, True)
        self.assertEqual(self.members.connect(3, "else:3"), [])
        self.assertEqual(self.members.link_down(3, "cut"), [Dial(3, "else:3")])

    def test_link_lost(self) -> None:
        """A link that we dialed is made again by who made it, the dialer."""
        self.members.connect(3, "host:3")
        self.members.link_up(3, True)
        self.assertEqual(self.members.link_down(3, "cut"), [])

    def test_accepted_link_lost(self) -> None:
        """A link that was accepted is dialed again only if we know where."""
        self.members.link_up(1, False)
        self.assertEqual(self.members.link_down(1, "cut"), [])
        self.members.connect(3, "host:3")
        self.assertEqual(self.members.link_up(3, False), [StopDialing(3)])
        self.assertEqual(self.members.link_down(3, "cut"), [Dial(3, "host:3")])

    def test_death_without_link(self) -> None:
        """A harbor that is dead and not linked is gone."""
        self.members.connect(3, "host:3")
        stop, gone = self.members.dead(3)
        self.assertEqual(stop, StopDialing(3))
        self.assertIsInstance(gone, Gone)

    def test_death_with_link(self) -> None:
        """A link outlives the control connection; without both, a harbor is gone."""
        self.members.connect(3, "host:3")
        self.members.link_up(3, True)
        self.assertEqual(self.members.dead(3), [])
        self.assertEqual(
            self.members.link_down(3, "cut"), [StopDialing(3), Gone(3, "cut")]
        )

    def test_link_lost_then_death(self) -> None:
        """It does not matter which of both ends first, not for the reason either."""
        self.members.link_up(1, False)
        self.members.link_down(1, "cut")
        self.assertEqual(self.members.dead(1), [Gone(1, "cut")])

    def test_never_linked(self) -> None:
        """That it was never linked is said of such a harbor alone."""
        never = Gone(3, "the master lost it before it was linked")
        self.assertEqual(self.members.dead(3), [never])
        for linked_before in (False, True, True):
            if linked_before:
                self.members.connect(3, "host:3")
                self.members.link_up(3, True)
                self.members.link_down(3, "cut")
                self.assertEqual(self.members.dead(3), [StopDialing(3), Gone(3, "cut")])
            # It comes back, and dies before it is linked again.
            self.members.connect(3, "host:3")
            self.assertEqual(self.members.dead(3), [StopDialing(3), never])

    def test_return(self) -> None:
        """A harbor that comes back is dialed again, also after its death."""
        self.members.connect(3, "host:3")
        self.members.dead(3)
        self.assertEqual(
            self.members.connect(3, "host:3"), [Expected(3), Dial(3, "host:3")]
        )

    def test_return_before_the_link_is_lost(self) -> None:
        """A harbor that died and came back while linked is no longer a dead one."""
        self.members.connect(3, "host:3")
        self.members.link_up(3, True)
        self.members.dead(3)
        self.members.connect(3, "host:3")
        self.assertEqual(self.members.link_down(3, "cut"), [])


class AdmissionTests(SynchronousTestCase):
    """Who is let in."""

    def test_objections(self) -> None:
        """All ids are let in but 0, our own, and those that are linked now."""
        members = Membership(2)
        members.link_up(7, False)
        refused = [id for id in range(256) if members.objection(id) is not None]
        self.assertEqual(refused, [0, 2, 7])
        members.link_down(7, "cut")
        self.assertIsNone(members.objection(7))

    def test_crossing(self) -> None:
        """When two harbors dial each other, the smaller id's connection wins."""
        for own, other, wins in ((1, 2, True), (2, 1, False)):
            members = Membership(own)
            members.dialed(other, True)
            self.assertEqual(members.objection(other) is not None, wins)
            members.dialed(other, False)
            self.assertIsNone(members.objection(other))

    def test_duplicate(self) -> None:
        """A harbor that dialed us meanwhile is not linked twice."""
        members = Membership(1)
        self.assertIsNone(members.duplicate(2))
        members.link_up(2, False)
        self.assertIsNotNone(members.duplicate(2))


class ThereTests(SynchronousTestCase):
    """Which harbors are there, as far as can be known."""

    def test_there(self) -> None:
        """A harbor is there until neither a link nor the master has it."""
        members = Membership(2)
        self.assertTrue(members.is_there(2))
        self.assertTrue(members.is_there(9), "before the master said anything")
        members.accepted(1)
        self.assertTrue(members.is_there(9), "it may be the one that is to dial us")
        members.link_up(1, False)
        self.assertFalse(members.is_there(9))
        members.connect(3, "host:3")
        self.assertTrue(members.is_there(3), "it is being dialed")
        members.link_up(3, True)
        members.link_down(3, "cut")
        self.assertTrue(members.is_there(3), "it is being dialed again")
        members.dead(3)
        self.assertFalse(members.is_there(3))
        members.dead(1)
        self.assertTrue(members.is_there(1), "its link lives")
        members.link_down(1, "cut")
        self.assertFalse(members.is_there(1))

    def test_strangers(self) -> None:
        """Who asked to be let in under an id, and was not, makes no harbor of it."""
        members = Membership(2)
        members.accepted(0)
        members.objection(9)
        members.duplicate(9)
        self.assertFalse(members.is_there(9))


class WaitTests(SynchronousTestCase):
    """How many links are waited for."""

    def test_count(self) -> None:
        """As many older nodes are waited for as the master says, whoever they are."""
        members = Membership(3)
        self.assertIsNone(members.missing)
        members.accepted(2)
        members.link_up(1, False)
        self.assertEqual(members.missing, 1)
        members.link_up(2, False)
        self.assertEqual(members.missing, 0)

    def test_early_links(self) -> None:
        """Links that are up before the master says how many count as well."""
        members = Membership(3)
        members.link_up(1, False)
        members.accepted(2)
        self.assertEqual(members.missing, 1)

    def test_newer_nodes(self) -> None:
        """Links to newer nodes do not count."""
        members = Membership(3)
        members.accepted(1)
        members.connect(4, "host:4")
        members.link_up(4, True)
        self.assertEqual(members.missing, 1)

    def test_death(self) -> None:
        """A node that dies before it linked is not waited for; a newer one never."""
        members = Membership(3)
        members.accepted(2)
        members.connect(4, "host:4")
        members.dead(4)
        self.assertEqual(members.missing, 2)
        members.dead(1)
        self.assertEqual(members.missing, 1)
        members.link_up(2, False)
        members.dead(2)
        self.assertEqual(members.missing, 0)
