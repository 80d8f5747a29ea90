# -*- test-case-name: tests.node.test_border -*-
"""Where messages leave the node and come in: the node's side of its remote layer.

Outgoing, a message is written when its harbor's link is up and nothing waits before
it; else it waits in an `Outbox`, first for the owner of its name, then for the link,
and keeps its place through both.  Incoming, it waits at the gate until the node is
past the boot's stage ``peers``, and then in its actor's mailbox.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

from twisted.internet.interfaces import IDelayedCall

from .. import seri
from ..errors import (
    CallTimeout,
    LinkLost,
    NoSuchActor,
    NoSuchName,
    NotReady,
    PackError,
    PeerDown,
    SkynetError,
    TooLarge,
)
from ..handle import MAX_INDEX, Handle
from ..interfaces import Frame, ILink, IRemote, IRemoteReceiver
from ..message import MAX_SESSION, PACKED_TYPES, PType
from ..text import printable, shown
from .calls import Calls
from .channel import Channel
from .outbox import Letter, Outbox
from .reply import Reply

if TYPE_CHECKING:
    from .context import Context, Message
    from .node import Node

_RESPONSE = int(PType.RESPONSE)
_ERROR = int(PType.ERROR)

#: Bytes that are collected before they are written in the middle of a turn.
FLUSH_SIZE = 65536

#: Bytes of an error's text that are sent with it; nodes of ours read them.
ERROR_SIZE = 2000

#: Seconds between two looks for expired messages in the outboxes.
SWEEP_INTERVAL = 1.0


class Border:
    """What crosses from a node to its remote layer, and back: an `IRemoteReceiver`.

    :param remote: the remote layer, None in a node without one.
    """

    def __init__(self, node: Node, remote: IRemote | None) -> None:
        self._node = node
        self._remote = remote
        self._limits = node.limits
        self.pack = seri.pack_values if remote is None else remote.pack
        self.max_payload = seri.PACK_SIZE if remote is None else remote.max_payload
        #: The way to each harbor that was ever heard of, or sent to.
        self._channels: dict[int, Channel] = {}
        #: Links that were written to in this turn, in that order.
        self._dirty: dict[ILink, None] = {}
        self._collected = 0
        self._to_name: dict[str, Outbox] = {}
        self._sweep: IDelayedCall | None = None
        #: Messages for actors of this node that may not come in yet, by index.
        self._early: dict[int, deque[Message]] = {}
        self._early_count = 0
        self._early_size = 0
        self._stopped = False
        self._past_peers = remote is None
        self._settled = remote is None
        self._backlog = 0
        self._reading = True
        #: Actors that start and for which so much waits that no more should be read.
        self._crowded: dict[Context, None] = {}
        if remote is not None:
            # Not declared by a decorator: compiled, the class would not be native, and
            # remote calls 20 % slower.  A test verifies the interface.
            remote.attach(cast(IRemoteReceiver, self))

    # What waits

    def waiting(self) -> int:
        """How many messages wait here."""
        boxes = [*self._boxes(), *self._to_name.values()]
        return sum(map(len, boxes)) + self._early_count

    def waits(self) -> dict[str, int]:
        """How many messages wait for what, in words."""
        boxes = [*self._boxes(), *self._to_name.values()]
        waits = {box.what: len(box) for box in boxes if box}
        if self._early:
            waits["the end of the boot"] = self._early_count
        return waits

    def linked(self) -> list[int]:
        """The harbors whose links take a message now."""
        return [id for id, c in self._channels.items() if c.link is not None]

    def _boxes(self) -> list[Outbox]:
        return [channel.outbox for channel in self._channels.values()]

    def _channel(self, harbor: int) -> Channel:
        channel = self._channels.get(harbor)
        if channel is None:
            node = self._node
            calls = Calls(node.clock, node.expired)
            channel = self._channels[harbor] = Channel(harbor, self._limits, calls)
        return channel

    def explain(self, reply: Reply) -> str:
        """Say what a call waited for in vain."""
        if reply.expiry is NoSuchName:
            return f"nobody registered the name {shown(reply.describe, 80)}"
        if reply.expiry is PeerDown:
            return f"no link to harbor {reply.target >> 24} for {reply.callee}"
        if reply.expiry is NotReady:
            return f"the node was not ready to call {reply.callee}"
        return f"no answer from {reply.callee}"

    # Outgoing messages

    def encode(self, ptype: int, args: Sequence[Any]) -> bytes:
        """The payload of a message of this type.

        :raises PackError: a value cannot be packed.
        :raises TooLarge: the wire does not carry so much.
        """
        if ptype in PACKED_TYPES:
            payload = self.pack(args)
        elif len(args) == 1 and isinstance(args[0], (bytes, bytearray, memoryview)):
            payload = bytes(args[0])
        else:
            raise PackError("message", f"type {ptype} carries one bytes object")
        if len(payload) > self.max_payload:
            raise TooLarge(len(payload), self.max_payload)
        return payload

    def call(
        self,
        caller: Context,
        dest: int,
        describe: int | str,
        ptype: int,
        payload: bytes,
        timeout: float | None,
    ) -> Reply:
        """Send a request to a handle of another harbor.

        :param describe: what the caller calls it.
        :raises QueueFull: too much waits already.
        """
        node = self._node
        reply = Reply(caller, describe)
        reply.target = dest
        if ptype not in PACKED_TYPES:
            reply.raw = True
        deadline: float | None = None
        if timeout is not None:
            deadline = node.scheduler.seconds() + timeout
        channel = self._channels.get(dest >> 24)
        if channel is not None:
            link = channel.link
            if link is not None:
                session = caller.add_call(reply)
                channel.calls.add(reply, deadline)
                self._write(link, dest, caller.handle, ptype, session, payload)
                return reply
        reply.deadline = deadline
        self._queue(dest, caller.handle, ptype, reply, payload)
        caller.add_call(reply)
        node.calls.add(reply, deadline)
        return reply

    def call_name(
        self,
        caller: Context,
        name: str,
        ptype: int,
        payload: bytes,
        timeout: float | None,
    ) -> Reply:
        """Send a request to whoever will own a name that nobody owns yet.

        :raises QueueFull: too much waits already.
        """
        reply = Reply(caller, name)
        reply.raw = ptype not in PACKED_TYPES
        if timeout is not None:
            reply.deadline = self._node.scheduler.seconds() + timeout
        self.send_to_name(name, caller.handle, ptype, reply, payload)
        caller.add_call(reply)
        self._node.calls.add(reply, reply.deadline)
        return reply

    def send(
        self, dest: int, source: int, ptype: int, session: int, payload: bytes
    ) -> None:
        """Send a packed message to a handle of another harbor.

        :raises TooLarge: the wire does not carry so much.
        :raises QueueFull: too much waits already.
        """
        if len(payload) > self.max_payload:
            raise TooLarge(len(payload), self.max_payload)
        channel = self._channels.get(dest >> 24)
        link = None if channel is None else channel.link
        if link is not None:
            self._write(link, dest, source, ptype, session, payload)
        else:
            self._queue(dest, source, ptype, session, payload)

    def pass_on(
        self, dest: int, source: int, ptype: int, session: int | Reply, payload: bytes
    ) -> None:
        """Send a message to a handle of another harbor in its first sender's name."""
        channel = self._channels.get(dest >> 24)
        if not isinstance(session, Reply):
            self.send(dest, source, ptype, session, payload)
        elif channel is not None and channel.link is not None:
            session.target = dest
            self._written(session, channel)
            self.send(dest, source, ptype, session.session, payload)
        else:
            self._queue(dest, source, ptype, session, payload)

    def respond(
        self, dest: int, source: int, ptype: int, session: int, payload: bytes
    ) -> None:
        """Send an answer, or an error, to where a request with a number came from.

        That may be this node: somebody in another one redirected a request of ours
        back to us.

        :raises TooLarge: the wire does not carry so much.
        """
        node = self._node
        if dest >> 24 == node.harbor:
            context = node.routes.get(dest)
            if context is not None:
                context.put_answer((ptype, source, session, payload))
                return
            reason = "the caller is gone"
        else:
            try:
                self.send(dest, source, ptype, session, payload)
                return
            except TooLarge:
                raise
            except SkynetError:
                reason = "an answer cannot leave"
                if ptype == _ERROR:
                    reason = "an error cannot leave"
        node.ledger.queued += 1
        node.ledger.drop(reason, source, dest, ptype)

    def respond_error(self, dest: int, source: int, session: int, reason: str) -> None:
        """Tell a caller with a number that its call failed.

        Real nodes do not read why; ours do.
        """
        said = printable(reason).encode()[: min(ERROR_SIZE, self.max_payload)]
        self.respond(dest, source, _ERROR, session, said)

    def send_death(self, dest: int, source: int) -> None:
        """Tell another node that an actor of ours is over, as real nodes do."""
        self.respond(dest, source, _ERROR, 0, b"")

    def send_to_name(
        self, name: str, source: int, ptype: int, session: int | Reply, payload: bytes
    ) -> None:
        """Let a message wait for the owner of a name.

        :raises QueueFull: too much waits already.
        """
        if self._stopped:
            raise NotReady("the node stops")
        if isinstance(session, Reply):
            session.expiry = NoSuchName
        box = self._to_name.get(name)
        if box is None:
            what = f"the name {name!r}"
            box = self._to_name[name] = Outbox(what, self._limits)
            if self._remote is not None:
                self._remote.query(name)
        deadline = self._deadline(session)
        box.put(Letter(source, 0, ptype, session, payload, deadline))
        self._node.ledger.queued += 1
        self._sweep_later()

    def flush(self) -> None:
        """Write what the turn collected."""
        if self._dirty:
            self._collected = 0
            dirty, self._dirty = self._dirty, {}
            for link in dirty:
                link.flush()

    def _write(
        self,
        link: ILink,
        dest: int,
        source: int,
        ptype: int,
        session: int,
        payload: bytes,
    ) -> None:
        node = self._node
        link.send(dest, source, ptype, session, payload)
        node.ledger.straight += 1
        self._dirty[link] = None
        self._collected += len(payload)
        if not node.scheduler.running or self._collected > FLUSH_SIZE:
            self.flush()

    def _queue(
        self, dest: int, source: int, ptype: int, session: int | Reply, payload: bytes
    ) -> None:
        harbor = dest >> 24
        if self._stopped:
            raise NotReady("the node stops")
        if self._remote is None:
            raise PeerDown(f"this node has no harbor, {Handle(dest)} is out of reach")
        if harbor in (0, self._node.harbor):
            raise PeerDown(f"no link leads to {Handle(dest)}")
        channel = self._channel(harbor)
        if channel.gone is not None:
            raise PeerDown(f"harbor {harbor} is gone: {channel.gone}")
        if isinstance(session, Reply):
            session.expiry = PeerDown if self._past_peers else NotReady
            session.target = dest
        letter = Letter(source, dest, ptype, session, payload, self._deadline(session))
        channel.outbox.put(letter)
        self._node.ledger.queued += 1
        self._sweep_later()

    def _deadline(self, session: int | Reply) -> float | None:
        if isinstance(session, Reply):
            return session.deadline
        timeout = self._node.call_timeout
        return self._node.clock.seconds() + timeout if timeout else None

    # Messages in waiting

    def _written(self, reply: Reply, channel: Channel) -> None:
        """A call is written to a link: it fails with that from now on."""
        reply.expiry = CallTimeout
        slot = reply.slot
        if slot is not None:
            slot.pop(reply, None)
        channel.calls.add(reply, reply.deadline)

    def _write_letter(self, channel: Channel, link: ILink, letter: Letter) -> None:
        session = letter.session
        if isinstance(session, Reply):
            if session.over:
                self._node.ledger.expired += 1
                return
            self._written(session, channel)
            number = session.session
        else:
            number = session
        link.send(
            letter.destination, letter.source, letter.ptype, number, letter.payload
        )
        self._node.ledger.handled += 1

    def _drain(self, channel: Channel, link: ILink) -> bool:
        """Write what waits for a link; False when the link is full before the end."""
        box = channel.outbox
        size = 0
        channel.draining = True
        while box:
            letter = box.take()
            self._write_letter(channel, link, letter)
            size += len(letter.payload) + 16
            if size > FLUSH_SIZE or not box:
                size = 0
                link.flush()
                if not channel.draining:
                    return False
        channel.draining = False
        return True

    def name_resolved(self, name: str, handle: int) -> None:
        """Send on what waited for the owner of a name, in order."""
        box = self._to_name.pop(name, None)
        if box is None:
            return
        context = self._node.routes.get(handle)
        refused: list[tuple[Letter, SkynetError]] = []
        for letter in box:
            letter.destination = handle
            if isinstance(letter.session, Reply):
                letter.session.target = handle
            try:
                if letter.dead:
                    self._node.ledger.expired += 1
                elif context is not None:
                    self._hand_over(context, letter)
                else:
                    self._send_on(letter)
            except SkynetError as why:
                refused.append((letter, why))
        self.flush()
        # Whom this wakes may send to the name again: behind those in waiting.
        for letter, error in refused:
            self._refuse_letter(letter, error, "the owner of its name is out of reach")

    def _hand_over(self, context: Context, letter: Letter) -> None:
        """Deliver a message which waited for a name that an actor of ours took."""
        session = letter.session
        if isinstance(session, Reply):
            session.expiry = CallTimeout
        body: tuple[Any, ...] = (letter.payload,)
        if letter.ptype in PACKED_TYPES:
            body = self._node.unpack(letter.payload)
        context.put((letter.ptype, letter.source, session, body))
        self._node.ledger.queued -= 1  # put() counted it a second time

    def _send_on(self, letter: Letter) -> None:
        """Send a message which waited for a name to its owner in another harbor."""
        session = letter.session
        harbor = letter.destination >> 24
        if harbor == self._node.harbor:
            raise NoSuchActor(f"no actor lives at {Handle(letter.destination)}")
        channel = self._channel(harbor)
        link = channel.link
        if link is not None:
            self._write_letter(channel, link, letter)
            self._dirty[link] = None
            return
        if channel.gone is not None:
            raise PeerDown(f"harbor {harbor} is gone: {channel.gone}")
        if isinstance(session, Reply):
            session.expiry = PeerDown if self._past_peers else NotReady
        channel.outbox.put(letter)

    def _refuse_letter(self, letter: Letter, error: SkynetError, reason: str) -> None:
        ledger = self._node.ledger
        if isinstance(letter.session, Reply):
            ledger.refused += 1
            letter.session.fail(error)
        else:
            ledger.refuse(reason, letter.source, letter.destination, letter.ptype)

    def _sweep_later(self) -> None:
        if self._sweep is None:
            clock = self._node.clock
            self._sweep = clock.callLater(SWEEP_INTERVAL, self._expire)

    def _expire(self) -> None:
        """Take out what waited too long, and calls that nobody waits for any more."""
        self._sweep = None
        boxes = self._boxes()
        for box in boxes:
            self._expire_in(box, "")
        for name, box in list(self._to_name.items()):
            self._expire_in(box, name)
            if not box:
                del self._to_name[name]
        if self._to_name or any(boxes):
            self._sweep_later()

    def _expire_in(self, box: Outbox, name: str) -> None:
        now = self._node.clock.seconds()
        ledger = self._node.ledger
        for letter in box.remove_expired(now):
            if isinstance(letter.session, Reply):
                ledger.expired += 1  # its caller was told by the call's limit
            else:
                reason = f"waited too long for {box.what}"
                to = letter.destination or name
                ledger.expire(reason, letter.source, to, letter.ptype)

    def stop(self) -> None:
        """Let nothing wait any more."""
        if self._sweep is not None:
            self._sweep.cancel()
            self._sweep = None
        self.settle()
        self.flush()
        self._stopped = True
        boxes = [*self._to_name.values(), *self._boxes()]
        self._to_name.clear()
        for channel in self._channels.values():
            channel.link = None
        for box in boxes:
            while box:
                error = NotReady("the node stops")
                self._refuse_letter(box.take(), error, "the node stops")
        for channel in self._channels.values():
            for reply in channel.calls:
                reply.abandon()
            channel.calls.stop()

    # Incoming messages

    def frames_received(self, harbor: int, frames: list[Frame]) -> None:
        """Take the messages of one read to their actors, and let these run."""
        node = self._node
        routes = node.routes
        prefix = node.harbor << 24
        schedule = node.scheduler.schedule
        running = node.scheduler.running
        # schedule() need not wake anybody; nobody asks for the time meanwhile.
        node.scheduler.running = True
        taken = 0
        try:
            for source, destination, session, payload in frames:
                context = routes.get(destination & MAX_INDEX | prefix)
                if (
                    context is not None
                    and not context.gated
                    and session <= MAX_SESSION
                    and self._past_peers
                    and len(context.mailbox) < context.room
                ):
                    # The way of nearly all messages.
                    context.mailbox.append(
                        (destination >> 24, source, session, payload)
                    )
                    taken += 1
                    if not context.scheduled:
                        context.scheduled = True
                        schedule(context)
                else:
                    self._take_slowly(source, destination, session, payload, context)
        finally:
            node.scheduler.running = running
            node.ledger.queued += taken
            self._backlog += taken
        self.check_reading()
        node.scheduler.run()
        if self._crowded:
            # The answer that a start waited for may have come.
            self.check_reading()

    def _take_slowly(
        self,
        source: int,
        destination: int,
        session: int,
        payload: bytes,
        context: Context | None,
    ) -> None:
        """Take a message that has to wait, or has to be refused."""
        node = self._node
        ledger = node.ledger
        ptype, index = destination >> 24, destination & MAX_INDEX
        if session > MAX_SESSION:
            ledger.queued += 1
            self._refuse(source, index, ptype, session, "a peer sent a bad session")
            return
        if ptype in (_RESPONSE, _ERROR) and context is not None:
            context.put_answer((ptype, source, session, payload))
            return
        ledger.queued += 1
        if context is not None and not context.alive:
            self._refuse(source, index, ptype, session, "no such actor")
            return
        if index and (not self._past_peers or (context is None and not self._settled)):
            message: Message = (ptype, source, session, payload)
            size = self._early_size + len(payload)
            if size <= self._limits.size and self._early_count < self._limits.messages:
                self._early_size = size
                self._early_count += 1
                self._early.setdefault(index, deque()).append(message)
                return
            self._refuse(source, index, ptype, session, "the queue is full")
        elif context is None:
            self._refuse(source, index, ptype, session, "no such actor")
        elif len(context.mailbox) >= self._limits.messages or (
            context.held_size + len(payload) > self._limits.size
        ):
            self._refuse(source, index, ptype, session, "the queue is full")
        else:
            context.held_size += len(payload)
            context.mailbox.append((ptype, source, session, payload))
            if (
                len(context.mailbox) > self._limits.messages // 2
                or context.held_size > self._limits.size // 2
            ):
                self._crowded[context] = None

    def _refuse(
        self, source: int, index: int, ptype: int, session: int, reason: str
    ) -> None:
        """Answer with an error, as a real node does, even when nobody asked."""
        node = self._node
        handle = Handle(node.harbor << 24 | index)
        node.ledger.refuse(reason, source, handle, ptype)
        if ptype != _ERROR and (reason == "no such actor" or session):
            why = f"{reason}: {handle}"
            self.respond_error(source, handle, session, why)

    def take_in(self, count: int) -> None:
        """Count messages from other nodes that wait for the processor."""
        self._backlog += count

    def handled(self, count: int) -> None:
        """Count such messages that were handled."""
        self._backlog -= count
        if not self._reading:
            self.check_reading()

    def released(self, context: Context) -> None:
        """Count what waited at an actor's gate as work for the processor."""
        self._backlog += sum(type(message[3]) is bytes for message in context.mailbox)
        self._crowded.pop(context, None)
        self.check_reading()

    def check_reading(self) -> None:
        """Read the links, or leave what others send with them.

        An actor that starts and has called another node needs its answer, which may be
        behind what it does not need yet: then the links are read on.
        """
        limits = self._limits
        limit = limits.backlog if self._reading else limits.backlog // 2
        reading = self._backlog <= limit
        if (
            self._crowded
            or self._early_count > limits.messages // 2
            or (self._early_size > limits.size // 2)
        ):
            starting = [c for c in self._node.actors() if c.gated]
            reading = reading and any(c.calls for c in starting)
        if reading != self._reading and self._remote is not None:
            self._reading = reading
            if reading:
                self._remote.resume_reading()
            else:
                self._remote.pause_reading()

    def adopt(self, context: Context) -> None:
        """Give a new actor what came in for it before it was there."""
        if not self._past_peers:
            return
        messages = self._early.pop(context.handle.index, None)
        if messages is None:
            return
        size = sum(len(message[3]) for message in messages)
        self._early_size -= size
        self._early_count -= len(messages)
        context.mailbox.extend(messages)
        if context.gated:
            context.held_size += size
            return
        self._backlog += len(messages)
        if not context.scheduled:
            context.scheduled = True
            self._node.scheduler.schedule(context)

    def open_gate(self) -> None:
        """The node is past the stage ``peers``: let messages in to their actors."""
        self._past_peers = True
        for reply in self._node.calls:
            if reply.expiry is NotReady:
                reply.expiry = PeerDown
        for index in list(self._early):
            context = self._node.routes.get(self._node.harbor << 24 | index)
            if context is not None:
                self.adopt(context)
        self.check_reading()

    def settle(self) -> None:
        """All actors of the boot are there: refuse what came in for others."""
        self._settled = True
        early, self._early = self._early, {}
        self._early_count = self._early_size = 0
        for index, messages in early.items():
            for ptype, source, session, _payload in messages:
                assert type(session) is int
                self._refuse(source, index, ptype, session, "no such actor")
        self.check_reading()

    # Links and harbors

    def link_ready(self, harbor: int, link: ILink) -> None:
        """Send what waits, then straight on."""
        channel = self._channel(harbor)
        channel.gone = None
        if self._drain(channel, link):
            channel.link = link

    def link_busy(self, harbor: int) -> None:
        """Let messages wait from now on."""
        channel = self._channel(harbor)
        channel.link = None
        channel.draining = False

    def link_lost(self, harbor: int, reason: str) -> None:
        """Fail the calls that were written to the link; those in waiting stay."""
        channel = self._channel(harbor)
        if channel.link is not None:
            self._dirty.pop(channel.link, None)
        channel.link = None
        channel.draining = False
        for reply in channel.calls:
            reply.fail(LinkLost(f"the link to {reply.callee} broke: {reason}"))
        self._node.scheduler.run()

    def harbor_expected(self, harbor: int) -> None:
        """Let messages wait for a harbor which is on its way."""
        self._channel(harbor).gone = None

    def harbor_gone(self, harbor: int, reason: str) -> None:
        """Refuse what waits for a harbor, and what is sent to it from now on."""
        channel = self._channel(harbor)
        channel.gone = reason
        while channel.outbox:
            error = PeerDown(f"harbor {harbor} is gone: {reason}")
            self._refuse_letter(channel.outbox.take(), error, "harbor gone")
        for context in self._node.actors():
            callers = context.callers.of_harbor(harbor)
            context.forget_callers(callers, lambda handle: handle >> 24 == harbor)
        self._node.scheduler.run()

    def is_gone(self, harbor: int) -> bool:
        """Whether a harbor is gone, and did not come back."""
        channel = self._channels.get(harbor)
        return channel is not None and channel.gone is not None

    def name_known(self, name: str, handle: int) -> None:
        """Take the master's word for a name."""
        self._node.names.announced(name, handle)
