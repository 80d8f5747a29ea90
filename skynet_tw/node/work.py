# -*- test-case-name: tests.node.test_at_work -*-
"""The message at work: whose answer is owed, and to whom.

It travels in a context variable, as Twisted's own drivers of coroutines carry it, so
it is right in everything that a handler starts: ``inlineCallbacks``, gathered
coroutines, callbacks of what the node gave it.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from ..errors import SkynetError

if TYPE_CHECKING:
    from .context import Context
    from .reply import Reply


class Work:
    """One message that a handler works on."""

    __slots__ = ("context", "over", "session", "source")

    def __init__(self, context: Context, source: int, session: int | Reply) -> None:
        #: The actor that handles it.
        self.context = context
        #: Who sent it.
        self.source = source
        #: What its answer is sent to: a session, a `Reply`, or 0 for a one-way message.
        self.session = session
        #: Whether it was answered, or passed on to somebody who answers it.
        self.over = False


#: The message at work here, None where there is none.
AT_WORK: ContextVar[Work | None] = ContextVar("skynet_tw.at_work", default=None)


def at_work(context: Any) -> Work:
    """The message that an actor works on here.

    :param context: the actor's record; or what stands for it, before it has one.

    :raises SkynetError: there is none, or it is another actor's.
    """
    work = AT_WORK.get()
    if work is None:
        raise SkynetError(
            f"{context!r} has no message at work here: only a handler, and what it"
            " started, has a sender"
        )
    if work.context is not context:
        raise SkynetError(f"the message at work here is {work.context!r}'s")
    return work
