# -*- test-case-name: tests.test_seri -*-
"""Skynet's message values as bytes and back: what ``skynet.pack`` calls "lua".

A message is any number of values, one after the other.  In Python they are:

=================  ==========================  ==================================
Lua                unpacked                    packed from
=================  ==========================  ==================================
nil, boolean       None, bool                  the same
integer, float     int, float                  the same (``float`` also for 1.0)
string             str                         str, bytes, bytearray, memoryview
table, keys 1..n   list                        list, tuple, dict
any other table    dict; the empty one ``{}``  dict, list with None
lightuserdata      LightUserdata               LightUserdata
remote object      RemoteObject (2013 only)    RemoteObject (2013 only)
=================  ==========================  ==================================

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

import struct
from collections.abc import Iterable, Iterator, Sequence
from itertools import compress, count, islice, repeat
from operator import is_
from typing import Any

from .errors import PackError, TooLarge, UnpackError
from .luavalue import (
    BadKey,
    LightUserdata,
    OddKey,
    RemoteObject,
    natural_table,
    split_table,
)
from .text import error_text, shown, type_name

__all__ = [
    "PACK_DEPTH",
    "PACK_DEPTH_LIMIT",
    "PACK_SIZE",
    "UNPACK_DEPTH",
    "UNPACK_VALUES",
    "LightUserdata",
    "OddKey",
    "RemoteObject",
    "pack",
    "pack_values",
    "unpack",
]

#: Tables around a packed value, as in a real node.
PACK_DEPTH = 32

#: No limit above this counts: deeper tables kill nodes of 2013, and take our stack.
PACK_DEPTH_LIMIT = 199

#: Largest payload of a harbor's frame, in bytes.
PACK_SIZE = 16_777_203

#: Tables around an unpacked value; real nodes write no more than 33.
UNPACK_DEPTH = 64

#: Values of one message outside its tables, about as many as a real node reads.
UNPACK_VALUES = 1_000_000

# A tag is a type and eight times a "cookie".  These are types, and also tags with
# the cookie 0: nil, false, integer 0, "", a table without an array.
_NIL, _BOOLEAN, _NUMBER, _POINTER, _SHORT, _LONG, _TABLE, _REMOTE = range(8)

# Whole tags, named after what follows them.
_UINT8, _UINT16, _INT32, _INT64, _DOUBLE = 0x0A, 0x12, 0x22, 0x32, 0x42
_LONG_U16, _LONG_U32 = 0x15, 0x25
_TABLE_AND_SIZE = 0xFE
_REMOTE_TAGS = (0x07, 0x0F, 0x17, 0x27)

# A tag and a number, packed; a number, read.
_tag_u16 = struct.Struct("<BH").pack
_tag_i32 = struct.Struct("<Bi").pack
_tag_u32 = struct.Struct("<BI").pack
_tag_i64 = struct.Struct("<Bq").pack
_tag_u64 = struct.Struct("<BQ").pack
_tag_double = struct.Struct("<Bd").pack
_u16_at = struct.Struct("<H").unpack_from
_i32_at = struct.Struct("<i").unpack_from
_u32_at = struct.Struct("<I").unpack_from
_i64_at = struct.Struct("<q").unpack_from
_u64_at = struct.Struct("<Q").unpack_from
_double_at = struct.Struct("<d").unpack_from

#: Tags of short strings by their length, of tables by their array's.
_SHORT_TAGS = [bytes([_SHORT + 8 * size]) for size in range(32)]
_TABLE_TAGS = [bytes([_TABLE + 8 * size]) for size in range(31)]

#: Packed integers from 0 on.
_SMALL = [bytes([_NUMBER]), *(bytes([_UINT8, n]) for n in range(1, 256))]
_SMALL += [_tag_u16(_UINT16, n) for n in range(256, 1024)]


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

    :param max_depth: the most tables around a value, up to `PACK_DEPTH_LIMIT`; an empty
        table is none.
    :param max_size: the most bytes of the result.
    :param wire_2013: write for nodes of 2013, whose only numbers are doubles: those
        that equal a 32-bit integer are written as one, all others are rounded.
    :raises PackError: a value cannot be packed; it names the path to it.
    :raises TooLarge: there are more bytes than *max_size*; its ``size`` may be
        smaller than the whole, as packing ends early.
    """
    out: list[bytes] = []
    room = max_depth if max_depth < PACK_DEPTH_LIMIT else PACK_DEPTH_LIMIT
    try:
        if type(values) is not tuple:
            values = list(values)
        pending = iter(values)
        while _write(out, pending, room, max_size, wire_2013):
            out.append(b"\0")
    except _RefusedError as refused:
        fault = PackError(_path(values, refused.trail), refused.reason)
        # Compiled, "raise ... from" forgets the cause.
        fault.__cause__ = refused.cause
        raise fault from refused.cause
    except RecursionError:
        raise PackError("message", "Python's stack is full") from None
    except TooLarge:
        raise
    except Exception as error:
        fault = PackError("message", f"it raised {error_text(error, 200)}")
        fault.__cause__ = error
        raise fault from error
    packed = b"".join(out)
    if len(packed) > max_size:
        raise TooLarge(len(packed), max_size)
    return packed


