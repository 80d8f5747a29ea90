# -*- test-case-name: tests.net.test_harbor2013 -*-
"""The connection of a harbor of 2013 to its master, made again whenever it is lost."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from twisted.internet.interfaces import IReactorTime, IStreamClientEndpoint
from twisted.logger import Logger

from ...link.master_client2013 import MasterClientCore2013
from ..kit.attempts import REFUSALS, REFUSED_PAUSE
from ..kit.limits import ConnectionLimits
from ..kit.master_client import Joining, MasterClient
from .callers import MasterWatcher

#: Seconds that a master may take to dial us again by itself.
DIALS_AGAIN = 1.0

#: Seconds until we register again under an id that another node wants, at most.
MAX_PAUSE = 3600.0


class HarborJoining2013(Joining, MasterWatcher):
    """Registers with the master, and registers again.

    What the master says comes on another connection, which it dials.

    :param core: what speaks with it.

    The rest is that of `MasterClient`.
    """

    _log: ClassVar[Logger] = Logger()

    def __init__(
        self,
        core: MasterClientCore2013,
        endpoint: IStreamClientEndpoint,
        name: object,
        clock: IReactorTime,
        retry_policy: Callable[[int], float],
        limits: ConnectionLimits,
    ) -> None:
        self._core = core
        self._name = name
        self._clock = clock
        self._limits = limits
        #: Our connection to the master.
        self.client = MasterClient(
            core, self, endpoint, name, clock, retry_policy, limits
        )
        self._introduced_at = 0.0
        self._repeat_at: float | None = None
        self._repeated = False
        self._pause_again = DIALS_AGAIN

    @property
    def expects_master(self) -> bool:
        return self.client.connection is not None and not self._core.introduced

    def opened(self) -> None:
        """A connection is up; the core registers on it."""
        self._repeat_at = None

    def dialed_back(self) -> None:
        self._repeat_at = None
        self._introduced_at = self._clock.seconds()
        self.client.do(self._core.dialed_back())
        if self.client.connection is not None and not self.client.joined:
            self.client.accepted()
            self.client.greeted()

    def left_alone(self) -> None:
        """The connection is gone that the master dialed.

        Our own master dials again; a real one does so when we register again.  If it
        has hung up because another node has our id by now, to do so would take the id
        away from that; so it is done more and more rarely.
        """
        if not self._core.introduced:
            return
        now = self._clock.seconds()
        self._core.left_alone()
        pause = max(REFUSED_PAUSE, 2 * self._pause_again)
        again = self._repeated and now - self._introduced_at < pause
        self._pause_again = pause = min(pause, MAX_PAUSE) if again else DIALS_AGAIN
        self._repeat_at = now + pause
        if again:
            self._log.warn(
                "the master at {master} has hung up again: another node may have our"
                " harbor id {harbor}; if it does not dial us, we register again in"
                " {pause:.0f} s",
                master=self._name,
                harbor=self._core.harbor,
                pause=pause,
            )

    def check(self, now: float) -> None:
        """Register again with a master that has hung up and does not dial again."""
        if self._repeat_at is not None and now >= self._repeat_at:
            self._repeat_at = now + REFUSED_PAUSE
            self._repeated = True
            self._log.warn(
                "the master at {master} has hung up; registering again",
                master=self._name,
            )
            self.client.do(self._core.repeat())

    def wanted(self, master: str) -> str:
        """Wait for the master, then for its call."""
        if self.client.connection is None:
            return master
        return f"{master} to dial us at {self._core.address}"

    def no_answer(self) -> str:
        """A real master dials once for each registration."""
        return (
            f"it did not dial us for {self._limits.handshake:g} s; a master of"
            " current Skynet nodes never does, and wants --wire modern"
        )

    def refusal(self, master: str) -> str:
        """A master that never dials may speak the other wire."""
        return (
            f"{master} closed the connection {REFUSALS} times"
            f" without dialing us at {self._core.address}; if it is one of"
            " current Skynet nodes, it wants --wire modern"
        )
