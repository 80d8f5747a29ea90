"""What user code may raise and return, at its worst."""

from __future__ import annotations

import asyncio
import types
from collections.abc import AsyncIterator, Callable, Generator
from typing import Any

from skynet_tw.node.actor import Actor

#: More text than anybody wants to read, of one value, in an error or in the log.
LONG = 16 * 1024 * 1024


# What user code may raise


class Mute(Exception):
    """Cannot say what it is."""

    def __str__(self) -> str:
        raise ValueError("no text")

    __repr__ = __str__


class Killer(Exception):
    """Ends the process of who asks what it is, or tries to."""

    def __str__(self) -> str:
        raise SystemExit(3)

    __repr__ = __str__


class Liar(Exception):
    """Its text is none."""

    def __str__(self) -> str:
        return 5  # type: ignore[return-value]

    __repr__ = __str__


class Odd(BaseException):
    """Is no `Exception`, and has no text."""

    __str__ = Mute.__str__


class Prickly(Exception):
    """Nothing but raising it works."""

    def __getattribute__(self, name: str) -> Any:
        raise ValueError(f"no {name}")

    def __setattr__(self, name: str, value: object) -> None:
        raise ValueError(f"no {name}")

    def __eq__(self, other: object) -> bool:
        raise ValueError("no comparison")

    def __hash__(self) -> int:
        raise ValueError("no hash")

    def __bool__(self) -> bool:
        raise ValueError("no truth")


class Nameless(type):
    """A class that does not say what it is called."""

    def _refuse(cls, *args: object) -> Any:
        raise ValueError("nothing is known of this class")

    __getattribute__ = _refuse
    __repr__ = _refuse
    __str__ = _refuse
    __hash__ = _refuse
    __eq__ = _refuse
    __bool__ = _refuse
    __subclasscheck__ = _refuse
    __instancecheck__ = _refuse


class Unnamed(Exception, metaclass=Nameless):
    """An error of which even the class is unknown."""


def chained() -> BaseException:
    """An error whose cause and whose context cannot be told."""
    error = ValueError("chained")
    error.__cause__ = Mute()
    error.__context__ = Prickly()
    return error


def endless() -> BaseException:
    """An error whose value is inside itself."""
    inner: list[Any] = []
    inner.append(inner)
    return ValueError(inner)


def deep() -> BaseException:
    """An error whose value is too deep to be written down."""
    inner: list[Any] = []
    for _ in range(100_000):
        inner = [inner]
    return ValueError(inner)


#: What is raised, by what it is called in a failing test.
ERRORS: dict[str, Callable[[], BaseException]] = {
    "Exception": lambda: Exception("on purpose"),
    "SystemExit": lambda: SystemExit(3),
    "KeyboardInterrupt": KeyboardInterrupt,
    "GeneratorExit": GeneratorExit,
    "asyncio.CancelledError": asyncio.CancelledError,
    "StopIteration": lambda: StopIteration(5),
    "StopAsyncIteration": StopAsyncIteration,
    "RecursionError": RecursionError,
    "MemoryError": MemoryError,
    "control": lambda: ValueError("\x00\x1b[2J"),
    "mute": Mute,
    "killer": Killer,
    "liar": Liar,
    "odd": Odd,
    "prickly": Prickly,
    "unnamed": Unnamed,
    "chained": chained,
    "endless": endless,
    "deep": deep,
}


def raising(make: Callable[[], BaseException]) -> Callable[[], Any]:
    """A deed that raises."""

    def deed() -> Any:
        raise make()

    return deed


def recurse(*args: object) -> None:
    """Use up the stack."""
    _recurse()


def _recurse() -> None:
    # Without arguments: early releases of Python 3.13 know no limit for a function with
    # `*args` that calls itself (https://github.com/python/cpython/issues/132744).
    _recurse()


# What user code may return


def hostile(base: type, *names: str) -> Any:
    """A value of a subclass of *base* whose special methods raise."""

    def refuse(self: object, *args: object) -> Any:
        raise ValueError("this value does nothing")

    body: dict[str, Any] = dict.fromkeys(names, refuse)
    if "__class__" in names:
        body["__class__"] = property(refuse)
    return type("Hostile", (base,), body)()


def awaitable(function: Callable[[], Any]) -> Any:
    """A value which does something when it is awaited."""
    return type("Awaitable", (), {"__await__": lambda self: function()})()


def cycle() -> Any:
    """A list inside itself."""
    values: list[Any] = []
    values.append(values)
    return values


def nested(depth: int = 100_000) -> Any:
    """A list inside a list, and so on."""
    values: list[Any] = []
    for _ in range(depth):
        values = [values]
    return values


def interrupt(*args: object) -> Any:
    """Raise what is no `Exception`."""
    raise KeyboardInterrupt


async def asynchronous() -> AsyncIterator[int]:
    """An asynchronous generator."""
    yield 1


@types.coroutine
def junk(value: Any, rounds: int = 1) -> Generator[Any, Any, str]:
    """Await what nobody can await, again and again."""
    for _ in range(rounds):
        try:
            yield value
        except Exception:
            continue
    return "enough"


#: What is returned.
RESULTS: dict[str, Callable[[], Any]] = {
    "object": object,
    "set": lambda: {1, 2},
    "text": lambda: hostile(
        str, "encode", "__str__", "__len__", "__repr__", "__iter__"
    ),
    "bytes": lambda: hostile(bytes, "__len__", "__repr__", "__bytes__"),
    "int": lambda: hostile(int, "__index__", "__lt__", "__le__", "__repr__"),
    "float": lambda: hostile(float, "__float__", "__eq__", "__repr__", "is_integer"),
    "dict": lambda: hostile(dict, "items", "keys", "__iter__", "__len__", "__repr__"),
    "list": lambda: hostile(list, "__iter__", "__len__", "__getitem__", "__repr__"),
    "tuple": lambda: hostile(tuple, "__iter__", "__len__", "__getitem__", "__repr__"),
    "class": lambda: hostile(object, "__class__"),
    "attribute": lambda: hostile(object, "__getattribute__"),
    "equal": lambda: hostile(object, "__eq__", "__hash__"),
    "truth": lambda: hostile(object, "__bool__", "__len__"),
    "repr": lambda: hostile(object, "__repr__", "__str__"),
    "key": lambda: {hostile(str, "encode", "__len__", "__repr__"): 1},
    "inside": lambda: [1, {"x": hostile(str, "encode", "__len__", "__repr__")}],
    "cycle": cycle,
    "nested": nested,
    "surrogate": lambda: "\ud800",
    "huge number": lambda: 1 << 200_000,
    "await raises": lambda: awaitable(recurse),
    "await interrupts": lambda: awaitable(interrupt),
    "await none": lambda: awaitable(lambda: None),
    "await number": lambda: awaitable(lambda: 5),
    "await junk": lambda: awaitable(lambda: iter([1, 2, 3])),
    "async generator": asynchronous,
    "generator": lambda: (n for n in range(3)),
    "class itself": lambda: Actor,
    "exception": lambda: KeyboardInterrupt(),
    "unnamed": lambda: Unnamed(),
}