class _RefusedError(Exception):
    """A value cannot be packed."""

    def __init__(self, reason: str, cause: Exception | None = None) -> None:
        self.reason = reason
        #: What the value raised, if that is why.
        self.cause = cause
        #: The value, what it is in, what that is in, up to the argument.
        self.trail: list[Any] = []


def _write(
    out: list[bytes], values: Iterator[Any], room: int, limit: int, wire_2013: bool
) -> bool:
    """Append packed *values*; stop after the first None, and tell if there was one.

    :param room: how many tables deep the values may go on.
    :param limit: the most bytes of the message.
    """
    append = out.append
    value: Any = None
    # Exact types first.  A cache of packed strings does not pay: it saves 80 ns where
    # it has one and costs 370 where it has not.  All times: CPython 3.11, where the
    # message ("ECHO", 1, "hello") takes 0.85 us to pack and 0.87 us to unpack.
    try:
        for value in values:
            kind = type(value)
            if kind is str:
                try:
                    append(_string(value.encode()))
                except UnicodeEncodeError:
                    append(_string(_escaped(value)))
            elif kind is int:
                # The call below would find it too, 60 ns later.
                if 0 <= value < 1024:
                    append(_SMALL[value])
                else:
                    append(_number(value, wire_2013))
            elif kind is dict:
                _write_dict(out, value, room, limit, wire_2013)
            elif kind is list or kind is tuple:
                _write_list(out, value, room, limit, wire_2013)
            elif kind is bool:
                append(b"\x09" if value else b"\x01")
            elif kind is float and not wire_2013:
                # Saves 200 ns over the calls below.
                append(_tag_double(_DOUBLE, value))
            elif value is None:
                return True
            else:
                _write_other(out, value, room, limit, wire_2013)
    except _RefusedError as refused:
        refused.trail.append(value)
        raise
    except (TooLarge, RecursionError):
        raise
    except Exception as error:
        # A value of a user's class, which may do anything when it is asked.
        refusal = _RefusedError(f"it raised {error_text(error, 200)}", error)
        refusal.trail.append(value)
        raise refusal from error
    return False


def _write_other(
    out: list[bytes], value: Any, room: int, limit: int, wire_2013: bool
) -> None:
    """Append a packed value of a less frequent type, or of a subclass."""
    # Not isinstance(), which asks the value: it may lie.  Of a subclass, what is packed
    # is what it gives once, as its length and its elements need not agree.
    kind = type(value)
    if issubclass(kind, int):
        out.append(_number(int.__index__(value), wire_2013))
    elif issubclass(kind, float):
        out.append(_number(float.__float__(value), wire_2013))
    elif issubclass(kind, str):
        out.append(_string(_escaped(value)))
    elif issubclass(kind, (bytes, bytearray, memoryview)):
        out.append(_string(memoryview(value).tobytes()))
    elif issubclass(kind, (list, tuple)):
        _write_list(out, list(value), room, limit, wire_2013)
    elif issubclass(kind, dict):
        _write_dict(out, dict(value.items()), room, limit, wire_2013)
    elif kind is LightUserdata:
        try:
            out.append(_tag_u64(_POINTER, value.pointer))
        except struct.error:
            raise _RefusedError("a pointer has 64 bits") from None
    elif kind is RemoteObject and wire_2013:
        packed = _number(value.handle, wire_2013)
        if packed[0] > _INT32:
            raise _RefusedError("the handle of a remote object has 32 bits")
        out.append(bytes([packed[0] - _NUMBER + _REMOTE]) + packed[1:])
    else:
        raise _RefusedError(f"{type_name(value)} is no Lua value")


