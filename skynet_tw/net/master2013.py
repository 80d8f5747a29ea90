# -*- test-case-name: tests.net.test_master2013 -*-
"""The master's port of 2013, and the connections by which it dials the harbors."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.interfaces import (
    IAddress,
    IConsumer,
    IPushProducer,
    IReactorTime,
    IStreamClientEndpoint,
)
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from ..errors import OtherWire
from ..link.master2013 import Effects, Master
from ..link.membership import Dial
from ..wire.harbor2013 import NOTHING
from .dialer import Dialer
from .greeting import GreetingProtocol
from .limits import ConnectionLimits
from .lobby import Connections, FoldedLog, Lobby
from .remote import DEFAULT_RETRY_POLICY
from .sweep import Sweeper
from .transport import address_text, drop_transport, tune

#: Seconds for which a harbor is dialed that registered and cannot be reached.
GIVE_UP_AFTER = 60.0


class RequestProtocol(Protocol):
    """A connection that somebody opened: nothing is written to it.

    :param factory: what it belongs to.
    """

    def __init__(self, factory: MasterFactory2013) -> None:
        self._factory = factory
        #: Which half frame made its last progress when.
        self.stalled: tuple[int, float] | None = None
        #: Whether we closed the connection.
        self.dropped = False

    @property
    def peer_text(self) -> str:
        """The other end, for the log."""
        return address_text(self.transport)

    def connectionMade(self) -> None:
        """Somebody connected."""
        assert self.transport is not None
        tune(self.transport)
        self._factory.opened(self)

    def dataReceived(self, data: bytes) -> None:
        """Take what it says."""
        if not self.dropped:
            self._factory.received(self, data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The connection is closed, by whomever."""
        self._factory.closed(self)

    def drop(self, reason: str) -> None:
        """Close the connection at once, and count it as lost."""
        self._factory.drop(self, reason)

    def close(self, farewell: bytes = b"") -> None:
        """Close the connection."""
        self.dropped = True
        assert self.transport is not None
        if farewell:
            self.transport.write(farewell)
        self.transport.loseConnection()

    def abort(self) -> None:
        """Close the connection at once."""
        self.dropped = True
        drop_transport(self.transport)


