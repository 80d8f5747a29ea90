# -*- test-case-name: tests.net.test_harbor2013 -*-
"""All connections of one harbor of 2013: those it dials, and those who dial it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import (
    IDelayedCall,
    IReactorTime,
    IStreamClientEndpoint,
)

from ...interfaces import Frame, LinkInfo
from ...link.callers2013 import Callers2013
from ...link.effects import (
    Await,
    Close,
    Dial,
    Effect,
    Expected,
    Finish,
    Gone,
    Lost,
    MasterFound,
    Ready,
    StopDialing,
)
from ...link.membership2013 import Membership2013
from ...wire.control import Connect, Malformed, Name
from ...wire.harbor2013 import Announcement
from ..kit.connections import Connections
from ..kit.limits import ConnectionLimits
from ..kit.links import AllLinks
from ..kit.shell import Shell
from .protocol import CallerProtocol, LinkProtocol2013

#: Seconds of silence after which the master has told us of all harbors; it does so in
#: one go, and never says how many there are.
QUIET = 0.05


class MasterWatcher(Protocol):
    """Who speaks with the master, as the links see it."""

    @property
    def expects_master(self) -> bool:
        """Whether we registered, and the master did not dial us since."""

    def dialed_back(self) -> None:
        """The master has dialed us."""

    def left_alone(self) -> None:
        """The connection is gone that the master dialed."""


class HarborLinks2013(AllLinks):
    """The connections of a harbor of 2013; see `AllLinks`.

    :param watcher: told of the master's connection.
    :param name_known: called with what the master says about a name.
    """

    def __init__(
        self,
        own: int,
        dial: Callable[[str], IStreamClientEndpoint],
        clock: IReactorTime,
        retry_policy: Callable[[int], float],
        limits: ConnectionLimits,
        watcher: MasterWatcher,
        name_known: Callable[[Name], None],
    ) -> None:
        super().__init__(own, dial, clock, retry_policy, limits)
        self._watcher = watcher
        self._name_known = name_known
        self._members = Membership2013(own)
        self._callers = Callers2013(limits.strangers, limits.handshake)
        self._dialed: Connections[LinkProtocol2013] = Connections()
        self._called: Connections[CallerProtocol] = Connections()
        #: Of those that we dialed, the one to each harbor that counts.
        self._links: dict[int, LinkProtocol2013] = {}
        #: When each of them was ready.
        self._up_at: dict[int, float] = {}
        self._timers: dict[int, IDelayedCall] = {}
        self._quiet: IDelayedCall | None = None
        self._since = clock.seconds()
        #: Where we are dialed ourselves.
        self.own_address = ""
        self._shell = Shell(
            {
                Ready: self._ready,
                Dial: self._dial,
                StopDialing: lambda effect: self._stop_dialing(effect.harbor),
                Finish: self._finish,
                Await: lambda effect: self._await(effect.harbor, effect.seconds),
                Lost: self._lost,
                Expected: self.expected,
                Gone: self.gone,
                Close: self._close,
                MasterFound: self._found_master,
            }
        )

    def linked(self) -> list[int]:
        """The harbors that are linked now, in order."""
        return self._members.linked()

    @property
    def master(self) -> CallerProtocol | None:
        """The connection that the master dialed, None if there is none."""
        caller = self._callers.master
        return caller if isinstance(caller, CallerProtocol) else None

    def infos(self) -> list[LinkInfo]:
        """Describe the links that are up: what we write to, and what they dialed."""
        now = self.clock.seconds()
        read: dict[int, int] = {}
        for caller in self._called:
            read[caller.harbor] = read.get(caller.harbor, 0) + caller.bytes_read
        infos = []
        for harbor in self.linked():
            protocol = self._links[harbor]
            assert protocol.link is not None
            infos.append(
                LinkInfo(
                    harbor,
                    protocol.peer_text,
                    now - self._up_at.get(harbor, now),
                    read.get(harbor, 0),
                    protocol.link.written,
                    protocol.is_full,
                )
            )
        return infos

    def accept(self) -> CallerProtocol:
        """Make the protocol of a connection that somebody opened."""
        return CallerProtocol(self)

    def waiting_for(self, address: str) -> str | None:
        """Which links are waited for, in words, or None.

        :param address: where we are dialed.
        """
        pending = self._members.pending()
        if self.complete.is_done or not pending:
            return None
        seconds = self.clock.seconds() - self._since
        what = ", ".join(f"harbor {harbor} {why}" for harbor, why in pending)
        return f"{what}, for {seconds:.1f} s (we are at {address})"

    # What the cores want

    def _do(self, effects: list[Effect]) -> None:
        self._shell.do(effects)
        if not self.closing:
            self._check_complete()

    def _lost(self, effect: Lost) -> None:
        if not self.closing:
            self._log.info(
                "lost the link to harbor {harbor}: {reason}",
                harbor=effect.harbor,
                reason=effect.reason,
            )
        self.receiver.link_lost(effect.harbor, effect.reason)

    def _ready(self, effect: Ready) -> None:
        harbor = effect.harbor
        protocol = self._links[harbor]
        self.dialers.linked(harbor)
        self._up_at[harbor] = self.clock.seconds()
        self._log.info(
            "linked with harbor {harbor}, dialed at {peer}",
            harbor=harbor,
            peer=protocol.peer_text,
        )
        protocol.greeted()
        assert protocol.link is not None
        self.receiver.link_ready(harbor, protocol.link)

    def _finish(self, effect: Finish) -> None:
        protocol = self._links[effect.harbor]
        if not protocol.is_full:
            self.receiver.link_busy(effect.harbor)
        protocol.finish()

    def _dial(self, effect: Dial) -> None:
        harbor = effect.harbor
        self._stop_dialing(harbor)
        self.dialers.start(
            harbor,
            effect.address,
            lambda: LinkProtocol2013(self, harbor),
            lambda error: self._members.failed(harbor, error),
        )

    def _stop_dialing(self, harbor: int) -> None:
        protocol = self._links.pop(harbor, None)
        self.dialers.stop(harbor)
        if protocol is not None:
            protocol.abort("it is dialed no more")

    def _await(self, harbor: int, seconds: float | None) -> None:
        timer = self._timers.pop(harbor, None)
        if timer is not None:
            timer.cancel()
        if seconds is not None:
            self._timers[harbor] = self.clock.callLater(seconds, self._too_late, harbor)

    def _too_late(self, harbor: int) -> None:
        del self._timers[harbor]
        self._do(self._members.too_late(harbor))

    def _close(self, effect: Close) -> None:
        assert isinstance(effect.connection, CallerProtocol)
        effect.connection.abort(str(effect.error))

    def _found_master(self, effect: MasterFound) -> None:
        caller = effect.connection
        assert isinstance(caller, CallerProtocol)
        if effect.before is not None:
            self._members.caller_is_master(effect.before, False)
        self._members.caller_is_master(caller, True)
        self._log.info("the master dialed us from {peer}", peer=caller.peer_text)
        self._watcher.dialed_back()

    def _check_complete(self) -> None:
        if (
            self.master is not None
            and self._quiet is None
            and not self._members.pending()
        ):
            self.complete.fire()

    # What the connections say that we dialed: LinkOwner2013

    def link_connected(self, protocol: LinkProtocol2013) -> None:
        """A connection is up."""
        self._dialed.add(protocol)
        if self.closing or protocol.harbor not in self.dialers:
            protocol.abort("it is not wanted any more")
            return
        self._links[protocol.harbor] = protocol
        self._do(self._members.connected(protocol.harbor))

    def link_busy(self, protocol: LinkProtocol2013) -> None:
        """The transport is full."""
        self.receiver.link_busy(protocol.harbor)

    def link_free(self, protocol: LinkProtocol2013) -> None:
        """The transport can take more."""
        assert protocol.link is not None
        self.receiver.link_ready(protocol.harbor, protocol.link)

    def link_down(self, protocol: LinkProtocol2013, reason: str, clean: bool) -> None:
        """A connection that was up is not any more."""
        harbor = protocol.harbor
        if self._links.get(harbor) is protocol:
            del self._links[harbor]
            self._do(self._members.lost(harbor, reason, clean))

    def link_closed(self, protocol: LinkProtocol2013) -> None:
        """The connection is closed."""
        self._dialed.discard(protocol)

    # What the connections say that others dialed: CallerOwner

    def caller_opened(self, caller: CallerProtocol) -> None:
        """A connection is up; nobody knows yet whose."""
        self._called.add(caller)
        if self.closing:
            caller.abort("this node leaves")
            return
        expected = self._watcher.expects_master
        self._do(self._callers.opened(caller, self.clock.seconds(), expected))
        if expected:
            self._wait_for_silence()
        self._do(self._members.called(caller))

    @property
    def caller_frames(self) -> Callable[[int, list[Frame]], None]:
        """What takes the messages of a read."""
        return self.receiver.frames_received

    def caller_is(self, caller: CallerProtocol, harbor: int) -> None:
        """The connection is that of a harbor."""
        if self.paused:
            caller.read(False)
        self._do(self._members.caller_is(caller, harbor))
        self._do(self._callers.is_harbor(caller, harbor))

    def caller_announces(
        self, caller: CallerProtocol, announcement: Announcement | Malformed
    ) -> None:
        """The master says something, or somebody who wants to be the master."""
        if caller.harbor or isinstance(announcement, Malformed):
            caller.ignored += 1
            if caller.ignored == 1:
                self._log.info(
                    "ignored what {peer} said, who is not the master: {said!r:.80}",
                    peer=caller.peer_text,
                    said=announcement,
                )
            return
        self._do(self._callers.announces(caller))
        if isinstance(announcement, Name):
            self._name_known(announcement)
        elif isinstance(announcement, Connect):
            self._wait_for_silence()
            harbor, address = announcement.harbor, announcement.address
            self._callers.announced(harbor, self.clock.seconds())
            self._do(self._members.announce(harbor, address, self.own_address))

    def _wait_for_silence(self) -> None:
        if self._quiet is not None:
            self._quiet.cancel()
        self._quiet = self.clock.callLater(QUIET, self._silence)

    def _silence(self) -> None:
        """Nothing came for a moment: neither calls of harbors nor news of them."""
        self._quiet = None
        self._do(self._callers.quiet() if self._watcher.expects_master else [])

    def caller_refused(self, caller: CallerProtocol, reason: str) -> None:
        """We close the connection."""
        self._callers.dropped(caller)
        if not self.closing:
            self.strangers.dropped(caller.peer_text, reason)

    def caller_closed(self, caller: CallerProtocol) -> None:
        """The connection is closed."""
        self._called.discard(caller)
        self._members.caller_lost(caller)
        if self._callers.closed(caller) and not self.closing:
            self._watcher.left_alone()

    # Watching, pausing, closing

    def sweep(self) -> None:
        """Close connections that keep us waiting."""
        self.strangers.sweep()
        now = self.clock.seconds()
        self._do(self._callers.sweep(now))
        if self.paused:
            return
        stall = self.limits.stall
        for caller in self._called:
            if caller.progress.stands(caller.half_open(), now) >= stall:
                caller.abort(f"half a frame stood still for {stall:g} s")

    def read(self, on: bool) -> None:
        """Read all harbors, or leave with them what they send; not so the master."""
        for caller in self._called:
            # What did not move meanwhile did so because of us.
            caller.progress.forget()
            if caller.harbor:
                caller.read(on)

    def close_connections(self) -> list[Deferred[None]]:
        """Write what is left, and close; each fires when a part is closed."""
        # Nothing begins any more; what is lost is lost.
        self._shell.only(Lost)
        if self._quiet is not None:
            self._quiet.cancel()
            self._quiet = None
        for harbor in list(self._timers):
            self._await(harbor, None)
        for protocol in self._dialed:
            protocol.close()
        for caller in self._called:
            caller.close()
        return [self._dialed.when_empty(), self._called.when_empty()]

    def abort(self) -> None:
        """Close at once what is not closed yet."""
        for protocol in self._dialed:
            protocol.abort("this node leaves")
        for caller in self._called:
            caller.abort("this node leaves")