def _write_list(
    out: list[bytes], values: Sequence[Any], room: int, limit: int, wire_2013: bool
) -> None:
    """Append a packed table whose keys are 1..n."""
    _check_room(out, values, room, limit)
    start = len(out)
    out.append(_table_tag(len(values)))
    if _write(out, iter(values), room - 1, limit, wire_2013):
        # As in Lua, the array ends at the first gap; the rest are keys and values.
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
    array = 0
    items: list[Any] = []
    for key, value in table.items():
        if type(key) is not str:
            try:
                array, items = split_table(table)
            except BadKey as fault:
                raise _RefusedError(str(fault)) from None
            break
        if value is not None:
            items.append(key)
            items.append(value)
    out.append(_table_tag(array))
    _write(out, iter(items), room - 1, limit, wire_2013)
    out.append(b"\0")


def _check_room(out: list[bytes], values: Iterable[Any], room: int, limit: int) -> None:
    """Refuse a table that is too deep and not empty; end too long a message."""
    if room <= 0 and any(value is not None for value in values):
        raise _RefusedError("tables nested too deep, or one inside itself")
    if len(out) > limit:
        raise TooLarge(sum(map(len, out)), limit)


def _table_tag(size: int) -> bytes:
    """Begin a table with an array of *size* elements."""
    if size < 31:
        return _TABLE_TAGS[size]
    return bytes([_TABLE_AND_SIZE]) + _number(size, False)


def _number(value: int | float, wire_2013: bool) -> bytes:
    if wire_2013:
        try:
            is_int32 = -(2**31) <= value < 2**31 and value == int(value)
            value = int(value) if is_int32 else float(value)
        except OverflowError:
            raise _RefusedError("the integer does not fit a double") from None
    if not isinstance(value, int):
        return _tag_double(_DOUBLE, value)
    if 0 <= value < 1024:
        return _SMALL[value]
    if 0 <= value < 65536:
        return _tag_u16(_UINT16, value)
    if -(2**31) <= value < 2**31:
        return _tag_i32(_INT32, value)
    if -(2**63) <= value < 2**63:
        return _tag_i64(_INT64, value)
    raise _RefusedError("the integer does not fit 64 bits")


def _string(raw: bytes) -> bytes:
    size = len(raw)
    if size < 32:
        return _SHORT_TAGS[size] + raw
    if size < 65536:
        return _tag_u16(_LONG_U16, size) + raw
    if size < 2**31:
        return _tag_u32(_LONG_U32, size) + raw
    raise _RefusedError("a string of 2 GiB or more")


def _escaped(text: str) -> bytes:
    """Encode text that may have bytes in it which were no UTF-8 when they came."""
    try:
        return str.encode(text, "utf-8", "surrogateescape")
    except UnicodeEncodeError:
        raise _RefusedError("text with half of a surrogate pair") from None


def _path(values: Sequence[Any], trail: list[Any]) -> str:
    """Say how one comes from the arguments to the value at which *trail* begins."""
    inner = trail.pop()
    number = next((place + 1 for place in _places(values, inner)), "?")
    steps: list[str] = []
    while trail:
        outer, inner = inner, trail.pop()
        try:
            steps.append(f"[{_shown(_key(outer, inner))}]")
        except Exception:
            # A container of a user's class, which gives something else each time.
            steps.append("[?]")
    if len(steps) > 12:
        steps[8:-2] = ["..."]
    return f"argument {number}" + (" -> " + "".join(steps) if steps else "")


def _places(values: Iterable[Any], wanted: Any) -> Iterator[int]:
    """Find the very object *wanted*, without a step of Python for each value."""
    return compress(count(), map(is_, values, repeat(wanted)))


def _key(table: Any, inner: Any) -> Any:
    """Find the key of a value in a list or dict; the value may be the key itself.

    :raises Exception: it is not there, or whatever a user's class raises.
    """
    if not issubclass(type(table), dict):
        return next(_places(table, inner))
    for place in _places(table.values(), inner):
        return next(islice(table, place, None))
    return next(
        k for k in table if k is inner or (type(k) is OddKey and k.value is inner)
    )


