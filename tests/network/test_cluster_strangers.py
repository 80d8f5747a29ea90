"""Strangers at a node's cluster port, and nodes of a cluster that answer nonsense.

Whatever they say, the node lives, its other links go on, each request is answered at
most once, what is kept of them has a bound, and the books balance.
``SKYNET_TW_EXAMPLES`` says how many courses of events are drawn.
"""

from __future__ import annotations

import os
import tracemalloc
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import chain
from struct import pack as number
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from skynet_tw import Actor, SkynetError, command
from skynet_tw.net.kit.limits import ConnectionLimits
from skynet_tw.seri import pack
from skynet_tw.testing import MemoryNetwork, MemoryNodes
from skynet_tw.testing.invariants import check_books, check_bounds, check_idle
from skynet_tw.wire import cluster as wire

from .. import strategies as _profile  # noqa: F401, it sets hypothesis up
from ..net.linkworld import Stranger

EXAMPLES = int(os.environ.get("SKYNET_TW_EXAMPLES", "200"))

SERVER = "server:7000"
EVIL = "evil:7000"

#: How many strangers speak in turns.
STRANGERS = 3


class Deliberate(Exception):
    """What a handler raises."""


class Service(Actor):
    """Answers in each of the ways in which actors do, or never."""

    async def started(self) -> None:
        self.handled = 0
        await self.cluster.register("service")

    @command
    def ECHO(self, *values: Any) -> tuple[Any, ...]:
        self.handled += 1
        return values

    @command
    async def LATER(self, *values: Any) -> tuple[Any, ...]:
        self.handled += 1
        await self.sleep(0.05)
        return values

    @command
    def LARGE(self, size: int) -> str:
        self.handled += 1
        return "x" * size

    @command
    def FAIL(self) -> None:
        self.handled += 1
        raise Deliberate

    @command
    async def HANG(self) -> None:
        self.handled += 1
        await Deferred()


def packet(kind: int, *parts: bytes) -> bytes:
    """A packet behind its length."""
    body = bytes([kind]) + b"".join(parts)
    return number(">H", len(body)) + body


def u32(value: int) -> bytes:
    """A number as it stands inside of a packet."""
    return number("<I", value)


def target(address: int | str) -> tuple[int, bytes]:
    """What an address, of any text, adds to a kind, and what stands behind that."""
    if isinstance(address, int):
        return 0, u32(address)
    name = address.encode()
    return 0x80, bytes([len(name)]) + name


def request(address: int | str, session: int, body: bytes) -> bytes:
    """A small request."""
    kind, behind = target(address)
    return packet(kind, behind, u32(session), body)


def large(address: int | str, session: int, total: int, push: bool) -> bytes:
    """The beginning of a large request, with any total."""
    kind, behind = target(address)
    return packet(kind | (0x41 if push else 1), behind, u32(session), u32(total))


def part(session: int, data: bytes, last: bool) -> bytes:
    """A part of a large request, or the last one."""
    return packet(3 if last else 2, u32(session), data)


BODIES = [
    pack("ECHO", 1, "hello"),
    pack("LATER", 2),
    pack("LARGE", 10),
    pack("LARGE", 70_000),
    pack("FAIL"),
    pack("HANG"),
    pack("NEVER HEARD OF"),
    pack("ECHO", "x" * 20_000),
    b"",
]

#: Addresses that mean something, or nothing.
NUMBERS = [0, 1, 7, 0xFFFFFFFF]
NAMES = ["", "@", "@x", ".launcher", ":00000007", ":x", "X", "n" * 255, "12345678901"]

sessions = st.integers(0, 4) | st.just(0xFFFFFFFF)
#: Many to one of the actor, so that some of what is said is good.
addresses: st.SearchStrategy[int | str] = st.just("@service") | st.sampled_from(
    [*NUMBERS, *NAMES]
)
bodies = st.sampled_from(BODIES) | st.binary(max_size=20)
totals = st.integers(0, 40) | st.sampled_from([0x8000, 1 << 20, 1 << 30, 0xFFFFFFFF])
#: What one who connects may say: one packet, good or bad, or bytes of no kind.
sayings = (
    st.builds(request, addresses, sessions, bodies)
    | st.builds(large, addresses, sessions, totals, st.booleans())
    | st.builds(part, sessions, bodies, st.booleans())
    | st.builds(packet, st.just(4), st.binary(max_size=8))
    | st.builds(packet, st.integers(0, 255), st.binary(max_size=16))
    | st.just(b"\0\0")
    | st.binary(max_size=8)
)


