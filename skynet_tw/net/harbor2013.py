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

from ..errors import PackError
from ..interfaces import IRemote
from ..link.harbor2013 import Registration
from ..seri import pack_values, unpack
from ..wire.harbor2013 import NAME_SIZE
from ..wire.master import Name
from .control2013 import Control2013
from .limits import ConnectionLimits
from .links2013 import Links
from .remote import DEFAULT_RETRY_POLICY, Remote

#: Longest string in a message, in bytes: a real node that unpacks one of more than
#: 8.4 million dies of it.
MAX_STRING = 8_000_000


@implementer(IRemote)
class HarborRemote2013(Remote):
    """One harbor in a network of nodes of September 2013.

    It takes what `skynet_tw.net.harbor.HarborRemote` takes.
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
        self._registration = Registration(harbor, address)
        links = Links(harbor, dial, clock, retry_policy, limits)
        control = Control2013(
            self._registration, master, master_address, clock, retry_policy, limits
        )
        links.expects_master = lambda: control.expects_master
        links.on_master = control.dialed_back
        links.on_master_lost = control.left_alone
        links.on_name = self._name_known
        self._links2013 = links
        super().__init__(harbor, address, listen, links, control, clock, limits)

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
        self._registration.address = address
        self._links2013.own_address = address

    def _name_known(self, told: Name) -> None:
        if self._registration.heard(told):
            self._tell.name_known(told.name, told.handle)


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
