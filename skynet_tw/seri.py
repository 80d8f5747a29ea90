# -*- test-case-name: tests.test_seri -*-
"""Skynet's message values as bytes and back: what ``skynet.pack`` calls "lua".

A message is any number of values, one after the other.  In Python they are:

=================  ==========================  ===================================
Lua                unpacked                    packed from
=================  ==========================  ===================================
nil, boolean       None, bool                  the same
integer, float     int, float                  the same (``float`` also for 1.0)
string             str                         str, bytes, bytearray, memoryview
table, keys 1..n   list                        list, tuple, dict
any other table    dict; the empty one ``{}``  dict, list with None
lightuserdata      LightUserdata               LightUserdata
remote object      RemoteObject (2013 only)    RemoteObject (2013 only)
=================  ==========================  ===================================

Text is UTF-8 with ``surrogateescape``: any byte string survives the way through
``str`` and back.  Entries whose value is nil do not exist, in Lua as here: they
leave a gap in a list, which makes it a dict, and are absent from a dict.

A dict cannot hold every key that a Lua table can.  A table as a key, which Lua
finds by identity, comes as an `OddKey` around it.  ``True`` comes as it is, unless
the key 1, its equal in Python, is there as well: then as ``OddKey(True)``; so for
``False`` and 0.  No entry is lost, and all of them pack as the keys they were.

The real encoder and decoder are met to the byte, except where theirs would crash or
take memory beyond all measure; there the limits below refuse.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from struct import Struct, error
from typing import Any

from .errors import PackError, TooLarge, UnpackError

#: Tables around a packed value, as in a real node.
PACK_DEPTH = 32

#: Largest payload of a harbor's frame, in bytes.
PACK_SIZE = 16_777_203

#: Tables around an unpacked value; real nodes write 33 at most.
UNPACK_DEPTH = 64

#: Values of one message outside its tables, about as many as a real node reads.
UNPACK_VALUES = 1_000_000


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


# A tag is the type in its low three bits and eight times the "cookie".
_NIL, _BOOLEAN, _NUMBER, _POINTER, _SHORT, _LONG, _TABLE, _REMOTE = range(8)

# Whole tags, named after what follows them.
_BYTE, _UINT16, _INT32, _INT64, _DOUBLE = 0x0A, 0x12, 0x22, 0x32, 0x42
_LONG_U16, _LONG_U32 = 0x15, 0x25
_REMOTE_TAGS = (0x07, 0x0F, 0x17, 0x27)

_byte_and_u16 = Struct("<BH").pack
_byte_and_i32 = Struct("<Bi").pack
_byte_and_u32 = Struct("<BI").pack
_byte_and_i64 = Struct("<Bq").pack
_byte_and_u64 = Struct("<BQ").pack
_byte_and_double = Struct("<Bd").pack
_u16_at = Struct("<H").unpack_from
_i32_at = Struct("<i").unpack_from
_u32_at = Struct("<I").unpack_from
_i64_at = Struct("<q").unpack_from
_u64_at = Struct("<Q").unpack_from
_double_at = Struct("<d").unpack_from

#: Tags of short strings by their length, and of tables by their array's.
_SHORT_TAGS = [bytes([_SHORT + 8 * n]) for n in range(32)]
_TABLE_TAGS = [bytes([_TABLE + 8 * n]) for n in range(31)]

#: Packed integers from 0 on.
_SMALL = [bytes([_NUMBER]), *(bytes([_BYTE, n]) for n in range(1, 256))]
_SMALL += [_byte_and_u16(_UINT16, n) for n in range(256, 1024)]

#: Packed short strings, since commands and field names come again and again.
_texts: dict[str, bytes] = {}
_TEXTS_LIMIT = 4096

#: The keys true and false while a table is put together.
_TRUE, _FALSE = OddKey(True), OddKey(False)


class _Refused(Exception):
    """A value cannot be packed."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        #: The value, what it is in, what that is in, up to the argument.
        self.trail: list[Any] = []


