"""Tests of the packets of the cluster protocol."""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from skynet_tw.errors import BadAddress, ProtocolError, TooLarge
from skynet_tw.wire import cluster
from skynet_tw.wire.cluster import (
    Failure,
    LargeRequest,
    LargeResult,
    Malformed,
    Part,
    RequestReader,
    ResponseReader,
    Trace,
)

from .. import strategies as _profile  # noqa: F401, it sets hypothesis up
from ..cluster_vectors import (
    VECTORS,
    bytes_of,
    packed,
    parts_of,
    request_parts,
    result_parts,
)

# Recorded (cluster.json, stream): a query, a call, a push to a name, and their answers.
QUERY = bytes.fromhex("000e000000000001000000246563686f")
CALL = bytes.fromhex("0016000a00000003000000244543484f0a012c68656c6c6f")
PUSH = bytes.fromhex("00178005406563686f00000000244543484f34707573682032")
TAG = bytes.fromhex("001b0428766d32373530392d64622d3139293a30303030303030382d31")
REQUESTS = [
    (0, 1, b"$echo", False),
    (10, 3, bytes.fromhex("244543484f0a012c68656c6c6f"), False),
    ("@echo", 0, bytes.fromhex("244543484f34707573682032"), True),
    Trace(b"(vm27509-db-19):00000008-1"),
]
ANSWER = bytes.fromhex("000d03000000010a012c68656c6c6f")
ERROR = bytes.fromhex("001302000000006e616d65206e6f7420666f756e64")
ANSWERS = [
    (3, bytes.fromhex("0a012c68656c6c6f")),
    Failure(2, "name not found"),
]

NO_REQUESTS = [
    *("", "00", "0001020304050607", "010100000002000000000001", "05", "80", "ff"),
    *("0101000000020000000000010078", "02010000", "8003616263010000", "82616263"),
]
NO_ANSWERS = [
    *("", "01000000", "0100000002", "0100000002000001"),
    *("01000000020000010078", "010000000578", "01000000ff"),
]


def packet(hexadecimal: str) -> bytes:
    """Bytes behind their length."""
    body = bytes.fromhex(hexadecimal)
    return len(body).to_bytes(2, "big") + body


class GoldenTests(SynchronousTestCase):
    """The bytes are those of real nodes, both ways."""

    def test_requests(self) -> None:
        """Requests and pushes are packed as real nodes pack them, or refused alike."""
        seen = 0
        for case in packed("packrequest", "packpush"):
            address: Any = case.get("address", case.get("address_name"))
            if case.get("address_type") == "boolean" or isinstance(address, float):
                continue  # the type checker refuses them
            if isinstance(address, str):
                # The vectors write bytes as characters.
                address = address.encode("latin-1").decode("utf-8", "surrogateescape")
            seen += 1
            push = case["fn"] == "packpush"
            body, session = bytes_of(case, "payload_hex"), case["session"]
            if "error" in case:
                kind = BadAddress if "name" in case["error"] else ValueError
                with self.assertRaises(kind):
                    # A small push carries no session, so that its own is not looked at.
                    cluster.request(address, session, body)
                    cluster.large_request(address, session, 0x8000, push)
                continue
            if len(body) <= cluster.MAX_SMALL_REQUEST:
                first = cluster.request(address, 0 if push else session, body)
                self.assertEqual(parts_of(case), [])
            else:
                first = cluster.large_request(address, session, len(body), push)
                made = list(request_parts(session, body))
                self.assertEqual(made, parts_of(case))
            self.assertEqual(first, bytes_of(case))
        self.assertGreater(seen, 80)

    def test_responses(self) -> None:
        """Results and errors are packed as real nodes pack them."""
        for case in packed("packresponse"):
            session, body = case["session"], bytes_of(case, "payload_hex")
            if not case["ok"]:
                made = [cluster.failure(session, body.decode())]
            elif len(body) <= cluster.MAX_SMALL_RESULT:
                made = [cluster.result(session, body)]
            else:
                made = [cluster.large_result(session, len(body))]
                made += result_parts(session, body)
            expected = parts_of(case) or [bytes_of(case)]
            self.assertEqual(made, expected)

    def test_tags(self) -> None:
        """Trace tags are packed as real nodes pack them, or refused as too long."""
        for case in packed("packtrace"):
            tag = bytes_of(case, "tag_hex")
            if "error" in case:
                self.assertRaises(TooLarge, cluster.trace, tag)
            else:
                self.assertEqual(cluster.trace(tag), bytes_of(case))

    def test_what_real_nodes_read(self) -> None:
        """Each packet is read, or found malformed, as a real node does it."""
        for case in packed("unpackrequest"):
            record = cluster.decode_request(bytes_of(case))
            if "error" in case:
                self.assertIsInstance(record, Malformed, case)
            else:
                self.assertEqual(_request_as_lua(record), case["result"])
        for case in packed("unpackresponse"):
            data = bytes_of(case)
            if case["result"]:
                response = cluster.decode_response(data)
                self.assertEqual(_response_as_lua(response), case["result"])
            else:
                self.assertRaises(ProtocolError, cluster.decode_response, data)

    def test_recorded(self) -> None:
        """All that two real nodes said is read, and nothing of it is malformed."""
        readers: dict[tuple[int, str], Any] = {}
        for entry in VECTORS["stream"]:
            if entry.get("event") != "data":
                continue
            key = entry["conn"], entry["from"]
            made = RequestReader() if entry["from"] == "Y" else ResponseReader()
            reader = readers.setdefault(key, made)
            (record,) = reader.feed(bytes_of(entry))
            self.assertNotIsInstance(record, Malformed)
            self.assertIsNone(reader.error)
            self.assertFalse(reader.rest.kept)


