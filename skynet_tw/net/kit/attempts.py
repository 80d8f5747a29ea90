# -*- test-case-name: tests.net.test_remote -*-
"""The attempts to join a master: how they failed, and when the next is made."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from twisted.logger import Logger

from .logging import FailureLog

#: A master that closes the connection after our greeting, this often in a row, refuses
#: us.
REFUSALS = 3

#: Seconds between attempts to come back to a master that refuses us, at least.
REFUSED_PAUSE = 60.0


class Attempts:
    """Counts refusals, and logs each way to fail once until we are joined.

    :param master: where the master is, for people.
    :param retry_policy: seconds to wait after so many failed attempts in a row.
    """

    _log: ClassVar[Logger] = Logger()

    def __init__(self, master: object, retry_policy: Callable[[int], float]) -> None:
        self._retry_policy = retry_policy
        self._refusals = 0
        self._failures = FailureLog(
            self._log,
            "cannot join the master at {master} yet: {error}; trying again",
            master=master,
        )
        #: Whether a master has accepted us since the start.
        self.was_joined = False
        #: What went wrong last, empty once we are joined.
        self.last_error = ""

    def pause(self, attempt: int) -> float:
        """Seconds to wait after so many failed attempts in a row."""
        pause = self._retry_policy(attempt)
        if self.was_joined and self._refusals >= REFUSALS:
            return max(pause, REFUSED_PAUSE)
        return pause

    def hung_up(self) -> bool:
        """The master has hung up on us; True if by this it refuses us."""
        self.last_error = "it closed the connection without an answer"
        self._refusals += 1
        return self._refusals == REFUSALS

    def failed(self, error: str) -> None:
        """An attempt failed in any other way."""
        self.last_error = error
        self._refusals = 0
        self._failures.failed(error)

    def succeeded(self) -> None:
        """The master has accepted us."""
        self.was_joined = True
        self.last_error = ""
        self._refusals = 0
        self._failures.succeeded()
