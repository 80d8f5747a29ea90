# -*- test-case-name: tests.node.test_names -*-
"""Who owns which name, as far as this node knows, and who waits for which.

``.local`` names are the node's own affair.  A global name belongs to the network: its
owner registers it with the master, which tells every node, and nobody can free it.
It can move, though: on the wire of 2013 to the last who registers it, on the current
one when its owner's harbor is gone.  The remote layer judges whether it did.

Messages (`NameBoxes`) and queries wait for an owner; the master is asked once for all
of them.
"""

from __future__ import annotations

from twisted.internet.defer import Deferred, fail, succeed
from twisted.logger import Logger

from ..errors import (
    BadAddress,
    NameTaken,
    NoSuchName,
    NotReady,
    SkynetError,
)
from ..handle import NAME_LIMIT, Handle, check_global_name
from ..interfaces import IRemote
from ..text import shown
from .core import Core
from .dispatch import ActorCell
from .nameboxes import NameBoxes
from .namewaits import NameWaits
from .outgoing import Outgoing
from .timeouts import Default

#: Names of other nodes' actors that are known at a time.
MAX_REMOTE = 65536


class Names:
    """The names of one node.

    :param cells: the actors of this node, by handle and by name.
    :param remote: the layer that knows the master, None in a node without one.
    """

    _log = Logger()

    def __init__(
        self,
        core: Core,
        cells: dict[int | str, ActorCell],
        outgoing: Outgoing,
        remote: IRemote | None,
    ) -> None:
        self._core = core
        self._cells = cells
        self._outgoing = outgoing
        self._remote = remote
        self._limit = NAME_LIMIT if remote is None else remote.name_limit
        self._known: dict[str, Handle] = {}
        #: Those of them that actors of other nodes own, where calls look first.
        self.remote: dict[int | str, Handle] = {}
        self._own: dict[str, ActorCell] = {}
        #: Messages that wait for the owner of a name.
        self.boxes = NameBoxes(core, cells, outgoing, self._ask, self._nobody_waits)
        self._queries = NameWaits(core, self._unknown, self._nobody_waits)
        self._echoes = NameWaits(core, _unconfirmed, lambda name: None)
        #: Names for which the master was asked, and that it has not told.
        self._asked: set[str] = set()

    def check(self, name: str) -> str:
        """Return a global name if it is well formed.

        :raises BadAddress: it is not.
        """
        return check_global_name(name, self._limit)

    def known(self) -> dict[str, Handle]:
        """The owner of each global name that this node knows."""
        return dict(self._known)

    # Who owns a name

    def register(self, cell: ActorCell, name: str) -> Deferred[Handle]:
        """Give an actor a name, see `Actor.register`."""
        try:
            if not cell.alive:
                raise NotReady(f"{cell!r} has ended")
            if name.startswith("."):
                return self._register_local(cell, name)
            return self._register_global(cell, self.check(name))
        except SkynetError as error:
            return fail(error)

    def _register_local(self, cell: ActorCell, name: str) -> Deferred[Handle]:
        if len(name) < 2:
            raise BadAddress(f"{shown(name, 80)} is no name")
        self._take(cell, name)
        self._queries.fire(name, cell.handle)
        return succeed(cell.handle)

    def _register_global(self, cell: ActorCell, name: str) -> Deferred[Handle]:
        known = self._known.get(name)
        may_take = known is not None and (
            self._remote is not None and self._remote.may_take(known)
        )
        if known is not None and known.harbor != self._core.harbor and not may_take:
            raise NameTaken(f"the name {name!r} belongs to {known}")
        own = self._own.get(name)
        if own is not None and own is not cell and may_take:
            self._lose(own, name, cell.handle)
        self._take(cell, name)
        self._own[name] = cell
        self._known[name] = cell.handle
        self.remote.pop(name, None)
        self.boxes.send_on(name, cell.handle)
        self._queries.fire(name, cell.handle)
        if self._remote is None:
            return succeed(cell.handle)
        echo = self._echoes.wait(name, self._core.call_timeout)
        self._remote.register(name, cell.handle)
        return echo

    def _take(self, cell: ActorCell, name: str) -> None:
        owner = self._cells.get(name)
        if owner is not None and owner is not cell:
            raise NameTaken(f"the name {shown(name, 80)} belongs to {owner!r}")
        if owner is None:
            self._cells[name] = cell
            cell.names = (*cell.names, name)

    def announced(self, name: str, handle: int) -> None:
        """The master says who owns a name."""
        # The question has its answer, even one that is of no use.
        self._asked.discard(name)
        owner = Handle(handle)
        near = owner.harbor == self._core.harbor
        own = self._own.get(name)
        if own is not None and own.handle != owner:
            if near and owner not in self._cells:
                return  # An owner that has ended; the word about ours comes as well.
            self._lose(own, name, owner)
        gone = self._outgoing.is_gone(owner.harbor)
        if gone and self._known.get(name, owner) != owner:
            return  # It is an answer of the past: we know of a later owner.
        self._know(name, owner)
        # Send waiting messages first: queries answered below may send at once and must
        # not overtake them.
        self.boxes.send_on(name, owner)
        self._echoes.fire(name, owner)
        if not gone:
            self._queries.fire(name, owner)
        self._core.scheduler.run()

    def _know(self, name: str, owner: Handle) -> None:
        if name not in self.remote and len(self.remote) >= MAX_REMOTE:
            # The oldest can be asked for again.
            oldest = str(next(iter(self.remote)))
            del self.remote[oldest], self._known[oldest]
        self._known[name] = owner
        if owner.harbor != self._core.harbor:
            self.remote[name] = owner
        else:
            self.remote.pop(name, None)

    def _lose(self, own: ActorCell, name: str, owner: Handle) -> None:
        """A name of ours belongs to somebody else now."""
        self._log.warn(
            "the name {name!r} of {own} was registered by {owner}, who has it now",
            name=name,
            own=own,
            owner=owner,
        )
        del self._own[name], self._known[name], self._cells[name]
        own.names = tuple([kept for kept in own.names if kept != name])
        self._echoes.fail(name, NameTaken, f"the name {name!r} belongs to {owner}")

    def forget(self, cell: ActorCell) -> None:
        """An actor ends; its names may be taken by another actor of this node."""
        for name in cell.names:
            self._cells.pop(name, None)
            if self._own.pop(name, None) is not None:
                del self._known[name]

    def stop(self) -> None:
        """End all waits for names."""
        why = "the node stops"
        self._echoes.fail_all(NotReady, why)
        self._queries.fail_all(NotReady, why)
        self.boxes.stop()

    # Queries

    def query(self, name: str, timeout: float | Default | None) -> Deferred[Handle]:
        """Find the owner of a name, see `Actor.query`."""
        owner = self._cells.get(name)
        if owner is not None:
            return succeed(owner.handle)
        if self._core.stopping:
            return fail(NotReady("the node stops"))
        if not name.startswith("."):
            try:
                self.check(name)
            except BadAddress as error:
                return fail(error)
            known = self._known.get(name)
            if known is not None and not self._outgoing.is_gone(known.harbor):
                return succeed(known)
        elif isinstance(timeout, Default):
            # Nobody but this node could register it, and it has not.
            what = shown(name, 80)
            return fail(NoSuchName(f"no actor of this node is called {what}"))
        if isinstance(timeout, Default):
            timeout = self._core.call_timeout
        waiting = self._queries.wait(name, timeout)
        if not name.startswith("."):
            self._ask(name)
        return waiting

    def _unknown(self, name: str) -> SkynetError:
        gone = self._known.get(name)
        if gone is not None:
            return NoSuchName(f"{gone}, which had the name {name!r}, is gone")
        what = shown(name, 80)
        return NoSuchName(f"nobody registered the name {what} within the time limit")

    def _ask(self, name: str) -> None:
        """Ask the master for a name; the remote layer repeats that until it tells."""
        if self._remote is not None and name not in self._asked:
            self._asked.add(name)
            self._remote.query(name)

    def _nobody_waits(self, name: str) -> None:
        """Ask again for a name when somebody waits for it again."""
        if name not in self.boxes and name not in self._queries:
            self._asked.discard(name)


def _unconfirmed(name: str) -> SkynetError:
    return NotReady(f"the master did not confirm the name {name!r} in time")
