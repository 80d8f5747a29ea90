# -*- test-case-name: tests.net.test_harbor -*-
"""The control connection of one harbor to its master."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IReactorTime, IStreamClientEndpoint

from ...link.effects import MasterEvent
from ...link.master_client import MasterClientCore
from ...wire.control import Wait
from ..kit.attempts import REFUSALS
from ..kit.limits import ConnectionLimits
from ..kit.master_client import Joining, MasterClient


class HarborJoining(Joining):
    """Joins a master of current Skynet nodes.

    :param core: what speaks with it.
    :param announced: called with what the master says, in order, `Wait` first.

    The rest is that of `MasterClient`.
    """

    def __init__(
        self,
        core: MasterClientCore,
        endpoint: IStreamClientEndpoint,
        name: object,
        clock: IReactorTime,
        retry_policy: Callable[[int], float],
        limits: ConnectionLimits,
        announced: Callable[[MasterEvent], None],
    ) -> None:
        self._core = core
        self._limits = limits
        self._announced = announced
        #: The connection to the master.
        self.client = MasterClient(
            core, self, endpoint, name, clock, retry_policy, limits
        )

    def heard(self, event: MasterEvent) -> None:
        """The master has said something; first that it accepts us."""
        if isinstance(event, Wait):
            self.client.accepted()
        self._announced(event)

    def wanted(self, master: str) -> str:
        """Wait for the master itself."""
        return master

    def no_answer(self) -> str:
        """A master answers ``H`` at once."""
        return f"no answer to H for {self._limits.handshake:g} s"

    def refusal(self, master: str) -> str:
        """A master hangs up on an id that it does not give."""
        return (
            f"{master} refuses harbor id {self._core.harbor}"
            f" ({REFUSALS} times): the id is taken, or it was used before (a master of"
            " the original Skynet never frees an id)"
        )
