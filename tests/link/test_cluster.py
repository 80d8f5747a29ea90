"""Tests of both ends of a cluster connection."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from skynet_tw.errors import BadAddress, TooLarge
from skynet_tw.interfaces import Frame, Request
from skynet_tw.link.cluster import ClusterClient, ClusterServer
from skynet_tw.link.parts import PartLimits
from skynet_tw.message import PType
from skynet_tw.seri import pack, unpack
from skynet_tw.wire import cluster as wire
from skynet_tw.wire.cluster import (
    MAX_SESSION,
    PART_SIZE,
    Failure,
    Part,
    RequestReader,
    ResponseReader,
)

from .. import strategies as _profile  # noqa: F401, it sets hypothesis up
from ..cluster_vectors import VECTORS, bytes_of, request_parts, result_parts
from .effects import error, lines

ROOM = 1 << 30
#: Who calls.
SOURCE = 0x0100000A
SMALL = PartLimits(unfinished=2, size=100_000)

TINY = PartLimits(unfinished=2, size=20)

few = st.integers(0, 4)
data = st.binary(max_size=12)
#: What calls: good, odd and bad requests of few sessions, and their parts.
requests = st.lists(
    st.builds(wire.request, st.sampled_from([0, 10, "@echo", "@x"]), few, data)
    | st.builds(
        wire.large_request,
        st.sampled_from([10, "@echo", "@x"]),
        st.integers(1, 4),
        few | st.just(0xFFFFFFFF),
        st.booleans(),
    )
    | st.builds(wire.request_part, few, data, st.booleans())
    | st.builds(wire.trace, data)
    | st.binary(max_size=6)
).map(b"".join)
#: What answers.
responses = st.lists(
    st.builds(wire.result, few, data)
    | st.builds(wire.large_result, few, few | st.just(0xFFFFFFFF))
    | st.builds(wire.result_part, few, data, st.booleans())
    | st.builds(wire.failure, few, st.text(max_size=5))
    | st.binary(max_size=6)
).map(b"".join)


def pieces_of(data: bytes, cuts: list[int]) -> Iterator[bytes]:
    """The bytes, cut; the last piece is the rest."""
    for cut in cuts:
        yield data[:cut]
        data = data[cut:]
    yield data


def flushed(end: ClusterClient | ClusterServer, room: int = ROOM) -> bytes:
    """What an end writes."""
    return end.take(room)


def answers(server: ClusterServer) -> list[wire.ResponseRecord]:
    """What a server answers, as records."""
    return ResponseReader().feed(flushed(server))


def call(client: ClusterClient, address: int | str, body: bytes, **rest: Any) -> int:
    """Send a request of an actor whose session is that of the connection."""
    session = client.call(address, body, None, **rest)
    client.calls[session] = (SOURCE, session)
    return session


def results(frames: list[Frame]) -> dict[int, bytes]:
    """The calls that were answered, and with what."""
    return {it[2]: it[3] for it in frames if it[1] >> 24 == PType.RESPONSE}


def failures(frames: list[Frame]) -> dict[int, str]:
    """The calls that failed, and why."""
    return {it[2]: it[3].decode() for it in frames if it[1] >> 24 == PType.ERROR}


def large(session: int, body: bytes, total: int, push: bool = False) -> bytes:
    """A large request to handle 10, whatever its size and its announced size."""
    parts = b"".join(request_parts(session, body))
    return wire.large_request(10, session, total, push) + parts


class ClientTests(SynchronousTestCase):
    """Requests out, answers in."""

    def setUp(self) -> None:
        self.client = ClusterClient(SMALL)

    def test_golden(self) -> None:
        """What a real node sent in a whole session is sent byte for byte."""
        packets = []
        for entry in VECTORS["stream"]:
            # In the last two connections calls were made that nobody recorded.
            if entry.get("event") != "data" or entry["from"] != "Y" or entry["t"] > 100:
                continue
            packets.append(bytes_of(entry))
        records = RequestReader().feed(b"".join(packets))
        bodies: dict[int, bytes] = {}
        for record in records:
            if isinstance(record, Part):
                bodies[record.session] = bodies.get(record.session, b"") + record.data
        tag, sent = b"", []
        for record in records:
            if isinstance(record, tuple):
                address, session, body, push = record
            elif isinstance(record, wire.LargeRequest):
                address, session, push = record.address, record.session, record.push
                body = bodies[session]
            else:
                tag = record.tag if isinstance(record, wire.Trace) else tag
                continue
            if push:
                self.client.push(address, body, tag=tag)
            else:
                self.assertEqual(call(self.client, address, body, tag=tag), session)
            tag = b""
            sent.append(flushed(self.client))
        self.assertEqual(b"".join(sent), b"".join(packets))

    def test_recorded_answers(self) -> None:
        """What a real node answered in a whole session reaches the calls."""
        client = ClusterClient()
        for _ in range(26):
            call(client, 10, b"")
        got: list[Frame] = []
        for entry in VECTORS["stream"]:
            if entry.get("event") == "data" and entry["from"] == "X":
                got += client.feed(bytes_of(entry))
        found = results(got)
        self.assertEqual(unpack(found[1]), (10,))
        self.assertEqual(unpack(found[17]), ("fast",))
        self.assertEqual([len(found[n]) for n in (9, 10, 13)], [32768, 32769, 100005])
        self.assertLess([*found].index(17), [*found].index(16))
        self.assertEqual(set(failures(got)), {2, 5, 7, 8, 20, 21, 22})
        self.assertEqual({frame[1] & 0xFFFFFF for frame in got}, {SOURCE & 0xFFFFFF})
        # The push to a name that nobody has, and session 29, which is not ours.
        effects = client.take_effects()
        (line,) = lines(effects)
        self.assertIn("Invalid name", str(line))
        self.assertEqual(client.late, 1)
        self.assertIsNone(error(effects))

    def test_sessions(self) -> None:
        """Sessions go from 1 to 2^31-1 and begin again, past those that wait."""
        self.assertEqual([call(self.client, 1, b"") for _ in range(3)], [1, 2, 3])
        self.client.push(1, bytes(PART_SIZE))
        self.client.session = MAX_SESSION - 1
        self.assertEqual(call(self.client, 1, b""), MAX_SESSION)
        self.assertEqual(call(self.client, 1, b""), 5)
        self.client.session = MAX_SESSION
        self.client.feed(wire.result(2, b""))
        self.assertEqual(call(self.client, 1, b""), 2)
        flushed(self.client)
        self.client.session = 3
        # The push is written: nothing has its session any more.
        self.assertEqual(call(self.client, 1, b""), 4)

    def test_small_pushes_have_no_session(self) -> None:
        """A small push takes no session, a large one does."""
        self.client.push(1, b"")
        self.client.push(1, bytes(PART_SIZE))
        self.assertEqual(call(self.client, 1, b""), 2)

    def test_refused(self) -> None:
        """What cannot be written leaves nothing behind."""
        self.assertRaises(BadAddress, self.client.call, "", b"", None)
        self.assertRaises(BadAddress, self.client.push, "n" * 256, bytes(PART_SIZE))
        tag = bytes(PART_SIZE + 1)
        self.assertRaises(TooLarge, self.client.call, 1, b"", None, tag=tag)
        self.assertEqual(flushed(self.client), b"")
        self.assertEqual((self.client.end(), self.client.calls), (0, {}))

    def test_large_answers(self) -> None:
        """Parts of several answers are put together, whatever comes in between."""
        for _ in range(3):
            call(self.client, 1, b"")
        one, two = bytes(40_000), b"x" * 33_000
        first, *others = result_parts(1, one)
        data = wire.large_result(1, len(one)) + wire.large_result(2, len(two))
        data += first + wire.result(3, b"small") + b"".join(result_parts(2, two))
        got = self.client.feed(data + b"".join(others))
        expected = [(3, b"small"), (2, two), (1, one)]
        self.assertEqual([*results(got).items()], expected)
        self.assertEqual(self.client.calls, {})

    def test_nobody(self) -> None:
        """An answer to a call that nobody waits for comes to nobody."""
        self.client.call(0, b"", None)
        self.client.call(0, b"", None)
        data = wire.result(1, b"") + wire.failure(2, "name not found")
        self.assertEqual(self.client.feed(data), [])
        self.assertEqual((self.client.calls, self.client.late), ({}, 0))

    def test_wrong_answers(self) -> None:
        """An answer of a wrong length, without beginning or too large is an error."""
        part, last = wire.result_part(1, b"abc", False), wire.result_part(1, b"", True)
        for data in (
            wire.large_result(1, 4) + part + last,
            wire.large_result(1, 2) + part + last,
            part + last,
            last,
            wire.large_result(1, 100_001),
            wire.large_result(1, 3) + part + wire.failure(1, "no"),
        ):
            client = ClusterClient(SMALL)
            call(client, 1, b"")
            got = client.feed(data)
            self.assertEqual([*failures(got)], [1], data)
            self.assertEqual(len(got), 1)
            self.assertIsNone(client.half_open)
            # What comes of it later concerns nobody.
            self.assertEqual(client.feed(part + last), [])
            self.assertEqual(client.take_effects(), [])

    def test_left_unfinished(self) -> None:
        """Nothing is kept of a large answer once its call has ended in another way."""
        begun = wire.large_result(1, 100_000) + wire.result_part(1, b"abc", False)

        def cancel(client: ClusterClient) -> None:
            client.cancel(1)

        def answer(client: ClusterClient) -> None:
            client.feed(wire.result(1, b"small after all"))

        def fail(client: ClusterClient) -> None:
            client.feed(wire.failure(1, "no"))

        for end in (cancel, answer, fail, ClusterClient.lost, ClusterClient.end):
            # There is room for one only.
            client = ClusterClient(PartLimits(unfinished=1, size=100_000))
            call(client, 1, b"")
            client.feed(begun)
            flushed(client)
            end(client)
            self.assertIsNone(client.half_open)
            session = call(client, 1, b"")
            client.feed(wire.large_result(session, 100_000))
            self.assertEqual([*client.calls], [session])

    def test_late(self) -> None:
        """What nobody waits for is counted, whole or in parts, and kept nowhere."""
        session = call(self.client, 1, b"")
        flushed(self.client)
        self.assertFalse(self.client.cancel(session))
        data = wire.result(1, b"") + wire.large_result(1, 3)
        data += wire.result_part(1, b"abc", True) + wire.failure(1, "late")
        self.assertEqual(self.client.feed(data), [])
        self.assertEqual(self.client.late, 3)
        effects = self.client.take_effects()
        self.assertEqual(len(effects), len(lines(effects)))
        self.assertIsNone(self.client.half_open)

    def test_malformed(self) -> None:
        """What is no answer closes the connection, behind the answers before it."""
        call(self.client, 1, b"")
        got = self.client.feed(wire.result(1, b"x") + bytes(2) + wire.result(1, b""))
        self.assertEqual(results(got), {1: b"x"})
        effects = self.client.take_effects()
        self.assertIsNotNone(error(effects))
        self.assertEqual((len(got), len(effects)), (1, 1))

    def test_order(self) -> None:
        """Pushes and calls of one sender keep their order, also around large ones."""
        big = bytes(3 * PART_SIZE)
        self.client.push("@x", b"1", lane=7)
        call(self.client, "@x", big, lane=7)
        self.client.push("@x", b"3", lane=7)
        call(self.client, "@x", b"4", lane=7)
        self.client.push("@x", b"other", lane=8)
        server = ClusterServer()
        first = flushed(self.client, 1)
        bodies = [it[2] for it in server.feed(first)]
        self.assertEqual(bodies, [b"1", b"other"])
        self.assertTrue(self.client.busy)
        bodies = [it[2] for it in server.feed(flushed(self.client))]
        self.assertEqual(bodies, [big, b"3", b"4"])
        self.assertFalse(self.client.busy)

    def test_cancelled_before_it_is_written(self) -> None:
        """A large request that is ended early does not run."""
        session = call(self.client, "@x", bytes(3 * PART_SIZE))
        server = ClusterServer()
        server.feed(flushed(self.client, 1))
        self.assertTrue(self.client.cancel(session))
        self.assertEqual(server.feed(flushed(self.client)), [])
        self.assertIsNone(server.half_open)
        (answer,) = answers(server)
        self.assertIsInstance(answer, Failure)

    def test_held(self) -> None:
        """A call that large messages hold up says when it is wholly written."""
        small = call(self.client, "@x", b"small", lane=1)
        big = call(self.client, "@x", bytes(3 * PART_SIZE), lane=1)
        held = call(self.client, "@x", b"held", lane=1)
        self.client.push("@x", b"push", lane=1)
        holds = [self.client.holds(session) for session in (small, big, held)]
        self.assertEqual(holds, [False, True, True])
        flushed(self.client, 1)
        self.assertEqual(self.client.sent(), [])
        flushed(self.client)
        self.assertEqual(self.client.sent(), [(SOURCE, big), (SOURCE, held)])
        self.assertFalse(self.client.holds(held))
        self.assertEqual((flushed(self.client), self.client.sent()), (b"", []))

    def test_lost(self) -> None:
        """Written calls are forgotten, the others go to the next connection."""
        small = call(self.client, "@x", b"small", lane=1)
        big = call(self.client, "@x", bytes(3 * PART_SIZE), lane=1)
        held = call(self.client, "@x", b"held", lane=1)
        self.client.push("@x", b"push", lane=1)
        flushed(self.client, 1)
        self.client.feed(wire.large_result(small, 9)[:5])
        self.client.lost()
        self.assertNotIn(small, self.client.calls)
        self.assertEqual({*self.client.calls}, {big, held})
        self.assertIsNone(self.client.half_open)
        server = ClusterServer()
        asked = server.feed(flushed(self.client))
        self.assertEqual([it[1] for it in asked], [big, held, 0])
        self.client.lost()
        self.assertEqual(self.client.calls, {})

    def test_end(self) -> None:
        """In the end all is forgotten; of pushes it is told how many are lost."""
        call(self.client, "@x", b"small", lane=1)
        call(self.client, "@x", bytes(3 * PART_SIZE), lane=1)
        call(self.client, "@x", b"held", lane=1)
        self.client.push("@x", b"held as well", lane=1)
        flushed(self.client, 1)
        self.assertEqual(self.client.end(), 1)
        self.assertEqual(self.client.calls, {})
        self.assertEqual((self.client.end(), flushed(self.client)), (0, b""))

    def test_half_open(self) -> None:
        """An answer that stalls is one whose number does not grow."""
        self.assertIsNone(self.client.half_open)
        call(self.client, 1, b"")
        self.client.feed(wire.large_result(1, 2))
        before = self.client.half_open
        assert before is not None
        self.client.feed(wire.result_part(1, b"a", False))
        after = self.client.half_open
        assert after is not None
        self.assertGreater(after, before)
        self.client.feed(wire.result_part(1, b"a", True))
        self.assertIsNone(self.client.half_open)

    @given(responses, st.lists(st.integers(1, 40)))
    def test_any_bytes(self, data: bytes, cuts: list[int]) -> None:
        """Strangers' answers raise nothing, and mean the same however they come.

        No call has more than one outcome.
        """
        whole, pieces = ClusterClient(TINY), ClusterClient(TINY)
        for client in (whole, pieces):
            for _ in range(3):
                call(client, 1, b"")
        got: list[Frame] = []
        for piece in pieces_of(data, cuts):
            got += pieces.feed(piece)
        self.assertEqual(got, whole.feed(data))
        told = [*map(repr, pieces.take_effects())]
        # One that is closed may be told so again, whatever it is fed.
        expected = [*map(repr, whole.take_effects())]
        self.assertEqual(told[: len(expected)], expected)
        self.assertEqual(pieces.late, whole.late)
        self.assertEqual(len(got), len({frame[2] for frame in got}))


class ServerTests(SynchronousTestCase):
    """Requests in, answers out."""

    def setUp(self) -> None:
        self.server = ClusterServer(SMALL)

    def test_edge(self) -> None:
        """All that a real node was asked is answered, or ignored, as it did it.

        Of errors only the session is the same: their texts are for people.
        """
        server = ClusterServer()
        for case in VECTORS["edge"]:
            expected = list(_answers_of(case))
            for request in server.feed(bytes_of(case)):
                _echo(server, request)
            got = answers(server)
            if case["name"] in ANSWERED_BY_US:
                self.assertEqual((len(got), expected), (1, []), case["name"])
                continue
            if case["name"] in OF_THE_ACTOR:
                continue
            self.assertEqual(_comparable(got), _comparable(expected), case["name"])
        self.assertEqual(server.malformed, 5)
        self.assertIsNone(server.half_open)

    def test_answers_in_order_of_completion(self) -> None:
        """Small answers overtake a large one; each is complete."""
        body = b"y" * 100_000
        self.server.answer(1, body)
        first = flushed(self.server, 1)
        self.assertTrue(self.server.busy)
        self.server.answer(2, b"two")
        self.server.fail(3, "three")
        records = ResponseReader().feed(first + flushed(self.server))
        small = [it for it in records if isinstance(it, tuple | Failure)]
        self.assertEqual(small, [(2, b"two"), Failure(3, "three")])
        self.assertEqual([records.index(it) for it in small], [2, 3])
        parts = [it.data for it in records if isinstance(it, Part)]
        self.assertEqual(b"".join(parts), body)

    def test_one_session_twice(self) -> None:
        """Two answers of one session come one after the other, not mixed."""
        data = wire.request(10, 5, b"a") + wire.request(10, 5, b"b")
        self.assertEqual(len(self.server.feed(data)), 2)
        self.server.answer(5, b"a" * 40_000)
        self.server.answer(5, b"b" * 40_000)
        self.server.answer(5, b"c")
        client = ClusterClient()
        got = []
        for record in answers(self.server):
            if isinstance(record, Part):
                got.append(record.data[:1])
            elif isinstance(record, tuple):
                got.append(record[1])
        self.assertEqual(got, [b"a", b"a", b"b", b"b", b"c"])
        self.assertEqual(client.late, 0)

    def test_tags(self) -> None:
        """Tags are passed over: what they trace is as without them."""
        body = bytes(PART_SIZE)
        data = wire.trace(b"t1") + wire.request(10, 0, b"") + wire.request(10, 1, b"")
        data += wire.trace(b"t2") + large(2, body, len(body)) + wire.request(10, 3, b"")
        self.assertEqual([it[1] for it in self.server.feed(data)], [0, 1, 2, 3])
        self.assertEqual(self.server.malformed, 0)

    def test_large_push(self) -> None:
        """A large push is one, though it has a session."""
        body = bytes(PART_SIZE + 1)
        asked = self.server.feed(large(4, body, len(body), push=True))
        self.assertEqual(asked, [(10, 4, body, True)])

    def test_too_large(self) -> None:
        """What is too large is refused once, when its last part has come."""
        with self.subTest("announced"):
            self.assertEqual(self.server.feed(large(4, bytes(70_000), 100_001)), [])
            effects = self.server.take_effects()
            self.assertEqual(len(lines(effects)), len(effects))
            (answer,) = answers(self.server)
            assert isinstance(answer, Failure)
            self.assertIn("100001", answer.text)
        with self.subTest("not announced"):
            self.assertEqual(self.server.feed(large(4, bytes(70_000), 10)), [])
            (answer,) = answers(self.server)
            assert isinstance(answer, Failure)
        self.assertIsNone(self.server.half_open)

    def test_too_many(self) -> None:
        """Beyond the limit of unfinished requests nothing is kept, small ones pass."""
        begin = b"".join(wire.large_request(10, n, 40_000) for n in range(1, 4))
        self.assertEqual(self.server.feed(begin), [])
        self.assertEqual(len(lines(self.server.take_effects())), 1)
        self.assertEqual(len(self.server.feed(wire.request(10, 9, b""))), 1)
        self.server.feed(wire.request_part(3, bytes(10), True))
        (answer,) = answers(self.server)
        assert isinstance(answer, Failure)
        self.assertEqual(answer.session, 3)

    def test_malformed(self) -> None:
        """What is no request is told once for a connection, and the rest is read."""
        got = self.server.feed(bytes(4) + b"\0\1\x07" + wire.request(10, 1, b""))
        effects = self.server.take_effects()
        self.assertEqual((len(lines(effects)), len(got)), (1, 1))
        self.assertEqual(self.server.malformed, 3)
        self.assertIsNone(error(effects))

    def test_half_open(self) -> None:
        """A large request that stalls is one whose number does not grow."""
        self.assertIsNone(self.server.half_open)
        self.server.feed(wire.large_request(10, 1, 2))
        before = self.server.half_open
        assert before is not None
        self.server.feed(wire.request_part(1, b"a", False))
        after = self.server.half_open
        assert after is not None
        self.assertGreater(after, before)
        self.server.feed(wire.request_part(1, b"a", True))
        self.assertIsNone(self.server.half_open)

    @given(requests, st.lists(st.integers(1, 40)))
    def test_any_bytes(self, data: bytes, cuts: list[int]) -> None:
        """Strangers' requests raise nothing, and mean the same however they come."""
        whole = ClusterServer(TINY)
        expected = whole.feed(data)
        server = ClusterServer(TINY)
        got: list[Request] = []
        for piece in pieces_of(data, cuts):
            got += server.feed(piece)
        self.assertEqual(got, expected)
        effects = server.take_effects()
        self.assertEqual(effects, whole.take_effects())
        self.assertIsNone(error(effects))
        self.assertEqual(server.malformed, whole.malformed)
        self.assertEqual(answers(server), answers(whole))


