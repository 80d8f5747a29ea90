# -*- test-case-name: tests.net.test_harbor -*-
"""The connection of one harbor to its master, made again whenever it is lost."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import (
    IReactorTime,
    IStreamClientEndpoint,
)
from twisted.internet.protocol import connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure

from ..errors import BootFailed
from ..link.slave import Effects, Told
from ..wire.master import NOT_2013, NOT_MODERN, Wait
from .greeting import (
    GreetedEndpoint,
    GreetingProtocol,
    QuietClientService,
)
from .limits import ConnectionLimits
from .lobby import Connections
from .transport import drop_transport, tune

#: A master that closes the connection after H, this often in a row, refuses us.
REFUSALS = 3

#: Seconds between attempts to come back to a master that refuses us, at least.
REFUSED_PAUSE = 60.0


class Speaker(Protocol):
    """The core that speaks with a master: `Slave`, or that of the other wire."""

    @property
    def harbor(self) -> int:
        """Our id."""

    @property
    def half_open(self) -> int | None:
        """A number that grows as an incomplete packet does; None if there is none."""

    def connected(self) -> Effects:
        """A connection to the master is up."""

    def feed(self, data: bytes) -> Effects:
        """Take what was read from the master."""

    def lost(self) -> None:
        """The connection to the master is gone."""

    def register(self, name: str, handle: int) -> Effects:
        """Own a name, on this connection and on all that follow."""

    def query(self, name: str) -> Effects:
        """Ask for a name, on this connection and on those that follow until known."""


class ControlProtocol(GreetingProtocol):
    """One connection to the master.

    :param control: what it belongs to.
    """

    def __init__(self, control: Control) -> None:
        super().__init__()
        self._control = control
        #: Whether ``H`` was written.
        self.said_hello = False
        #: When it was, and since when half a packet made no progress.
        self.since = 0.0
        self.stalled: tuple[int, float] | None = None

    def connectionMade(self) -> None:
        """Greet the master."""
        assert self.transport is not None
        tune(self.transport)
        self.said_hello = True
        self._control.opened(self)

    def dataReceived(self, data: bytes) -> None:
        """Take what the master says."""
        if self.dropped is None:
            self._control.received(self, data)

    def write(self, data: bytes) -> None:
        """Write to the master."""
        if data and self.transport is not None and self.dropped is None:
            self.transport.write(data)

    def drop(self, reason: str) -> None:
        """Close the connection at once."""
        if self.dropped is None:
            self.dropped = reason
            drop_transport(self.transport)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The connection is closed, by whomever."""
        self._control.closed(self, self.dropped or reason.getErrorMessage())
        super().connectionLost(reason)


