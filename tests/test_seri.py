"""Skynet's values against what real nodes wrote, read and refused."""

from __future__ import annotations

import contextlib
import enum
import json
import sys
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from skynet_tw import seri
from skynet_tw.errors import PackError, TooLarge, UnpackError
from skynet_tw.handle import Handle
from skynet_tw.seri import LightUserdata, OddKey, pack, pack_values, unpack
from skynet_tw.text import error_text

from . import lua, strategies
from .test_text import hostile

DATA = Path(__file__).parent / "data"
POINTER = LightUserdata(0x0102030405060708)


def load(name: str) -> Any:
    return json.loads((DATA / name).read_text("ascii"))


def nested(depth: int, leaf: Any = (), key: str | None = None) -> Any:
    """Make *depth* tables in each other, of which the innermost is *leaf*."""
    value = leaf or {}
    for _ in range(depth - 1):
        value = [value] if key is None else {key: value}
    return value


#: The values of those cases whose Lua is more than an expression.
BY_HAND: dict[str, list[Any]] = {
    **{
        f"tbl_array_{size}": [list(range(1, size + 1))]
        for size in (29, 30, 31, 32, 33, 254, 255, 256, 257, 300)
    },
    **{f"tbl_array_{size}_true": [[True] * size] for size in (65535, 65536)},
    **{f"tbl_nested_depth_{depth}": [nested(depth)] for depth in (16, 31, 32)},
    "tbl_nested_hash_depth_32": [nested(32, key="a")],
    "tbl_nested_depth_31_scalar": [nested(31, [1])],
    "tbl_nested_depth_32_leaf_nonempty": [nested(32, [1])],
    "tbl_nested_depth_33_empty_leaf": [nested(33)],
    "tbl_nested_hash_depth_33_empty_leaf": [nested(33, key="a")],
    "tbl_hash_100": [{f"k{i}": i for i in range(1, 101)}],
    "tbl_sparse_1_2_4": [{1: 1, 2: 2, 4: 4}],
    "tbl_reverse_fill": [[1, 2, 3, 4]],
    "tbl_mixed_31_hash": [{**{i: i for i in range(1, 32)}, "n": 31}],
    "tbl_mixed_300_hash": [{**{i: i % 7 for i in range(1, 301)}, "n": 300}],
    "tbl_shared_reference": [[[1], [1]]],
    "meta_len_ignored": [[1, 2, 3]],
    "meta_pairs_one": [{"x": 1}],
    "meta_pairs_array": [[10, 20, 30]],
    "meta_pairs_ipairs": [[10, 20, 30]],
    "meta_pairs_empty": [{}],
    "meta_pairs_nil_value": [{}],
    "meta_pairs_nested": [[[1]]],
    "lud_null": [LightUserdata(0)],
    "lud_1": [LightUserdata(1)],
    "lud_pattern": [POINTER],
    "lud_in_table": [[POINTER]],
    "lud_as_key": [{POINTER: 1}],
    "accept_userdata_cookie_5": [LightUserdata(1)],
    "accept_real_negative_zero": [-0.0],
}


def expected(case: dict[str, Any], field: str = "lua") -> list[Any]:
    """Give the values of a case, as `unpack` must give them."""
    if case["name"] in BY_HAND:
        return BY_HAND[case["name"]]
    return [lua.python(value) for value in lua.values(case[field])]


def received(case: dict[str, Any]) -> bytes:
    """Give the bytes that the real decoder got."""
    if "hex" in case:
        return bytes.fromhex(case["hex"])
    data = lua.values(case["input_lua"])[0]
    assert len(data) == case["size"]
    return bytes(data)


