# -*- test-case-name: tests.node.test_at_work -*-
"""The message at work: whose answer is owed, and to whom.

It travels in a context variable, as Twisted's own drivers of coroutines carry it, so
it is right in everything that a handler starts: ``inlineCallbacks``, gathered
coroutines, callbacks of what the node gave it.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any

from ..errors import SkynetError
from .requests import Caller, ReturnTo


class Redirected:
    """What a handler returns when somebody else answers in its place."""


REDIRECTED = Redirected()


class Work:
    """One message that a handler works on."""

    __slots__ = ("cell", "over", "return_to", "source")

    def __init__(self, cell: Caller, source: int, return_to: ReturnTo | None) -> None:
        #: The actor that handles it.
        self.cell = cell
        #: Who sent it.
        self.source = source
        #: Whom to answer; None for a one-way message.
        self.return_to = return_to
        #: Whether it was answered, or passed on to somebody who answers it.
        self.over = False

    def refuse(self, source: int, reason: str) -> None:
        """Answer with an error, unless the message has its answer."""
        if not self.over:
            self.over = True
            if self.return_to is not None:
                self.return_to.refuse(source, reason)


#: The message at work here, None where there is none.
AT_WORK: ContextVar[Work | None] = ContextVar("skynet_tw.at_work", default=None)


def at_work(cell: Any) -> Work:
    """The message that an actor works on here.

    :param cell: the actor's; or what stands for it, before it has one.

    :raises SkynetError: there is none, or it is another actor's.
    """
    work = AT_WORK.get()
    if work is None:
        raise SkynetError(
            f"{cell!r} has no message at work here: only a handler, and what it"
            " started, has a sender"
        )
    if work.cell is not cell:
        raise SkynetError(f"the message at work here is {work.cell!r}'s")
    return work
