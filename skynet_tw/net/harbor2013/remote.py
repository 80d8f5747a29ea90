# -*- test-case-name: tests.net.test_harbor2013 -*-
"""A node's way into a network of nodes of September 2013."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet.interfaces import (
    IReactorTime,
    IStreamClientEndpoint,
    IStreamServerEndpoint,
)
from zope.interface import implementer

from ...errors import PackError
from ...interfaces import IRemote
from ...link.master_client2013 import MasterClientCore2013
from ...seri import pack_values, unpack
from ...wire.control import Name
from ...wire.harbor2013 import NAME_SIZE
from ..kit.limits import ConnectionLimits
from ..kit.member import DEFAULT_RETRY_POLICY, HarborMember
from .links import HarborLinks2013
from .master_client import HarborJoining2013

#: Longest string in a message, in bytes: a real node that unpacks one of more than
#: 8.4 million dies of it.
MAX_STRING = 8_000_000


@implementer(IRemote)
class HarborRemote2013(HarborMember):
    """One harbor in a network of nodes of September 2013.

    It takes what `skynet_tw.net.harbor.remote.HarborRemote` takes.
    """

    name_limit = NAME_SIZE

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
        limits = limits or ConnectionLimits()
        self._core = MasterClientCore2013(harbor, address)
        joining = HarborJoining2013(
            self._core, master, master_address, clock, retry_policy, limits
        )
        self._harbors = HarborLinks2013(
            harbor, dial, clock, retry_policy, limits, joining, self._name_known
        )
        super().__init__(
            harbor, address, listen, self._harbors, joining.client, clock, limits
        )

    def pack(self, values: Sequence[Any]) -> bytes:
        """Encode values as the lua-seri of 2013.

        :raises PackError: a value cannot be packed, or would kill a real node.
        """
        payload = pack_values(values, wire_2013=True)
        if len(payload) > MAX_STRING:
            _check_strings(values)
        return payload

    def unpack(self, payload: bytes) -> tuple[Any, ...]:
        """Decode the lua-seri of 2013."""
        return unpack(payload, wire_2013=True)

    def may_take(self, owner: int) -> bool:
        """Whether a name of *owner* may be registered anew: the last one has it."""
        return True

    def _address_known(self, address: str) -> None:
        self._core.address = address
        self._harbors.callers.own_address = address

    def _name_known(self, announcement: Name) -> None:
        if self._core.heard(announcement):
            receiver = self._harbors.receiver
            receiver.name_known(announcement.name, announcement.handle)


def _check_strings(value: Any) -> None:
    """Refuse strings that a real node cannot unpack, wherever they are."""
    if isinstance(value, (str, bytes, bytearray, memoryview)):
        size = (
            len(value.encode("utf-8", "surrogateescape"))
            if isinstance(value, str)
            else len(value)
        )
        if size > MAX_STRING:
            raise PackError(
                "a string", f"it has {size} bytes; nodes of 2013 die above {MAX_STRING}"
            )
    elif isinstance(value, dict):
        for item in value.items():
            _check_strings(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            _check_strings(item)
