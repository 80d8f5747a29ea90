"""What only the links of a cluster do; the rest is in `tests.net.link_contract`."""

from __future__ import annotations

import re
from typing import Any

from twisted.internet.testing import StringTransport

from skynet_tw.errors import BootFailed, PeerDown, QueueFull
from skynet_tw.message import PType
from skynet_tw.net.cluster.calling import PROBE
from skynet_tw.net.cluster.serving import MAX_WAITING
from skynet_tw.net.kit.limits import ConnectionLimits
from skynet_tw.testing.network import parse
from skynet_tw.wire import cluster as wire

from .clusterworld import BY_HAND, ClusterNode, ClusterWorld
from .linkworld import Stranger


class LogTests(ClusterWorld):
    """The log, which nobody must be able to fill."""

    def log_of(self, what: str) -> list[str]:
        """The lines that have this in them."""
        return [line for line in self.log() if what in line]

    def test_absent_node(self) -> None:
        """A node that is not there is logged once, whoever asks for it how often."""
        one = self.node(1)
        for _ in range(100):
            one.receiver.wanted = {"node2"}
            one.remote.want("node2")
            self.run_for(1)
            one.receiver.wanted = set()
            self.run_for(4)
        self.assertEqual(len(self.log_of("cannot link to node node2")), 1)
        two = self.node(2)
        self.need(one, two)
        self.run_for(4)
        self.assertTrue(one.is_linked(two))
        self.network.refuse(two.address)
        self.network.cut(two.address)
        self.run_for(60)
        self.assertEqual(len(self.log_of("cannot link to node node2")), 2)

    def test_malformed_packets(self) -> None:
        """A thousand clients that send nonsense fill a few lines, with all counted."""
        one = self.node(1)
        for _ in range(1000):
            stranger = self.stranger(one.address, bytes(100))
            assert stranger.transport is not None
            stranger.transport.loseConnection()
        self.run_for(20)
        lines = self.log_of("ignored something of")
        self.assertLess(len(lines), 60)
        counts = [re.search(r"of (\d+) more", line) for line in lines]
        self.assertEqual(sum(int(it[1]) if it else 1 for it in counts), 1000)
        self.assertIn("an empty packet", lines[0])
        self.assertIn("127.0.0.1:", lines[0])

    def test_refused_large_requests(self) -> None:
        """So does one that begins thousands of large requests."""
        one = self.node(1)
        begun = (wire.large_request(1, n, 40_000, False) for n in range(1, 5001))
        self.stranger(one.address, b"".join(begun))
        self.run_for(20)
        self.assertLess(len(self.log_of("is refused")), 5)


class LossTests(ClusterWorld):
    """What a link keeps when it is lost, and what it gives up."""

    def test_not_wanted(self) -> None:
        """A link that nobody wants is not made again, and asks for no old call."""
        one, two = self.linked_pair()
        one.ask(two, 5, b"never answered")
        self.run_for(5)
        self.assertIn((one.receiver.own, 5), one.receiver.asked_for)
        one.receiver.wanted.clear()
        self.network.cut(two.address)
        self.run_for(1)
        one.receiver.asked_for.clear()
        self.run_for(60)
        self.assertEqual(self.network.connections(two.address), 0)
        self.assertEqual(one.receiver.asked_for, [])

    def test_large_messages_wait(self) -> None:
        """What is not wholly written of large messages goes on with the next link."""
        one, two = self.linked_pair()
        two.remote.pause_reading()
        for session in range(1, 4):
            one.ask(two, session, b"%d" % session + bytes(100_000))
        one.tell(two, bytes(40_000))
        held = set(one.receiver.held)
        self.assertEqual(held, {(1, 1), (1, 2), (1, 3)})
        one.receiver.wanted.clear()
        self.network.cut(two.address)
        self.run_for(1)
        two.remote.resume_reading()
        self.run_for(2)
        payloads = [payload[:1] for payload in two.got(one)]
        self.assertEqual(payloads, [b"1", b"2", b"3", b"\0"])
        self.assertEqual(one.receiver.held, {})

    def test_removed(self) -> None:
        """The pushes that wait for a node that is no more are counted."""
        one, two = self.linked_pair()
        two.remote.pause_reading()
        for _ in range(5):
            one.tell(two, bytes(100_000))
        one.ask(two, 5, bytes(100_000))
        one.remote.reload({two.peer: False})
        # None is wholly written; the call is not among them.
        self.assertEqual(one.receiver.dropped, 5)
        self.run_for(self.limits.close + 1)
        self.assertEqual(self.network.connections(two.address), 0)

    def test_moved(self) -> None:
        """No link is made to a new address before that to the old one is closed."""
        one, two = self.linked_pair()
        three = self.node(3)
        self.network.silence(two.address)
        one.tell(two, b"old")
        self.need(one, two)
        moved = one.remote.reload({two.peer: three.address})
        self.run_for(self.limits.close - 1)
        self.assertNoResult(moved)
        self.assertEqual(self.network.connections(three.address), 0)
        self.run_for(2)
        self.successResultOf(moved)
        self.assertEqual(self.network.connections(three.address), 1)
        self.network.mend(two.address)


