# -*- test-case-name: tests.net.test_kit -*-
"""The stall rule: what is unfinished has to move within a time."""

from __future__ import annotations


class Progress:
    """How long something unfinished on one connection has stood still.

    Looked at now and then, with a mark that changes whenever it moves.
    """

    __slots__ = ("_mark", "_since")

    def __init__(self) -> None:
        self._mark: int | None = None
        self._since = 0.0

    def stands(self, mark: int | None, now: float) -> float:
        """Seconds since it was first seen where it is; 0 if nothing is unfinished.

        :param mark: where it is; None if nothing is unfinished.
        :param now: the time, in seconds.
        """
        if mark is None or mark != self._mark:
            self._mark = mark
            self._since = now
        return now - self._since

    def forget(self) -> None:
        """It did not move because of us: begin to count anew."""
        self._mark = None
