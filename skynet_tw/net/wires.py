# -*- test-case-name: tests.net.test_wire_table -*-
"""The wires that a node can speak, one row for each.

A wire is a harbor protocol: how the members of a network and its master talk.  Whoever
adds one writes its modules and a row here; the options, the composition and the tests
take their choices from the rows, and nobody else asks for a wire by its name.

The cluster has no row: it joins no network and has no master, and goes beside any of
these.  `net.cluster.remote` has its layer.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from ..handle import NAME_LIMIT
from ..wire.harbor import MAX_PAYLOAD
from ..wire.harbor2013 import NAME_SIZE

if TYPE_CHECKING:
    from twisted.internet.interfaces import (
        IReactorTime,
        IStreamClientEndpoint,
        IStreamServerEndpoint,
    )

    from ..interfaces import IRemote
    from .kit.limits import ConnectionLimits
    from .kit.master import MasterFactory

    #: Turns an address into the endpoint to connect to.
    Dial = Callable[[str], IStreamClientEndpoint]
    #: Seconds to wait after so many failed attempts in a row.
    RetryPolicy = Callable[[int], float]


class MakeMember(Protocol):
    """Makes the remote layer of a node that is a harbor of the network."""

    def __call__(
        self,
        harbor: int,
        address: str,
        listen: IStreamServerEndpoint,
        master: IStreamClientEndpoint,
        dial: Dial,
        clock: IReactorTime,
        *,
        master_address: object,
        retry_policy: RetryPolicy,
        limits: ConnectionLimits | None,
    ) -> IRemote: ...


class MakeMaster(Protocol):
    """Makes the factory of the master's port."""

    def __call__(
        self,
        clock: IReactorTime,
        dial: Dial,
        retry_policy: RetryPolicy,
        limits: ConnectionLimits | None,
        /,
    ) -> MasterFactory: ...


@dataclass(frozen=True, slots=True)
class Makers:
    """What makes the parts of a wire."""

    #: Makes a member of a network.
    member: MakeMember
    #: Makes the master of one.
    master: MakeMaster


@dataclass(frozen=True, slots=True)
class Wire:
    """What is known of a wire without loading it."""

    #: Its name, as ``--wire`` takes it.
    key: str
    #: Largest payload of a message, in bytes.
    max_payload: int
    #: Longest global name, in bytes.
    name_limit: int
    #: Loads its modules, which whoever only reads options does not need.
    load: Callable[[], Makers]


def _modern() -> Makers:
    from .harbor.master import HarborMasterFactory
    from .harbor.remote import HarborRemote

    def master(
        clock: IReactorTime,
        dial: Dial,
        retry_policy: RetryPolicy,
        limits: ConnectionLimits | None,
    ) -> MasterFactory:
        return HarborMasterFactory(clock, limits)  # It dials nobody.

    return Makers(HarborRemote, master)


def _of_2013() -> Makers:
    from .harbor2013.master import HarborMasterFactory2013
    from .harbor2013.remote import HarborRemote2013

    return Makers(HarborRemote2013, HarborMasterFactory2013)


_ROWS = (
    Wire("modern", MAX_PAYLOAD, NAME_LIMIT, _modern),
    Wire("2013", MAX_PAYLOAD, NAME_SIZE, _of_2013),
)

#: The wires by their names; the first is the one of a node that is told nothing.
WIRES = {wire.key: wire for wire in _ROWS}

#: The wire of a node that is told nothing.
DEFAULT_WIRE = _ROWS[0].key