@st.composite
def whole_large(draw: st.DrawFn) -> bytes:
    """A large request with all its parts, whose total may be wrong."""
    body = draw(st.sampled_from(BODIES))
    session = draw(sessions)
    wrong = draw(st.sampled_from([0, 0, 0, 1, -1, 1000]))
    total = max(len(body) + wrong, 0)
    pieces = [large(draw(addresses), session, total, draw(st.booleans()))]
    cut = draw(st.integers(0, len(body)))
    pieces.append(part(session, body[:cut], False))
    pieces.append(part(session, body[cut:], True))
    return b"".join(pieces)


#: Who of the strangers says what, how much of it at once, and what happens then.
steps = st.tuples(
    st.integers(0, STRANGERS - 1),
    sayings | whole_large(),
    st.integers(0, 40),
    st.sampled_from(["", "", "", "run", "close", "cut"]),
)


def asked_of(said: bytes) -> Counter[int]:
    """How many answers each session may get at most: one for each request."""
    counts: Counter[int] = Counter()
    for record in wire.RequestReader().feed(said):
        if isinstance(record, tuple):
            counts[record[1]] += 1
        elif isinstance(record, wire.Part) and record.last:
            counts[record.session] += 1
    return counts


class Teller(Stranger):
    """One who connects, and remembers what was said."""

    def __init__(self) -> None:
        super().__init__()
        self.said = b""

    def say(self, data: bytes) -> None:
        self.said += data
        super().say(data)

    def leave(self, how: str) -> None:
        """Close the connection, or ``cut`` it."""
        transport: Any = self.transport
        if how == "cut":
            transport.abortConnection()
        else:
            transport.loseConnection()

    def answered(self) -> Counter[int]:
        """How many answers each session got; all that came are good ones.

        :raises AssertionError: there is something else among them.
        """
        reader = wire.ResponseReader()
        counts: Counter[int] = Counter()
        for record in reader.feed(self.heard):
            if isinstance(record, tuple):
                counts[record[0]] += 1
            elif isinstance(record, wire.Failure) or (
                isinstance(record, wire.Part) and record.last
            ):
                counts[record.session] += 1
        assert reader.error is None, reader.error
        return counts


class ClusterCase(SynchronousTestCase):
    """A node with a cluster port, and another one that calls it all the time."""

    connections = ConnectionLimits()

    @contextmanager
    def world(self, chunk: int = 0) -> Iterator[None]:
        """Start both, and stop them in the end."""
        network = MemoryNetwork(Clock(), seed=3, chunk=chunk)
        self.nodes = MemoryNodes(network)
        self.server = self.nodes.start(
            0,
            actors=[Service],
            cluster_listen=[SERVER],
            connections=self.connections,
        )
        table = {"server": SERVER, "evil": EVIL}
        self.friend = self.nodes.start(0, cluster_nodes=table, call_timeout=5)
        self.caller = self.friend.node.client()
        self.nodes.ready()
        self.service = self.nodes.actor(self.server, Service)
        self.assert_well()
        self.linked_at = self.link_made_at()
        try:
            yield
        finally:
            self.nodes.stop()
            self.flushLoggedErrors(Deliberate)

    def link_made_at(self) -> float:
        """When the other node's link to this one was made."""
        [since] = (
            link.seconds
            for link in self.friend.cluster.links()
            if link.peer == "server"
        )
        return round(self.nodes.clock.seconds() - since, 3)

    def assert_undisturbed(self) -> None:
        """All is well, and the link of the other node is still the same."""
        self.assert_well()
        self.assertEqual(self.link_made_at(), self.linked_at, "the link was cut")

    def assert_well(self) -> None:
        """A call is answered, the books balance, and no queue is too long."""
        answer = self.nodes.result(
            self.caller.cluster.call("server", "@service", "ECHO", 7)
        )
        self.assertEqual(answer, 7)
        for service in (self.server, self.friend):
            check_books(service.node)
            check_bounds(service.node)

    def stranger(self) -> Teller:
        """Somebody connects to the node's cluster port."""
        connected = self.nodes.network.client(SERVER).connect(
            Factory.forProtocol(Teller)
        )
        teller = self.nodes.result(connected)
        assert isinstance(teller, Teller)
        return teller


