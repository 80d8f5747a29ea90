# -*- test-case-name: tests.net.test_strangers -*-
"""Dialing peers again and again, until each is linked or not wanted any more."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime, IStreamClientEndpoint
from twisted.logger import Logger
from twisted.python.failure import Failure

from ...interfaces import Peer, peer_text
from .greeting import GreetedEndpoint, GreetingConnection, QuietClientService
from .logging import FailureLog

_log = Logger()


def failures_to_link(peer: Peer, address: str) -> FailureLog:
    """What logs that a peer is not reached, once for each reason."""
    return FailureLog(
        _log,
        "cannot link to {peer} at {address} yet: {error}; trying again",
        peer=peer_text(peer),
        address=address,
    )


class Dialer:
    """Keeps a link to one peer.

    :param peer: who it is.
    :param address: where it is dialed, for people.
    :param endpoint: gives the endpoint for that; what it raises fails the attempt.
    :param build: makes the protocol of an attempt.
    :param clock: schedules attempts.
    :param retry_policy: seconds to wait after so many failed attempts in a row.
    :param failed: told why an attempt failed, each time.
    :param failures: logs that, where it outlives the dialer.
    """

    def __init__(
        self,
        peer: Peer,
        address: str,
        endpoint: Callable[[], IStreamClientEndpoint],
        build: Callable[[], GreetingConnection],
        clock: IReactorTime,
        retry_policy: Callable[[int], float],
        failed: Callable[[str], None] = lambda error: None,
        failures: FailureLog | None = None,
    ) -> None:
        self._failed = failed
        self._stopped = False
        self._failures = failures or failures_to_link(peer, address)
        self._service = QuietClientService(
            GreetedEndpoint(endpoint, build, self._attempt_failed), clock, retry_policy
        )

    def start(self) -> None:
        """Dial, and dial again whenever that fails or the link is lost."""
        self._service.startService()

    def stop(self) -> Deferred[None]:
        """Dial no more, and close the link that this led to if there is one."""
        self._stopped = True
        return self._service.stopService()

    def linked(self) -> None:
        """An attempt succeeded."""
        self._failures.succeeded()

    def _attempt_failed(self, failure: Failure, protocol: GreetingConnection) -> None:
        error = protocol.ended or failure.getErrorMessage()
        if not self._stopped:
            self._failed(error)
            self._failures.failed(error)


class Dialers:
    """All harbors that one node, or one master, dials.

    :param dial: turns the address of a harbor into an endpoint; whatever it raises
        counts as a failed attempt.
    :param clock: schedules attempts.
    :param retry_policy: seconds to wait after so many failed attempts in a row.
    """

    def __init__(
        self,
        dial: Callable[[str], IStreamClientEndpoint],
        clock: IReactorTime,
        retry_policy: Callable[[int], float],
    ) -> None:
        self._dial = dial
        self._clock = clock
        self._retry_policy = retry_policy
        self._dialers: dict[int, Dialer] = {}

    def __contains__(self, harbor: int) -> bool:
        return harbor in self._dialers

    def start(
        self,
        harbor: int,
        address: str,
        build: Callable[[], GreetingConnection],
        failed: Callable[[str], None] = lambda error: None,
    ) -> None:
        """Dial a harbor, see `Dialer`."""
        dialer = self._dialers[harbor] = Dialer(
            harbor,
            address,
            lambda: self._dial(address),
            build,
            self._clock,
            self._retry_policy,
            failed,
        )
        dialer.start()

    def linked(self, harbor: int) -> None:
        """An attempt succeeded, if the harbor is dialed at all."""
        if harbor in self._dialers:
            self._dialers[harbor].linked()

    def stop(self, harbor: int) -> None:
        """Dial a harbor no more, if it is dialed."""
        dialer = self._dialers.pop(harbor, None)
        if dialer is not None:
            dialer.stop()

    def stop_all(self) -> list[Deferred[None]]:
        """Dial nobody any more; each fires when its connection is closed."""
        dialers, self._dialers = list(self._dialers.values()), {}
        return [dialer.stop() for dialer in dialers]
