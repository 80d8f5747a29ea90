# -*- test-case-name: tests.test_seri -*-
"""What Lua's values have and Python's have not: the odd guests of `skynet_tw.seri`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .keys import FREE_KEYS, check_keys
from .text import shown


@dataclass(frozen=True, slots=True)
class LightUserdata:
    """A pointer, which means something only inside the process it came from."""

    #: The 64 bits of the pointer.
    pointer: int

    def __reduce__(self) -> tuple[Any, ...]:
        # Compiled, a class does not know how.
        return LightUserdata, (self.pointer,)


@dataclass(frozen=True, slots=True)
class RemoteObject:
    """What a node of 2013 makes of a table with a number in its ``__remote``."""

    #: That number, of 32 bits with a sign.
    handle: int

    def __reduce__(self) -> tuple[Any, ...]:
        return RemoteObject, (self.handle,)


class OddKey:
    """A key of a Lua table that a dict cannot hold as it is.

    Two of them are equal when they are around the very same object, as in Lua.
    """

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        #: The key: a table, or a bool beside the number that equals it.
        self.value = value

    def __reduce__(self) -> tuple[Any, ...]:
        return OddKey, (self.value,)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, OddKey) and other.value is self.value

    def __hash__(self) -> int:
        return id(self.value)

    def __repr__(self) -> str:
        return f"OddKey({shown(self.value)})"


class BadKey(ValueError):
    """What cannot be a key of a Lua table; the text says why."""


#: Types of keys that are others in Lua if they are in Python.
_PLAIN_KEYS = frozenset({str, int, float, LightUserdata})


def distinct_key(key: Any) -> Any:
    """Return *key* so that it equals another in Python only if it does in Lua.

    :raises BadKey: Lua has no such key.
    """
    if isinstance(key, OddKey):
        key = key.value
    if isinstance(key, bool):
        return OddKey(key)
    if isinstance(key, float):
        if key != key:
            raise BadKey("NaN cannot be a key")
        # As in Lua, which has no key 1.0 beside 1.
        return int(key) if key.is_integer() and -(2**63) <= key < 2**63 else key
    if isinstance(key, (str, int, LightUserdata)):
        return key
    if isinstance(key, (bytes, memoryview)):
        return bytes(key).decode("utf-8", "surrogateescape")
    if key is None:
        raise BadKey("None cannot be a key")
    return OddKey(key)


def natural_table(items: list[Any], array: int, gaps: bool) -> Any:
    """Make a list or a dict of a table as it is on the wire.

    :param items: *array* elements, then keys and values in turn.
    :param gaps: there may be None among them, for entries that do not exist.
    :raises ValueError: the keys were chosen to make a dict slow.
    """
    if array and len(items) == array and not gaps:
        return items
    plain = not array
    table: dict[Any, Any] | None = None
    if len(items) - array > 2 * FREE_KEYS:
        table = _checked_table(items, array, gaps)
    if table is not None:
        plain = False
    else:
        table = {}
        for i in range(array):
            if items[i] is not None:
                table[i + 1] = items[i]
        for i in range(array, len(items), 2):
            key = items[i]
            value = items[i + 1]
            if type(key) is not str:
                key = distinct_key(key)
                plain = False
            if value is not None:
                table[key] = value
            else:
                table.pop(key, None)
    if plain:
        return table
    numbers = range(1, len(table) + 1)
    if table and all(map(table.__contains__, numbers)):
        return [table[i] for i in numbers]
    for flag in (True, False):
        odd = OddKey(flag)
        if odd in table and flag not in table:
            table[flag] = table.pop(odd)
    return table


def _checked_table(items: list[Any], array: int, gaps: bool) -> dict[Any, Any] | None:
    """Make the dict of `natural_table` if `check_keys` lets its keys pass.

    :returns: None if there are too few numbers among them to check.
    """
    keys = items[array::2]
    values = items[array + 1 :: 2]
    kinds = list(map(type, keys))
    texts = kinds.count(str)
    if len(keys) - texts <= FREE_KEYS:
        return None
    if kinds.count(int) < len(keys):
        keys = [key if type(key) is int else distinct_key(key) for key in keys]
    if texts:
        # At the end: a dict that begins with them grows at the first number.
        order = [i for i, key in enumerate(keys) if type(key) is not str]
        order += [i for i, key in enumerate(keys) if type(key) is str]
        keys = [keys[i] for i in order]
        values = [values[i] for i in order]
    if array:
        keys = [*range(1, array + 1), *keys]
        values = items[:array] + values
    check_keys(keys)
    if gaps:
        there = [i for i, value in enumerate(values) if value is not None]
        if len(there) < len(values):
            keys = [keys[i] for i in there]
            values = [values[i] for i in there]
            check_keys(keys)
    return dict(zip(keys, values, strict=True))


def split_table(table: dict[Any, Any]) -> tuple[int, list[Any]]:
    """Arrange a dict as it is on the wire, the other way of `natural_table`.

    :returns: how many keys there are from 1 on; their values, then the other keys and
        values in turn.
    :raises BadKey: Lua has no such key, or two of them are one there.
    """
    if not _PLAIN_KEYS.issuperset(map(type, table)):
        table = _distinct_table(table)
    items: list[Any] = []
    value = table.get(1)
    while value is not None:
        items.append(value)
        value = table.get(len(items) + 1)
    array = len(items)
    for key, value in table.items():
        if value is None:
            continue
        kind = type(key)
        if kind is not str:
            if kind is float:
                key = distinct_key(key)
            if array and isinstance(key, int) and 1 <= key <= array:
                continue
            if kind is OddKey:
                key = key.value
        items.append(key)
        items.append(value)
    return array, items


def _distinct_table(table: dict[Any, Any]) -> dict[Any, Any]:
    """Make a dict whose keys are as `distinct_key` gives them.

    :raises BadKey: Lua has no such key, or two of them are one there.
    """
    entries: dict[Any, Any] = {}
    for key, value in table.items():
        if value is not None:
            key = distinct_key(key)
            if key in entries:
                raise BadKey("two of its keys are one in Lua")
            entries[key] = value
    return entries
