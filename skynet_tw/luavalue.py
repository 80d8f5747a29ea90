# -*- test-case-name: tests.test_seri -*-
"""What Lua's values have and Python's have not: the odd guests of `skynet_tw.seri`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class LightUserdata:
    """A pointer, which means something only inside the process it came from."""

    #: The 64 bits of the pointer.
    pointer: int


@dataclass(frozen=True, slots=True)
class RemoteObject:
    """What a node of 2013 makes of a table with a number in its ``__remote``."""

    #: That number, of 32 bits with a sign.
    handle: int


class OddKey:
    """A key of a Lua table that a dict cannot hold as it is.

    Two of them are equal when they are around the very same object, as in Lua.
    """

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        #: The key: a table, or a bool beside the number that equals it.
        self.value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, OddKey) and other.value is self.value

    def __hash__(self) -> int:
        return id(self.value)

    def __repr__(self) -> str:
        return f"OddKey({self.value!r})"


def distinct_key(key: Any) -> Any:
    """Return *key* so that it equals another in Python only if it does in Lua.

    :raises ValueError: Lua has no such key.
    """
    if isinstance(key, OddKey):
        key = key.value
    if isinstance(key, bool):
        return OddKey(key)
    if isinstance(key, float):
        if key != key:
            raise ValueError("NaN cannot be a key")
        # As in Lua, which has no key 1.0 beside 1.
        return int(key) if key.is_integer() and -(2**63) <= key < 2**63 else key
    if isinstance(key, (str, int, LightUserdata)):
        return key
    if isinstance(key, (bytes, memoryview)):
        return bytes(key).decode("utf-8", "surrogateescape")
    if key is None:
        raise ValueError("None cannot be a key")
    return OddKey(key)


def natural_table(items: list[Any], array: int, gaps: bool) -> Any:
    """Make a list or a dict of a table as it is on the wire.

    :param items: *array* elements, then keys and values in turn.
    :param gaps: there may be None among them, for entries that do not exist.
    """
    if array and len(items) == array and not gaps:
        return items
    table: dict[Any, Any] = {}
    for i in range(array):
        if items[i] is not None:
            table[i + 1] = items[i]
    plain = not array
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


def split_table(table: dict[Any, Any]) -> tuple[int, list[Any]]:
    """Arrange a dict as it is on the wire, the other way of `natural_table`.

    :returns: how many keys there are from 1 on; their values, then the other keys and
        values in turn.
    :raises ValueError: Lua has no such key, or two of them are one there.
    """
    entries: dict[Any, Any] = {}
    for key, value in table.items():
        if value is not None:
            key = distinct_key(key)
            if key in entries:
                raise ValueError("two of its keys are one in Lua")
            entries[key] = value
    items: list[Any] = []
    while len(items) + 1 in entries:
        items.append(entries.pop(len(items) + 1))
    array = len(items)
    for key, value in entries.items():
        items += (key.value if isinstance(key, OddKey) else key, value)
    return array, items
