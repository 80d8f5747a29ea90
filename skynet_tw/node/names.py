# -*- test-case-name: tests.node.test_names -*-
"""Who owns which name, as far as this node knows.

``.local`` names are the node's own affair.  A global name belongs to the network: its
owner registers it with the master, which tells every node, and nobody can free it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from twisted.internet.defer import CancelledError, Deferred, fail, succeed
from twisted.logger import Logger
from twisted.python.failure import Failure

from ..errors import BadAddress, NameTaken, NoSuchName, NotReady, SkynetError
from ..handle import NAME_LIMIT, Handle, check_global_name
from ..interfaces import IRemote
from .actor import DEFAULT, _Default

if TYPE_CHECKING:
    from .context import Context
    from .node import Node


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
        self._queries: dict[str, list[Deferred[Handle]]] = {}
        self._echoes: dict[str, list[Deferred[Handle]]] = {}

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
        echo = self._wait(self._echoes, name, self._node.call_timeout or None)
        self._remote.register(name, context.handle)
        return echo.addErrback(self._no_echo, name)

    def _take(self, context: Context, name: str) -> None:
        owner = self._node.routes.get(name)
        if owner is not None and owner is not context:
            raise NameTaken(f"the name {name!r} belongs to {owner!r}")
        if owner is None:
            self._node.routes[name] = context
            context.names.append(name)

    def _no_echo(self, failure: Failure, name: str) -> Handle:
        failure.trap(CancelledError)
        raise NotReady(f"the master did not confirm the name {name!r} in time")

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
        return self._wait(self._queries, name, timeout).addErrback(self._unknown, name)

    def _unknown(self, failure: Failure, name: str) -> Handle:
        failure.trap(CancelledError)
        raise NoSuchName(f"nobody registered the name {name!r} within the time limit")

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
        self, table: dict[str, list[Deferred[Handle]]], name: str, timeout: float | None
    ) -> Deferred[Handle]:
        def cancelled(waiting: Deferred[Handle]) -> None:
            waits = table.get(name, [])
            if waiting in waits:
                waits.remove(waiting)
                if not waits:
                    del table[name]

        waiting: Deferred[Handle] = Deferred(cancelled)
        table.setdefault(name, []).append(waiting)
        if timeout:
            waiting.addTimeout(timeout, self._node.clock, _keep_cancelled)
        return waiting

    @staticmethod
    def _settle(
        table: dict[str, list[Deferred[Handle]]], name: str, handle: Handle
    ) -> None:
        for waiting in table.pop(name, []):
            if not waiting.called:
                waiting.callback(handle)

    @staticmethod
    def _fail(
        table: dict[str, list[Deferred[Handle]]], name: str, error: SkynetError
    ) -> None:
        for waiting in table.pop(name, []):
            if not waiting.called:
                waiting.errback(error)


def _keep_cancelled(result: object, timeout: float) -> object:
    """Leave it to the one who waits to name the error."""
    return result
