# -*- test-case-name: tests.node.test_luatable -*-
"""Tables with Lua's keys, one inside the other: what a DATACENTER keeps.

In Python ``True`` equals 1, in Lua it does not; and a list is a table as any other.
An entry is therefore found by its key's *token*, a text that is the same for two keys
only if they are one key in Lua.  A text has one more virtue: Python hashes it with a
secret, so that no choice of keys makes a table slow.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from ..luavalue import (
    LightUserdata,
    OddKey,
    RemoteObject,
    distinct_key,
    natural_table,
)

#: Tables inside each other, about as many as can be packed and unpacked.
MAX_DEPTH = 64

#: What a tree may take, in bytes, roughly: `_ENTRY` and its texts for each entry.
MAX_SIZE = 256 * 1024 * 1024
_ENTRY = 256

_MIN_INT, _MAX_INT = -(2**63), 2**63 - 1


def token(key: Any) -> str:
    """What a key is found by.

    :raises ValueError: Lua has no such key, or it is a table, which nobody who sends
        messages can name a second time.
    """
    key = distinct_key(key)
    if isinstance(key, str):
        return "s" + key
    if isinstance(key, float):
        return f"f{key!r}"
    if isinstance(key, LightUserdata):
        return f"p{key.pointer}"
    if isinstance(key, OddKey):
        if isinstance(key.value, bool):
            return f"b{key.value}"
        raise ValueError(f"{type(key.value).__name__} cannot be a key here")
    return f"i{_plain(key)}"


class LuaTable:
    """One table: its keys and values, by the keys' tokens."""

    __slots__ = ("entries",)

    def __init__(self) -> None:
        #: A value is a `LuaTable`, or has no inside.
        self.entries: dict[str, tuple[Any, Any]] = {}

    def get(self, place: str) -> Any:
        """The value at a key's token, or None."""
        entry = self.entries.get(place)
        return None if entry is None else entry[1]


class Tree:
    """A table of tables, read and changed by paths of keys.

    The rules are those of a real ``datacenterd``, for odd paths as well.

    :param max_size: the most bytes that it may take, roughly.
    """

    def __init__(self, max_size: int = MAX_SIZE) -> None:
        self._root = LuaTable()
        self._max_size = max_size
        #: What it takes, in bytes, roughly.
        self.size = 0

    def query(self, path: Sequence[Any]) -> tuple[Any, ...]:
        """Read what is at a path, up to the first None in it.

        :returns: nothing where the first key has no value; else one value, or None.
        :raises ValueError: the path leads through a value that is no table.
        """
        here: Any = self._root
        for number, key in enumerate(path):
            if number and (key is None or here is None):
                break
            if isinstance(here, LuaTable):
                try:
                    here = here.get(token(key))
                except ValueError:
                    here = None
            elif isinstance(here, str):
                here = None  # any text may be asked for a key, in Lua
            else:
                raise _no_branch(here)
            if number == 0 and here is None:
                return ()
        return (_natural(here),) if path else ()

    def update(self, path: Sequence[Any], value: Any) -> Any:
        """Set the value at a path, None to delete it; make the branches on the way.

        :returns: the value before, or None.
        :raises ValueError: the path leads through a value that is no table, has a key
            that cannot be one, or is empty; the value is none of Lua's; or the tree
            would become too deep or too large.
        """
        if not 0 < len(path) <= MAX_DEPTH:
            raise ValueError(f"a path has 1 to {MAX_DEPTH} keys, not {len(path)}")
        kept, size = _copied(value, MAX_DEPTH - len(path), self._max_size)
        here = self._root
        for key in path[:-1]:
            below = here.get(token(key))
            if below is None:
                below = LuaTable()
                self._put(here, key, below, 0)
            if not isinstance(below, LuaTable):
                raise _no_branch(below)
            here = below
        return _natural(self._put(here, path[-1], kept, size))

    def _put(self, table: LuaTable, key: Any, value: Any, size: int) -> Any:
        """Set a value which takes so many bytes, and return the one before."""
        place = token(key)
        key = _plain(key)
        before = table.get(place)
        growth = 0
        if before is not None:
            growth -= _entry_size(key, _size_of(before))
        if value is not None:
            growth += _entry_size(key, size)
        if growth > 0 and self.size + growth > self._max_size:
            raise _too_large(self._max_size)
        self.size += growth
        if value is not None:
            table.entries[place] = (key, value)
        else:
            table.entries.pop(place, None)
        return before


