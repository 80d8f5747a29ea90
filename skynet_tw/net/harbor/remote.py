# -*- test-case-name: tests.net.test_harbor -*-
"""A node's way into a network of current Skynet nodes."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import (
    IReactorTime,
    IStreamClientEndpoint,
    IStreamServerEndpoint,
)
from zope.interface import implementer

from ...handle import NAME_LIMIT, Handle
from ...interfaces import IRemote
from ...link.effects import MasterEvent
from ...link.master_client import MasterClientCore
from ...seri import pack_values, unpack
from ...wire.control import Name
from ..kit.limits import ConnectionLimits
from ..kit.member import DEFAULT_RETRY_POLICY, HarborMember
from .links import HarborLinks
from .master_client import HarborJoining


@implementer(IRemote)
class HarborRemote(HarborMember):
    """One harbor in a network of current Skynet nodes.

    :param harbor: our id, 1-255.
    :param address: what the others are told to dial, ``host:port``; for port 0 they
        are told the port that was bound.
    :param listen: what is bound.
    :param master: where the master is.
    :param dial: turns the address of another harbor into an endpoint; whatever it
        raises counts as a failed attempt.
    :param clock: schedules everything.
    :param master_address: where the master is, for people; shown by its ``str``, when
        it is needed.
    :param retry_policy: seconds to wait after so many failed attempts in a row, for
        the master as for harbors; the place for jitter.
    :param limits: limits on unidentified and stalled connections.
    :raises BadAddress: the id is out of range.
    """

    name_limit = NAME_LIMIT

    def __init__(
        self,
        harbor: int,
        address: str,
        listen: IStreamServerEndpoint,
        master: IStreamClientEndpoint,
        dial: Callable[[str], IStreamClientEndpoint],
        clock: IReactorTime,
        *,
        master_address: object = "its address",
        retry_policy: Callable[[int], float] = DEFAULT_RETRY_POLICY,
        limits: ConnectionLimits | None = None,
    ) -> None:
        if limits is None:
            limits = ConnectionLimits()
        self._core = MasterClientCore(harbor, address, ours=True)
        self._harbors = HarborLinks(harbor, dial, clock, retry_policy, limits)
        joining = HarborJoining(
            self._core,
            master,
            master_address,
            clock,
            retry_policy,
            limits,
            self._announced,
        )
        super().__init__(
            harbor, address, listen, self._harbors, joining.client, clock, limits
        )

    #: Skynet's lua-seri itself: a method around it would cost each message a call.
    pack = staticmethod(pack_values)
    unpack = staticmethod(unpack)

    def may_take(self, owner: int) -> bool:
        """Whether a name of *owner* may be registered anew: its harbor is gone."""
        return not self._harbors.is_there(Handle(owner).harbor)

    def _address_known(self, address: str) -> None:
        self._core.address = address

    def _announced(self, event: MasterEvent) -> None:
        if isinstance(event, Name):
            self._harbors.receiver.name_known(event.name, event.handle)
        else:
            self._harbors.announced(event)
