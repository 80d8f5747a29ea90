"""Harbors that join a master and each other, over a network in memory."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import replace
from itertools import permutations

from zope.interface.verify import verifyObject

from skynet_tw.errors import BootFailed
from skynet_tw.interfaces import ILink, IRemote
from skynet_tw.link.master import Master, SlaveEntry
from skynet_tw.net.kit.limits import ConnectionLimits
from skynet_tw.wire.control import Hello, Name, Register, Wait, encode

from .world import MASTER, Node, World


class JoinTests(World):
    """The way into a network."""

    def test_interfaces(self) -> None:
        """The classes provide what they promise."""
        self.start_master()
        one, two = self.node(1), self.node(2)
        self.run_for()
        self.assertTrue(verifyObject(IRemote, one.remote))
        self.assertTrue(verifyObject(ILink, two.receiver.links[1]))

    def test_alone(self) -> None:
        """The first node waits for nobody."""
        self.start_master()
        node = self.node(1)
        linked = node.remote.when_linked()
        self.assertNoResult(linked)
        self.run_for()
        self.successResultOf(node.joined)
        self.successResultOf(linked)
        self.successResultOf(node.remote.when_linked())
        self.assertEqual(node.remote.waiting_for(), [])

    def test_any_order(self) -> None:
        """Three nodes become a full mesh in whatever order they join."""
        for order in permutations((1, 2, 3)):
            self.start_master()
            nodes = []
            for harbor in order:
                nodes.append(self.node(harbor))
                self.run_for()
                self.successResultOf(nodes[-1].joined)
                self.successResultOf(nodes[-1].remote.when_linked())
            self.assert_full_mesh(*nodes)
            for node in nodes:
                self.leave(node)
            self.stop_master()

    def test_all_at_once(self) -> None:
        """Nodes that join at the same moment become a full mesh."""
        self.start_master()
        nodes = [self.node(harbor) for harbor in (1, 2, 127, 128, 255)]
        self.run_for(1)
        for node in nodes:
            self.successResultOf(node.joined)
            self.successResultOf(node.remote.when_linked())
        self.assert_full_mesh(*nodes)

    def test_order_of_reports(self) -> None:
        """The older node expects the newer one, then is linked with it."""
        self.start_master()
        one = self.node(1)
        self.run_for()
        two = self.node(2)
        self.run_for()
        self.assertEqual(one.receiver.events, [("expected", 2), ("ready", 2)])
        self.assertEqual(two.receiver.events, [("ready", 1)])

    def test_long_before_the_master(self) -> None:
        """A node waits for its master, says so, and says since when and why."""
        nodes = [self.node(harbor) for harbor in (1, 2, 3)]
        self.run_for(100)
        self.assertNoResult(nodes[0].joined)
        (text,) = nodes[0].remote.waiting_for()
        self.assertIn(f"the master at {MASTER}, for 100.0 s", text)
        self.assertIn("Connection was refused", text)
        # One line for each node, whatever the number of attempts.
        self.assertEqual(len(self.log()), 3)
        self.start_master()
        self.run_for(5)
        self.assert_full_mesh(*nodes)

    def test_silent_master(self) -> None:
        """A master that accepts the connection and says nothing is left again."""
        self.start_master()
        self.network.silence(MASTER)
        node = self.node(1)
        self.run_for(60)
        self.assertNoResult(node.joined)
        self.network.mend(MASTER)
        self.run_for(60)
        self.successResultOf(node.joined)

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

    def test_given_up(self) -> None:
        """What waits when a node leaves fails, or is cancelled, and nothing leaks."""
        node = self.node(1)
        waiting = [node.remote.when_linked(), node.remote.when_linked(), node.joined]
        waiting[0].cancel()
        self.failureResultOf(waiting.pop(0))
        self.leave(node)
        for deferred in waiting:
            self.failureResultOf(deferred, BootFailed)
        self.failureResultOf(node.remote.when_linked(), BootFailed)


class BindTests(World):
    """The port."""

    def test_port_0(self) -> None:
        """The others are told the port that the system chose."""
        self.start_master()
        node = self.node(1, "host1:0")
        self.run_for()
        self.assertNotIn(node.remote.address, ("host1:0", "host1:2526"))
        two = self.node(2)
        self.run_for()
        three = self.node(3, "host3:0")
        self.run_for()
        self.assert_full_mesh(node, two, three)

    def test_in_use(self) -> None:
        """A port in use fails the boot with role, address and reason in one line."""
        self.node(1)
        node = Node(self, 2, "host1:2526")
        failure = self.failureResultOf(node.remote.bind(), BootFailed)
        self.assertEqual(
            failure.getErrorMessage(),
            "harbor 2 cannot listen on host1:2526: [Errno 98] Address already in use",
        )
        self.successResultOf(node.remote.leave())


class NameTests(World):
    """Names through the master."""

    def test_names(self) -> None:
        """A registration is told to all; a query is answered when there is an owner."""
        self.start_master()
        one, two = self.node(1), self.node(2)
        two.remote.query("LATE")
        self.run_for()
        self.assertEqual(two.receiver.names, {})
        one.remote.register("LATE", 0x01000007)
        self.run_for()
        for node in (one, two):
            self.assertEqual(node.receiver.names, {"LATE": 0x01000007})
        three = self.node(3)
        self.run_for()
        self.assertEqual(three.receiver.names, {})
        three.remote.query("LATE")
        self.run_for()
        self.assertEqual(three.receiver.names, {"LATE": 0x01000007})

    def test_across_masters(self) -> None:
        """A new master learns the names again, and the pending questions."""
        self.start_master()
        one, two = self.node(1), self.node(2)
        one.remote.register("A", 0x01000007)
        two.remote.query("B")
        self.run_for()
        self.stop_master()
        one.remote.register("B", 0x01000008)
        factory = self.start_master()
        self.run_for(10)
        self.assertEqual(factory.master.names, {"A": 0x01000007, "B": 0x01000008})
        self.assertEqual(two.receiver.names["B"], 0x01000008)


class FirstOwners(Master):
    """A master which treats names as a real one does (harbor-modern, section 2)."""

    def _join(self, connection: Hashable, peer: str, hello: Hello) -> SlaveEntry:
        return super()._join(connection, peer, replace(hello, redials=False))

    def _register(self, slave: SlaveEntry, request: Register) -> None:
        self.names.setdefault(request.name, request.handle)
        for member in self.slaves.values():
            self._write(member, Name(request.name, request.handle))


class MovedNameTests(World):
    """Names whose first owner is gone."""

    def setUp(self) -> None:
        super().setUp()
        self.factory = self.start_master()

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
        self.factory.master = FirstOwners(self.clock.seconds)
        one, _ = self.take_over()
        self.assertEqual(self.factory.master.names, {"X": 0x03000007})
        for harbor in (4, 5):
            late = self.node(harbor)
            self.run_for()
            self.assertEqual(late.receiver.names, {"X": 0x02000007})
            self.assertTrue(late.remote.may_take(0x03000007), "it never saw harbor 3")
        self.assertEqual(one.receiver.names, {"X": 0x02000007})

    def test_taken_by_one_that_does_not_know(self) -> None:
        """Who takes a name without knowing of its first owner tells newcomers, too."""
        self.factory.master = FirstOwners(self.clock.seconds)
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


class MasterLossTests(World):
    """A master that goes and comes back."""

    def test_links_stay(self) -> None:
        """Without the master links go on; when it is back, all are joined again."""
        self.start_master()
        nodes = [self.node(harbor) for harbor in (1, 2, 3)]
        self.run_for()
        for node in nodes:
            node.receiver.events.clear()
        self.stop_master()
        self.run_for(60)
        self.assert_full_mesh(*nodes)
        self.assertIn("the master", nodes[0].remote.waiting_for()[0])
        factory = self.start_master()
        self.run_for(10)
        self.assertEqual(sorted(factory.master.slaves), [1, 2, 3])
        self.assert_full_mesh(*nodes)
        for node in nodes:
            self.assertEqual(node.receiver.events, [])
        late = self.node(4)
        self.run_for()
        self.assert_full_mesh(*nodes, late)

    def test_control_connection_cut(self) -> None:
        """A node whose control connection alone breaks stays linked, and returns."""
        factory = self.start_master()
        nodes = [self.node(harbor) for harbor in (1, 2)]
        self.run_for()
        for node in nodes:
            node.receiver.events.clear()
        self.network.cut(MASTER)
        self.run_for(10)
        self.assertEqual(sorted(factory.master.slaves), [1, 2])
        self.assert_full_mesh(*nodes)
        for node in nodes:
            self.assertEqual(node.receiver.events, [])


class RefusalTests(World):
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
        assert thief.transport is not None and self.factory is not None
        thief.transport.loseConnection()
        self.run_for(70)
        self.assertEqual(sorted(self.factory.master.slaves), [1, 2])


class DeathTests(World):
    """Nodes that go, and come back."""

    def setUp(self) -> None:
        super().setUp()
        self.start_master()
        self.one, self.two = self.node(1), self.node(2)
        self.run_for()
        for node in self.nodes:
            node.receiver.events.clear()

    def test_link_is_cut(self) -> None:
        """A link that is cut is made again, by the side that dialed."""
        self.network.cut("host2:2526")
        self.run_for(1)
        events = [("lost", 2), ("ready", 2)]
        self.assertEqual(self.one.receiver.events, events)
        self.assertEqual(self.two.receiver.events, [("lost", 1), ("ready", 1)])
        self.assert_full_mesh(self.one, self.two)

    def test_death(self) -> None:
        """A node that leaves is lost, then gone, and is dialed no more."""
        self.leave(self.two)
        self.run_for(20)
        self.assertEqual(self.one.receiver.events, [("lost", 2), ("gone", 2)])
        self.assertEqual(self.one.remote.linked(), [])

    def test_return(self) -> None:
        """A node that comes back under its id is linked again by those it left."""
        self.leave(self.two)
        self.run_for()
        self.one.receiver.events.clear()
        two = self.node(2)
        self.run_for(1)
        self.successResultOf(two.remote.when_linked())
        self.assertEqual(self.one.receiver.events, [("expected", 2), ("ready", 2)])
        self.assert_full_mesh(self.one, two)

    def test_return_of_the_older(self) -> None:
        """The oldest node may be the one that comes back."""
        self.leave(self.one)
        self.run_for()
        one = self.node(1)
        self.run_for(1)
        self.assert_full_mesh(one, self.two)

    def test_word_of_death_with_a_link(self) -> None:
        """D alone does not end a link; the loss of the link after it does."""
        assert self.factory is not None
        self.factory.master.lost(
            self.factory.master.slaves[2].connection, "as if it were gone"
        )
        slave = self.factory.master.slaves[1].connection
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


class RoughNetworkTests(World):
    """The same with delays and small reads."""

    delay = (0.0, 0.05)
    chunk = 7

    def test_seeds(self) -> None:
        """Whatever the network does to the bytes, a full mesh comes of it."""
        for seed in range(20):
            self.network.random.seed(seed)
            self.start_master()
            nodes = [self.node(harbor) for harbor in (1, 2, 127, 128, 255)]
            nodes[0].remote.register("X", 0x01000001)
            nodes[4].remote.query("X")
            self.run_for(5)
            for node in nodes:
                self.successResultOf(node.remote.when_linked())
            for round in range(3):
                for node in nodes:
                    for other in node.remote.linked():
                        node.receiver.send(other, b"%d" % round)
            self.network.cut(MASTER)
            self.run_for(10)
            for node in nodes:
                self.assertEqual(node.receiver.names, {"X": 0x01000001})
                self.assertEqual(len(node.remote.linked()), 4)
                for other in node.remote.linked():
                    self.assertEqual(node.receiver.got(other), [b"0", b"1", b"2"])
            self.network.cut(nodes[2].address)
            self.network.cut(nodes[4].address)
            self.run_for(10)
            for node in nodes:
                self.assertEqual(len(node.remote.linked()), 4)
            left = [node.remote.leave() for node in nodes]
            self.run_for(3)
            for done in left:
                self.successResultOf(done)
            self.nodes.clear()
            self.stop_master()


class ImpatientTests(World):
    """Leaving when the others do not read."""

    limits = ConnectionLimits(close=2.0)

    def test_leave_in_time(self) -> None:
        """What cannot be written in time does not keep a node from leaving."""
        self.start_master()
        one, two = self.node(1), self.node(2)
        self.run_for()
        two.remote.pause_reading()
        one.receiver.send(2, bytes(1 << 20))
        left = one.remote.leave()
        self.run_for(1)
        self.assertNoResult(left)
        self.run_for(2)
        self.successResultOf(left)
        self.assertEqual(one.receiver.events[-1], ("lost", 2))
