"""Tests of the control packets."""

from __future__ import annotations

from itertools import chain

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from skynet_tw.errors import ProtocolError, TooLarge
from skynet_tw.seri import pack
from skynet_tw.wire.control import (
    Connect,
    ControlReader,
    Dead,
    Hello,
    Malformed,
    Name,
    Packet,
    Query,
    Record,
    Register,
    Unknown,
    Wait,
    decode,
    encode,
)

# Recorded (harbor_modern.json).
GOLDEN: list[tuple[str, Packet]] = [
    ("130c480a02743132372e302e302e313a33313232", Hello(2, "127.0.0.1:3122")),
    ("030c5702", Wait(0)),
    ("040c570a01", Wait(1)),
    ("130c430aff743132372e302e302e313a33313232", Connect(255, "127.0.0.1:3122")),
    ("0c0c52244543484f220a000001", Register("ECHO", 0x0100000A)),
    (
        "160c52544441544143454e54455232070000c800000000",
        Register("DATACENTER", 0xC8000007),
    ),
    ("0c0c4e244543484f220a000001", Name("ECHO", 0x0100000A)),
    ("070c51244c415445", Query("LATE")),
    ("040c440a03", Dead(3)),
]


class PacketTests(SynchronousTestCase):
    """Records to bytes and back."""

    def test_golden(self) -> None:
        """Packets are written and read as real nodes do."""
        for text, packet in GOLDEN:
            data = bytes.fromhex(text)
            self.assertEqual(encode(packet), data)
            self.assertEqual(decode(data[1:]), packet)

    def test_unknown_letter(self) -> None:
        """A letter that nobody knows is a record, not an error (recorded)."""
        self.assertEqual(decode(bytes.fromhex("0c5a0c78")), Unknown("Z"))
        self.assertEqual(decode(pack(5)), Unknown(5))
        self.assertEqual(decode(pack(None)), Unknown(None))

    def test_wrong_values(self) -> None:
        """Ids outside 1-255 and values of other types are told apart from packets."""
        for values in (
            ("H", 0, "a:1"),
            ("H", 256, "a:1"),
            ("H", "x", "a:1"),
            ("H", True, "a:1"),
            ("H", 1.0, "a:1"),
            ("H", 1, None),
            ("H", 1),
            ("C", 300, "a:1"),
            ("R", "NAME", "handle"),
            ("R", "NAME", -1),
            ("R", "NAME", 1 << 32),
            ("R", 7, 1),
            ("Q",),
            ("W", None),
            ("W", -1),
            ("D", 0),
        ):
            record = decode(pack(*values))
            self.assertIsInstance(record, Malformed, values)
            self.assertIn(str(values[0]), str(record))

    def test_values_behind(self) -> None:
        """Values that a packet does not need are ignored."""
        self.assertEqual(decode(pack("W", 1, "more")), Wait(1))

    def test_ours(self) -> None:
        """Our nodes say one value more in H and W; any other value there is nothing."""
        for values, plain, ours in (
            (("H", 2, "a:1"), Hello(2, "a:1"), Hello(2, "a:1", redials=True)),
            (("W", 1), Wait(1), Wait(1, follows=True)),
        ):
            body = pack(*values, True)
            self.assertEqual(encode(ours), bytes([len(body)]) + body)
            self.assertEqual(decode(body), ours)
            self.assertEqual(decode(pack(*values, True, "more")), ours)
            for odd in (False, 1, "true", None, [True], 1.0):
                self.assertEqual(decode(pack(*values, odd)), plain)

    def test_too_long(self) -> None:
        """What does not fit the byte for the length is refused before it is sent."""
        error = self.assertRaises(TooLarge, encode, Hello(1, "a" * 300))
        self.assertEqual(error.limit, 255)


class ControlReaderTests(SynchronousTestCase):
    """Bytes to records."""

    def test_whole_and_bytewise(self) -> None:
        """Packets are the same however they come, and a tail is kept."""
        data = b"".join(bytes.fromhex(text) for text, _ in GOLDEN)
        packets = [packet for _, packet in GOLDEN]
        reader = ControlReader()
        self.assertEqual(reader.feed(data + b"\x05a"), packets)
        self.assertTrue(reader.rest.kept)
        reader = ControlReader()
        pieces = [reader.feed(data[i : i + 1]) for i in range(len(data))]
        self.assertEqual(list(chain(*pieces)), packets)

    def test_bad_packet(self) -> None:
        """Bytes that are no values, or none, are an error; good packets are kept."""
        good = encode(Wait(1))
        for bad in (b"\x03\x07\x07\x07", b"\0"):
            reader = ControlReader()
            self.assertEqual(reader.feed(good + bad + good), [Wait(1)])
            self.assertIsInstance(reader.error, ProtocolError)
            self.assertEqual(reader.feed(good), [])

    @given(st.binary(max_size=300), st.integers(1, 20))
    def test_any_bytes(self, data: bytes, size: int) -> None:
        """Strangers' bytes raise nothing, and mean the same however they come."""
        whole = ControlReader()
        expected = whole.feed(data)
        reader = ControlReader()
        got: list[Record] = []
        for start in range(0, len(data), size):
            got += reader.feed(data[start : start + size])
        self.assertEqual(repr(got), repr(expected))
        self.assertEqual(reader.error is None, whole.error is None)
