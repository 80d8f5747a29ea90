"""Tests of the frames on a link."""

from __future__ import annotations

from itertools import chain

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from skynet_tw.wire.harbor import MAX_PAYLOAD, Frame, FrameReader, FrameWriter

# Recorded: slave 2 calls ECHO in node 1, and the answer (harbor_modern.json, main).
CALL = bytes.fromhex("00000019244543484f0a012c68656c6c6f020000070a00000a00000007")
ANSWER = bytes.fromhex("000000140a012c68656c6c6f0100000a0100000700000007")
EMPTY = bytes.fromhex("0000000c0100000a070000070000000d")

CALL_FRAME = (0x02000007, 0x0A00000A, 7, bytes.fromhex("244543484f0a012c68656c6c6f"))
ANSWER_FRAME = (0x0100000A, 0x01000007, 7, bytes.fromhex("0a012c68656c6c6f"))
EMPTY_FRAME = (0x0100000A, 0x07000007, 13, b"")

BAD = {
    "first byte not 0": bytes.fromhex("01000000"),
    "all bits": b"\xff\xff\xff\xff",
    "no room for a trailer": bytes.fromhex("0000000b"),
    "zero": bytes(4),
}


class FrameReaderTests(SynchronousTestCase):
    """Bytes to messages."""

    def test_one(self) -> None:
        """A frame alone in its read is complete without anything behind it."""
        for data, frame in (
            (CALL, CALL_FRAME),
            (ANSWER, ANSWER_FRAME),
            (EMPTY, EMPTY_FRAME),
        ):
            reader = FrameReader()
            self.assertEqual(reader.feed(data), [frame])
            self.assertFalse(reader.rest.kept)

    def test_whole_bytewise_and_with_a_tail(self) -> None:
        """Frames are the same however they come, and a tail is kept."""
        data = CALL + EMPTY + ANSWER
        frames = [CALL_FRAME, EMPTY_FRAME, ANSWER_FRAME]
        self.assertEqual(FrameReader().feed(data), frames)
        reader = FrameReader()
        pieces = [reader.feed(data[i : i + 1]) for i in range(len(data))]
        self.assertEqual(list(chain(*pieces)), frames)
        for cut in range(1, len(CALL)):
            reader = FrameReader()
            self.assertEqual(reader.feed(data + CALL[:cut]), frames)
            self.assertTrue(reader.rest.kept)
            self.assertEqual(reader.feed(CALL[cut:] + EMPTY), [CALL_FRAME, EMPTY_FRAME])
            self.assertFalse(reader.rest.kept)

    def test_bad_length(self) -> None:
        """A length out of bounds is an error, at once, and nothing follows it."""
        for bad in BAD.values():
            reader = FrameReader()
            self.assertEqual(reader.feed(bad), [])
            self.assertIsNotNone(reader.error)
            self.assertEqual(reader.feed(CALL), [])

    def test_bad_length_behind_good_frames(self) -> None:
        """Frames in front of a bad one in the same read are not lost."""
        for bad in BAD.values():
            for tail in (b"", b"x", CALL):
                reader = FrameReader()
                frames = reader.feed(CALL + ANSWER + bad + tail)
                self.assertEqual(frames, [CALL_FRAME, ANSWER_FRAME])
                self.assertIsNotNone(reader.error)

    def test_bad_length_in_pieces(self) -> None:
        """A bad length is seen when its last byte comes, not before."""
        for bad in BAD.values():
            reader = FrameReader()
            self.assertEqual(reader.feed(CALL + bad[:3]), [CALL_FRAME])
            self.assertIsNone(reader.error)
            reader.feed(bad[3:])
            self.assertIsNotNone(reader.error)

    def test_largest(self) -> None:
        """The largest payload passes, in reads of any size; one byte more does not."""
        payload = bytes(MAX_PAYLOAD)
        writer = FrameWriter()
        writer.send(1, 2, 10, 3, payload)
        data = writer.take() + CALL
        for size in (65536, len(data)):
            reader = FrameReader()
            frames: list[Frame] = []
            for start in range(0, len(data), size):
                frames += reader.feed(data[start : start + size])
            self.assertEqual([len(f[3]) for f in frames], [MAX_PAYLOAD, 13])
            self.assertIsNone(reader.error)
        writer.send(1, 2, 10, 3, payload + b"x")
        reader = FrameReader()
        self.assertEqual(reader.feed(CALL + writer.take()), [CALL_FRAME])
        self.assertIsNotNone(reader.error)

    @given(
        st.lists(
            st.tuples(
                st.integers(0, 0xFFFFFFFF),
                st.integers(0, 0xFFFFFFFF),
                st.integers(0, 0xFFFFFFFF),
                st.binary(max_size=40),
            )
        ),
        st.lists(st.integers(1, 60)),
    )
    def test_any_split(self, frames: list[Frame], cuts: list[int]) -> None:
        """No way to cut the stream changes the frames, and writing inverts reading."""
        writer = FrameWriter()
        for source, destination, session, payload in frames:
            writer.send(destination, source, destination >> 24, session, payload)
        data = writer.take()
        reader = FrameReader()
        got: list[Frame] = []
        for cut in [*cuts, len(data)]:
            got += reader.feed(data[:cut])
            data = data[cut:]
        self.assertEqual(got, frames)
        self.assertFalse(reader.rest.kept)

    @given(st.binary(max_size=200), st.lists(st.integers(1, 30)))
    def test_any_bytes(self, data: bytes, cuts: list[int]) -> None:
        """Strangers' bytes raise nothing, and mean the same however they come."""
        whole = FrameReader()
        expected = whole.feed(data)
        reader = FrameReader()
        got: list[Frame] = []
        for cut in [*cuts, len(data)]:
            got += reader.feed(data[:cut])
            data = data[cut:]
        self.assertEqual(got, expected)
        self.assertEqual(reader.error is None, whole.error is None)


class FrameWriterTests(SynchronousTestCase):
    """Messages to bytes."""

    def test_golden(self) -> None:
        """Frames are written as real nodes write them, the harbor left out."""
        writer = FrameWriter()
        writer.send(0x0100000A, 0x02000007, 10, 7, CALL_FRAME[3])
        writer.send(0x02000007, 0x0100000A, 7, 13, b"")
        self.assertEqual(writer.take(), CALL + EMPTY)
        self.assertEqual(writer.take(), b"")
