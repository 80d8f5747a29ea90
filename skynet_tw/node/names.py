# -*- test-case-name: tests.node.test_names -*-
"""Who owns which name, as far as this node knows, and who waits for which.

``.local`` names are the node's own affair.  A global name belongs to the network: its
owner registers it with the master, which tells every node, and nobody can free it.
It can move, though: on the wire of 2013 to the last who registers it, on the current
one when its owner's harbor is gone.  The remote layer judges whether it did.

Messages and queries wait for an owner; the master is asked once for all of them.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.logger import Logger

from ..errors import (
    BadAddress,
    NameTaken,
    NoSuchActor,
    NoSuchName,
    NotReady,
    SkynetError,
)
from ..handle import NAME_LIMIT, Handle, check_global_name
from ..interfaces import IRemote
from ..message import PACKED_TYPES
from ..text import shown
from .core import Core
from .dispatch import ActorCell
from .namewaits import NameWaits
from .outbox import Envelope, Outbox
from .outgoing import Outgoing
from .reply import Reply
from .requests import Call, Caller, ReturnTo, Stage
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
        self._boxes: dict[str, Outbox] = {}
        self._queries = NameWaits(core, self._unknown, self._nobody_waits)
        self._echoes = NameWaits(core, _unconfirmed, lambda name: None)
        #: Names for which the master was asked, and that it has not told.
        self._asked: set[str] = set()
        self._stopped = False

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
        self._send_waiting(name, cell.handle)
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
            cell.names.append(name)

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
        self._send_waiting(name, owner)
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
        own.names.remove(name)
        self._echoes.fail(name, NameTaken, f"the name {name!r} belongs to {owner}")

    def forget(self, cell: ActorCell) -> None:
        """An actor ends; its names may be taken by another actor of this node."""
        for name in cell.names:
            self._cells.pop(name, None)
            if self._own.pop(name, None) is not None:
                del self._known[name]

    def stop(self) -> None:
        """End all waits for names."""
        self._stopped = True
        why = "the node stops"
        self._echoes.fail_all(NotReady, why)
        self._queries.fail_all(NotReady, why)
        boxes, self._boxes = self._boxes, {}
        for box in boxes.values():
            self._core.outboxes.refuse_all(box, NotReady, why, why)

    # Messages that wait for an owner

    def call(
        self,
        caller: Caller,
        name: str,
        ptype: int,
        payload: bytes,
        timeout: float | None,
    ) -> Reply:
        """Let a request wait for the owner of a name that nobody owns yet.

        :raises QueueFull: too much waits already.
        """
        call = Call(caller, name)
        reply = Reply(call)
        call.reply = reply
        call.raw = ptype not in PACKED_TYPES
        if timeout is not None:
            call.deadline = self._core.scheduler.seconds() + timeout
        caller.add_call(call)
        try:
            self._wait(name, caller.handle, ptype, call, payload)
        except SkynetError:
            call.leave()
            raise
        self._core.calls.add(call, call.deadline)
        # The master may answer at once: the call then goes to its owner's channel.
        self._ask(name)
        if caller.gated:
            self._core.backlog.called(caller)
        return reply

    def send(
        self,
        name: str,
        source: int,
        ptype: int,
        return_to: ReturnTo | None,
        payload: bytes,
    ) -> None:
        """Let a message wait for the owner of a name that nobody owns yet.

        :raises QueueFull: too much waits already.
        """
        self._wait(name, source, ptype, return_to, payload)
        self._ask(name)

    def _wait(
        self,
        name: str,
        source: int,
        ptype: int,
        return_to: ReturnTo | None,
        payload: bytes,
    ) -> None:
        if self._stopped:
            raise NotReady("the node stops")
        call = return_to if isinstance(return_to, Call) else None
        session = 0 if return_to is None else return_to.session
        box = self._boxes.get(name)
        if box is None:
            what = f"the name {name!r}"
            box = self._core.outboxes.open(what, name, self._box_emptied)
        envelope = Envelope(source, 0, ptype, session, payload, None, call)
        self._core.outboxes.put(box, envelope)
        self._boxes[name] = box
        self._core.ledger.queue()
        if call is not None:
            call.stage = Stage.NAME

    def _box_emptied(self, name: str) -> None:
        """No message waits for a name any more."""
        del self._boxes[name]
        self._nobody_waits(name)

    def _send_waiting(self, name: str, owner: int) -> None:
        """Send on what waited for the owner of a name, in order."""
        box = self._boxes.pop(name, None)
        if box is None:
            return
        cell = self._cells.get(owner)
        refused: list[tuple[Envelope, SkynetError]] = []
        while box:
            envelope = box.take()
            envelope.destination = owner
            try:
                if envelope.dead:
                    self._core.ledger.expire_call()
                    continue
                if envelope.call is not None:
                    envelope.call.target = owner
                if cell is not None:
                    self._hand_over(cell, envelope)
                elif owner >> 24 == self._core.harbor:
                    raise NoSuchActor(f"no actor lives at {Handle(owner)}")
                else:
                    self._outgoing.send_on(envelope)
            except SkynetError as why:
                refused.append((envelope, why))
        self._core.writes.flush()
        # Callers woken here may send again; they must queue behind what was sent above.
        for envelope, error in refused:
            self._core.outboxes.refuse(
                envelope, error, "the owner of its name is out of reach"
            )

    def _hand_over(self, cell: ActorCell, envelope: Envelope) -> None:
        """Deliver a message which waited for a name that an actor of ours took."""
        return_to: ReturnTo | None = envelope.call
        if envelope.call is not None:
            envelope.call.stage = Stage.SENT
        elif envelope.session:
            return_to = self._outgoing.session(envelope.source, envelope.session)
        body: tuple[Any, ...] = (envelope.payload,)
        if envelope.ptype in PACKED_TYPES:
            body = self._core.unpack(envelope.payload)
        cell.move_in((envelope.ptype, envelope.source, return_to, body))

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
        if name not in self._boxes and name not in self._queries:
            self._asked.discard(name)


def _unconfirmed(name: str) -> SkynetError:
    return NotReady(f"the master did not confirm the name {name!r} in time")
