# -*- test-case-name: tests.net.test_kit -*-
"""Doing what a core wants to be done."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ...link.effects import Effect


class Shell:
    """Has one function for each kind of effect.

    :param does: what is done for an effect, by its class.
    """

    def __init__(self, does: Mapping[type, Callable[[Any], object]]) -> None:
        self._does = does

    def do(self, effects: Sequence[Effect]) -> None:
        """Do all of them, in order."""
        for effect in effects:
            self._does[type(effect)](effect)
