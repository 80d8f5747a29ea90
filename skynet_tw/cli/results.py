# -*- test-case-name: tests.cli.test_results -*-
"""The results of a call, as lines of text.

Written as Lua, each result has one line, which is the same value again where it is an
argument of the next command: text stands without quotes if `arguments` would take it
as text.  Written as JSON, all results together are one array, in one line of ASCII.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Sequence
from typing import Any

from ..lualiteral import KEYWORDS
from ..luavalue import LightUserdata, OddKey, split_table
from .arguments import is_word

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")

_ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"}


def lines(results: Sequence[Any], as_json: bool = False) -> list[str]:
    """Write the results of a call.

    :returns: lines without their ends.
    """
    if as_json:
        return [json.dumps([_plain(result) for result in results])]
    return [line(result) for result in results]


def line(value: Any) -> str:
    """Write one result as Lua; text that needs no quotes has none."""
    if (
        isinstance(value, str)
        and value.isprintable()
        and value == value.strip()
        and value
        and is_word(value)
    ):
        return value
    return lua(value)


def lua(value: Any) -> str:
    """Write a value as a literal of Lua.

    What has no literal is written as Lua's ``%q`` has it (``1e9999``, ``(0/0)``), and a
    pointer as ``tostring`` does.
    """
    if value is None:
        return "nil"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return _quoted(value)
    if isinstance(value, float):
        return _float(value)
    if isinstance(value, (list, tuple)):
        return "{" + ", ".join(map(lua, value)) + "}"
    if isinstance(value, dict):
        return "{" + ", ".join(_entries(value)) + "}"
    if isinstance(value, OddKey):
        return lua(value.value)
    if isinstance(value, LightUserdata):
        return f"userdata: {value.pointer:#x}"
    return str(value)


def _float(value: float) -> str:
    if math.isnan(value):
        return "(0/0)"
    if math.isinf(value):
        return "1e9999" if value > 0 else "-1e9999"
    return repr(value)


def _quoted(text: str) -> str:
    if text.isprintable():
        text = text.replace("\\", "\\\\").replace('"', '\\"')
    else:
        text = "".join(map(_character, text))
    return f'"{text}"'


def _character(character: str) -> str:
    """A character within quotes; a byte that is no UTF-8 is a lone surrogate here."""
    if character in _ESCAPES:
        return _ESCAPES[character]
    if character.isprintable():
        return character
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF or code < 0x80:
        return f"\\x{code & 0xFF:02x}"
    return f"\\u{{{code:x}}}"


def _entries(table: dict[Any, Any]) -> Iterator[str]:
    """What stands in a table: values of the keys 1 to n, then the rest in order."""
    count, items = split_table(table)
    yield from map(lua, items[:count])
    pairs = zip(items[count::2], items[count + 1 :: 2], strict=True)
    for key, value in sorted(pairs, key=_order):
        is_name = isinstance(key, str) and _NAME.match(key) and key not in KEYWORDS
        yield f"{key if is_name else f'[{lua(key)}]'} = {lua(value)}"


def _order(pair: tuple[Any, Any]) -> tuple[int, Any]:
    """Where a key stands in its table: a Lua node sends them in any order."""
    key = pair[0]
    if isinstance(key, (int, float)) and not isinstance(key, bool):
        return 0, key
    return (1, key) if isinstance(key, str) else (2, lua(key))


def _plain(value: Any) -> Any:
    """What JSON can say of a value.

    Keys that are no text are written as Lua writes them, in brackets where that text
    is a key as well.  Numbers that JSON has not are null, as in JavaScript.
    """
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return _object(value)
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    return lua(value)


def _object(table: dict[Any, Any]) -> dict[str, Any]:
    said = {}
    # Text comes first: it stays as it is.
    for key, value in sorted(table.items(), key=lambda it: not isinstance(it[0], str)):
        name = key if isinstance(key, str) else lua(key)
        said[f"[{name}]" if name in said else name] = _plain(value)
    return dict(sorted(said.items()))