class GoldenTests(SynchronousTestCase):
    """All that a real node packed."""

    cases = (*load("seri.json"), *load("seri_large.json"))

    def test_unpack(self) -> None:
        """What a real node packed is read as the values it had."""
        for case in self.cases:
            values = unpack(bytes.fromhex(case["hex"]))
            self.assertIsInstance(values, tuple)
            self.assertEqual(lua.form(values), lua.form(expected(case)), case["name"])

    def test_pack(self) -> None:
        """The same values are packed to the very bytes of a real node."""
        for case in self.cases:
            packed = pack(*expected(case)).hex()
            if "hash_order_varies" in case:
                self.assertEqual(len(packed), len(case["hex"]), case["name"])
            else:
                real = case.get("repack_hex", case["hex"])
                self.assertEqual(packed, real, case["name"])

    def test_repack(self) -> None:
        """What was read is packed again as a real node does it."""
        for case in self.cases:
            if "hash_order_varies" not in case:
                packed = pack(*unpack(bytes.fromhex(case["hex"])))
                real = case.get("repack_hex", case["hex"])
                self.assertEqual(packed.hex(), real, case["name"])

    def test_truncated(self) -> None:
        """Whatever is cut off a table or a string, the rest is refused."""
        for case in self.cases:
            data = bytes.fromhex(case["hex"])
            if len(unpack(data)) == 1 and len(data) < 1000:
                for size in range(1, len(data)):
                    with self.assertRaises(UnpackError, msg=case["name"]) as caught:
                        unpack(data[:size])
                    self.assertLessEqual(caught.exception.offset, size)

    def test_buffers(self) -> None:
        """Other buffers than bytes are read as well."""
        data = pack("a", {"b": [1.5, "x" * 40]})
        self.assertEqual(unpack(bytearray(data)), unpack(data))
        self.assertEqual(unpack(memoryview(data)), unpack(data))


class StrangeInputTests(SynchronousTestCase):
    """All that a real node was given to unpack."""

    cases = load("seri_bad.json")["decode"]

    def of(self, *results: str) -> list[dict[str, Any]]:
        found = [case for case in self.cases if case["result"] in results]
        self.assertTrue(found)
        return found

    def test_read_alike(self) -> None:
        """What a real node reads is read alike, up to the depth that we allow."""
        for case in self.of("values"):
            values = unpack(received(case), max_depth=100_000)
            self.assertEqual(len(values), case["count"], case["name"])
            if "..." not in case["values"]:
                wanted = expected(case, "values")
                self.assertEqual(lua.form(values), lua.form(wanted), case["name"])

    def test_repacked_alike(self) -> None:
        """What a real node packs after reading it is packed alike."""
        for case in self.of("values"):
            values = unpack(received(case), max_depth=100_000)
            if "repack_hex" in case:
                packed = pack(*values).hex()
                self.assertEqual(packed, case["repack_hex"], case["name"])
            elif "repack_error" in case:
                self.assertRaises(PackError, pack, *values)

    def test_refused_alike(self) -> None:
        """What a real node refuses is refused, and no later than there."""
        for case in self.of("error"):
            data = received(case)
            with self.assertRaises(UnpackError, msg=case["name"]) as caught:
                unpack(data)
            self.assertGreaterEqual(caught.exception.offset, 0)
            read = len(data) - case.get("unread", 0)
            self.assertLessEqual(caught.exception.offset, read, case["name"])

    def test_crashes_refused(self) -> None:
        """What kills a real node is refused."""
        for case in self.of("crash"):
            with self.assertRaises(UnpackError, msg=case["name"]):
                unpack(received(case))

    def test_depth(self) -> None:
        """64 nested tables are read, one more is refused; the limit is an argument."""
        self.assertEqual(unpack(b"\x0e" * 63 + b"\x06" + bytes(64)), (nested(64),))
        with self.assertRaises(UnpackError) as caught:
            unpack(b"\x0e" * 64 + b"\x06" + bytes(65))
        self.assertEqual(caught.exception.offset, 64)
        self.assertEqual(unpack(b"\x0e\x06\0\0", max_depth=2), ([{}],))
        self.assertRaises(UnpackError, unpack, b"\x0e\x06\0\0", max_depth=1)

    def test_many_values(self) -> None:
        """The number of values is limited, but not that of elements of a table."""
        self.assertEqual(len(unpack(bytes(1_000_000))), 1_000_000)
        self.assertRaises(UnpackError, unpack, bytes(1_000_001))
        self.assertEqual(unpack(b"\x09\x0e\x01\0", max_values=2), (True, [False]))
        self.assertRaises(UnpackError, unpack, b"\x09\x09\x09", max_values=2)
        elements = [True] * 1_100_000
        self.assertEqual(unpack(pack(elements)), (elements,))

    def test_offset_and_reason(self) -> None:
        """The error names the byte at which the bad value begins, and what it is."""
        for data, text in [
            ("0901ff", "at byte 2: tag 0xff is no value"),
            ("091a", "at byte 1: tag 0x1a is no integer"),
            ("090d00", "at byte 1: tag 0x0d is no value"),
            ("0901220000", "at byte 2: the message ends inside a value"),
            ("092c6162", "at byte 1: the message ends inside a string"),
            ("091502006f", "at byte 1: the message ends inside a string"),
            ("09060c61", "at byte 4: the message ends inside a table"),
            ("09fe0a20", "at byte 4: 32 elements in 0 bytes"),
            ("09fe09", "at byte 2: tag 0x09 is no integer"),
            ("0642000000000000f87f0900", "at byte 1: NaN cannot be a key"),
        ]:
            with self.assertRaises(UnpackError) as caught:
                unpack(bytes.fromhex(data))
            self.assertEqual(str(caught.exception), text)

    def test_memory(self) -> None:
        """No input makes the decoder take memory beyond its own size's measure."""
        for data in [
            b"\xfe\x22\xff\xff\xff\x7f",
            b"\x25\xff\xff\xff\x7f",
            b"\x0e" * 100_000,
            b"\xf6" * 100_000,
            bytes(100_000),
            b"\x06" + b"\x06\0" * 50_000,
            b"\x06" + b"\x06\x02\x09\0" * 25_000,
            b"\xfe\x22" + (90_000).to_bytes(4, "little") + bytes(90_000),
            b"\xfe\x22" + (90_000).to_bytes(4, "little") + b"\x06\0" * 45_000,
            b"\x06" + b"\x14ab" * 30_000,
        ]:
            tracemalloc.start()
            self.assertRaises(UnpackError, unpack, data, max_values=1000)
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
            self.assertLess(peak, 10_000 + 80 * len(data), data[:8])


