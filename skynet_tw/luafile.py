# -*- test-case-name: tests.test_luafile -*-
"""Skynet's files of settings, which are Lua: constants are read, nothing is executed.

What is read is a list of assignments ``name = constant``, in any layout that Lua takes:
strings, numbers and booleans, comments and semicolons (see `lualiteral`).  All else
that Lua can say is an error, as its result would be a guess.
"""

from __future__ import annotations

from typing import NamedTuple

from .lualiteral import KEYWORDS, LiteralError, Reader

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


def read(text: str) -> list[Setting]:
    """Read the assignments of a file, in their order; a name may be there twice.

    :raises LuaFileError: something is no assignment of a constant.
    """
    settings = []
    try:
        reader = Reader(text)
        while reader.token.kind != "end":
            if not reader.take_sign(";"):
                settings.append(_setting(text, reader))
    except LiteralError as error:
        raise LuaFileError(_line(text, error.offset), error.reason) from error
    return settings


def _setting(text: str, reader: Reader) -> Setting:
    """Read one assignment.

    :raises LiteralError: it is none.
    """
    name = reader.token
    if name.kind != "name" or name.text in KEYWORDS:
        reader.refuse("a name is wanted")
    reader.take()
    reader.expect("=", f"= is wanted behind {name.text}")
    return Setting(name.text, _constant(reader), _line(text, name.offset))


def _constant(reader: Reader) -> Constant:
    token = reader.token
    is_constant = token.kind in ("number", "string") or token.text in ("true", "false")
    if not is_constant and (token.kind, token.text) != ("sign", "-"):
        reader.refuse("a string, a number, true or false is wanted")
    value: Constant = reader.value()
    if isinstance(value, str):
        try:
            # A byte of an escape that is no UTF-8 stands there as a lone surrogate.
            value.encode()
        except UnicodeEncodeError as error:
            reason = "the bytes of a string are not UTF-8"
            raise LiteralError(token.offset, reason) from error
    return value


def _line(text: str, offset: int) -> int:
    """The number of a line, from 1."""
    return text.count("\n", 0, offset) + 1