def _flag(value: bool) -> str:
    return f"boolean:{value}".lower()


def _address(value: int | str) -> str:
    if isinstance(value, int):
        return f"number:{value}"
    return "string:" + value.encode("utf-8", "surrogateescape").hex()


def _request_as_lua(record: Any) -> list[str]:
    """A request as the vectors write what a real node's function returned."""
    match record:
        case (to, session, data, _):
            push = [] if session else ["nil:nil", "boolean:true"]
            head = [_address(to), f"number:{session}"]
            return [*head, f"msg:{data.hex()}", f"number:{len(data)}", *push]
        case LargeRequest(to, session, total, large_push):
            head = [_address(to), f"number:{session}", "nil:nil", f"number:{total}"]
            return [*head, "boolean:true", _flag(large_push)]
        case Part(session, data, last):
            head = ["boolean:false", f"number:{session}", f"msg:{data.hex()}"]
            return [*head, f"number:{len(data)}", _flag(not last)]
        case Trace(tag):
            return [f"string:{tag.hex()}"]
    raise AssertionError(record)


def _response_as_lua(record: Any) -> list[str]:
    """An answer as the vectors write what a real node's function returned."""
    session = record[0] if isinstance(record, tuple) else record.session
    head = [f"number:{session}", _flag(not isinstance(record, Failure))]
    match record:
        case (_, data):
            return [*head, f"string:{data.hex()}"]
        case Failure(_, text):
            return [*head, f"string:{text.encode().hex()}"]
        case LargeResult(_, total):
            return [*head, f"number:{total}", "boolean:true"]
        case Part(_, data, last):
            more = [] if last else ["boolean:true"]
            return [*head, f"string:{data.hex()}", *more]
    raise AssertionError(record)


class ReaderTests(SynchronousTestCase):
    """Bytes to records, however they are cut."""

    def check(self, make: Callable[[], Any], data: bytes, expected: list[Any]) -> None:
        """Read it whole, byte by byte, and with every tail."""
        reader = make()
        self.assertEqual(reader.feed(data), expected)
        self.assertFalse(reader.rest.kept)
        self.assertEqual(reader.bytes_read, len(data))
        reader = make()
        pieces = [reader.feed(data[i : i + 1]) for i in range(len(data))]
        self.assertEqual(list(chain(*pieces)), expected)
        self.assertEqual(reader.bytes_read, len(data))
        for cut in range(1, len(data)):
            reader = make()
            self.assertEqual(reader.feed(data + data[:cut])[: len(expected)], expected)
            reader.feed(data[cut:])
            self.assertFalse(reader.rest.kept)

    def test_requests(self) -> None:
        """Requests are the same whole, bytewise and with a tail."""
        self.check(RequestReader, QUERY + CALL + PUSH + TAG, REQUESTS)

    def test_responses(self) -> None:
        """Answers are the same whole, bytewise and with a tail."""
        self.check(ResponseReader, ANSWER + ERROR, ANSWERS)

    def test_large(self) -> None:
        """A large message is its beginning and its parts, between small ones."""
        body = bytes(70_000)
        data = cluster.large_request("@x", 7, len(body), push=True)
        first, *others = request_parts(7, body)
        records = RequestReader().feed(data + first + CALL + b"".join(others))
        expected = [
            LargeRequest("@x", 7, 70_000, True),
            Part(7, bytes(0x8000), False),
            REQUESTS[1],
            Part(7, bytes(0x8000), False),
            Part(7, bytes(70_000 - 0x10000), True),
        ]
        self.assertEqual(records, expected)

    def test_malformed_requests(self) -> None:
        """What is no request is told as such, and the next packet is read."""
        for bad in NO_REQUESTS:
            reader = RequestReader()
            one, malformed, other = reader.feed(CALL + packet(bad) + QUERY)
            self.assertEqual([one, other], [REQUESTS[1], REQUESTS[0]])
            self.assertIsInstance(malformed, Malformed)
            self.assertIsNone(reader.error)

    def test_malformed_responses(self) -> None:
        """What is no answer ends the reading; the answers before it are not lost."""
        for bad in NO_ANSWERS:
            reader = ResponseReader()
            self.assertEqual(reader.feed(ANSWER + packet(bad) + ERROR), ANSWERS[:1])
            self.assertIsInstance(reader.error, ProtocolError)
            self.assertEqual(reader.feed(ANSWER), [])

    @given(st.binary(max_size=200), st.lists(st.integers(1, 30)))
    def test_any_bytes(self, data: bytes, cuts: list[int]) -> None:
        """Strangers' bytes raise nothing, and mean the same however they come."""
        makers: list[Callable[[], Any]] = [RequestReader, ResponseReader]
        for make in makers:
            whole = make()
            expected = whole.feed(data)
            reader = make()
            got: list[Any] = []
            rest = data
            for cut in [*cuts, len(data)]:
                got += reader.feed(rest[:cut])
                rest = rest[cut:]
            self.assertEqual(got, expected)
            self.assertEqual(str(reader.error), str(whole.error))


