# -*- test-case-name: tests.net.test_harbor -*-
"""Outgoing connections that count as made once their handshake is done."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.application.internet import ClientService
from twisted.internet.defer import Deferred, fail, maybeDeferred
from twisted.internet.interfaces import (
    IAddress,
    IProtocol,
    IProtocolFactory,
    IReactorTime,
    IStreamClientEndpoint,
)
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.logger import Logger, LogPublisher
from twisted.python.failure import Failure
from zope.interface import implementer

from ...oneshot import OneShot
from .connections import Connection


class GreetingConnection(Connection):
    """A connection that we dial, and that begins with a handshake.

    A subclass calls `greeted` when it is done, and this class's ``connectionLost``.
    """

    def __init__(self) -> None:
        super().__init__()
        self._greeting = OneShot(lambda: self.abort("nobody waits for it any more"))
        self._follower: IProtocol | None = None
        self._lost: Failure | None = None

    def when_greeted(self) -> Deferred[None]:
        """Fire when the handshake is done; for `GreetedEndpoint`.

        It fails if the connection is lost before.  Cancelling closes the connection.
        """
        if self._lost is not None:
            return fail(self._lost)
        return self._greeting.when()

    def greeted(self) -> None:
        """Note that the handshake is done."""
        self._greeting.fire()

    def follow(self, follower: IProtocol) -> None:
        """Let *follower* know when the connection is lost."""
        self._follower = follower
        assert self.transport is not None
        follower.makeConnection(self.transport)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Tell who waits for the handshake, or for the end of the connection."""
        self._lost = reason
        follower, self._follower = self._follower, None
        self._greeting.fail(lambda: reason)
        if follower is not None:
            follower.connectionLost(reason)


@implementer(IProtocolFactory)
class _Single:
    """Builds the one protocol of an outgoing connection."""

    noisy = False

    def __init__(self, protocol: GreetingConnection) -> None:
        self._protocol = protocol

    def buildProtocol(self, addr: IAddress) -> IProtocol:
        return self._protocol

    def doStart(self) -> None: ...

    def doStop(self) -> None: ...


@implementer(IStreamClientEndpoint)
class GreetedEndpoint:
    """An endpoint whose connections have their handshake behind them.

    `ClientService` has a hook for handshakes, ``prepareConnection``.  But when the
    connection is lost while that waits, its machine has no transition, and the error
    is raised into the reactor (seen with Twisted 26.10).  A master that refuses us
    does just that, so the handshake takes place before the service sees a
    connection.  What it sees then is an empty protocol, which follows ours: what is
    read from the socket does not pass through the service's proxy.

    :param endpoint: gives the endpoint to use for an attempt.
    :param build: makes the protocol of an attempt.
    :param failed: told of each attempt that failed, and by which protocol.
    """

    def __init__(
        self,
        endpoint: Callable[[], IStreamClientEndpoint],
        build: Callable[[], GreetingConnection],
        failed: Callable[[Failure, GreetingConnection], None],
    ) -> None:
        self._endpoint = endpoint
        self._build = build
        self._failed = failed

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        """Connect and greet; the Deferred can be cancelled at any time."""
        protocol = self._build()

        def cancel(_: object) -> None:
            # An endpoint must not be cancelled from within the opening of its
            # connection, where whoever is told of a new link may want to leave.
            if protocol.transport is None:
                connecting.cancel()
            else:
                protocol.abort("nobody waits for it any more")

        connected: Deferred[IProtocol] = Deferred(cancel)

        def connect() -> Deferred[IProtocol]:
            return self._endpoint().connect(_Single(protocol))

        def hand_over(_: None) -> None:
            if connected.called:
                return
            transport = protocol.transport
            assert transport is not None
            follower = protocolFactory.buildProtocol(transport.getPeer())
            assert follower is not None
            protocol.follow(follower)
            connected.callback(follower)

        def failed(failure: Failure) -> None:
            self._failed(failure, protocol)
            if not connected.called:
                connected.errback(failure)

        connecting: Deferred[Any] = maybeDeferred(connect)
        connecting.addCallback(lambda _: protocol.when_greeted())
        connecting.addCallback(hand_over).addErrback(failed)
        return connected


class Follower(Protocol):
    """What a `ClientService` holds in place of the protocol that does the work."""


class QuietClientService(ClientService):
    """A `ClientService` which does not log each attempt: whoever uses it does."""

    # A publisher without subscribers: the log ends here.
    _log = Logger(observer=LogPublisher())

    def __init__(
        self,
        endpoint: IStreamClientEndpoint,
        clock: IReactorTime,
        retry_policy: Callable[[int], float],
    ) -> None:
        factory = Factory.forProtocol(Follower)
        factory.noisy = False
        super().__init__(endpoint, factory, retryPolicy=retry_policy, clock=clock)
