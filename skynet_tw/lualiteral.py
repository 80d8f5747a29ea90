# -*- test-case-name: tests.test_lualiteral -*-
"""Lua's literals as values: constants and tables of them are read, nothing is executed.

What is read is a part of Lua's own grammar (Lua 5.4 reference manual, "Lexical
Conventions" and "Table Constructors"): nil, booleans, numbers, strings in quotes or in
long brackets, tables, and comments between them.  Values are as `skynet_tw.seri` gives
them: a table with the keys 1 to n is a list, any other one a dict, and bytes of a
string that are no UTF-8 are lone surrogates.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple, NoReturn

from .luavalue import BadKey, distinct_key, natural_table
from .text import shown

#: The most tables around a value.  A message carries no more than half of that.
DEPTH = 64


class LiteralError(ValueError):
    """Something that is no literal.

    :param offset: where it is, in characters from the start of the text.
    :param reason: what is wrong there.
    """

    def __init__(self, offset: int, reason: str) -> None:
        super().__init__(f"at character {offset + 1}: {reason}")
        self.offset = offset
        self.reason = reason


class Token(NamedTuple):
    """One word of a text."""

    #: "name", "number", "string", "sign", "unknown" or "end".
    kind: str
    #: As it stands there; of a string what it says.
    text: str
    #: Where it begins, in characters from the start.
    offset: int

    @property
    def called(self) -> str:
        """The token as an error calls it."""
        if self.kind == "end":
            return "the end"
        if self.kind == "string":
            return f"the string {shown(self.text, 40)}"
        return shown(self.text, 40)[1:-1]


_WORDS = (
    "and break do else elseif end false for function goto if in local nil not or repeat"
    " return then true until while"
)

#: Words of the language, which name nothing.
KEYWORDS = frozenset(_WORDS.split())

#: Words that are values.
CONSTANTS = {"nil": None, "true": True, "false": False}

#: Lua's white space; Python's has more.
_BLANK = r"[ \t\n\r\f\v]+"

#: A backslash and what it takes along.  Each text has one reading only: two would make
#: the time for a string without an end grow with the power of its escapes.
_ESCAPED = r"\\(?:z[ \t\n\r\f\v]*(?![ \t\n\r\f\v])|\r\n|[^z\r]|\r(?!\n))"

_NUMBER = r"""(?:
        0[xX](?=\.?[0-9a-fA-F])[0-9a-fA-F]*(?:\.[0-9a-fA-F]*)?(?:[pP][+-]?[0-9]+)?
        | (?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)? )(?![A-Za-z0-9_.])"""

_TOKEN = re.compile(
    rf"""
      (?P<blank>{_BLANK})
    | (?P<comment>--(?!\[=*\[)[^\n]*)
    | (?P<long>(?:--)?\[(?P<level>=*)\[)
    | (?P<name>[A-Za-z_][A-Za-z0-9_]*)
    | (?P<number>{_NUMBER})
    | (?P<quoted>
        "[^"\\\n]*(?:{_ESCAPED}[^"\\\n]*)*" | '[^'\\\n]*(?:{_ESCAPED}[^'\\\n]*)*' )
    | (?P<sign>[=,;{{}}\[\]-])
    | (?P<unknown>[^\s=,;{{}}\[\]"']+ | .)
    """,
    re.X | re.S,
)

_SIGNED = re.compile(f"-?{_NUMBER}", re.X)

_ESCAPE = re.compile(
    rb"""\\(?:
      (?P<letter>[abfnrtv\\"'])
    | (?P<end>\r\n|\n)
    | x(?P<hex>[0-9a-fA-F]{2})
    | (?P<decimal>[0-9]{1,3})
    | u\{(?P<code>[0-9a-fA-F]{1,8})\}
    | (?P<skip>z[ \t\n\r\f\v]*)
    | (?P<wrong>[\x80-\xff]+|.)
    )""",
    re.X | re.S,
)

_LETTERS = {
    letter.encode(): meant.encode()
    for letter, meant in zip("abfnrtv\\\"'", "\a\b\f\n\r\t\v\\\"'", strict=True)
}


def literal(text: str) -> Any:
    """Read one value, and nothing behind it.

    :raises LiteralError: the text is not that.
    """
    reader = Reader(text)
    value = reader.value()
    reader.end()
    return value


def is_number(text: str) -> bool:
    """Whether a text is written as a number, with or without a minus."""
    return _SIGNED.fullmatch(text) is not None


class Reader:
    """Reads a text from its beginning, one token or one value at a time.

    :raises LiteralError: in each method: the text goes on with something else.
    """

    def __init__(self, text: str) -> None:
        self._tokens = _tokens(text)
        #: What comes next.
        self.token = next(self._tokens)

    def take(self) -> Token:
        """The next token, which is then read; "end" stays the last."""
        token = self.token
        if token.kind != "end":
            self.token = next(self._tokens)
        return token

    def take_sign(self, sign: str) -> bool:
        """Read a sign if that is what comes next."""
        if self.token.kind != "sign" or self.token.text != sign:
            return False
        self.take()
        return True

    def expect(self, sign: str, wanted: str) -> None:
        """Read a sign; *wanted* says what it is there for."""
        if not self.take_sign(sign):
            self.refuse(wanted)

    def end(self) -> None:
        """Refuse anything but the end."""
        if self.token.kind != "end":
            self.refuse("the end is wanted")

    def refuse(self, wanted: str) -> NoReturn:
        """Refuse what comes next.

        :raises LiteralError: always.
        """
        token = self.token
        raise LiteralError(token.offset, f"{wanted}, not {token.called}")

    def value(self, depth: int = 0) -> Any:
        """Read a value that is *depth* tables deep."""
        token = self.token
        if self.take_sign("{"):
            if depth >= DEPTH:
                raise LiteralError(token.offset, f"more than {DEPTH} tables deep")
            return self._table(token, depth + 1)
        negative = self.take_sign("-")
        if self.token.kind == "number":
            return _number(self.take(), negative)
        if not negative:
            if token.kind == "string":
                return self.take().text
            if token.kind == "name" and token.text in CONSTANTS:
                return CONSTANTS[self.take().text]
            if token.kind in ("name", "unknown"):
                reason = f"{token.called} is no value; text stands in quotes"
                raise LiteralError(token.offset, reason)
        self.refuse("a number is wanted" if negative else "a value is wanted")

    def _table(self, opening: Token, depth: int) -> Any:
        """Read the rest of a table, whose values are *depth* tables deep."""
        values: list[Any] = []
        entries: dict[Any, Any] = {}
        while not self.take_sign("}"):
            begin = self.token
            if self.take_sign("["):
                key = self.value(depth)
                self.expect("]", "] is wanted behind a key")
                self._entry(entries, begin, key, depth)
            elif begin.kind == "name" and begin.text not in KEYWORDS:
                self.take()
                self._entry(entries, begin, begin.text, depth)
            elif begin.kind != "end":
                values.append(self.value(depth))
            if self.token.kind == "end":
                raise LiteralError(opening.offset, "a table without an end")
            if self.token.text != "}" and not self.take_sign(";"):
                self.expect(",", "a comma or } is wanted")
        for key in entries:
            if isinstance(key, int) and 1 <= key <= len(values):
                raise LiteralError(opening.offset, f"the key {key} is there twice")
        pairs = [item for entry in entries.items() for item in entry]
        try:
            return natural_table([*values, *pairs], len(values), gaps=True)
        except ValueError as error:
            raise LiteralError(opening.offset, str(error)) from error

    def _entry(
        self, entries: dict[Any, Any], begin: Token, key: Any, depth: int
    ) -> None:
        """Read the value of a key."""
        if not self.take_sign("="):
            if begin.kind == "name":
                reason = f"{begin.called} is no value; text stands in quotes"
                raise LiteralError(begin.offset, reason)
            self.refuse("= is wanted behind a key")
        try:
            key = distinct_key(key)
        except BadKey as error:
            reason = str(error).replace("None", "nil")
            raise LiteralError(begin.offset, reason) from error
        if key in entries:
            reason = f"the key {shown(key, 40)} is there twice"
            raise LiteralError(begin.offset, reason)
        entries[key] = self.value(depth)


def _number(token: Token, negative: bool) -> int | float:
    """The number that a token is.

    :raises LiteralError: it is none, or a whole one that 64 bits do not hold: Lua would
        round it, which loses the end of an id.
    """
    text = token.text.lower()
    is_hex = text.startswith("0x")
    try:
        if re.search("[.p]" if is_hex else "[.e]", text):
            value = float.fromhex(text) if is_hex else float(text)
            return -value if negative else value
        whole = int(text, 16) if is_hex else int(text)
    except (ValueError, OverflowError) as error:
        reason = f"{token.called} is no number"
        raise LiteralError(token.offset, reason) from error
    if is_hex and 2**63 <= whole < 2**64:
        whole -= 2**64  # as in Lua: the 64 bits of a number with a sign
    whole = -whole if negative else whole
    if not -(2**63) <= whole < 2**63:
        reason = f"{token.called} does not fit 64 bits"
        raise LiteralError(token.offset, reason)
    return whole


def _tokens(text: str) -> Iterator[Token]:
    """Cut a text into its words.

    :raises LiteralError: a string or a comment has no end, or an escape no meaning.
    """
    at = 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        assert match is not None  # "unknown" takes anything
        end = match.end()
        if match["long"]:
            closing = f"]{match['level']}]"
            end = text.find(closing, end)
            if end < 0:
                raise LiteralError(at, f"{match['long']} is not closed by {closing}")
            if match["long"].startswith("["):
                inner = text[match.end() : end].replace("\r\n", "\n")
                yield Token("string", inner.removeprefix("\n"), at)
            end += len(closing)
        elif match["quoted"]:
            yield Token("string", _unquoted(match[0][1:-1], at), at)
        elif match["unknown"] in ('"', "'"):
            raise LiteralError(at, "a string without an end")
        elif not match["blank"] and not match["comment"]:
            yield Token(str(match.lastgroup), match[0], at)
        at = end
    yield Token("end", "", at)


def _unquoted(inner: str, offset: int) -> str:
    """Resolve the escapes of a string, which name bytes."""

    def resolved(match: re.Match[bytes]) -> bytes:
        if match["letter"]:
            return _LETTERS[match["letter"]]
        if match["end"]:
            return b"\n"
        if match["skip"]:
            return b""
        code = int(match["code"], 16) if match["code"] else 0x110000
        if code < 0x110000:
            return chr(code).encode("utf-8", "surrogatepass")
        byte = int(match["hex"], 16) if match["hex"] else 256
        byte = int(match["decimal"]) if match["decimal"] else byte
        if byte > 255:
            escape = match[0].decode("utf-8", "replace")
            raise LiteralError(offset, f"the escape {escape} means nothing")
        return bytes([byte])

    if "\\" not in inner:
        return inner
    said = _ESCAPE.sub(resolved, inner.encode("utf-8", "surrogateescape"))
    return said.decode("utf-8", "surrogateescape")