#: Where a real node never answers, and ours says why.
ANSWERED_BY_US = {
    "query with a table instead of a string",
    "query with an empty body",
    "request by an empty name",
}
#: What came depends on the actor, which sleeps or exits.
OF_THE_ACTOR = {
    "session used twice at the same time",
    "request whose service exits meanwhile",
    "request to the dead service by name",
}


def _answers_of(case: dict[str, Any]) -> Iterator[wire.ResponseRecord]:
    reader = ResponseReader()
    for answer in case["answers"]:
        yield from reader.feed(bytes_of(answer))


def _comparable(records: list[wire.ResponseRecord]) -> list[Any]:
    """Records by their sessions, each in its order, without the texts of errors."""

    def session(record: Any) -> int:
        return record[0] if isinstance(record, tuple) else record.session

    return [
        (session(it), "failed") if isinstance(it, Failure) else it
        for it in sorted(records, key=session)
    ]


def _echo(server: ClusterServer, asked: Request) -> None:
    """The actor that the real node had: it returns what comes behind ECHO."""
    address, session, body, push = asked
    if address == 0 and body == pack("echo"):
        server.answer(session, pack(10))
        return
    if address in (0, "@nope", "@"):
        server.fail(session, "nobody has the name")
        return
    known = address in (10, "10", ":0000000a", ".loc", "@echo")
    if push or address == "ECHO" or body == b"\x07\x07":
        return
    name, *values = unpack(body) or (None,)
    if known and name == "ECHO":
        server.answer(session, pack(*values))
    else:
        server.fail(session, "the call failed")