def _shown(key: Any) -> str:
    """Show a key in a path, whatever it is."""
    kind = type(key)
    if issubclass(kind, str):
        text = str.__getitem__(key, slice(40))
        return '"' + repr(text)[1:-1].replace('"', '\\"') + '"'
    if issubclass(kind, (int, float)):
        return shown(key, 60)
    return f"<{type_name(key)}>"


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
                try:
                    # Saves 30 ns over naming the encoding and the error handler.
                    value = data[pos:end].decode()
                except UnicodeDecodeError:
                    value = data[pos:end].decode("utf-8", "surrogateescape")
                pos = end
            elif tag == _UINT8:
                # The frequent numbers: read here, each saves the 140 ns of a call.
                value = data[pos]
                pos += 1
            elif tag == _UINT16:
                value = _u16_at(data, pos)[0]
                pos += 2
            elif tag == _INT32:
                value = _i32_at(data, pos)[0]
                pos += 4
            elif tag == _DOUBLE:
                value = _double_at(data, pos)[0]
                if value != value and _at_key(items, array):
                    raise UnpackError(pos - 1, "NaN cannot be a key")
                if wire_2013:
                    value = _whole(value)
                pos += 8
            elif kind == _NIL:
                if _at_key(items, array):
                    # Not a value but the end of the table.
                    try:
                        value = natural_table(items, array, gaps)
                    except ValueError as fault:
                        raise UnpackError(pos - 1, str(fault)) from None
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
                if tag == _TABLE_AND_SIZE:
                    array, pos = _array_size(data, pos, wire_2013)
                if array > size - pos:
                    raise UnpackError(pos, f"{array} elements in {size - pos} bytes")
                continue
            elif kind == _BOOLEAN:
                value = tag != _BOOLEAN
            elif tag == _INT64 and not wire_2013:
                value = _i64_at(data, pos)[0]
                pos += 8
            elif kind == _NUMBER:
                value, pos = _integer_at(data, pos, tag, wire_2013)
            else:
                value, pos = _other_at(data, pos, tag, wire_2013)
            items.append(value)
    except (IndexError, struct.error):
        raise UnpackError(pos - 1, "the message ends inside a value") from None
    if outer:
        raise UnpackError(size, "the message ends inside a table")
    if len(items) > max_values:
        raise UnpackError(size, f"{len(items)} values; {max_values} are allowed")
    return tuple(items)


def _at_key(items: list[Any], array: int) -> bool:
    """Tell if a table that holds *items* so far goes on with a key, or ends."""
    place = len(items) - array
    return place >= 0 and not place & 1


def _whole(value: float) -> int | float:
    """Turn the double of a node of 2013 to an int, if that is what it stands for."""
    return int(value) if abs(value) <= 2**53 and value.is_integer() else value


def _integer_at(data: bytes, pos: int, tag: int, wire_2013: bool) -> tuple[int, int]:
    """Read the integer at *pos*, behind its tag; return it, and where it ends."""
    if tag == _NUMBER:
        return 0, pos
    if tag == _UINT8:
        return data[pos], pos + 1
    if tag == _UINT16:
        return _u16_at(data, pos)[0], pos + 2
    if tag == _INT32:
        return _i32_at(data, pos)[0], pos + 4
    if tag == _INT64 and not wire_2013:
        return _i64_at(data, pos)[0], pos + 8
    raise UnpackError(pos - 1, f"tag {tag:#04x} is no integer")


def _other_at(data: bytes, pos: int, tag: int, wire_2013: bool) -> tuple[Any, int]:
    """Read the value at *pos*, behind its tag, if it is of one of the rare types."""
    if tag & 7 == _POINTER:
        return LightUserdata(_u64_at(data, pos)[0]), pos + 8
    if wire_2013 and tag in _REMOTE_TAGS:
        handle, end = _integer_at(data, pos, tag - _REMOTE + _NUMBER, wire_2013)
        return RemoteObject(handle), end
    if tag == _LONG_U16:
        start, size = pos + 2, _u16_at(data, pos)[0]
    elif tag == _LONG_U32:
        start, size = pos + 4, _u32_at(data, pos)[0]
    else:
        raise UnpackError(pos - 1, f"tag {tag:#04x} is no value")
    end = start + size
    if end > len(data):
        raise UnpackError(pos - 1, "the message ends inside a string")
    return data[start:end].decode("utf-8", "surrogateescape"), end


def _array_size(data: bytes, pos: int, wire_2013: bool) -> tuple[int, int]:
    """Read the size of an array that its tag cannot hold; return it, and its end."""
    tag = data[pos]
    size: int | float
    if wire_2013 and tag == _DOUBLE:
        size, end = _whole(_double_at(data, pos + 1)[0]), pos + 9
    else:
        size, end = _integer_at(data, pos + 1, tag, wire_2013)
    if not isinstance(size, int):
        raise UnpackError(pos, "the size of an array is no integer")
    # As the real decoder has it: 32 bits with a sign, less than 0 means 0.
    size &= 0xFFFFFFFF
    return size if size < 2**31 else 0, end
