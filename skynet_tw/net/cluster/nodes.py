# -*- test-case-name: tests.network.test_cluster -*-
"""The nodes that we call: where each is, and its link."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.interfaces import IReactorTime, IStreamClientEndpoint
from twisted.logger import Logger

from ...errors import BadAddress, PeerDown
from ...interfaces import IClusterReceiver, LinkInfo
from ..kit.limits import ConnectionLimits
from .calling import NodeLink
from .table import NodeTable


class Surroundings(Protocol):
    """What the nodes that we call share with the rest of the layer."""

    clock: IReactorTime
    limits: ConnectionLimits
    retry_policy: Callable[[int], float]
    dial: Callable[[str], IStreamClientEndpoint]
    #: Whether nothing is read.
    paused: bool

    @property
    def receiver(self) -> IClusterReceiver: ...

    def changed(self) -> None:
        """A node is linked, or it was not reached, or the table has changed."""


class Nodes:
    """All nodes that were sent to, and the table that says where they are.

    :param around: see `Surroundings`.
    :param table: where the nodes are, as far as that is known at first.
    :param waiting: whether what is for an absent node waits for it.
    """

    _log = Logger()

    def __init__(
        self, around: Surroundings, table: Mapping[str, str | bool], waiting: bool
    ) -> None:
        self._around = around
        #: Where they are.
        self.table = NodeTable(waiting)
        self.table.find(table)
        self._links: dict[str, NodeLink] = {}
        #: The nodes that the boot waits for.
        self._needed: tuple[str, ...] = ()
        # What the links share.
        self.clock = around.clock
        self.limits = around.limits
        self.retry_policy = around.retry_policy
        self.dial = around.dial
        self.changed = around.changed

    # What the links share

    @property
    def paused(self) -> bool:
        """Whether nothing is read."""
        return self._around.paused

    @property
    def receiver(self) -> IClusterReceiver:
        """Who is told what happens."""
        return self._around.receiver

    @property
    def waiting(self) -> bool:
        """Whether what is for an absent node waits for it."""
        return self.table.waiting

    def needs(self, node: str) -> bool:
        """Whether the boot waits for a link to a node."""
        return node in self._needed

    # Where they are

    def tell(self, changes: Mapping[str, str | bool | None]) -> Deferred[None]:
        """Somebody says where some nodes are.

        :returns: fires when it has taken effect.
        :raises BadAddress: it means nothing; nothing has changed.
        """
        self.table.tell(changes)
        self._moved()
        return self.when_settled()

    def found(self, view: Mapping[str, str | bool]) -> None:
        """The directory says where all nodes are."""
        try:
            self.table.find(view)
        except BadAddress as error:
            self._log.error("the node table is left as it is: {error}", error=error)
        else:
            self._moved()

    def when_settled(self) -> Deferred[None]:
        """Fire when no connection to an old address is left."""
        closing = [link.route.when_closed() for link in self._links.values()]
        return gatherResults(closing).addCallback(lambda _: None)

    def _moved(self) -> None:
        """The table has changed: let each link know what is new for it."""
        for name, link in list(self._links.items()):
            if self.table.is_removed(name):
                self._remove(name, link)
            else:
                self._move(name, link)
        self.changed()
        self.table.announce()

    def _remove(self, name: str, link: NodeLink) -> None:
        reason = "it was taken out of the node table"
        link.route.address = None
        link.close(reason)
        if self.table.is_removed(name):
            # Whose call failed by that may have said otherwise by now.
            link.end()
            self.receiver.peer_gone(name, reason)

    def _move(self, name: str, link: NodeLink) -> None:
        self.receiver.peer_expected(name)
        address, route = self.table.address(name), link.route
        if address is None:
            # A node that only is out of sight keeps the link that it has.
            if not link.is_linked:
                route.address = None
                route.stop()
        elif address != route.address:
            route.address = address
            if route.is_used:
                link.close(f"the node is at {address} now")
        if link.is_wanted:
            self._want_or_refuse(name)

    def _want_or_refuse(self, name: str) -> None:
        """Something waits for a node: reach it, or refuse that."""
        try:
            self.want(name)
        except PeerDown as error:
            self.receiver.peer_absent(name, str(error))

    # Their links

    def want(self, name: str) -> None:
        """A message is for a node: make a link to it.

        :raises PeerDown: there is no such node, and none is waited for.
        """
        if self.table.is_removed(name):
            raise PeerDown(f"node {name} was taken out of the node table")
        link = self._links.get(name)
        if link is None or not link.is_linked:
            if self.table.address(name) is None and not self.waiting:
                raise PeerDown(f"no node table has the node {name}")
            self.reach(name)

    def reach(self, name: str) -> None:
        """Make a link to a node, as soon as it is known where that is."""
        link = self._links.get(name)
        if link is None:
            link = self._links[name] = NodeLink(name, self)
            link.route.address = self.table.address(name)
        link.route.reach()

    def need(self, names: Iterable[str]) -> None:
        """Link these nodes, however long it takes; only these until the next call."""
        self._needed = tuple(names)
        for name in self._needed:
            self.reach(name)

    def linked(self) -> list[str]:
        """List the nodes that are linked, in order."""
        return sorted(name for name, link in self._links.items() if link.is_linked)

    def missing(self, names: Iterable[str]) -> list[str]:
        """Those of these nodes that are not linked."""
        linked = self.linked()
        return [name for name in names if name not in linked]

    def describe(self, name: str) -> str:
        """A node that is missing, and why, in words."""
        address = self.table.address(name)
        if self.table.is_removed(name):
            return f"node {name}, which was taken out of the node table"
        if address is None:
            return f"node {name}, which no node table has"
        link = self._links.get(name)
        why = link.route.why_absent if link is not None else ""
        return f"node {name} at {address}" + (f" ({why})" if why else "")

    def infos(self) -> list[LinkInfo]:
        """Describe the links, by the names of their nodes."""
        infos = [self._links[name].info() for name in self.linked()]
        return [info for info in infos if info is not None]

    def read(self) -> None:
        """Read all links, or leave with the nodes what they send."""
        for link in self._links.values():
            link.read(not self.paused)

    def sweep(self) -> None:
        """Notice nodes that are silent, or not needed; forget those nobody knows."""
        for name, link in list(self._links.items()):
            link.sweep()
            is_idle = link.route.is_idle and not link.is_wanted
            if is_idle and not self.table.has(name):
                del self._links[name]
                self.receiver.peer_forgotten(name)

    def close(self) -> Deferred[None]:
        """Write what is left, and close all links; fires when all are closed."""
        for link in self._links.values():
            link.leave("this node leaves")
        return self.when_settled()
