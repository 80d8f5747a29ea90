# -*- test-case-name: tests.net.test_harbor2013 -*-
"""The connection of a harbor of 2013 to its master, made again whenever it is lost."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IReactorTime, IStreamClientEndpoint

from ...link.master_client2013 import MasterClientCore2013
from ..kit.limits import ConnectionLimits
from ..kit.master_client import (
    REFUSALS,
    REFUSED_PAUSE,
    ClientConnection,
    MasterClient,
)

#: Seconds that a master may take to dial us again by itself.
DIALS_AGAIN = 1.0

#: Seconds until we register again under an id that another node wants, at most.
MAX_PAUSE = 3600.0


class HarborMasterClient2013(MasterClient):
    """Registers with the master, and registers again.

    What the master says comes on another connection, which it dials.

    :param core: what speaks with it.

    The rest is that of `MasterClient`.
    """

    def __init__(
        self,
        core: MasterClientCore2013,
        endpoint: IStreamClientEndpoint,
        name: object,
        clock: IReactorTime,
        retry_policy: Callable[[int], float],
        limits: ConnectionLimits,
    ) -> None:
        super().__init__(core, endpoint, name, clock, retry_policy, limits)
        self._registration = core
        self._introduced_at = 0.0
        self._repeat_at: float | None = None
        self._repeated = False
        self._pause_again = DIALS_AGAIN

    @property
    def expects_master(self) -> bool:
        """Whether we registered, and the master did not dial us since."""
        return self.connection is not None and not self._registration.introduced

    def opened(self, connection: ClientConnection) -> None:
        """A connection is up; we register on it."""
        self._repeat_at = None
        super().opened(connection)

    def dialed_back(self) -> None:
        """The master has dialed us."""
        self._repeat_at = None
        self._introduced_at = self.clock.seconds()
        self.do(self._registration.dialed_back())
        if self.connection is not None and not self.joined:
            self.accepted()
            self.greeted()

    def left_alone(self) -> None:
        """The connection is gone that the master dialed.

        Our own master dials again; a real one does so when we register again.  If it
        has hung up because another node has our id by now, to do so would take the id
        away from that; so it is done more and more rarely.
        """
        if not self._registration.introduced:
            return
        now = self.clock.seconds()
        self._registration.left_alone()
        pause = max(REFUSED_PAUSE, 2 * self._pause_again)
        again = self._repeated and now - self._introduced_at < pause
        self._pause_again = pause = min(pause, MAX_PAUSE) if again else DIALS_AGAIN
        self._repeat_at = now + pause
        if again:
            self._log.warn(
                "the master at {master} has hung up again: another node may have our"
                " harbor id {harbor}; if it does not dial us, we register again in"
                " {pause:.0f} s",
                master=self.name,
                harbor=self._registration.harbor,
                pause=pause,
            )

    def check(self, now: float) -> None:
        """Register again with a master that has hung up and does not dial again."""
        if self._repeat_at is not None and now >= self._repeat_at:
            self._repeat_at = now + REFUSED_PAUSE
            self._repeated = True
            self._log.warn(
                "the master at {master} has hung up; registering again",
                master=self.name,
            )
            self.do(self._registration.repeat())

    def wanted(self) -> str:
        """What is waited for until we are joined, in words."""
        if self.connection is None:
            return super().wanted()
        return f"{super().wanted()} to dial us at {self._registration.address}"

    def no_answer(self, connection: ClientConnection) -> str:
        """A real master dials once for each registration."""
        return (
            f"it did not dial us for {self.limits.handshake:g} s; a master of"
            " current Skynet nodes never does, and wants --wire modern"
        )

    def refusal(self) -> str:
        """A master that never dials may speak the other wire."""
        return (
            f"the master at {self.name} closed the connection {REFUSALS} times"
            f" without dialing us at {self._registration.address}; if it is one of"
            " current Skynet nodes, it wants --wire modern"
        )
