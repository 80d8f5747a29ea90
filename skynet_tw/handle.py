# -*- test-case-name: tests.test_handle -*-
"""Addresses of actors, and the rules of their names."""

from __future__ import annotations

import re

from .errors import BadAddress
from .text import shown

#: The largest index of an actor within its node; 0 is never an actor.
MAX_INDEX = 0xFFFFFF

#: A global name's length on the current wire, in bytes; 16 on the wire of 2013.
NAME_LIMIT = 15

_TEXT = re.compile(r":([0-9a-fA-F]{1,8})\Z")


class Handle(int):
    """The address of an actor: the harbor's id in the top byte, the index below.

    It is an ``int``, as on the wire, and prints as Skynet prints it: ``:0100000a``.
    """

    __slots__ = ()

    @classmethod
    def of(cls, harbor: int, index: int) -> Handle:
        """Join a harbor id (0-255) and an index (1-0xffffff).

        :raises BadAddress: one of them is out of range.
        """
        if not 0 <= harbor <= 255:
            raise BadAddress(f"harbor id {harbor} is not in 0..255")
        if not 1 <= index <= MAX_INDEX:
            raise BadAddress(f"index {index} is not in 1..{MAX_INDEX}")
        return cls(harbor << 24 | index)

    @classmethod
    def parse(cls, text: str) -> Handle:
        """Read the text form, ``:`` and one to eight hexadecimal digits.

        :raises BadAddress: the text is no handle.
        """
        match = _TEXT.match(text)
        if match is None:
            raise BadAddress(f"{shown(text, 80)} is no handle such as ':0100000a'")
        return cls(int(match[1], 16))

    @property
    def harbor(self) -> int:
        """The id of the actor's harbor, 0 in a node without one."""
        return self >> 24

    @property
    def index(self) -> int:
        """The actor's number within its node."""
        return self & MAX_INDEX

    def __str__(self) -> str:
        return f":{int(self):08x}"

    def __repr__(self) -> str:
        return f"<Handle :{int(self):08x}>"


def check_global_name(name: str, limit: int = NAME_LIMIT) -> str:
    """Return *name* if every node of the network accepts it as a global name.

    :param limit: the most bytes (of UTF-8) that the wire carries.
    :raises BadAddress: the name is empty, too long, a number, or begins like a
        local name or a handle.
    """
    text = shown(name, 80)
    try:
        size = len(name.encode("utf-8", "surrogateescape"))
    except UnicodeEncodeError:
        raise BadAddress(f"global name {text} cannot be written as bytes") from None
    if not name:
        raise BadAddress("a global name may not be empty")
    if size > limit:
        raise BadAddress(f"global name {text} has {size} bytes; {limit} are allowed")
    if name[0] in ".:":
        raise BadAddress(f"global name {text} may not begin with {name[0]!r}")
    if name.isdigit():
        raise BadAddress(f"global name {text} may not be a number")
    if "\0" in name:
        raise BadAddress(f"global name {text} may not contain a zero byte")
    return name
