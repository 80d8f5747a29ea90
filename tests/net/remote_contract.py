"""What every network of harbors does, whatever its wire.

What the links of harbors do besides, as those of every layer, is in
`tests.net.link_contract`.  A wire is put under the contract by one class in
`tests.net.test_remote`: this contract, and the wire's own `World`.  This module is no
module of tests itself.
"""

from __future__ import annotations

from itertools import permutations

from skynet_tw.errors import BootFailed
from skynet_tw.net.wires import WIRES

from .world import MASTER, Node, World


class JoinContract(World):
    """The way into a network."""

    def test_row(self) -> None:
        """A member has the limits that the row of its wire says."""
        remote = self.node(1).remote
        self.assertEqual(remote.name_limit, WIRES[self.wire].name_limit)
        self.assertEqual(remote.max_payload, WIRES[self.wire].max_payload)

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
        self.assertEqual(two.receiver.events, self.newcomer_reports(1))

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

    def test_leave_while_joining(self) -> None:
        """Whoever waits for a node that leaves a master that is there is told, too."""
        self.start_master()
        node = self.node(1)
        linked = node.remote.when_linked()
        self.leave(node)
        self.failureResultOf(node.joined, BootFailed)
        self.failureResultOf(linked, BootFailed)
        self.failureResultOf(node.remote.when_linked(), BootFailed)

    def test_port_0(self) -> None:
        """The others are told the port that the system chose."""
        self.start_master()
        nodes = []
        for harbor, port in ((1, 0), (2, 2526), (3, 0)):
            nodes.append(self.node(harbor, f"host{harbor}:{port}"))
            self.run_for()
        self.assert_bound(nodes[0])
        self.assert_full_mesh(*nodes)

    def test_port_0_all_at_once(self) -> None:
        """So they are when all join at the same moment."""
        self.start_master()
        nodes = [self.node(1, "host1:0"), self.node(2), self.node(3, "host3:0")]
        self.run_for(1)
        self.assert_bound(nodes[0])
        self.assert_full_mesh(*nodes)

    def assert_bound(self, node: Node) -> None:
        """Check that a node knows its port, which nobody chose."""
        self.assertNotIn(self.address_of(node), ("host1:0", "host1:2526"))

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


class NameContract(World):
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
        self.start_master()
        self.run_for(10)
        names = {"A": 0x01000007, "B": 0x01000008}
        self.assertEqual(self.names_of_master(), names)
        self.assertEqual(two.receiver.names["B"], 0x01000008)

    def test_registered_by_who_waits_for_the_links(self) -> None:
        """A name that moves at the very moment of joining is its last owner's."""
        self.start_master()
        node = self.node(1)
        node.remote.register("X", 0x01000007)
        linked = node.remote.when_linked()
        linked.addCallback(lambda _: node.remote.register("X", 0x01000008))
        self.run_for(1)
        self.successResultOf(linked)
        self.assertEqual(self.names_of_master(), {"X": 0x01000008})
        self.assertEqual(node.receiver.names, {"X": 0x01000008})


class MasterLossContract(World):
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
        for node in nodes:
            self.assertEqual(node.receiver.events, [])
        self.start_master()
        self.run_for(10)
        self.assertEqual(self.known_to_master(), [1, 2, 3])
        self.assert_full_mesh(*nodes)
        for node in nodes:
            self.assert_rejoined(node, {1, 2, 3} - {node.harbor})
        late = self.node(4)
        self.run_for()
        self.assert_full_mesh(*nodes, late)

    def test_connections_to_the_master_cut(self) -> None:
        """Nodes whose connections to the master alone break stay linked, and return."""
        one, two = self.pair()
        self.network.cut(MASTER)
        self.run_for(10)
        self.assertEqual(self.known_to_master(), [1, 2])
        self.assert_full_mesh(one, two)
        for node, other in ((one, 2), (two, 1)):
            self.assert_rejoined(node, {other})

    def assert_rejoined(self, node: Node, others: set[int]) -> None:
        """Check that nothing was lost when a node joined again."""
        for other in others:
            reports = [it for it in node.receiver.events if it[1] == other]
            # Each master tells of a harbor as often as one joins it.
            self.assertEqual(sorted(set(reports)), self.rejoin_reports(other))