sizes = st.integers(0, 100) | st.integers(PART_SIZE - 1, 2 * PART_SIZE + 1)


class BackToBackTests(SynchronousTestCase):
    """Both ends together."""

    @given(
        st.lists(st.tuples(st.integers(0, 2), sizes, st.booleans()), max_size=12),
        st.lists(st.integers(1, 3 * PART_SIZE), min_size=1, max_size=9),
    )
    def test_any(self, sent: list[tuple[int, int, bool]], rooms: list[int]) -> None:
        """All arrives once, in order for each sender, and each call has its answer."""
        client, server = ClusterClient(), ClusterServer()
        calls: dict[int, bytes] = {}
        expected: dict[int, list[bytes]] = {}
        for number, (lane, size, push) in enumerate(sent):
            body = bytes([lane, number]) + bytes(size)
            expected.setdefault(lane, []).append(body)
            if push:
                client.push(10, body, lane=lane)
            else:
                calls[call(client, 10, body, lane=lane)] = body
        arrived: dict[int, list[bytes]] = {}
        got: dict[int, bytes] = {}
        turn = 0
        while client.busy or server.busy or turn <= len(sent):
            room = rooms[turn % len(rooms)]
            turn += 1
            for _, session, body, push in server.feed(flushed(client, room)):
                arrived.setdefault(body[0], []).append(body)
                if not push:
                    server.answer(session, body)
            answered = results(client.feed(flushed(server, room)))
            self.assertFalse(got.keys() & answered.keys())
            got.update(answered)
        self.assertEqual(arrived, expected)
        self.assertEqual(got, calls)
        self.assertEqual(
            (client.late, client.half_open, server.half_open), (0,) + 2 * (None,)
        )