def _copied(value: Any, depth: int, limit: int) -> tuple[Any, int]:
    """Copy a value to keep it: whoever sent it may still change what it sent.

    :param depth: how many tables deep it may go on.
    :param limit: the most bytes that it may take.
    :returns: the copy, and about how many bytes it takes.
    """
    if not isinstance(value, (dict, list, tuple)):
        kept = _plain(value)
        return kept, _size_of(kept)
    if depth <= 0:
        raise ValueError("tables nested too deep")
    if len(value) * _ENTRY > limit:
        raise _too_large(limit)
    table = LuaTable()
    entries = table.entries
    size = 0
    for key, inner in _pairs(value):
        if inner is None:
            continue
        if type(key) is int:
            place = f"i{_plain(key)}"
        elif type(key) is str:
            place = "s" + key
        elif isinstance(key, OddKey) and not isinstance(key.value, bool):
            # No path leads to it, but who asks for the whole table gets it.
            place = f"t{id(key.value)}"
            size += _copied(key.value, depth - 1, limit - size)[1]
        else:
            place = token(key)
            key = _plain(key)
        if place in entries:
            raise ValueError("two of its keys are one in Lua")
        inner, inner_size = _copied(inner, depth - 1, limit - size)
        entries[place] = (key, inner)
        size += _entry_size(key, inner_size)
        if size > limit:
            raise _too_large(limit)
    return table, size


def _pairs(value: Any) -> Iterable[tuple[Any, Any]]:
    """The entries of a dict, or those that a list has in Lua."""
    return value.items() if isinstance(value, dict) else enumerate(value, 1)


def _plain(value: Any) -> Any:
    """A value without an inside, as it comes from another node.

    :raises ValueError: it is none of Lua's.
    """
    kind = type(value)
    if kind is str or kind is bool or kind is float or value is None:
        return value
    if isinstance(value, int):
        if not _MIN_INT <= value <= _MAX_INT:
            raise ValueError("the integer does not fit 64 bits")
        return int(value)
    if isinstance(value, OddKey):
        return _plain(value.value)
    if isinstance(value, (LightUserdata, RemoteObject)):
        return value
    if isinstance(value, (str, float)):
        return str(value) if isinstance(value, str) else float(value)
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value).decode("utf-8", "surrogateescape")
    raise ValueError(f"{kind.__name__} is no Lua value")


def _entry_size(key: Any, size: int) -> int:
    """About how many bytes an entry takes, whose value takes *size*."""
    return _ENTRY + (len(key) if isinstance(key, str) else 0) + size


def _size_of(value: Any) -> int:
    """About how many bytes a value takes beside its place in an entry."""
    if isinstance(value, str):
        return len(value)
    if not isinstance(value, LuaTable):
        return 0
    size = 0
    for key, inner in value.entries.values():
        size += _entry_size(key, 0 if type(inner) is int else _size_of(inner))
        if isinstance(key, OddKey):
            size += _copied(key.value, MAX_DEPTH, MAX_SIZE)[1]
    return size


def _natural(value: Any) -> Any:
    """What a reader gets: for a table, a list or a dict of its own."""
    if not isinstance(value, LuaTable):
        return value
    items: list[Any] = []
    for key, inner in value.entries.values():
        items += (key, _natural(inner))
    return natural_table(items, 0, False)


def _no_branch(value: Any) -> ValueError:
    return ValueError(f"the path leads through {str(value)[:40]!r}, which is no table")


def _too_large(limit: int) -> ValueError:
    return ValueError(f"the data would take more than {limit} bytes")
