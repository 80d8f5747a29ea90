"""Tests of a slave's side of the control connection."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from skynet_tw.errors import TooLarge
from skynet_tw.link.effects import Effect
from skynet_tw.link.master_client import MasterClientCore
from skynet_tw.wire.control import (
    Connect,
    ControlReader,
    Dead,
    Hello,
    Name,
    Packet,
    Query,
    Record,
    Register,
    Wait,
    encode,
)

from .effects import error, heard, lines, written


def said(effects: list[Effect]) -> list[Record]:
    """What was written."""
    return ControlReader().feed(written(effects))


class MasterClientTests(SynchronousTestCase):
    """Harbor 2 and its master."""

    def setUp(self) -> None:
        self.slave = MasterClientCore(2, "host:2")

    def hear(self, *packets: Packet) -> list[Effect]:
        return self.slave.feed(b"".join(map(encode, packets)))

    def join(self) -> list[Effect]:
        self.slave.connected()
        return self.hear(Wait(0))

    def test_greeting(self) -> None:
        """H is said at once, and nothing else until the answer."""
        self.assertEqual(said(self.slave.connected()), [Hello(2, "host:2")])
        self.assertEqual(written(self.slave.register("X", 0x02000001)), b"")
        self.assertEqual(written(self.slave.query("Y")), b"")
        effects = self.hear(Wait(3))
        self.assertEqual(said(effects), [Register("X", 0x02000001), Query("Y")])
        self.assertEqual(heard(effects), [Wait(3)])

    def test_early_packets(self) -> None:
        """What comes before the answer is told after it, in order."""
        self.slave.connected()
        early: list[Packet] = [Connect(3, "host:3"), Name("N", 5), Dead(3)]
        self.assertEqual(heard(self.hear(*early)), [])
        self.assertEqual(heard(self.hear(Wait(1), Dead(4))), [Wait(1), *early, Dead(4)])

    def test_no_master(self) -> None:
        """Whoever answers H with anything else is no master."""
        for data in (b"\x02\x0c\x5a", encode(Query("X")), b"\x03\x07\x07\x07", b"\0"):
            slave = MasterClientCore(2, "host:2")
            slave.connected()
            self.assertIsNotNone(error(slave.feed(data)))

    def test_odd_packets_of_a_master(self) -> None:
        """What a real master passes on from strangers is ignored, not fatal."""
        self.join()
        for data in (
            bytes.fromhex("070c43122c010c61"),  # C, 300, "a"
            bytes.fromhex("040c440c78"),  # D, "x"
            bytes.fromhex("040c5a0c78"),  # Z, "x"
        ):
            effects = self.slave.feed(data)
            self.assertIsNone(error(effects))
            self.assertEqual(heard(effects), [])
            self.assertEqual(len(lines(effects)), 1)

    def test_repeats_after_a_loss(self) -> None:
        """Own names, and names not known yet, are said again on a new connection."""
        self.join()
        self.slave.register("MINE", 0x02000001)
        self.slave.query("KNOWN")
        self.slave.query("UNKNOWN")
        self.hear(Name("MINE", 0x02000001), Name("KNOWN", 0x01000001))
        self.slave.lost()
        self.assertEqual(written(self.slave.register("LATER", 0x02000002)), b"")
        self.assertEqual(said(self.slave.connected()), [Hello(2, "host:2")])
        self.assertEqual(
            said(self.hear(Wait(0))),
            [
                Register("MINE", 0x02000001),
                Register("LATER", 0x02000002),
                Query("UNKNOWN"),
            ],
        )

    def test_half_a_packet_is_forgotten_with_its_connection(self) -> None:
        """A new connection does not go on with the bytes of the old one."""
        self.join()
        self.slave.feed(encode(Dead(3))[:2])
        self.assertIsNotNone(self.slave.half_open)
        self.slave.lost()
        self.slave.connected()
        self.assertIsNone(self.slave.half_open)
        self.assertEqual(heard(self.hear(Wait(0))), [Wait(0)])

    def test_own_name_is_taken(self) -> None:
        """A name that belongs to another harbor from the start is not ours."""
        self.join()
        self.slave.register("X", 0x02000001)
        taken = Name("X", 0x01000001)
        self.assertEqual(heard(self.hear(taken)), [taken])
        self.assertEqual(self.slave.names, {})

    def test_own_name_is_contradicted(self) -> None:
        """Once confirmed, a name is ours whatever else a real master announces."""
        self.join()
        self.slave.register("X", 0x02000001)
        mine = Name("X", 0x02000001)
        self.assertEqual(heard(self.hear(mine)), [mine])
        effects = self.hear(Name("X", 0x03000001))
        self.assertEqual(heard(effects), [])
        self.assertIn(":03000001", str(lines(effects)[0]))
        self.assertEqual(self.slave.names, {"X": 0x02000001})

    def test_answer_from_before(self) -> None:
        """What we asked before we registered says nothing about our registration."""
        self.join()
        self.slave.query("X")
        self.slave.register("X", 0x02000001)
        self.assertEqual(heard(self.hear(Name("X", 0x01000001))), [])
        mine = Name("X", 0x02000001)
        self.assertEqual(heard(self.hear(mine)), [mine])
        self.assertEqual(self.slave.names, {"X": 0x02000001})

    def test_own_name_is_lost_during_an_absence(self) -> None:
        """On a new connection the first word about a name decides again."""
        self.join()
        self.slave.register("X", 0x02000001)
        self.hear(Name("X", 0x02000001))
        self.slave.lost()
        self.join()
        taken = Name("X", 0x03000001)
        self.assertEqual(heard(self.hear(taken)), [taken])
        self.assertEqual(self.slave.names, {})

    def ours(self, follows: bool) -> list[Effect]:
        """Join as one of our nodes does."""
        self.slave = MasterClientCore(2, "host:2", ours=True)
        hello = said(self.slave.connected())
        self.assertEqual(hello, [Hello(2, "host:2", redials=True)])
        return self.hear(Wait(0, follows))

    def test_moved(self) -> None:
        """A name that a real master gives to its first owner is said to newcomers."""
        newcomer = Connect(7, "host:7")
        for first in (0x01000009, 0x02000009):
            self.ours(follows=False)
            for name in ("MOVED", "OWN"):
                self.slave.register(name, 0x02000001)
                echo = self.hear(Name(name, 0x02000001))
                self.assertEqual(said(echo), [Query(name)])
            self.assertEqual(heard(self.hear(Name("MOVED", first))), [])
            self.assertEqual(len(heard(self.hear(Name("OWN", 0x02000001)))), 1)
            effects = self.hear(newcomer)
            self.assertEqual(heard(effects), [newcomer])
            self.assertEqual(said(effects), [Register("MOVED", 0x02000001)])
            # What all are told then is no news, and no question either.
            effects = self.hear(Name("MOVED", 0x02000001))
            self.assertEqual((written(effects), lines(effects)), (b"", []))
            self.assertEqual(len(said(self.hear(newcomer))), 1)
            # The next master may know better.
            self.slave.lost()
            self.slave.connected()
            self.assertEqual(
                said(self.hear(Wait(0), newcomer)),
                [Register("MOVED", 0x02000001), Register("OWN", 0x02000001)],
            )

    def test_moved_again(self) -> None:
        """A name that moved within our node is asked for again, and said as it is."""
        self.ours(follows=False)
        for handle in (0x02000001, 0x02000005):
            self.slave.register("X", handle)
            self.assertEqual(said(self.hear(Name("X", handle))), [Query("X")])
            self.hear(Name("X", 0x02000001))
        effects = self.hear(Connect(7, "host:7"))
        self.assertEqual(said(effects), [Register("X", 0x02000005)])

    def test_our_master(self) -> None:
        """A master of ours answers with the last owner: it is asked nothing."""
        self.ours(follows=True)
        self.slave.register("X", 0x02000001)
        self.assertEqual(written(self.hear(Name("X", 0x02000001))), b"")
        self.assertEqual(written(self.hear(Connect(7, "host:7"))), b"")

    def test_too_long(self) -> None:
        """A name that fits no packet is refused, and not repeated for ever."""
        self.assertRaises(TooLarge, self.slave.register, "A" * 300, 1)
        self.assertRaises(TooLarge, self.slave.query, "A" * 300)
        self.slave.connected()
        self.assertEqual(said(self.hear(Wait(0))), [])
