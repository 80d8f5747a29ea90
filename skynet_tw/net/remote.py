# -*- test-case-name: tests.net.test_harbor,tests.net.test_harbor2013 -*-
"""What the ways into both kinds of Skynet's networks have in common."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, cast

from twisted.application.internet import backoffPolicy
from twisted.internet import protocol
from twisted.internet.defer import Deferred, gatherResults, maybeDeferred, succeed
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import (
    IAddress,
    IListeningPort,
    IReactorTime,
    IStreamServerEndpoint,
)
from twisted.logger import Logger
from twisted.python.failure import Failure

from ..errors import BadAddress, BootFailed
from ..interfaces import IRemoteReceiver
from ..wire.harbor import MAX_PAYLOAD
from .control import Control
from .limits import ConnectionLimits
from .sweep import Sweeper

#: A tenth of a second and a jitter at first, five seconds in the end: a slave that
#: waits for its master finds it well within the time limit of its boot.
DEFAULT_RETRY_POLICY = backoffPolicy(initialDelay=0.1, maxDelay=5.0, factor=1.5)


def cannot_listen(role: str, address: str, failure: Failure) -> BootFailed:
    """Say in one line why a port could not be bound.

    :param role: what was to listen.
    :param address: where, as far as the failure does not know better.
    """
    error = failure.value
    reason = failure.getErrorMessage()
    if isinstance(error, CannotListenError):
        address = f"{error.interface or '*'}:{error.port}"
        reason = str(error.socketError)
    return BootFailed(f"{role} cannot listen on {address}: {reason}")


def bound_address(address: str, port: IListeningPort) -> str:
    """The address with the port that the system chose, where it names port 0."""
    host, _, number = address.rpartition(":")
    if number != "0":
        return address
    return f"{host}:{getattr(port.getHost(), 'port', 0)}"


class AllLinks(Protocol):
    """All links of one node."""

    def attach(self, receiver: IRemoteReceiver) -> None:
        """Say who is told what happens."""

    def accept(self) -> protocol.Protocol:
        """Make the protocol of a connection that somebody opened."""

    def when_complete(self) -> Deferred[None]:
        """Fire when each harbor that the master told of is linked."""

    def waiting_for(self, address: str) -> str | None:
        """Which links are waited for, in words; None if there are no such."""

    def linked(self) -> list[int]:
        """The harbors that are linked now, in order."""

    def sweep(self) -> None:
        """Drop those who keep us waiting."""

    def pause_reading(self) -> None:
        """Read no link until `resume_reading`."""

    def resume_reading(self) -> None:
        """Read all links again."""

    def close(self) -> Deferred[None]:
        """Write what is left, close all, and open nothing any more."""

    def abort(self) -> None:
        """Close at once what is not closed yet."""


class HarborFactory(protocol.Factory):
    """Builds the protocols of links that other harbors open.

    :param links: what they belong to.
    """

    noisy = False

    def __init__(self, links: AllLinks) -> None:
        self._links = links

    def buildProtocol(self, addr: IAddress | None) -> protocol.Protocol:
        """Somebody dialed us."""
        return self._links.accept()


class Remote:
    """One harbor in a network of harbors: its port, and the life of its parts.

    :param harbor: our id, 1-255.
    :param address: what the others are told to dial, ``host:port``; for port 0 they
        are told the port that was bound.
    :param listen: what is bound.
    :param links: all links.
    :param control: the way to the master.
    :param clock: schedules everything.
    :param limits: what strangers and stalled peers may cost.
    :raises BadAddress: the id is out of range.
    """

    _log = Logger()

    def __init__(
        self,
        harbor: int,
        address: str,
        listen: IStreamServerEndpoint,
        links: AllLinks,
        control: Control,
        clock: IReactorTime,
        limits: ConnectionLimits,
    ) -> None:
        if not 1 <= harbor <= 255:
            raise BadAddress(f"harbor id {harbor} is not in 1..255")
        self.harbor = harbor
        self.max_payload = MAX_PAYLOAD
        #: What the others are told to dial; the real port is known after `bind`.
        self.address = address
        self._listen = listen
        self._clock = clock
        self._limits = limits
        self._links = links
        self._control = control
        self._receiver: IRemoteReceiver | None = None
        self._port: IListeningPort | None = None
        self._sweeper = Sweeper(clock, limits, self._sweep)
        self._leavers: list[Deferred[None]] | None = None
        self._left = False

    def _address_known(self, address: str) -> None:
        """The port is bound: the others are to be told this address."""
        raise NotImplementedError

    @property
    def _tell(self) -> IRemoteReceiver:
        assert self._receiver is not None, "attach a receiver first"
        return self._receiver

    def attach(self, receiver: IRemoteReceiver) -> None:
        """Say, before anything else, who is told what happens."""
        self._receiver = receiver
        self._links.attach(receiver)

    def bind(self) -> Deferred[None]:
        """Bind our port at once.

        :returns: fires when it is bound; fails with `BootFailed` if it cannot be.
        """

        def bound(port: IListeningPort) -> None:
            self._port = port
            self.address = bound_address(self.address, port)
            self._address_known(self.address)
            self._sweeper.start()

        def refused(failure: Failure) -> None:
            role = f"harbor {self.harbor}"
            raise cannot_listen(role, self.address, failure) from None

        listening = maybeDeferred(self._listen.listen, HarborFactory(self._links))
        return listening.addCallbacks(bound, refused)

    def join(self) -> Deferred[None]:
        """Connect to the master and be accepted, with retries.

        :returns: fires when we are; fails with `BootFailed` when the master refuses
            us.  As long as there is no master it does neither.
        """
        return self._control.start()

    def when_linked(self) -> Deferred[None]:
        """Fire when each harbor that the master told of at `join` is linked.

        It fails with `BootFailed` if we leave before.
        """
        return self._links.when_complete()

    def waiting_for(self) -> list[str]:
        """Say in words what `join` and `when_linked` still wait for, and why."""
        waiting = [
            self._control.waiting_for(),
            self._links.waiting_for(self.address),
        ]
        return [what for what in waiting if what is not None]

    def linked(self) -> list[int]:
        """List the ids of the harbors that are linked now, in order."""
        return self._links.linked()

    def register(self, name: str, handle: int) -> None:
        """Announce a global name, now and whenever the master comes back.

        :raises TooLarge: the name is too long for any packet.
        """
        self._control.register(name, handle)

    def query(self, name: str) -> None:
        """Ask for a global name, now and whenever the master comes back until known.

        :raises TooLarge: the name is too long for any packet.
        """
        self._control.query(name)

    def pause_reading(self) -> None:
        """Read no link until `resume_reading`."""
        self._links.pause_reading()

    def resume_reading(self) -> None:
        """Read all links again."""
        self._links.resume_reading()

    def leave(self) -> Deferred[None]:
        """Write what is left, then close all connections and the port.

        The receiver is told `link_lost` for each link.  What cannot be written is
        given up after `ConnectionLimits.close` seconds.

        :returns: fires when all is closed.
        """
        if self._left:
            return succeed(None)
        done: Deferred[None] = Deferred()
        if self._leavers is not None:
            self._leavers.append(done)
            return done
        self._leavers = [done]
        self._sweeper.stop()
        closing: list[Deferred[Any]] = []
        if self._port is not None:
            stop = cast(Callable[[], object], self._port.stopListening)
            closing.append(maybeDeferred(stop))
        closing += [self._links.close(), self._control.stop()]
        deadline = self._clock.callLater(self._limits.close, self._abort)

        def closed(result: object) -> None:
            if deadline.active():
                deadline.cancel()
            self._left = True
            leavers, self._leavers = self._leavers or [], []
            for leaver in leavers:
                leaver.callback(None)

        gatherResults(closing, consumeErrors=True).addErrback(
            lambda failure: self._log.failure("while leaving", failure)
        ).addCallback(closed)
        return done

    def _abort(self) -> None:
        self._links.abort()
        self._control.abort()

    def _sweep(self) -> None:
        self._links.sweep()
        self._control.sweep()
