# -*- test-case-name: tests.net.test_harbor -*-
"""The control connection of one harbor to its master."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IReactorTime, IStreamClientEndpoint

from ...link.effects import Heard, MasterEvent
from ...link.master_client import MasterClientCore
from ...wire.control import Wait
from ..kit.limits import ConnectionLimits
from ..kit.master_client import REFUSALS, ClientConnection, MasterClient


class HarborMasterClient(MasterClient):
    """Joins a master of current Skynet nodes.

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
        super().__init__(core, endpoint, name, clock, retry_policy, limits)
        self._announced = announced

    def heard(self, effect: Heard) -> None:
        """The master has said something; first that it accepts us."""
        if isinstance(effect.event, Wait):
            self.accepted()
        self._announced(effect.event)

    def no_answer(self, connection: ClientConnection) -> str:
        """A master answers ``H`` at once."""
        return f"no answer to H for {self.limits.handshake:g} s"

    def refusal(self) -> str:
        """A master hangs up on an id that it does not give."""
        return (
            f"the master at {self.name} refuses harbor id {self.core.harbor}"
            f" ({REFUSALS} times): the id is taken, or it was used before (a master of"
            " the original Skynet never frees an id)"
        )
