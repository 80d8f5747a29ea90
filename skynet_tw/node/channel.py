# -*- test-case-name: tests.node.test_outgoing -*-
"""The way to one peer: its link, what waits for it, and the calls on it.

A channel lives as long as the node knows of the peer; links come and go.  Its stages::

    EXPECTED   no link is up: messages wait
    WRITING    a link is up, and what waits is being written
    READY      nothing waits: messages are written to the link at once
    BUSY       the link's transport is full: messages wait
    GONE       there is no such peer any more: messages are refused

    EXPECTED, BUSY, GONE -- ready -->  WRITING -- all is written -->  READY
    WRITING, READY       -- busy  -->  BUSY
    any but GONE         -- lost  -->  EXPECTED
    GONE                 -- expected, ready -->  EXPECTED, WRITING
    any                  -- gone  -->  GONE
"""

from __future__ import annotations

from enum import Enum
from typing import Final

from ..errors import LinkLost, NotReady, PeerDown
from ..interfaces import ILink, LinkInfo, Peer, peer_text
from ..status import PeerStatus
from .calls import Calls
from .core import Core
from .outbox import Envelope
from .requests import Call, Stage
from .writes import FLUSH_SIZE

_SENT: Final = Stage.SENT


class ChannelStage(Enum):
    """What a message to the peer meets, see above."""

    EXPECTED = "expected"
    WRITING = "writing"
    READY = "ready"
    BUSY = "busy"
    GONE = "gone"


class Channel:
    """What a node keeps for one peer.

    :param peer: the id of a harbor, or the name of a cluster node.
    """

    def __init__(self, core: Core, peer: Peer) -> None:
        self._core = core
        self.peer = peer
        #: The peer, in words.
        self.name = peer_text(peer)
        self.stage = ChannelStage.EXPECTED
        #: The link while the stage is READY, as only then it is written to at once.
        self.link: ILink | None = None
        #: Messages that wait for the link.
        node = peer if isinstance(peer, str) else ""
        self.outbox = core.outboxes.open(f"the link to {self.name}", node=node)
        #: Calls to the peer; those that were written to the link fail with it.
        self.calls = Calls(core.clock, core.scheduler)
        self._why_gone = ""

    # The stages

    def ready(self, link: ILink) -> None:
        """A link is up, or can take more: write what waits."""
        self.stage = ChannelStage.WRITING
        size = 0
        while self.outbox:
            envelope = self.outbox.take()
            self.write(link, envelope)
            size += len(envelope.payload) + 16
            if size > FLUSH_SIZE or not self.outbox:
                size = 0
                # It may say that it is busy, or lost.
                link.flush()
                if self.stage is not ChannelStage.WRITING:
                    return
        self.stage = ChannelStage.READY
        self.link = link

    def busy(self) -> None:
        """The link's transport is full."""
        if self.stage in (ChannelStage.WRITING, ChannelStage.READY):
            self.stage = ChannelStage.BUSY
            self.link = None

    def lost(self, reason: str) -> None:
        """The link broke: fail the calls that were written; those in waiting stay."""
        if self.link is not None:
            self._core.writes.forget(self.link)
            self.link = None
        if self.stage is not ChannelStage.GONE:
            self.stage = ChannelStage.EXPECTED
        for call in self.calls:
            if call.stage is _SENT:
                what = f"the link to {call.callee_text} broke: {reason}"
                call.fail(LinkLost(what))

    def expected(self) -> None:
        """The peer is on its way."""
        if self.stage is ChannelStage.GONE:
            self.stage = ChannelStage.EXPECTED

    def gone(self, reason: str) -> None:
        """There is no such peer any more: refuse what waits for it."""
        self.stage = ChannelStage.GONE
        self.link = None
        self._why_gone = f"{self.name} is gone: {reason}"
        self._refuse_all(self._why_gone)

    def absent(self, reason: str) -> None:
        """The peer was not reached: refuse what waits for it."""
        self._refuse_all(f"{self.name} was not reached: {reason}")

    def _refuse_all(self, why: str) -> None:
        reason = "harbor gone" if isinstance(self.peer, int) else "its node is gone"
        self._core.outboxes.refuse_all(self.outbox, PeerDown, why, reason)
        for call in self.calls:
            if call.stage is not _SENT:
                # Its link has it, and did not write all of it.
                self._core.ledger.unwrite_call()
                self._core.ledger.refuse_call()
                call.fail(PeerDown(why))

    def stop(self) -> None:
        """The node stops: nothing waits any more."""
        self.link = None
        why = "the node stops"
        self._core.outboxes.refuse_all(self.outbox, NotReady, why, why)
        for call in self.calls:
            call.abandon()
        self.calls.stop()

    @property
    def is_gone(self) -> bool:
        """Whether the peer is gone, and did not come back."""
        return self.stage is ChannelStage.GONE

    @property
    def is_used(self) -> bool:
        """Whether messages wait for the link, or calls for their answers."""
        return bool(self.outbox) or len(self.calls) > 0

    def status(self, link: LinkInfo | None) -> PeerStatus:
        """The channel as it is, with what its layer knows of the link."""
        return PeerStatus(
            self.peer,
            self.stage.value,
            self._why_gone if self.is_gone else "",
            len(self.outbox),
            len(self.calls),
            link,
        )

    # Messages

    def wait(self, envelope: Envelope, stage: Stage) -> None:
        """Let a message wait for the link; it keeps its place.

        :param stage: what a call waits for from now on.
        :raises PeerDown: there is no such peer any more.
        :raises QueueFull: too much waits already.
        """
        if self.stage is ChannelStage.GONE:
            raise PeerDown(self._why_gone)
        self._core.outboxes.put(self.outbox, envelope)
        if envelope.call is not None:
            envelope.call.stage = stage
            envelope.call.way = self.name
            self.adopt(envelope.call)

    def write(self, link: ILink, envelope: Envelope) -> None:
        """Write a message that has waited, unless its caller waits no more."""
        if envelope.dead:
            self._core.ledger.expire_call()
            return
        call = envelope.call
        if call is not None:
            call.stage = _SENT
            self.adopt(call)
        link.send(
            envelope.destination,
            envelope.source,
            envelope.ptype,
            envelope.session,
            envelope.payload,
        )
        self._core.ledger.deliver()

    def adopt(self, call: Call) -> None:
        """A call goes this way: it fails as the channel fails."""
        slot = call.slot
        if slot is not None:
            slot.pop(call, None)
        self.calls.add(call, call.deadline)
