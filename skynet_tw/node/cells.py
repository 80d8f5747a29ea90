# -*- test-case-name: tests.node.test_actor -*-
"""The actors of a node, by their addresses."""

from __future__ import annotations

from ..errors import SkynetError
from ..handle import MAX_INDEX, Handle
from .core import Core
from .dispatch import ActorCell


class Cells:
    """Who lives where in a node."""

    def __init__(self, core: Core) -> None:
        self._core = core
        #: Actors by handle, and by those names which actors of this node own.
        self.table: dict[int | str, ActorCell] = {}
        self._last_index = 0

    def __contains__(self, handle: int) -> bool:
        return handle in self.table

    def all(self) -> list[ActorCell]:
        """The actors, in the order in which they were started."""
        return [cell for key, cell in self.table.items() if key == cell.handle]

    def add(
        self, actor: object, commands: dict[object, str], dispatchers: dict[int, str]
    ) -> ActorCell:
        """Give an actor an address.

        :raises SkynetError: there is none left.
        """
        handle = self._new_handle()
        cell = ActorCell(self._core, handle, actor, commands, dispatchers)
        self.table[handle] = cell
        return cell

    def remove(self, cell: ActorCell) -> None:
        """An actor is over."""
        del self.table[cell.handle]

    def _new_handle(self) -> Handle:
        # Indices are used again only after all others: peers keep handles.
        for _ in range(MAX_INDEX):
            self._last_index = self._last_index % MAX_INDEX + 1
            handle = Handle.of(self._core.harbor, self._last_index)
            if handle not in self.table:
                return handle
        raise SkynetError(f"the node has {MAX_INDEX} actors; there are no more handles")
