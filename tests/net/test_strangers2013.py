"""Strangers at the ports of 2013, where nobody says who he is."""

from __future__ import annotations

from twisted.internet.protocol import Protocol

from skynet_tw.link.callers2013 import MAX_CALLERS, NEAREST
from skynet_tw.net.kit.limits import ConnectionLimits
from skynet_tw.wire.control import Hello, Name, Query
from skynet_tw.wire.harbor2013 import MessageWriter, encode_announcement, encode_request

from .linkworld import Stranger
from .world import MASTER
from .world2013 import World2013, links_of

HOST = "host1:2526"

#: Ways to say nothing, and to go on with that: at first, and every two seconds.
WAYS = {
    "silence": (b"", b""),
    "half a length": (b"\0\0", b""),
    "half a frame": (b"\0\0\0\x20half", b""),
    "a frame, byte by byte": (b"\0\xff\0\0", b"x"),
    "frames that mean nothing": (bytes(4), bytes(4)),
}


def message(harbor: int, payload: bytes = b"x") -> bytes:
    """A message of a harbor to an actor of harbor 1."""
    writer = MessageWriter()
    writer.send(0x01000007, harbor << 24 | 1, 10, 0, payload)
    return writer.take()


class StrangersCase(World2013):
    """Counts who is still there."""

    def count(self, strangers: list[Stranger]) -> int:
        """How many of them are still connected."""
        return sum(stranger.lost is None for stranger in strangers)

    def wait(self, strangers: list[Stranger], seconds: int, drip: bytes = b"") -> None:
        """Let time pass, with a few bytes of each now and then."""
        for _ in range(seconds // 2):
            for stranger in strangers:
                if stranger.lost is None:
                    stranger.say(drip)
            self.run_for(2)


class HarborPortTests(StrangersCase):
    """The port of a harbor."""

    def setUp(self) -> None:
        super().setUp()
        self.start_master()

    def crowd(self, way: str, count: int = 40) -> list[Stranger]:
        """Let strangers come."""
        return [self.stranger(HOST, WAYS[way][0]) for _ in range(count)]

    def quiet_harbor(self, harbor: int) -> None:
        """Let a harbor join that takes calls, as real ones do, and says nothing."""
        address = f"host{harbor}:1"
        listening = self.network.server(address).listen(self.factory_of(Protocol))
        self.addCleanup(self.successResultOf(listening).stopListening)
        self.stranger(MASTER, encode_request(Hello(harbor, address)))

    def test_patience(self) -> None:
        """Who does not say who he is in time is dropped, whatever else he does."""
        one, two = self.node(1), self.node(2)
        self.run_for(1)
        self.assert_full_mesh(one, two)
        for way, (_, drip) in WAYS.items():
            strangers = self.crowd(way)
            self.assertEqual(self.count(strangers), 40)
            self.wait(strangers, 4, drip)
            self.assertEqual(self.count(strangers), 40, way)
            self.wait(strangers, 12, drip)
            self.assertEqual(self.count(strangers), 0, way)
        self.assert_full_mesh(one, two)

    def test_alone(self) -> None:
        """A node that waits for no harbor keeps nobody; its master it does keep."""
        one = self.node(1)
        self.run_for(1)
        master = links_of(one).callers.master
        for way, (_, drip) in WAYS.items():
            strangers = self.crowd(way, 20)
            self.wait(strangers, 30, drip)
            self.assertEqual(self.count(strangers), 0, way)
        self.run_for(600)
        self.assertIsNotNone(master)
        self.assertIs(links_of(one).callers.master, master)

    def test_quiet_harbor(self) -> None:
        """A harbor that has nothing to say is kept, and few of those who may be it."""
        self.node(1)
        self.run_for(20)
        before = [self.stranger(HOST) for _ in range(100)]
        self.run_for(6)
        for harbor in (5, 6):
            self.quiet_harbor(harbor)
        self.run_for(0.1)
        quiet = [self.stranger(HOST) for _ in range(2)]
        self.run_for(3)
        after = [self.stranger(HOST) for _ in range(300)]
        self.run_for(120)
        self.assertEqual(self.count(quiet), 2)
        self.assertLessEqual(self.count(before + after), 2 * NEAREST)
        # Nobody has to be kept for those who spoke.
        for harbor, stranger in zip((5, 6), quiet, strict=True):
            stranger.say(message(harbor))
        self.run_for(20)
        self.assertEqual(self.count(quiet), 2)
        self.assertEqual(self.count(before + after), 0)

    def test_first_message_that_never_ends(self) -> None:
        """Who may be a quiet harbor may send a long message, but not byte by byte."""
        node = self.node(1)
        self.run_for(1)
        for harbor in (5, 6):
            self.quiet_harbor(harbor)
        self.run_for(0.1)
        slow, dripping = self.stranger(HOST), self.stranger(HOST)
        self.run_for(60)
        data = message(5, bytes(1 << 20))
        dripping.say(data[:4])
        for start in range(0, len(data), 1 << 17):
            slow.say(data[start : start + (1 << 17)])
            self.wait([dripping], 20, b"x")
        self.assertEqual(node.receiver.got(5), [bytes(1 << 20)])
        self.assertEqual(self.count([slow, dripping]), 1)

    def test_ours_dial_again(self) -> None:
        """One of ours that has nothing to say after its link was cut is left alone."""
        nodes = [self.node(harbor) for harbor in (1, 2, 3)]
        self.run_for(30)
        for _ in range(3):
            self.network.cut(HOST)
            self.run_for(60)
            self.assert_full_mesh(*nodes)
            self.network.cut(HOST)
            self.run_for(10)
            for node in nodes:
                node.receiver.events.clear()
            self.run_for(600)
            self.assertEqual([node.receiver.events for node in nodes], [[], [], []])
        self.assert_full_mesh(*nodes)

    def test_masters(self) -> None:
        """Of those who speak as the master does, some are kept, the last to speak."""
        self.node(1)
        self.run_for(1)
        name = encode_announcement(Name("N", 0x05000001))
        strangers = [self.stranger(HOST, name) for _ in range(20)]
        self.run_for(60)
        self.assertEqual(self.count(strangers), MAX_CALLERS)
        self.assertEqual(self.count(strangers[-MAX_CALLERS:]), MAX_CALLERS)


class FewPlacesTests(StrangersCase):
    """The number of strangers at a harbor."""

    limits = ConnectionLimits(strangers=16)

    def test_number(self) -> None:
        """The oldest stranger makes room, but none who may be a harbor."""
        self.start_master()
        nodes = [self.node(harbor) for harbor in (1, 2)]
        self.run_for(1)
        self.assert_full_mesh(*nodes)
        strangers = [self.stranger(HOST) for _ in range(100)]
        self.assertEqual(self.count(strangers), 16)
        self.assertEqual(self.count(strangers[-16:]), 16)
        late = self.node(3)
        self.run_for(1)
        self.assert_full_mesh(*nodes, late)


class MasterPortTests(StrangersCase):
    """The master's port."""

    def test_patience(self) -> None:
        """Who does not register in time is dropped, whatever else he does."""
        self.start_master()
        for says, drip in (
            (b"", b""),
            (b"\0\0", b""),
            (b"\0\0\1\0", b"x"),
            (bytes(4), bytes(4)),
            (bytes(4), encode_request(Query("N"))),
        ):
            strangers = [self.stranger(MASTER, says) for _ in range(20)]
            self.wait(strangers, 4, drip)
            self.assertEqual(self.count(strangers), 20)
            self.wait(strangers, 12, drip)
            self.assertEqual(self.count(strangers), 0)

    def test_registrations(self) -> None:
        """To register again and again does not make places without a bound."""
        self.start_master()
        hello = encode_request(Hello(5, "host5:1"))
        strangers = [self.stranger(MASTER, hello) for _ in range(200)]
        self.assertLessEqual(self.count(strangers), 65)
        self.run_for(100)
        again = [self.stranger(MASTER, hello) for _ in range(200)]
        self.assertLessEqual(self.count(strangers + again), 65)
