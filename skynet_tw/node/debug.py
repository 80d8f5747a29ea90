# -*- test-case-name: tests.node.test_context -*-
"""What every actor answers to messages of type DEBUG, as a Lua service does.

Read-only questions only; a peer can neither end an actor nor run code in it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .context import Context
    from .reply import Reply


def answer(
    context: Context, source: int, session: int | Reply, body: tuple[Any, ...]
) -> None:
    """Answer one question: PING, STAT, TASK, INFO, or LINK.

    LINK is answered with an error when the actor is gone, and not before: that is
    how `Actor.watch` and Skynet's own monitors see a remote death.
    """
    if not session:
        return
    question = body[0] if body else None
    if question == "LINK":
        context.linked.append((source, session))
    elif question == "PING":
        context.answer(source, session, ())
    elif question == "STAT":
        stat = {"mqlen": len(context.mailbox), "task": len(context.tasks)}
        context.answer(source, session, stat)
    elif question == "TASK":
        waiting = {str(n): repr(t.request) for n, t in enumerate(context.tasks, 1)}
        context.answer(source, session, waiting)
    elif question == "INFO":
        context.answer(source, session, repr(context))
    else:
        context.refuse(
            source, session, f"{context!r} has no debug command {question!r}"
        )
