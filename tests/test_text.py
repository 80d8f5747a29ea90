"""Text about any value and any error: safe, short, and made in a short time."""

from __future__ import annotations

import enum
import sys
from array import array
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterator
from functools import partial
from types import SimpleNamespace
from typing import Any, NoReturn

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from skynet_tw.handle import Handle
from skynet_tw.seri import LightUserdata
from skynet_tw.text import error_text, printable, shown

from . import strategies

#: What a hostile method raises.
RAISED = (
    ValueError("no"),
    SystemExit(3),
    KeyboardInterrupt(),
    GeneratorExit(),
    RecursionError(),
    MemoryError(),
)
errors = st.sampled_from(RAISED)

#: Sixteen megabytes, and a number of a million digits.
HUGE = 2**24
BIG = 1 << 3_321_929


class Touched(BaseException):
    """A method was called that must not be."""


def refuse(*args: Any, **named: Any) -> NoReturn:
    raise Touched


class Untouchable(type):
    """A metaclass of which nothing may be asked."""

    __name__ = property(refuse)
    __hash__ = __eq__ = __instancecheck__ = __subclasscheck__ = refuse
    __repr__ = __str__ = __getattribute__ = refuse


def hostile(base: type[Any], error: BaseException) -> Any:
    """Make an instance of a class of *base* all of whose methods raise *error*."""

    def method(*args: Any, **named: Any) -> NoReturn:
        raise error

    names = ["__repr__", "__str__", "__len__", "__iter__", "__eq__", "__format__"]
    names += ["__getitem__", "items", "keys", "values", "__contains__", "__bool__"]
    names += ["encode", "isprintable", "__getattribute__", "bit_length"]
    namespace: dict[str, Any] = dict.fromkeys(names, method)
    namespace.update(
        __class__=property(method), __name__=property(method), __hash__=method
    )
    return Untouchable("Bad", (base,), namespace)()


BASES = (
    object,
    str,
    bytes,
    bytearray,
    int,
    float,
    list,
    tuple,
    set,
    frozenset,
    dict,
    OrderedDict,
    deque,
    Exception,
    KeyError,
    BaseException,
)

Maker = Callable[[], Any]


def constant(value: Any) -> Maker:
    return lambda: value


def around(make: Callable[..., Any], makers: list[Maker]) -> Maker:
    return lambda: make(maker() for maker in makers)


def named(values: Iterator[Any]) -> dict[Any, Any]:
    return {"k" * 50 * i: value for i, value in enumerate(values)}


#: Makers of anything, with what is bad somewhere inside; hypothesis itself would fall
#: over the very values.
makers: st.SearchStrategy[Maker] = st.recursive(
    (strategies.scalars | st.none() | st.binary(max_size=300)).map(constant)
    | st.builds(partial, st.just(hostile), st.sampled_from(BASES), errors),
    lambda inner: st.builds(
        around,
        st.sampled_from(
            [
                list,
                tuple,
                deque,
                named,
                lambda values: ValueError(*values),
                lambda values: KeyError(*values),
                lambda values: SimpleNamespace(v=list(values)),
            ]
        ),
        st.lists(inner, max_size=5),
    ),
    max_leaves=20,
)


class Counting(list[object]):
    """A long list that counts what is taken of it."""

    def __iter__(self) -> Iterator[object]:
        raise Touched


def fuel(function: Any, *args: Any) -> int:
    """Count the calls, also those of C, that a call leads to."""
    calls = 0

    def count(frame: Any, event: str, arg: Any) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        function(*args)
    finally:
        sys.setprofile(before)
    return calls


