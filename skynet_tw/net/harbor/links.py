# -*- test-case-name: tests.net.test_remote,tests.net.test_harbor -*-
"""All links of one node: those it dials, and those that others open."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime, IStreamClientEndpoint

from ...interfaces import Frame, LinkInfo
from ...link.effects import Dial, Expected, Gone, StopDialing
from ...link.membership import Membership
from ...link.peer import Peer
from ...wire.control import Connect, Dead, Wait
from ..kit.connections import Connections
from ..kit.handshakes import PendingHandshakes
from ..kit.limits import ConnectionLimits
from ..kit.links import AllLinks
from ..kit.shell import Shell
from ..kit.writer import Link
from .protocol import LinkOwner, LinkProtocol


class HarborLinks(AllLinks, LinkOwner):
    """The links of a node to current Skynet nodes; see `AllLinks`."""

    def __init__(
        self,
        own: int,
        dial: Callable[[str], IStreamClientEndpoint],
        clock: IReactorTime,
        retry_policy: Callable[[int], float],
        limits: ConnectionLimits,
    ) -> None:
        super().__init__(own, dial, clock, retry_policy, limits)
        self._members = Membership(own)
        self._pending = PendingHandshakes(clock, limits)
        self._open: Connections[LinkProtocol] = Connections()
        self._links: dict[int, LinkProtocol] = {}
        self._accepted_at = 0.0
        self._shell = Shell(
            {
                Dial: self._dial,
                StopDialing: lambda effect: self.dialers.stop(effect.harbor),
                Expected: self.expected,
                Gone: self.gone,
            }
        )

    def linked(self) -> list[int]:
        return sorted(self._links)

    def infos(self) -> list[LinkInfo]:
        now = self.clock.seconds()
        return [self._links[harbor].info(now) for harbor in self.linked()]

    def is_there(self, harbor: int) -> bool:
        """Whether a harbor is linked, or lives as far as we can know."""
        return self._members.is_there(harbor)

    def accept(self) -> LinkProtocol:
        return LinkProtocol(self, Peer(self.own, None, self._members.objection))

    def waiting_for(self, address: str) -> str | None:
        missing = self._members.missing
        if not missing or self.complete.is_done:
            return None
        seconds = self.clock.seconds() - self._accepted_at
        return (
            f"{missing} of {self._members.awaited} older harbors to dial us at"
            f" {address}, for {seconds:.1f} s"
            f" (linked: {', '.join(map(str, self.linked())) or 'none'})"
        )

    # What the master says

    def announced(self, event: Wait | Connect | Dead) -> None:
        """Take what the master says about harbors."""
        if isinstance(event, Wait):
            self._accepted_at = self.clock.seconds()
            self._members.accepted(event.count)
        elif isinstance(event, Connect):
            self._shell.do(self._members.connect(event.harbor, event.address))
        else:
            self._shell.do(self._members.dead(event.harbor))
        self._check_complete()

    def _dial(self, effect: Dial) -> None:
        harbor = effect.harbor

        def build() -> LinkProtocol:
            return LinkProtocol(self, Peer(self.own, harbor, self._members.duplicate))

        self.dialers.stop(harbor)
        self.dialers.start(harbor, effect.address, build)

    def _check_complete(self) -> None:
        if self._members.missing == 0:
            self.complete.fire()

    # What the connections say: LinkOwner

    def link_opened(self, protocol: LinkProtocol) -> None:
        self._open.add(protocol)
        protocol.since = self.clock.seconds()
        expected = protocol.peer.expected
        if self.closing:
            protocol.abort("this node leaves")
        elif expected is None:
            self._pending.enter(protocol)
        else:
            self._members.dialed(expected, True)

    def link_up(self, protocol: LinkProtocol, link: Link) -> None:
        harbor = protocol.peer.harbor
        assert harbor is not None
        dialed = protocol.peer.expected is not None
        self._pending.leave(protocol)
        self._links[harbor] = protocol
        self.dialers.linked(harbor)
        self._log.info(
            "linked with harbor {harbor}, {how} {peer}",
            harbor=harbor,
            how="dialed at" if dialed else "which dialed from",
            peer=protocol.peer_text,
        )
        if self.paused:
            protocol.read(False)
        self._shell.do(self._members.link_up(harbor, dialed))
        self.receiver.link_ready(harbor, link)
        self._check_complete()

    @property
    def link_frames(self) -> Callable[[int, list[Frame]], None]:
        return self.receiver.frames_received

    def link_busy(self, harbor: int) -> None:
        self.receiver.link_busy(harbor)

    def link_free(self, harbor: int, link: Link) -> None:
        self.receiver.link_ready(harbor, link)

    def link_down(self, protocol: LinkProtocol, reason: str) -> None:
        harbor = protocol.peer.harbor
        assert harbor is not None
        del self._links[harbor]
        if protocol.ended is None and not self.closing:
            self._log.info(
                "lost the link to harbor {harbor} at {peer}: {reason}",
                harbor=harbor,
                peer=protocol.peer_text,
                reason=reason,
            )
        self.receiver.link_lost(harbor, reason)
        self._shell.do(self._members.link_down(harbor, reason))

    def link_refused(self, protocol: LinkProtocol, reason: str) -> None:
        self._pending.leave(protocol)
        # For those that we dialed, the dialer logs it.
        if protocol.peer.expected is None and not self.closing:
            self.strangers.dropped(protocol.peer_text, reason)

    def link_closed(self, protocol: LinkProtocol) -> None:
        self._pending.leave(protocol)
        if protocol.peer.expected is not None:
            self._members.dialed(protocol.peer.expected, False)
        self._open.discard(protocol)

    # Watching, pausing, closing

    def sweep(self) -> None:
        self._pending.sweep()
        self.strangers.sweep()
        now = self.clock.seconds()
        handshake, stall = self.limits.handshake, self.limits.stall
        for protocol in self._open:
            dialed = protocol.peer.expected is not None and not protocol.is_linked
            if dialed and now - protocol.since >= handshake:
                protocol.abort(f"no answer for {handshake:g} s")
        if self.paused:
            return
        for protocol in list(self._links.values()):
            if protocol.progress.stands(protocol.half_open(), now) >= stall:
                protocol.blame(f"half a frame stood still for {stall:g} s")

    def read(self, on: bool) -> None:
        for protocol in list(self._links.values()):
            # What did not move meanwhile did so because of us.
            protocol.progress.forget()
            protocol.read(on)

    def close_connections(self) -> list[Deferred[None]]:
        self._shell.only()
        for protocol in self._open:
            protocol.close()
        return [self._open.when_empty()]

    def abort(self) -> None:
        for protocol in self._open:
            protocol.abort("this node leaves")
