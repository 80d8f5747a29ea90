"""What only current nodes do; the rest is in `tests.net.remote_contract`."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import replace

from skynet_tw.errors import BootFailed
from skynet_tw.link.master import Master, SlaveEntry
from skynet_tw.wire.control import Hello, Name, Register, Wait, encode

from .modern import ModernWorld
from .world import MASTER, Node


class JoinTests(ModernWorld):
    """The way into a network."""

    def test_missing_link(self) -> None:
        """A node says how many older ones did not dial it, until they do or die."""
        self.start_master()
        one = self.node(1)
        self.run_for()
        self.network.refuse("host2:2526")
        two = self.node(2)
        linked = two.remote.when_linked()
        self.run_for(7)
        self.successResultOf(two.joined)
        self.assertNoResult(linked)
        (text,) = two.remote.waiting_for()
        self.assertIn("1 of 1 older harbors to dial us at host2:2526, for", text)
        self.network.mend("host2:2526")
        self.run_for(5)
        self.successResultOf(linked)
        self.assertEqual(len([line for line in self.log() if "cannot link" in line]), 1)
        self.assert_full_mesh(one, two)

    def test_missing_link_of_a_dead_node(self) -> None:
        """Nobody waits for a node that dies before it linked."""
        self.start_master()
        one = self.node(1)
        self.run_for()
        self.network.refuse("host2:2526")
        linked = self.node(2).remote.when_linked()
        self.run_for(1)
        self.leave(one)
        self.run_for()
        self.successResultOf(linked)


class FirstOwners(Master):
    """A master which treats names as a real one does (harbor-modern, section 2)."""

    def _join(self, connection: Hashable, peer: str, hello: Hello) -> SlaveEntry:
        return super()._join(connection, peer, replace(hello, redials=False))

    def _register(self, slave: SlaveEntry, request: Register) -> None:
        self.names.setdefault(request.name, request.handle)
        for other in self.slaves.values():
            self._say(other, Name(request.name, request.handle))


class MovedNameTests(ModernWorld):
    """Names whose first owner is gone."""

    def setUp(self) -> None:
        super().setUp()
        self.start_master()

    def become(self, table: Master) -> None:
        """Let the master have another table, with other rules."""
        assert self.factory is not None
        self.factory.master = table

    def take_over(self) -> tuple[Node, Node]:
        """Let harbor 3 have a name and leave, and harbor 2 take it."""
        one, two, three = (self.node(harbor) for harbor in (1, 2, 3))
        self.run_for()
        three.remote.register("X", 0x03000007)
        self.run_for()
        self.assertFalse(two.remote.may_take(0x03000007))
        self.leave(three)
        self.run_for()
        self.assertTrue(two.remote.may_take(0x03000007))
        two.remote.register("X", 0x02000007)
        self.run_for()
        return one, two

    def test_our_master(self) -> None:
        """Our master tells all the new owner, and so whoever asks later."""
        one, two = self.take_over()
        late = self.node(4)
        late.remote.query("X")
        self.run_for()
        for node in (one, two, late):
            self.assertEqual(node.receiver.names, {"X": 0x02000007})
        # The one before it comes back, and is told that it has lost the name.
        three = self.node(3)
        three.remote.register("X", 0x03000009)
        self.run_for()
        for node in (one, two, three):
            self.assertEqual(node.receiver.names, {"X": 0x02000007})
        self.assertFalse(three.remote.may_take(0x02000007))

    def test_real_master(self) -> None:
        """Of a master that answers with the first owner, newcomers hear the last."""
        self.become(FirstOwners(self.clock.seconds))
        one, _ = self.take_over()
        self.assertEqual(self.table.names, {"X": 0x03000007})
        for harbor in (4, 5):
            late = self.node(harbor)
            self.run_for()
            self.assertEqual(late.receiver.names, {"X": 0x02000007})
            self.assertTrue(late.remote.may_take(0x03000007), "it never saw harbor 3")
        self.assertEqual(one.receiver.names, {"X": 0x02000007})

    def test_taken_by_one_that_does_not_know(self) -> None:
        """Who takes a name without knowing of its first owner tells newcomers, too."""
        self.become(FirstOwners(self.clock.seconds))
        three = self.node(3)
        three.remote.register("X", 0x03000007)
        self.run_for()
        self.leave(three)
        new = self.node(4)
        self.run_for()
        new.remote.register("X", 0x04000007)
        self.run_for()
        late = self.node(5)
        self.run_for()
        self.assertEqual(late.receiver.names, {"X": 0x04000007})


class RefusalTests(ModernWorld):
    """Ids that the master does not take."""

    def test_live_id(self) -> None:
        """An id in use fails the boot, with id, master and likely cause."""
        self.start_master()
        self.node(7)
        self.run_for()
        thief = self.node(7, "host8:2526")
        self.run_for(10)
        failure = self.failureResultOf(thief.joined, BootFailed)
        text = failure.getErrorMessage()
        for part in ("harbor id 7", MASTER, "taken"):
            self.assertIn(part, text)
        self.assertNotIn("\n", text)

    def test_return_is_refused(self) -> None:
        """A node that a master does not take back goes on, and tries now and then."""
        self.start_master()
        one, two = self.node(1), self.node(2)
        self.run_for()
        self.network.refuse(MASTER)
        self.network.cut(MASTER)
        self.run_for(0.3)
        # Before it returns, another node takes its id.
        self.network.mend(MASTER)
        hello = encode(Hello(2, "host2:9"))
        thief = self.stranger(MASTER, hello)
        self.assertEqual(thief.heard, encode(Wait(0)))
        self.run_for(600)
        self.assert_full_mesh(one, two)
        lines = [line for line in self.log() if "refuses harbor id 2" in line]
        self.assertEqual(len(lines), 1)
        self.assertIn("go on with the links", lines[0])
        assert thief.transport is not None
        thief.transport.loseConnection()
        self.run_for(70)
        self.assertEqual(sorted(self.table.slaves), [1, 2])


class DeathTests(ModernWorld):
    """Nodes that go, and come back."""

    def setUp(self) -> None:
        super().setUp()
        self.one, self.two = self.pair()

    def test_word_of_death_with_a_link(self) -> None:
        """D alone does not end a link; the loss of the link after it does."""
        self.table.lost(self.table.slaves[2].connection, "as if it were gone")
        slave = self.table.slaves[1].connection
        slave.transport.write(bytes.fromhex("040c440a02"))  # type: ignore[attr-defined]
        self.run_for()
        self.assertEqual(self.one.receiver.events, [])
        self.network.cut("host2:2526")
        self.run_for(30)
        self.assertEqual(self.one.receiver.events, [("lost", 2), ("gone", 2)])

    def test_both_dial(self) -> None:
        """Two nodes that know each other's address do not end up with two links."""
        # With a new master, both are new to each other: the later of them is dialed.
        self.stop_master()
        self.run_for(1)
        self.start_master()
        self.run_for(10)
        for _ in range(5):
            self.network.cut("host1:2526")
            self.network.cut("host2:2526")
            self.run_for(10)
            self.assert_full_mesh(self.one, self.two)
