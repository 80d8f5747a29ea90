# -*- test-case-name: tests.node.test_at_work -*-
"""A critical section: what ``skynet.queue`` is to Lua.

Who is inside is known by a context variable, as coroutines that somebody inside starts
have it too: they come in one at a time as well, and do not wait for the one who waits
for them.  So each stay inside is a door of its own to those that begin within it.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

from . import coroutines
from .deferred import NodeDeferred
from .scheduler import Scheduler


class _Stay:
    """One stay inside a section, and the door to the stays within it."""

    __slots__ = ("admitted", "inner", "left", "outer", "queue")

    def __init__(self, outer: _Stay | None) -> None:
        self.outer = outer
        #: Whether its own coroutine has left.
        self.left = False
        #: The stay that is within this one.
        self.inner: _Stay | None = None
        #: Who waits to be within, in order.
        self.queue: OrderedDict[NodeDeferred[None], None] = OrderedDict()
        #: Of those, the one whose turn it is, until he has come in.
        self.admitted: NodeDeferred[None] | None = None


#: The innermost stay of each section that the code at work is in.
_INSIDE: ContextVar[dict[CriticalSection, _Stay] | None] = ContextVar(
    "skynet_tw.inside", default=None
)


class CriticalSection:
    """Lets one coroutine of an actor in at a time, in the order of their coming.

    A coroutine that is inside may enter again.  Coroutines that it starts there enter
    one at a time, and keep others out until they leave.
    """

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self._outside = _Stay(None)

    async def __aenter__(self) -> None:
        inside = _INSIDE.get() or {}
        outer = inside.get(self)
        while outer is not None and outer.left:
            outer = outer.outer
        door = outer or self._outside
        if door.inner is not None or door.admitted is not None:
            await self._turn(door)
        stay = door.inner = _Stay(door)
        kept = {section: one for section, one in inside.items() if not one.left}
        _INSIDE.set({**kept, self: stay})

    async def _turn(self, door: _Stay) -> None:
        """Wait to be let in."""
        turn: NodeDeferred[None] = NodeDeferred(
            self._scheduler, lambda turn: door.queue.pop(turn, None)
        )
        turn.what = "its turn in a critical section"
        door.queue[turn] = None
        try:
            await turn
        except BaseException:
            if door.admitted is turn:
                door.admitted = None
                self._admit(door)
            raise
        door.admitted = None

    async def __aexit__(self, *exc_info: object) -> None:
        inside = _INSIDE.get() or {}
        stay = inside.get(self)
        if stay is None or stay.left:
            # Somebody closed the coroutine, out of its own context variables.
            stay = self._outside
            while stay.inner is not None:
                stay = stay.inner
        outer = stay.outer
        assert outer is not None, "left without having entered"
        stay.left = True
        _INSIDE.set({**inside, self: outer})
        if stay.inner is None and stay.admitted is None:
            outer.inner = None
            self._admit(outer)

    def _admit(self, door: _Stay) -> None:
        """Let the next one in; if there is none, a stay that was left is over."""
        if door.queue:
            turn, _ = door.queue.popitem(last=False)
            door.admitted = turn
            turn.fire(None)
        elif door.left:
            outer = door.outer
            assert outer is not None
            outer.inner = None
            self._admit(outer)

    async def run(self, function: Callable[..., Any], *args: Any) -> Any:
        """Call a function, or await a coroutine function, inside the section."""
        async with self:
            return await coroutines.call(function, *args)