class ShownTests(SynchronousTestCase):
    """One line that shows a value."""

    def test_as_repr(self) -> None:
        """A value of usual size looks as it does in Python."""
        values: list[Any] = [
            None,
            True,
            -5,
            2**200,
            1.5,
            "it's",
            "a\n\x00\u2028\udc80",
            b"\xff",
            bytearray(b"a"),
            [],
            [1, [2, "b"]],
            (),
            (1,),
            (1, 2),
            {1},
            {"a": {}},
            frozenset({1}),
            Handle(5),
            LightUserdata(5),
            ValueError("a", 1),
            ValueError(),
            print,
            object,
        ]
        for value in values:
            self.assertEqual(shown(value), repr(value))

    def test_subclasses_of_containers(self) -> None:
        """A container of another class is shown by its entries and its class's name."""

        class Bag(dict[str, int]):
            items = keys = refuse

        class Color(enum.IntEnum):
            RED = 1

        self.assertEqual(shown(Bag(a=1)), "Bag({'a': 1})")
        self.assertEqual(shown(OrderedDict(a=1)), "OrderedDict({'a': 1})")
        self.assertEqual(shown(defaultdict(int, a=1)), "defaultdict({'a': 1})")
        self.assertEqual(shown(Counter("a")), "Counter({'a': 1})")
        self.assertEqual(shown(Counting([1])), "Counting([1])")
        self.assertEqual(shown(Color.RED), "<Color.RED: 1>")

    def test_one_line(self) -> None:
        """What a class says is put into one line, and what ends it is escaped."""

        class Poem:
            def __repr__(self) -> str:
                return "roses\r\nare\x1b[31m\u2028\udcff\N{ZERO WIDTH SPACE} réd"

        self.assertEqual(shown(Poem()), r"roses\r\nare\x1b[31m\u2028\udcff\u200b réd")

    def test_cut(self) -> None:
        """What is too long ends in dots; a long string leaves room for others."""
        self.assertEqual(shown("abcdefghij", 8), "'abcd...")
        self.assertEqual(shown(list(range(9)), 10), "[0, 1, ...")
        self.assertEqual(shown(["x" * 99, 5], 80), f"['{'x' * 20}'..., 5]")
        self.assertEqual(
            [shown("abc", n) for n in (-1, 0, 1, 4)], ["", "", ".", "'..."]
        )

    def test_raising(self) -> None:
        """Whatever a method of a value raises, the value's class and that are named."""
        for error in RAISED:
            name = type(error).__name__
            self.assertEqual(
                shown([hostile(object, error), 1]),
                f"[<Bad object, repr() raised {name}>, 1]",
            )
            self.assertEqual(shown(hostile(dict, error)), "Bad({})")
            self.assertEqual(shown(hostile(list, error)), "Bad([])")

    def test_no_text(self) -> None:
        """A representation that is no text, or text of a class of its own, is borne."""

        class Wrong:
            def __repr__(self) -> str:
                return 5  # type: ignore[return-value]

        class Text(str):
            isprintable = encode = __str__ = __len__ = __getitem__ = refuse

        class Fancy:
            def __repr__(self) -> str:
                return Text("fancy")

        class Long:
            def __repr__(self) -> str:
                return "x" * HUGE

        self.assertEqual(shown(Wrong()), "<Wrong object, repr() raised TypeError>")
        self.assertEqual(shown(Fancy()), "fancy")
        self.assertIs(type(shown(Fancy())), str)
        self.assertEqual(shown(Long()), "x" * 197 + "...")

    def test_class_names(self) -> None:
        """The name of a class may be hostile as well."""
        name = Touched.__name__
        touchy = type.__call__(Untouchable, "Odd\nName" + "x" * 1000, (dict,), {})
        self.assertTrue(shown(touchy()).startswith("Odd\\nNamex"))
        self.assertNotIn(name, shown(touchy()))

    def test_nested(self) -> None:
        """A structure that is deep, or inside itself, is shown to a few levels."""
        deep: list[Any] = []
        for _ in range(100_000):
            deep = [deep]
        loop: dict[str, Any] = {}
        loop["me"] = [loop]
        self.assertEqual(shown(deep), "[[[[[[[...]]]]]]]")
        self.assertEqual(shown(loop), "{'me': [{'me': [{'me': [{...}]}]}]}")

    def test_changing(self) -> None:
        """A container that changes while it is shown does no harm."""
        table: dict[Any, Any] = {}

        class Growing:
            def __repr__(self) -> str:
                table[len(table)] = 1
                return "growing"

        table.update(a=Growing(), b=Growing())
        self.assertEqual(shown(table), "{'a': growing, 'b': growing}")

    def test_full_stack(self) -> None:
        """Where Python's stack is nearly full, there is still a text."""
        texts: set[str] = set()
        error = KeyError("a")

        def go_deeper() -> None:
            try:
                texts.add(shown([{"a": [1]}]))
                texts.add(error_text(error))
            except RecursionError as full:
                # The very call may fail, but nothing in it.
                assert full.__traceback__ is not None
                self.assertIsNone(full.__traceback__.tb_next)
            go_deeper()

        self.assertRaises(RecursionError, go_deeper)
        self.assertIn("[{'a': [1]}]", texts)
        self.assertIn("<?>", texts)
        self.assertIn("KeyError: 'a'", texts)
        self.assertIn("an error that cannot be shown", texts)

    def test_work(self) -> None:
        """The work does not grow with what there is to show."""
        deep: list[Any] = []
        for _ in range(10_000):
            deep = [deep, deep]
        for value in [
            "x" * HUGE,
            "\ud800" * HUGE,
            b"\xff" * HUGE,
            bytearray(HUGE),
            memoryview(bytes(HUGE)),
            BIG,
            [BIG] * 1000,
            {BIG: BIG},
            range(BIG),
            slice(BIG),
            array("B", bytes(HUGE)),
            SimpleNamespace(a=list(range(100_000))),
            list(range(100_000)),
            set(range(100_000)),
            deque(range(100_000)),
            dict.fromkeys(range(100_000)),
            dict.fromkeys(range(100_000)).keys(),
            Counting(range(100_000)),
            [["x" * 100_000] * 1000] * 1000,
            deep,
            ValueError("x" * HUGE),
            KeyError(deep, list(range(100_000))),
            Handle(1 << 10_000_000),
        ]:
            # At most 200 elements of a few calls each, and three for each character.
            self.assertLess(fuel(shown, value), 3000, type(value))
            if isinstance(value, BaseException):
                self.assertLess(fuel(error_text, value), 20_000)

    @given(makers, st.integers(0, 300))
    def test_any(self, make: Maker, limit: int) -> None:
        """Any value gives one line, within the limit, that UTF-8 carries."""
        text = shown(make(), limit)
        self.assertIs(type(text), str)
        self.assertLessEqual(len(text), limit)
        self.assertTrue(text.isprintable())
        text.encode()


