"""Tests of large messages: in parts, and whole again."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from skynet_tw.link.parts import AT_ONCE, Assembler, PartLimits, PartWriter
from skynet_tw.wire.cluster import PART_SIZE

from .. import strategies as _profile  # noqa: F401, it sets hypothesis up

ROOM = 1 << 30


def part(session: int, data: bytes, last: bool) -> bytes:
    """A part in a form that tells its session, its length and its end."""
    return f"[{session}:{len(data)}{'.' if last else ''}]".encode()


class AssemblerTests(SynchronousTestCase):
    """Parts become a message, within limits."""

    def setUp(self) -> None:
        self.assembler: Assembler[str] = Assembler(PartLimits(unfinished=3, size=100))

    @given(st.lists(st.binary(max_size=9000), max_size=8))
    def test_whole(self, pieces: list[bytes]) -> None:
        """Parts of any sizes, empty ones too, are joined in order."""
        total = sum(map(len, pieces))
        assembler: Assembler[str] = Assembler(PartLimits(unfinished=1, size=total))
        self.assertIsNone(assembler.begin(1, total, "head"))
        for piece in pieces:
            assembler.add(1, piece)
        whole = assembler.finish(1, b"")
        assert whole is not None
        self.assertEqual((whole.head, whole.reason), ("head", None))
        self.assertEqual(whole.body(), b"".join(pieces))
        self.assertEqual((len(assembler), assembler.size), (0, 0))

    def test_interleaved(self) -> None:
        """Each message takes the parts of its own session."""
        for session in (1, 2):
            self.assembler.begin(session, 4, str(session))
        self.assembler.add(1, b"ab")
        self.assembler.add(2, b"xy")
        one, two = self.assembler.finish(1, b"cd"), self.assembler.finish(2, b"zz")
        assert one is not None and two is not None
        self.assertEqual([one.body(), two.body()], [b"abcd", b"xyzz"])

    def test_wrong_total(self) -> None:
        """More bytes than announced, or fewer, spoil a message; its room is free."""
        for data, text in ((b"abc", "more than the 2"), (b"a", "1 bytes")):
            self.assembler.begin(1, 2, "")
            whole = self.assembler.finish(1, data)
            assert whole is not None
            self.assertIn(text, whole.reason or "")
            self.assertEqual(self.assembler.size, 0)

    def test_size(self) -> None:
        """What is announced beyond the room is refused, and nothing of it is kept."""
        self.assertIsNone(self.assembler.begin(1, 60, ""))
        reason = self.assembler.begin(2, 41, "")
        self.assertIn("there is room for 40", reason or "")
        self.assertIn("room for 40", self.assembler.begin(2, 0xFFFFFFFF, "") or "")
        spoilt = self.assembler.add(2, bytes(1000))
        assert spoilt is not None
        self.assertEqual((spoilt.body(), self.assembler.size), (b"", 60))
        whole = self.assembler.finish(2, b"")
        self.assertIs(whole, spoilt)
        self.assertIn("there is room for 40", spoilt.reason or "")
        self.assertIsNone(self.assembler.begin(2, 40, ""))

    def test_overflow_is_not_kept(self) -> None:
        """What comes beyond the announced total is not kept, nor what came before."""
        self.assembler.begin(1, 50, "")
        entry = self.assembler.add(1, bytes(50))
        self.assembler.add(1, b"x")
        self.assembler.add(1, bytes(5000))
        assert entry is not None
        self.assertEqual((entry.body(), self.assembler.size), (b"", 0))

    def test_number(self) -> None:
        """Only so many messages are unfinished, refused ones among them."""
        for session in range(3):
            self.assembler.begin(session, 1000 * (session == 0), "")
        self.assertIn("3 large", self.assembler.begin(3, 1, "") or "")
        self.assertEqual(len(self.assembler), 3)
        self.assertIsNone(self.assembler.finish(3, b"x"))
        self.assembler.finish(0, b"")
        self.assertIsNone(self.assembler.begin(3, 1, ""))

    def test_twice(self) -> None:
        """A second beginning of one session takes the place of the first."""
        self.assembler.begin(1, 90, "old")
        self.assembler.add(1, b"old")
        self.assertIsNone(self.assembler.begin(1, 90, "new"))
        self.assertEqual((len(self.assembler), self.assembler.size), (1, 90))
        entry = self.assembler.add(1, b"n")
        assert entry is not None
        self.assertEqual((entry.head, entry.body()), ("new", b"n"))

    def test_unknown(self) -> None:
        """Parts without a beginning are ignored."""
        self.assertIsNone(self.assembler.add(9, b"x"))
        self.assertIsNone(self.assembler.finish(9, b"x"))
        self.assertEqual(self.assembler.changes, 0)


class PartWriterTests(SynchronousTestCase):
    """What is written, and when."""

    def setUp(self) -> None:
        self.writer = PartWriter(part)

    def test_small_between_parts(self) -> None:
        """A small message waits for at most one part of a large one."""
        self.writer.large(1, b"<1>", bytes(2 * PART_SIZE + 1), lane="a")
        self.assertEqual(self.writer.take(1), b"<1>[1:32768]")
        self.writer.small(0, b"small", lane="b")
        self.assertEqual(self.writer.take(0), b"small")
        self.writer.small(0, b"other")
        self.assertEqual(self.writer.take(1), b"other[1:32768]")
        self.assertTrue(self.writer.busy)
        self.assertEqual(self.writer.take(1), b"[1:1.]")
        self.assertFalse(self.writer.busy)

    def test_turns(self) -> None:
        """Large messages send parts in turns, only so many at the same time."""
        for session in range(1, AT_ONCE + 2):
            self.writer.large(session, b"<%d>" % session, bytes(PART_SIZE + 1))
        begins = b"".join(b"<%d>[%d:32768]" % (n, n) for n in range(1, AT_ONCE + 1))
        self.assertEqual(self.writer.take(len(b"[1:32768]") * AT_ONCE), begins)
        rest = self.writer.take(ROOM)
        self.assertLess(rest.index(b"[1:1.]"), rest.index(b"<9>"))
        self.assertEqual(rest.count(b".]"), AT_ONCE + 1)

    def test_lane(self) -> None:
        """What follows a large message in its lane does not overtake it."""
        self.writer.large(1, b"<1>", bytes(PART_SIZE), lane="a")
        self.writer.small(0, b"(2)", lane="a")
        self.writer.large(3, b"<3>", bytes(PART_SIZE), lane="a")
        self.writer.small(4, b"(4)", lane="a")
        self.writer.small(0, b"(5)", lane="b")
        self.assertEqual(self.writer.take(0), b"(5)")
        expected = b"<1>[1:32768.](2)<3>[3:32768.](4)"
        self.assertEqual(self.writer.take(ROOM), expected)
        self.writer.small(0, b"(6)", lane="a")
        self.assertEqual(self.writer.take(0), b"(6)")
        for session in (1, 3, 4):
            self.assertNotIn(session, self.writer)

    def test_drop_what_waits(self) -> None:
        """What has not begun is not written at all."""
        self.writer.large(1, b"<1>", bytes(PART_SIZE), lane="a")
        self.writer.small(2, b"(2)", lane="a")
        self.writer.small(3, b"(3)", lane="a")
        self.writer.large(4, b"<4>", bytes(PART_SIZE), lane="a")
        for session in (1, 2, 4):
            self.assertTrue(self.writer.drop(session))
            self.assertFalse(self.writer.drop(session))
        self.assertEqual(self.writer.size, len(b"(3)"))
        self.assertEqual(self.writer.take(ROOM), b"(3)")
        self.assertFalse(self.writer.busy)

    def test_drop_keeps_nothing(self) -> None:
        """Without a connection, what comes and is given up leaves nothing behind."""
        for lane in (None, "a"):
            for session in range(1, 100, 2):
                self.writer.large(session, b"<>", bytes(PART_SIZE), lane)
                self.writer.small(session + 1, b"()", lane)
                for either in (session, session + 1):
                    self.writer.drop(either)
            self.assertEqual(self.writer.size, 0)
            self.assertEqual(self.writer.clear(), [])
        self.writer.large(1, b"<1>", bytes(PART_SIZE), lane="a")
        for session in range(2, 100):
            self.writer.small(session, b"()", lane="a")
            self.writer.drop(session)
        self.assertEqual(self.writer.size, PART_SIZE + 3)
        self.writer.drop(1)
        self.assertFalse(self.writer.busy)
        self.assertEqual(self.writer.size, 0)

    @given(
        st.lists(
            st.tuples(
                st.sampled_from(["small", "large", "drop", "take", "restart"]),
                st.integers(0, 3),
                st.integers(0, 30),
            ),
            max_size=40,
        )
    )
    def test_books(self, steps: list[tuple[str, int, int]]) -> None:
        """Whatever happens, what is not dropped is written once, each lane in order."""
        writer = PartWriter(part)
        out = b""
        live: dict[int, int] = {}
        for number, (step, lane, which) in enumerate(steps, 1):
            if step == "small":
                writer.small(number, b"(%d)" % number, lane or None)
                live[number] = lane
            elif step == "large":
                body = bytes(PART_SIZE * (which % 3 + 1))
                writer.large(number, b"<%d>" % number, body, lane or None)
                live[number] = lane
            elif step == "drop" and which and writer.drop(which):
                del live[which]
            elif step == "take":
                out += writer.take(which)
            elif step == "restart":
                out += writer.take(0)
                writer.restart()
        out += writer.take(ROOM)
        self.assertEqual(writer.size, 0)
        self.assertFalse(writer.busy)
        self.assertEqual(writer.clear(), [])
        ended: dict[int, int] = {}
        for match in re.finditer(rb"\((\d+)\)|\[(\d+):[1-9]\d*\.\]", out):
            session = int(match[1] or match[2])
            self.assertNotIn(session, ended)
            ended[session] = match.start()
        self.assertEqual(set(ended), set(live))
        for lane in (1, 2, 3):
            places = [ended[number] for number in live if live[number] == lane]
            self.assertEqual(places, sorted(places))

    def test_drop_what_has_begun(self) -> None:
        """What has begun is ended early, so that the other side does not keep it."""
        self.writer.large(1, b"<1>", bytes(3 * PART_SIZE))
        self.writer.take(1)
        self.assertTrue(self.writer.drop(1))
        self.assertEqual(self.writer.take(ROOM), b"[1:0.]")
        self.writer.small(2, b"(2)")
        self.assertFalse(self.writer.drop(2))

    def test_restart(self) -> None:
        """On a new connection large messages begin again, in the order they had."""
        for session in (1, 2, 3, 4):
            body = bytes(PART_SIZE + 1)
            self.writer.large(session, b"<%d>" % session, body, lane=session)
        self.writer.small(0, b"(1)", lane=1)
        # The first three have begun.
        self.writer.take(2 * len(b"[1:32768]") + 1)
        self.writer.drop(2)
        self.writer.restart()
        expected = b"<1>[1:32768]<3>[3:32768]<4>[4:32768][1:1.](1)[3:1.][4:1.]"
        self.assertEqual(self.writer.take(ROOM), expected)

    def test_one_session_twice(self) -> None:
        """Two large messages of one session and lane do not mix their parts."""
        for mark in (b"<a>", b"<b>"):
            self.writer.large(7, mark, bytes(PART_SIZE + 1), lane=7)
        first = self.writer.take(len(b"[7:32768]")) + self.writer.take(1)
        self.assertTrue(first.startswith(b"<a>[7:32768][7:1.]"))
        self.assertIn(7, self.writer)
        expected = b"<a>[7:32768][7:1.]<b>[7:32768][7:1.]"
        self.assertEqual(first + self.writer.take(ROOM), expected)
        self.assertNotIn(7, self.writer)

    def test_clear(self) -> None:
        """What is not written is given back, without what nobody wants."""
        self.writer.large(1, b"<1>", bytes(PART_SIZE + 1), lane="a")
        self.writer.small(0, b"(0)", lane="a")
        self.writer.large(2, b"<2>", bytes(PART_SIZE), lane="b")
        self.writer.take(1)
        self.writer.drop(2)
        self.assertEqual([it.session for it in self.writer.clear()], [1, 0])
        self.assertEqual(self.writer.take(ROOM), b"")
