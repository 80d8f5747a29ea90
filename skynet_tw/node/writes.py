# -*- test-case-name: tests.node.test_outgoing -*-
"""What a turn writes to links: collected, and flushed once at its end."""

from __future__ import annotations

from typing import Any

#: Bytes that are collected before they are written in the middle of a turn.
FLUSH_SIZE = 65536


class Writes:
    """The links, and the clients, that were written to since the last flush."""

    def __init__(self) -> None:
        #: In the order of their first writes.
        self._links: dict[Any, None] = {}
        self._size = 0

    def add(self, link: Any, size: int) -> bool:
        """A link has collected *size* bytes; True if it is time to flush."""
        self._links[link] = None
        self._size += size
        return self._size > FLUSH_SIZE

    def forget(self, link: Any) -> None:
        """A link is lost, and what it has collected."""
        self._links.pop(link, None)

    def flush(self) -> None:
        """Write what was collected."""
        if self._links:
            self._size = 0
            links, self._links = self._links, {}
            for link in links:
                link.flush()
