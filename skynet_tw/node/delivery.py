# -*- test-case-name: tests.node.test_actor -*-
"""How a message finds its way: to a mailbox here, a channel, or a name's queue."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from twisted.internet.defer import Deferred, fail
from twisted.python.failure import Failure

from ..errors import (
    BadAddress,
    NoSuchActor,
    NoSuchName,
    NotReady,
    PeerDown,
    SkynetError,
)
from ..handle import MAX_INDEX, Handle
from ..message import PACKED_TYPES, PType
from ..text import shown
from .cells import Cells
from .core import Core
from .deferred import NodeDeferred
from .dispatch import ActorCell
from .names import Names
from .outgoing import Outgoing
from .reply import Reply
from .requests import Call
from .timeouts import DEFAULT, Default, check_timeout
from .work import REDIRECTED, Redirected, at_work

_LUA = int(PType.LUA)
_DEBUG = int(PType.DEBUG)

#: Why a one-way message is lost, when it is found out while it is sent.
_LOST: dict[type[BaseException], str] = {
    NoSuchActor: "no such actor",
    NoSuchName: "no such name",
    NotReady: "the node stops",
    PeerDown: "its harbor is out of reach",
}


class Delivery:
    """What the actors of a node send, call, pass on and watch.

    :param cells: the actors of this node.
    """

    def __init__(
        self, core: Core, cells: Cells, outgoing: Outgoing, names: Names
    ) -> None:
        self._core = core
        self._all = cells
        self._cells = cells.table
        self._outgoing = outgoing
        self._names = names
        self._boxes = names.boxes
        #: Global names whose owners live in other nodes.
        self._remote_names: dict[int | str, Handle] = names.remote

    # Messages

    def send(
        self, sender: ActorCell, dest: Any, args: tuple[Any, ...], ptype: Any
    ) -> None:
        """Send a message one way, see `Actor.send`."""
        self._core.check_thread()
        if ptype != _LUA:
            _check_ptype(ptype)
        try:
            cell = self._cells.get(dest)
        except TypeError:
            raise _bad_address(dest) from None
        try:
            if cell is not None:
                cell.put((ptype, sender.handle, None, args))
                return
            target = self._remote_names.get(dest) or self._resolve(dest)
            if isinstance(target, ActorCell):
                target.put((ptype, sender.handle, None, args))
                return
            payload = self._outgoing.encode(ptype, args)
            if isinstance(target, str):
                self._boxes.send(target, sender.handle, ptype, None, payload)
            else:
                self._outgoing.send(
                    target >> 24, target, sender.handle, ptype, 0, payload
                )
        except tuple(_LOST) as error:
            self._core.ledger.lose(_LOST[type(error)], sender.handle, dest, ptype)

    def call(
        self,
        caller: ActorCell,
        dest: Any,
        args: tuple[Any, ...],
        timeout: Any,
        ptype: Any,
    ) -> Deferred[Any]:
        """Send a request and wait for its answer, see `Actor.call`."""
        self._core.check_thread()
        if ptype != _LUA:
            _check_ptype(ptype)
        if timeout is not DEFAULT:
            timeout = check_timeout(timeout)
        try:
            try:
                cell = self._cells.get(dest)
            except TypeError:
                raise _bad_address(dest) from None
            if cell is None:
                target = self._remote_names.get(dest) or self._resolve(dest)
                if not isinstance(target, ActorCell):
                    return self._call_remote(caller, dest, target, args, timeout, ptype)
                cell = target
            call = Call(caller, dest)
            call.target = cell.handle
            reply = Reply(call)
            call.reply = reply
            if caller.gated and cell.gated:
                # Each may wait for the other for ever.
                if cell is caller:
                    raise NotReady(f"{caller!r} answers nobody before it has started")
                if timeout is DEFAULT:
                    timeout = self._core.call_timeout or None
            cell.put((ptype, caller.handle, call, args))
            if timeout is not DEFAULT and timeout is not None:
                self._limit(call, timeout)
            return reply
        except SkynetError as error:
            return fail(error)

    def _call_remote(
        self,
        caller: ActorCell,
        dest: int | str,
        target: int | str,
        args: tuple[Any, ...],
        timeout: float | Default | None,
        ptype: int,
    ) -> Reply:
        payload = self._outgoing.encode(ptype, args)
        limit: float | None
        if isinstance(timeout, Default):
            limit = self._core.call_timeout or None
        else:
            limit = timeout
        if isinstance(target, str):
            return self._boxes.call(caller, target, ptype, payload, limit)
        return self._outgoing.call(
            target >> 24, caller, target, dest, ptype, payload, limit
        )

    def _limit(self, call: Call, timeout: float | None) -> None:
        """Give a call within the node a session, and a time limit in seconds."""
        caller = call.caller
        if not call.session:
            caller.add_call(call)
        deadline: float | None = None
        if timeout is not None:
            deadline = self._core.scheduler.seconds() + timeout
        self._core.calls.add(call, deadline)
        if caller.gated:
            self._core.backlog.called(caller)

    def redirect(
        self, cell: ActorCell, dest: Any, args: tuple[Any, ...], ptype: Any
    ) -> Redirected:
        """Pass the message at work on, see `Actor.redirect`."""
        self._core.check_thread()
        if ptype != _LUA:
            _check_ptype(ptype)
        work = at_work(cell)
        if work.over:
            raise SkynetError("the message at work has its answer already")
        source, return_to = work.source, work.return_to
        target = self._resolve(dest)
        if isinstance(target, ActorCell):
            target.put((ptype, source, return_to, args))
        else:
            payload = self._outgoing.encode(ptype, args)
            if isinstance(return_to, Call) and return_to.over:
                return_to = None  # Nobody waits for the answer any more.
            elif isinstance(return_to, Call):
                return_to.callee = dest
                return_to.raw = ptype not in PACKED_TYPES
                if not return_to.session:
                    self._limit(return_to, self._core.call_timeout or None)
            if isinstance(target, str):
                self._boxes.send(target, source, ptype, return_to, payload)
            else:
                self._outgoing.pass_on(
                    target >> 24, target, source, ptype, return_to, payload
                )
        work.over = True
        return REDIRECTED

    def _resolve(self, dest: Any) -> ActorCell | int | str:
        """Find an actor of ours, a handle of another node, or a name nobody has yet.

        :raises BadAddress: it is no address.
        :raises NoSuchActor: it is a handle of ours without an actor.
        :raises NoSuchName: it is a local name without an actor.
        """
        cell = self._cells.get(dest)
        if cell is not None:
            return cell
        if isinstance(dest, str):
            if dest.startswith("."):
                raise NoSuchName(f"no actor of this node is called {shown(dest, 80)}")
            if not dest.startswith(":"):
                return self._remote_names.get(dest) or self._names.check(dest)
            dest = Handle.parse(dest)
        elif type(dest) is bool or not isinstance(dest, int):
            raise _bad_address(dest)
        cell = self._cells.get(dest)
        if cell is not None:
            return cell
        if not 0 < dest <= 0xFFFFFFFF or not dest & MAX_INDEX:
            raise BadAddress(f"{shown(dest, 80)} is no handle of an actor")
        if dest >> 24 == self._core.harbor:
            raise NoSuchActor(f"no actor lives at {Handle(dest)}")
        return dest

    # Deaths

    def watch(self, watcher: ActorCell, handle: Any) -> Deferred[str]:
        """Wait for an actor's end, see `Actor.watch`."""
        self._core.check_thread()
        if isinstance(handle, bool) or not isinstance(handle, int):
            raise TypeError(f"a handle is watched, not {shown(handle, 80)}")
        cell = self._cells.get(handle)
        if cell is not None:
            watchers = cell.watchers
            gone: NodeDeferred[str] = NodeDeferred(
                self._core.scheduler, lambda gone: watchers.pop(gone, None)
            )
            gone.what = f"the end of {cell!r}"
            watchers[gone] = None
            return gone

        def over(failure: Failure) -> str:
            failure.trap(SkynetError)
            return failure.getErrorMessage()

        asked = self.call(watcher, handle, ("LINK",), None, _DEBUG)
        return asked.addCallbacks(lambda _: f"{Handle(handle)} ended its link", over)

    def caller_gone(self, caller: ActorCell, called: Sequence[int]) -> None:
        """An actor is over: tell those whom it has called.

        :param called: their handles, some perhaps more than once.
        """
        handle = int(caller.handle)
        for target in dict.fromkeys(called):
            callee = self._cells.get(target)
            if callee is not None:
                callee.forget_callers([handle], lambda other: other == handle)
            elif target >> 24 != self._core.harbor:
                self._outgoing.send_death(target, handle)

    def harbor_gone(self, harbor: int) -> None:
        """A harbor is gone, and with it all callers that lived there."""
        for cell in self._all.all():
            callers = cell.callers.of_harbor(harbor)
            cell.forget_callers(callers, lambda handle: handle >> 24 == harbor)


def _bad_address(dest: object) -> BadAddress:
    return BadAddress(f"{shown(dest, 80)} is no address")


def _check_ptype(ptype: Any) -> None:
    """Refuse what is no message type that is sent.

    :raises TypeError: it is no number.
    :raises ValueError: it is out of range, or one of an answer.
    """
    if isinstance(ptype, bool) or not isinstance(ptype, int):
        raise TypeError(f"a message type is a number of 0-255, not {shown(ptype, 80)}")
    if not 0 <= ptype <= 255:
        raise ValueError(f"a message type is a number of 0-255, not {shown(ptype, 80)}")
    if ptype in (PType.RESPONSE, PType.ERROR):
        raise ValueError(f"type {int(ptype)} is an answer's; a handler returns it")