class PortTests(ClusterCase):
    """Strangers at the port."""

    def test_sayings(self) -> None:
        """Whatever is said, in whatever pieces: at most one answer for each request."""

        @settings(max_examples=EXAMPLES)
        @given(st.lists(steps, max_size=30))
        def course(events: list[tuple[int, bytes, int, str]]) -> None:
            places = [self.stranger() for _ in range(STRANGERS)]
            everybody = list(places)
            handled = self.service.handled
            for who, said, cut, then in events:
                teller = places[who]
                teller.say(said[:cut])
                if then == "run":
                    self.nodes.run(0.1)
                teller.say(said[cut:])
                if then in ("close", "cut"):
                    teller.leave(then)
                    places[who] = self.stranger()
                    everybody.append(places[who])
            self.nodes.run(0.2)
            may = 0
            for teller in everybody:
                asked, answered = asked_of(teller.said), teller.answered()
                may += sum(asked.values())
                self.assertEqual(answered - asked, Counter(), "an answer too many")
            self.assertLessEqual(self.service.handled - handled, may)
            for teller in places:
                teller.leave("close")
            self.assert_undisturbed()

        for chunk in (0, 7):
            with self.world(chunk):
                course()
                self.nodes.run(1.0)
                self.assertEqual(self.nodes.network.connections(SERVER), 1)

    def kept_of(self, sayings: Iterable[bytes], teller: Teller | None = None) -> int:
        """How many bytes the node keeps of what a stranger says.

        Nothing of it is remembered here.
        """
        teller = teller or self.stranger()
        tracemalloc.start()
        try:
            before, _ = tracemalloc.get_traced_memory()
            for said in sayings:
                Stranger.say(teller, said)
                self.nodes.run(0.01)
            after, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        return after - before

    def test_unfinished(self) -> None:
        """Thousands of large messages that never end keep no more than some of them."""

        def begun(session: int) -> bytes:
            total = (20_001, 0xFFFFFFFF)[session % 2]
            first = large("@service", session, total, session % 5 == 0)
            return first + part(session, bytes(20_000), False)

        with self.world():
            kept = self.kept_of(map(begun, range(1, 5001)))
            # All of them would be a hundred million bytes.
            self.assertLess(kept, 20_000_000)
            self.assert_undisturbed()

    def test_unfinished_bytes(self) -> None:
        """A few that are huge keep no more than the limit of all that they announce."""
        sessions = range(1, 41)
        beginnings = (large("@service", n, 4 << 20, False) for n in sessions)
        parts = (part(n, bytes(50_000), False) for _ in range(20) for n in sessions)
        with self.world():
            kept = self.kept_of(chain(beginnings, parts))
            # A million bytes of each of the 16 that 64 MiB have room for.
            self.assertLess(kept, 25_000_000)
            self.assert_undisturbed()

    def test_wrong_totals(self) -> None:
        """A large message that is shorter or longer than it said runs nothing."""
        body = pack("ECHO", "x" * 40_000)
        with self.world():
            teller, handled = self.stranger(), self.service.handled
            for session, wrong in enumerate((-1, 1, -40_000, 1 << 20), 1):
                teller.say(large("@service", session, len(body) + wrong, False))
                teller.say(part(session, body[:20_000], False))
                teller.say(part(session, body[20_000:], True))
            self.nodes.run(0.2)
            self.assertEqual(self.service.handled, handled)
            answers = wire.ResponseReader().feed(teller.heard)
            self.assertEqual([type(it) for it in answers], [wire.Failure] * 4)
            self.assert_undisturbed()

    def test_ends_without_beginnings(self) -> None:
        """Last parts that belong to nothing are answered with an error, each once."""
        with self.world():
            teller = self.stranger()
            for session in range(1, 1001):
                teller.say(part(session, b"", True))
            self.nodes.run(0.2)
            self.assertEqual(teller.answered(), asked_of(teller.said))
            self.assertEqual(self.service.handled, 1)
            self.assert_undisturbed()

    def test_half_a_packet(self) -> None:
        """Half a packet that stands still ends its connection, and no other one."""
        with self.world():
            teller, idle = self.stranger(), self.stranger()
            teller.say(request("@service", 1, pack("ECHO"))[:5])
            self.nodes.run(self.connections.stall * 2, 0.1)
            self.assertIsNotNone(teller.lost)
            self.assertIsNone(idle.lost)
            self.assert_undisturbed()

    def test_does_not_read(self) -> None:
        """Who asks for much and reads nothing costs a bounded number of bytes."""
        with self.world():
            teller = self.stranger()
            transport: Any = teller.transport
            transport.pauseProducing()
            asked = (
                request("@service", session, pack("LARGE", 100_000))
                for session in range(1, 2001)
            )
            self.assertLess(self.kept_of(asked, teller), 80 << 20)
            self.assert_undisturbed()


