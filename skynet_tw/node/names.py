# -*- test-case-name: tests.node.test_names -*-
"""Who owns which name, as far as this node knows.

``.local`` names are the node's own affair.  A global name belongs to the network: its
owner registers it with the master, which tells every node, and nobody can free it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from ..errors import BadAddress, NameTaken, NoSuchName, NotReady, SkynetError
from ..handle import NAME_LIMIT, Handle, check_global_name
from ..interfaces import IRemote
from .actor import DEFAULT, _Default
from .deferred import NodeDeferred

if TYPE_CHECKING:
    from .context import Context
    from .node import Node

#: Who waits for each name, each with the delayed call of its time limit.
_Waits = dict[str, dict[NodeDeferred[Handle], IDelayedCall | None]]


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
            raise BadAddress(f"{name!r} is no name")
        self._take(context, name)
        self._settle(self._queries, name, context.handle)
        return succeed(context.handle)

    def _register_global(self, context: Context, name: str) -> Deferred[Handle]:
        known = self._known.get(name)
        if known is not None and known.harbor != self._node.harbor:
            raise NameTaken(f"the name {name!r} belongs to {known}")
        self._take(context, name)
        self._own[name] = context
        self._known[name] = context.handle
        self.far.pop(name, None)
        self._node.border.name_resolved(name, context.handle)
        self._settle(self._queries, name, context.handle)
        if self._remote is None:
            return succeed(context.handle)
        late = NotReady(f"the master did not confirm the name {name!r} in time")
        echo = self._wait(self._echoes, name, self._node.call_timeout or None, late)
        self._remote.register(name, context.handle)
        return echo

    def _take(self, context: Context, name: str) -> None:
        owner = self._node.routes.get(name)
        if owner is not None and owner is not context:
            raise NameTaken(f"the name {name!r} belongs to {owner!r}")
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
            if known is not None:
                return succeed(known)
            if self._remote is not None:
                self._remote.query(name)
        elif timeout is DEFAULT:
            # Nobody but this node could register it, and it has not.
            return fail(NoSuchName(f"no actor of this node is called {name!r}"))
        if isinstance(timeout, _Default):
            timeout = self._node.call_timeout
        what = f"nobody registered the name {name!r} within the time limit"
        return self._wait(self._queries, name, timeout, NoSuchName(what))

    def announced(self, name: str, handle: int) -> None:
        """The master says who owns a name."""
        own = self._own.get(name)
        if own is not None and own.handle != handle:
            # Other nodes may believe it; ours goes on with its own actor.
            self._log.warn(
                "the name {name!r} of {owner} was registered by {other} as well",
                name=name,
                owner=own,
                other=Handle(handle),
            )
            taken = NameTaken(f"the name {name!r} belongs to {Handle(handle)}")
            self._fail(self._echoes, name, taken)
            return
        self._known[name] = owner = Handle(handle)
        if owner.harbor != self._node.harbor:
            self.far[name] = owner
        else:
            self.far.pop(name, None)
        # First what waits: whom the news wakes may send to the owner at once.
        self._node.border.name_resolved(name, owner)
        self._settle(self._echoes, name, owner)
        self._settle(self._queries, name, owner)
        self._node.scheduler.run()

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
        self, table: _Waits, name: str, timeout: float | None, error: SkynetError
    ) -> Deferred[Handle]:
        """Wait for a name, and fail with *error* at the time limit."""
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
        error: SkynetError,
    ) -> None:
        self._leave(table, name, waiting)
        waiting.fail(error)

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
