# -*- test-case-name: tests.net.test_remote -*-
"""What the harbor wires share: a port, links, and a master."""

from __future__ import annotations

import re
from typing import Any

from twisted.application.internet import backoffPolicy
from twisted.internet import protocol
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import (
    IAddress,
    IListeningPort,
    IReactorTime,
    IStreamServerEndpoint,
)
from twisted.python.failure import Failure

from ...errors import BadAddress, BootFailed
from ...interfaces import IRemoteReceiver, LinkInfo
from ...oneshot import OneShot
from ...repeater import Repeater
from ...wire.harbor import MAX_PAYLOAD
from .closing import close_within, stop_listening
from .limits import ConnectionLimits
from .links import AllLinks
from .master_client import MasterClient

#: A tenth of a second and a jitter at first, five seconds in the end: a slave that
#: waits for its master finds it well within the time limit of its boot.
DEFAULT_RETRY_POLICY = backoffPolicy(initialDelay=0.1, maxDelay=5.0, factor=1.5)

#: Port 0, in HOST:PORT and in the endpoint strings of TCP.
_PORT_0 = re.compile(r"\A(tcp6?:(?:port=)?|.*:)0+(?=:\w+=|\Z)")


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
    chosen = getattr(port.getHost(), "port", 0)
    return _PORT_0.sub(rf"\g<1>{chosen}", address)


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


class HarborMember:
    """One harbor in a network of harbors: its port, and the life of its parts.

    :param harbor: our id, 1-255.
    :param address: what the others are told to dial, ``host:port``; for port 0 they
        are told the port that was bound.
    :param listen: what is bound.
    :param links: all links.
    :param client: the connection to the master.
    :param clock: schedules everything.
    :param limits: what strangers and stalled peers may cost.
    :raises BadAddress: the id is out of range.
    """

    def __init__(
        self,
        harbor: int,
        address: str,
        listen: IStreamServerEndpoint,
        links: AllLinks,
        client: MasterClient,
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
        self._client = client
        self._port: IListeningPort | None = None
        self._sweeper = Repeater(self._sweep, limits.sweep, clock)
        self._left: OneShot | None = None

    def _address_known(self, address: str) -> None:
        """The port is bound: the others are to be told this address."""
        raise NotImplementedError

    def attach(self, receiver: IRemoteReceiver) -> None:
        """Say, before anything else, who is told what happens."""
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
        return self._client.start()

    def when_linked(self) -> Deferred[None]:
        """Fire when each harbor that the master told of at `join` is linked.

        It fails with `BootFailed` if we leave before.
        """
        return self._links.when_complete()

    def waiting_for(self) -> list[str]:
        """Say in words what `join` and `when_linked` still wait for, and why."""
        waiting = [
            self._client.waiting_for(),
            self._links.waiting_for(self.address),
        ]
        return [what for what in waiting if what is not None]

    def linked(self) -> list[int]:
        """List the ids of the harbors that are linked now, in order."""
        return self._links.linked()

    def links(self) -> list[LinkInfo]:
        """Describe the links that are up, in the order of their harbors."""
        return self._links.infos()

    def register(self, name: str, handle: int) -> None:
        """Announce a global name, now and whenever the master comes back.

        :raises TooLarge: the name is too long for any packet.
        """
        self._client.register(name, handle)

    def query(self, name: str) -> None:
        """Ask for a global name, now and whenever the master comes back until known.

        :raises TooLarge: the name is too long for any packet.
        """
        self._client.query(name)

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
        if self._left is None:
            left = self._left = OneShot()
            self._sweeper.stop()
            closing: list[Deferred[Any]] = []
            if self._port is not None:
                closing.append(stop_listening(self._port))
            closing += [self._links.close(), self._client.stop()]
            seconds = self._limits.close
            close_within(seconds, self._clock, closing, self._abort).addCallback(
                lambda _: left.fire()
            )
        return self._left.when()

    def _abort(self) -> None:
        self._links.abort()
        self._client.abort()

    def _sweep(self) -> None:
        self._links.sweep()
        self._client.sweep()
