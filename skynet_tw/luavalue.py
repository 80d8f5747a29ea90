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
        return distinct_key(key.value)
    if isinstance(key, bool):
        return OddKey(key)
    if isinstance(key, float):
        if key != key:
            raise ValueError("NaN cannot be a key")
        # As in Lua, which has no key 1.0 beside 1.
        return int(key) if key.is_integer() and -(2**63) <= key < 2**63 else key
    if isinstance(key, str | int | LightUserdata):
        return key
    if isinstance(key, bytes | memoryview):
        return bytes(key).decode("utf-8", "surrogateescape")
    if key is None:
        raise ValueError("None cannot be a key")
    return OddKey(key)


def table_of(entries: dict[Any, Any]) -> dict[Any, Any] | list[Any]:
    """Return the natural form of a table whose keys are all distinct.

    That is a list if the keys are 1..n; and bool keys are plain ones, unless a number
    that equals them is a key as well.
    """
    size = len(entries)
    if 1 in entries and all(map(entries.__contains__, range(1, size + 1))):
        return [entries[i] for i in range(1, size + 1)]
    for flag in (True, False):
        odd = OddKey(flag)
        if odd in entries and flag not in entries:
            entries[flag] = entries.pop(odd)
    return entries


def split_table(table: dict[Any, Any]) -> tuple[list[Any], list[tuple[Any, Any]]]:
    """Split a table as Lua keeps it: the values of the keys 1..n, the other pairs.

    :raises ValueError: Lua has no such key, or two of them are one there.
    """
    entries: dict[Any, Any] = {}
    for key, value in table.items():
        if value is not None:
            distinct = distinct_key(key)
            if distinct in entries:
                raise ValueError(f"two keys are {distinct!r} in Lua")
            entries[distinct] = value
    array: list[Any] = []
    while len(array) + 1 in entries:
        array.append(entries.pop(len(array) + 1))
    pairs: list[Any] = []
    ...
