# -*- test-case-name: tests.node.test_actor -*-
"""The coroutines around an actor's own code, whatever kind of function that is.

Not compiled: Twisted drives none but Python's own coroutines.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from inspect import isawaitable, iscoroutine
from typing import Any

from ..text import shown


async def wait(awaitable: Any) -> Any:
    """Await what a function returned."""
    return await awaitable


async def call(function: Callable[..., Any], *args: Any) -> Any:
    """Call a function, and await what it returns if that is awaitable."""
    result = function(*args)
    return await result if isawaitable(result) else result


async def call_method(actor: object, name: str, *args: Any) -> Any:
    """Call a method of an actor as `call` does; it may be hidden by anything."""
    return await call(getattr(actor, name), *args)


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
