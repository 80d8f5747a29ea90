"""Frames of 2013: golden bytes, odd ones, and any split."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from skynet_tw.errors import OtherWire, ProtocolError, TooLarge
from skynet_tw.wire.control import Connect, Hello, Malformed, Name, Query, Register
from skynet_tw.wire.harbor import MAX_PAYLOAD
from skynet_tw.wire.harbor2013 import (
    NAME_SIZE,
    NOTHING,
    Batch,
    FrameReader,
    MessageWriter,
    Request,
    RequestReader,
    decode_announcement,
    encode_announcement,
    encode_request,
)

# From harbor_2013.json, `main`: what real nodes wrote.
HELLO = bytes.fromhex("00000012000000013132372e302e302e313a33303231")
REGISTER = bytes.fromhex("00000008010000094543484f")
QUERY = bytes.fromhex("00000008000000004c415445")
REQUESTS: dict[bytes, Request] = {
    HELLO: Hello(1, "127.0.0.1:3021"),
    REGISTER: Register("ECHO", 0x01000009),
    QUERY: Query("LATE"),
}
ADDRESS = bytes.fromhex("0000001a3132372e302e302e313a33303232000000000000000200000000")
NAME = bytes.fromhex("0000001c4543484f000000000000000000000000000000000100000900000000")
TOLD: dict[bytes, Connect | Name] = {
    ADDRESS: Connect(2, "127.0.0.1:3022"),
    NAME: Name("ECHO", 0x01000009),
}
CALL = bytes.fromhex("00000019244543484f0a012c68656c6c6f020000060a00000900000005")
CALL_FRAME = (0x02000006, 0x0A000009, 5, bytes.fromhex("244543484f0a012c68656c6c6f"))
ANSWER = bytes.fromhex("000000140a012c68656c6c6f010000090100000600000005")
ANSWER_FRAME = (0x01000009, 0x01000006, 5, bytes.fromhex("0a012c68656c6c6f"))

#: Lengths that no frame has; the last one would end a real process.
BAD = [b"\0\0\0\x01", b"\0\0\0\x0b", b"\x01\0\0\0", b"\xff\xff\xff\xff"]


class RequestTests(SynchronousTestCase):
    """What a master is told."""

    def test_golden(self) -> None:
        """Requests are written and read as real nodes do."""
        for data, request in REQUESTS.items():
            self.assertEqual(encode_request(request), data)
            self.assertEqual(RequestReader().feed(data), [request])

    def test_whole_bytewise_and_with_a_tail(self) -> None:
        """However requests come, they are the same; the beginning of one is kept."""
        data = NOTHING.join(REQUESTS)
        requests = list(REQUESTS.values())
        self.assertEqual(RequestReader().feed(data), requests)
        reader = RequestReader()
        pieces = [it for i in range(len(data)) for it in reader.feed(data[i : i + 1])]
        self.assertEqual(pieces, requests)
        for cut in range(1, len(HELLO)):
            reader = RequestReader()
            self.assertEqual(reader.feed(data + HELLO[:cut]), requests)
            self.assertTrue(reader.rest.kept)
            self.assertEqual(reader.feed(HELLO[cut:]), [REQUESTS[HELLO]])

    def test_bad_length(self) -> None:
        """A length out of bounds is an error, at once, behind good requests, too."""
        for bad in (b"\0\0\0\x01x", b"\0\0\0\x03xxx", b"\0\0\x08\0", b"\0\xff\xff\xff"):
            for front in ({}, REQUESTS):
                reader = RequestReader()
                got = reader.feed(b"".join(front) + bad)
                self.assertEqual(got, list(front.values()))
                self.assertIsInstance(reader.error, ProtocolError)
                self.assertNotIsInstance(reader.error, OtherWire)
                self.assertEqual(reader.feed(HELLO), [])

    def test_other_wire(self) -> None:
        """The first packet of a current node is known from its first byte on."""
        hello = bytes.fromhex("130c480a0274")
        for data in (hello, hello[:1]):
            reader = RequestReader()
            self.assertEqual(reader.feed(data), [])
            self.assertIsInstance(reader.error, OtherWire)
        reader = RequestReader()
        reader.feed(HELLO + hello)
        self.assertNotIsInstance(reader.error, OtherWire)
        self.assertIsNotNone(reader.error)

    def test_no_address(self) -> None:
        """Something without a colon is no address."""
        (request,) = RequestReader().feed(bytes.fromhex("0000000700000001787878"))
        self.assertIsInstance(request, Malformed)

    def test_long_names(self) -> None:
        """A name of more than 16 bytes is not written."""
        encode_request(Query("x" * NAME_SIZE))
        self.assertRaises(TooLarge, encode_request, Query("x" * (NAME_SIZE + 1)))
        self.assertRaises(TooLarge, encode_request, Register("é" * 9, 0x01000001))

    @given(st.binary(max_size=100), st.lists(st.integers(1, 20)))
    def test_any_bytes(self, data: bytes, cuts: list[int]) -> None:
        """Strangers' bytes raise nothing, and what they keep is bounded."""
        reader = RequestReader()
        for cut in [*cuts, len(data)]:
            reader.feed(data[:cut])
            data = data[cut:]
        self.assertLessEqual(len(reader.rest.kept), 2048)