def pack(
    *values: Any,
    max_depth: int = PACK_DEPTH,
    max_size: int = PACK_SIZE,
    wire_2013: bool = False,
) -> bytes:
    """Encode *values* as ``skynet.pack`` does; see `pack_values`."""
    return pack_values(
        values, max_depth=max_depth, max_size=max_size, wire_2013=wire_2013
    )


def pack_values(
    values: Sequence[Any],
    *,
    max_depth: int = PACK_DEPTH,
    max_size: int = PACK_SIZE,
    wire_2013: bool = False,
) -> bytes:
    """Encode the values of one message.

    :param max_depth: the most tables around a value; an empty table does not count.
    :param max_size: the most bytes of the result.
    :param wire_2013: write for nodes of 2013, whose only numbers are doubles: those
        that equal a 32-bit integer are written as one, all others are rounded.
    :raises PackError: a value cannot be packed; it names the path to it.
    :raises TooLarge: there are more bytes than *max_size*; its ``size`` may be
        smaller than the whole, as packing ends early.
    """
    out: list[bytes] = []
    pending = iter(values)
    try:
        while _write(out, pending, max_depth, max_size, wire_2013):
            out.append(b"\0")
    except _Refused as refused:
        raise PackError(_path(values, refused.trail), refused.reason) from None
    except RecursionError:
        raise PackError("message", "tables nested too deep for Python") from None
    packed = b"".join(out)
    if len(packed) > max_size:
        raise TooLarge(len(packed), max_size)
    return packed


def unpack(
    data: bytes | bytearray | memoryview,
    *,
    max_depth: int = UNPACK_DEPTH,
    max_values: int = UNPACK_VALUES,
    wire_2013: bool = False,
) -> tuple[Any, ...]:
    """Decode the values of one message.

    Time and memory grow with the length of *data*, whatever sizes it speaks of.

    :param max_depth: the most tables around a value.
    :param max_values: the most values outside tables.
    :param wire_2013: read what nodes of 2013 wrote: without 64-bit integers, with
        remote objects; doubles that stand for an integer become ``int``.
    :raises UnpackError: *data* is malformed or beyond a limit.
    """
    if type(data) is not bytes:
        data = bytes(data)
    size = len(data)
    pos = 0
    # What was read of the innermost table, or of the message: `array` elements, then
    # keys and values in turn.  The message itself is all array.
    items: list[Any] = []
    array = size + 1
    # The same two of each table around it.
    outer: list[tuple[list[Any], int]] = []
    gaps = False
    value: Any
    try:
        while pos < size:
            tag = data[pos]
            pos += 1
            kind = tag & 7
            if kind == _SHORT:
                end = pos + (tag >> 3)
                if end > size:
                    raise UnpackError(pos - 1, "the message ends inside a string")
                value = data[pos:end].decode("utf-8", "surrogateescape")
                pos = end
            elif tag == _BYTE:
                value = data[pos]
                pos += 1
            elif tag == _INT32:
                value = _i32_at(data, pos)[0]
                pos += 4
            elif kind == _NIL:
                if _at_key(items, array):
                    # Not a value but the end of the table.
                    value = _table(items, array, gaps)
                    items, array = outer.pop()
                else:
                    value = None
                    gaps = True
            elif kind == _TABLE:
                if len(outer) >= max_depth:
                    raise UnpackError(pos - 1, f"over {max_depth} nested tables")
                outer.append((items, array))
                items = []
                array = tag >> 3
                if array == 31:
                    array, pos = _array_size(data, pos, wire_2013)
                if array > size - pos:
                    raise UnpackError(pos, f"{array} elements in {size - pos} bytes")
                continue
            elif kind == _BOOLEAN:
                value = tag != _BOOLEAN
            elif kind == _NUMBER:
                value, pos = _number(data, pos, tag, wire_2013)
                if value != value and _at_key(items, array):
                    raise UnpackError(pos - 9, "NaN as a table's key")
            else:
                value, pos = _other(data, pos, tag, wire_2013)
            items.append(value)
    except (IndexError, error):
        raise UnpackError(pos - 1, "the message ends inside a value") from None
    if outer:
        raise UnpackError(size, "the message ends inside a table")
    if len(items) > max_values:
        raise UnpackError(size, f"{len(items)} values; {max_values} are allowed")
    return tuple(items)


