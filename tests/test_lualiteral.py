"""Lua's literals, read as values."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from skynet_tw.lualiteral import DEPTH, LiteralError, Reader, is_number, literal
from skynet_tw.luavalue import OddKey
from skynet_tw.seri import pack, unpack


class LiteralTests(SynchronousTestCase):
    """What is read."""

    def assert_reads(self, text: str, value: Any) -> None:
        """A text is a value, of just that type."""
        found = literal(text)
        self.assertEqual((found, type(found)), (value, type(value)), text)

    def test_constants(self) -> None:
        """The words for constants are those, with any blanks and comments around."""
        for text, value in (("nil", None), ("true", True), ("false", False)):
            self.assert_reads(text, value)
            self.assert_reads(f" --[[ a\nb ]] {text} -- the end", value)

    def test_numbers(self) -> None:
        """Numbers are read in each form that Lua has for them."""
        for text, value in (
            ("7", 7),
            ("-7", -7),
            ("- 7", -7),
            ("007", 7),
            ("0x1F", 31),
            ("-0x10", -16),
            ("0xffffffffffffffff", -1),
            ("9223372036854775807", 2**63 - 1),
            ("-9223372036854775808", -(2**63)),
            ("3.5", 3.5),
            ("1.0", 1.0),
            (".5", 0.5),
            ("5.", 5.0),
            ("1e3", 1000.0),
            ("1E-3", 0.001),
            ("1e999", float("inf")),
            ("0x.8p1", 1.0),
            ("0xA.", 10.0),
        ):
            self.assert_reads(text, value)
            self.assertTrue(is_number(text.replace(" ", "")), text)

    def test_no_numbers(self) -> None:
        """What only begins like a number is none."""
        for text in ("1x", "0x", "1.2.3", "1e", "--1", "-", ".", "+1", "1_000", "٣"):
            self.assertFalse(is_number(text), text)
            self.assertRaises(LiteralError, literal, text)

    def test_strings(self) -> None:
        """Escapes mean what they mean in Lua; bytes that are no UTF-8 are kept."""
        for text, value in (
            (r'"\a\b\f\n\r\t\v\\\"\'"', "\a\b\f\n\r\t\v\\\"'"),
            (r'"\65\0667\x41"', "AB7A"),
            (r'"\195\169 \xc3\xa9 \u{e9}"', "é é é"),
            (r'"\xff\u{d800}"', "\udcff\udced\udca0\udc80"),
            ('"a\\\nb"', "a\nb"),
            ('"a\\\r\nb"', "a\nb"),
            ('"a\\z  \n\t b"', "ab"),
            ("'\"'", '"'),
            ("'é\udcff'", "é\udcff"),
            ('""', ""),
            ("[[a\\n]b]]", "a\\n]b"),
            ("[==[\nx]]y\n]==]", "x]]y\n"),
        ):
            self.assert_reads(text, value)

    def test_tables(self) -> None:
        """A table with keys from 1 on is a list, any other a dict, as in a message."""
        cases: list[tuple[str, Any]] = [
            ("{}", {}),
            ("{1, 2; 3,}", [1, 2, 3]),
            ("{1, x = 'y', ['k k'] = {true}}", {1: 1, "x": "y", "k k": [True]}),
            ("{[1] = 'a', [2] = 'b'}", ["a", "b"]),
            ("{[2] = 'b'}", {2: "b"}),
            ("{nil, 2}", {2: 2}),
            ("{nil, x = nil}", {}),
            ("{[1.0] = 1, [1.5] = 2}", {1: 1, 1.5: 2}),
            ("{[true] = 1}", {True: 1}),
            ("{x = -1, [ [[y]] ] = {}}", {"x": -1, "y": {}}),
        ]
        for text, value in cases:
            self.assert_reads(text, value)
            self.assertEqual(unpack(pack(literal(text))), (value,))
        [key] = literal("{[{1}] = 2}")
        self.assertIsInstance(key, OddKey)

    def test_depth(self) -> None:
        """Tables are read up to a depth that no message reaches, and not beyond it."""
        self.assertIsNotNone(literal("{" * DEPTH + "}" * DEPTH))
        error = self.assertRaises(LiteralError, literal, "{" * 100_000)
        self.assertEqual(error.offset, DEPTH)

    def test_time(self) -> None:
        """A string without an end is found out in time, whatever escapes it has."""
        for text in ('"' + "\\z  " * 10_000, "{" + "'" + "\\\\\\'" * 10_000):
            self.assertRaisesRegex(LiteralError, "without an end", literal, text)

    def test_reader(self) -> None:
        """A reader gives what comes next, and stays at the end."""
        reader = Reader("db = 'h:1'; x")
        self.assertEqual(reader.take(), ("name", "db", 0))
        self.assertFalse(reader.take_sign(";"))
        reader.expect("=", "= is wanted")
        self.assertEqual(reader.value(), "h:1")
        self.assertTrue(reader.take_sign(";"))
        self.assertEqual(reader.take().text, "x")
        for _ in range(3):
            self.assertEqual(reader.take().kind, "end")


class ErrorTests(SynchronousTestCase):
    """What is refused, with its place."""

    def test_errors(self) -> None:
        """Each mistake is told with where it is and what is wrong."""
        no_value = "is no value; text stands in quotes"
        for text, offset, reason in (
            ("", 0, "a value is wanted, not the end"),
            ("1 2", 2, "the end is wanted, not 2"),
            ("1 'x'", 2, "the end is wanted, not the string 'x'"),
            ("alice", 0, f"alice {no_value}"),
            ("os.exit()", 0, f"os {no_value}"),
            ("1 .. 2", 2, "the end is wanted, not .."),
            ("#x", 0, f"#x {no_value}"),
            ("- true", 2, "a number is wanted, not true"),
            ("- -1", 2, "a number is wanted, not -"),
            ("99999999999999999999", 0, "99999999999999999999 does not fit 64 bits"),
            ("0x10000000000000000", 0, "0x10000000000000000 does not fit 64 bits"),
            ("0x1p99999", 0, "0x1p99999 is no number"),
            ('"abc', 0, "a string without an end"),
            ('"a\nb"', 0, "a string without an end"),
            ("[=[a]]", 0, "[=[ is not closed by ]=]"),
            ("1 --[[", 2, "--[[ is not closed by ]]"),
            (r'"a\q"', 0, r"the escape \q means nothing"),
            (r'"\256"', 0, r"the escape \256 means nothing"),
            (r'"\u{110000}"', 0, r"the escape \u{110000} means nothing"),
            ('"\\é"', 0, "the escape \\é means nothing"),
            ("{1, 2", 0, "a table without an end"),
            ("{x = {1}", 0, "a table without an end"),
            ("{1 2}", 3, "a comma or } is wanted, not 2"),
            ("{,}", 1, "a value is wanted, not ,"),
            ("{alice}", 1, f"alice {no_value}"),
            ("{1, f(2)}", 4, f"f {no_value}"),
            ("{true = 1}", 6, "a comma or } is wanted, not ="),
            ("{[1] 2}", 5, "= is wanted behind a key, not 2"),
            ("{[1, 2}", 3, "] is wanted behind a key, not ,"),
            ("{[nil] = 1}", 1, "nil cannot be a key"),
            ("{x = 1, x = 2}", 8, "the key 'x' is there twice"),
            ("{1, [1] = 2}", 0, "the key 1 is there twice"),
            ("{'}'", 0, "a table without an end"),
        ):
            error = self.assertRaises(LiteralError, literal, text)
            self.assertEqual((error.offset, error.reason), (offset, reason), text)
            self.assertEqual(str(error), f"at character {offset + 1}: {reason}")

    @given(st.text(st.sampled_from("{}[]=,;-\"'\\nilx01.e \n\udcff"), max_size=30))
    def test_any_text(self, text: str) -> None:
        """Whatever a text is, it is a value or a `LiteralError`."""
        try:
            literal(text)
        except LiteralError as error:
            self.assertTrue(0 <= error.offset <= len(text))
