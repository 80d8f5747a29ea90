"""All readers of a wire: what they read does not depend on how the bytes are cut."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from skynet_tw.seri import pack
from skynet_tw.wire import cluster, control, harbor, harbor2013
from skynet_tw.wire.framing import PacketReader

from .. import strategies as _profile  # noqa: F401, it sets hypothesis up

#: The longest stream, in bytes.
LONGEST = 400


class Modern:
    """Reads a link of the current wire."""

    def __init__(self) -> None:
        self.reader = harbor.FrameReader()

    def feed(self, data: bytes) -> list[Any]:
        return [*self.reader.feed(data)]


class Harbor2013:
    """Reads what comes to a harbor of 2013: messages, and what it is told."""

    def __init__(self) -> None:
        self.reader = harbor2013.FrameReader()

    def feed(self, data: bytes) -> list[Any]:
        batches = self.reader.feed(data)
        told, self.reader.announcements = self.reader.announcements, []
        frames = [frame for _, frames in batches for frame in frames]
        for number, batch in batches:
            assert all(frame[0] >> 24 == number for frame in batch)
        # The two kinds are handed on apart, so that only their own order is fixed.
        return [("frame", it) for it in frames] + [("told", it) for it in told]


class Requests:
    """Reads what a master of 2013 is told."""

    def __init__(self) -> None:
        self.reader = harbor2013.RequestReader()

    def feed(self, data: bytes) -> list[Any]:
        return [*self.reader.feed(data)]


class Control:
    """Reads a control connection of the current wire, either side."""

    def __init__(self) -> None:
        self.reader = control.ControlReader()

    def feed(self, data: bytes) -> list[Any]:
        return [*map(repr, self.reader.feed(data))]  # a NaN is not equal to itself


class ClusterRequests:
    """Reads what connects to a node of a cluster."""

    def __init__(self) -> None:
        self.reader = cluster.RequestReader()

    def feed(self, data: bytes) -> list[Any]:
        return [*self.reader.feed(data)]


class ClusterResponses:
    """Reads the answers of a node of a cluster."""

    def __init__(self) -> None:
        self.reader = cluster.ResponseReader()

    def feed(self, data: bytes) -> list[Any]:
        return [*self.reader.feed(data)]


class Packets:
    """Reads packets behind a length, which are never malformed."""

    error = None
    width = 1

    def __init__(self) -> None:
        self.packets = PacketReader(self.width)
        self.reader = self

    def feed(self, data: bytes) -> list[Any]:
        return [*self.packets.feed(data)]


class WidePackets(Packets):
    """The same, with a length of two bytes."""

    width = 2


class WidestPackets(Packets):
    """The same, with a length of four bytes."""

    width = 4


Kind = Callable[[], Any]
KINDS: list[Kind] = [
    Modern,
    Harbor2013,
    Requests,
    Control,
    ClusterRequests,
    ClusterResponses,
    Packets,
    WidePackets,
    WidestPackets,
]


def state(reader: Any, read: list[Any]) -> tuple[Any, ...]:
    """What a reader has said: its records, those of one kind in order, its error."""
    error = reader.reader.error
    frames = [it for it in read if not isinstance(it, tuple) or it[0] != "told"]
    told = [it for it in read if isinstance(it, tuple) and it[0] == "told"]
    return frames, told, error and (type(error), str(error))


def by_the_byte(kind: Kind, data: bytes) -> list[tuple[Any, ...]]:
    """What a reader has said after each byte of a stream, and before the first."""
    reader = kind()
    read: list[Any] = []
    states = [state(reader, read)]
    for i in range(len(data)):
        read += reader.feed(data[i : i + 1])
        states.append(state(reader, read))
    return states


def length_of(number: int) -> bytes:
    """Four bytes of a length."""
    return number.to_bytes(4, "big")


def frame(source: int, to: int, session: int, payload: bytes) -> bytes:
    """A frame to a harbor, of either wire."""
    body = payload + b"".join(map(length_of, (source, to, session)))
    return length_of(len(body)) + body


small = st.integers(0, 40)
words = st.integers(0, 0xFFFFFFFF)
#: What streams are put together from: good, odd and bad parts of all kinds.
parts = (
    st.builds(frame, st.just(0) | words, small | words, words, st.binary(max_size=30))
    | st.builds(
        lambda key, text: length_of(len(text) + 4) + length_of(key) + text,
        small | words,
        st.binary(max_size=20),
    )
    | st.builds(lambda body: bytes([len(body)]) + body, st.binary(max_size=20))
    | st.sampled_from(
        [
            bytes([len(body)]) + body
            for body in (pack("H", 2, "a:1"), pack("W", 3), pack("N", "X", 7), b"\x7f")
        ]
    )
    | st.builds(
        lambda kind, body: bytes([0, len(body) + 1, kind]) + body,
        st.sampled_from(b"\x00\x01\x02\x03\x04\x41\x80\x81\xc1"),
        st.binary(min_size=4, max_size=14),
    )
    | st.builds(
        lambda session, kind, data: (
            bytes([0, len(data) + 5]) + length_of(session) + bytes([kind]) + data
        ),
        words,
        st.integers(0, 5),
        st.just(bytes(4)) | st.binary(max_size=12),
    )
    | st.builds(length_of, small | st.integers(1000, 1100) | words)
    | st.integers(1, 12).map(bytes)
    | st.binary(max_size=12)
)
streams = st.lists(parts, max_size=8).map(lambda all: b"".join(all)[:LONGEST])
cuts = st.lists(st.integers(1, 60), max_size=12)


class SplitTests(SynchronousTestCase):
    """Any stream, cut anywhere."""

    @given(streams | st.binary(max_size=LONGEST), cuts)
    @example(bytes(8) + bytes.fromhex("002d08"), [11])
    @example(bytes(4) + bytes.fromhex("05"), [5])
    @example(bytes.fromhex("00000403") + bytes(40), [44])
    def test_any(self, data: bytes, sizes: list[int]) -> None:
        """After the same bytes there are the same records, and the same error."""
        for kind in KINDS:
            states = by_the_byte(kind, data)
            reader = kind()
            read: list[Any] = []
            start = 0
            for size in [*sizes, len(data)]:
                read += reader.feed(data[start : start + size])
                start = min(start + size, len(data))
                self.assertEqual(state(reader, read), states[start], (kind, start))

    def test_longer_than_what_is_decoded_at_once(self) -> None:
        """It holds as well for a read that is longer than any real one."""
        good = frame(0x02000006, 0x0A000009, 5, bytes(700_000))
        for tail in (b"", b"\0\0", b"\xff", b"\0\0\0\x02", b"\x05" * 5_000_000):
            for kind in (Modern, Harbor2013, Requests):
                for data in (good * 3 + tail, tail + good):
                    whole, pieces = kind(), kind()
                    all_at_once = state(whole, whole.feed(data))
                    read: list[Any] = []
                    for start in range(0, len(data), 65536):
                        read += pieces.feed(data[start : start + 65536])
                    self.assertEqual(state(pieces, read), all_at_once, kind)

    def test_request_that_is_too_long(self) -> None:
        """A request's length is judged when all its bytes are there, and not before."""
        for cut in range(1, 12):
            data = bytes(8) + bytes.fromhex("00002d08")
            reader = harbor2013.RequestReader()
            for piece in (data[:cut], data[cut:11]):
                self.assertEqual(reader.feed(piece), [])
                self.assertIsNone(reader.error)
            reader.feed(data[11:])
            self.assertEqual(str(reader.error), "a request of length 11528")
