"""Results of a call as lines of text."""

from __future__ import annotations

import json
import math
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from skynet_tw.cli.arguments import from_lua
from skynet_tw.cli.results import line, lines
from skynet_tw.luavalue import LightUserdata, OddKey
from skynet_tw.seri import pack, unpack

_numbers = st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False)
_scalars = st.none() | st.booleans() | _numbers | st.text(max_size=20)
_keys = st.text(max_size=8) | st.integers(-3, 5) | st.just(1.5)
_values = st.recursive(
    _scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_keys, inner),
    max_leaves=10,
)


class LuaTests(SynchronousTestCase):
    """What people read."""

    def test_lines(self) -> None:
        """Each result has a line; text has quotes only where it needs them."""
        for value, said in (
            (1, "1"),
            (1.0, "1.0"),
            (-0.5, "-0.5"),
            (1e100, "1e+100"),
            (-(2**63), "-9223372036854775808"),
            (None, "nil"),
            (True, "true"),
            ("ok", "ok"),
            ("two words", "two words"),
            ("it's", "it's"),
            ("a\\b", "a\\b"),
            ("é", "é"),
            ("1", '"1"'),
            ("nil", '"nil"'),
            ("", '""'),
            (" x", '" x"'),
            ('"x"', '"\\"x\\""'),
            ("{}", '"{}"'),
            ("--x", '"--x"'),
            ("a\nb\tc\r\0", '"a\\nb\\tc\\r\\x00"'),
            ("\udcff\u2028", '"\\xff\\u{2028}"'),
            ([], "{}"),
            ([1, "x", [True]], '{1, "x", {true}}'),
            ({2: 1, "b": 2, "a": 1, "k k": {}}, None),
            ({"end": 1, "1": 2}, '{["1"] = 2, ["end"] = 1}'),
            ({True: 1, 1.5: 2, -3: 3}, "{[-3] = 3, [1.5] = 2, [true] = 1}"),
            ({OddKey(True): 1, 1: 2}, "{2, [true] = 1}"),
            ({OddKey([1]): 2}, "{[{1}] = 2}"),
            (math.inf, "1e9999"),
            (-math.inf, "-1e9999"),
            (math.nan, "(0/0)"),
            (LightUserdata(255), "userdata: 0xff"),
        ):
            if said is None:
                said = '{[2] = 1, a = 1, b = 2, ["k k"] = {}}'
            self.assertEqual(line(value), said)

    def test_each(self) -> None:
        """No result has no line, and several have one each."""
        self.assertEqual(lines([]), [])
        self.assertEqual(lines([120, "ok", [1]]), ["120", "ok", "{1}"])

    @given(_values)
    def test_again(self, value: Any) -> None:
        """A line is one line, and as an argument the value that it shows."""
        # As a message brings it.
        [value] = unpack(pack(value))
        said = line(value)
        self.assertEqual(said.splitlines(), [said])
        self.assertEqual(from_lua(said), value)

    @given(st.binary(max_size=20))
    def test_bytes(self, value: bytes) -> None:
        """Any string of Lua's comes back, also what is no UTF-8."""
        [text] = unpack(pack(value))
        self.assertEqual(from_lua(line(text)), text)
        line(text).encode()


class JsonTests(SynchronousTestCase):
    """What programs read."""

    def assert_json(self, results: list[Any], value: Any) -> None:
        [text] = lines(results, as_json=True)
        self.assertTrue(text.isascii())
        self.assertEqual(json.loads(text), value)

    def test_values(self) -> None:
        """All results are one array, in one line of ASCII."""
        self.assert_json([], [])
        self.assert_json([120, "ok", None, [1.5, {}]], [120, "ok", None, [1.5, {}]])
        self.assert_json(["é\n\udcff"], ["é\n\udcff"])

    def test_odd(self) -> None:
        """What JSON has not is written near to it, and no entry is lost."""
        self.assert_json([math.nan, math.inf], [None, None])
        self.assert_json([{1: "a", 3: "b", "x": 2}], [{"1": "a", "3": "b", "x": 2}])
        self.assert_json([{1: "a", "1": "b"}], [{"[1]": "a", "1": "b"}])
        odd = {OddKey([1]): 1, True: 2, 1.5: 3}
        self.assert_json([odd], [{"{1}": 1, "true": 2, "1.5": 3}])
        self.assert_json([LightUserdata(16)], ["userdata: 0x10"])

    @given(st.lists(_values, max_size=3))
    def test_any(self, values: list[Any]) -> None:
        """Whatever a message brings is JSON."""
        [text] = lines(unpack(pack(*values)), as_json=True)
        self.assertEqual(len(json.loads(text)), len(values))
