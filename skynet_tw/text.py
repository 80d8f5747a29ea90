# -*- test-case-name: tests.test_text -*-
"""Text about values and errors that is always safe to log and to send.

What an actor raises, gets or returns may be of any size, and its methods may do
anything.  The functions here never raise, return text that UTF-8 can carry, and take
time for what they return, not for what there is to show.  One thing they cannot bound:
a class that writes its own ``__repr__`` or ``__str__`` takes in there what it takes.
"""

from __future__ import annotations

from array import array
from collections import deque
from collections.abc import Iterable
from functools import partial
from itertools import islice
from types import MappingProxyType, SimpleNamespace, TracebackType
from typing import Any

#: How many containers around a value are shown.
_DEPTH = 6

#: Integers of more bits are not written out, which takes the square of their length.
_BITS = 256

# A metaclass may define what looks like these, and raise in it.
_name_of = vars(type)["__name__"].__get__
_arguments_of = vars(BaseException)["args"].__get__
_traceback_of = vars(BaseException)["__traceback__"].__get__

#: What opens and closes the values of builtin containers.
_BRACKETS: tuple[tuple[type[Any], str, str], ...] = (
    (list, "[", "]"),
    (tuple, "(", ")"),
    (set, "{", "}"),
    (frozenset, "{", "}"),
    (deque, "[", "]"),
)

#: Builtin types that write everything they hold: it is not shown.
_OPAQUE: tuple[type[Any], ...] = (
    array,
    partial,
    slice,
    MappingProxyType,
    SimpleNamespace,
    type({}.keys()),
    type({}.values()),
    type({}.items()),
)


def shown(value: object, limit: int = 200) -> str:
    """Show *value* in one line, as ``repr`` does, but safe in every way.

    :param limit: the most characters of the result; what is longer ends in "...".
    """
    try:
        line = _Line(limit)
        try:
            line.value(value, 0)
        except _FullError:
            pass
        except BaseException:
            line.parts.append("<?>")
        return _cut("".join(line.parts), limit)
    except BaseException:
        # Python's stack is full; what is here takes none of it.
        return "<?>"[: limit if limit > 0 else 0]


def error_text(error: BaseException, limit: int = 2000) -> str:
    """Show an error as the last line of its traceback does: ``ValueError: text``.

    :param limit: the most characters of the result; what is longer ends in "...".
    """
    try:
        name, text = type_name(error), _message(error, limit, 0)
        return _cut(printable(f"{name}: {text}" if text else name), limit)
    except BaseException:
        return "an error that cannot be shown"[: limit if limit > 0 else 0]


def traceback_of(error: BaseException) -> TracebackType | None:
    """Where an error was raised, whatever its class does when it is looked at."""
    trace: TracebackType | None = _traceback_of(error)
    return trace


def printable(text: str) -> str:
    r"""Escape what UTF-8 cannot carry, as ``\udcff``; the rest stays as it is."""
    return str.encode(text, "utf-8", "backslashreplace").decode("utf-8")


def plain(text: str) -> str:
    """Return the text of a string, without the methods that its class may have."""
    return text if type(text) is str else str.__str__(text)


def _cut(text: str, limit: int) -> str:
    """Return at most *limit* characters, as a plain ``str`` whatever *text* is."""
    if str.__len__(text) <= limit:
        return str.__str__(text)
    return (str.__getitem__(text, slice(max(limit - 3, 0))) + "...")[: max(limit, 0)]


def escaped(text: str) -> str:
    """Escape what is not printable: control characters, line ends, lone surrogates."""
    if text.isprintable():
        return text
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape").decode("ascii")
        for c in text
    )


def type_name(value: object) -> str:
    return escaped(_cut(_name_of(type(value)), 80))


