# -*- test-case-name: tests.net.test_remote -*-
"""The connection of one harbor to its master, made again whenever it is lost."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, Protocol

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
from ...link.effects import Close, Effect, Heard, LogLine, MasterEvent, Write
from ...oneshot import OneShot
from ...wire.control import NOT_2013, NOT_MODERN
from .attempts import REFUSED_PAUSE, Attempts
from .connections import Connections
from .greeting import GreetedEndpoint, GreetingConnection, QuietClientService
from .limits import ConnectionLimits
from .logging import emit
from .shell import Shell


class Joining(Protocol):
    """How a master of one wire accepts a harbor: what differs between the wires.

    `opened`, `heard` and `check` do nothing where a wire does not need them.
    """

    def opened(self) -> None:
        """Our connection to the master is up."""
        return

    def heard(self, event: MasterEvent) -> None:
        """The master has said something on it."""
        return

    def wanted(self, master: str) -> str:
        """What is waited for until we are joined, in words.

        :param master: the master in words.
        """

    def no_answer(self) -> str:
        """Why a connection is given up on which the master does not accept us."""

    def refusal(self, master: str) -> str:
        """Why a master hangs up `REFUSALS` times, as far as can be guessed."""

    def check(self, now: float) -> None:
        """Look now and then at a master that has accepted us."""
        return


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
        self._client.closed(self, self.ended or reason.getErrorMessage())
        super().connectionLost(reason)


class MasterClient:
    """Joins the master, and joins it again.

    :param core: what speaks with it.
    :param joining: what differs between the wires.
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
        joining: Joining,
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
        self._joining = joining
        self._shell = Shell(
            {
                Write: self._write,
                Heard: lambda effect: joining.heard(effect.event),
                Close: self._broken,
                LogLine: lambda line: emit(self._log, line),
            }
        )
        self._attempts = Attempts(name, retry_policy)
        self._service = QuietClientService(
            GreetedEndpoint(
                lambda: endpoint, lambda: ClientConnection(self), self._attempt_failed
            ),
            clock,
            self._attempts.pause,
        )
        #: The connection that is up.
        self.connection: ClientConnection | None = None
        self._open: Connections[ClientConnection] = Connections()
        self._start = OneShot()
        self._read = b""
        self._leaving = False
        self._since = clock.seconds()
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
        last = self._attempts.last_error
        error = f" (last error: {last})" if last else ""
        return f"{self._joining.wanted(self._master)}, for {seconds:.1f} s{error}"

    @property
    def _master(self) -> str:
        return f"the master at {self.name}"

    # What happens to connections

    def sweep(self) -> None:
        """Close a connection on which the master keeps us waiting."""
        connection = self.connection
        if connection is None:
            return
        now = self.clock.seconds()
        if not self.joined:
            if now - connection.since >= self.limits.handshake:
                connection.abort(self._joining.no_answer())
            return
        stall = self.limits.stall
        if connection.progress.stands(self.core.half_open, now) >= stall:
            connection.abort(f"half a packet stood still for {stall:g} s")
        self._joining.check(now)

    def opened(self, connection: ClientConnection) -> None:
        """A connection is up."""
        self._open.add(connection)
        self.connection = connection
        connection.since = self.clock.seconds()
        self._joining.opened()
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
                self._attempts.last_error = reason
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
        if self._read in (NOT_2013, NOT_MODERN) and not self._attempts.was_joined:
            self._refused(f"{self._master}: {effect.error}")

    def accepted(self) -> None:
        """The master has accepted us."""
        self.joined = True
        self._log.info(
            "{joined} the master at {master} as harbor {harbor}",
            joined="joined again" if self._attempts.was_joined else "joined",
            master=self.name,
            harbor=self.core.harbor,
        )
        self._attempts.succeeded()

    def _greeted(self, connection: ClientConnection) -> None:
        connection.greeted()
        self._start.fire()

    def greeted(self) -> None:
        """The handshake is done on the connection that is up."""
        if self.connection is not None:
            self._greeted(self.connection)

    def _attempt_failed(self, failure: Failure, connection: GreetingConnection) -> None:
        """An attempt did not get as far as the handshake."""
        assert isinstance(connection, ClientConnection)
        if self._leaving:
            return
        if (
            connection.has_greeted
            and connection.ended is None
            and failure.check(ConnectionDone)
        ):
            if self._attempts.hung_up():
                self._refused(self._joining.refusal(self._master))
        else:
            self._attempts.failed(connection.ended or failure.getErrorMessage())

    def _refused(self, why: str) -> None:
        """The master does not want us, or not under this id."""
        if self._attempts.was_joined:
            self._log.warn(
                "{why}; we go on with the links that we have, and try every"
                " {pause:.0f} s",
                why=why,
                pause=REFUSED_PAUSE,
            )
        elif not self._start.is_done:
            self._leaving = True
            self._service.stopService()
            self._start.fail(lambda: BootFailed(why))
