"""Nodes of different wires that meet say so in one line, and do not half work."""

from __future__ import annotations

from skynet_tw.errors import BootFailed, OtherWire
from skynet_tw.link.effects import Close
from skynet_tw.link.peer import Peer
from skynet_tw.wire.control import NOT_2013, Hello, encode
from skynet_tw.wire.harbor2013 import NOTHING, encode_request

from .modern import ModernWorld
from .world import MASTER, Node
from .world2013 import World2013, links_of

THEIRS_IS_2013 = "the other side speaks --wire 2013, we --wire modern"
THEIRS_IS_MODERN = "the other side speaks --wire modern, we --wire 2013"
MESSAGE = bytes.fromhex("0000000d78050000010a00000700000000")


class ModernMeets2013Tests(World2013):
    """Everything here is of 2013 but those that come."""

    def test_harbor_at_our_master(self) -> None:
        """A current node's boot fails at once; the master says why, in one line."""
        self.start_master()
        node = Node(self, 7, wire="modern")
        self.nodes.append(node)
        node.start()
        self.run_for(1)
        failure = self.failureResultOf(node.joined, BootFailed)
        self.assertEqual(
            failure.getErrorMessage(), f"the master at {MASTER}: {THEIRS_IS_2013}"
        )
        (line,) = self.log()
        self.assertIn(THEIRS_IS_MODERN, line)
        self.assertEqual(self.table.slaves, {})

    def test_link_to_our_port(self) -> None:
        """A current node's link gets an id that is none, and is closed."""
        self.start_master()
        node = self.node(1)
        self.run_for()
        before = len(self.log())
        for opening in (b"\x05", encode(Hello(5, "host5:1"))):
            stranger = self.stranger(node.address, opening)
            self.assertEqual(stranger.heard, NOTHING)
            self.assertIsNotNone(stranger.lost)
        self.assertIn(THEIRS_IS_MODERN, self.log()[before])
        self.assertEqual(len(self.log()), before + 1)
        self.assertEqual(node.receiver.events, [])

    def test_our_link_to_their_port(self) -> None:
        """Whoever says something on our own connection is no harbor of 2013."""
        self.start_master()
        one, two = self.node(1), self.node(2)
        self.run_for()
        (wire,) = (
            caller
            for caller in links_of(two).callers.connections
            if caller.harbor == 0 and caller is not links_of(two).callers.master
        )
        assert wire.transport is not None
        wire.transport.write(b"\x02")
        self.run_for(0.02)
        self.assertIn(("lost", 2), one.receiver.events)
        self.assertTrue(any(THEIRS_IS_MODERN in line for line in self.log()))


class The2013MeetsModernTests(ModernWorld):
    """Everything here is current but those that come."""

    def test_harbor_at_our_master(self) -> None:
        """A node of 2013 fails to boot at once; the master says why, in one line."""
        self.start_master()
        node = Node(self, 7, wire="2013")
        self.nodes.append(node)
        node.start()
        self.run_for(1)
        failure = self.failureResultOf(node.joined, BootFailed)
        self.assertEqual(
            failure.getErrorMessage(), f"the master at {MASTER}: {THEIRS_IS_MODERN}"
        )
        (line,) = self.log()
        self.assertIn(THEIRS_IS_2013, line)
        self.assertEqual(self.table.slaves, {})

    def test_real_harbor_at_our_master(self) -> None:
        """It is told something, which a real one ignores, and closed."""
        self.start_master()
        stranger = self.stranger(MASTER, encode_request(Hello(5, "host5:1")))
        self.assertEqual(stranger.heard, NOT_2013)
        self.assertIsNotNone(stranger.lost)

    def test_message_at_our_port(self) -> None:
        """The first frame of a harbor of 2013 is known from its first byte on."""
        self.start_master()
        node = self.node(1)
        self.run_for()
        before = len(self.log())
        for opening in (MESSAGE, MESSAGE[:1]):
            stranger = self.stranger(node.address, opening)
            self.assertIsNotNone(stranger.lost)
        self.assertIn(THEIRS_IS_2013, self.log()[before])
        self.assertEqual(len(self.log()), before + 1)

    def test_their_port_answers(self) -> None:
        """A port of 2013 that answers our link is no harbor of ours."""
        peer = Peer(1, 5, lambda _: None)
        peer.open()
        [close] = peer.greet(NOTHING)
        assert isinstance(close, Close)
        self.assertIsInstance(close.error, OtherWire)
