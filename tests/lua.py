"""Reads the Lua expressions of the test data, independently of `skynet_tw.seri`."""

from __future__ import annotations

import math
import re
import struct
from typing import Any

from skynet_tw.seri import OddKey

_TOKEN = re.compile(
    r"""\s*(?:
        (?P<number>0x[0-9a-fA-F]+ | \d+\.?\d*(?:e-?\d+)?)
      | (?P<name>[A-Za-z_][A-Za-z_0-9.]*)
      | (?P<string>"(?:[^"\\]|\\.)*" | '(?:[^'\\]|\\.)*')
      | (?P<sign>\.\. | // | [-/^(){}\[\]=,])
    )""",
    re.VERBOSE,
)
_ESCAPE = re.compile(rb"\\(x[0-9a-fA-F]{2}|\d{1,3}|.)")

#: What 0/0 gives on the machine of the test data: NaN with the sign bit set.
_NAN = -math.nan

_NAMES: dict[str, Any] = {
    "nil": None,
    "true": True,
    "false": False,
    "math.huge": math.inf,
    "math.pi": math.pi,
    "math.maxinteger": 2**63 - 1,
    "math.mininteger": -(2**63),
}


def values(text: str) -> list[Any]:
    """Evaluate a list of expressions; strings come as bytes, tables as `Table`."""
    return _Reader(text).expressions("")


def python(value: Any) -> Any:
    """Turn what `values` gave into what `skynet_tw.seri.unpack` gives."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "surrogateescape")
    if isinstance(value, Table):
        return value.python()
    return value


def form(value: Any) -> str:
    """Write an unpacked value so that equal texts mean exactly equal values.

    Unlike ``==`` it tells 1, 1.0 and True apart, and compares every bit of a float.
    """
    if isinstance(value, float):
        return f"float {struct.pack('<d', value).hex()}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(form, value)) + "]"
    if isinstance(value, dict):
        entries = sorted(f"{form(k)}: {form(v)}" for k, v in value.items())
        return "{" + ", ".join(entries) + "}"
    if isinstance(value, OddKey):
        return f"OddKey({form(value.value)})"
    return repr(value)


class Table:
    """A Lua table: its entries, as pairs."""

    def __init__(self) -> None:
        self.entries: list[tuple[Any, Any]] = []

    def python(self) -> Any:
        """Give the list or the dict that this table is in Python."""
        pairs = [(python(k), python(v)) for k, v in self.entries if v is not None]
        numbers = {k for k, _ in pairs if type(k) in (int, float)}
        if pairs and len(numbers) == len(pairs) == max(numbers) and min(numbers) == 1:
            return [value for _, value in sorted(pairs)]
        return {self._key(k, numbers): v for k, v in pairs}

    @staticmethod
    def _key(key: Any, numbers: set[Any]) -> Any:
        if isinstance(key, (list, dict)) or (isinstance(key, bool) and key in numbers):
            return OddKey(key)
        return key


class _Reader:
    """A recursive descent over the few forms that the test data uses."""

    def __init__(self, text: str) -> None:
        self.tokens: list[tuple[str, str]] = []
        position = 0
        while position < len(text):
            match = _TOKEN.match(text, position)
            if match is None:
                raise ValueError(f"cannot read {text[position:]!r}")
            self.tokens.append((str(match.lastgroup), match[str(match.lastgroup)]))
            position = match.end()
        self.tokens.append(("sign", ""))

    def take(self, sign: str) -> bool:
        """Go past *sign* if it comes next."""
        if self.tokens[0] == ("sign", sign):
            del self.tokens[0]
            return True
        return False

    def expressions(self, end: str) -> list[Any]:
        """Read expressions up to and past the sign *end*."""
        found: list[Any] = []
        while not self.take(end):
            found.append(self.expression())
            if not self.take(","):
                if not self.take(end):
                    raise ValueError(f"unexpected {self.tokens[0][1]!r}")
                break
        return found

    def expression(self) -> Any:
        left = self.quotient()
        return left + self.expression() if self.take("..") else left

    def quotient(self) -> Any:
        left = self.negated()
        if self.take("//"):
            return left // self.negated()
        if self.take("/"):
            right = self.negated()
            return left / right if right else _NAN
        return left

    def negated(self) -> Any:
        return -self.negated() if self.take("-") else self.power()

    def power(self) -> Any:
        left = self.simple()
        return float(left) ** self.negated() if self.take("^") else left

    def simple(self) -> Any:
        kind, text = self.tokens.pop(0)
        if kind == "number":
            return _number(text)
        if kind == "string":
            return _ESCAPE.sub(_unescaped, text[1:-1].encode())
        if kind == "name":
            if text in _NAMES:
                return _NAMES[text]
            if self.take("("):
                return _call(text, self.expressions(")"))
        if text == "(":
            return self.expressions(")")[0]
        if text == "{":
            return self.table()
        raise ValueError(f"cannot read {text!r}")

    def table(self) -> Table:
        table = Table()
        index = 0
        while not self.take("}"):
            if self.take("["):
                key = self.expressions("]")[0]
                self.take("=")
            elif self.tokens[1] == ("sign", "="):
                key = self.tokens[0][1].encode()
                del self.tokens[:2]
            else:
                index += 1
                key = index
            if isinstance(key, float) and key.is_integer():
                key = int(key)
            table.entries.append((key, self.expression()))
            self.take(",")
        return table


def _number(text: str) -> float:
    if text.startswith("0x"):
        return int(text, 16)
    if text.isdigit() and int(text) < 2**63:
        return int(text)
    return float(text)


def _unescaped(match: re.Match[bytes]) -> bytes:
    code = match[1]
    if code[:1] == b"x":
        return bytes([int(code[1:], 16)])
    if code.isdigit():
        return bytes([int(code)])
    return {b"r": b"\r", b"n": b"\n"}.get(code, code)


def _call(name: str, arguments: list[Any]) -> Any:
    if name == "string.rep":
        return arguments[0] * arguments[1]
    if name == "setmetatable":
        return arguments[0]
    if name == "table.pack":
        table = Table()
        table.entries = [*enumerate(arguments, 1), (b"n", len(arguments))]
        return table
    raise ValueError(f"unknown function {name}")
