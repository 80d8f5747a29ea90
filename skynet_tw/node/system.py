# -*- test-case-name: tests.node.test_system -*-
"""The two global actors that real nodes look for in the master's node.

A real slave does not finish its boot before SERVICE has answered ``REPORT``
(harbor-modern, sections 3 and 8).
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred

from ..handle import Handle
from ..message import PType
from .actor import Actor, command, dispatch


class UniqueServices(Actor):
    """SERVICE: where nodes report, and ask for services that exist once.

    This node launches no Lua; it knows the unique services which Python actors
    offer it with ``("OFFER", "@name", handle)``.
    """

    async def started(self, *args: Any) -> None:
        self.reported: dict[int, int] = {}
        self.unique: dict[str, int] = {}
        self.waiting: dict[str, list[Deferred[int]]] = {}
        await self.register("SERVICE")

    @command
    def REPORT(self, handle: int) -> tuple[None]:  # noqa: N802
        """A node has booted this far; a nil lets it go on."""
        self.reported[Handle(handle).harbor] = handle
        return (None,)

    @command
    def OFFER(self, name: str, handle: int) -> int:  # noqa: N802
        """A Python actor is the unique service *name*."""
        self.unique[name] = handle
        for waiting in self.waiting.pop(name, []):
            waiting.callback(handle)
        return handle

    @command
    def LAUNCH(self, name: str, *args: Any) -> Any:  # noqa: N802
        """The handle of a unique service, or nil and why there is none."""
        if name in self.unique:
            return self.unique[name]
        return None, f"no unique service {name!r}: this master node launches no Lua"

    @command
    def QUERY(self, name: str, *args: Any) -> Any:  # noqa: N802
        """The handle of a unique service, once it is there."""
        if name in self.unique:
            return self.unique[name]
        waiting: Deferred[int] = Deferred()
        self.waiting.setdefault(name, []).append(waiting)
        return waiting

    @command
    def LIST(self) -> dict[str, str]:  # noqa: N802
        """All unique services, name to handle in text."""
        return {name: str(Handle(handle)) for name, handle in self.unique.items()}

    @dispatch(PType.LUA)
    def unknown(self, *args: Any) -> tuple[None, str]:
        """Anything else is answered as a real node answers it."""
        return None, f"invalid command {args[0] if args else None!r}"


class DataCenter(Actor):
    """DATACENTER: a tree of values that all nodes share."""

    async def started(self, *args: Any) -> None:
        self.tree: dict[Any, Any] = {}
        self.waiting: dict[tuple[Any, ...], list[Deferred[Any]]] = {}
        await self.register("DATACENTER")

    @command
    def QUERY(self, *path: Any) -> Any:  # noqa: N802
        """The value or table at a path; nothing where there is none."""
        here: Any = self.tree
        for key in path:
            if not isinstance(here, dict):
                return None
            here = here.get(key)
        return here

    @command
    def UPDATE(self, *path_and_value: Any) -> Any:  # noqa: N802
        """Set the value at a path, and answer the one before."""
        if len(path_and_value) < 2:
            raise ValueError("UPDATE takes a path and a value")
        *branches, leaf, value = path_and_value
        here = self.tree
        for key in branches:
            below = here.setdefault(key, {})
            if not isinstance(below, dict):
                raise ValueError(f"{key!r} is a value, not a branch")
            here = below
        before = here.get(leaf)
        if value is None:
            here.pop(leaf, None)
        else:
            here[leaf] = value
            self._wake((*branches, leaf), value)
        return before

    @command
    def WAIT(self, *path: Any) -> Any:  # noqa: N802
        """The value at a path, once it is set."""
        value = self.QUERY(*path)
        if value is not None:
            return value
        waiting: Deferred[Any] = Deferred()
        self.waiting.setdefault(path, []).append(waiting)
        return waiting

    def _wake(self, path: tuple[Any, ...], value: Any) -> None:
        """Answer who waits for a path; who waits for a branch of it gets an error."""
        for length in range(1, len(path)):
            for waiting in self.waiting.pop(path[:length], []):
                waiting.errback(ValueError(f"{path[:length]!r} became a branch"))
        for waiting in self.waiting.pop(path, []):
            waiting.callback(value)
