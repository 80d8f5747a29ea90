# -*- test-case-name: tests.test_luafile -*-
"""Skynet's files of settings, which are Lua: constants are read, nothing is executed.

What is read is a list of assignments ``name = constant``, in any layout that Lua takes
(Lua 5.4 reference manual, "Lexical Conventions"): strings in quotes with their escapes,
long strings, numbers and booleans, both kinds of comments, semicolons.  All else that
Lua can say is an error, as its result would be a guess.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from .text import shown

#: What a setting can be.
Constant = str | int | float | bool


class Setting(NamedTuple):
    """One assignment of a file."""

    name: str
    value: Constant
    #: The number of its line, from 1.
    line: int


class LuaFileError(ValueError):
    """Something that is no assignment of a constant.

    :param line: the number of its line, from 1.
    :param reason: what was found there.
    """

    def __init__(self, line: int, reason: str) -> None:
        super().__init__(f"line {line}: {reason}")
        self.line = line
        self.reason = reason


#: Words of the language, which name nothing.
_KEYWORDS = {
    *("and", "break", "do", "else", "elseif", "end", "false", "for", "function"),
    *("goto", "if", "in", "local", "nil", "not", "or", "repeat", "return", "then"),
    *("true", "until", "while"),
}
#: Lua's white space; Python's has more.
_BLANK = r"[ \t\n\r\f\v]+"

#: A backslash and what it takes along.  Each text has one reading only: two would make
#: the time for a string without an end grow with the power of its escapes.
_ESCAPED = r"\\(?:z[ \t\n\r\f\v]*(?![ \t\n\r\f\v])|\r\n|[^z\r]|\r(?!\n))"

_TOKEN = re.compile(
    rf"""
      (?P<blank>{_BLANK})
    | (?P<comment>--(?!\[=*\[)[^\n]*)
    | (?P<long>(?:--)?\[(?P<level>=*)\[)
    | (?P<name>[A-Za-z_][A-Za-z0-9_]*)
    | (?P<number>
        0[xX][0-9a-fA-F]*(?:\.[0-9a-fA-F]*)?(?:[pP][+-]?[0-9]+)?
        | (?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)? )(?![A-Za-z0-9_.])
    | (?P<quoted>"(?:{_ESCAPED}|[^"\\\n])*"|'(?:{_ESCAPED}|[^'\\\n])*')
    | (?P<sign>[=;-])
    """,
    re.X,
)

_ESCAPE = re.compile(
    rf"""\\(?:
      (?P<letter>[abfnrtv\\"'])
    | (?P<end>\r\n|\n)
    | x(?P<hex>[0-9a-fA-F]{{2}})
    | (?P<decimal>[0-9]{{1,3}})
    | u\{{(?P<code>[0-9a-fA-F]{{1,8}})\}}
    | (?P<skip>z(?:{_BLANK})?)
    | (?P<wrong>.)
    )""",
    re.X | re.S,
)

_LETTERS = dict(zip("abfnrtv\\\"'", "\a\b\f\n\r\t\v\\\"'", strict=True))


class _Token(NamedTuple):
    """One word of the text."""

    kind: str
    text: str
    line: int


def read(text: str) -> list[Setting]:
    """Read the assignments of a file, in their order; a name may be there twice.

    :raises LuaFileError: something is no assignment of a constant.
    """
    tokens = list(_tokens(text))
    settings = []
    at = 0
    while tokens[at].kind != "end":
        if tokens[at].text == ";" and tokens[at].kind == "sign":
            at += 1
            continue
        name, equals = tokens[at], tokens[at + 1]
        if name.kind != "name" or name.text in _KEYWORDS:
            raise LuaFileError(name.line, f"a name is wanted, not {_found(name)}")
        if equals.kind != "sign" or equals.text != "=":
            wanted = f"= is wanted behind {name.text}, not {_found(equals)}"
            raise LuaFileError(equals.line, wanted)
        value, at = _constant(tokens, at + 2)
        settings.append(Setting(name.text, value, name.line))
    return settings


def _constant(tokens: list[_Token], at: int) -> tuple[Constant, int]:
    """The value that begins at a token, and where the next statement begins."""
    token = tokens[at]
    negative = token.kind == "sign" and token.text == "-"
    if negative:
        at += 1
        token = tokens[at]
    if token.kind == "number":
        number = _number(token)
        return -number if negative else number, at + 1
    if not negative and token.kind in ("string", "name"):
        if token.kind == "string":
            return token.text, at + 1
        if token.text in ("true", "false"):
            return token.text == "true", at + 1
    wanted = "a string, a number, true or false is wanted"
    raise LuaFileError(token.line, f"{wanted}, not {_found(token)}")


def _number(token: _Token) -> int | float:
    text = token.text.lower()
    try:
        if not text.startswith("0x"):
            return float(text) if re.search("[.e]", text) else int(text)
        if not re.search("[.p]", text):
            return int(text, 16)
        return float.fromhex(text)
    except (ValueError, OverflowError) as error:
        wrong = f"{shown(token.text, 40)} is no number"
        raise LuaFileError(token.line, wrong) from error


def _found(token: _Token) -> str:
    """Name a token, for the text of an error."""
    if token.kind == "end":
        return "the end of the file"
    if token.kind == "string":
        return f"the string {shown(token.text, 40)}"
    return shown(token.text, 40).strip("'\"") if token.kind != "name" else token.text


def _tokens(text: str) -> Iterator[_Token]:
    """Cut a text into words; two at its end spare a look past it."""
    at, line = 0, 1
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            yield _Token("unknown", _unknown(text, at, line), line)
            at += 1
            continue
        end = match.end()
        kind = match.lastgroup if match["long"] is None else "long"
        if kind == "long":
            closing = f"]{match['level']}]"
            body = end
            end = text.find(closing, body)
            if end < 0:
                raise LuaFileError(line, f"{match['long']} is not closed by {closing}")
            if not match["long"].startswith("--"):
                inner = text[body:end].replace("\r\n", "\n")
                yield _Token("string", inner.removeprefix("\n"), line)
            end += len(closing)
        elif kind == "quoted":
            yield _Token("string", _unquoted(match[0][1:-1], line), line)
        elif kind not in ("blank", "comment"):
            yield _Token(str(kind), match[0], line)
        line += text.count("\n", at, end)
        at = end
    for _ in range(2):
        yield _Token("end", "", line)


def _unknown(text: str, at: int, line: int) -> str:
    """What stands where no word of ours does.

    :raises LuaFileError: it is a string without an end.
    """
    if text[at] in "\"'":
        raise LuaFileError(line, "a string without an end")
    match = re.compile(r"[^\s;=]+").match(text, at)
    return match[0] if match else text[at]


def _unquoted(inner: str, line: int) -> str:
    """Resolve escapes.  They name bytes, which together have to be UTF-8."""

    def resolved(match: re.Match[str]) -> str:
        if match["letter"]:
            return _LETTERS[match["letter"]]
        if match["end"]:
            return "\n"
        if match["skip"]:
            return ""
        if match["code"]:
            code = int(match["code"], 16)
            if code <= 0x10FFFF and not 0xD800 <= code < 0xE000:
                return chr(code)
        number = int(match["hex"], 16) if match["hex"] else -1
        if match["decimal"]:
            number = int(match["decimal"])
        if not 0 <= number <= 255:
            wrong = f"the escape {shown(match[0], 20)[1:-1]} means nothing"
            raise LuaFileError(line, wrong.replace("\\\\", "\\"))
        return chr(number) if number < 128 else chr(0xDC00 + number)

    text = _ESCAPE.sub(resolved, inner)
    try:
        # A byte of an escape stands in the text as a lone surrogate until here.
        return text.encode("utf-8", "surrogateescape").decode("utf-8")
    except UnicodeError as error:
        raise LuaFileError(line, "the bytes of a string are not UTF-8") from error
