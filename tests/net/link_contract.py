"""What the links of every layer do, whatever joins their nodes.

A layer is put under the contract by one class in `tests.net.test_links`: this contract,
and the layer's own `LinkWorld`.  This module is no module of tests itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from twisted.internet.defer import Deferred
from zope.interface.verify import verifyObject

from skynet_tw.interfaces import ILink
from skynet_tw.link.effects import Effect
from skynet_tw.net.kit.limits import ConnectionLimits
from skynet_tw.net.kit.shell import Shell

from .linkworld import LinkNode, LinkWorld, Stranger
from .noise import NOISE

#: Bytes of a message of which few fill a transport, and that goes out in one piece.
BIG = 30_000


class MessageContract(LinkWorld):
    """Messages and answers on a link that is up."""

    def test_interfaces(self) -> None:
        """The classes provide what they promise."""
        one, two = self.linked_pair()
        for node in (one, two):
            self.assertTrue(self.provides.implementedBy(type(node.remote)))
            self.assertTrue(verifyObject(self.provides, node.remote))
        self.assertTrue(verifyObject(ILink, one.link_to(two)))
        self.assertEqual(one.link_to(two).peer, two.peer)

    def test_flush(self) -> None:
        """Nothing is written before `flush`, and then all, in order, as one piece."""
        one, two = self.linked_pair()
        for payload in (b"a", b"", b"b"):
            one.collect(two, payload)
        self.run_for()
        self.assertEqual(two.got(one), [])
        link = one.link_to(two)
        link.flush()
        link.flush()
        self.run_for()
        self.assertEqual(two.got(one), [b"a", b"", b"b"])

    def test_from_the_first_on(self) -> None:
        """What is sent from within the report of a new link is the first to arrive."""
        self.begin()
        one, two = self.node(1), self.node(2)

        def greet() -> None:
            one.tell(two, b"0")
            one.tell(two, b"1")

        one.receiver.on_ready = greet
        self.need(one, two)
        self.run_for(1)
        one.tell(two, b"2")
        self.run_for()
        self.assertEqual(two.got(one), [b"0", b"1", b"2"])

    def test_answers(self) -> None:
        """Answers reach those who asked, once each, in whatever order they come."""
        one, two = self.linked_pair()
        for session in range(1, 6):
            one.ask(two, session, b"%d" % session)
        self.run_for()
        heard = two.heard(one.peer)
        self.assertEqual(
            [payload for _, payload in heard], [b"1", b"2", b"3", b"4", b"5"]
        )
        order = [heard[i] for i in (4, 0, 2, 3, 1)]
        for session, payload in order:
            two.answer(one, session, payload)
        self.run_for()
        expected = [(int(payload), payload) for _, payload in order]
        self.assertEqual(one.heard(two.peer), expected)

    def test_large(self) -> None:
        """Messages and answers of any size arrive whole, and in order."""
        one, two = self.linked_pair()
        sizes = (0, 1, 32_767, 32_768, 32_769, 65_535, 65_536, 200_000, 0, 1 << 20, 3)
        for size in sizes:
            one.tell(two, bytes(size))
        self.run_for(1)
        self.assertEqual([len(payload) for payload in two.got(one)], list(sizes))
        for session, size in enumerate(sizes, 1):
            one.ask(two, session, bytes(size))
            self.run_for()
            [(asked, payload)] = two.heard(one.peer)
            two.answer(one, asked, payload)
            self.run_for()
            [(answered, payload)] = one.heard(two.peer)
            self.assertEqual((answered, len(payload)), (session, size))

    def test_no_effects_of_messages(self) -> None:
        """Messages cost no effects: they go from the decoder straight to the node."""
        one, two = self.linked_pair()
        done: list[Sequence[Effect]] = []
        do = Shell.do

        def count(shell: Shell, effects: Sequence[Effect]) -> None:
            done.append(effects)
            do(shell, effects)

        self.patch(Shell, "do", count)
        for session in range(1, 11):
            one.ask(two, session, b"payload")
            self.run_for(0.01)
            [(asked, payload)] = two.heard(one.peer)
            two.answer(one, asked, payload)
            self.run_for(0.01)
            self.assertEqual(one.heard(two.peer), [(session, b"payload")])
        self.assertEqual(done, [])

    def test_links(self) -> None:
        """Each link tells its peer, its age, its bytes, and whether it is full."""
        one, two = self.linked_pair()
        before = [node.remote.links()[0] for node in (one, two)]
        for _ in range(10):
            one.tell(two, bytes(50_000))
        self.run_for(5)
        [to_two], [to_one] = one.remote.links(), two.remote.links()
        self.assertEqual(to_two.peer, two.peer)
        self.assertEqual(to_one.peer, self.accepted(one, to_one))
        for then, now in zip(before, (to_two, to_one), strict=True):
            self.assertAlmostEqual(now.seconds - then.seconds, 5, places=3)
            self.assertEqual((now.peer, now.address), (then.peer, then.address))
            self.assertFalse(now.is_full)
        written = to_two.bytes_out - before[0].bytes_out
        self.assertGreater(written, 500_000)
        self.assertEqual(to_one.bytes_in - before[1].bytes_in, written)
        two.remote.pause_reading()
        for _ in range(10):
            one.tell(two, bytes(50_000))
        self.assertTrue(one.remote.links()[0].is_full)
        two.remote.resume_reading()
        self.run_for()
        self.leave(two)
        self.run_for()
        self.assertEqual(one.remote.links(), [])


class PressureContract(LinkWorld):
    """Nodes that do not read."""

    def test_busy(self) -> None:
        """A full transport is told once, and once more when it is empty."""
        one, two = self.linked_pair()
        two.remote.pause_reading()
        for _ in range(10):
            one.tell(two, bytes(BIG))
        self.assertEqual(one.receiver.events, [("busy", two.peer)])
        self.run_for(100)
        self.assertEqual(two.got(one), [])
        two.remote.resume_reading()
        self.run_for()
        self.assertEqual(one.receiver.events, [("busy", two.peer), ("free", two.peer)])
        self.assertEqual(two.got(one), [bytes(BIG)] * 10)

    def test_busy_with_large_messages(self) -> None:
        """So is one that large messages fill, as often as they do; all arrive."""
        one, two = self.linked_pair()
        two.remote.pause_reading()
        for _ in range(10):
            one.tell(two, bytes(50_000))
        self.assertEqual(one.receiver.events, [("busy", two.peer)])
        self.run_for(100)
        self.assertEqual(two.got(one), [])
        two.remote.resume_reading()
        self.run_for()
        self.assertEqual(len(two.got(one)), 10)
        # The recorder sees to it that they take turns.
        self.assertEqual(one.receiver.events[-1], ("free", two.peer))

    def test_bound(self) -> None:
        """Who stops when it is told to has never more than a bounded rest waiting."""
        one, two = self.linked_pair()
        two.remote.pause_reading()
        for size in (10, 1_000, BIG, 100_000):
            sent = 0
            while not one.receiver.busy:
                one.tell(two, bytes(size))
                sent += size
                self.assertLess(sent, 300_000)
            two.remote.resume_reading()
            self.run_for(1)
            self.assertEqual(sum(map(len, two.got(one))), sent)
            self.assertEqual(one.receiver.busy, set())
            two.remote.pause_reading()
            self.run_for()

    def test_answers_wait(self) -> None:
        """Who asks and does not read gets the answers once it reads again."""
        one, two = self.linked_pair()
        for session in range(1, 11):
            one.ask(two, session, b"%d" % session)
        self.run_for()
        one.remote.pause_reading()
        for session, payload in two.heard(one.peer):
            two.answer(one, session, payload)
        self.run_for(100)
        self.assertEqual(one.heard(two.peer), [])
        one.remote.resume_reading()
        self.run_for()
        expected = [(session, b"%d" % session) for session in range(1, 11)]
        self.assertEqual(one.heard(two.peer), expected)
        self.assertEqual(one.receiver.events, [])

    def test_pause_covers_new_links(self) -> None:
        """A link that comes up while nothing is read is not read either.

        The first message may pass, where it alone says whose link it is.
        """
        _, two = self.linked_pair()
        two.remote.pause_reading()
        three = self.node(3)
        self.need(three, two)
        self.run_for()
        three.tell(two, b"first")
        self.run_for()
        early = two.got(three)
        self.assertEqual(early, [b"first"] if self.first_read_passes else [])
        three.tell(two, b"hello")
        self.run_for()
        self.assertEqual(two.got(three), [])
        two.remote.resume_reading()
        self.run_for()
        self.assertEqual(early + two.got(three), [b"first", b"hello"])

    def test_pause_covers_links_that_we_make(self) -> None:
        """Nor is one that the node itself makes while it reads nothing."""
        one, two = self.linked_pair()
        one.remote.pause_reading()
        self.network.cut(two.address)
        self.run_for(1)
        self.need(one, two)
        self.run_for(1)
        one.ask(two, 5, b"asked")
        self.run_for()
        [(session, payload)] = two.heard(one.peer)
        two.answer(one, session, payload)
        self.run_for()
        self.assertEqual(one.heard(two.peer), [])
        one.remote.resume_reading()
        self.run_for()
        self.assertEqual(one.heard(two.peer), [(5, b"asked")])


class LossContract(LinkWorld):
    """Links that break, and are made again."""

    def test_cut(self) -> None:
        """A link that breaks is lost with a reason, and made again if it is wanted."""
        one, two = self.linked_pair()
        written = set()
        for round in range(5):
            self.need(one, two)
            self.network.cut(two.address)
            self.run_for(1)
            self.assertEqual(
                one.receiver.events, [("lost", two.peer), ("ready", two.peer)]
            )
            self.assertIn("Connection", one.receiver.reasons[-1])
            self.assertEqual(len(one.receiver.reasons), round + 1)
            one.tell(two, b"again")
            self.run_for()
            self.assertEqual(two.got(one), [b"again"])
            [info] = one.remote.links()
            self.assertLess(info.seconds, 2)
            written.add(info.bytes_out)
            one.receiver.events.clear()
        # Each counts its own bytes.
        self.assertEqual(len(written), 1)

    def test_lost_link(self) -> None:
        """What is sent to a link that is lost goes nowhere, and raises nothing."""
        one, two = self.linked_pair()
        link = one.link_to(two)
        one.collect(two, b"not flushed")
        self.refuse_and_cut(two)
        self.assertEqual(one.receiver.events, [("lost", two.peer)])
        link.flush()
        one.receiver.links[two.peer] = link
        one.collect(two, b"too late")
        one.ask(two, 3, b"too late")
        one.collect(two, b"not flushed either")
        del one.receiver.links[two.peer]
        self.network.mend(two.address)
        self.need(one, two)
        self.run_for(5)
        one.tell(two, b"new")
        self.run_for()
        self.assertEqual(two.got(one), [b"new"])

    def test_busy_link_is_lost(self) -> None:
        """A link that is lost while it is busy comes back as a new one."""
        one, two = self.linked_pair()
        two.remote.pause_reading()
        for _ in range(4):
            one.tell(two, bytes(BIG))
        self.need(one, two)
        self.network.cut(two.address)
        self.run_for(1)
        events = [(what, two.peer) for what in ("busy", "lost", "ready")]
        self.assertEqual(one.receiver.events, events)
        two.remote.resume_reading()
        one.tell(two, b"new")
        self.run_for()
        self.assertEqual(two.got(one)[-1], b"new")

    def test_dialed_again(self) -> None:
        """A node out of reach is dialed with growing pauses, and logged once."""
        attempts: list[int] = []

        def policy(attempt: int) -> float:
            attempts.append(attempt)
            return min(0.1 * 2**attempt, 3.0)

        self.begin()
        self.retry_policy = policy
        one = self.node(1)
        self.retry_policy = type(self).retry_policy
        two = self.node(2)
        self.need(one, two)
        self.run_for(1)
        one.receiver.events.clear()
        self.observer._events.clear()
        self.refuse_and_cut(two)
        self.run_for(60)
        self.assertEqual(attempts, [*range(1, len(attempts) + 1)])
        self.assertIn(len(attempts), range(20, 26))
        lines = [line for line in self.log() if "cannot link to" in line]
        self.assertEqual(len(lines), self.lines_of_absence)
        self.assertIn("refused", lines[0])
        self.assertEqual(one.receiver.links, {})
        self.network.mend(two.address)
        self.run_for(4)
        self.assertEqual(one.receiver.events[-1], ("ready", two.peer))
        one.tell(two, b"back")
        self.run_for()
        self.assertEqual(two.got(one), [b"back"])

    def refuse_and_cut(self, node: LinkNode) -> None:
        """Break the link to a node, which cannot be reached from now on."""
        self.network.refuse(node.address)
        self.network.cut(node.address)
        self.run_for(1)


class StrangerContract(LinkWorld):
    """Those who are none of our nodes, or speak badly."""

    def test_noise(self) -> None:
        """Bytes of any other protocol hurt no link."""
        one, two = self.linked_pair()
        link = one.link_to(two)
        for address in (one.address, two.address):
            for noise in NOISE.values():
                self.stranger(address, noise)
        self.run_for(100)
        self.assertIs(one.link_to(two), link)
        for node, other in ((one, two), (two, one)):
            self.assertNotIn(("lost", other.peer), node.receiver.events)
        self.meet(one, two)

    def test_pieces(self) -> None:
        """A message arrives in whatever pieces it is read, and once."""
        self.begin()
        one = self.node(1)
        self.run_for()
        peer = self.raw_peer(one)
        message = self.raw(b"one") + self.raw(b"") + self.raw(b"two")
        for size in (len(message), 1, 7):
            for start in range(0, len(message), size):
                peer.say(message[start : start + size])
                self.run_for(0.02)
            self.assertEqual(self.raw_got(one), [b"one", b"", b"two"])
        peer.say(message[:-1])
        self.run_for()
        self.assertEqual(self.raw_got(one), [b"one", b""])

    def test_half_a_message(self) -> None:
        """Half a message may grow slowly; one that stands still ends the link."""
        one, peer = self.with_raw_peer()
        message = self.raw(bytes(100))
        for byte in range(50):
            peer.say(message[byte : byte + 1])
            self.run_for(5)
        self.assertIsNone(peer.lost)
        self.run_for(20)
        self.assertIsNone(peer.lost)
        self.run_for(26)
        self.assertIsNotNone(peer.lost)
        self.assertEqual(len(self.log()), 1)
        reports = ["ready", "lost"] if self.raw_is_linked else []
        events = [(what, self.raw_name) for what in reports]
        self.assertEqual(one.receiver.events, events)
        self.assertEqual(self.raw_got(one), [])

    def test_idle(self) -> None:
        """A link without half a message may be silent for ever."""
        one, peer = self.with_raw_peer()
        peer.say(self.raw(b"one"))
        self.run_for(1000)
        self.assertIsNone(peer.lost)
        self.assertEqual(self.raw_got(one), [b"one"])

    def test_half_a_message_while_paused(self) -> None:
        """We do not blame a peer for what we do not read."""
        one, peer = self.with_raw_peer()
        message = self.raw(bytes(100))
        peer.say(message[:50])
        self.run_for(20)
        one.remote.pause_reading()
        peer.say(message[50:90])
        self.run_for(300)
        self.assertIsNone(peer.lost)
        one.remote.resume_reading()
        self.run_for(20)
        self.assertIsNone(peer.lost)
        peer.say(message[90:])
        self.run_for()
        self.assertEqual(self.raw_got(one), [bytes(100)])

    def with_raw_peer(self) -> tuple[LinkNode, Stranger]:
        """A node, and who speaks to it by hand; the log is empty."""
        self.begin()
        one = self.node(1)
        self.run_for()
        peer = self.raw_peer(one)
        self.observer._events.clear()
        return one, peer

    def raw_got(self, node: LinkNode) -> list[bytes]:
        """What came from the one who speaks by hand, and forget it."""
        return [payload for _, payload in node.heard(self.raw_name)]


class LeaveContract(LinkWorld):
    """The end."""

    def test_last_words(self) -> None:
        """What was sent before a node leaves arrives, a full transport or not."""
        one, two = self.linked_pair()
        one.tell(two, bytes(1 << 20))
        one.collect(two, b"asked", 5)
        one.collect(two, b"last")
        left = one.remote.leave()
        self.run_for()
        self.successResultOf(left)
        self.assertEqual(two.got(one)[-2:], [b"asked", b"last"])
        self.assertEqual(two.receiver.events, self.farewell(one))
        self.assertEqual(two.remote.links(), [])

    def test_last_answers(self) -> None:
        """So do the answers of one that leaves."""
        one, two = self.linked_pair()
        for session in (5, 6):
            one.ask(two, session, b"asked")
        self.run_for()
        [(first, _), (second, _)] = two.heard(one.peer)
        two.answer(one, first, bytes(1 << 20))
        two.answer(one, second, b"last")
        left = two.remote.leave()
        self.run_for()
        self.successResultOf(left)
        answers = one.heard(two.peer)
        self.assertEqual(sorted(session for session, _ in answers), [5, 6])
        self.assertEqual(sum(len(payload) for _, payload in answers), (1 << 20) + 4)

    def test_closes_all(self) -> None:
        """A node that left has no port, connection or attempt, and says so again."""
        one, two = self.linked_pair()
        stranger = self.stranger(one.address)
        first, second = one.remote.leave(), one.remote.leave()
        self.run_for()
        self.successResultOf(first)
        self.successResultOf(second)
        self.successResultOf(one.remote.leave())
        self.assertIsNotNone(stranger.lost)
        self.assertEqual(self.network.connections(one.address), 0)
        self.assertEqual(self.network.connections(two.address), self.other_connections)
        events = [event for event in one.receiver.events if event[1] == two.peer]
        self.assertEqual(events, [("lost", two.peer)])
        self.assertEqual(one.remote.links(), [])

    def test_before_any_link(self) -> None:
        """A node may leave as soon as it has bound its ports."""
        self.begin()
        self.assert_leaves(self.node(1))

    def test_while_dialing(self) -> None:
        """A node may leave at any moment of an attempt to link."""
        one, _ = self.linked_pair()
        addresses = []
        for number in (3, 4):
            addresses.append(f"host{number}:2526")
            self.network.silence(addresses[-1])
            self.need(one, self.node(number))
            self.run_for(0.2 if number == 3 else 0)
        self.assert_leaves(one)
        for address in addresses:
            self.network.mend(address)

    def test_between_two_attempts(self) -> None:
        """Or while it waits for the next one."""
        one, two = self.linked_pair()
        self.need(one, two)
        self.network.refuse(two.address)
        self.network.cut(two.address)
        self.run_for(10)
        self.assert_leaves(one)

    def test_from_within_a_report(self) -> None:
        """Or from within the report of a new link, or of one that is lost."""
        for report in ("on_ready", "on_lost"):
            one, two = self.linked_pair()
            left: list[Deferred[None]] = []
            leave = one.remote.leave
            setattr(one.receiver, report, lambda: left.append(leave()))  # noqa: B023
            self.need(one, two)
            self.network.cut(two.address)
            self.run_for(3)
            self.successResultOf(left[0])
            self.assertEqual(one.receiver.links, {})
            self.assertEqual(one.remote.links(), [])
            self.leave(one)
            self.leave(two)
            self.finish()

    def assert_leaves(self, node: LinkNode) -> None:
        """Check that a node can leave, and is not linked any more."""
        left = node.remote.leave()
        self.run_for()
        self.successResultOf(left)
        self.assertEqual(node.receiver.links, {})


class LinkContract(
    MessageContract, PressureContract, LossContract, StrangerContract, LeaveContract
):
    """All of that."""


class ImpatientContract(LinkWorld):
    """Leaving when the others do not read."""

    limits = ConnectionLimits(close=2.0)

    def test_not_read(self) -> None:
        """What cannot be written in time does not keep a node from leaving."""
        one, two = self.linked_pair()
        two.remote.pause_reading()
        one.tell(two, bytes(1 << 20))
        self.assert_leaves_in_time(one)
        self.assertEqual(one.receiver.events[-1], ("lost", two.peer))

    def test_answers_not_read(self) -> None:
        """Nor do answers."""
        one, two = self.linked_pair()
        one.ask(two, 5, b"asked")
        self.run_for()
        [(session, _)] = two.heard(one.peer)
        one.remote.pause_reading()
        two.answer(one, session, bytes(1 << 20))
        self.assert_leaves_in_time(two)

    def test_silent(self) -> None:
        """Nor does a network on which nothing passes."""
        one, two = self.linked_pair()
        for node in (one, two):
            self.network.silence(node.address)
        one.tell(two, b"into the dark")
        self.assert_leaves_in_time(one)
        for node in (one, two):
            self.network.mend(node.address)

    def assert_leaves_in_time(self, node: LinkNode) -> None:
        """Check that a node waits for the others, but not for long."""
        left = node.remote.leave()
        self.run_for(1)
        self.assertNoResult(left)
        self.run_for(2)
        self.successResultOf(left)


class RoughNetworkContract(LinkWorld):
    """The same with delays and small reads."""

    chunk = 50
    #: Sizes of the messages, one after the other.
    sizes = (1, 10, 100, 300)

    def setUp(self) -> None:
        self.delay = self.rough_delay
        super().setUp()

    def test_seeds(self) -> None:
        """Messages and answers arrive in order and once; a loss takes only the last."""
        for seed in range(20):
            self.network.random.seed(seed)
            self.course()

    def course(self) -> None:
        """Send over a link that breaks several times."""
        self.begin()
        one, two = self.node(1), self.node(2)
        sent: list[int] = []
        answered: list[int] = []
        got: list[int] = []

        def send() -> None:
            if one.is_linked(two):
                number = len(sent) + 1
                sent.append(number)
                padding = bytes(self.sizes[number % len(self.sizes)])
                one.ask(two, number, b"%d " % number + padding)

        def work() -> None:
            for session, payload in two.heard(one.peer):
                number, padding = payload.split(b" ", 1)
                got.append(int(number))
                size = self.sizes[int(number) % len(self.sizes)]
                self.assertEqual(padding, bytes(size))
                if two.is_linked(one):
                    two.answer(one, session, b"%d" % int(number))
            for session, payload in one.heard(two.peer):
                self.assertEqual(payload, b"%d" % session)
                answered.append(session)

        one.receiver.on_ready = send
        for round in range(4):
            self.need(one, two)
            for _ in range(40):
                send()
                self.run_for(self.network.random.choice((0.0, 0.05, 0.2, 0.5)))
                work()
            if round < 3:
                self.network.cut(two.address)
        for _ in range(2):
            self.run_for(20)
            work()
        self.assert_in_order(got, sent)
        self.assert_in_order(answered, sent)
        # Nothing is lost since the link was made the last time.
        self.assertEqual(got[-10:], sent[-10:])
        self.assertEqual(answered[-10:], sent[-10:])
        left = [node.remote.leave() for node in (one, two)]
        self.run_for(self.limits.close + 1)
        for done in left:
            self.successResultOf(done)
        self.nodes.clear()
        self.finish()

    def assert_in_order(self, some: Iterable[int], sent: list[int]) -> None:
        """Check that *some* are some of those that were sent, in order, each once."""
        some = list(some)
        self.assertEqual(some, sorted(set(some)))
        self.assertLessEqual(set(some), set(sent))
        self.assertGreater(len(some), 60)
