# -*- test-case-name: tests.net.test_strangers -*-
"""The master's port: slaves and strangers."""

from __future__ import annotations

from twisted.internet.interfaces import IReactorTime

from ...link.master import Master
from ..kit.limits import ConnectionLimits
from ..kit.master import MasterFactory


class HarborMasterFactory(MasterFactory):
    """A master of current Skynet nodes.

    :param clock: tells the time, and when to look at the connections.
    :param limits: limits on unidentified and stalled connections.
    """

    master: Master

    def __init__(
        self, clock: IReactorTime, limits: ConnectionLimits | None = None
    ) -> None:
        master = Master(clock.seconds)
        super().__init__(master, clock, limits or ConnectionLimits(), {})