class AddressTests(ClusterWorld):
    """Nodes that move."""

    def test_moved_while_dialed(self) -> None:
        """A node that is dialed in vain is dialed where it moves to."""
        one, two = self.node(1), self.node(2)
        self.network.refuse("host3:2526")
        one.remote.reload({"other": "host3:2526"})
        one.receiver.wanted = {"other"}
        one.remote.want("other")
        self.run_for(10)
        one.remote.reload({"other": two.address})
        self.run_for(0.1)
        self.assertEqual(one.remote.linked(), ["other"])

    def test_one_attempt(self) -> None:
        """Where nothing waits for an absent node, it is dialed once."""
        one = self.node(1)
        one.remote.reload({"__nowaiting": True})
        self.need(one, ClusterNode(self, 2))
        self.run_for(10)
        self.assertEqual(len(one.receiver.absent), 1)
        self.assertIn("refused", one.receiver.absent[0])
        self.node(2)
        self.run_for(10)
        self.assertEqual(one.remote.linked(), [])

    def test_after_the_end(self) -> None:
        """A node that has left dials nobody, and says so."""
        one = self.node(1)
        self.leave(one)
        self.assertRaises(PeerDown, one.remote.want, "node2")
        self.failureResultOf(one.remote.open("host1:1"), BootFailed)

    def test_out_of_sight(self) -> None:
        """A node of which no table tells any more keeps its link, and gets no other."""
        one, two = self.node(1), self.node(2)
        one.remote.reload({"other": two.address})
        one.remote.want("other")
        self.run_for()
        one.receiver.wanted = {"other"}
        one.remote.reload({"other": None})
        self.run_for(10)
        self.assertEqual(one.remote.linked(), ["other"])
        self.assertEqual(one.receiver.reasons, [])


class RoomTests(ClusterWorld):
    """How much is given to a transport, and to a link."""

    def test_small_messages_bring_no_large_ones(self) -> None:
        """While the transport is full, small messages alone are written to it."""
        one, two = self.linked_pair()
        two.remote.pause_reading()
        one.tell(two, bytes(1 << 20))
        before = one.remote.links()[0].bytes_out
        one.receiver.own += 1  # Another sender, who need not wait for that.
        for _ in range(100):
            one.tell(two, b"small")
        written = one.remote.links()[0].bytes_out - before
        self.assertLess(written, 100 * 50)

    def test_small_answers_bring_no_large_ones(self) -> None:
        """So it is with answers."""
        one = self.node(1)
        peer = self.raw_peer(one)
        transport: Any = peer.transport
        transport.pauseProducing()
        client = one.receiver.agents[BY_HAND].client
        client.answer(1, bytes(1 << 20))
        client.flush()
        before = one.remote.links()[0].bytes_out
        for session in range(2, 102):
            client.answer(session, b"small")
            client.flush()
        self.assertLess(one.remote.links()[0].bytes_out - before, 100 * 50)

    def test_who_is_held_up(self) -> None:
        """Of the calls behind a large message only those of its sender wait."""
        one, two = self.linked_pair()
        two.remote.pause_reading()
        one.tell(two, bytes(1 << 20))
        one.ask(two, 5, b"behind it")
        one.receiver.own += 1
        one.ask(two, 6, b"passes it")
        self.assertEqual([*one.receiver.held], [(one.receiver.own - 1, 5)])

    def test_held(self) -> None:
        """A link that holds too much says so, though its transport is empty."""
        one, two = self.linked_pair()
        given = 0
        while not one.receiver.busy and given < 20:
            one.collect(two, bytes(2 << 20))
            given += 1
        self.assertEqual(given, 8)
        one.link_to(two).flush()
        self.run_for(1)
        self.assertEqual(one.receiver.events[-1], ("free", two.peer))
        self.assertEqual(len(two.got(one)), 8)


