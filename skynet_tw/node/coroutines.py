# -*- test-case-name: tests.node.test_actor -*-
"""The coroutines around an actor's own code, whatever kind of function that is.

Not compiled: Twisted drives none but Python's own coroutines.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from inspect import isawaitable, iscoroutine
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred, gatherResults

from ..text import shown

if TYPE_CHECKING:
    from .context import Context
    from .node import Node


async def wait(awaitable: Any) -> Any:
    """Await what a function returned."""
    return await awaitable


async def call(function: Callable[..., Any], *args: Any) -> Any:
    """Call a function, and await what it returns if that is awaitable."""
    result = function(*args)
    return await result if isawaitable(result) else result


async def start(context: Context, args: tuple[Any, ...]) -> None:
    """Let an actor start."""
    await call(context.actor.started, *args)


async def stop(context: Context) -> None:
    """Let an actor clean up."""
    await call(context.actor.stopped)


def to_fork(work: Any) -> Coroutine[Any, Any, Any]:
    """Make a coroutine of what is forked.

    :raises TypeError: it is neither awaitable nor a function.
    """
    if iscoroutine(work):
        return work
    if isawaitable(work):
        return wait(work)
    if callable(work):
        return call(work)
    raise TypeError(f"a coroutine or a function is forked, not {shown(work, 80)}")


async def stop_actors(node: Node, grace: float) -> None:
    """End all actors of a node within *grace* seconds, the last started first.

    Each is over before the next one ends, which it may need to the last; one that
    hangs leaves half of the time to the others.
    """
    clock = node.clock
    end = clock.seconds() + grace
    waits: list[Deferred[None]] = []
    for context in reversed(node.actors()):
        left = max(end - clock.seconds(), 0.0)
        context.exit("the node stops", left)
        ending = context.ending
        assert ending is not None
        waits.append(ending.when_gone())
        if left > 0:
            over = ending.when_gone().addTimeout(left / 2, clock)
            await over.addErrback(lambda failure: None)
    await gatherResults(waits)
