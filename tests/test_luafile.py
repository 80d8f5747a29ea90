"""Skynet's files of settings, read as constants."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from skynet_tw import luafile
from skynet_tw.luafile import LuaFileError, Setting


class ConstantTests(SynchronousTestCase):
    """What is read."""

    def value(self, text: str) -> object:
        """The one value of a file."""
        [setting] = luafile.read(f"x = {text}")
        return setting.value

    def test_file(self) -> None:
        """Assignments are read in their order, with their lines, in any layout."""
        text = """-- the nodes
        db = "10.0.0.1:2528" ; web='h:1' --[[ of
        several lines ]] __nowaiting = true
        --[==[ ]] ]==] n = 3;;
        db = false"""
        self.assertEqual(
            luafile.read(text),
            [
                Setting("db", "10.0.0.1:2528", 2),
                Setting("web", "h:1", 2),
                Setting("__nowaiting", True, 3),
                Setting("n", 3, 4),
                Setting("db", False, 5),
            ],
        )

    def test_empty(self) -> None:
        """A file may have nothing but comments."""
        self.assertEqual(luafile.read(""), [])
        self.assertEqual(luafile.read("--[[ a ]] -- b\n;"), [])

    def test_numbers(self) -> None:
        """Numbers are read in each form that Lua has for them."""
        for text, value in (
            ("7", 7),
            ("-7", -7),
            ("0x1F", 31),
            ("3.5", 3.5),
            (".5", 0.5),
            ("5.", 5.0),
            ("1e3", 1000.0),
            ("-0x.8p1", -1.0),
        ):
            found = self.value(text)
            self.assertEqual((found, type(found)), (value, type(value)), text)

    def test_escapes(self) -> None:
        """Escapes mean what they mean in Lua; bytes make up UTF-8 together."""
        for text, value in (
            (r'"\a\b\f\n\r\t\v\\\"\'"', "\a\b\f\n\r\t\v\\\"'"),
            (r'"\65\0667\x41"', "AB7A"),
            (r'"\195\169 \xc3\xa9 \u{e9}"', "é é é"),
            ('"a\\\nb"', "a\nb"),
            ('"a\\\r\nb"', "a\nb"),
            ('"a\\z  \n\t b"', "ab"),
            ("'\"'", '"'),
            ("'é'", "é"),
        ):
            self.assertEqual(self.value(text), value, text)

    def test_long_strings(self) -> None:
        """Long strings have no escapes, and lose a line end at their begin."""
        self.assertEqual(self.value("[[a\\n]b]]"), "a\\n]b")
        self.assertEqual(self.value("[==[\nx]]y\n]==]"), "x]]y\n")

    def test_time(self) -> None:
        """A string without an end is found out in time, whatever escapes it has."""
        text = 'x = "' + "\\z  " * 10_000
        self.assertRaisesRegex(LuaFileError, "without an end", luafile.read, text)


class ErrorTests(SynchronousTestCase):
    """What is refused: all that would have to be executed, or is a mistake."""

    def assert_wrong(self, text: str, line: int, reason: str) -> None:
        error = self.assertRaises(LuaFileError, luafile.read, text)
        self.assertEqual((error.line, error.reason), (line, reason))
        self.assertEqual(str(error), f"line {line}: {reason}")

    def test_values(self) -> None:
        """A value that is no constant is named, with its line."""
        wanted = "a string, a number, true or false is wanted, not "
        for text, found in (
            ("os.getenv('x')", "os"),
            ("{}", "{"),
            ("nil", "nil"),
            ("", "the end"),
            ("1x", "1x"),
            ("?", "?"),
        ):
            self.assert_wrong(f"\nx = {text}", 2, wanted + found)
        for text, found in (("-'1'", "the string '1'"), ("- true", "true")):
            self.assert_wrong(f"x = {text}", 1, f"a number is wanted, not {found}")

    def test_statements(self) -> None:
        """A statement that is no assignment is named, with its line."""
        for text, reason in (
            ("local x = 1", "a name is wanted, not local"),
            ("x = 'a' .. 'b'", "a name is wanted, not .."),
            ("if = 1", "a name is wanted, not if"),
            ("'x' = 1", "a name is wanted, not the string 'x'"),
            ("x.y = 1", "= is wanted behind x, not .y"),
            ("x, y = 1, 2", "= is wanted behind x, not ,"),
            ("include 'x'", "= is wanted behind include, not the string 'x'"),
            ("x", "= is wanted behind x, not the end"),
        ):
            self.assert_wrong(f"a = 1\n{text}", 2, reason)

    def test_strings(self) -> None:
        """What is wrong in a string is said."""
        for text, reason in (
            ('"a', "a string without an end"),
            ('"a\nb"', "a string without an end"),
            ("[[a]=]", "[[ is not closed by ]]"),
            ("--[=[a]]", "--[=[ is not closed by ]=]"),
            (r'"\q"', r"the escape \q means nothing"),
            (r'"\256"', r"the escape \256 means nothing"),
            (r'"\u{d800}"', "the bytes of a string are not UTF-8"),
            (r'"\xff"', "the bytes of a string are not UTF-8"),
            ("0x", "a string, a number, true or false is wanted, not 0x"),
            ("0x1p9999", "0x1p9999 is no number"),
            ("99999999999999999999", "99999999999999999999 does not fit 64 bits"),
        ):
            self.assert_wrong(f"x = {text}", 1, reason)