class Control:
    """Joins the master, and joins it again.

    :param slave: the core that speaks with it.
    :param endpoint: where the master is.
    :param name: the same for people.
    :param clock: schedules attempts.
    :param retry_policy: seconds to wait after so many failed attempts in a row.
    :param limits: how long a master may take to answer.
    :param told: called with what the master says, in order, `Wait` first.
    """

    _log = Logger()

    def __init__(
        self,
        slave: Speaker,
        endpoint: IStreamClientEndpoint,
        name: object,
        clock: IReactorTime,
        retry_policy: Callable[[int], float],
        limits: ConnectionLimits,
        told: Callable[[Told], None],
    ) -> None:
        self._slave = slave
        self._name = name
        self._clock = clock
        self._retry_policy = retry_policy
        self._limits = limits
        self._told = told
        self._service = QuietClientService(
            GreetedEndpoint(
                lambda: endpoint, lambda: ControlProtocol(self), self._attempt_failed
            ),
            clock,
            self._pause,
        )
        self._current: ControlProtocol | None = None
        self._open: Connections[ControlProtocol] = Connections()
        self._waiting: Deferred[None] | None = None
        self._refusals = 0
        self._was_joined = False
        self._leaving = False
        self._since = clock.seconds()
        self._last_error = ""
        self._errors: set[str] = set()
        #: Whether the master has accepted us, on the connection that is up.
        self.joined = False

    def start(self) -> Deferred[None]:
        """Join, with retries.

        :returns: fires when the master accepts us; fails with `BootFailed` when it
            refuses us `REFUSALS` times.
        """
        self._waiting = Deferred()
        self._since = self._clock.seconds()
        self._service.startService()
        return self._waiting

    def stop(self) -> Deferred[None]:
        """Close the connection, open none any more, and fire when all is closed."""
        self._leaving = True
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            waiting.errback(BootFailed("this node left before the master answered"))
        if self._service.running:
            # It is done when it has no connection that counts; ours all do.
            self._service.stopService()
        return self._open.when_empty()

    def abort(self) -> None:
        """Close at once what is not closed yet."""
        for protocol in self._open:
            protocol.drop("this node leaves")

    def register(self, name: str, handle: int) -> None:
        """Own a name, from now on for ever."""
        self._apply(self._slave.register(name, handle))

    def query(self, name: str) -> None:
        """Ask for a name until it is known."""
        self._apply(self._slave.query(name))

    def waiting_for(self) -> str | None:
        """What is waited for, in words; None once joined."""
        if self.joined:
            return None
        seconds = self._clock.seconds() - self._since
        error = f" (last error: {self._last_error})" if self._last_error else ""
        return f"{self._wanted()}, for {seconds:.1f} s{error}"

    def _wanted(self) -> str:
        return f"the master at {self._name}"

    def sweep(self) -> None:
        """Drop a connection on which the master keeps us waiting."""
        protocol = self._current
        if protocol is None:
            return
        now = self._clock.seconds()
        if not self.joined:
            if now - protocol.since >= self._limits.handshake:
                protocol.drop(f"no answer to H for {self._limits.handshake:g} s")
            return
        progress = self._slave.half_open
        if progress is None:
            protocol.stalled = None
        elif protocol.stalled is None or protocol.stalled[0] != progress:
            protocol.stalled = (progress, now)
        elif now - protocol.stalled[1] >= self._limits.stall:
            protocol.drop(f"half a packet stood still for {self._limits.stall:g} s")

    def opened(self, protocol: ControlProtocol) -> None:
        """A connection is up."""
        self._open.add(protocol)
        self._current = protocol
        protocol.since = self._clock.seconds()
        self._apply(self._slave.connected())

    def received(self, protocol: ControlProtocol, data: bytes) -> None:
        """The master said something."""
        effects = self._slave.feed(data)
        self._apply(effects)
        for told in effects.told:
            if isinstance(told, Wait):
                self._accepted()
            self._told(told)
        if effects.error is not None:
            if self.joined:
                self._log.warn(
                    "dropped the master at {master}: {reason}",
                    master=self._name,
                    reason=str(effects.error),
                )
            protocol.drop(str(effects.error))
            # Noise may look like the other wire; this is how our own nodes say so.
            if data in (NOT_2013, NOT_MODERN) and not self._was_joined:
                self._refused(f"the master at {self._name}: {effects.error}")
        if self.joined:
            self._greeted(protocol)

    def closed(self, protocol: ControlProtocol, reason: str) -> None:
        """A connection is gone."""
        if self._current is protocol:
            self._current = None
            self._slave.lost()
            if self.joined:
                self.joined = False
                self._since = self._clock.seconds()
                self._last_error = reason
                if not self._leaving:
                    self._log.warn(
                        "lost the master at {master}: {reason}; links and names stay,"
                        " and it is tried again",
                        master=self._name,
                        reason=reason,
                    )
        self._open.discard(protocol)

    def _greeted(self, protocol: ControlProtocol) -> None:
        protocol.greeted()
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            waiting.callback(None)

    def _accepted(self) -> None:
        self.joined = True
        self._refusals = 0
        self._last_error = ""
        self._errors.clear()
        self._log.info(
            "{joined} the master at {master} as harbor {harbor}",
            joined="joined again" if self._was_joined else "joined",
            master=self._name,
            harbor=self._slave.harbor,
        )
        self._was_joined = True

    def _apply(self, effects: Effects) -> None:
        if self._current is not None:
            self._current.write(effects.write)
        for notice in effects.notices:
            emit = self._log.warn if notice.warn else self._log.info
            emit(notice.format, **notice.fields)

    def _pause(self, attempt: int) -> float:
        pause = self._retry_policy(attempt)
        if self._was_joined and self._refusals >= REFUSALS:
            return max(pause, REFUSED_PAUSE)
        return pause

    def _attempt_failed(self, failure: Failure, protocol: GreetingProtocol) -> None:
        """An attempt did not get as far as ``W``."""
        assert isinstance(protocol, ControlProtocol)
        if self._leaving:
            return
        error = protocol.dropped or failure.getErrorMessage()
        hung_up = (
            protocol.said_hello
            and protocol.dropped is None
            and failure.check(ConnectionDone)
        )
        if hung_up:
            error = "it closed the connection without an answer"
            self._refusals += 1
            if self._refusals == REFUSALS:
                self._refused(self._refusal())
        else:
            self._refusals = 0
            if error not in self._errors:
                # Each way to fail is logged once until we are joined.
                self._errors.add(error)
                self._log.warn(
                    "cannot join the master at {master} yet: {error}; trying again",
                    master=self._name,
                    error=error,
                )
        self._last_error = error

    def _refusal(self) -> str:
        return (
            f"the master at {self._name} refuses harbor id {self._slave.harbor}"
            f" ({REFUSALS} times): the id is taken, or it was used before (a master of"
            " the original Skynet never frees an id)"
        )

    def _refused(self, why: str) -> None:
        """The master does not want us, or not under this id."""
        if self._was_joined:
            self._log.warn(
                "{why}; we go on with the links that we have, and try every"
                " {pause:.0f} s",
                why=why,
                pause=REFUSED_PAUSE,
            )
            return
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            self._leaving = True
            self._service.stopService()
            waiting.errback(BootFailed(why))
