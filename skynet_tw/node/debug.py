# -*- test-case-name: tests.node.test_context -*-
"""What every actor answers to messages of type DEBUG, as a Lua service does.

Read-only questions only; a peer can neither end an actor nor run code in it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..text import shown

if TYPE_CHECKING:
    from .context import Context
    from .reply import Reply

#: How many links one actor keeps; each waits until the actor is gone.
MAX_LINKS = 65536


def answer(
    context: Context, source: int, session: int | Reply, body: tuple[Any, ...]
) -> None:
    """Answer one question: PING, STAT, TASK, INFO, or LINK.

    LINK is answered with an error when the actor is gone, and not before: that is
    how `Actor.watch` and Skynet's own monitors see a remote death.
    """
    if not session:
        return
    # A local caller may ask with any object.
    question = body[0] if body and type(body[0]) is str else None
    if question == "LINK":
        if context.callers.count >= MAX_LINKS:
            why = f"{context.callers.count} links to {context!r} already"
            context.refuse(source, session, why)
        else:
            context.callers.link(source, session)
    elif question == "PING":
        context.answer(source, session, ())
    elif question == "STAT":
        stat = {"mqlen": len(context.mailbox), "task": len(context.tasks)}
        context.answer(source, session, stat)
    elif question == "TASK":
        waiting = {str(n): shown(t.request) for n, t in enumerate(context.tasks, 1)}
        context.answer(source, session, waiting)
    elif question == "INFO":
        context.answer(source, session, repr(context))
    else:
        what = shown(body[0], 80) if body else "nothing"
        context.refuse(source, session, f"{context!r} has no debug command {what}")
