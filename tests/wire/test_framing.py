"""Tests of the buffer, and of packets behind a length of one or two bytes."""

from __future__ import annotations

from itertools import chain

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from skynet_tw.wire.buffer import Remainder
from skynet_tw.wire.framing import PacketReader


class RemainderTests(SynchronousTestCase):
    """What is left of a read."""

    def test_joins_when_there_is_enough(self) -> None:
        """Nothing is returned until the announced number of bytes is there."""
        rest = Remainder()
        rest.keep(b"ab", 5)
        self.assertIsNone(rest.join(b"cd"))
        self.assertEqual(rest.join(b"ef"), b"abcdef")
        self.assertFalse(rest.kept)

    def test_shows_progress(self) -> None:
        """Each addition is seen in the count of changes."""
        rest = Remainder()
        rest.keep(b"a", 9)
        before = rest.changes
        rest.join(b"b")
        self.assertGreater(rest.changes, before)

    def test_long_packets_are_not_copied_for_each_read(self) -> None:
        """A packet of 15 MiB in reads of 64 KiB grows in one and the same place."""
        rest = Remainder()
        rest.keep(bytes(65536), 15 << 20)
        rest.join(bytes(65536))
        kept = rest.kept
        for _ in range(100):
            rest.join(bytes(65536))
        self.assertIs(rest.kept, kept)


class PacketReaderTests(SynchronousTestCase):
    """Packets with their length in front."""

    def test_whole_split_and_with_a_tail(self) -> None:
        """Packets are the same however they come, and a tail is kept."""
        for width, data in (
            (1, b"\x03abc\x00\x01d\x05ef"),
            (2, b"\0\x03abc\0\x00\0\x01d\0\x05ef"),
        ):
            whole = PacketReader(width)
            self.assertEqual(whole.feed(data), [b"abc", b"", b"d"])
            self.assertEqual(whole.feed(b"ghi"), [b"efghi"])
            split = PacketReader(width)
            pieces = [split.feed(data[i : i + 1]) for i in range(len(data))]
            self.assertEqual(list(chain(*pieces)), [b"abc", b"", b"d"])

    @given(
        st.sampled_from([1, 2]),
        st.lists(st.binary(max_size=255)),
        st.lists(st.integers(1, 300)),
    )
    def test_any_split(self, width: int, packets: list[bytes], cuts: list[int]) -> None:
        """No way to cut the stream changes the packets."""
        data = b"".join(len(p).to_bytes(width, "big") + p for p in packets)
        reader = PacketReader(width)
        got: list[bytes] = []
        for cut in [*cuts, len(data)]:
            got += reader.feed(data[:cut])
            data = data[cut:]
        self.assertEqual(got, packets)
        self.assertFalse(reader.rest.kept)
