# -*- test-case-name: tests.net.test_harbor2013 -*-
"""All connections of one harbor of 2013: those it dials, and those who dial it."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from math import inf

from twisted.internet.defer import Deferred, fail, gatherResults, succeed
from twisted.internet.interfaces import (
    IDelayedCall,
    IReactorTime,
    IStreamClientEndpoint,
)
from twisted.logger import Logger

from ..errors import BootFailed
from ..interfaces import Frame, IRemoteReceiver
from ..link.harbor2013 import (
    Action,
    Await,
    Finish,
    Lost,
    Neighbours,
    Ready,
)
from ..link.membership import Dial, Expected, Gone, StopDialing
from ..wire.harbor2013 import Told
from ..wire.master import Connect, Malformed, Name
from .dialer import Dialer
from .limits import ConnectionLimits
from .lobby import Connections, FoldedLog
from .peer2013 import CallerProtocol, LinkProtocol

#: Seconds of silence after which the master has told us of all harbors; it does so in
#: one go, and never says how many there are.
SETTLE = 0.05

#: Connections of one harbor; whoever has more of them lost the older ones.
MAX_CALLERS = 4

#: A harbor dials when it is announced; seconds between the one and the other, at most.
DIALS_WITHIN = 5.0

#: Silent connections from about that time that may each be that harbor's.
NEAREST = 4


class Links:
    """Opens, accepts, watches and closes the connections of a harbor.

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
        self._dial = dial
        self._clock = clock
        self._retry_policy = retry_policy
        self._limits = limits
        self._neighbours = Neighbours(own)
        self._receiver: IRemoteReceiver | None = None
        self._strangers = FoldedLog(f"port of harbor {own}")
        self._dialers: dict[int, Dialer] = {}
        self._dialed: Connections[LinkProtocol] = Connections()
        self._callers: Connections[CallerProtocol] = Connections()
        # Of those that we dialed, the one to each harbor that counts.
        self._links: dict[int, LinkProtocol] = {}
        # When the master told us last of each harbor, or each harbor of us.
        self._announced: dict[int, float] = {}
        # Who spoke as the master does, whoever did so last at the end.
        self._tellers: dict[CallerProtocol, None] = {}
        self._timers: dict[int, IDelayedCall] = {}
        self._paused = False
        self._closing = False
        self._quiet: IDelayedCall | None = None
        self._complete = False
        self._waiters: list[Deferred[None]] = []
        self._since = clock.seconds()
        #: The connection that the master dialed, None if there is none.
        self.master: CallerProtocol | None = None
        #: Where we are dialed ourselves.
        self.own_address = ""
        #: Whether we registered, and the master did not dial us since.
        self.expects_master: Callable[[], bool] = lambda: False
        #: Called when the master has dialed us.
        self.on_master: Callable[[], None] = lambda: None
        #: Called when the connection is gone that the master dialed.
        self.on_master_lost: Callable[[], None] = lambda: None
        #: Called with what the master says about a name.
        self.on_name: Callable[[Name], None] = lambda name: None

    def attach(self, receiver: IRemoteReceiver) -> None:
        """Say who is told what happens."""
        self._receiver = receiver

    @property
    def _tell(self) -> IRemoteReceiver:
        assert self._receiver is not None, "attach a receiver first"
        return self._receiver

    def linked(self) -> list[int]:
        """The harbors that are linked now, in order."""
        return self._neighbours.linked()

    def accept(self) -> CallerProtocol:
        """Make the protocol of a connection that somebody opened."""
        return CallerProtocol(self)

    def when_complete(self) -> Deferred[None]:
        """Fire when all harbors are linked of which the master told us.

        Those that cannot be reached for `GONE_AFTER` seconds are not waited for.  It
        fails with `BootFailed` if we leave before.
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
        pending = self._neighbours.pending()
        if self._complete or not pending:
            return None
        seconds = self._clock.seconds() - self._since
        what = ", ".join(f"harbor {harbor} {why}" for harbor, why in pending)
        return f"{what}, for {seconds:.1f} s (we are at {address})"

    # What is to be done

    def _act(self, actions: list[Action]) -> None:
        for action in actions:
            if isinstance(action, Lost):
                if not self._closing:
                    self._log.info(
                        "lost the link to harbor {harbor}: {reason}",
                        harbor=action.harbor,
                        reason=action.reason,
                    )
                self._tell.link_lost(action.harbor, action.reason)
            elif not self._closing:
                self._do(action)
        if not self._closing:
            self._check_complete()

    def _do(self, action: Action) -> None:
        harbor = action.harbor
        if isinstance(action, Ready):
            self._ready(self._links[harbor])
        elif isinstance(action, Dial):
            self._stop_dialing(harbor)
            self._start_dialing(harbor, action.address)
        elif isinstance(action, StopDialing):
            self._stop_dialing(harbor)
        elif isinstance(action, Finish):
            protocol = self._links[harbor]
            if not protocol.busy:
                self._tell.link_busy(harbor)
            protocol.finish()
        elif isinstance(action, Await):
            self._await(harbor, action.seconds)
        elif isinstance(action, Expected):
            self._tell.harbor_expected(harbor)
        elif isinstance(action, Gone):
            self._log.info(
                "harbor {harbor} is gone: {reason}", harbor=harbor, reason=action.reason
            )
            self._tell.harbor_gone(harbor, action.reason)

    def _ready(self, protocol: LinkProtocol) -> None:
        harbor = protocol.harbor
        self._dialers[harbor].linked()
        self._log.info(
            "linked with harbor {harbor}, dialed at {peer}",
            harbor=harbor,
            peer=protocol.peer_text,
        )
        protocol.greeted()
        assert protocol.link is not None
        self._tell.link_ready(harbor, protocol.link)

    def _start_dialing(self, harbor: int, address: str) -> None:
        self._dialers[harbor] = dialer = Dialer(
            harbor,
            address,
            lambda: self._dial(address),
            lambda: LinkProtocol(self, harbor),
            self._clock,
            self._retry_policy,
            lambda error: self._neighbours.failed(harbor, error),
        )
        dialer.start()

    def _stop_dialing(self, harbor: int) -> None:
        dialer = self._dialers.pop(harbor, None)
        protocol = self._links.pop(harbor, None)
        if dialer is not None:
            dialer.stop()
        if protocol is not None:
            protocol.drop("it is dialed no more")

    def _await(self, harbor: int, seconds: float | None) -> None:
        timer = self._timers.pop(harbor, None)
        if timer is not None:
            timer.cancel()
        if seconds is not None:
            self._timers[harbor] = self._clock.callLater(
                seconds, self._too_late, harbor
            )

    def _too_late(self, harbor: int) -> None:
        del self._timers[harbor]
        self._act(self._neighbours.too_late(harbor))

    def _check_complete(self) -> None:
        if (
            self._complete
            or self.master is None
            or self._quiet is not None
            or self._neighbours.pending()
        ):
            return
        self._complete = True
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            waiter.callback(None)

    # What the connections say that we dialed: LinkOwner

    def link_connected(self, protocol: LinkProtocol) -> None:
        """A connection is up."""
        self._dialed.add(protocol)
        if self._closing or protocol.harbor not in self._dialers:
            protocol.drop("it is not wanted any more")
            return
        self._links[protocol.harbor] = protocol
        self._act(self._neighbours.connected(protocol.harbor))

    def link_busy(self, protocol: LinkProtocol) -> None:
        """The transport is full."""
        self._tell.link_busy(protocol.harbor)

    def link_free(self, protocol: LinkProtocol) -> None:
        """The transport can take more."""
        assert protocol.link is not None
        self._tell.link_ready(protocol.harbor, protocol.link)

    def link_down(self, protocol: LinkProtocol, reason: str, clean: bool) -> None:
        """A connection that was up is not any more."""
        harbor = protocol.harbor
        if self._links.get(harbor) is protocol:
            del self._links[harbor]
            self._act(self._neighbours.lost(harbor, reason, clean))

    def link_closed(self, protocol: LinkProtocol) -> None:
        """The connection is closed."""
        self._dialed.discard(protocol)

    # What the connections say that others dialed: CallerOwner

    def caller_opened(self, caller: CallerProtocol) -> None:
        """A connection is up; nobody knows yet whose."""
        self._callers.add(caller)
        caller.since = self._clock.seconds()
        if self._closing:
            caller.drop("this node leaves")
            return
        silent = self._silent()
        if len(silent) > self._limits.strangers:
            spared = self._may_be_harbors(silent)
            oldest = next((it for it in silent if it not in spared), silent[0])
            oldest.drop("too many connections did not say who they are")
        if self.expects_master():
            caller.may_be_master = True
            self._wait_for_silence()
        self._act(self._neighbours.called(caller))

    @property
    def caller_frames(self) -> Callable[[int, list[Frame]], None]:
        """What takes the messages of a read."""
        return self._tell.frames_received

    def caller_is(self, caller: CallerProtocol, harbor: int) -> None:
        """The connection is that of a harbor."""
        if self._paused:
            caller.read(False)
        self._act(self._neighbours.caller_is(caller, harbor))
        older = self._neighbours.callers_of(harbor)
        if len(older) > MAX_CALLERS:
            assert isinstance(older[0], CallerProtocol)
            older[0].drop(f"harbor {harbor} has {MAX_CALLERS} newer connections")

    def caller_told(self, caller: CallerProtocol, told: Told | Malformed) -> None:
        """The master says something, or somebody who wants to be the master."""
        if caller.harbor or isinstance(told, Malformed):
            caller.ignored += 1
            if caller.ignored == 1:
                self._log.info(
                    "ignored what {peer} said, who is not the master: {told!r:.80}",
                    peer=caller.peer_text,
                    told=told,
                )
            return
        if caller is not self.master:
            self._found_master(caller)
        self._tellers.pop(caller, None)
        self._tellers[caller] = None
        if len(self._tellers) > MAX_CALLERS:
            next(iter(self._tellers)).drop(f"{MAX_CALLERS} others spoke as the master")
        if isinstance(told, Name):
            self.on_name(told)
        elif isinstance(told, Connect):
            self._wait_for_silence()
            self._announced[told.harbor] = self._clock.seconds()
            self._act(
                self._neighbours.announce(told.harbor, told.address, self.own_address)
            )

    def _found_master(self, caller: CallerProtocol) -> None:
        if self.master is not None:
            self._neighbours.caller_is_master(self.master, False)
        self.master = caller
        self._neighbours.caller_is_master(caller, True)
        self._log.info("the master dialed us from {peer}", peer=caller.peer_text)
        self.on_master()

    def _wait_for_silence(self) -> None:
        if self._quiet is not None:
            self._quiet.cancel()
        self._quiet = self._clock.callLater(SETTLE, self._silence)

    def _silence(self) -> None:
        """Nothing came for a moment: neither calls of harbors nor news of them.

        A master that knows of no other harbor has nothing to say.  Before it dialed
        us, nobody else could know where we are; so the first who dials us and says
        nothing is the master.  Where others know from earlier, a harbor may come
        first; but then the master has news of that harbor, and says so.
        """
        self._quiet = None
        if self.expects_master():
            for caller in self._callers:
                if caller.may_be_master and not caller.harbor:
                    self._found_master(caller)
                    break
        self._check_complete()

    def caller_refused(self, caller: CallerProtocol, reason: str) -> None:
        """We drop the connection."""
        self._tellers.pop(caller, None)
        if not self._closing:
            self._strangers.dropped(caller.peer_text, reason)

    def caller_closed(self, caller: CallerProtocol) -> None:
        """The connection is closed."""
        self._tellers.pop(caller, None)
        self._callers.discard(caller)
        self._neighbours.caller_lost(caller)
        if caller is self.master:
            self.master = None
            if not self._closing:
                self.on_master_lost()

    # Watching, pausing, closing

    def sweep(self) -> None:
        """Drop those who keep us waiting; one look at all of them, now and then."""
        self._strangers.sweep()
        now = self._clock.seconds()
        silent = self._silent()
        if silent and now - silent[0].since >= self._limits.handshake:
            spared = self._may_be_harbors(silent)
            for caller in silent:
                if now - caller.since < self._limits.handshake:
                    break
                if caller not in spared:
                    seconds = self._limits.handshake
                    caller.drop(f"it did not say who it is for {seconds:g} s")
        if self._paused:
            return
        for caller in self._callers:
            progress = caller.half_open()
            if progress is None:
                caller.stalled = None
            elif caller.stalled is None or caller.stalled[0] != progress:
                caller.stalled = (progress, now)
            elif now - caller.stalled[1] >= self._limits.stall:
                caller.drop(f"half a frame stood still for {self._limits.stall:g} s")

    def _silent(self) -> list[CallerProtocol]:
        """Those who dialed us and did not say yet who they are, the oldest first."""
        return [
            caller
            for caller in self._callers
            if not caller.harbor
            and caller is not self.master
            and caller not in self._tellers
            and caller.dropped is None
        ]

    def _may_be_harbors(self, silent: list[CallerProtocol]) -> set[CallerProtocol]:
        """Those of the silent who may be harbors, or the master, with nothing to say.

        To hang up on a real one would cut it off for good, as it never dials again.
        But it dials when it is announced: so those who did so next to the announcement
        of a harbor that was not heard since are kept.  One of ours dials again whenever
        it loses its connection; for each harbor that is missing the newest is kept.
        """
        since = [caller.since for caller in silent]
        heard = {caller.harbor: caller.since for caller in self._callers}
        missing = 0
        spared: set[CallerProtocol] = set()
        for harbor, announced in self._announced.items():
            if heard.get(harbor, -inf) >= announced - DIALS_WITHIN:
                continue
            missing += 1
            next_to = bisect_left(since, announced)
            around = silent[max(next_to - NEAREST, 0) : next_to + NEAREST]
            around.sort(key=lambda caller: abs(caller.since - announced))
            spared.update(around[:NEAREST])
        spared.update(silent[max(len(silent) - missing, 0) :])
        if not self._tellers:
            # Whom we took for the master has not proved it yet.
            spared.update(
                [caller for caller in silent if caller.may_be_master][:NEAREST]
            )
        return spared

    def pause_reading(self) -> None:
        """Read no harbor until `resume_reading`; the master is read on."""
        if not self._paused:
            self._paused = True
            for caller in self._callers:
                if caller.harbor:
                    caller.read(False)

    def resume_reading(self) -> None:
        """Read all harbors again."""
        if self._paused:
            self._paused = False
            for caller in self._callers:
                # What did not move meanwhile did so because of us.
                caller.stalled = None
                if caller.harbor:
                    caller.read(True)

    def close(self) -> Deferred[None]:
        """Write what is left, close all, and open nothing any more.

        :returns: fires when all is closed.
        """
        self._closing = True
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            waiter.errback(BootFailed("this node left before it was linked"))
        if self._quiet is not None:
            self._quiet.cancel()
            self._quiet = None
        for harbor in list(self._timers):
            self._await(harbor, None)
        for protocol in self._dialed:
            protocol.close()
        for caller in self._callers:
            if caller.transport is not None:
                caller.transport.loseConnection()
        dialers, self._dialers = list(self._dialers.values()), {}
        stopped = [dialer.stop() for dialer in dialers]
        return gatherResults(
            [*stopped, self._dialed.when_empty(), self._callers.when_empty()]
        ).addCallback(lambda _: None)

    def abort(self) -> None:
        """Close at once what is not closed yet."""
        for protocol in self._dialed:
            protocol.drop("this node leaves")
        for caller in self._callers:
            caller.drop("this node leaves")
