"""Node tables, as TOML and as Lua."""

from __future__ import annotations

from skynet_tw.discovery import nodetable
from skynet_tw.discovery.nodetable import NodeTable, lua_table, parse

from .support import DirectoryCase

BOTH = NodeTable(
    {"db": "10.0.0.1:2528", "web": "[::1]:80"}, frozenset({"old"}), True, ("__x",)
)

LUA = """
-- the nodes of the game
db = "10.0.0.1:2528" web = '[::1]:80';
old = false --[[ moved ]]
__nowaiting = true
__x = 3
"""

TOML = """
# the nodes of the game
db = "10.0.0.1:2528"
web = '[::1]:80'
old = false
__nowaiting = true
__x = 3
"""


class NodeTableTests(DirectoryCase):
    """What is read."""

    def test_both(self) -> None:
        """TOML and Lua say the same, by the suffix or without one that says which."""
        self.assertEqual(parse(LUA.encode(), "nodes.lua"), BOTH)
        self.assertEqual(parse(TOML.encode(), "nodes.toml"), BOTH)
        self.assertEqual(parse(LUA.encode(), "nodes"), BOTH)
        self.assertEqual(parse(TOML.encode(), "nodes"), BOTH)

    def test_empty(self) -> None:
        """A table may be empty, and says nothing of ``__nowaiting`` then."""
        for name in ("nodes.lua", "nodes.toml", "nodes"):
            self.assertEqual(parse(b"", name), NodeTable())

    def test_mark(self) -> None:
        """A byte-order mark is no part of the text."""
        table = parse(b'\xef\xbb\xbfdb = "h:1"', "nodes.lua")
        self.assertEqual(table.addresses, {"db": "h:1"})

    def test_last(self) -> None:
        """In Lua the last of several assignments counts, as in a real node."""
        table = parse(b'db = "h:1" db = false web = false web = "h:2"', "nodes.lua")
        self.assertEqual(table, NodeTable({"web": "h:2"}, frozenset({"db"})))

    def test_endpoints(self) -> None:
        """An address may be an endpoint string."""
        table = parse(b'db = "unix:/run/db"', "nodes.toml")
        self.assertEqual(table.addresses, {"db": "unix:/run/db"})

    def test_load(self) -> None:
        """A table is read from its file."""
        path = self.scratch("nodes")
        with open(path, "w") as file:
            file.write(TOML)
        self.assertEqual(nodetable.load(path), BOTH)


class ErrorTests(DirectoryCase):
    """What is wrong is said in one line, with the file and the line number."""

    def assert_wrong(self, text: str | bytes, name: str, reason: str) -> None:
        data = text.encode() if isinstance(text, str) else text
        error = self.assertRaises(ValueError, parse, data, name)
        self.assertEqual(str(error), f"{name}: {reason}")

    def test_values(self) -> None:
        """A node has an address or false, in either form."""
        wanted = "HOST:PORT as a text, or false, is wanted, not"
        for value, found in (("3", "3"), ("true", "True"), ("1.5", "1.5")):
            for name in ("nodes.lua", "nodes.toml"):
                text = f"\ndb = {value}"
                self.assert_wrong(text, name, f"line 2: 'db': {wanted} {found}")
        self.assert_wrong(
            '\n[db]\nport = "1"', "n.toml", f"line 2: 'db': {wanted} {{'port': '1'}}"
        )

    def test_addresses(self) -> None:
        """An address is checked: its form, its host, its port."""
        for address, reason in (
            ("nowhere", "'nowhere' is neither HOST:PORT nor an endpoint string"),
            ("h:70000", "'h:70000': port 70000 is not in 0..65535"),
            ("h:0", "'h:0': port 0 is not in 1..65535"),
            (":80", "':80' names no host"),
        ):
            text = f'\n\n  "db" = "{address}"'
            self.assert_wrong(text, "n.toml", f"line 3: 'db': {reason}")
            text = f'\n\n  db = "{address}"'
            self.assert_wrong(text, "n.lua", f"line 3: 'db': {reason}")

    def test_names(self) -> None:
        """A name is there, and can be shown."""
        self.assert_wrong(
            '"" = "h:1"', "n.toml", "line 1: '': '' cannot be the name of a node"
        )
        self.assert_wrong(
            '"a\\tb" = "h:1"', "n.toml", r"'a\tb': 'a\tb' cannot be the name of a node"
        )

    def test_option(self) -> None:
        """``__nowaiting`` is a boolean."""
        wrong = "line 1: __nowaiting is true or false, not 'yes'"
        self.assert_wrong('__nowaiting = "yes"', "n.toml", wrong)
        self.assert_wrong('__nowaiting = "yes"', "n.lua", wrong)

    def test_syntax(self) -> None:
        """What cannot be read at all is said by the form's own rules, or by both."""
        lua = "line 1: a string, a number, true or false is wanted, not {"
        self.assert_wrong("db = {}", "n.lua", lua)
        error = self.assertRaises(ValueError, parse, b"db = ?", "n.toml")
        self.assertRegex(str(error), r"^n\.toml: .*line 1")
        error = self.assertRaises(ValueError, parse, b"db = \n[", "n")
        self.assertRegex(
            str(error), r"^n: neither TOML \(.*line 1.*\) nor Lua \(line 2"
        )

    def test_bytes(self) -> None:
        """A file that is not UTF-8, or far too large, is no table."""
        self.assert_wrong(
            b'\n\xff = "h:1"', "n.lua", "line 2: byte 0xff, which is not UTF-8"
        )
        self.assert_wrong(
            b"#" * (nodetable.MAX_SIZE + 1),
            "n.toml",
            f"more than {nodetable.MAX_SIZE} bytes, and no node table",
        )

    def test_missing(self) -> None:
        """A file that is not there, or cannot be opened, is named with the reason."""
        path = self.scratch("nodes")
        error = self.assertRaises(ValueError, nodetable.load, path)
        self.assertEqual(str(error), f"{path}: No such file or directory")
        error = self.assertRaises(ValueError, nodetable.load, "a\0b")
        self.assertEqual(str(error), r"a\x00b: embedded null byte")


class LuaTableTests(DirectoryCase):
    """What is pushed to Lua nodes."""

    def test_table(self) -> None:
        """Nodes have their addresses, those that are gone are false."""
        table = lua_table({"db": "h:1", "web": "[::1]:2"}, ["old", "db"])
        self.assertEqual(table, {"db": "h:1", "web": "[::1]:2", "old": False})

    def test_view(self) -> None:
        """What a view says of absent nodes and options is told to them as well."""
        view = parse(LUA.encode(), "nodes.lua").view
        expected = {"db": "10.0.0.1:2528", "web": "[::1]:80"}
        self.assertEqual(
            lua_table(view), {**expected, "old": False, "__nowaiting": True}
        )

    def test_endpoints(self) -> None:
        """What a Lua node cannot dial is left out."""
        self.assertEqual(lua_table({"db": "unix:/run/db", "x": "?"}), {})
