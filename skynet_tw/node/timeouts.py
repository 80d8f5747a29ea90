# -*- test-case-name: tests.node.test_arguments -*-
"""Times that users give: time limits, and how long to sleep."""

from __future__ import annotations

from math import inf
from typing import Any

from ..text import shown

#: More than any process runs: with more, sums and quotients of times are infinite.
LONGEST = 1e12


class Default:
    """The node's own time limit."""

    def __repr__(self) -> str:
        return "the node's call timeout"


DEFAULT = Default()


def check_seconds(seconds: Any) -> float:
    """Return a number of seconds, at most `LONGEST`.

    :raises TypeError: it is no number.
    :raises ValueError: it is less than 0, or not finite.
    """
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)):
        raise TypeError(f"a number of seconds is wanted, not {shown(seconds, 80)}")
    if not 0 <= seconds < inf:
        raise ValueError(f"{shown(seconds, 80)} is not a time in seconds")
    return float(min(seconds, LONGEST))


def check_timeout(timeout: Any) -> float | Default | None:
    """Return a time limit in seconds, None for no limit, or `DEFAULT`.

    :raises TypeError: it is no number.
    :raises ValueError: it is less than 0, or no number.
    """
    if timeout is DEFAULT:
        return DEFAULT
    if timeout is None or timeout == inf:
        return None
    return check_seconds(timeout) or None
