# -*- test-case-name: tests.net.test_shell -*-
"""Doing what a core wants to be done."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ...link.effects import Effect


class Shell:
    """Has one function for each kind of effect.

    Such a function may lead back to the core: an actor that it wakes registers a name.
    What the core wants then comes behind what it wanted before, or a name that moves at
    that moment would be said to the master in the wrong order.

    :param does: what is done for an effect, by its class.
    """

    def __init__(self, does: Mapping[type, Callable[[Any], object]]) -> None:
        self._does = dict(does)
        self._waiting: deque[Effect] = deque()
        self._at_work = False

    def do(self, effects: Sequence[Effect]) -> None:
        """Do all of them, in order; if called by one of our functions, after that one.

        If a function raises, what is behind it is done by the next call.
        """
        self._waiting.extend(effects)
        if self._at_work:
            return
        self._at_work = True
        try:
            while self._waiting:
                effect = self._waiting.popleft()
                self._does[type(effect)](effect)
        finally:
            self._at_work = False

    def only(self, *kinds: type) -> None:
        """Do nothing but these kinds from now on, because we are closing."""
        for kind in self._does.keys() - set(kinds):
            self._does[kind] = _ignore


def _ignore(effect: Effect) -> None:
    """Do nothing."""