class TableTests(SynchronousTestCase):
    """What becomes of tables, where Python's differ from Lua's."""

    def test_gaps(self) -> None:
        """A list with None is packed as a modern node packs it, and comes as a dict."""
        for values, packed, read in [
            ([1, None, 3], "0e0a010a030a0300", {1: 1, 3: 3}),
            ([1, None, None, 4], "0e0a010a040a0400", {1: 1, 4: 4}),
            ([1, 2, None], "160a010a0200", [1, 2]),
            ([None, 2], "060a020a0200", {2: 2}),
            ([None], "0600", {}),
        ]:
            self.assertEqual(pack(values).hex(), packed)
            self.assertEqual(unpack(bytes.fromhex(packed)), (read,))

    def test_gaps_of_old_nodes(self) -> None:
        """Nil in the array part is a gap, and nothing at its end."""
        for packed, read in [
            ("1e0a01000a0300", {1: 1, 3: 3}),
            ("1e0a010a020000", [1, 2]),
            ("16000000", {}),
            ("16000a0200", {2: 2}),
            ("16000a020a010a0900", [9, 2]),
        ]:
            self.assertEqual(lua.form(unpack(bytes.fromhex(packed))), lua.form([read]))

    def test_dict_without_none(self) -> None:
        """An entry of a dict whose value is None is not packed."""
        self.assertEqual(pack({"a": None}), pack({}))
        self.assertEqual(pack({"a": None, 1: 2, "b": 3}), pack({1: 2, "b": 3}))
        self.assertEqual(pack({1: 1, 2: None, 3: 3}), pack([1, None, 3]))

    def test_array_part(self) -> None:
        """The keys 1..n of a dict go to the array part, whatever their order."""
        self.assertEqual(pack({2: "b", 1: "a"}), pack(["a", "b"]))
        self.assertEqual(pack({2.0: "b", 1.0: "a"}), pack(["a", "b"]))
        self.assertEqual(pack({"x": 1, 1: "a"}), bytes.fromhex("0e0c610c780a0100"))

    def test_true_and_one(self) -> None:
        """A bool key is one, and stays apart from the number that equals it."""
        self.assertEqual(lua.form(unpack(pack({True: 1}))), lua.form([{True: 1}]))
        both = {1: "one", OddKey(True): "true", 0: "zero", OddKey(False): "false"}
        read = unpack(pack(both))[0]
        self.assertEqual(lua.form(read), lua.form(both))
        self.assertEqual(read[OddKey(True)], "true")
        self.assertEqual(repr(OddKey(True)), "OddKey(True)")
        self.assertEqual(pack({True: "a", 2: "b"})[0], 0x06)

    def test_table_as_key(self) -> None:
        """Tables as keys are told apart by identity, as in Lua, and none is lost."""
        data = bytes.fromhex("06 0e0a0100 0a01 0e0a0100 0a02 0600 0a03 00")
        table = unpack(data)[0]
        found = [(key.value, value) for key, value in table.items()]
        self.assertEqual(found, [([1], 1), ([1], 2), ({}, 3)])
        self.assertEqual(pack(table), data)
        self.assertEqual(pack({(1,): 1}), bytes.fromhex("06 0e0a0100 0a01 00"))

    def test_bytes_as_key(self) -> None:
        """A key of bytes is text, and may not be there twice."""
        self.assertEqual(pack({b"a": 1}), pack({"a": 1}))
        with self.assertRaises(PackError) as caught:
            pack([{b"a": 1, "a": 2}])
        self.assertEqual(
            str(caught.exception), "argument 1 -> [0]: two of its keys are one in Lua"
        )

    def test_big_float_as_key(self) -> None:
        """A float key becomes an integer only where Lua's integers reach."""
        for key in (2.0**63, -(2.0**64), float("inf"), 0.5):
            self.assertEqual(lua.form(unpack(pack({key: 1}))), lua.form([{key: 1}]))
        self.assertEqual(unpack(pack({-(2.0**63): 1, -0.0: 2}))[0], {-(2**63): 1, 0: 2})