@implementer(IPushProducer)
class BackProtocol(GreetingProtocol):
    """A connection to a harbor that registered: everything is said on it.

    :param factory: what it belongs to.
    :param harbor: the id of the harbor.
    """

    def __init__(self, factory: MasterFactory2013, harbor: int) -> None:
        super().__init__()
        self._factory = factory
        #: The id of the harbor.
        self.harbor = harbor
        #: Since when the transport is full of what the harbor does not read.
        self.full_since: float | None = None

    def connectionMade(self) -> None:
        """The harbor took our call."""
        assert self.transport is not None
        tune(self.transport)
        cast(IConsumer, self.transport).registerProducer(self, True)
        self._factory.reached(self)
        self.greeted()

    def dataReceived(self, data: bytes) -> None:
        """No harbor of 2013 says anything here."""
        self.drop(str(OtherWire(theirs="modern", ours="2013")))

    def drop(self, reason: str) -> None:
        """Close the connection at once."""
        if self.dropped is None:
            self.dropped = reason
            drop_transport(self.transport)

    def close(self) -> None:
        """Close the connection, once what is buffered for it is written."""
        assert self.transport is not None
        # A transport does not close as long as it has a producer that it paused.
        cast(IConsumer, self.transport).unregisterProducer()
        self.transport.loseConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The connection is closed, by whomever."""
        self._factory.unreached(self, self.dropped or reason.getErrorMessage())
        super().connectionLost(reason)

    def pauseProducing(self) -> None:
        """The harbor does not read what we write."""
        self.full_since = self._factory.now()

    def resumeProducing(self) -> None:
        """It does again."""
        self.full_since = None

    def stopProducing(self) -> None:
        """The connection is about to be lost; `connectionLost` says so, too."""


class MasterFactory2013(Factory):
    """A master of 2013: listen with it on the port that the harbors connect to.

    It begins to watch its connections with the first port that listens, and ends with
    the last.

    :param clock: tells the time, and when to look at the connections.
    :param dial: turns the address of a harbor into an endpoint; whatever it raises
        counts as a failed attempt.
    :param retry_policy: seconds to wait after so many failed attempts in a row.
    :param limits: what strangers and stalled harbors may cost.
    """

    noisy = False
    _log = Logger()

    def __init__(
        self,
        clock: IReactorTime,
        dial: Callable[[str], IStreamClientEndpoint],
        retry_policy: Callable[[int], float] = DEFAULT_RETRY_POLICY,
        limits: ConnectionLimits | None = None,
    ) -> None:
        self._clock = clock
        self._dial = dial
        self._retry_policy = retry_policy
        self._limits = limits or ConnectionLimits()
        #: The table of harbors and names.
        self.master = Master()
        self._lobby = Lobby(clock, self._limits)
        self._strangers = FoldedLog("master's port")
        self._open: Connections[RequestProtocol] = Connections()
        self._backs: Connections[BackProtocol] = Connections()
        # Of these, the one to each harbor that counts.
        self._reached: dict[int, BackProtocol] = {}
        self._dialers: dict[int, Dialer] = {}
        # The harbors that are dialed in vain, and since when.
        self._missing: dict[int, float] = {}
        self._errors: dict[int, str] = {}
        self._closing = False
        self._sweeper = Sweeper(clock, self._limits, self._sweep)

    def now(self) -> float:
        """The time."""
        return self._clock.seconds()

    def startFactory(self) -> None:
        """A port begins to listen."""
        self._sweeper.start()

    def stopFactory(self) -> None:
        """No port listens any more."""
        self._sweeper.stop()

    def buildProtocol(self, addr: IAddress | None) -> RequestProtocol:
        """Somebody connected."""
        return RequestProtocol(self)

    def close(self) -> Deferred[None]:
        """Close all connections; to be called when no port listens any more.

        :returns: fires when all are closed.
        """
        self._closing = True
        dialers, self._dialers = list(self._dialers.values()), {}
        stopped = [dialer.stop() for dialer in dialers]
        for request in self._open:
            request.close()
        for back in self._backs:
            back.close()
        deadline = self._clock.callLater(self._limits.close, self._abort)

        def closed(_: object) -> None:
            if deadline.active():
                deadline.cancel()

        return gatherResults(
            [*stopped, self._open.when_empty(), self._backs.when_empty()]
        ).addCallback(closed)

    def _abort(self) -> None:
        for request in self._open:
            request.abort()
        for back in self._backs:
            back.drop("the master ends")

    # The connections that others opened

    def opened(self, protocol: RequestProtocol) -> None:
        """A connection is up; nobody knows yet whose."""
        self._open.add(protocol)
        self.master.connected(protocol, protocol.peer_text)
        self._lobby.enter(protocol)

    def received(self, protocol: RequestProtocol, data: bytes) -> None:
        """A connection brought bytes."""
        self._apply(self.master.feed(protocol, data))
        if self.master.joined(protocol):
            self._lobby.leave(protocol)

    def closed(self, protocol: RequestProtocol) -> None:
        """A connection is gone."""
        self._lobby.leave(protocol)
        self._apply(self.master.lost(protocol))
        self._open.discard(protocol)

    def drop(self, protocol: RequestProtocol, reason: str) -> None:
        """Close a connection at once."""
        if not protocol.dropped:
            self._strangers.dropped(protocol.peer_text, reason)
            protocol.abort()
            self._lobby.leave(protocol)
            self._apply(self.master.lost(protocol))

    # The connections to harbors

    def reached(self, back: BackProtocol) -> None:
        """A harbor took our call."""
        self._backs.add(back)
        if self._closing:
            back.drop("the master ends")
            return
        self._reached[back.harbor] = back
        self._missing.pop(back.harbor, None)
        self._dialers[back.harbor].linked()
        self._apply(self.master.reached(back.harbor))

    def unreached(self, back: BackProtocol, reason: str) -> None:
        """A connection to a harbor is gone."""
        harbor = back.harbor
        if self._reached.get(harbor) is back:
            del self._reached[harbor]
            self._missing[harbor] = self.now()
            self._errors[harbor] = reason
            self._apply(self.master.unreached(harbor, reason))
        self._backs.discard(back)

    def _apply(self, effects: Effects) -> None:
        for action in effects.dials:
            self._stop_dialing(action.harbor)
            if isinstance(action, Dial) and not self._closing:
                self._start_dialing(action.harbor, action.address)
        for harbor, data in effects.writes:
            back = self._reached.get(harbor)
            if back is not None and back.transport is not None:
                back.transport.write(data)
        for connection, error in effects.closes:
            assert isinstance(connection, RequestProtocol)
            self._lobby.leave(connection)
            self._strangers.dropped(connection.peer_text, str(error))
            connection.close(NOTHING if isinstance(error, OtherWire) else b"")
        for notice in effects.notices:
            emit = self._log.warn if notice.warn else self._log.info
            emit(notice.format, **notice.fields)

    def _start_dialing(self, harbor: int, address: str) -> None:
        def failed(error: str) -> None:
            self._errors[harbor] = error

        self._missing[harbor] = self.now()
        self._dialers[harbor] = dialer = Dialer(
            harbor,
            address,
            lambda: self._dial(address),
            lambda: BackProtocol(self, harbor),
            self._clock,
            self._retry_policy,
            failed,
        )
        dialer.start()

    def _stop_dialing(self, harbor: int) -> None:
        self._missing.pop(harbor, None)
        self._errors.pop(harbor, None)
        dialer = self._dialers.pop(harbor, None)
        back = self._reached.pop(harbor, None)
        if back is not None:
            back.close()
        if dialer is not None:
            dialer.stop()

    def _sweep(self) -> None:
        self._lobby.sweep()
        self._strangers.sweep()
        now = self.now()
        for protocol in self._open:
            progress = self.master.half_open(protocol)
            if progress is None:
                protocol.stalled = None
            elif protocol.stalled is None or protocol.stalled[0] != progress:
                protocol.stalled = (progress, now)
            elif now - protocol.stalled[1] >= self._limits.stall:
                stall = self._limits.stall
                self.drop(protocol, f"half a frame stood still for {stall:g} s")
        for back in self._backs:
            since = now if back.full_since is None else back.full_since
            if now - since >= self._limits.stall:
                back.drop(f"it did not read for {self._limits.stall:g} s")
        for harbor, since in list(self._missing.items()):
            if now - since >= GIVE_UP_AFTER:
                error = self._errors.get(harbor, "it does not answer")
                reason = f"{error}, for {GIVE_UP_AFTER:g} s"
                self._apply(self.master.give_up(harbor, reason))
