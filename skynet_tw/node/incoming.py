# -*- test-case-name: tests.node.test_incoming -*-
"""Where messages of other nodes come in.

They wait at the node's gate until it is past the boot's stage ``peers``, and then in
their actors' mailboxes.
"""

from __future__ import annotations

from collections import deque

from ..handle import MAX_INDEX, Handle
from ..interfaces import Frame
from ..message import MAX_SESSION, PType
from .core import Core
from .dispatch import ActorCell
from .outgoing import Outgoing, Session
from .requests import Message, ReturnTo

_RESPONSE = int(PType.RESPONSE)
_ERROR = int(PType.ERROR)


class Incoming:
    """Takes the messages of other nodes to the actors of this one.

    :param cells: the actors of this node, by handle and by name.
    """

    def __init__(
        self, core: Core, cells: dict[int | str, ActorCell], outgoing: Outgoing
    ) -> None:
        self._core = core
        self._cells = cells
        self._outgoing = outgoing
        #: Messages for actors of this node that may not come in yet, by index.
        self._early: dict[int, deque[Message]] = {}
        self._early_count = 0
        self._early_size = 0
        #: Whether the boot is past the stage ``peers``.
        self._open = core.harbor == 0
        #: Whether all actors of the boot are there.
        self._boot_done = core.harbor == 0

    def waiting(self) -> int:
        """How many messages wait for the end of the boot."""
        return self._early_count

    def waits(self) -> dict[str, int]:
        """How many messages wait for what, in words."""
        if not self._early_count:
            return {}
        return {"the end of the boot": self._early_count}

    def frames_received(self, frames: list[Frame]) -> None:
        """Take the messages of one read to their actors, and let these run."""
        core = self._core
        cells = self._cells
        outgoing = self._outgoing
        prefix = core.harbor << 24
        scheduler = core.scheduler
        running = scheduler.running
        # schedule() need not wake anybody; nobody asks for the time meanwhile.
        scheduler.running = True
        taken = 0
        try:
            for source, destination, session, payload in frames:
                cell = cells.get(destination & MAX_INDEX | prefix)
                if (
                    cell is None
                    or cell.gated
                    or session > MAX_SESSION
                    or not self._open
                    or len(cell.mailbox) >= cell.room
                ):
                    self._take_slowly(source, destination, session, payload, cell)
                    continue
                # Fast path.
                ptype = destination >> 24
                if ptype == _RESPONSE or ptype == _ERROR:  # noqa: SIM109, it is faster
                    call = cell.calls.pop(session, None)
                    if call is not None:
                        # As `Call.leave` does.
                        slot = call.slot
                        if slot is not None:
                            del slot[call]
                            call.slot = None
                    elif ptype != _ERROR or session:
                        core.ledger.answer_late()
                        continue
                    cell.mailbox.append((ptype, source, call, payload))
                elif session:
                    return_to = Session(outgoing, source, session)
                    cell.mailbox.append((ptype, source, return_to, payload))
                else:
                    cell.mailbox.append((ptype, source, None, payload))
                taken += 1
                if not cell.scheduled:
                    cell.scheduled = True
                    scheduler.schedule(cell)
        finally:
            scheduler.running = running
            core.took(taken)
        core.let_run()

    def _take_slowly(
        self,
        source: int,
        destination: int,
        session: int,
        payload: bytes,
        cell: ActorCell | None,
    ) -> None:
        """Take a message that has to wait, or has to be refused."""
        core = self._core
        ptype, index = destination >> 24, destination & MAX_INDEX
        if session > MAX_SESSION:
            core.ledger.queue()
            self._refuse(source, index, ptype, session, "a peer sent a bad session")
            return
        is_answer = ptype in (_RESPONSE, _ERROR)
        if is_answer and cell is not None:
            cell.put_packed_answer(ptype, source, session, payload)
            return
        core.ledger.queue()
        if is_answer:
            # An actor that is still to come has asked nothing.
            self._refuse(source, index, ptype, session, "no such actor")
            return
        return_to: ReturnTo | None = None
        if session:
            return_to = Session(self._outgoing, source, session)
        self.admit(index, (ptype, source, return_to, payload), cell)

    def admit(self, index: int, message: Message, cell: ActorCell | None) -> None:
        """Take a message that has to wait for its actor, or has to be refused.

        It stands in the ledger as queued from before.

        :param cell: the actor; one that can take it at once is none for here.
        """
        limits = self._core.limits
        size = len(message[3])
        if cell is not None and not cell.alive:
            self._refuse_message(index, message, "no such actor")
        elif index and (not self._open or (cell is None and not self._boot_done)):
            if self.has_room(size):
                self._early.setdefault(index, deque()).append(message)
                self.count_early(1, size)
            else:
                self._refuse_message(index, message, "the queue is full")
        elif cell is None:
            self._refuse_message(index, message, "no such actor")
        elif len(cell.mailbox) >= limits.messages or (
            cell.held_size + size > limits.size
        ):
            self._refuse_message(index, message, "the queue is full")
        else:
            cell.held_size += size
            cell.mailbox.append(message)
            if (
                len(cell.mailbox) > limits.messages // 2
                or cell.held_size > limits.size // 2
            ):
                self._core.backlog.crowd(cell)

    def has_room(self, size: int) -> bool:
        """Whether so many bytes more may wait for the end of the boot."""
        limits = self._core.limits
        whole = self._early_size + size
        return whole <= limits.size and self._early_count < limits.messages

    def count_early(self, count: int, size: int) -> None:
        """So many messages more, or fewer, wait for the end of the boot."""
        self._early_count += count
        self._early_size += size
        limits = self._core.limits
        self._core.backlog.crowd_gate(
            self._early_count > limits.messages // 2
            or self._early_size > limits.size // 2
        )

    def _refuse_message(self, index: int, message: Message, reason: str) -> None:
        ptype, source, return_to, _payload = message
        if return_to is None:
            self._refuse(source, index, ptype, 0, reason)
            return
        handle = Handle(self._core.harbor << 24 | index)
        self._core.ledger.refuse(reason, source, handle, ptype)
        return_to.refuse(handle, f"{reason}: {handle}")

    def _refuse(
        self, source: int, index: int, ptype: int, session: int, reason: str
    ) -> None:
        """Answer with an error, as a real node does, even when nobody asked."""
        handle = Handle(self._core.harbor << 24 | index)
        self._core.ledger.refuse(reason, source, handle, ptype)
        if ptype != _ERROR and (reason == "no such actor" or session):
            why = f"{reason}: {handle}"
            self._outgoing.respond_error(source, handle, session, why)

    def adopt(self, cell: ActorCell) -> None:
        """Give a new actor what came in for it before it was there."""
        if not self._open:
            return
        messages = self._early.pop(cell.handle.index, None)
        if messages is None:
            return
        size = sum(len(message[3]) for message in messages)
        self.count_early(-len(messages), -size)
        cell.mailbox.extend(messages)
        if cell.gated:
            cell.held_size += size
            return
        self._core.backlog.add(len(messages))
        if not cell.scheduled:
            cell.scheduled = True
            self._core.scheduler.schedule(cell)

    def expect_boot(self) -> None:
        """The node boots, though it is no harbor: see `open_gate` and `boot_done`."""
        self._open = self._boot_done = False

    def open_gate(self) -> None:
        """The node is past the stage ``peers``: let messages in to their actors."""
        self._open = True
        for index in list(self._early):
            cell = self._cells.get(self._core.harbor << 24 | index)
            if cell is not None:
                self.adopt(cell)
        self._core.backlog.check()

    def boot_done(self) -> None:
        """All actors of the boot are there: refuse what came in for others."""
        self._boot_done = True
        early, self._early = self._early, {}
        self.count_early(-self._early_count, -self._early_size)
        for index, messages in early.items():
            for message in messages:
                self._refuse_message(index, message, "no such actor")
        self._core.backlog.check()
