# -*- test-case-name: tests.net.test_remote -*-
"""The connection of one harbor to its master, made again whenever it is lost."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import (
    IReactorTime,
    IStreamClientEndpoint,
)
from twisted.internet.protocol import connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure

from ...errors import BootFailed
from ...link.client_core import ClientCore
from ...link.effects import Close, Effect, Heard, LogLine, Write
from ...wire.control import NOT_2013, NOT_MODERN
from .connections import Connections
from .greeting import (
    GreetedEndpoint,
    GreetingConnection,
    QuietClientService,
)
from .limits import ConnectionLimits
from .logging import emit
from .oneshot import OneShot
from .shell import Shell

#: A master that closes the connection after our greeting, this often in a row, refuses
#: us.
REFUSALS = 3

#: Seconds between attempts to come back to a master that refuses us, at least.
REFUSED_PAUSE = 60.0


class ClientConnection(GreetingConnection):
    """One connection to the master.

    :param client: what it belongs to.
    """

    def __init__(self, client: MasterClient) -> None:
        super().__init__()
        self._client = client
        #: Whether our greeting was written.
        self.has_greeted = False

    def opened(self) -> None:
        """Greet the master."""
        self.has_greeted = True
        self._client.opened(self)

    def dataReceived(self, data: bytes) -> None:
        """Take what the master says."""
        if self.ended is None:
            self._client.received(self, data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The connection is closed, by whomever."""
        self._client.closed(self, self.ended or reason.getErrorMessage())
        super().connectionLost(reason)


