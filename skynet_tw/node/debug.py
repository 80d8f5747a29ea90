# -*- test-case-name: tests.node.test_cell -*-
"""What every actor answers to messages of type DEBUG, as a Lua service does.

Read-only questions only; a peer can neither end an actor nor run code in it.
"""

from __future__ import annotations

from typing import Any

from ..text import shown
from .cell import Cell
from .requests import ReturnTo

#: How many links one actor keeps; each waits until the actor is gone.
MAX_LINKS = 65536


def answer(
    cell: Cell, source: int, return_to: ReturnTo, body: tuple[Any, ...]
) -> tuple[Any, ...] | None:
    """The answer to one question: PING, STAT, TASK, INFO, or LINK.

    :returns: its values; None where there is none, or not yet.

    LINK is answered with an error when the actor is gone, and not before: that is
    how `Actor.watch` and Skynet's own monitors see a remote death.
    """
    # A local caller may ask with any object.
    question = body[0] if body and type(body[0]) is str else None
    if question == "LINK":
        if cell.callers.count < MAX_LINKS:
            cell.callers.link(source, return_to)
        else:
            why = f"{cell.callers.count} links to {cell!r} already"
            return_to.refuse(cell.handle, why)
        return None
    if question == "PING":
        return ()
    if question == "STAT":
        return ({"mqlen": len(cell.mailbox), "task": len(cell.tasks)},)
    if question == "TASK":
        return ({str(n): shown(t.request) for n, t in enumerate(cell.tasks, 1)},)
    if question == "INFO":
        return (repr(cell),)
    what = shown(body[0], 80) if body else "nothing"
    return_to.refuse(cell.handle, f"{cell!r} has no debug command {what}")
    return None
