# -*- test-case-name: tests.discovery.test_table -*-
"""What a directory tells: whole views, each of them once."""

from __future__ import annotations

from collections.abc import Callable

from twisted.logger import Logger

from ..interfaces import Addresses


class View:
    """What was told last, and who is told what is new.

    :param changed: see `INodeDirectory.start`.  What it raises is logged and has no
        effect on the directory.
    """

    _log = Logger()

    def __init__(self, changed: Callable[[Addresses], object]) -> None:
        self._changed: Callable[[Addresses], object] | None = changed
        self._told: dict[str, str | bool] | None = None

    @property
    def was_told(self) -> bool:
        """Whether there was any view yet."""
        return self._told is not None

    def tell(self, addresses: Addresses) -> None:
        """Tell a view, unless it is the one that was told last."""
        if self._changed is None or self._told == addresses:
            return
        self._told = dict(addresses)
        try:
            # A copy: what was told is compared with what comes.
            self._changed(dict(addresses))
        except Exception:
            self._log.failure("who is told of the nodes has failed")

    def close(self) -> None:
        """Tell nothing any more."""
        self._changed = None
