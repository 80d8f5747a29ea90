# -*- test-case-name: tests.net.test_harbor2013 -*-
"""The connection of a harbor of 2013 to its master, made again whenever it is lost."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IReactorTime, IStreamClientEndpoint

from ..link.harbor2013 import Registration
from .control import REFUSALS, REFUSED_PAUSE, Control, ControlProtocol
from .limits import ConnectionLimits

#: Seconds that a master may take to dial us again by itself.
DIALS_AGAIN = 1.0

#: Seconds until we register again under an id that another node wants, at most.
MAX_PAUSE = 3600.0


class Control2013(Control):
    """Registers with the master, and registers again.

    :param registration: the core that speaks with it.
    :param endpoint: where the master is.
    :param name: the same for people.
    :param clock: schedules attempts.
    :param retry_policy: seconds to wait after so many failed attempts in a row.
    :param limits: how long a master may take to dial us.
    """

    def __init__(
        self,
        registration: Registration,
        endpoint: IStreamClientEndpoint,
        name: object,
        clock: IReactorTime,
        retry_policy: Callable[[int], float],
        limits: ConnectionLimits,
    ) -> None:
        super().__init__(
            registration, endpoint, name, clock, retry_policy, limits, _ignore
        )
        self._registration = registration
        self._introduced_at = 0.0
        self._repeat_at: float | None = None
        self._repeated = False
        self._pause_again = DIALS_AGAIN

    @property
    def expects_master(self) -> bool:
        """Whether we registered, and the master did not dial us since."""
        return self._current is not None and not self._registration.introduced

    def opened(self, protocol: ControlProtocol) -> None:
        """A connection is up; we register on it."""
        self._repeat_at = None
        super().opened(protocol)

    def dialed_back(self) -> None:
        """The master has dialed us."""
        self._repeat_at = None
        self._introduced_at = self._clock.seconds()
        self._apply(self._registration.dialed_back())
        if self._current is not None and not self.joined:
            self._accepted()
            self._greeted(self._current)

    def left_alone(self) -> None:
        """The connection is gone that the master dialed.

        Our own master dials again; a real one does so when we register again.  If it
        has hung up because another node has our id by now, to do so would take the id
        away from that; so it is done more and more rarely.
        """
        if not self._registration.introduced:
            return
        now = self._clock.seconds()
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
                master=self._name,
                harbor=self._registration.harbor,
                pause=pause,
            )

    def sweep(self) -> None:
        """Drop a connection on which the master keeps us waiting."""
        protocol = self._current
        if protocol is None:
            return
        now = self._clock.seconds()
        if not self.joined and now - protocol.since >= self._limits.handshake:
            # A real master dials once for each registration.
            protocol.drop(
                f"it did not dial us for {self._limits.handshake:g} s; a master of"
                " current Skynet nodes never does, and wants --wire modern"
            )
        elif self._repeat_at is not None and now >= self._repeat_at:
            self._repeat_at = now + REFUSED_PAUSE
            self._repeated = True
            self._log.warn(
                "the master at {master} has hung up; registering again",
                master=self._name,
            )
            self._apply(self._registration.repeat())

    def _wanted(self) -> str:
        if self._current is None:
            return super()._wanted()
        return f"{super()._wanted()} to dial us at {self._registration.address}"

    def _refusal(self) -> str:
        return (
            f"the master at {self._name} closed the connection {REFUSALS} times"
            f" without dialing us at {self._registration.address}; if it is one of"
            " current Skynet nodes, it wants --wire modern"
        )


def _ignore(told: object) -> None:
    """What the master says comes on another connection."""
