"""Tables with Lua's keys: what is kept under which, and what it costs."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from skynet_tw import seri
from skynet_tw.handle import Handle
from skynet_tw.message import PType
from skynet_tw.node.luatable import MAX_DEPTH, Tree, token
from skynet_tw.seri import LightUserdata, OddKey

from .. import strategies
from ..lua import form

#: No two of them are one key in Lua; many are equal in Python.
DIFFERENT: list[Any] = [
    *(True, False, 1, 0, "1", "0", "True", "b1", "i1", -1, 1.5, "1.5", ""),
    *(2.0**63, -(2**63), 2**63 - 1, float("inf"), float("-inf"), 5e-324),
    *(LightUserdata(1), LightUserdata(0), "\udcff", "p1"),
]


class Unhashed(int):
    """A number that must not be hashed."""

    __slots__ = ()

    def __hash__(self) -> int:
        raise AssertionError("a peer's number was hashed without a secret")


class TokenTests(SynchronousTestCase):
    """Which keys are one."""

    def test_different(self) -> None:
        """Keys that Lua tells apart have tokens of their own."""
        self.assertEqual(len(set(map(token, DIFFERENT))), len(DIFFERENT))

    def test_same(self) -> None:
        """Keys that are one in Lua have one token."""
        for one, other in [(1, 1.0), (0, -0.0), (-3, -3.0), ("a", b"a"), ("", b"")]:
            self.assertEqual(token(one), token(other))
        self.assertEqual(token(2**53), token(2.0**53))
        self.assertEqual(token(True), token(OddKey(True)))

    def test_no_keys(self) -> None:
        """What cannot be a key, or cannot be said a second time, is refused."""
        for key in (None, float("nan"), {}, [], OddKey([1]), 2**63, object()):
            with self.assertRaises(ValueError):
                token(key)

    def test_numbers_are_not_hashed(self) -> None:
        """A number that a peer chose decides nothing about the place of an entry."""
        tree = Tree()
        tree.update(("a", Unhashed(5), Unhashed(2**61 + 4)), "x")
        self.assertEqual(tree.query(("a", Unhashed(5), Unhashed(2**61 + 4))), ("x",))


class TreeTests(SynchronousTestCase):
    """Paths, branches and whole tables."""

    def setUp(self) -> None:
        self.tree = Tree()

    @given(strategies.values)
    def test_values(self, value: Any) -> None:
        """A value comes back as it came from another node, and then is gone."""
        tree = Tree()
        [value] = seri.unpack(seri.pack(value))
        tree.update(("a",), value)
        found = tree.query(("a",)) or (None,)
        self.assertEqual(form(found[0]), form(value))
        self.assertEqual(form(tree.update(("a",), None)), form(value))
        self.assertEqual(tree.size, 0)

    def test_local_values(self) -> None:
        """What only an actor of this node can send comes back as from another node."""
        for value in [
            b"\xff",
            bytearray(b"x"),
            (1, b"y"),
            Handle(5),
            PType.LUA,
            (),
            [],
        ]:
            self.tree.update(("a",), value)
            expected = seri.unpack(seri.pack(value))
            self.assertEqual(form(self.tree.query(("a",))), form(expected))

    @given(st.permutations(DIFFERENT))
    def test_keys(self, keys: list[Any]) -> None:
        """Each key has its own entry, whatever the order; the whole has them all."""
        tree = Tree()
        for key in keys:
            self.assertIsNone(tree.update(("t", key), f"for {key!r}"))
        for key in keys:
            self.assertEqual(tree.query(("t", key)), (f"for {key!r}",))
        [whole] = tree.query(("t",))
        tree.update(("copy",), whole)
        for key in keys:
            self.assertEqual(tree.update(("copy", key), None), f"for {key!r}")
        self.assertEqual(tree.query(("copy",)), ({},))

    def test_list(self) -> None:
        """A list is read and changed by index, and grows at its end."""
        self.tree.update(("list",), [10, 20, 30])
        self.assertEqual(self.tree.query(("list", 2)), (20,))
        self.tree.update(("list", 4), 40)
        self.assertEqual(self.tree.query(("list",)), ([10, 20, 30, 40],))
        self.tree.update(("list", 2.0), None)
        self.assertEqual(self.tree.query(("list",)), ({1: 10, 3: 30, 4: 40},))
        self.tree.update(("list", "x"), {"y": [1]})
        self.assertEqual(self.tree.query(("list", "x", "y", 1)), (1,))

    def test_own_copies(self) -> None:
        """Neither who sent a table nor who got one can change what is kept."""
        table = {"x": [1, 2]}
        self.tree.update(("a",), table)
        table["x"].append(3)
        self.tree.query(("a",))[0]["x"].append(4)
        self.assertEqual(self.tree.query(("a",)), ({"x": [1, 2]},))

    def test_size(self) -> None:
        """A tree has a limit; what was deleted or replaced makes room again."""
        tree = Tree(max_size=2000)
        for _ in range(100):
            tree.update(("a",), {"x": "y" * 500})
        for path, value in [
            (("b",), "z" * 2000),
            (("b",), list(range(10))),
            (("a", "x"), "z" * 1600),
            (("a", *"path"), 1),
        ]:
            with self.assertRaisesRegex(ValueError, "2000 bytes"):
                tree.update(path, value)
        tree.update(("a", "p"), None)
        tree.update(("a", "x"), "y" * 1000)
        self.assertEqual(tree.query(("a", "x")), ("y" * 1000,))
        tree.update(("a",), None)
        self.assertEqual(tree.size, 0)

    def test_depth(self) -> None:
        """Tables are nested so deep and no deeper, by path, by value, or both."""
        deep: Any = 1
        for _ in range(MAX_DEPTH - 1):
            deep = [deep]
        self.tree.update(("a",), deep)
        self.tree.update(("b",) * MAX_DEPTH, 1)
        for path, value in [
            (("c",), [deep]),
            (("c", "d"), deep),
            (("c",) * (MAX_DEPTH + 1), 1),
        ]:
            with self.assertRaises(ValueError):
                self.tree.update(path, value)
        self.assertEqual(self.tree.query(("c",)), ())

    def test_no_values(self) -> None:
        """What could not leave the node is refused, and nothing is changed."""
        self.tree.update(("a",), 1)
        for value in (
            object(),
            2**63,
            {"x": {1, 2}},
            {None: 1},
            {True: 1, OddKey(True): 2},
        ):
            with self.assertRaises(ValueError):
                self.tree.update(("a",), value)
        self.assertEqual(self.tree.query(("a",)), (1,))
