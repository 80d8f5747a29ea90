"""Tests of the master's table of 2013; recorded talks are in `test_replay2013`."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from skynet_tw.errors import OtherWire
from skynet_tw.link import master2013
from skynet_tw.link.effects import Close, Dial, Effect, StopDialing, Write
from skynet_tw.link.master2013 import Master2013
from skynet_tw.wire.control import Connect, Hello, Name, Query, Register
from skynet_tw.wire.harbor2013 import FrameReader, Request, encode_request

from .effects import lines, of


class Net:
    """A master, and what it wants to be done."""

    def __init__(self) -> None:
        self.master = Master2013()
        self.dials: list[Any] = []
        self.closes: list[Any] = []
        self.log: list[str] = []

    def apply(self, effects: list[Effect]) -> dict[int, list[Any]]:
        """Note what is to be done; return what is said to whom."""
        self.dials += [it for it in effects if isinstance(it, Dial | StopDialing)]
        self.closes += [close.connection for close in of(Close, effects)]
        self.log += map(str, lines(effects))
        said: dict[int, list[Any]] = {}
        for write in of(Write, effects):
            assert isinstance(write.to, int)
            reader = FrameReader()
            assert reader.feed(write.data) == []
            said.setdefault(write.to, []).extend(reader.announcements)
        return said

    def say(self, connection: str, *requests: Request) -> dict[int, list[Any]]:
        """Let somebody ask for something."""
        data = b"".join(map(encode_request, requests))
        return self.apply(self.master.feed(connection, data))

    def register(self, harbor: int, connection: str = "") -> dict[int, list[Any]]:
        """Let a harbor connect and register."""
        connection = connection or f"c{harbor}"
        self.master.connected(connection, f"peer-{connection}")
        return self.say(connection, Hello(harbor, f"host:{harbor}"))

    def join(self, harbor: int, connection: str = "") -> dict[int, list[Any]]:
        """Let a harbor register, and reach it."""
        assert self.register(harbor, connection) == {}
        return self.apply(self.master.reached(harbor))


class MasterTests(SynchronousTestCase):
    """What a master does."""

    def setUp(self) -> None:
        self.net = Net()

    def test_join(self) -> None:
        """Nothing is said until the newcomer is reached, then to all but of itself."""
        self.assertEqual(self.net.join(1), {})
        self.assertEqual(self.net.dials, [Dial(1, "host:1")])
        self.assertEqual(
            self.net.join(2), {1: [Connect(2, "host:2")], 2: [Connect(1, "host:1")]}
        )
        said = self.net.join(3)
        self.assertEqual(list(said), [1, 2, 3])
        self.assertEqual(said[3], [Connect(1, "host:1"), Connect(2, "host:2")])

    def test_names(self) -> None:
        """The last owner of a name has it; each registration is told to all."""
        self.net.join(1)
        self.net.join(2)
        for handle in (0x01000005, 0x02000006, 0x01000007):
            told = [Name("N", handle)]
            self.assertEqual(
                self.net.say("c1", Register("N", handle)), {1: told, 2: told}
            )
        self.assertEqual(self.net.say("c2", Query("N")), {1: told, 2: told})
        self.assertEqual(self.net.say("c2", Query("X")), {})

    def test_bad_names(self) -> None:
        """An empty name and a handle without a harbor are refused in one line."""
        self.net.join(1)
        self.net.log.clear()
        for request in (Register("", 0x01000001), Register("N", 0x00000100)):
            self.assertEqual(self.net.say("c1", request), {})
        self.assertEqual(len(self.net.log), 2)
        self.assertEqual(self.net.master.names, {})

    def test_asked_while_joining(self) -> None:
        """What is asked before the harbor is reached is answered when it is."""
        self.net.join(1)
        self.net.say("c1", Register("N", 0x01000005))
        self.net.register(2)
        said = self.net.say("c2", Query("N"), Register("M", 0x02000005))
        self.assertEqual(said.keys(), {1})
        said = self.net.apply(self.net.master.reached(2))
        names = [Name("N", 0x01000005), Name("M", 0x02000005)]
        self.assertEqual(said[2], [*names, Connect(1, "host:1")])

    def test_same_id_again(self) -> None:
        """The same id is dialed anew, and told to all; its old names are forgotten."""
        self.net.join(1)
        self.net.join(2)
        self.net.say("c2", Register("N", 0x02000005))
        self.net.dials.clear()
        said = self.net.join(2, "other")
        self.assertEqual(self.net.dials, [Dial(2, "host:2")])
        self.assertEqual(said, {1: [Connect(2, "host:2")], 2: [Connect(1, "host:1")]})
        self.assertEqual(self.net.master.names, {})
        self.assertIn("takes over as harbor 2", "".join(self.net.log))
        # The end of the old connection is no news.
        self.assertEqual(self.net.apply(self.net.master.lost("c2", "cut")), {})
        self.assertIn(2, self.net.master.slaves)

    def test_moves(self) -> None:
        """A harbor that registers again by the same connection keeps its names."""
        self.net.join(1)
        self.net.say("c1", Register("N", 0x01000005))
        self.net.say("c1", Hello(1, "elsewhere:1"))
        self.assertEqual(self.net.dials[-1], Dial(1, "elsewhere:1"))
        self.assertEqual(self.net.master.names, {"N": 0x01000005})

    def test_broken_connection(self) -> None:
        """What a harbor misses while it is dialed again is said then, once."""
        self.net.join(1)
        self.net.join(2)
        self.assertEqual(self.net.apply(self.net.master.unreached(2, "cut")), {})
        self.net.join(3)
        for handle in (0x01000005, 0x01000006):
            self.net.say("c1", Register("N", handle))
        said = self.net.apply(self.net.master.reached(2))
        missed = [Connect(3, "host:3"), Name("N", 0x01000006)]
        self.assertEqual(said, {2: missed})

    def test_leave(self) -> None:
        """A harbor is gone when both connections are, in whatever order."""
        for both in ((0, 1), (1, 0)):
            self.net.join(2)
            for which in both:
                self.assertIn(2, self.net.master.slaves)
                if which:
                    self.net.apply(self.net.master.lost("c2", "cut"))
                else:
                    self.net.apply(self.net.master.unreached(2, "closed"))
            self.assertEqual(self.net.master.slaves, {})
            self.assertEqual(self.net.dials.pop(), StopDialing(2))

    def test_hangs_up_before_it_is_reached(self) -> None:
        """Nobody dials a harbor any more that is gone before it was reached."""
        self.net.register(2)
        self.net.apply(self.net.master.lost("c2", "cut"))
        self.assertEqual(self.net.dials, [Dial(2, "host:2"), StopDialing(2)])

    def test_give_up(self) -> None:
        """A harbor that cannot be reached has to register again."""
        self.net.register(2)
        self.net.apply(self.net.master.give_up(2, "refused"))
        self.assertEqual(self.net.master.slaves, {})
        self.assertIn("cannot dial harbor 2 at host:2", self.net.log[0])
        self.net.join(2, "again")
        self.assertTrue(self.net.master.slaves[2].connected)

    def test_parted(self) -> None:
        """Connections whose harbor registered elsewhere, or is gone, are not kept."""
        self.patch(master2013, "MAX_PARTED", 3)
        net = self.net
        net.join(1, "other")
        for i in range(10):
            net.join(2, f"c{i}")
        self.assertEqual(net.closes, [f"c{i}" for i in range(6)])
        # Those who come back, or hang up, make room.
        net.register(3, "c6")
        net.apply(net.master.lost("c7", "cut"))
        self.assertEqual(net.closes, [f"c{i}" for i in range(6)])
        for i in range(4, 9):
            net.register(i, f"d{i}")
            net.apply(net.master.give_up(i, "refused"))
        self.assertEqual(net.closes[6:], ["c8", "d4", "d5"])
        # What it registered besides is closed with none of them.
        self.assertEqual(sorted(net.master.slaves), [1, 2, 3])

    def test_missed_names(self) -> None:
        """Of the names that a harbor misses, the last are kept, and all addresses."""
        self.patch(master2013, "MAX_MISSED", 5)
        net = self.net
        net.join(1)
        net.register(2)
        net.join(3)
        for i in range(20):
            net.say("c1", Register(f"N{i}", 0x01000001))
        said = net.apply(net.master.reached(2))
        told = {it.name for it in said[2] if isinstance(it, Name)}
        self.assertEqual(told, {f"N{i}" for i in range(16, 20)})
        self.assertIn(Connect(3, "host:3"), said[2])

    def test_strangers(self) -> None:
        """Garbage closes the connection, and is no harbor; the error says why."""
        for data in (b"\0\0\0\x01x", b"\0\0\xff\xff", b"\x13\x0cH\x04"):
            self.net.master.connected("x", "peer-x")
            effects = self.net.master.feed("x", data)
            [close] = of(Close, effects)
            self.assertEqual(close.connection, "x")
            self.assertEqual(isinstance(close.error, OtherWire), data[0] != 0)
            self.net.apply(self.net.master.feed("x", data))
            self.net.apply(self.net.master.lost("x", "cut"))
        self.assertEqual(self.net.master.slaves, {})

    def test_odd_requests(self) -> None:
        """A harbor without an address is ignored in one line."""
        self.net.master.connected("x", "peer-x")
        self.assertEqual(self.net.say("x", Hello(3, "nowhere")), {})
        self.assertEqual(self.net.master.slaves, {})
        self.assertEqual(len(self.net.log), 1)
