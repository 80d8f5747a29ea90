# -*- test-case-name: tests.net.test_links,tests.net.test_harbor -*-
"""All links of one node: those it dials, and those that others open."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.defer import Deferred, fail, gatherResults, succeed
from twisted.internet.interfaces import IReactorTime, IStreamClientEndpoint
from twisted.logger import Logger

from ..errors import BootFailed
from ..interfaces import Frame, IRemoteReceiver
from ..link.membership import Action, Dial, Expected, Gone, Membership, StopDialing
from ..link.peer import Peer
from ..wire.master import Connect, Dead, Wait
from .dialer import Dialer
from .limits import ConnectionLimits
from .lobby import Connections, FoldedLog, Lobby
from .peer import LinkProtocol
from .writer import Link


class Links:
    """Opens, accepts, watches and closes the links of a node.

    :param own: our own harbor id.
    :param dial: turns the address of another harbor into an endpoint; whatever it
        raises counts as a failed attempt.
    :param clock: schedules attempts, and tells the time.
    :param retry_policy: seconds to wait after so many failed attempts in a row.
    :param limits: what strangers and stalled peers may cost.
    """

    _log = Logger()

    def __init__(
        self,
        own: int,
        dial: Callable[[str], IStreamClientEndpoint],
        clock: IReactorTime,
        retry_policy: Callable[[int], float],
        limits: ConnectionLimits,
    ) -> None:
        self._own = own
        self._dial = dial
        self._clock = clock
        self._retry_policy = retry_policy
        self._limits = limits
        self._members = Membership(own)
        self._receiver: IRemoteReceiver | None = None
        self._lobby = Lobby(clock, limits)
        self._strangers = FoldedLog(f"port of harbor {own}")
        self._dialers: dict[int, Dialer] = {}
        self._open: Connections[LinkProtocol] = Connections()
        self._links: dict[int, LinkProtocol] = {}
        self._paused = False
        self._closing = False
        self._accepted_at = 0.0
        self._complete = False
        self._waiters: list[Deferred[None]] = []

    def attach(self, receiver: IRemoteReceiver) -> None:
        """Say who is told what happens."""
        self._receiver = receiver

    @property
    def _tell(self) -> IRemoteReceiver:
        assert self._receiver is not None, "attach a receiver first"
        return self._receiver

    def linked(self) -> list[int]:
        """The harbors that are linked now, in order."""
        return sorted(self._links)

    def is_there(self, harbor: int) -> bool:
        """Whether a harbor is linked, or lives as far as we can know."""
        return self._members.is_there(harbor)

    def accept(self) -> LinkProtocol:
        """Make the protocol of a connection that somebody opened."""
        return LinkProtocol(self, Peer(self._own, None, self._members.objection))

    def when_complete(self) -> Deferred[None]:
        """Fire when the older nodes have linked of which the master told us.

        It fails with `BootFailed` if we leave before.
        """
        if self._complete:
            return succeed(None)
        if self._closing:
            return fail(BootFailed("this node left before it was linked"))
        waiter: Deferred[None] = Deferred(self._waiters.remove)
        self._waiters.append(waiter)
        return waiter

    def waiting_for(self, address: str) -> str | None:
        """Which links are waited for, in words; None if there are no such.

        :param address: where we are dialed.
        """
        missing = self._members.missing
        if not missing or self._complete:
            return None
        seconds = self._clock.seconds() - self._accepted_at
        return (
            f"{missing} of {self._members.awaited} older harbors to dial us at"
            f" {address}, for {seconds:.1f} s"
            f" (linked: {', '.join(map(str, self.linked())) or 'none'})"
        )

    # What the master says

    def told(self, told: Wait | Connect | Dead) -> None:
        """Take what the master says about harbors."""
        if isinstance(told, Wait):
            self._accepted_at = self._clock.seconds()
            self._members.accepted(told.count)
        elif isinstance(told, Connect):
            self._act(self._members.connect(told.harbor, told.address))
        else:
            self._act(self._members.dead(told.harbor))
        self._check_complete()

    def _act(self, actions: list[Action]) -> None:
        if self._closing:
            return
        for action in actions:
            if isinstance(action, Dial):
                self._stop_dialing(action.harbor)
                self._start_dialing(action.harbor, action.address)
            elif isinstance(action, StopDialing):
                self._stop_dialing(action.harbor)
            elif isinstance(action, Expected):
                self._tell.harbor_expected(action.harbor)
            elif isinstance(action, Gone):
                self._log.info(
                    "harbor {harbor} is gone: {reason}",
                    harbor=action.harbor,
                    reason=action.reason,
                )
                self._tell.harbor_gone(action.harbor, action.reason)

    def _start_dialing(self, harbor: int, address: str) -> None:
        def build() -> LinkProtocol:
            return LinkProtocol(self, Peer(self._own, harbor, self._members.duplicate))

        self._dialers[harbor] = dialer = Dialer(
            harbor,
            address,
            lambda: self._dial(address),
            build,
            self._clock,
            self._retry_policy,
        )
        dialer.start()

    def _stop_dialing(self, harbor: int) -> None:
        dialer = self._dialers.pop(harbor, None)
        if dialer is not None:
            dialer.stop()

    def _check_complete(self) -> None:
        if self._complete or self._members.missing != 0:
            return
        self._complete = True
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            waiter.callback(None)

    # What the connections say: LinkOwner

    def link_opened(self, protocol: LinkProtocol) -> None:
        """A connection is up, its handshake is not done."""
        self._open.add(protocol)
        protocol.since = self._clock.seconds()
        expected = protocol.peer.expected
        if self._closing:
            protocol.drop("this node leaves")
        elif expected is None:
            self._lobby.enter(protocol)
        else:
            self._members.dialed(expected, True)

    def link_up(self, protocol: LinkProtocol, link: Link) -> None:
        """The handshake is done."""
        harbor = link.harbor
        dialed = protocol.peer.expected is not None
        self._lobby.leave(protocol)
        self._links[harbor] = protocol
        if harbor in self._dialers:
            self._dialers[harbor].linked()
        self._log.info(
            "linked with harbor {harbor}, {how} {peer}",
            harbor=harbor,
            how="dialed at" if dialed else "which dialed from",
            peer=protocol.peer_text,
        )
        if self._paused:
            protocol.read(False)
        self._act(self._members.link_up(harbor, dialed))
        self._tell.link_ready(harbor, link)
        self._check_complete()

    @property
    def link_frames(self) -> Callable[[int, list[Frame]], None]:
        """What takes the messages of a read."""
        return self._tell.frames_received

    def link_busy(self, harbor: int) -> None:
        """The transport is full."""
        self._tell.link_busy(harbor)

    def link_free(self, harbor: int, link: Link) -> None:
        """The transport can take more."""
        self._tell.link_ready(harbor, link)

    def link_down(self, protocol: LinkProtocol, reason: str) -> None:
        """A link that was up is not any more."""
        harbor = protocol.peer.harbor
        assert harbor is not None
        del self._links[harbor]
        if protocol.dropped is None and not self._closing:
            self._log.info(
                "lost the link to harbor {harbor} at {peer}: {reason}",
                harbor=harbor,
                peer=protocol.peer_text,
                reason=reason,
            )
        self._tell.link_lost(harbor, reason)
        self._act(self._members.link_down(harbor, reason))

    def link_refused(self, protocol: LinkProtocol, reason: str) -> None:
        """A connection is dropped before its handshake was done."""
        self._lobby.leave(protocol)
        # For those that we dialed, the dialer logs it.
        if protocol.peer.expected is None and not self._closing:
            self._strangers.dropped(protocol.peer_text, reason)

    def link_closed(self, protocol: LinkProtocol) -> None:
        """The connection is closed."""
        self._lobby.leave(protocol)
        if protocol.peer.expected is not None:
            self._members.dialed(protocol.peer.expected, False)
        self._open.discard(protocol)

    # Watching, pausing, closing

    def sweep(self) -> None:
        """Drop those who keep us waiting; one look at all of them, now and then."""
        self._lobby.sweep()
        self._strangers.sweep()
        now = self._clock.seconds()
        for protocol in self._open:
            dialed = protocol.peer.expected is not None and not protocol.is_linked
            if dialed and now - protocol.since >= self._limits.handshake:
                protocol.drop(f"no answer for {self._limits.handshake:g} s")
        if self._paused:
            return
        for protocol in list(self._links.values()):
            rest = protocol.peer.reader.rest
            if not rest.kept:
                protocol.stalled = None
            elif protocol.stalled is None or protocol.stalled[0] != rest.changes:
                protocol.stalled = (rest.changes, now)
            elif now - protocol.stalled[1] >= self._limits.stall:
                protocol.stall(self._limits.stall)

    def pause_reading(self) -> None:
        """Read no link until `resume_reading`."""
        if not self._paused:
            self._paused = True
            for protocol in self._links.values():
                protocol.read(False)

    def resume_reading(self) -> None:
        """Read all links again."""
        if self._paused:
            self._paused = False
            for protocol in list(self._links.values()):
                # What did not move meanwhile did so because of us.
                protocol.stalled = None
                protocol.read(True)

    def close(self) -> Deferred[None]:
        """Write what is left, close all, and open nothing any more.

        :returns: fires when all is closed.
        """
        self._closing = True
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            waiter.errback(BootFailed("this node left before it was linked"))
        for protocol in self._open:
            protocol.close()
        dialers, self._dialers = list(self._dialers.values()), {}
        stopped = [dialer.stop() for dialer in dialers]
        return gatherResults([*stopped, self._open.when_empty()]).addCallback(
            lambda _: None
        )

    def abort(self) -> None:
        """Close at once what is not closed yet."""
        for protocol in self._open:
            protocol.drop("this node leaves")
