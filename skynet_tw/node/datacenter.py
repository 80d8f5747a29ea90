# -*- test-case-name: tests.node.test_datacenter -*-
"""DATACENTER: the global actor with values that all nodes share."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from twisted.internet.defer import Deferred

from .actor import Actor, command
from .limits import Limits
from .luatable import MAX_DEPTH, Tree, token
from .waits import Wait, Waits

#: The tokens of a path's keys.
Way = tuple[str, ...]


class DataCenter(Actor):
    """DATACENTER: a tree of values, see `Tree`; and who waits for one of them."""

    async def started(self, *args: Any) -> None:
        self.tree = Tree()
        self.waits = PathWaits(self.node.limits)
        await self.register("DATACENTER")

    @command
    def QUERY(self, *path: Any) -> tuple[Any, ...]:  # noqa: N802
        """The value or table at a path; nothing, or nil, where there is none."""
        return self.tree.query(path)

    @command
    def UPDATE(self, *path_and_value: Any) -> tuple[Any, ...]:  # noqa: N802
        """Set the value at a path, and answer the one before; nil deletes it."""
        path, value = path_and_value[:-1], path_and_value[-1:]
        if not path:
            # As in a real node: one key, and no value for it.
            path, value = value, (None,)
        before = self.tree.update(path, *value)
        if before is not None or value == (None,):
            return (before,)
        self.waits.wake(path, *value)
        return ()

    @command
    def WAIT(self, *path: Any) -> tuple[Any, ...] | Deferred[Any]:  # noqa: N802
        """The value at a path, once it is set there."""
        found = self.tree.query(path)
        if found and found[0] is not None:
            return found
        return self.waits.wait(path, self.sender)

    def _callers_gone(self, is_gone: Callable[[int], bool]) -> None:
        """Forget who waits in places that are gone."""
        self.waits.callers_gone(is_gone)


class PathWaits(Waits[Way]):
    """Who waits for which path.

    A path that somebody waits for is no branch of another, as in a real node.
    """

    def __init__(self, limits: Limits) -> None:
        super().__init__(limits)
        #: How many wait below a path.
        self._below: dict[Way, int] = {}

    def wait(self, path: Sequence[Any], caller: int) -> Wait[Way]:
        """Wait for a path, up to the first None in it.

        :raises ValueError: a key cannot be one; or others wait for what is below the
            path, or above it.
        :raises QueueFull: too much waits already.
        """
        end = next((i for i, key in enumerate(path) if i and key is None), len(path))
        if not 0 < end <= MAX_DEPTH:
            raise ValueError(f"a path has 1 to {MAX_DEPTH} keys, not {end}")
        way = tuple(map(token, path[:end]))
        if way in self._below or any(above in self for above in _branches(way)):
            raise ValueError(f"others wait below or above {path[end - 1]!r:.40}")
        return self.add(way, sum(map(len, way)), caller)

    def wake(self, path: Sequence[Any], value: Any) -> None:
        """A value was set where none was: answer who waits for it.

        As in a real node, an error goes to who waits for a branch on the way.  Who
        waits for something below goes on waiting, even if a table was set which has
        it; but a value that is set counts as one more key on the way.
        """
        way: Way = ()
        for key in path:
            self.fail(way, "a value was set below the path")
            way = (*way, token(key))
        self.succeed(way, (value,))
        if way in self._below:
            try:
                below = (*way, token(value))
            except ValueError:
                return
            self.fail(below, "a value was set above the path")

    def add(self, key: Way, size: int, caller: int) -> Wait[Way]:
        wait = super().add(key, size, caller)
        for branch in _branches(key):
            self._below[branch] = self._below.get(branch, 0) + 1
        return wait

    def remove(self, wait: Wait[Way]) -> bool:
        removed = super().remove(wait)
        if removed:
            for branch in _branches(wait.key):
                self._below[branch] -= 1
                if not self._below[branch]:
                    del self._below[branch]
        return removed


def _branches(way: Way) -> Iterator[Way]:
    """The paths that lead to a path."""
    return (way[:length] for length in range(1, len(way)))