class DeathContract(World):
    """Nodes that go, and come back."""

    def test_link_is_cut(self) -> None:
        """A link that is cut is made again, by the side that dialed."""
        one, two = self.pair()
        self.network.cut("host2:2526")
        self.run_for(1)
        self.assertEqual(one.receiver.events, [("lost", 2), ("ready", 2)])
        self.assertEqual(two.receiver.events, self.redialed_reports(1))
        self.run_for(3)
        self.assert_full_mesh(one, two)

    def test_death(self) -> None:
        """A node that leaves is lost, and gone when it is not back in time."""
        one, two = self.pair()
        self.leave(two)
        if self.patience:
            self.run_for(self.patience - 1)
            self.assertEqual(one.receiver.events, [("lost", 2)])
        self.run_for(20)
        self.assertEqual(one.receiver.events, [("lost", 2), ("gone", 2)])
        self.assertEqual(one.remote.linked(), [])

    def test_return(self) -> None:
        """A node that comes back under its id is linked again, soon or late."""
        one, two = self.pair()
        for pause in (0.0, 0.3, 3.0, 30.0):
            self.leave(two)
            self.run_for(pause)
            one.receiver.events.clear()
            two = self.node(2)
            self.run_for(1 if pause >= self.patience else 5)
            self.successResultOf(two.remote.when_linked())
            if pause >= self.patience:
                events = [("expected", 2), ("ready", 2)]
                self.assertEqual(one.receiver.events, events)
            self.assertEqual(one.receiver.events[-1], ("ready", 2))
            self.assert_full_mesh(one, two)

    def test_return_of_the_older(self) -> None:
        """The oldest node may be the one that comes back."""
        one, two = self.pair()
        self.leave(one)
        self.run_for()
        one = self.node(1)
        self.run_for(1)
        self.assert_full_mesh(one, two)


class FrameContract(World):
    """What a message of harbors says besides its payload, and the rest of a network."""

    def test_frames(self) -> None:
        """What one sends the other gets: source, type, index, session, payload."""
        one, two = self.pair()
        link = one.receiver.links[2]
        link.send(0x02ABCDEF, 0x01000009, 11, 0x7FFFFFFF, b"payload")
        link.flush()
        self.run_for()
        self.assertEqual(
            two.receiver.frames[1],
            [(0x01000009, 0x0BABCDEF, 0x7FFFFFFF, b"payload")],
        )

    def test_errors_are_last_words(self) -> None:
        """What a harbor says of a call before it leaves arrives as such."""
        one, two = self.pair()
        link = one.receiver.links[2]
        one.receiver.send(2, bytes(1 << 20))
        link.send(0x02000001, 0x01000001, 7, 5, b"")
        self.leave(one)
        source, _, session, _ = two.receiver.frames[1][-1]
        self.assertEqual((source, session), (0x01000001, 5))

    def test_leaves_the_master(self) -> None:
        """A node that leaves closes its connections with the master, and no others."""
        one, _ = self.pair()
        others = self.network.connections(MASTER) // 2
        self.leave(one)
        self.assertEqual(self.network.connections(MASTER), others)


class RemoteContract(
    JoinContract, NameContract, MasterLossContract, DeathContract, FrameContract
):
    """All of that."""


class RoughNetworkContract(World):
    """The same with delays and small reads."""

    chunk = 7

    def setUp(self) -> None:
        self.delay = self.rough_delay
        super().setUp()

    def test_seeds(self) -> None:
        """Whatever the network does to the bytes, a full mesh comes of it."""
        joined, joined_again, left_all = self.rough_seconds
        for seed in range(20):
            self.network.random.seed(seed)
            self.start_master()
            nodes = [self.node(harbor) for harbor in (1, 2, 127, 128, 255)]
            nodes[0].remote.register("X", 0x01000001)
            nodes[4].remote.query("X")
            self.run_for(joined)
            for node in nodes:
                self.successResultOf(node.remote.when_linked())
            for round in range(3):
                for node in nodes:
                    for other in node.remote.linked():
                        node.receiver.send(other, b"%d" % round)
            self.network.cut(MASTER)
            self.run_for(joined_again)
            for node in nodes:
                self.assertEqual(node.receiver.names, {"X": 0x01000001})
                self.assertEqual(len(node.remote.linked()), 4)
                for other in node.remote.linked():
                    self.assertEqual(node.receiver.got(other), [b"0", b"1", b"2"])
            self.network.cut(nodes[2].address)
            self.network.cut(nodes[4].address)
            self.run_for(joined_again)
            for node in nodes:
                self.assertEqual(len(node.remote.linked()), 4)
            left = [node.remote.leave() for node in nodes]
            self.run_for(left_all)
            for done in left:
                self.successResultOf(done)
            self.nodes.clear()
            self.stop_master()