class ToldTests(SynchronousTestCase):
    """Control frames to a harbor."""

    def test_golden(self) -> None:
        """Addresses and names are written and read as real nodes do."""
        for data, told in TOLD.items():
            self.assertEqual(encode_announcement(told), data)
            reader = FrameReader()
            self.assertEqual(reader.feed(data), [])
            self.assertEqual(reader.announcements, [told])

    def test_long_names_are_cut(self) -> None:
        """A name field has 16 bytes, always."""
        golden = bytes.fromhex(
            "0000001c4142434445464748494a4b4c4d4e4f50000000000900000300000000"
        )
        self.assertEqual(
            encode_announcement(Name("ABCDEFGHIJKLMNOPQRST", 0x09000003)), golden
        )

    def test_malformed(self) -> None:
        """Nobody is harbor 0, and an address has some bytes, but not many."""
        for destination, payload in ((0, b"h:1"), (5, b""), (5, b"x" * 5000)):
            self.assertIsInstance(decode_announcement(destination, payload), Malformed)


class FrameReaderTests(SynchronousTestCase):
    """Bytes to messages."""

    def test_whole_bytewise_and_with_a_tail(self) -> None:
        """However frames come, they are the same; the beginning of one is kept."""
        data = NOTHING + CALL + ADDRESS + CALL + NOTHING * 2 + ANSWER + NAME + CALL
        batches = [(2, [CALL_FRAME] * 2), (1, [ANSWER_FRAME]), (2, [CALL_FRAME])]
        told = list(TOLD.values())
        reader = FrameReader()
        self.assertEqual(reader.feed(data), batches)
        self.assertEqual(reader.announcements, told)
        reader = FrameReader()
        frames = []
        for i in range(len(data)):
            for harbor, got in reader.feed(data[i : i + 1]):
                self.assertEqual(harbor, got[0][0] >> 24)
                frames += got
        self.assertEqual(frames, [*[CALL_FRAME] * 2, ANSWER_FRAME, CALL_FRAME])
        self.assertEqual(reader.announcements, told)
        for cut in range(1, len(CALL)):
            reader = FrameReader()
            self.assertEqual(reader.feed(data + CALL[:cut]), batches)
            self.assertTrue(reader.rest.kept)
            self.assertEqual(reader.feed(CALL[cut:]), [(2, [CALL_FRAME])])
            self.assertFalse(reader.rest.kept)

    def test_empty_frames(self) -> None:
        """Any number of empty frames means nothing, wherever a read ends."""
        for count in (1, 2, 30_000):
            for tail in (b"", b"\0", b"\0\0\0"):
                reader = FrameReader()
                self.assertEqual(reader.feed(NOTHING * count + tail), [])
                self.assertIsNone(reader.error)
                rest = (NOTHING + CALL)[len(tail) :]
                self.assertEqual(reader.feed(rest), [(2, [CALL_FRAME])])

    def test_source_without_harbor(self) -> None:
        """A source of harbor 0 is a message, and no control frame."""
        odd = CALL.replace(bytes.fromhex("02000006"), bytes.fromhex("00000006"))
        frame = (6, *CALL_FRAME[1:])
        for data in (odd * 2, odd * 2 + NOTHING):
            reader = FrameReader()
            batches = reader.feed(data)
            self.assertEqual({harbor for harbor, _ in batches}, {0})
            self.assertEqual([f for _, frames in batches for f in frames], [frame] * 2)
        reader = FrameReader()
        reader.feed(odd + ADDRESS + odd)
        self.assertEqual(reader.announcements, [TOLD[ADDRESS]])

    def test_bad_length(self) -> None:
        """A length out of bounds is an error, behind good frames, too."""
        for bad in BAD:
            for tail in (b"", b"x", CALL):
                reader = FrameReader()
                batches = reader.feed(CALL + ANSWER + bad + tail)
                self.assertEqual(batches, [(2, [CALL_FRAME]), (1, [ANSWER_FRAME])])
                self.assertIsInstance(reader.error, ProtocolError)
                self.assertNotIsInstance(reader.error, OtherWire)
                self.assertEqual(reader.feed(CALL), [])

    def test_other_wire(self) -> None:
        """The first byte of a current node's link, or of its packet, is known."""
        for data in (b"\x05", b"\x05\0\0", bytes.fromhex("130c480a0274")):
            reader = FrameReader()
            self.assertEqual(reader.feed(data), [])
            self.assertIsInstance(reader.error, OtherWire)

    def test_largest(self) -> None:
        """The largest payload passes; one byte more does not."""
        writer = MessageWriter()
        writer.send(1, 0x05000002, 10, 3, bytes(MAX_PAYLOAD))
        data = writer.take() + CALL
        for size in (65536, len(data)):
            reader = FrameReader()
            lengths = []
            for start in range(0, len(data), size):
                for _, frames in reader.feed(data[start : start + size]):
                    lengths += [len(frame[3]) for frame in frames]
            self.assertEqual(lengths, [MAX_PAYLOAD, 13])
        writer.send(1, 0x05000002, 10, 3, bytes(MAX_PAYLOAD + 1))
        reader = FrameReader()
        self.assertEqual(reader.feed(CALL + writer.take()), [(2, [CALL_FRAME])])
        self.assertIsNotNone(reader.error)

    @given(
        st.lists(
            st.one_of(
                st.just(None),
                st.tuples(
                    st.integers(1, 0xFFFFFFFF),
                    st.integers(0, 0x06FFFFFF),
                    st.integers(0, 0xFFFFFFFF),
                    st.binary(max_size=40),
                ),
            )
        ),
        st.lists(st.integers(1, 60)),
    )
    def test_any_split(
        self, items: list[tuple[int, int, int, bytes] | None], cuts: list[int]
    ) -> None:
        """No way to cut the stream changes the frames, and writing inverts reading."""
        writer = MessageWriter()
        data = b""
        expected = []
        for item in items:
            if item is None:
                data += NOTHING
                continue
            source, destination, session, payload = item
            expected.append(item)
            writer.send(destination, source, destination >> 24, session, payload)
            data += writer.take()
        reader = FrameReader()
        got = []
        for cut in [*cuts, len(data)]:
            for harbor, frames in reader.feed(data[:cut]):
                self.assertTrue(all(frame[0] >> 24 == harbor for frame in frames))
                got += frames
            data = data[cut:]
        self.assertEqual(got, expected)
        self.assertFalse(reader.rest.kept)

    @given(st.binary(max_size=200), st.lists(st.integers(1, 30)))
    def test_any_bytes(self, data: bytes, cuts: list[int]) -> None:
        """Strangers' bytes raise nothing, and mean the same however they come."""

        def flat(batches: list[Batch]) -> list[object]:
            return [frame for _, frames in batches for frame in frames]

        whole = FrameReader()
        expected = flat(whole.feed(data))
        reader = FrameReader()
        got = []
        for cut in [*cuts, len(data)]:
            got += flat(reader.feed(data[:cut]))
            data = data[cut:]
        self.assertEqual(got, expected)
        self.assertEqual(reader.announcements, whole.announcements)


class MessageWriterTests(SynchronousTestCase):
    """Messages to bytes."""

    def test_golden(self) -> None:
        """Frames are written as real nodes write them, the harbor left out."""
        writer = MessageWriter()
        writer.send(0x01000009, 0x02000006, 10, 5, CALL_FRAME[3])
        writer.send(0x02000006, 0x01000009, 1, 5, ANSWER_FRAME[3])
        self.assertEqual(writer.take(), CALL + ANSWER)
        self.assertEqual(writer.take(), b"")

    def test_errors(self) -> None:
        """An error is followed by an empty answer; one without a session is nothing."""
        writer = MessageWriter()
        writer.send(0x02000006, 0x01000009, 7, 5, b"")
        self.assertEqual(
            FrameReader().feed(writer.take()),
            [
                (
                    1,
                    [
                        (0x01000009, 0x07000006, 5, b""),
                        (0x01000009, 0x01000006, 5, b""),
                    ],
                )
            ],
        )
        writer.send(0x02000006, 0x01000009, 7, 0, b"")
        self.assertEqual(writer.take(), b"")