class AnsweredByHand(ClusterWorld):
    """A node that is linked with one whose answers a test writes by hand."""

    def setUp(self) -> None:
        super().setUp()
        self.peers: list[Stranger] = []

        def build() -> Stranger:
            self.peers.append(Stranger())
            return self.peers[-1]

        listening = self.network.server("host2:2526").listen(self.factory_of(build))
        port = self.successResultOf(listening)
        self.addCleanup(port.stopListening)
        self.one = self.node(1)
        self.one.receiver.wanted = {"node2"}
        self.one.remote.want("node2")
        self.run_for()
        [self.peer] = self.peers
        self.ask(1)

    def ask(self, session: int) -> None:
        """Ask something."""
        link = self.one.receiver.links["node2"]
        link.send("@x", 1, PType.LUA, session, b"asked")
        link.flush()
        self.run_for()

    @property
    def is_linked(self) -> bool:
        """Whether the first link is still there."""
        return self.peer.lost is None


class HalfAnAnswerTests(AnsweredByHand):
    """Answers that are not whole."""

    def test_stands_still(self) -> None:
        """Half an answer may grow slowly; one that stands still ends the link."""
        answer = wire.result(1, bytes(100))
        for byte in range(50):
            self.peer.say(answer[byte : byte + 1])
            self.run_for(5)
        self.assertTrue(self.is_linked)
        self.run_for(20)
        self.assertTrue(self.is_linked)
        self.run_for(26)
        self.assertFalse(self.is_linked)
        self.assertIn("stood still", self.one.receiver.reasons[0])

    def test_parts_of_a_large_one(self) -> None:
        """So it is with a large answer whose parts do not come."""
        self.peer.say(wire.large_result(1, 100_000))
        self.run_for(25)
        self.peer.say(wire.result_part(1, b"x", False))
        self.run_for(25)
        self.assertTrue(self.is_linked)
        self.run_for(20)
        self.assertFalse(self.is_linked)

    def test_while_paused(self) -> None:
        """We do not blame a node for what we do not read."""
        answer = wire.result(1, bytes(100))
        self.peer.say(answer[:50])
        self.run_for(20)
        self.one.remote.pause_reading()
        self.run_for(300)
        self.one.remote.resume_reading()
        self.run_for(20)
        self.assertTrue(self.is_linked)
        self.peer.say(answer[50:])
        self.run_for()
        self.assertEqual(self.one.heard("node2"), [(1, bytes(100))])