class MasterClient:
    """Joins the master, and joins it again.

    :param core: what speaks with it.
    :param endpoint: where the master is.
    :param name: the same for people.
    :param clock: schedules attempts.
    :param retry_policy: seconds to wait after so many failed attempts in a row.
    :param limits: how long a master may take to answer.
    """

    _log: ClassVar[Logger] = Logger()

    def __init__(
        self,
        core: ClientCore,
        endpoint: IStreamClientEndpoint,
        name: object,
        clock: IReactorTime,
        retry_policy: Callable[[int], float],
        limits: ConnectionLimits,
    ) -> None:
        self.core = core
        self.name = name
        self.clock = clock
        self.limits = limits
        self._retry_policy = retry_policy
        self._shell = Shell(
            {
                Write: self._write,
                Heard: self.heard,
                Close: self._broken,
                LogLine: lambda line: emit(self._log, line),
            }
        )
        self._service = QuietClientService(
            GreetedEndpoint(
                lambda: endpoint, lambda: ClientConnection(self), self._attempt_failed
            ),
            clock,
            self._pause,
        )
        #: The connection that is up.
        self.connection: ClientConnection | None = None
        self._open: Connections[ClientConnection] = Connections()
        self._start = OneShot()
        self._refusals = 0
        self._read = b""
        #: Whether a master has accepted us since the start.
        self.was_joined = False
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
        self._since = self.clock.seconds()
        self._service.startService()
        return self._start.when()

    def stop(self) -> Deferred[None]:
        """Close the connection, open none any more, and fire when all is closed."""
        self._leaving = True
        self._start.fail(
            lambda: BootFailed("this node left before the master answered")
        )
        if self._service.running:
            # stopService() waits only for established connections; we wait for all.
            self._service.stopService()
        return self._open.when_empty()

    def abort(self) -> None:
        """Close at once what is not closed yet."""
        for connection in self._open:
            connection.abort("this node leaves")

    def register(self, name: str, handle: int) -> None:
        """Own a name, from now on for ever."""
        self.do(self.core.register(name, handle))

    def query(self, name: str) -> None:
        """Ask for a name until it is known."""
        self.do(self.core.query(name))

    def waiting_for(self) -> str | None:
        """What is waited for, in words; None once joined."""
        if self.joined:
            return None
        seconds = self.clock.seconds() - self._since
        error = f" (last error: {self._last_error})" if self._last_error else ""
        return f"{self.wanted()}, for {seconds:.1f} s{error}"

    # What each wire does in its own way

    def wanted(self) -> str:
        """What is waited for until we are joined, in words."""
        return f"the master at {self.name}"

    def refusal(self) -> str:
        """Why a master hangs up `REFUSALS` times, as far as can be guessed."""
        raise NotImplementedError

    def heard(self, effect: Heard) -> None:
        """The master has said something on this connection."""

    def no_answer(self, connection: ClientConnection) -> str:
        """Why a connection is given up on which the master does not accept us."""
        raise NotImplementedError

    def check(self, now: float) -> None:
        """Look now and then at a master that has accepted us."""

    # What happens to connections

    def sweep(self) -> None:
        """Close a connection on which the master keeps us waiting."""
        connection = self.connection
        if connection is None:
            return
        now = self.clock.seconds()
        if not self.joined:
            if now - connection.since >= self.limits.handshake:
                connection.abort(self.no_answer(connection))
            return
        stall = self.limits.stall
        if connection.progress.stands(self.core.half_open, now) >= stall:
            connection.abort(f"half a packet stood still for {stall:g} s")
        self.check(now)

    def opened(self, connection: ClientConnection) -> None:
        """A connection is up."""
        self._open.add(connection)
        self.connection = connection
        connection.since = self.clock.seconds()
        self.do(self.core.connected())

    def received(self, connection: ClientConnection, data: bytes) -> None:
        """The master said something."""
        self._read = data
        self.do(self.core.feed(data))
        if self.joined:
            self._greeted(connection)

    def closed(self, connection: ClientConnection, reason: str) -> None:
        """A connection is gone."""
        if self.connection is connection:
            self.connection = None
            self.core.lost()
            if self.joined:
                self.joined = False
                self._since = self.clock.seconds()
                self._last_error = reason
                if not self._leaving:
                    self._log.warn(
                        "lost the master at {master}: {reason}; links and names stay,"
                        " and it is tried again",
                        master=self.name,
                        reason=reason,
                    )
        self._open.discard(connection)

    def do(self, effects: list[Effect]) -> None:
        """Do what the core wants to be done."""
        self._shell.do(effects)

    def _write(self, effect: Write) -> None:
        if self.connection is not None:
            self.connection.write(effect.data)

    def _broken(self, effect: Close) -> None:
        """The master broke the protocol, or speaks another one."""
        connection = self.connection
        if connection is None:
            return
        if self.joined:
            self._log.warn(
                "dropped the master at {master}: {reason}",
                master=self.name,
                reason=str(effect.error),
            )
        connection.abort(str(effect.error))
        # Noise may look like the other wire; this is how our own nodes say so.
        if self._read in (NOT_2013, NOT_MODERN) and not self.was_joined:
            self.refuse(f"the master at {self.name}: {effect.error}")

    def accepted(self) -> None:
        """The master has accepted us."""
        self.joined = True
        self._refusals = 0
        self._last_error = ""
        self._errors.clear()
        self._log.info(
            "{joined} the master at {master} as harbor {harbor}",
            joined="joined again" if self.was_joined else "joined",
            master=self.name,
            harbor=self.core.harbor,
        )
        self.was_joined = True

    def _greeted(self, connection: ClientConnection) -> None:
        connection.greeted()
        self._start.fire()

    def greeted(self) -> None:
        """The handshake is done on the connection that is up."""
        if self.connection is not None:
            self._greeted(self.connection)

    def _pause(self, attempt: int) -> float:
        pause = self._retry_policy(attempt)
        if self.was_joined and self._refusals >= REFUSALS:
            return max(pause, REFUSED_PAUSE)
        return pause

    def _attempt_failed(self, failure: Failure, connection: GreetingConnection) -> None:
        """An attempt did not get as far as the handshake."""
        assert isinstance(connection, ClientConnection)
        if self._leaving:
            return
        error = connection.ended or failure.getErrorMessage()
        hung_up = (
            connection.has_greeted
            and connection.ended is None
            and failure.check(ConnectionDone)
        )
        if hung_up:
            error = "it closed the connection without an answer"
            self._refusals += 1
            if self._refusals == REFUSALS:
                self.refuse(self.refusal())
        else:
            self._refusals = 0
            if error not in self._errors:
                # Each way to fail is logged once until we are joined.
                self._errors.add(error)
                self._log.warn(
                    "cannot join the master at {master} yet: {error}; trying again",
                    master=self.name,
                    error=error,
                )
        self._last_error = error

    def refuse(self, why: str) -> None:
        """The master does not want us, or not under this id."""
        if self.was_joined:
            self._log.warn(
                "{why}; we go on with the links that we have, and try every"
                " {pause:.0f} s",
                why=why,
                pause=REFUSED_PAUSE,
            )
            return
        if not self._start.is_done:
            self._leaving = True
            self._service.stopService()
            self._start.fail(lambda: BootFailed(why))