def _write(
    out: list[bytes], values: Iterator[Any], room: int, limit: int, wire_2013: bool
) -> bool:
    """Append packed *values*; stop after the first None, and tell if there was one.

    :param room: how many tables deep the values may go on.
    :param limit: the most bytes of the message.
    """
    append = out.append
    value: Any = None
    try:
        for value in values:
            kind = type(value)
            if kind is str:
                append(_texts.get(value) or _text(value))
            elif kind is int:
                if 0 <= value < 1024:
                    append(_SMALL[value])
                elif wire_2013:
                    append(_number_2013(value))
                else:
                    append(_integer(value))
            elif kind is dict:
                _write_dict(out, value, room, limit, wire_2013)
            elif kind is list or kind is tuple:
                _write_list(out, value, room, limit, wire_2013)
            elif kind is bool:
                append(b"\x09" if value else b"\x01")
            elif value is None:
                return True
            elif kind is float and not wire_2013:
                append(_byte_and_double(_DOUBLE, value))
            else:
                _write_other(out, value, room, limit, wire_2013)
    except _Refused as refused:
        refused.trail.append(value)
        raise
    return False


def _write_other(
    out: list[bytes], value: Any, room: int, limit: int, wire_2013: bool
) -> None:
    """Append a packed value of a less frequent type, or of a subclass."""
    if isinstance(value, int | float) and wire_2013:
        out.append(_number_2013(value))
    elif isinstance(value, int):
        out.append(_integer(value))
    elif isinstance(value, float):
        out.append(_byte_and_double(_DOUBLE, value))
    elif isinstance(value, str):
        out.append(_text(str.__str__(value)))
    elif isinstance(value, bytes | bytearray | memoryview):
        out.append(_string(bytes(value)))
    elif isinstance(value, list | tuple):
        _write_list(out, value, room, limit, wire_2013)
    elif isinstance(value, dict):
        _write_dict(out, value, room, limit, wire_2013)
    elif isinstance(value, LightUserdata):
        if not 0 <= value.pointer < 2**64:
            raise _Refused("the pointer does not fit 64 bits")
        out.append(_byte_and_u64(_POINTER, value.pointer))
    elif isinstance(value, RemoteObject) and wire_2013:
        if not -(2**31) <= value.handle < 2**31:
            raise _Refused("the handle does not fit 32 bits")
        packed = _integer(value.handle)
        out.append(bytes([packed[0] - _NUMBER + _REMOTE]) + packed[1:])
    else:
        raise _Refused(f"{type(value).__qualname__} is no Lua value")


def _write_list(
    out: list[bytes], values: Sequence[Any], room: int, limit: int, wire_2013: bool
) -> None:
    """Append a packed table whose keys are 1..n."""
    _check_room(out, values, room, limit)
    start = len(out)
    out.append(_table_tag(len(values)))
    if _write(out, iter(values), room - 1, limit, wire_2013):
        # The array part ends at the first gap, the rest goes on as keys and values.
        border = next(i for i, value in enumerate(values) if value is None)
        out[start] = _table_tag(border)
        pairs: list[Any] = []
        for i in range(border + 1, len(values)):
            if values[i] is not None:
                pairs += (i + 1, values[i])
        _write(out, iter(pairs), room - 1, limit, wire_2013)
    out.append(b"\0")


def _write_dict(
    out: list[bytes], table: dict[Any, Any], room: int, limit: int, wire_2013: bool
) -> None:
    """Append a packed table of any keys."""
    _check_room(out, table.values(), room, limit)
    array: list[Any] = []
    pairs: list[Any] = []
    for key, value in table.items():
        if type(key) is not str:
            array, pairs = _sort(table)
            break
        if value is not None:
            pairs += (key, value)
    out.append(_table_tag(len(array)))
    _write(out, iter(array), room - 1, limit, wire_2013)
    _write(out, iter(pairs), room - 1, limit, wire_2013)
    out.append(b"\0")