class ErrorTextTests(SynchronousTestCase):
    """The text of an error."""

    def test_usual(self) -> None:
        """An error looks as in the last line of its traceback."""
        for error, text in [
            (ValueError("a\nb"), "ValueError: a\nb"),
            (ValueError(), "ValueError"),
            (ValueError(5), "ValueError: 5"),
            (ValueError("a", 5), "ValueError: ('a', 5)"),
            (ValueError(b"a"), "ValueError: b'a'"),
            (KeyError("k"), "KeyError: 'k'"),
            (KeyError(), "KeyError"),
            (KeyError(1, 2), "KeyError: (1, 2)"),
            (OSError(2, "None", "f"), "FileNotFoundError: [Errno 2] None: 'f'"),
            (SystemExit(3), "SystemExit: 3"),
            (RuntimeError(ValueError("why")), "RuntimeError: why"),
            (ValueError("\udcff é"), "ValueError: \\udcff é"),
        ]:
            self.assertEqual(error_text(error), text)

    def test_own_text(self) -> None:
        """What an error's class says counts, if it can be had."""

        def saying(what: Any) -> BaseException:
            class Own(Exception):
                def __str__(self) -> str:
                    if isinstance(what, BaseException):
                        raise what
                    return what

            return Own("not this")

        self.assertEqual(error_text(saying("this")), "Own: this")
        self.assertEqual(error_text(saying(5)), "Own: <str() raised TypeError>")
        self.assertEqual(error_text(saying("x" * HUGE), 20), "Own: " + "x" * 12 + "...")
        for error in RAISED:
            self.assertEqual(
                error_text(saying(error)), f"Own: <str() raised {type(error).__name__}>"
            )

    def test_chain(self) -> None:
        """An error around an error around an error ends somewhere."""
        for kind in (ValueError, KeyError):
            error: BaseException = kind("inside")
            for _ in range(100_000):
                error = kind(error)
            self.assertLess(len(error_text(error)), 200)
            self.assertLess(fuel(error_text, error), 500)

    def test_huge(self) -> None:
        """An error around something huge costs no more than its text is long."""
        for value in ("x" * HUGE, b"x" * HUGE, BIG, list(range(100_000))):
            for kind in (ValueError, KeyError):
                self.assertLess(fuel(error_text, kind(value)), 20_000)
                self.assertLessEqual(len(error_text(kind(value), 100)), 100)

    @given(
        st.sampled_from((ValueError, KeyError, OSError, SystemExit, ImportError)),
        st.lists(makers, max_size=3),
        st.integers(0, 300),
    )
    def test_any(
        self, kind: type[BaseException], makers: list[Maker], limit: int
    ) -> None:
        """Any error with any arguments gives a text within the limit, for UTF-8."""
        text = error_text(kind(*(make() for make in makers)), limit)
        self.assertIs(type(text), str)
        self.assertLessEqual(len(text), limit)
        text.encode()

    def test_hostile(self) -> None:
        """An error's class may do anything."""
        for error in RAISED:
            for kind in (ValueError, KeyError, BaseException):
                self.assertEqual(
                    error_text(hostile(kind, error)), "Bad: <str() raised Touched>"
                )


class PrintableTests(SynchronousTestCase):
    """Text that UTF-8 carries."""

    @given(st.text(alphabet=st.characters(), max_size=40))
    def test_any(self, text: str) -> None:
        """Only halves of surrogate pairs are changed."""
        result = printable(text)
        result.encode()
        if not any("\ud800" <= c <= "\udfff" for c in text):
            self.assertEqual(result, text)

    def test_surrogates(self) -> None:
        """A byte that was no UTF-8, in a string from Lua, is seen as an escape."""
        self.assertEqual(printable("a\udcff\n\t\ud83d"), "a\\udcff\n\t\\ud83d")
