# -*- test-case-name: tests.node.test_incoming,tests.node.test_outgoing -*-
"""What a remote layer tells a node, and who of the node takes it."""

from __future__ import annotations

from ..interfaces import Frame, ILink, Peer
from .core import Core
from .delivery import Delivery
from .incoming import Incoming
from .names import Names
from .outgoing import Outgoing


class Receiver:
    """A node, as its remote layers see it: an `IRemoteReceiver`."""

    # Not declared by a decorator: compiled, the class would not be native.  A test
    # verifies the interface.

    def __init__(
        self,
        core: Core,
        outgoing: Outgoing,
        incoming: Incoming,
        names: Names,
        delivery: Delivery,
    ) -> None:
        self._core = core
        self._outgoing = outgoing
        self._incoming = incoming
        self._names = names
        self._delivery = delivery

    def frames_received(self, peer: Peer, frames: list[Frame]) -> None:
        """Take the messages of one read to their actors."""
        self._incoming.frames_received(frames)

    def link_ready(self, peer: Peer, link: ILink) -> None:
        """Send what waits, then straight on."""
        self._outgoing.channel(peer).ready(link)

    def link_busy(self, peer: Peer) -> None:
        """Let messages wait from now on."""
        self._outgoing.channel(peer).busy()

    def link_lost(self, peer: Peer, reason: str) -> None:
        """Fail the calls that were written to the link; those in waiting stay."""
        self._outgoing.channel(peer).lost(reason)
        self._core.scheduler.run()

    def peer_expected(self, peer: Peer) -> None:
        """Let messages wait for a peer which is on its way."""
        self._outgoing.channel(peer).expected()

    def peer_gone(self, peer: Peer, reason: str) -> None:
        """Refuse what waits for a peer, and what is sent to it from now on."""
        self._outgoing.channel(peer).gone(reason)
        if isinstance(peer, int):
            self._delivery.harbor_gone(peer)
        self._core.scheduler.run()

    def name_known(self, name: str, handle: int) -> None:
        """Take the master's word for a name."""
        self._names.announced(name, handle)
