# -*- test-case-name: tests.node.test_names -*-
"""Who owns which name, as far as this node knows.

``.local`` names are the node's own affair.  A global name belongs to the network: its
owner registers it with the master, which tells every node, and nobody can free it.
It can move, though: on the wire of 2013 to the last who registers it, on the current
one when its owner's harbor is gone.  The remote layer judges whether it did.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from ..errors import BadAddress, NameTaken, NoSuchName, NotReady, SkynetError
from ..handle import NAME_LIMIT, Handle, check_global_name
from ..interfaces import IRemote
from ..text import shown
from .actor import DEFAULT, _Default
from .deferred import NodeDeferred

if TYPE_CHECKING:
    from .context import Context
    from .node import Node

#: Who waits for each name, each with the delayed call of its time limit.
_Waits = dict[str, dict[NodeDeferred[Handle], IDelayedCall | None]]

#: Names of other nodes' actors that are known at a time.
MAX_FAR = 65536


class Names:
    """The names of one node.

    :param remote: the layer that knows the master, None in a node without one.
    """

    _log = Logger()

    def __init__(self, node: Node, remote: IRemote | None) -> None:
        self._node = node
        self._remote = remote
        self._limit = NAME_LIMIT if remote is None else remote.name_limit
        self._known: dict[str, Handle] = {}
        #: Those of them that actors of other nodes own, where calls look first.
        self.far: dict[int | str, Handle] = {}
        self._own: dict[str, Context] = {}
        self._queries: _Waits = {}
        self._echoes: _Waits = {}

    def check(self, name: str) -> str:
        """Return a global name if it is well formed.

        :raises BadAddress: it is not.
        """
        return check_global_name(name, self._limit)

    def register(self, context: Context, name: str) -> Deferred[Handle]:
        """Give an actor a name, see `Actor.register`."""
        try:
            if not context.alive:
                raise NotReady(f"{context!r} has ended")
            if name.startswith("."):
                return self._register_local(context, name)
            return self._register_global(context, self.check(name))
        except SkynetError as error:
            return fail(error)

    def _register_local(self, context: Context, name: str) -> Deferred[Handle]:
        if len(name) < 2:
            raise BadAddress(f"{shown(name, 80)} is no name")
        self._take(context, name)
        self._settle(self._queries, name, context.handle)
        return succeed(context.handle)

    def _register_global(self, context: Context, name: str) -> Deferred[Handle]:
        known = self._known.get(name)
        may_take = known is not None and (
            self._remote is not None and self._remote.may_take(known)
        )
        if known is not None and known.harbor != self._node.harbor and not may_take:
            raise NameTaken(f"the name {name!r} belongs to {known}")
        own = self._own.get(name)
        if own is not None and own is not context and may_take:
            self._lose(own, name, context.handle)
        self._take(context, name)
        self._own[name] = context
        self._known[name] = context.handle
        self.far.pop(name, None)
        self._node.border.name_resolved(name, context.handle)
        self._settle(self._queries, name, context.handle)
        if self._remote is None:
            return succeed(context.handle)
        limit = self._node.call_timeout or None
        echo = self._wait(self._echoes, name, limit, _unconfirmed)
        self._remote.register(name, context.handle)
        return echo

    def _take(self, context: Context, name: str) -> None:
        owner = self._node.routes.get(name)
        if owner is not None and owner is not context:
            raise NameTaken(f"the name {shown(name, 80)} belongs to {owner!r}")
        if owner is None:
            self._node.routes[name] = context
            context.names.append(name)

    def query(self, name: str, timeout: float | _Default | None) -> Deferred[Handle]:
        """Find the owner of a name, see `Actor.query`."""
        owner = self._node.routes.get(name)
        if owner is not None:
            return succeed(owner.handle)
        if self._node.stopping:
            return fail(NotReady("the node stops"))
        if not name.startswith("."):
            try:
                self.check(name)
            except BadAddress as error:
                return fail(error)
            known = self._known.get(name)
            if known is not None and not self._node.border.is_gone(known.harbor):
                return succeed(known)
            if self._remote is not None:
                self._remote.query(name)
        elif timeout is DEFAULT:
            # Nobody but this node could register it, and it has not.
            what = shown(name, 80)
            return fail(NoSuchName(f"no actor of this node is called {what}"))
        if isinstance(timeout, _Default):
            timeout = self._node.call_timeout
        return self._wait(self._queries, name, timeout, self._unknown)

    def _unknown(self, name: str) -> SkynetError:
        gone = self._known.get(name)
        if gone is not None:
            return NoSuchName(f"{gone}, which had the name {name!r}, is gone")
        what = shown(name, 80)
        return NoSuchName(f"nobody registered the name {what} within the time limit")

    def announced(self, name: str, handle: int) -> None:
        """The master says who owns a name."""
        owner = Handle(handle)
        near = owner.harbor == self._node.harbor
        own = self._own.get(name)
        if own is not None and own.handle != owner:
            if near and owner not in self._node.routes:
                return  # An owner that has ended; the word about ours comes as well.
            self._lose(own, name, owner)
        gone = self._node.border.is_gone(owner.harbor)
        if gone and self._known.get(name, owner) != owner:
            return  # It is an answer of the past: we know of a later owner.
        self._know(name, owner)
        # First what waits: whom the news wakes may send to the owner at once.
        self._node.border.name_resolved(name, owner)
        self._settle(self._echoes, name, owner)
        if not gone:
            self._settle(self._queries, name, owner)
        self._node.scheduler.run()

    def _know(self, name: str, owner: Handle) -> None:
        if name not in self.far and len(self.far) >= MAX_FAR:
            # The oldest can be asked for again.
            oldest = str(next(iter(self.far)))
            del self.far[oldest], self._known[oldest]
        self._known[name] = owner
        if owner.harbor != self._node.harbor:
            self.far[name] = owner
        else:
            self.far.pop(name, None)

    def _lose(self, own: Context, name: str, owner: Handle) -> None:
        """A name of ours belongs to somebody else now."""
        self._log.warn(
            "the name {name!r} of {own} was registered by {owner}, who has it now",
            name=name,
            own=own,
            owner=owner,
        )
        del self._own[name], self._known[name], self._node.routes[name]
        own.names.remove(name)
        taken = NameTaken(f"the name {name!r} belongs to {owner}")
        self._fail(self._echoes, name, taken)

    def forget(self, context: Context) -> None:
        """An actor is gone; its names may be taken by another actor of this node."""
        for name in context.names:
            self._node.routes.pop(name, None)
            if self._own.pop(name, None) is not None:
                del self._known[name]

    def stop(self) -> None:
        """End all waits for names."""
        for table in (self._echoes, self._queries):
            for name in list(table):
                self._fail(table, name, NotReady("the node stops"))

    def _wait(
        self,
        table: _Waits,
        name: str,
        timeout: float | None,
        error: Callable[[str], SkynetError],
    ) -> Deferred[Handle]:
        """Wait for a name, and fail with what *error* makes of it at the time limit."""
        waiting: NodeDeferred[Handle] = NodeDeferred(
            self._node.scheduler, lambda waiting: self._leave(table, name, waiting)
        )
        limit: IDelayedCall | None = None
        if timeout:
            clock = self._node.clock
            limit = clock.callLater(timeout, self._late, table, name, waiting, error)
        table.setdefault(name, {})[waiting] = limit
        return waiting

    def _late(
        self,
        table: _Waits,
        name: str,
        waiting: NodeDeferred[Handle],
        error: Callable[[str], SkynetError],
    ) -> None:
        self._leave(table, name, waiting)
        waiting.fail(error(name))

    @staticmethod
    def _leave(table: _Waits, name: str, waiting: NodeDeferred[Handle]) -> None:
        waits = table.get(name, {})
        limit = waits.pop(waiting, None)
        if not waits:
            table.pop(name, None)
        if limit is not None and limit.active():
            limit.cancel()

    @staticmethod
    def _settle(table: _Waits, name: str, handle: Handle) -> None:
        for waiting, limit in table.pop(name, {}).items():
            if limit is not None:
                limit.cancel()
            waiting.fire(handle)

    @staticmethod
    def _fail(table: _Waits, name: str, error: SkynetError) -> None:
        for waiting, limit in table.pop(name, {}).items():
            if limit is not None:
                limit.cancel()
            waiting.fail(error)


def _unconfirmed(name: str) -> SkynetError:
    return NotReady(f"the master did not confirm the name {name!r} in time")
