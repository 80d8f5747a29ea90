# -*- test-case-name: tests.node.test_outgoing -*-
"""Where messages leave the node: the channel of each peer, and what is packed for it.

A message is written when its channel is ready; else it waits there, and keeps its
place.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from ..errors import NotReady, PackError, PeerDown, SkynetError, TooLarge
from ..handle import Handle
from ..interfaces import ILink, Peer
from ..message import PACKED_TYPES, PType
from ..text import printable
from .channel import Channel
from .core import Core
from .outbox import Envelope
from .reply import Reply
from .requests import Call, Caller, ReturnTo, Stage

_RESPONSE = int(PType.RESPONSE)
_ERROR = int(PType.ERROR)
_BOOT: Final = Stage.BOOT
_LINK: Final = Stage.LINK
_SENT: Final = Stage.SENT

#: Bytes of an error's text that are sent with it; nodes of ours read them.
ERROR_SIZE = 2000


class Outgoing:
    """What leaves a node, by the channels of its peers.

    :param callers: the actors of this node, by handle.
    """

    def __init__(self, core: Core, callers: Mapping[int | str, Caller]) -> None:
        self._core = core
        self._callers = callers
        #: The way to each peer that was heard of, or sent to.
        self._channels: dict[Peer, Channel] = {}
        #: What a request waits for that finds no link.
        self._stage = _LINK if core.harbor == 0 else _BOOT
        self._stopped = False

    def channel(self, peer: Peer) -> Channel:
        """The way to a peer."""
        channel = self._channels.get(peer)
        if channel is None:
            channel = self._channels[peer] = Channel(self._core, peer)
        return channel

    def find(self, peer: Peer) -> Channel | None:
        """The way to a peer, if it was heard of, or sent to."""
        return self._channels.get(peer)

    def forget(self, peer: Peer) -> None:
        """A peer is not known any more, and nothing waits for it."""
        self._channels.pop(peer, None)

    def channels(self) -> list[Channel]:
        """The ways to all peers, in the order in which they were heard of."""
        return list(self._channels.values())

    def is_gone(self, peer: Peer) -> bool:
        """Whether a peer is gone, and did not come back."""
        channel = self._channels.get(peer)
        return channel is not None and channel.is_gone

    def encode(self, ptype: int, args: Sequence[Any]) -> bytes:
        """The payload of a message of this type.

        :raises PackError: a value cannot be packed.
        :raises TooLarge: the wire does not carry so much.
        """
        core = self._core
        if ptype in PACKED_TYPES:
            payload: bytes = core.pack(args)
        elif len(args) == 1 and isinstance(args[0], (bytes, bytearray, memoryview)):
            payload = bytes(args[0])
        else:
            raise PackError("message", f"type {ptype} carries one bytes object")
        if len(payload) > core.max_payload:
            raise TooLarge(len(payload), core.max_payload)
        return payload

    def session(self, source: int, number: int) -> Session:
        """Whom to answer: the session of an actor in another node."""
        return Session(self, source, number)

    # Messages

    def call(
        self,
        peer: Peer,
        caller: Caller,
        dest: int | str,
        callee: int | str,
        ptype: int,
        payload: bytes,
        timeout: float | None,
    ) -> Reply:
        """Send a request to an actor of a peer.

        :param callee: what the caller calls it.
        :raises QueueFull: too much waits already.
        :raises PeerDown: no way leads there.
        """
        call = Call(caller, callee)
        reply = Reply(call)
        call.reply = reply
        if isinstance(dest, int):
            call.target = dest
        if ptype not in PACKED_TYPES:
            call.raw = True
        deadline: float | None = None
        if timeout is not None:
            deadline = self._core.scheduler.seconds() + timeout
        channel = self._channels.get(peer)
        link = None if channel is None else channel.link
        session = caller.add_call(call)
        if channel is not None and link is not None:
            channel.calls.add(call, deadline)
            self._write(link, dest, caller.handle, ptype, session, payload)
        else:
            call.deadline = deadline
            try:
                self._wait(peer, dest, caller.handle, ptype, session, payload, call)
            except SkynetError:
                call.leave()
                raise
        if caller.gated:
            self._core.backlog.called(caller)
        return reply

    def send(
        self,
        peer: Peer,
        dest: int | str,
        source: int,
        ptype: int,
        session: int,
        payload: bytes,
    ) -> None:
        """Send a packed message to an actor of a peer.

        :raises TooLarge: the wire of harbors does not carry so much.
        :raises QueueFull: too much waits already.
        :raises PeerDown: no way leads there.
        """
        if len(payload) > self._core.max_payload and isinstance(peer, int):
            raise TooLarge(len(payload), self._core.max_payload)
        channel = self._channels.get(peer)
        link = None if channel is None else channel.link
        if link is not None:
            self._write(link, dest, source, ptype, session, payload)
        else:
            self._wait(peer, dest, source, ptype, session, payload, None)

    def pass_on(
        self,
        peer: Peer,
        dest: int,
        source: int,
        ptype: int,
        return_to: ReturnTo | None,
        payload: bytes,
    ) -> None:
        """Send a message to an actor of a peer in its first sender's name."""
        call = return_to if isinstance(return_to, Call) else None
        session = 0 if return_to is None else return_to.session
        if call is not None:
            call.target = dest
        channel = self._channels.get(peer)
        if channel is None or channel.link is None:
            self._wait(peer, dest, source, ptype, session, payload, call)
            return
        if call is not None:
            call.stage = _SENT
            channel.adopt(call)
        self._write(channel.link, dest, source, ptype, session, payload)

    def send_on(self, envelope: Envelope) -> None:
        """Send a message that has waited for the owner of its name.

        :raises QueueFull: too much waits already.
        :raises PeerDown: no way leads there.
        """
        dest = envelope.destination
        assert isinstance(dest, int)
        channel = self._channel_to(dest >> 24, dest)
        link = channel.link
        if link is not None:
            channel.write(link, envelope)
            self._core.writes.add(link, len(envelope.payload))
        else:
            channel.wait(envelope, self._stage)

    def respond(
        self, dest: int, source: int, ptype: int, session: int, payload: bytes
    ) -> None:
        """Send an answer, or an error, to where a request with a session came from.

        That may be this node: somebody in another one redirected a request of ours
        back to us.

        :raises TooLarge: the wire does not carry so much.
        """
        core = self._core
        if dest >> 24 == core.harbor:
            caller = self._callers.get(dest)
            if caller is not None:
                caller.put_packed_answer(ptype, source, session, payload)
                return
            reason = "the caller is gone"
        else:
            try:
                self.send(dest >> 24, dest, source, ptype, session, payload)
                return
            except TooLarge:
                raise
            except SkynetError:
                reason = "an answer cannot leave"
                if ptype == _ERROR:
                    reason = "an error cannot leave"
        core.ledger.lose(reason, source, dest, ptype)

    def respond_error(self, dest: int, source: int, session: int, reason: str) -> None:
        """Tell a caller in another node that its call failed.

        Real nodes do not read why; ours do.
        """
        said = printable(reason).encode()[: min(ERROR_SIZE, self._core.max_payload)]
        self.respond(dest, source, _ERROR, session, said)

    def send_death(self, dest: int, source: int) -> None:
        """Tell another node that an actor of ours is over, as real nodes do."""
        self.respond(dest, source, _ERROR, 0, b"")

    def _write(
        self,
        link: ILink,
        dest: int | str,
        source: int,
        ptype: int,
        session: int,
        payload: bytes,
    ) -> None:
        link.send(dest, source, ptype, session, payload)
        self._core.ledger.write()
        self._core.wrote(link, len(payload))

    def _wait(
        self,
        peer: Peer,
        dest: int | str,
        source: int,
        ptype: int,
        session: int,
        payload: bytes,
        call: Call | None,
    ) -> None:
        channel = self._channel_to(peer, dest)
        envelope = Envelope(source, dest, ptype, session, payload, None, call)
        # A node of the cluster is linked when it is needed, also while ours boots.
        channel.wait(envelope, self._stage if isinstance(peer, int) else _LINK)
        self._core.ledger.queue()

    def _channel_to(self, peer: Peer, dest: int | str) -> Channel:
        """The way to a peer, if one can ever lead there.

        :raises NotReady: the node stops.
        :raises PeerDown: it cannot.
        """
        if self._stopped:
            raise NotReady("the node stops")
        own = self._core.harbor
        if isinstance(peer, int):
            assert isinstance(dest, int)  # Only a cluster has text for it.
            if own == 0:
                what = f"this node has no harbor, {Handle(dest)} is out of reach"
                raise PeerDown(what)
            if peer in (0, own):
                raise PeerDown(f"no link leads to {Handle(dest)}")
        return self.channel(peer)

    # The boot and the end

    def open_gate(self) -> None:
        """The node is past the stage ``peers``: what waits now waits for a link."""
        self._stage = _LINK
        for channel in self._channels.values():
            for call in channel.calls:
                if call.stage is _BOOT:
                    call.stage = _LINK

    def stop(self) -> None:
        """Let nothing wait any more."""
        self._core.writes.flush()
        self._stopped = True
        for channel in self._channels.values():
            channel.stop()


class Session(ReturnTo):
    """A request of an actor in another node: whom its answer goes to.

    :param source: the caller's handle.
    :param session: the session of the call, unique in that actor.
    """

    __slots__ = ("_outgoing", "source")

    def __init__(self, outgoing: Outgoing, source: int, session: int) -> None:
        self._outgoing = outgoing
        self.source = source
        self.session = session

    def answer(self, source: int, values: tuple[Any, ...]) -> None:
        """Pack the values of an answer, and send them."""
        outgoing = self._outgoing
        payload = outgoing._core.pack(values)
        outgoing.respond(self.source, source, _RESPONSE, self.session, payload)

    def answer_raw(self, source: int, payload: bytes) -> None:
        """Send an answer of raw bytes."""
        self._outgoing.respond(self.source, source, _RESPONSE, self.session, payload)

    def refuse(self, source: int, reason: str) -> None:
        """Send an error."""
        self._outgoing.respond_error(self.source, source, self.session, reason)