def _sort(table: dict[Any, Any]) -> tuple[list[Any], list[Any]]:
    """Split a table as Lua keeps it: the array of keys 1..n, the other pairs."""
    entries: dict[Any, Any] = {}
    for key, value in table.items():
        if value is None:
            continue
        key = _lua_key(key)
        if key in entries:
            raise _Refused(f"two keys that are {_shown(key)} in Lua")
        entries[key] = value
    array: list[Any] = []
    while len(array) + 1 in entries:
        array.append(entries.pop(len(array) + 1))
    pairs: list[Any] = []
    for key, value in entries.items():
        pairs += (key.value if type(key) is OddKey else key, value)
    return array, pairs


def _check_room(out: list[bytes], values: Iterable[Any], room: int, limit: int) -> None:
    """Refuse a table that is too deep, unless it is empty, and too long a message."""
    if room <= 0 and any(value is not None for value in values):
        raise _Refused("too many nested tables, or one inside itself")
    if len(out) > limit:
        raise TooLarge(sum(map(len, out)), limit)


def _table_tag(size: int) -> bytes:
    """Begin a table with an array part of *size* elements."""
    return _TABLE_TAGS[size] if size < 31 else b"\xfe" + _integer(size)


def _integer(value: int) -> bytes:
    if 0 <= value < 1024:
        return _SMALL[value]
    if 0 <= value < 65536:
        return _byte_and_u16(_UINT16, value)
    if -(2**31) <= value < 2**31:
        return _byte_and_i32(_INT32, value)
    if -(2**63) <= value < 2**63:
        return _byte_and_i64(_INT64, value)
    raise _Refused("the integer does not fit 64 bits")


def _number_2013(value: float) -> bytes:
    if -(2**31) <= value < 2**31 and value == int(value):
        return _integer(int(value))
    try:
        return _byte_and_double(_DOUBLE, value)
    except OverflowError:
        raise _Refused("the integer does not fit a double") from None


def _text(text: str) -> bytes:
    """Pack a string that is not in `_texts`, and keep it there if it is short."""
    try:
        packed = _string(text.encode("utf-8", "surrogateescape"))
    except UnicodeEncodeError:
        raise _Refused("text with half a surrogate pair") from None
    if len(packed) <= 32:
        if len(_texts) >= _TEXTS_LIMIT:
            _texts.clear()
        _texts[text] = packed
    return packed


def _string(raw: bytes) -> bytes:
    size = len(raw)
    if size < 32:
        return _SHORT_TAGS[size] + raw
    if size < 65536:
        return _byte_and_u16(_LONG_U16, size) + raw
    if size < 2**31:
        return _byte_and_u32(_LONG_U32, size) + raw
    raise _Refused("a string of 2**31 bytes or more")


def _path(values: Sequence[Any], trail: list[Any]) -> str:
    """Say how *trail* leads from the arguments to the value at its begin."""
    inner = trail.pop()
    number = next(i for i, value in enumerate(values, 1) if value is inner)
    steps: list[str] = []
    while trail:
        outer, inner = inner, trail.pop()
        entries = outer.items() if isinstance(outer, dict) else enumerate(outer)
        for key, value in entries:
            # What is refused may be the key itself, or inside it.
            held = key.value if isinstance(key, OddKey) else key
            if value is inner or held is inner:
                steps.append(f"[{_shown(key)}]")
                break
    if len(steps) > 12:
        steps[8:-2] = ["..."]
    return f"argument {number}" + (" -> " + "".join(steps) if steps else "")


def _shown(key: Any) -> str:
    """Show a key of a path, and never fail to."""
    if isinstance(key, str):
        return '"' + repr(key[:40])[1:-1].replace('"', '\\"') + '"'
    if isinstance(key, int | float) and abs(key) < 2**64:
        return repr(key)
    return f"<{type(key).__qualname__}>"


