# -*- test-case-name: tests.net.test_strangers -*-
"""Dialing one harbor again and again, until it is linked or not wanted any more."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime, IStreamClientEndpoint
from twisted.logger import Logger
from twisted.python.failure import Failure

from .greeting import GreetedEndpoint, GreetingProtocol, QuietClientService


class Dialer:
    """Keeps a link to one harbor.

    :param harbor: its id.
    :param address: where it is dialed, for people.
    :param endpoint: gives the endpoint for that; what it raises fails the attempt.
    :param build: makes the protocol of an attempt.
    :param clock: schedules attempts.
    :param retry_policy: seconds to wait after so many failed attempts in a row.
    :param failed: told why an attempt failed, each time.
    """

    _log = Logger()

    def __init__(
        self,
        harbor: int,
        address: str,
        endpoint: Callable[[], IStreamClientEndpoint],
        build: Callable[[], GreetingProtocol],
        clock: IReactorTime,
        retry_policy: Callable[[int], float],
        failed: Callable[[str], None] = lambda error: None,
    ) -> None:
        self._harbor = harbor
        self._address = address
        self._failed = failed
        self._stopped = False
        self._errors: set[str] = set()
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
        self._errors.clear()

    def _attempt_failed(self, failure: Failure, protocol: GreetingProtocol) -> None:
        error = protocol.dropped or failure.getErrorMessage()
        if self._stopped:
            return
        self._failed(error)
        if error in self._errors:
            return
        # Each way to fail is logged once until the harbor is linked.
        self._errors.add(error)
        self._log.warn(
            "cannot link to harbor {harbor} at {address} yet: {error}; trying again",
            harbor=self._harbor,
            address=self._address,
            error=error,
        )
