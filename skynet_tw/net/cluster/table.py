# -*- test-case-name: tests.net.test_cluster_table -*-
"""Where the nodes of a cluster are, as far as this one has been told."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from twisted.internet.defer import Deferred, succeed

from ...errors import BadAddress, NotReady
from ...oneshot import OneShot
from ...text import plain, shown

#: What a table says that is no node (cluster, section 7).
NO_WAITING = "__nowaiting"


class NodeTable:
    """Addresses by the names of the nodes.

    There are two sources: the view of a directory, which replaces its last one, and
    what a program says, which is merged into what it said before and counts more.
    """

    def __init__(self, waiting: bool = True) -> None:
        self._found: dict[str, str | bool] = {}
        self._told: dict[str, str | bool] = {}
        self._waiting = waiting
        #: Fires at the next `announce`.
        self._change = OneShot()

    def find(self, view: Mapping[str, str | bool]) -> None:
        """A directory says where all nodes are.

        :raises BadAddress: it says what means nothing; nothing has changed.
        """
        self._found = checked(view)

    def tell(self, changes: Mapping[str, str | bool | None]) -> None:
        """Somebody says where some nodes are.

        :param changes: None takes back what was said of a node.
        :raises BadAddress: it says what means nothing; nothing has changed.
        """
        kept = {name: value for name, value in changes.items() if value is not None}
        self._told.update(checked(kept))
        for name in changes.keys() - kept.keys():
            self._told.pop(name, None)

    def address(self, name: str) -> str | None:
        """Where a node is, None if that is not known."""
        found = self._entry(name)
        return found if isinstance(found, str) else None

    def nodes(self) -> dict[str, str]:
        """The nodes whose addresses are known, by their names."""
        merged = {**self._found, **self._told}
        return {name: it for name, it in merged.items() if isinstance(it, str)}

    def nodes_other_than(self, known: Mapping[str, str]) -> Deferred[dict[str, str]]:
        """Wait until `nodes` is not *known*; it fires with the nodes.

        It fails with `NotReady` when this node leaves before.
        """
        nodes = self.nodes()
        if nodes != known:
            return succeed(nodes)
        return self._change.when().addCallback(lambda _: self.nodes_other_than(known))

    def announce(self) -> None:
        """What was found or told has taken effect: let those know who wait for it."""
        if not self._change.is_done:
            change, self._change = self._change, OneShot()
            change.fire()

    def close(self) -> None:
        """There will be no change any more."""
        self._change.fail(lambda: NotReady("this node leaves"))

    def has(self, name: str) -> bool:
        """Whether anything was said of a node."""
        return self._entry(name) is not None

    def is_removed(self, name: str) -> bool:
        """Whether it was said that a node is no more."""
        return self._entry(name) is False

    @property
    def waiting(self) -> bool:
        """Whether what is for an absent node waits for it."""
        no_waiting = self._entry(NO_WAITING)
        return self._waiting if no_waiting is None else not no_waiting

    def _entry(self, name: str) -> str | bool | None:
        found = self._told.get(name)
        return self._found.get(name) if found is None else found


def checked(entries: Mapping[Any, Any]) -> dict[str, str | bool]:
    """Entries of a table, if all of them mean something.

    :raises BadAddress: one does not; the text says which.
    """
    plainly: dict[str, str | bool] = {}
    for name, value in entries.items():
        key = plain(name) if isinstance(name, str) else ""
        if not key:
            raise BadAddress(f"{shown(name, 80)} is no name of a node")
        if isinstance(value, str):
            value = plain(value)
        is_good = bool(value) if type(value) is str else value is False
        if not is_good and not (key == NO_WAITING and value is True):
            what = f"{shown(value, 80)} is no HOST:PORT and not False"
            raise BadAddress(f"node {shown(key, 80)}: {what}")
        plainly[key] = value
    return plainly
