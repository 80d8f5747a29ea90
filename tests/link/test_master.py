"""Tests of the master's rules, above all of those in which a real one does worse."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from skynet_tw.link.effects import Close, Effect, Write
from skynet_tw.link.master import Master
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

from .effects import lines, of


class Net:
    """A master, and what it says to whom."""

    def __init__(self) -> None:
        self.now = 0.0
        self.master = Master(lambda: self.now)
        self.log: list[str] = []
        self.closed: dict[str, str] = {}
        self.warnings = 0

    def say(self, conn: str, *packets: Packet) -> dict[str, list[Record]]:
        """Let a connection say something, and return what the master says."""
        return self.apply(self.master.feed(conn, b"".join(map(encode, packets))))

    def apply(self, effects: list[Effect]) -> dict[str, list[Record]]:
        """Note effects, and return what the master says."""
        said: dict[str, list[Record]] = {}
        for write in of(Write, effects):
            assert isinstance(write.to, str)
            said.setdefault(write.to, []).extend(ControlReader().feed(write.data))
        for close in of(Close, effects):
            assert isinstance(close.connection, str)
            self.closed[close.connection] = str(close.error)
        self.log += map(str, lines(effects))
        self.warnings += sum(line.warn for line in lines(effects))
        return said

    def join(
        self, conn: str, harbor: int, ours: bool = False
    ) -> dict[str, list[Record]]:
        """Connect and join, as a real slave does or as one of ours."""
        self.master.connected(conn, f"peer-{conn}")
        return self.say(conn, Hello(harbor, f"host:{harbor}", redials=ours))

    def lose(self, conn: str) -> dict[str, list[Record]]:
        """Lose a connection."""
        return self.apply(self.master.lost(conn, "cut"))


class JoinTests(SynchronousTestCase):
    """Who is let in, and who is told."""

    def setUp(self) -> None:
        self.net = Net()

    def test_in_order(self) -> None:
        """The others are told of a newcomer before it is told how many they are."""
        self.assertEqual(self.net.join("a", 1), {"a": [Wait(0)]})
        self.assertEqual(
            self.net.join("b", 2), {"a": [Connect(2, "host:2")], "b": [Wait(1)]}
        )
        self.net.master.connected("c", "peer-c")
        effects = self.net.master.feed("c", encode(Hello(255, "host:255")))
        self.assertEqual([write.to for write in of(Write, effects)], ["a", "b", "c"])

    def test_first_packet(self) -> None:
        """Strangers, and ids that are none, are closed without a word."""
        for data in (
            encode(Query("X")),
            encode(Wait(1)),
            b"\x03\x07\x07\x07",
            bytes.fromhex("060c48120001041d"),
            bytes.fromhex("120c4802743132372e302e302e313a33313239"),
            b"GET / HTTP/1.1\r\n\r\n" * 50,
        ):
            self.net.master.connected("x", "peer-x")
            self.assertEqual(self.net.apply(self.net.master.feed("x", data)), {})
            self.assertIn("x", self.net.closed)
            self.net.closed.clear()
            self.assertEqual(self.net.lose("x"), {})
        self.assertEqual(self.net.master.slaves, {})

    def test_live_id(self) -> None:
        """An id that is live is refused, and who holds it is logged once."""
        self.net.join("a", 1)
        self.net.now = 40.0
        for conn in "bcd":
            self.assertEqual(self.net.join(conn, 1), {})
            self.assertIn("peer-a", self.net.closed[conn])
        warnings = [line for line in self.net.log if "refused" in line]
        self.assertEqual(len(warnings), 1)
        self.assertIn("peer-a at host:1 for 40 s", warnings[0])

    def test_death(self) -> None:
        """The others are told when a control connection is gone, once."""
        self.net.join("a", 1)
        self.net.join("b", 2)
        self.assertEqual(self.net.lose("b"), {"a": [Dead(2)]})
        self.assertEqual(self.net.lose("b"), {})

    def test_return(self) -> None:
        """A dead id may come back; all are told, but it waits for no real witness."""
        self.net.join("a", 1)
        self.net.join("b", 2)
        self.net.lose("b")
        self.net.join("c", 3)
        said = self.net.join("b2", 2)
        told = Connect(2, "host:2")
        self.assertEqual(said, {"a": [told], "c": [told], "b2": [Wait(1)]})
        warning = next(line for line in self.net.log if "is back" in line)
        self.assertIn("harbors 1 saw it die", warning)

    def test_return_to_ours(self) -> None:
        """Our own slaves dial whoever comes back, and so they are waited for."""
        self.net.join("a", 1, ours=True)
        for ours, conn in ((False, "b"), (True, "c"), (False, "d"), (False, "e")):
            said = self.net.join(conn, 2, ours)
            self.assertEqual(said, {"a": [Connect(2, "host:2")], conn: [Wait(1, ours)]})
            self.net.lose(conn)
        self.assertEqual(self.net.warnings, 0)

    def test_return_to_a_mixed_network(self) -> None:
        """Of those who saw it die, a newcomer waits for ours alone."""
        self.net.join("a", 1, ours=True)
        self.net.join("r", 3)
        self.net.join("b", 2)
        self.net.lose("b")
        self.net.join("late", 4)  # real, but it saw nothing
        self.net.join("c", 5, ours=True)
        self.assertEqual(self.net.join("b2", 2)["b2"], [Wait(3)])
        # What it sees itself counts anew, and so does what it saw before it returned.
        self.net.lose("r")
        self.assertEqual(self.net.join("r2", 3)["r2"], [Wait(2)])
        self.net.lose("b2")
        self.assertEqual(self.net.join("b3", 2)["b3"], [Wait(2)])
        self.net.lose("a")
        self.assertEqual(self.net.join("a2", 1, ours=True)["a2"], [Wait(1, True)])

    def test_two_return_at_once(self) -> None:
        """Two that died and come back at once are waited for by each other's ids."""
        self.net.join("a", 1, ours=True)
        for conn, harbor in (("b", 2), ("c", 3)):
            self.net.join(conn, harbor)
        self.net.lose("b")
        self.net.lose("c")
        self.assertEqual(self.net.join("b2", 2)["b2"], [Wait(1)])
        self.assertEqual(
            self.net.join("c2", 3),
            {
                "a": [Connect(3, "host:3")],
                "b2": [Connect(3, "host:3")],
                "c2": [Wait(2)],
            },
        )

    def test_second_hello(self) -> None:
        """Once joined, an H is a packet like those of unknown letters: ignored."""
        self.net.join("a", 1)
        self.assertEqual(self.net.say("a", Hello(5, "host:5")), {})
        self.assertEqual(self.net.closed, {})
        self.assertEqual(list(self.net.master.slaves), [1])

    def test_bad_packet_of_a_slave(self) -> None:
        """A slave that breaks the protocol is closed, and counts as dead."""
        for data in (b"\x03\x07\x07\x07", bytes.fromhex("060c520c780c79")):
            net = Net()
            net.join("a", 1)
            net.join("b", 2)
            self.assertEqual(net.apply(net.master.feed("b", data)), {"a": [Dead(2)]})
            self.assertIn("b", net.closed)
            self.assertEqual(net.lose("b"), {})


