# -*- test-case-name: tests.link.test_master,tests.link.test_master2013 -*-
"""Where connections come to a master of either wire: who is here, what is half said."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Generic, Protocol, TypeVar

from ..wire.buffer import Remainder
from .effects import Effects


class Reader(Protocol):
    """What decodes the bytes of one connection."""

    @property
    def rest(self) -> Remainder:
        """What is left of an incomplete packet."""


_R = TypeVar("_R", bound=Reader)
_X = TypeVar("_X")


class Desk(Generic[_X, _R]):
    """The connections of a master, each with its reader and what else is kept of it."""

    def __init__(self) -> None:
        self._connections: dict[Hashable, tuple[_X, _R]] = {}
        self._effects = Effects()

    def half_open(self, connection: Hashable) -> int | None:
        """A number that grows as an incomplete packet does; None if there is none."""
        entry = self._connections.get(connection)
        if entry is None or not entry[1].rest.kept:
            return None
        return entry[1].rest.changes