def _message(value: Any, limit: int, depth: int) -> str:
    """Return what ``str`` gives, but build it only as far as it is needed."""
    kind = type(value)
    try:
        method: object = kind.__str__
        if method is BaseException.__str__ or method is KeyError.__str__:
            # Views of the arguments, which may be huge.
            arguments = _arguments_of(value)
            if len(arguments) != 1:
                return shown(arguments, limit) if arguments else ""
            if method is KeyError.__str__ or depth >= _DEPTH:
                return shown(arguments[0], limit)
            return _message(arguments[0], limit, depth + 1)
        if method is object.__str__ or method in (bytes.__str__, bytearray.__str__):
            return shown(value, limit)
        # What the class says; a plain string says itself, whatever its length.
        return _cut(str(value), limit)
    except BaseException as error:
        return f"<str() raised {type_name(error)}>"


class _FullError(Exception):
    """There is no room for more text."""


class _Line:
    """One line of text, written until it is full."""

    def __init__(self, limit: int) -> None:
        self.parts: list[str] = []
        self._room = limit
        #: The most characters of one string among other values.
        self._share = max(limit // 4, 20)

    def _add(self, text: str) -> None:
        """Append text, or as much of it as fits and a little more.

        :raises _FullError: there is no room for all of it.
        """
        text = escaped(str.__getitem__(text, slice(self._room + 1)))
        self.parts.append(text)
        self._room -= len(text)
        if self._room < 0:
            raise _FullError

    def value(self, value: Any, depth: int) -> None:
        """Append a value that is *depth* containers deep."""
        # Not isinstance(), which asks the object for its __class__.
        kind = type(value)
        for base in (str, bytes, bytearray):
            if issubclass(kind, base):
                self._string(value, base, depth)
                return
        for base, opening, closing in _BRACKETS:
            if issubclass(kind, base):
                if kind is tuple and tuple.__len__(value) == 1:
                    closing = ",)"
                if kind is not list and kind is not tuple and kind is not set:
                    opening = f"{type_name(value)}({opening}"
                    closing += ")"
                self._values(base.__iter__(value), opening, closing, depth)
                return
        if issubclass(kind, dict):
            named = "" if kind is dict else type_name(value) + "("
            items = dict.items(value)
            self._dict(items, named + "{", "})" if named else "}", depth)
        elif issubclass(kind, BaseException):
            self._values(_arguments_of(value), type_name(value) + "(", ")", depth)
        elif kind is range:
            ends = value.start, value.stop, value.step
            self._values(ends, "range(", ")", depth)
        elif issubclass(kind, int) and int.bit_length(value) > _BITS:
            bits = int.bit_length(value)
            self._add(f"<{type_name(value)} of {bits} bits>")
        elif issubclass(kind, _OPAQUE):
            self._add(f"<{type_name(value)} object at {id(value):#x}>")
        else:
            self._own(value)

    def _own(self, value: object) -> None:
        """Append what the value's class says."""
        try:
            text = repr(value)
        except BaseException as error:
            # Whatever it is: to ask for a text is no reason to stop anything.
            text = f"<{type_name(value)} object, repr() raised {type_name(error)}>"
        self._add(text)

    def _string(self, value: Any, base: Any, depth: int) -> None:
        most = self._share if depth else self._room
        if base.__len__(value) <= most:
            self._own(value)
        else:
            self._add(repr(base.__getitem__(value, slice(most))) + "...")

    def _values(
        self, values: Iterable[object], opening: str, closing: str, depth: int
    ) -> None:
        self._add(opening)
        if depth >= _DEPTH:
            self._add("...")
        else:
            # Taken first: to show one may change the container.  Each fills some room.
            for i, value in enumerate(list(islice(values, self._room + 1))):
                if i:
                    self._add(", ")
                self.value(value, depth + 1)
        self._add(closing)

    def _dict(
        self,
        items: Iterable[tuple[object, object]],
        opening: str,
        closing: str,
        depth: int,
    ) -> None:
        self._add(opening)
        if depth >= _DEPTH:
            self._add("...")
        else:
            for i, (key, value) in enumerate(list(islice(items, self._room + 1))):
                if i:
                    self._add(", ")
                self.value(key, depth + 1)
                self._add(": ")
                self.value(value, depth + 1)
        self._add(closing)