class NameTests(SynchronousTestCase):
    """Who owns a name."""

    def setUp(self) -> None:
        self.net = Net()
        for harbor, conn in enumerate("abc", 1):
            self.net.join(conn, harbor)

    def everybody(self, *packets: Packet) -> dict[str, list[Packet]]:
        return {conn: list(packets) for conn in "abc"}

    def test_register_and_query(self) -> None:
        """All are told of a registration; who asks later is told alone."""
        name = Name("X", 0x01000007)
        said = self.net.say("a", Register("X", 0x01000007))
        self.assertEqual(said, self.everybody(name))
        self.assertEqual(self.net.say("c", Query("X")), {"c": [name]})
        self.assertEqual(self.net.say("c", Query("Y")), {})

    def test_first_owner_wins(self) -> None:
        """A second owner is not taken, and all are told who the owner is."""
        self.net.say("a", Register("X", 0x01000007))
        said = self.net.say("b", Register("X", 0x02000008))
        self.assertEqual(said, self.everybody(Name("X", 0x01000007)))
        self.assertTrue(any(":02000008" in line for line in self.net.log))
        self.assertEqual(self.net.say("b", Query("X")), {"b": [Name("X", 0x01000007)]})

    def test_same_harbor(self) -> None:
        """The harbor that owns a name may give it to another of its actors."""
        self.net.say("a", Register("X", 0x01000007))
        said = self.net.say("a", Register("X", 0x01000008))
        self.assertEqual(said, self.everybody(Name("X", 0x01000008)))

    def test_dead_owner(self) -> None:
        """A name stays known after its owner's death, until somebody takes it."""
        self.net.say("c", Register("X", 0x03000007))
        self.net.lose("c")
        self.assertEqual(self.net.say("a", Query("X")), {"a": [Name("X", 0x03000007)]})
        name = Name("X", 0x02000001)
        said = self.net.say("b", Register("X", 0x02000001))
        self.assertEqual(said, {"a": [name], "b": [name]})

    def test_return_of_the_owner(self) -> None:
        """Names of a node that comes back are unknown until it says them again."""
        self.net.say("c", Register("X", 0x03000007))
        self.net.lose("c")
        self.net.join("c", 3)
        self.assertEqual(self.net.say("a", Query("X")), {})
        said = self.net.say("c", Register("X", 0x03000009))
        self.assertEqual(said, self.everybody(Name("X", 0x03000009)))

    def test_names_that_do_not_work(self) -> None:
        """Names that no harbor takes are refused with a notice, the slave stays."""
        for name in ("A" * 16, "\u00e9" * 8, "", ".local", ":1", "42"):
            self.assertEqual(self.net.say("a", Register(name, 0x01000001)), {}, name)
        self.assertEqual(self.net.warnings, 6)
        self.assertEqual(self.net.closed, {})
        said = self.net.say("a", Register("A" * 15, 0x01000001))
        self.assertEqual(len(said), 3)
