# -*- test-case-name: tests.node.test_border -*-
"""Packed messages which wait, in order and in bounds, for a way to leave.

One queue waits for one thing: a link to a harbor, or the owner of a name.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from ..errors import QueueFull
from .limits import Limits
from .reply import Reply


@dataclass(slots=True)
class Letter:
    """One message in waiting."""

    #: The sender's handle.
    source: int
    #: The receiver's handle, 0 while only its name is known.
    destination: int
    #: The message type.
    ptype: int
    #: 0, a session of a call from another node, or the call of our own.
    session: int | Reply
    #: The packed values, or the raw bytes.
    payload: bytes
    #: When it is no longer worth sending, on the node's clock; None: never.
    deadline: float | None

    @property
    def dead(self) -> bool:
        """Whether it is a call that nobody waits for any more."""
        return isinstance(self.session, Reply) and self.session.over


class Outbox:
    """A queue of letters.

    :param what: what is waited for, in words, for error texts.
    """

    __slots__ = ("_letters", "_limits", "_size", "what")

    def __init__(self, what: str, limits: Limits) -> None:
        self.what = what
        self._limits = limits
        self._letters: deque[Letter] = deque()
        self._size = 0

    def __len__(self) -> int:
        return len(self._letters)

    def __bool__(self) -> bool:
        # Said aloud: compiled, an optional Outbox would be true even when empty.
        return bool(self._letters)

    def __iter__(self) -> Iterator[Letter]:
        return iter(self._letters)

    def put(self, letter: Letter) -> None:
        """Append a letter.

        :raises QueueFull: the limit is reached; the letter was not taken.
        """
        size = self._size + len(letter.payload)
        if len(self._letters) >= self._limits.messages or size > self._limits.size:
            raise QueueFull(
                f"{len(self._letters)} messages of {self._size} bytes"
                f" wait for {self.what} already"
            )
        self._letters.append(letter)
        self._size = size

    def take(self) -> Letter:
        """Remove and return the first letter."""
        letter = self._letters.popleft()
        self._size -= len(letter.payload)
        return letter

    def remove_expired(self, now: float) -> list[Letter]:
        """Remove and return what is too late or dead; the rest keeps its order."""
        kept: deque[Letter] = deque()
        removed: list[Letter] = []
        for letter in self._letters:
            over = letter.deadline is not None and letter.deadline <= now
            (removed if over or letter.dead else kept).append(letter)
        if removed:
            self._letters = kept
            self._size -= sum(len(letter.payload) for letter in removed)
        return removed
