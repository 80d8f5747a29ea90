# -*- test-case-name: tests.node.test_waits -*-
"""Requests that an actor keeps until it can answer them.

Nobody says when that will be, so what waits is bounded, and is forgotten as soon as its
caller is known to be gone.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from itertools import chain
from typing import Any, Generic, TypeVar

from twisted.internet.defer import Deferred

from ..errors import QueueFull
from ..handle import Handle
from .limits import Limits
from .work import REDIRECTED

_K = TypeVar("_K", bound=Hashable)


class Wait(Deferred[Any], Generic[_K]):
    """One request in waiting; to cancel it takes it out of its table."""

    def __init__(self, waits: Waits[_K], key: _K, caller: int, size: int) -> None:
        super().__init__(_cancelled)
        self.waits = waits
        self.key = key
        self.caller = Handle(caller)
        self.size = size


class Waits(Generic[_K]):
    """Who waits for what, in the order of their coming.

    A peer chooses the handles and the keys, and Python hashes whole numbers without a
    secret: both tables are keyed by text, or by tuples of texts.

    :param limits: how many requests may wait, and how much their keys may take.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._count = 0
        self._size = 0
        self._by_key: dict[_K, dict[Wait[_K], None]] = {}
        self._by_caller: dict[str, dict[Wait[_K], None]] = {}

    def __len__(self) -> int:
        return self._count

    def __contains__(self, key: _K) -> bool:
        return key in self._by_key

    def __iter__(self) -> Iterator[_K]:
        return iter(list(self._by_key))

    def callers(self, key: _K) -> list[Handle]:
        """Who waits for *key*."""
        return [wait.caller for wait in self._by_key.get(key, ())]

    def add(self, key: _K, size: int, caller: int) -> Wait[_K]:
        """Let a request wait.

        :param size: about how many bytes *key* takes.
        :returns: what the request's handler returns.
        :raises QueueFull: too much waits already.
        """
        limits = self._limits
        if self._count >= limits.messages or self._size + size > limits.size:
            raise QueueFull(f"{self._count} requests wait already")
        wait = Wait(self, key, caller, size)
        self._count += 1
        self._size += size
        self._by_key.setdefault(key, {})[wait] = None
        self._by_caller.setdefault(str(wait.caller), {})[wait] = None
        return wait

    def remove(self, wait: Wait[_K]) -> bool:
        """Take a request out, which does not answer it; False if it was not there."""
        if wait not in self._by_key.get(wait.key, ()):
            return False
        self._count -= 1
        self._size -= wait.size
        _discard(self._by_key, wait.key, wait)
        _discard(self._by_caller, str(wait.caller), wait)
        return True

    def succeed(self, key: _K, result: Any) -> None:
        """Answer all who wait for *key*."""
        for wait in self._take(key):
            wait.callback(result)

    def fail(self, key: _K, reason: str) -> None:
        """Answer all who wait for *key* with an error, each with its own."""
        for wait in self._take(key):
            wait.errback(ValueError(reason))

    def callers_gone(self, is_gone: Callable[[int], bool]) -> None:
        """Forget the requests of callers that are gone; they get no answer."""
        rows = list(self._by_caller.values())
        gone = [list(row) for row in rows if is_gone(next(iter(row)).caller)]
        for wait in chain.from_iterable(gone):
            if self.remove(wait):
                wait.callback(REDIRECTED)

    def _take(self, key: _K) -> Iterator[Wait[_K]]:
        # Whom an answer wakes may end another one's wait before its turn.
        for wait in list(self._by_key.get(key, ())):
            if self.remove(wait):
                yield wait


def _cancelled(wait: Deferred[Any]) -> None:
    assert isinstance(wait, Wait)
    wait.waits.remove(wait)


def _discard(table: dict[Any, dict[Wait[Any], None]], key: Any, wait: Any) -> None:
    """Take *wait* out of the row *key*, and an empty row out of the table."""
    row = table[key]
    del row[wait]
    if not row:
        del table[key]