class PackTests(SynchronousTestCase):
    """What pack takes, and what it refuses."""

    def test_subclasses(self) -> None:
        """A value of a subclass is packed as its base."""

        class Color(enum.IntEnum):
            RED = 3

        class Mode(str, enum.Enum):
            FAST = "f"

        class Ratio(float):
            pass

        class Pair(tuple[int, int]):
            pass

        class Bag(dict[str, int]):
            pass

        for value, base in [
            (Handle(0xFF00000A), 0xFF00000A),
            (Handle(5), 5),
            (Color.RED, 3),
            (Mode.FAST, "f"),
            (Ratio(0.5), 0.5),
            (Pair((1, 2)), [1, 2]),
            (Bag(a=1), {"a": 1}),
            ({Color.RED: 1, Handle(1): Mode.FAST}, {3: 1, 1: "f"}),
        ]:
            self.assertEqual(pack(value), pack(base))

    def test_bytes(self) -> None:
        """Bytes of every kind are packed as strings."""
        raw = bytes(range(256))
        for value in (raw, bytearray(raw), memoryview(raw)):
            self.assertEqual(pack(value), b"\x15\0\x01" + raw)
        self.assertEqual(pack(unpack(pack(raw))[0]), pack(raw))

    def test_pack_values(self) -> None:
        """A sequence of values is packed as the same arguments."""
        self.assertEqual(pack_values(["a", None, 1]), pack("a", None, 1))
        self.assertEqual(pack_values(range(1, 4)), pack(1, 2, 3))
        self.assertRaises(PackError, pack_values, range(2**64, 2**64 + 1))

    def test_refused(self) -> None:
        """A value that is none in Lua is refused, with the path to it."""
        loop: list[Any] = []
        loop.append({"me": loop})
        for arguments, text in [
            ((1, {"pos": {"x": print}}), 'argument 2 -> ["pos"]["x"]: builtin'),
            ((1, 2, 1j), "argument 3: complex"),
            (([1, (2, {3})],), "argument 1 -> [1][1]: set"),
            (({"a": 2**63},), 'argument 1 -> ["a"]: the integer'),
            ((-(2**63) - 1,), "argument 1: the integer"),
            (({10**5000: 1},), "argument 1 -> [<int of 16610 bits>]: the integer"),
            (("\ud800",), "argument 1: text"),
            (({"\ud800": 1},), 'argument 1 -> ["\\ud800"]: text'),
            (({"a": {None: 1}},), 'argument 1 -> ["a"]: None'),
            (({float("nan"): 1},), "argument 1: NaN"),
            (({print: 1},), "argument 1 -> [<builtin_function_or_method>]: builtin"),
            (({(1, print): 1},), "argument 1 -> [<tuple>][1]: builtin"),
            (({OddKey([print]): 1},), "argument 1 -> [<OddKey>][0]: builtin"),
            (({1: {2.5: b"", True: {1}}},), "argument 1 -> [1][True]: set"),
            ((["a", None, {1}],), "argument 1 -> [2]: set"),
            ((LightUserdata(-1),), "argument 1: a pointer"),
            ((seri.RemoteObject(1),), "argument 1: RemoteObject"),
            (
                (loop,),
                'argument 1 -> [0]["me"][0]["me"][0]["me"][0]["me"]...[0]["me"]: '
                "tables nested too deep",
            ),
        ]:
            with self.assertRaises(PackError) as caught:
                pack(*arguments)
            message = str(caught.exception)
            self.assertEqual(message[: len(text)], text)
            self.assertTrue(caught.exception.retry_safe)

    def test_raising(self) -> None:
        """Whatever a user's value raises, the error names the path and the cause."""
        for base in (list, tuple, dict):
            for error in (ValueError("why"), KeyError("why"), MemoryError()):
                with self.assertRaises(PackError) as caught:
                    pack(1, {"a": [True, hostile(base, error)]})
                self.assertEqual(
                    str(caught.exception),
                    f'argument 2 -> ["a"][1]: it raised {error_text(error)}',
                )
                self.assertIs(caught.exception.__cause__, error)

    def test_untouched(self) -> None:
        """Of numbers and strings the value counts, not the methods of their class."""
        bases = (int, float, str, bytes, bytearray)
        values = [hostile(base, SystemExit("touched")) for base in bases]
        self.assertEqual(pack(*values), pack(0, 0.0, "", "", ""))
        self.assertRaises(PackError, pack, hostile(object, SystemExit("touched")))

    def test_raising_key(self) -> None:
        """A key that raises is named by the table that it is in."""

        class Key:
            def __hash__(self) -> int:
                return 1

            def __eq__(self, other: object) -> bool:
                raise ValueError("not today")

            @property  # type: ignore[misc]
            def __class__(self) -> Any:
                raise ValueError("no class")

        with self.assertRaises(PackError) as caught:
            pack([{Key(): 1}])
        self.assertEqual(
            str(caught.exception),
            "argument 1 -> [0]: it raised ValueError: no class",
        )

    def test_raising_sequence(self) -> None:
        """So may the sequence of the values itself."""
        with self.assertRaises(PackError) as caught:
            pack_values(hostile(list, ValueError("why")))
        self.assertEqual(str(caught.exception), "message: it raised ValueError: why")

    def test_fickle(self) -> None:
        """A list that lies about its length or changes is packed as it comes once."""

        class Short(list[Any]):
            def __len__(self) -> int:
                return 40

        class Fresh(list[Any]):
            def __iter__(self) -> Iterator[Any]:
                return iter([1, [print]])

        class Late(dict[str, Any]):
            def items(self) -> Any:
                return [("a", 1), (2, [2])]

        self.assertEqual(pack(Short([1, 2])), pack([1, 2]))
        self.assertEqual(pack(Late()), pack({"a": 1, 2: [2]}))
        with self.assertRaises(PackError) as caught:
            pack(Fresh())
        self.assertEqual(
            str(caught.exception),
            "argument 1 -> [?][0]: builtin_function_or_method is no Lua value",
        )

    def test_impostor(self) -> None:
        """A value that says it is of another class is none of it."""

        class Liar:
            __class__ = dict  # type: ignore[assignment]

        with self.assertRaises(PackError) as caught:
            pack(Liar())
        self.assertEqual(str(caught.exception), "argument 1: Liar is no Lua value")

    def test_refused_alike(self) -> None:
        """What a real node refuses to pack is refused, and what it takes is taken."""
        loop: list[Any] = []
        loop.append(loop)
        named_loop: dict[str, Any] = {}
        named_loop["me"] = named_loop
        values: dict[str, Any] = {
            "pack_function": print,
            "pack_lua_function": lambda: None,
            "pack_thread": (i for i in [0]),
            "pack_full_userdata": sys.stdout,
            "pack_function_in_table": [1, print],
            "pack_function_as_key": {print: 1},
            "pack_cycle": loop,
            "pack_cycle_hash": named_loop,
            "pack_nest_33_empty_leaf": nested(33),
            "pack_nest_33_leaf_has_value": nested(33, [1]),
            "pack_nest_33_leaf_hash_value": nested(33, {"a": 1}),
            "pack_nest_34": nested(34),
            "pack_nest_32_leaf_has_value": nested(32, [1]),
            "pack_nesth_33_empty_leaf": nested(33, key="k"),
            "pack_nesth_34": nested(34, key="k"),
        }
        for case in load("seri_bad.json")["encode"]:
            if "pairs" in case["name"]:
                continue  # Python's tables have no metatables.
            value = values.pop(case["name"])
            if case["result"] == "error":
                self.assertRaises(PackError, pack, value)
            else:
                self.assertEqual(pack(value).hex(), case["hex"], case["name"])
        self.assertEqual(values, {})

    def test_depth(self) -> None:
        """The depth is an argument; a table of nothing but None is an empty one."""
        self.assertEqual(pack([[]], max_depth=1), b"\x0e\x06\0\0")
        self.assertEqual(pack([[None]], max_depth=1), b"\x0e\x06\0\0")
        self.assertEqual(pack([{"a": None}], max_depth=1), b"\x0e\x06\0\0")
        self.assertRaises(PackError, pack, [[1]], max_depth=1)
        self.assertEqual(
            unpack(pack(nested(50, [1]), max_depth=50)), (nested(50, [1]),)
        )

    def test_deepest(self) -> None:
        """No depth beyond 199 is allowed, which is what nodes of 2013 survive."""
        packed = pack(nested(199, [1]), max_depth=1_000_000)
        self.assertEqual(packed, b"\x0e" * 199 + b"\x0a\x01" + bytes(199))
        self.assertRaises(PackError, pack, nested(200, [1]), max_depth=1_000_000)

    def test_full_stack(self) -> None:
        """Where Python's stack is nearly full, pack raises its own error if any."""
        value = nested(32, [1])
        found: list[BaseException] = []

        def go_deeper() -> None:
            try:
                pack(value)
            except BaseException as error:
                found.append(error)
                return
            go_deeper()

        with contextlib.suppress(RecursionError):
            go_deeper()
        # Compiled, it hardly needs Python's stack, and the very call is what fails.
        compiled = not hasattr(pack, "__code__")
        allowed = (PackError, RecursionError) if compiled else PackError
        self.assertTrue(all(isinstance(error, allowed) for error in found), found)

    def test_size(self) -> None:
        """More bytes than allowed are refused, with both numbers."""
        self.assertEqual(pack("abcd", max_size=5), b"\x24abcd")
        with self.assertRaises(TooLarge) as caught:
            pack("abcd", max_size=4)
        self.assertEqual((caught.exception.size, caught.exception.limit), (5, 4))
        self.assertEqual(len(pack("x" * (seri.PACK_SIZE - 5))), seri.PACK_SIZE)
        self.assertRaises(TooLarge, pack, "x" * (seri.PACK_SIZE - 4))

    def test_shared_tables(self) -> None:
        """Tables shared over and over end at the limit, long before memory does."""
        value: list[Any] = []
        for _ in range(32):
            value = [value, value]
        self.assertRaises(TooLarge, pack, value, max_size=10_000)


