# -*- test-case-name: tests.discovery.test_table -*-
"""A directory that the program itself fills."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from twisted.internet.defer import Deferred, succeed
from zope.interface import implementer

from ..interfaces import Addresses, INodeDirectory
from .view import View


@implementer(INodeDirectory)
class TableDirectory:
    """The nodes that it is told of.

    :param addresses: the nodes at the start.
    """

    publishes = False

    def __init__(self, addresses: Addresses | None = None) -> None:
        self._addresses = dict(addresses or {})
        self._view: View | None = None

    def update(self, addresses: Addresses) -> None:
        """Take a whole view in place of the one before."""
        self._addresses = dict(addresses)
        if self._view is not None:
            self._view.tell(self._addresses)

    def start(
        self, changed: Callable[[Addresses], object], own: Mapping[str, str]
    ) -> Deferred[None]:
        """Tell the table; there is nothing to wait for."""
        self._view = View(changed)
        self._view.tell(self._addresses)
        return succeed(None)

    def refresh(self) -> Deferred[None]:
        """All is told already."""
        return succeed(None)

    def waiting_for(self) -> str | None:
        """Nothing."""
        return None

    def stop(self) -> Deferred[None]:
        """Tell nothing any more."""
        if self._view is not None:
            self._view.close()
        return succeed(None)