def _lua_key(key: Any) -> Any:
    """Return *key* as Lua keeps it: no other key of its table equals it in Python."""
    if isinstance(key, bool):
        return _TRUE if key else _FALSE
    if isinstance(key, float):
        if key != key:
            raise _Refused("NaN cannot be a key")
        # As in Lua, which has no key 1.0 beside 1.
        return int(key) if key.is_integer() and -(2**63) <= key < 2**63 else key
    if isinstance(key, str | int | LightUserdata):
        return key
    if isinstance(key, bytes | memoryview):
        return bytes(key).decode("utf-8", "surrogateescape")
    if isinstance(key, OddKey):
        return _lua_key(key.value)
    if key is None:
        raise _Refused("None cannot be a key")
    return OddKey(key)


def _at_key(items: list[Any], array: int) -> bool:
    """Tell if a table that holds *items* so far goes on with a key, or ends."""
    place = len(items) - array
    return place >= 0 and not place & 1


def _number(data: bytes, pos: int, tag: int, wire_2013: bool) -> tuple[Any, int]:
    """Read the number at *pos*; return it, and where it ends."""
    if tag == _NUMBER:
        return 0, pos
    if tag == _BYTE:
        return data[pos], pos + 1
    if tag == _UINT16:
        return _u16_at(data, pos)[0], pos + 2
    if tag == _INT32:
        return _i32_at(data, pos)[0], pos + 4
    if tag == _INT64 and not wire_2013:
        return _i64_at(data, pos)[0], pos + 8
    if tag == _DOUBLE:
        value = _double_at(data, pos)[0]
        if wire_2013 and abs(value) <= 2**53 and value.is_integer():
            value = int(value)
        return value, pos + 8
    raise UnpackError(pos - 1, f"tag {tag:#04x} is no value")


def _other(data: bytes, pos: int, tag: int, wire_2013: bool) -> tuple[Any, int]:
    """Read the long string or the like at *pos*; return it, and where it ends."""
    if tag & 7 == _POINTER:
        return LightUserdata(_u64_at(data, pos)[0]), pos + 8
    if tag in _REMOTE_TAGS and wire_2013:
        handle, end = _number(data, pos, tag - _REMOTE + _NUMBER, wire_2013)
        return RemoteObject(handle), end
    if tag == _LONG_U16:
        start, size = pos + 2, _u16_at(data, pos)[0]
    elif tag == _LONG_U32:
        start, size = pos + 4, _u32_at(data, pos)[0]
    else:
        raise UnpackError(pos - 1, f"tag {tag:#04x} is no value")
    if start + size > len(data):
        raise UnpackError(pos - 1, "the message ends inside a string")
    return data[start : start + size].decode("utf-8", "surrogateescape"), start + size


def _array_size(data: bytes, pos: int, wire_2013: bool) -> tuple[int, int]:
    """Read the size of an array that its tag cannot hold; return it, and its end."""
    tag = data[pos]
    if tag & 7 == _NUMBER:
        size, end = _number(data, pos + 1, tag, wire_2013)
        if isinstance(size, int):
            # As the real decoder has it: 32 bits with a sign, less than 0 means 0.
            size &= 0xFFFFFFFF
            return size if size < 2**31 else 0, end
    raise UnpackError(pos, "the size of an array is no integer")


def _table(items: list[Any], array: int, gaps: bool) -> Any:
    """Make a list or a dict of an array part, and the keys and values after it.

    :param gaps: there may be nil among the items.
    """
    table: dict[Any, Any] = {}
    if array:
        if len(items) == array and not gaps:
            return items
        for i in range(array):
            if items[i] is not None:
                table[i + 1] = items[i]
    plain = not array
    for i in range(array, len(items), 2):
        key = items[i]
        value = items[i + 1]
        if type(key) is not str:
            key = _lua_key(key)
            plain = False
        if value is not None:
            table[key] = value
        else:
            table.pop(key, None)
    return table if plain else _settled(table)


def _settled(table: dict[Any, Any]) -> Any:
    """Make a list of a table with keys 1..n, give bool keys their natural form."""
    if 1 in table and all(map(table.__contains__, range(1, len(table) + 1))):
        return [table[i] for i in range(1, len(table) + 1)]
    for key in (_TRUE, _FALSE):
        if key in table and key.value not in table:
            table[key.value] = table.pop(key)
    return table