class CrowdTests(ClusterCase):
    """More connections than a port takes."""

    connections = ConnectionLimits(clients=16)

    def test_a_thousand(self) -> None:
        """Those beyond the limit are closed at once; one that ends makes room.

        All have said something: who has not makes room for who comes.
        """
        with self.world():
            crowd = []
            for _ in range(1000):
                crowd.append(self.stranger())
                # Who says nothing would make room for others.
                crowd[-1].say(request("@service", 1, pack("ECHO", 1)))
                self.nodes.run(0.02)
            inside = [teller for teller in crowd if teller.lost is None]
            self.assertEqual(len(inside), 15)
            self.assertEqual(inside, crowd[:15])
            self.assert_undisturbed()
            inside[0].leave("close")
            self.nodes.run(0.1)
            late = self.stranger()
            late.say(request("@service", 1, pack("ECHO", 1)))
            self.nodes.run(0.1)
            self.assertEqual(late.answered(), Counter([1]))
            self.assert_undisturbed()


#: What an evil node answers: one packet, good or bad; a number chooses the request.
answers = st.sampled_from([pack(7), pack("x"), b"", b"\xff", b"x" * 100])
replies = st.tuples(
    st.sampled_from(["result", "failure", "begin", "part", "last", "kind", "noise"]),
    st.integers(0, 5),
    answers,
    st.sampled_from([0, 1, 100, 1 << 30, 0xFFFFFFFF]),
)


def reply(kind: str, session: int, body: bytes, total: int) -> bytes:
    """One answer of an evil node."""
    if kind == "result":
        return wire.result(session, body)
    if kind == "failure":
        return wire.failure(session, "no")
    if kind == "begin":
        return wire.large_result(session, total)
    if kind in ("part", "last"):
        return wire.result_part(session, body, kind == "last")
    if kind == "kind":
        return number(">HIB", 5 + len(body), session, 9) + body
    return body


class AnswerTests(ClusterCase):
    """A node of the cluster that answers what it likes."""

    def listen(self) -> list[Teller]:
        """Let tellers listen where an evil node is; those who came are in the list."""
        came: list[Teller] = []

        class Listening(Teller):
            def connectionMade(self) -> None:
                came.append(self)

        listening = self.nodes.network.server(EVIL).listen(
            Factory.forProtocol(Listening)
        )
        self.successResultOf(listening)
        return came

    def test_replies(self) -> None:
        """Each call ends once: by an answer that was sent, or by a failure."""
        works = st.lists(
            st.sampled_from(["call", "large", "push", "query"]), max_size=5
        )

        @settings(max_examples=EXAMPLES)
        @given(works, st.lists(replies, max_size=12), st.sampled_from(["", "cut"]))
        def course(
            work: list[str], said: list[tuple[str, int, bytes, int]], then: str
        ) -> None:
            cluster = self.caller.cluster
            ends: list[list[object]] = []
            for what in work:
                if what == "push":
                    cluster.send("evil", "@service", "ECHO")
                    continue
                if what == "query":
                    waiting = cluster.query("evil", "service")
                else:
                    padding = "x" * (50_000 if what == "large" else 5)
                    waiting = cluster.call(
                        "evil", "@service", "ECHO", padding, timeout=2
                    )
                ends.append([])
                waiting.addBoth(ends[-1].append)
            self.nodes.run(0.1)
            if came:
                sessions = sorted(asked_of(came[-1].heard)) or [0]
                for kind, chosen, body, total in said:
                    # One beyond the list is a session that nobody waits for.
                    some = (*sessions[-5:], 0x7FFFFFFF)
                    came[-1].say(reply(kind, some[chosen % len(some)], body, total))
                self.nodes.run(0.1)
                if then:
                    came[-1].leave(then)
            self.nodes.run(40.0, 0.1)
            for end in ends:
                self.assertEqual(len(end), 1, "a call has one end")
                if isinstance(end[0], Failure):
                    self.assertIsInstance(end[0].value, SkynetError)
                    end[0].cleanFailure()
            check_idle(self.friend.node)
            self.assert_undisturbed()
            self.assertLessEqual(self.nodes.network.connections(EVIL), 1)

        for chunk in (0, 7):
            with self.world(chunk):
                came = self.listen()
                course()