class PropertyTests(SynchronousTestCase):
    """What must hold for any value, and any bytes."""

    @given(st.lists(strategies.plain_values, max_size=4))
    def test_round_trip(self, values: list[Any]) -> None:
        """Values come back as they were."""
        self.assertEqual(lua.form(unpack(pack(*values))), lua.form(values))

    @given(st.lists(strategies.values, max_size=4))
    def test_second_round_trip(self, values: list[Any]) -> None:
        """What came back once comes back the same again."""
        read = unpack(pack(*values))
        self.assertEqual(lua.form(unpack(pack(*read))), lua.form(read))

    @given(st.binary(max_size=80))
    def test_string_round_trip(self, raw: bytes) -> None:
        """Every byte string survives the way through str."""
        text = unpack(pack(raw))[0]
        self.assertIsInstance(text, str)
        self.assertEqual(pack(text), pack(raw))

    @given(st.binary(max_size=200))
    def test_any_bytes(self, data: bytes) -> None:
        """Any bytes are read or refused, and what is read can be packed."""
        self.read_or_refuse(data)

    @given(st.lists(strategies.values, max_size=4), st.data())
    def test_mutated(self, values: list[Any], data: st.DataObject) -> None:
        """A message with wrong bytes in it is read or refused."""
        message = bytearray(pack(*values))
        for _ in range(data.draw(st.integers(0, 3))):
            if message:
                place = data.draw(st.integers(0, len(message) - 1))
                message[place] = data.draw(st.integers(0, 255))
        self.read_or_refuse(bytes(message))

    @given(strategies.values, st.data())
    def test_truncated(self, value: Any, data: st.DataObject) -> None:
        """A value that was cut short is refused at the cut or before."""
        message = pack(value)
        size = data.draw(st.integers(0, len(message) - 1))
        if size:
            with self.assertRaises(UnpackError) as caught:
                unpack(message[:size])
            self.assertLessEqual(caught.exception.offset, size)

    def read_or_refuse(self, data: bytes) -> None:
        try:
            values = unpack(data, max_depth=30)
        except UnpackError as error:
            self.assertLessEqual(error.offset, len(data))
        else:
            again = unpack(pack(*values))
            self.assertEqual(lua.form(again), lua.form(values))
