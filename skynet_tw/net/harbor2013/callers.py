# -*- test-case-name: tests.net.test_harbor2013,tests.net.test_strangers2013 -*-
"""The connections that others dial: those of harbors, and the master's."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, Protocol

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from ...interfaces import Frame
from ...link.callers2013 import Callers2013
from ...link.effects import Close, Effect, MasterFound
from ...link.membership2013 import Membership2013
from ...wire.control import Connect, Malformed, Name
from ...wire.harbor2013 import Announcement
from ..kit.connections import Connections
from ..kit.links import AllLinks
from .protocol import CallerOwner, CallerProtocol

#: Seconds of silence after which the master has told us of all harbors; it does so in
#: one go, and never says how many there are.
QUIET = 0.05


class MasterWatcher(Protocol):
    """Who speaks with the master, as its connection to us sees it."""

    @property
    def expects_master(self) -> bool:
        """Whether we registered, and the master did not dial us since."""

    def dialed_back(self) -> None:
        """The master has dialed us."""

    def left_alone(self) -> None:
        """The connection is gone that the master dialed."""


class HarborCallers2013(CallerOwner):
    """Accepts, watches and closes the connections that others dial.

    :param links: all links of the node, these among them.
    :param members: what is known of the other harbors.
    :param do: does what a core wants.
    :param watcher: told of the master's connection.
    :param name_known: called with what the master says about a name.
    """

    _log: ClassVar[Logger] = Logger()

    def __init__(
        self,
        links: AllLinks,
        members: Membership2013,
        do: Callable[[list[Effect]], None],
        watcher: MasterWatcher,
        name_known: Callable[[Name], None],
    ) -> None:
        self._links = links
        self._clock = links.clock
        self._members = members
        self._do = do
        self._watcher = watcher
        self._name_known = name_known
        limits = links.limits
        self._core = Callers2013(limits.strangers, limits.handshake)
        self._quiet: IDelayedCall | None = None
        #: Those that are open.
        self.connections: Connections[CallerProtocol] = Connections()
        #: Where we are dialed ourselves.
        self.own_address = ""

    @property
    def master(self) -> CallerProtocol | None:
        """The connection that the master dialed, None if there is none."""
        caller = self._core.master
        return caller if isinstance(caller, CallerProtocol) else None

    @property
    def is_introduced(self) -> bool:
        """Whether the master has dialed us, and told us of all harbors."""
        return self.master is not None and self._quiet is None

    def bytes_read(self) -> dict[int, int]:
        """How many bytes came from each harbor that has said something."""
        read: dict[int, int] = {}
        for caller in self.connections:
            read[caller.harbor] = read.get(caller.harbor, 0) + caller.bytes_read
        return read

    # What the cores want

    def close_one(self, effect: Close) -> None:
        """Close a connection."""
        assert isinstance(effect.connection, CallerProtocol)
        effect.connection.abort(str(effect.error))

    def found_master(self, effect: MasterFound) -> None:
        """A connection is the master's, in place of any other."""
        caller = effect.connection
        assert isinstance(caller, CallerProtocol)
        if effect.before is not None:
            self._members.caller_is_master(effect.before, False)
        self._members.caller_is_master(caller, True)
        self._log.info("the master dialed us from {peer}", peer=caller.peer_text)
        self._watcher.dialed_back()

    # What the connections say: CallerOwner

    def caller_opened(self, caller: CallerProtocol) -> None:
        self.connections.add(caller)
        if self._links.closing:
            caller.abort("this node leaves")
            return
        expected = self._watcher.expects_master
        self._do(self._core.opened(caller, self._clock.seconds(), expected))
        if expected:
            self._wait_for_silence()
        self._do(self._members.called(caller))

    @property
    def caller_frames(self) -> Callable[[int, list[Frame]], None]:
        return self._links.receiver.frames_received

    def caller_is(self, caller: CallerProtocol, harbor: int) -> None:
        if self._links.paused:
            caller.read(False)
        self._do(self._members.caller_is(caller, harbor))
        self._do(self._core.is_harbor(caller, harbor))

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
        self._do(self._core.announces(caller))
        if isinstance(announcement, Name):
            self._name_known(announcement)
        elif isinstance(announcement, Connect):
            self._wait_for_silence()
            harbor, address = announcement.harbor, announcement.address
            self._core.announced(harbor, self._clock.seconds())
            self._do(self._members.announce(harbor, address, self.own_address))

    def _wait_for_silence(self) -> None:
        if self._quiet is not None:
            self._quiet.cancel()
        self._quiet = self._clock.callLater(QUIET, self._silence)

    def _silence(self) -> None:
        """Nothing came for a moment: neither calls of harbors nor news of them."""
        self._quiet = None
        self._do(self._core.quiet() if self._watcher.expects_master else [])

    def caller_refused(self, caller: CallerProtocol, reason: str) -> None:
        self._core.dropped(caller)
        if not self._links.closing:
            self._links.strangers.dropped(caller.peer_text, reason)

    def caller_closed(self, caller: CallerProtocol) -> None:
        self.connections.discard(caller)
        self._members.caller_lost(caller)
        if self._core.closed(caller) and not self._links.closing:
            self._watcher.left_alone()

    # Watching, pausing, closing

    def sweep(self) -> None:
        """Close connections that keep us waiting."""
        now = self._clock.seconds()
        self._do(self._core.sweep(now))
        if self._links.paused:
            return
        stall = self._links.limits.stall
        for caller in self.connections:
            if caller.progress.stands(caller.half_open(), now) >= stall:
                caller.abort(f"half a frame stood still for {stall:g} s")

    def read(self, on: bool) -> None:
        """Read all harbors, or leave with them what they send; not so the master."""
        for caller in self.connections:
            # What did not move meanwhile did so because of us.
            caller.progress.forget()
            if caller.harbor:
                caller.read(on)

    def close(self) -> Deferred[None]:
        """Close all, and fire when all are closed."""
        if self._quiet is not None:
            self._quiet.cancel()
            self._quiet = None
        for caller in self.connections:
            caller.close()
        return self.connections.when_empty()

    def abort(self) -> None:
        """Close at once what is not closed yet."""
        for caller in self.connections:
            caller.abort("this node leaves")