class SilenceTests(AnsweredByHand):
    """Nodes that owe an answer."""

    limits = ConnectionLimits(silence=5.0, idle=0)

    def test_asked(self) -> None:
        """A node that says nothing is asked whether it lives, then given up."""
        before = len(self.peer.heard)
        self.run_for(11)
        self.assertEqual(self.peer.heard[before:], wire.request(0, 2, PROBE))
        self.assertTrue(self.is_linked)
        self.run_for(6)
        self.assertFalse(self.is_linked)
        self.assertIn("it sent nothing", self.one.receiver.reasons[0])
        # The next one has no more and no less time.
        self.run_for(1)
        self.ask(2)
        self.run_for(11)
        self.assertIn(PROBE, self.peers[1].heard)
        self.assertIsNone(self.peers[1].lost)
        self.run_for(6)
        self.assertIsNotNone(self.peers[1].lost)

    def test_lives(self) -> None:
        """One that answers that question, in whatever way, is asked again and again."""
        for session in range(2, 20):
            self.run_for(9)
            self.assertTrue(self.is_linked)
            self.peer.say(wire.failure(session, "what?"))
        self.assertEqual(self.one.heard("node2"), [])

    def test_while_paused(self) -> None:
        """The time in which we read nothing is not counted."""
        self.run_for(4)
        self.one.remote.pause_reading()
        self.run_for(60)
        self.one.remote.resume_reading()
        self.run_for(8)
        self.assertTrue(self.is_linked)
        self.run_for(8)
        self.assertFalse(self.is_linked)


class ClientTests(ClusterWorld):
    """Nodes that call us."""

    delay = (0.02, 0.02)

    def test_not_served_yet(self) -> None:
        """What a client asks is read from the word on that it is served, not before."""
        one = self.node(1)
        late = ClusterNode(self, 2)
        late.remote.bind()
        self.nodes.append(late)
        self.need(one, late)
        self.run_for()
        one.tell(late, b"early")
        self.run_for(60)
        self.assertEqual(late.got(one), [])
        late.remote.serve()
        self.run_for()
        self.assertEqual(late.got(one), [b"early"])

    def test_reads_again(self) -> None:
        """A client that lets answers wait is not read, until it has read them."""
        one = self.node(1)
        peer = self.raw_peer(one)
        transport: Any = peer.transport
        transport.pauseProducing()
        client = one.receiver.agents[BY_HAND].client
        for session in range(1, 101):
            client.answer(session, bytes(2_000))
            client.flush()
        peer.say(self.raw(b"more"))
        self.run_for(10)
        self.assertEqual(one.heard(BY_HAND), [])
        transport.resumeProducing()
        self.run_for(1)
        self.assertEqual(one.heard(BY_HAND), [(0, b"more")])

    def test_answers_in_waiting(self) -> None:
        """What an actor answers is refused while too much waits for the client."""
        one = self.node(1)
        peer = self.raw_peer(one)
        transport: Any = peer.transport
        transport.pauseProducing()
        client = one.receiver.agents[BY_HAND].client
        body = bytes(MAX_WAITING - 100)
        client.answer(1, body)
        self.assertRaises(QueueFull, client.answer, 2, bytes(200))
        client.fail(2, "too much waits")
        client.flush()

    def test_comes_as_we_leave(self) -> None:
        """Who was still accepted as the node leaves is closed at once."""
        one = self.node(1)
        port = self.network.listener(parse(one.address))
        assert port is not None
        self.leave(one)
        protocol = port.factory.buildProtocol(parse("host9:1"))
        assert protocol is not None
        transport = StringTransport()
        protocol.makeConnection(transport)
        self.assertTrue(transport.disconnecting or transport.disconnected)
        self.assertEqual(one.receiver.agents, {})

    def test_half_a_request_of_a_slow_reader(self) -> None:
        """A request that is half read, as answers are not read, costs no connection."""
        one = self.node(1)
        peer = self.raw_peer(one)
        request = self.raw(b"whole")
        for session in range(1, 11):
            peer.say(wire.request("@x", session, b""))
        peer.say(request[:5])
        self.run_for(5)
        transport: Any = peer.transport
        transport.pauseProducing()
        client = one.receiver.agents[BY_HAND].client
        for session, _ in one.heard(BY_HAND):
            client.answer(session, bytes(1 << 20))
        client.flush()
        for _ in range(5):
            self.run_for(20)
            self.assertIsNone(peer.lost)
            transport.resumeProducing()
            self.run_for(0.03)  # One read.
            transport.pauseProducing()
            self.assertTrue(one.remote.links()[0].is_full)
        transport.resumeProducing()
        self.run_for(20)
        self.assertIsNone(peer.lost)
        peer.say(request[5:])
        self.run_for()
        self.assertEqual(one.heard(BY_HAND), [(0, b"whole")])
