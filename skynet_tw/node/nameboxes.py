# -*- test-case-name: tests.node.test_names,tests.node.test_outgoing -*-
"""Messages that wait for the owner of a name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..errors import NoSuchActor, NotReady, SkynetError
from ..handle import Handle
from ..message import PACKED_TYPES
from .cell import Cell
from .core import Core
from .outbox import Envelope, Outbox
from .outgoing import Outgoing
from .reply import Reply
from .requests import Call, Caller, ReturnTo, Stage


class NameBoxes:
    """A queue for each name that nobody owns yet, and to which something is sent.

    :param cells: the actors of this node, by handle.
    :param ask: asks the master for a name.
    :param nobody: told when the last message that waited for a name is too late.
    """

    def __init__(
        self,
        core: Core,
        cells: Mapping[int | str, Cell],
        outgoing: Outgoing,
        ask: Callable[[str], object],
        nobody: Callable[[str], object],
    ) -> None:
        self._core = core
        self._cells = cells
        self._outgoing = outgoing
        self._ask = ask
        self._nobody = nobody
        self._boxes: dict[str, Outbox] = {}
        self._stopped = False

    def __len__(self) -> int:
        return len(self._boxes)

    def __contains__(self, name: str) -> bool:
        return name in self._boxes

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
            box = self._core.outboxes.open(what, name, emptied=self._emptied)
        envelope = Envelope(source, 0, ptype, session, payload, None, call)
        self._core.outboxes.put(box, envelope)
        self._boxes[name] = box
        self._core.ledger.queue()
        if call is not None:
            call.stage = Stage.NAME

    def _emptied(self, name: str) -> None:
        """No message waits for a name any more."""
        del self._boxes[name]
        self._nobody(name)

    def send_on(self, name: str, owner: int) -> None:
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
                box, envelope, error, "the owner of its name is out of reach"
            )

    def _hand_over(self, cell: Cell, envelope: Envelope) -> None:
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

    def stop(self) -> None:
        """Let nothing wait any more."""
        self._stopped = True
        why = "the node stops"
        boxes, self._boxes = self._boxes, {}
        for box in boxes.values():
            self._core.outboxes.refuse_all(box, NotReady, why, why)
