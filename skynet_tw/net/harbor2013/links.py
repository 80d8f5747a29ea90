# -*- test-case-name: tests.net.test_harbor2013 -*-
"""The links of one harbor of 2013: all go out on connections that it dials."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import (
    IDelayedCall,
    IReactorTime,
    IStreamClientEndpoint,
)

from ...interfaces import LinkInfo
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
from ...wire.control import Name
from ..kit.connections import Connections
from ..kit.limits import ConnectionLimits
from ..kit.links import AllLinks
from ..kit.shell import Shell
from .callers import HarborCallers2013, MasterWatcher
from .protocol import CallerProtocol, LinkOwner2013, LinkProtocol2013


class HarborLinks2013(AllLinks, LinkOwner2013):
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
        self._members = Membership2013(own)
        #: The connections that others dialed.
        self.callers = HarborCallers2013(
            self, self._members, self._do, watcher, name_known
        )
        self._dialed: Connections[LinkProtocol2013] = Connections()
        #: Of those that we dialed, the one to each harbor that counts.
        self._links: dict[int, LinkProtocol2013] = {}
        #: When each of them was ready.
        self._up_at: dict[int, float] = {}
        self._timers: dict[int, IDelayedCall] = {}
        self._since = clock.seconds()
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
                Close: self.callers.close_one,
                MasterFound: self.callers.found_master,
            }
        )

    def linked(self) -> list[int]:
        return self._members.linked()

    def infos(self) -> list[LinkInfo]:
        """Describe the links that are up: what we write to, and what they dialed."""
        now = self.clock.seconds()
        read = self.callers.bytes_read()
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
                    protocol.link.bytes_written,
                    protocol.is_full,
                )
            )
        return infos

    def accept(self) -> CallerProtocol:
        return CallerProtocol(self.callers)

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

    def _check_complete(self) -> None:
        if self.callers.is_introduced and not self._members.pending():
            self.complete.fire()

    # What the connections say: LinkOwner2013

    def link_connected(self, protocol: LinkProtocol2013) -> None:
        self._dialed.add(protocol)
        if self.closing or protocol.harbor not in self.dialers:
            protocol.abort("it is not wanted any more")
            return
        self._links[protocol.harbor] = protocol
        self._do(self._members.connected(protocol.harbor))

    def link_busy(self, protocol: LinkProtocol2013) -> None:
        self.receiver.link_busy(protocol.harbor)

    def link_free(self, protocol: LinkProtocol2013) -> None:
        assert protocol.link is not None
        self.receiver.link_ready(protocol.harbor, protocol.link)

    def link_down(self, protocol: LinkProtocol2013, reason: str, clean: bool) -> None:
        harbor = protocol.harbor
        if self._links.get(harbor) is protocol:
            del self._links[harbor]
            self._do(self._members.lost(harbor, reason, clean))

    def link_closed(self, protocol: LinkProtocol2013) -> None:
        self._dialed.discard(protocol)

    # Watching, pausing, closing

    def sweep(self) -> None:
        self.strangers.sweep()
        self.callers.sweep()

    def read(self, on: bool) -> None:
        self.callers.read(on)

    def close_connections(self) -> list[Deferred[None]]:
        # Nothing begins any more; what is lost is lost.
        self._shell.only(Lost)
        for harbor in list(self._timers):
            self._await(harbor, None)
        for protocol in self._dialed:
            protocol.close()
        # To close what a harbor writes to is to break its link: it would count its
        # calls as lost before the last answers, which come on ours, have reached it.
        self.callers.read(False)
        closed = self._dialed.when_empty()
        return [closed.addCallback(lambda _: self.callers.close())]

    def abort(self) -> None:
        for protocol in self._dialed:
            protocol.abort("this node leaves")
        self.callers.abort()
