# -*- test-case-name: tests.cli.test_arguments -*-
"""The arguments of a message, as texts of a command line.

There are three forms.  In all of them each word of the command line is one argument.

* ``lua``: a number, ``true``, ``false`` and ``nil`` are what they are in Lua; what
  begins with a quote or with ``{`` is a literal of Lua; all else is text as it stands.
* ``json``: each word is a JSON value.
* ``string``: each word is text.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from ..lualiteral import CONSTANTS, LiteralError, is_number, literal
from ..text import shown

#: Whole numbers that a message carries: 64 bits with a sign.
_WHOLE = range(-(2**63), 2**63)


class BadArgument(ValueError):
    """A word that is no argument of its form.

    :param number: which of the arguments, from 1.
    :param text: the word.
    :param reason: where in it, and why.
    """

    def __init__(self, number: int, text: str, reason: str) -> None:
        super().__init__(f"argument {number}, {shown(text, 60)}: {reason}")
        self.number = number
        self.reason = reason


def read(form: str, texts: Sequence[str]) -> list[Any]:
    """Read words as the values of a message.

    :param form: one of `FORMS`.
    :raises BadArgument: the first word that is none.
    """
    one = FORMS[form]
    values = []
    for number, text in enumerate(texts, 1):
        try:
            values.append(one(text))
        except (ValueError, RecursionError) as error:
            reason = str(error) if isinstance(error, ValueError) else "too deep"
            raise BadArgument(number, text, reason) from error
    return values


def is_word(text: str) -> bool:
    """Whether the form ``lua`` takes a word as text, just as it stands."""
    return not (
        text.startswith(("'", '"', "{", "--")) or text in CONSTANTS or is_number(text)
    )


def from_lua(text: str) -> Any:
    """The value of a word in the form ``lua``.

    :raises LiteralError: it begins as a literal and is none.
    """
    if is_word(text):
        return text
    if text.startswith("--"):
        # It is there by mistake; Lua takes it as a comment.
        raise LiteralError(
            0, f"options go before HOST:PORT; as text it is '\"{text}\"'"
        )
    return literal(text)


def from_json(text: str) -> Any:
    """The value of a JSON text.

    :raises ValueError: it is none, or has a number that no message carries.
    """
    try:
        return json.loads(text, parse_int=_whole, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        hint = "; text stands in double quotes" if error.pos == 0 else ""
        reason = f"{error.msg[:1].lower()}{error.msg[1:]}{hint}"
        raise LiteralError(error.pos, reason) from error


def _whole(text: str) -> int:
    # Python refuses to read numbers of thousands of digits.
    number = int(text) if len(text) <= 20 else 2**64
    if number not in _WHOLE:
        raise ValueError(f"{shown(text, 40)[1:-1]} does not fit 64 bits")
    return number


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


#: What reads a word, by the names of the forms.
FORMS: dict[str, Callable[[str], Any]] = {
    "lua": from_lua,
    "json": from_json,
    "string": str,
}
