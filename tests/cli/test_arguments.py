"""Words of a command line as values of a message."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from skynet_tw.cli.arguments import FORMS, BadArgument, from_json, from_lua, read
from skynet_tw.seri import pack


class LuaTests(SynchronousTestCase):
    """The form without an option."""

    def test_words(self) -> None:
        """A number, a constant, a quoted text and a table are values; the rest text."""
        cases: list[tuple[str, Any]] = [
            ("1", 1),
            ("-2", -2),
            ("0x10", 16),
            ("1.5", 1.5),
            ("1e3", 1000.0),
            ("true", True),
            ("false", False),
            ("nil", None),
            ('"1"', "1"),
            ("'it\\'s'", "it's"),
            ("{1, 2}", [1, 2]),
            ("{x = 'y'}", {"x": "y"}),
            ("DEPOSIT", "DEPOSIT"),
            ("@bank", "@bank"),
            (".launcher", ".launcher"),
            ("10.0.0.1:7000", "10.0.0.1:7000"),
            ("2026-11-25", "2026-11-25"),
            ("-x", "-x"),
            ("-", "-"),
            ("two words", "two words"),
            (" 1", " 1"),
            ("True", "True"),
            ("it's", "it's"),
            ("[1]", "[1]"),
            ("", ""),
            ("\udcff", "\udcff"),
        ]
        for text, value in cases:
            found = from_lua(text)
            self.assertEqual((found, type(found)), (value, type(value)), text)

    def test_errors(self) -> None:
        """The first bad argument is told: which it is, where in it, and why."""
        for texts, said in (
            (["a", "{1, 2"], "argument 2, '{1, 2': at character 1: a table without"),
            (["'x"], "at character 1: a string without an end"),
            (["{alice}"], "at character 2: alice is no value; text stands in quotes"),
            (['"a" b'], "at character 5: the end is wanted, not b"),
            (["99999999999999999999"], "does not fit 64 bits"),
            (["--json"], "options go before HOST:PORT; as text it is '\"--json\"'"),
        ):
            error = self.assertRaises(BadArgument, read, "lua", texts)
            self.assertIn(said, str(error))
            self.assertEqual(error.number, len(texts))


class OtherFormsTests(SynchronousTestCase):
    """``--json`` and ``--string``."""

    def test_json(self) -> None:
        """Each argument is a JSON value, and goes into a message."""
        cases: list[tuple[str, Any]] = [
            ("1", 1),
            ("1.0", 1.0),
            ("null", None),
            ('"\\u00e9"', "é"),
            ('{"a": [1, {}, true]}', {"a": [1, {}, True]}),
            (" [ ] ", []),
        ]
        for text, value in cases:
            found = from_json(text)
            self.assertEqual((found, type(found)), (value, type(value)), text)
            pack(found)

    def test_json_errors(self) -> None:
        """What is no JSON, or fits no message, is told with its place."""
        for text, said in (
            ("DEPOSIT", "at character 1: expecting value; text stands in double"),
            ("", "at character 1: expecting value"),
            ("[1, 2", "at character 6: expecting ',' delimiter"),
            ("1 2", "at character 3: extra data"),
            ("NaN", "NaN is no JSON"),
            ("-Infinity", "-Infinity is no JSON"),
            ("18446744073709551616", "18446744073709551616 does not fit 64 bits"),
            ("[" + "9" * 10_000 + "]", "does not fit 64 bits"),
            ("[" * 100_000, "too deep"),
        ):
            error = self.assertRaises(BadArgument, read, "json", ["1", text])
            self.assertIn(said, str(error))
            self.assertIn("argument 2, '", str(error))
            self.assertLess(len(str(error)), 300)

    def test_string(self) -> None:
        """Each argument is text, whatever it looks like."""
        texts = ["1", "nil", "{", "--json", '"x"', ""]
        self.assertEqual(read("string", texts), texts)

    @given(st.sampled_from(sorted(FORMS)), st.text(max_size=20))
    def test_any_text(self, form: str, text: str) -> None:
        """Whatever a word is, it is a value or a `BadArgument`."""
        try:
            [_] = read(form, [text])
        except BadArgument as error:
            self.assertEqual(error.number, 1)