u32 = st.integers(0, 0xFFFFFFFF)
sessions = st.integers(1, cluster.MAX_SESSION)
names = st.binary(min_size=1, max_size=cluster.MAX_NAME).map(
    lambda name: name.decode("utf-8", "surrogateescape")
)


class RoundTripTests(SynchronousTestCase):
    """Reading inverts writing."""

    @given(u32 | names, st.just(0) | sessions, st.binary(max_size=300))
    def test_request(self, address: int | str, session: int, body: bytes) -> None:
        """Requests and pushes, to any handle and any name."""
        data = cluster.request(address, session, body)
        expected = [(address, session, body, session == 0)]
        self.assertEqual(RequestReader().feed(data), expected)

    @given(u32 | names, sessions, u32, st.booleans())
    def test_large_request(
        self, address: int | str, session: int, total: int, push: bool
    ) -> None:
        """Beginnings of large requests and pushes."""
        data = cluster.large_request(address, session, total, push)
        expected = LargeRequest(address, session, total, push)
        self.assertEqual(RequestReader().feed(data), [expected])

    @given(u32, st.binary(max_size=300), st.text(max_size=100), u32)
    def test_response(self, session: int, body: bytes, text: str, total: int) -> None:
        """Results, errors and beginnings of large results, of any session."""
        data = cluster.result(session, body) + cluster.failure(session, text)
        data += cluster.large_result(session, total)
        got = ResponseReader().feed(data)
        expected = [
            (session, body),
            Failure(session, text),
            LargeResult(session, total),
        ]
        self.assertEqual(got, expected)

    @given(sessions, st.integers(1, 0x18001))
    def test_parts(self, session: int, size: int) -> None:
        """Bodies of any length, in parts of which only the last one is marked."""
        body = b"0123456789" * (size // 10) + bytes(size % 10)
        request = b"".join(request_parts(session, body))
        result = b"".join(result_parts(session, body))
        for read in (RequestReader().feed(request), ResponseReader().feed(result)):
            got = [part for part in read if isinstance(part, Part)]
            self.assertEqual(b"".join(part.data for part in got), body)
            last = [part.last for part in got]
            self.assertEqual(last, [False] * (len(read) - 1) + [True])


class LimitTests(SynchronousTestCase):
    """What does not fit is not written."""

    def test_sizes(self) -> None:
        """One byte more than fits is refused, and the limit itself is not."""
        cases: list[tuple[Callable[[int], object], int]] = [
            (lambda n: cluster.request(1, 1, bytes(n)), cluster.MAX_SMALL_REQUEST),
            (lambda n: cluster.result(1, bytes(n)), cluster.MAX_SMALL_RESULT),
            (lambda n: cluster.request_part(1, bytes(n), True), cluster.PART_SIZE),
            (lambda n: cluster.trace(bytes(n)), cluster.MAX_TEXT),
            (lambda n: cluster.large_request(1, 1, n), cluster.MAX_BODY),
            (lambda n: cluster.large_result(1, n), cluster.MAX_BODY),
        ]
        for encode, limit in cases:
            encode(limit)
            error = self.assertRaises(TooLarge, encode, limit + 1)
            self.assertEqual((error.size, error.limit), (limit + 1, limit))

    def test_names(self) -> None:
        """A name has 1 to 255 bytes, and is text that can be written."""
        cluster.request("n" * 255, 1, b"")
        for name in ("", "n" * 256, "é" * 128, "\ud800"):
            self.assertRaises(BadAddress, cluster.request, name, 1, b"")
            self.assertRaises(BadAddress, cluster.large_request, name, 1, 40000)

    def test_sessions(self) -> None:
        """Sessions have 31 bits, and only a small push has 0."""
        for session in (-1, 0x80000000):
            self.assertRaises(ValueError, cluster.request, 1, session, b"")
        for session in (-1, 0, 0x80000000):
            self.assertRaises(ValueError, cluster.large_request, 1, session, 40000)

    def test_text(self) -> None:
        """The text of an error is cut, in bytes, and can always be written."""
        for text in ("e" * 0x8001, "é" * 0x8000, "\ud800" * 0x8000):
            (record,) = ResponseReader().feed(cluster.failure(1, text))
            self.assertIsInstance(record, Failure)
            self.assertEqual(len(cluster.failure(1, text)), 0x8007)
