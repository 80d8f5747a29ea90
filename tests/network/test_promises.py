"""The six promises of the design, by number."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory

from skynet_tw import (
    Actor,
    CallTimeout,
    Handle,
    Limits,
    LinkLost,
    NoSuchName,
    NotReady,
    PeerDown,
    QueueFull,
    RemoteError,
    SkynetError,
    Start,
)
from skynet_tw.testing import MemoryNodes
from skynet_tw.wire.control import Hello, Wait, encode

from ..net.linkworld import Stranger
from .support import NetworkTestCase, SlowPeer


class PromiseTests(NetworkTestCase):
    """Promises 1, 4 and 5: order, bounds, time."""

    def test_1_order(self) -> None:
        """Messages of one sender arrive in order, through boot and look-up; once."""
        for seed in range(8):
            with self.nodes(seed) as nodes:
                sent = 0

                def send(client: Actor, times: int, nodes: MemoryNodes = nodes) -> None:
                    nonlocal sent
                    for _ in range(times):
                        client.send("LATE", "COUNT", sent)
                        sent += 1
                        nodes.run(0.01)

                two = nodes.start(2)
                client = two.node.client()
                send(client, 50)  # no master
                nodes.start(1, standalone=True)
                send(client, 300)  # two boots, and nobody of that name
                three = nodes.start(3, actors=[Start(SlowPeer, ("LATE",))])
                send(client, 300)  # a new link, a new name, a gate
                nodes.ready()
                send(client, 100)  # the direct way
                nodes.run(2)
                self.assertEqual(self.peer(nodes, three).seen, list(range(sent)))

    def test_4_bound(self) -> None:
        """Each queue has a limit of messages and of bytes: beyond it, `QueueFull`."""
        for limits, room in [(Limits(messages=10), 10), (Limits(size=3000), 2)]:
            with self.nodes() as nodes:
                two = nodes.start(2, limits=limits)
                client = two.node.client()
                padding = "x" * 1000
                # For a name, and for a harbor, while there is no master.
                for dest in ("NOBODY", 0x01000003):
                    for i in range(room):
                        client.send(dest, "COUNT", i, padding)
                    with self.assertRaises(QueueFull):
                        client.send(dest, "COUNT", room, padding)
                    self.failed(client.call(dest, "COUNT", room, padding), QueueFull)
                self.assertEqual(two.node.status().ledger.waiting, 2 * room)
                self.balanced(nodes)
                # At the gate of a node that boots, and at that of an actor.
                actors = [SlowPeer]
                one = nodes.start(1, standalone=True, actors=actors, limits=limits)
                calls: list[Deferred[int]] = []
                while not one.node.actors()[2:]:
                    nodes.run(0.01)
                nodes.run(0.3)
                for i in range(room, 20):
                    calls.append(client.call(0x01000003, "COUNT", i, padding))
                    nodes.run(0.01)
                nodes.ready()
                nodes.run(1)
                # What came in is within the bounds; TCP held the rest.
                for call in calls:
                    self.successResultOf(call)
                peer = self.peer(nodes, one)
                self.assertEqual(peer.seen, list(range(20)))

    def test_5_time(self) -> None:
        """No remote call waits for ever; a late answer is counted, not delivered."""
        with self.nodes() as nodes:
            _, two, three = self.three(nodes)
            client = two.node.client()
            began = nodes.clock.seconds()
            calls = [
                client.call("THREE", "HANG", 1),
                client.call("THREE", "HANG", 2, timeout=2.0),
                client.call("THREE", "HANG", 3, timeout=None),
            ]
            with self.assertRaises(CallTimeout):
                nodes.result(calls[1])
            self.assertApproximates(nodes.clock.seconds() - began, 2.0, 0.05)
            with self.assertRaises(CallTimeout):
                nodes.result(calls[0])
            self.assertApproximates(nodes.clock.seconds() - began, 30.0, 0.05)
            for hanging in self.peer(nodes, three).hanging:
                hanging.callback(None)
            self.assertEqual(nodes.result(calls[2]), 3)
            self.assertEqual(two.node.ledger.late_answers, 2)


class Promise2013Tests(PromiseTests):
    """The same on the wire of 2013."""

    wire = "2013"


class GateTests(NetworkTestCase):
    """Promise 3, with a harbor that the master names and that does not link."""

    def test_3_gate(self) -> None:
        """No message gets in before the stage ``peers``, and before ``started`` is."""
        for seed in range(4):
            with self.nodes(seed) as nodes:
                one = nodes.start(1, standalone=True)
                nodes.ready()
                # A harbor which the newcomer has to wait for, and which does not link.
                master = nodes.network.client(nodes.master)
                dialed = master.connect(Factory.forProtocol(Stranger))
                holder = nodes.result(dialed)
                assert isinstance(holder, Stranger)
                holder.say(encode(Hello(3, nodes.address(3))))
                nodes.run(1)
                self.assertEqual(holder.heard, encode(Wait(1)))
                two = nodes.start(2, actors=[SlowPeer])
                client = one.node.client()
                for i in range(100):
                    client.send(Handle.of(2, 1), "COUNT", i)
                call = client.call(Handle.of(2, 1), "COUNT", 100)
                nodes.run(5)
                states = [report.state for report in two.node.boot_report()]
                self.assertEqual(states[:4], ["done", "done", "waiting", "to come"])
                self.assertEqual(two.node.actors(), [])
                self.assertEqual(two.node.status().ledger.waiting, 101)
                assert holder.transport is not None
                holder.transport.loseConnection()
                nodes.run(0.9)
                peer = self.peer(nodes, two)
                self.assertEqual((peer.has_started, peer.seen), (False, []))
                self.assertNoResult(call)
                self.assertEqual(nodes.result(call), 100)
                self.assertEqual(peer.seen, list(range(101)))


class FateTestCase(NetworkTestCase):
    """Counts the fates of messages."""

    #: The fates, as the ledger calls them.
    fates = ("accepted", "delivered", "refused", "expired", "dropped")

    @contextmanager
    def network(self) -> Iterator[MemoryNodes]:
        """Three nodes; the books of the second are looked at."""
        with self.nodes() as nodes:
            _, self.two, self.three_ = self.three(nodes, call_timeout=3.0)
            self.client = self.two.node.client()
            self.handle = nodes.result(self.client.query("THREE"))
            nodes.run(1)
            self.before = self.counts(nodes)
            yield nodes

    def counts(self, nodes: MemoryNodes) -> list[int]:
        self.balanced(nodes)
        return [getattr(self.two.node.ledger, fate) for fate in self.fates]

    def assertFates(self, nodes: MemoryNodes, *expected: int) -> None:
        """How many messages have had each fate by now."""
        counts = zip(self.counts(nodes), self.before, strict=True)
        self.assertEqual(tuple(now - then for now, then in counts), expected)

    def assertLetter(self, reason: str) -> None:
        """The newest dead letter says why it is one."""
        self.assertEqual(self.two.node.ledger.dead_letters[-1].reason, reason)


class FateTests(FateTestCase):
    """Promise 2: each message has one fate, which is counted."""

    def test_2_delivered(self) -> None:
        """What is written to a link is delivered."""
        with self.network() as nodes:
            self.client.send(self.handle, "COUNT", 1)
            nodes.run(1)
            self.assertFates(nodes, 1, 1, 0, 0, 0)
            self.assertEqual(self.peer(nodes, self.three_).seen, [1])

    def test_2_expired(self) -> None:
        """What waits for the owner of a name that nobody takes expires."""
        with self.network() as nodes:
            self.client.send("NOBODY", "COUNT", 1)
            self.assertFates(nodes, 1, 0, 0, 0, 0)
            nodes.run(5)
            self.assertFates(nodes, 1, 0, 0, 1, 0)
            self.assertLetter("waited too long for the name 'NOBODY'")


class Fate2013Tests(FateTests):
    """The same on the wire of 2013."""

    wire = "2013"


class GoneTests(FateTestCase):
    """Promise 2 for a harbor of which the master says that it is gone."""

    def lose(self, nodes: MemoryNodes) -> None:
        """The link to the third node breaks, and does not come back."""
        nodes.network.refuse(nodes.address(3))
        nodes.network.cut(nodes.address(3))
        nodes.run(0.1)

    def test_2_refused(self) -> None:
        """What waits for a harbor that is gone then is refused; a caller is told."""
        with self.network() as nodes:
            self.lose(nodes)
            self.client.send(self.handle, "COUNT", 2)
            call = self.client.call(self.handle, "COUNT", 3)
            self.assertFates(nodes, 2, 0, 0, 0, 0)
            nodes.stop(self.three_)
            nodes.run(1)
            self.assertTrue(self.failed(call, PeerDown).retry_safe)
            self.assertFates(nodes, 2, 0, 2, 0, 0)
            self.assertLetter("harbor gone")

    def test_2_dropped(self) -> None:
        """What is for a harbor that is gone, or for no actor, is a dead letter."""
        with self.network() as nodes:
            self.lose(nodes)
            nodes.stop(self.three_)
            nodes.run(1)
            self.client.send(self.handle, "COUNT", 4)
            self.assertLetter("its harbor is out of reach")
            self.client.send(Handle.of(2, 0xFFFF), "COUNT", 5)
            self.assertLetter("no such actor")
            self.assertFates(nodes, 2, 0, 0, 0, 2)


class TruthTests(NetworkTestCase):
    """Promise 6: an error that is retry safe is that of what nobody ever saw."""

    @contextmanager
    def network(self) -> Iterator[MemoryNodes]:
        """Three nodes; the second calls the third."""
        with self.nodes() as nodes:
            _, two, self.three_ = self.three(nodes, call_timeout=4.0)
            self.client = two.node.client()
            self.callee = self.peer(nodes, self.three_)
            yield nodes

    def expect(
        self,
        nodes: MemoryNodes,
        kind: type[SkynetError],
        dest: int | str,
        meanwhile: Callable[[], object] = lambda: None,
    ) -> None:
        """A call that is not answered fails, and its error is true.

        :param meanwhile: what happens a little after the call.
        """
        call = self.client.call(dest, "HANG")
        nodes.run(0.1)
        meanwhile()
        with self.assertRaises(kind) as raised:
            nodes.result(call)
        nodes.run(5)
        ran = bool(self.callee.hanging)
        self.assertEqual(raised.exception.retry_safe, not ran)

    def test_6_call_timeout(self) -> None:
        """A call that nobody answers in time may have run."""
        with self.network() as nodes:
            self.expect(nodes, CallTimeout, self.callee.handle)

    def test_6_link_lost(self) -> None:
        """So may one whose link breaks."""
        with self.network() as nodes:
            cut = nodes.network.cut
            place = nodes.address(3)
            self.expect(nodes, LinkLost, self.callee.handle, lambda: cut(place))

    def test_6_peer_down(self) -> None:
        """One that waits for a link has not, however late the link comes."""
        with self.network() as nodes:
            network, place = nodes.network, nodes.address(3)
            network.refuse(place)
            network.cut(place)
            nodes.run(0.1)
            self.expect(nodes, PeerDown, self.callee.handle)
            network.mend(place)
            nodes.run(10)
            self.assertEqual(self.callee.hanging, [])

    def test_6_no_such_name(self) -> None:
        """One to a name without an owner has not."""
        with self.network() as nodes:
            self.expect(nodes, NoSuchName, "NOBODY")

    def test_6_remote_error(self) -> None:
        """One that its callee answers with an error may have."""
        with self.network() as nodes:
            with self.assertRaises(RemoteError) as raised:
                nodes.result(self.client.call("THREE", "FAIL"))
            self.assertFalse(raised.exception.retry_safe)
            self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)

    def test_6_not_ready(self) -> None:
        """One of a node that has no master has not."""
        with self.network() as nodes:
            late = nodes.start(4, call_timeout=2.0, master="nowhere:1")
            call = late.node.client().call(self.callee.handle, "HANG")
            with self.assertRaises(NotReady) as raised:
                nodes.result(call)
            self.assertTrue(raised.exception.retry_safe)
            self.assertEqual(self.callee.hanging, [])

    def test_6_callee_stops(self) -> None:
        """One whose callee ends may have run; a later one to its name has not."""
        with self.network() as nodes:
            hanging = self.client.call("THREE", "HANG")
            nodes.run(1)
            nodes.stop(self.three_)
            nodes.run(1)
            self.assertFalse(self.failed(hanging, RemoteError).retry_safe)
            self.callee.hanging.clear()
            self.expect(nodes, PeerDown, "THREE")


class Truth2013Tests(TruthTests):
    """The same on the wire of 2013."""

    wire = "2013"
