"""Skynet's values against what nodes of 2013 wrote, read and refused."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from skynet_tw.errors import PackError, UnpackError
from skynet_tw.seri import OddKey, RemoteObject, pack, unpack

from . import lua, strategies
from .test_seri import expected, load, received

CASES = load("seri_2013.json")

#: The values of those cases whose Lua meant something else in 2013.
BY_HAND: dict[str, list[Any]] = {
    "int_2p63_m1": [None],
    "int_neg_2p63": [None],
    "meta_pairs_one": [{}],
    "meta_pairs_empty": [[1, 2]],
    "remote_object_1": [RemoteObject(1)],
    "remote_object_0": [RemoteObject(0)],
    "remote_object_300": [RemoteObject(300)],
    "remote_object_65536": [RemoteObject(65536)],
    "remote_object_neg": [RemoteObject(-1)],
    "remote_object_extra_fields_lost": [RemoteObject(5)],
    "remote_object_string_number": [RemoteObject(7)],
    "remote_object_nested": [[RemoteObject(5)]],
    "tag_type7_cookie0": [RemoteObject(0)],
    "inside_table_bad_tag": [[RemoteObject(0)]],
    "remote_cookie_0": [RemoteObject(0)],
    "remote_cookie_1": [RemoteObject(5)],
}

#: Tables whose array part that Lua made larger, with nil in it, than ours is.
GAPS = {
    "tbl_array_hole_middle",
    "tbl_array_holes",
    "tbl_array_leading_nil",
    "tbl_sparse_1_2_4",
}


def meant(case: dict[str, Any], field: str = "lua") -> list[Any]:
    """Give the values of a case."""
    return BY_HAND.get(case["name"]) or expected(case, field)


def as_doubles(value: Any) -> Any:
    """Turn a value to what is left of it where all numbers are doubles."""
    if isinstance(value, (list, tuple)):
        return [as_doubles(item) for item in value]
    if isinstance(value, dict):
        return {as_doubles(k): as_doubles(v) for k, v in value.items()}
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return value
    number = float(value)
    return int(number) if number.is_integer() and abs(number) <= 2**53 else number


class GoldenTests(SynchronousTestCase):
    """All that a node of 2013 packed."""

    cases = tuple(case for case in CASES["encode"] if "hex" in case)

    def test_unpack(self) -> None:
        """What a node of 2013 packed is read as the values it had."""
        for case in self.cases:
            values = unpack(bytes.fromhex(case["hex"]), wire_2013=True)
            wanted = as_doubles(meant(case))
            self.assertEqual(lua.form(values), lua.form(wanted), case["name"])

    def test_pack(self) -> None:
        """The same values are packed to the very bytes of a node of 2013."""
        for case in self.cases:
            packed = pack(*meant(case), wire_2013=True).hex()
            real = case.get("repack_hex", case["hex"])
            if "hash_order_varies" in case:
                self.assertEqual(len(packed), len(real), case["name"])
            elif case["name"] not in GAPS:
                self.assertEqual(packed, real, case["name"])

    def test_gaps(self) -> None:
        """Lists with gaps mean the same, though their array part is shorter."""
        found = [case for case in self.cases if case["name"] in GAPS]
        self.assertEqual(len(found), len(GAPS))
        for case in found:
            packed = pack(*meant(case), wire_2013=True)
            self.assertEqual(
                unpack(packed, wire_2013=True),
                unpack(bytes.fromhex(case["hex"]), wire_2013=True),
            )

    def test_large(self) -> None:
        """Large values are packed as in the modern tree, where the trees agree."""
        large = load("seri_large.json")
        names = [case["name"] for case in large]
        self.assertEqual(CASES["large_cases_identical_to_modern"], names)
        for case in large:
            self.assertEqual(pack(*meant(case), wire_2013=True).hex(), case["hex"])


class StrangeInputTests(SynchronousTestCase):
    """All that a node of 2013 was given to unpack."""

    cases = CASES["decode_bad"]

    def test_read_alike(self) -> None:
        """What a node of 2013 reads is read alike, and packed again alike."""
        for case in self.cases:
            if case["result"] != "values":
                continue
            values = unpack(received(case), max_depth=200, wire_2013=True)
            self.assertEqual(len(values), case["count"], case["name"])
            if "..." not in case["values"]:
                wanted = as_doubles(meant(case, "values"))
                self.assertEqual(lua.form(values), lua.form(wanted), case["name"])
            if "repack_hex" in case:
                packed = pack(*values, wire_2013=True).hex()
                self.assertEqual(packed, case["repack_hex"], case["name"])

    def test_refused(self) -> None:
        """What a node of 2013 refuses, or dies of, is refused."""
        for case in self.cases:
            if case["result"] != "values":
                with self.assertRaises(UnpackError, msg=case["name"]) as caught:
                    unpack(received(case), wire_2013=True)
                offset = caught.exception.offset
                self.assertLessEqual(
                    offset, len(received(case)) - case.get("unread", 0)
                )

    def test_array_size(self) -> None:
        """The size of an array may be a double, if it is whole."""
        for size in ("000000000000f83f", "000000000000f07f", "000000000000f87f"):
            data = bytes.fromhex(f"fe42{size}0a0100")
            self.assertRaises(UnpackError, unpack, data, wire_2013=True)


class NumberTests(SynchronousTestCase):
    """The one number type of 2013."""

    def test_refused(self) -> None:
        """Integers that no double comes near, and too long handles, are refused."""
        for value in (10**400, RemoteObject(2**31), RemoteObject(-(2**31) - 1)):
            self.assertRaises(PackError, pack, value, wire_2013=True)

    def test_remote_object_as_key(self) -> None:
        """Remote objects as keys are told apart by identity, as in Lua."""
        data = bytes.fromhex("06 0f05 0a01 0f05 0a02 00")
        table = unpack(data, wire_2013=True)[0]
        self.assertEqual([type(key) for key in table], [OddKey, OddKey])
        self.assertEqual(pack(table, wire_2013=True), data)

    @given(st.lists(strategies.plain_values, max_size=4))
    def test_round_trip(self, values: list[Any]) -> None:
        """Values come back as they were, but for numbers that are no doubles."""
        read = unpack(pack(*values, wire_2013=True), wire_2013=True)
        self.assertEqual(lua.form(read), lua.form(as_doubles(values)))

    @given(st.binary(max_size=200))
    def test_any_bytes(self, data: bytes) -> None:
        """Any bytes are read or refused, and what is read can be packed."""
        try:
            values = unpack(data, max_depth=30, wire_2013=True)
        except UnpackError as error:
            self.assertLessEqual(error.offset, len(data))
        else:
            again = unpack(pack(*values, wire_2013=True), wire_2013=True)
            self.assertEqual(lua.form(again), lua.form(values))
