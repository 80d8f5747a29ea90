# -*- test-case-name: tests.link.test_master2013 -*-
"""The master of 2013: which harbors there are, where they are, who owns which name.

A harbor tells the master its address on a connection of its own; the master dials
that address, and says everything on that second connection (harbor-2013, section 3).
The last one to register an id or a name has it.  Better than in a real master:

- A harbor that cannot be dialed at once is dialed again for a while, and so is one
  whose second connection breaks while its own is up.
- What is said while it is not connected is said when it is: the answer to a question
  that a harbor asks while it joins is not lost.
- Connections by which no harbor is registered any more are kept, but not any number.
- A process that comes back under an id has to register its names again; those of the
  one before it are forgotten, so that no message is sent to an actor that was.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Protocol

from automat import TypeMachineBuilder, pep614

from ..errors import ProtocolError
from ..handle import Handle
from ..wire.control import Connect, Hello, Malformed, Name, Query, Register
from ..wire.harbor2013 import (
    NAME_SIZE,
    NOTHING,
    Request,
    RequestReader,
    encode_announcement,
)
from .effects import Dial, Effect, StopDialing
from .master_core import MAX_NAMES, MasterCore, Reader

#: Names that are kept for a harbor which is not connected; it can ask for others.
MAX_MISSED = 4096

#: Connections whose harbor registered by another one since, or cannot be dialed.
MAX_PARTED = 64


class _Slave(Protocol):
    """What happens to one harbor."""

    def register(self, address: str) -> None:
        """It says where it is."""

    def connected(self) -> None:
        """The connection that we dialed is up."""

    def lost(self, reason: str) -> None:
        """The connection that we dialed is gone; it is dialed again."""

    def hung_up(self) -> None:
        """Its own connection is gone."""

    def give_up(self, reason: str) -> None:
        """It was dialed for long enough."""


@dataclass(eq=False, slots=True)
class SlaveEntry2013:
    """A harbor."""

    #: Its id.
    harbor: int
    master: Master2013
    #: Where it is dialed.
    address: str = ""
    #: Its own connection, by which it registered.
    connection: Hashable = None
    #: The other end of that, for the log.
    peer: str = ""
    #: Whether the connection that we dialed is up.
    connected: bool = False
    #: What it has to be told once it is, the last of each kind.
    missed: dict[Hashable, bytes] = field(default_factory=dict)
    machine: _Slave = field(init=False)

    def dial(self) -> None:
        """Dial its address, in place of any other."""
        self.connected = False
        self.master._effects.add(Dial(self.harbor, self.address))


def _make_slave() -> Callable[[SlaveEntry2013], _Slave]:
    builder = TypeMachineBuilder(_Slave, SlaveEntry2013)
    absent = builder.state("absent")
    dialing = builder.state("dialing")
    present = builder.state("present")
    # The second connection is lost, its own is not; and the other way round.
    broken = builder.state("broken")
    mute = builder.state("mute")

    for state in (absent, dialing, broken):
        state.upon(_Slave.lost).loop().returns(None)
    for state in (absent, present, mute):
        state.upon(_Slave.connected).loop().returns(None)
        state.upon(_Slave.give_up).loop().returns(None)
    for state in (absent, mute):
        state.upon(_Slave.hung_up).loop().returns(None)
    present.upon(_Slave.hung_up).to(mute).returns(None)

    def register(_: _Slave, slave: SlaveEntry2013, address: str) -> None:
        slave.address = address
        slave.missed.clear()
        slave.dial()

    for state in (absent, dialing, present, broken, mute):
        state.upon(_Slave.register).to(dialing)(register)

    @pep614(dialing.upon(_Slave.connected).to(present))
    def introduce(_: _Slave, slave: SlaveEntry2013) -> None:
        slave.master._introduce(slave)

    @pep614(broken.upon(_Slave.connected).to(present))
    def catch_up(_: _Slave, slave: SlaveEntry2013) -> None:
        slave.master._effects.log(
            "master: dialed harbor {harbor} at {address} again",
            harbor=slave.harbor,
            address=slave.address,
        )
        slave.master._catch_up(slave)

    @pep614(present.upon(_Slave.lost).to(broken))
    def lost(_: _Slave, slave: SlaveEntry2013, reason: str) -> None:
        slave.connected = False

    def leave(_: _Slave, slave: SlaveEntry2013, reason: str = "it hung up") -> None:
        slave.master._leave(slave, reason)

    mute.upon(_Slave.lost).to(absent)(leave)
    for state in (dialing, broken):
        state.upon(_Slave.hung_up).to(absent)(leave)

    @pep614(dialing.upon(_Slave.give_up).to(absent))
    def never_reached(_: _Slave, slave: SlaveEntry2013, reason: str) -> None:
        slave.master._unreachable(slave, reason)

    @pep614(broken.upon(_Slave.give_up).to(absent))
    def not_reached_again(_: _Slave, slave: SlaveEntry2013, reason: str) -> None:
        slave.master._unreachable(slave, reason)

    return builder.build()


_slave_machine = _make_slave()


class Master2013(MasterCore[str, Request | Malformed]):
    """The table of harbors and names."""

    def __init__(self) -> None:
        super().__init__(NOTHING)
        #: The harbors that registered and are not gone, by id.
        self.slaves: dict[int, SlaveEntry2013] = {}
        # Whoever parted last is at the end.
        self._parted: dict[Hashable, None] = {}

    def lost(self, connection: Hashable, reason: str) -> list[Effect]:
        """A connection is gone; a closed one is ignored."""
        self._hung_up(connection)
        return self._effects.take()

    def joined(self, connection: Hashable) -> bool:
        """Whether a harbor registered by a connection."""
        return any(m.connection == connection for m in self.slaves.values())

    def reached(self, harbor: int) -> list[Effect]:
        """The connection that we dialed is up."""
        self._tell(harbor, lambda machine: machine.connected())
        return self._effects.take()

    def unreached(self, harbor: int, reason: str) -> list[Effect]:
        """The connection that we dialed is gone."""
        self._tell(harbor, lambda machine: machine.lost(reason))
        return self._effects.take()

    def give_up(self, harbor: int, reason: str) -> list[Effect]:
        """A harbor was dialed for long enough in vain."""
        self._tell(harbor, lambda machine: machine.give_up(reason))
        return self._effects.take()

    def _tell(self, harbor: int, what: Callable[[_Slave], None]) -> None:
        slave = self.slaves.get(harbor)
        if slave is not None:
            what(slave.machine)

    def _open(
        self, connection: Hashable, peer: str
    ) -> tuple[str, Reader[Request | Malformed]]:
        return peer, RequestReader()

    def _break(self, connection: Hashable, kept: str, error: ProtocolError) -> None:
        self._close(connection, error)

    def _close(self, connection: Hashable, error: ProtocolError) -> None:
        super()._close(connection, error)
        self._hung_up(connection)

    def _hung_up(self, connection: Hashable) -> None:
        self._connections.pop(connection, None)
        self._parted.pop(connection, None)
        for slave in list(self.slaves.values()):
            if slave.connection == connection:
                slave.connection = None
                slave.machine.hung_up()

    def _part(self, connection: Hashable) -> None:
        """A harbor is not registered by this connection any more."""
        if connection is None or self.joined(connection):
            return
        self._parted[connection] = None
        if len(self._parted) > MAX_PARTED:
            oldest = next(iter(self._parted))
            error = ProtocolError(
                "its harbor registered elsewhere, or cannot be dialed"
            )
            self._close(oldest, error)

    # What harbors ask for

    def _take(
        self, connection: Hashable, kept: str, record: Request | Malformed
    ) -> None:
        peer, request = kept, record
        if isinstance(request, Hello):
            self._register(connection, peer, request)
        elif isinstance(request, Register):
            self._name(peer, request)
        elif isinstance(request, Query):
            name = _cut(request.name)
            if name in self.names:
                self._announce(Name(name, self.names[name]))
        else:
            self._effects.log(
                "master: ignored what {peer} said: {reason}",
                peer=peer,
                reason=request.reason,
                warn=True,
            )

    def _register(self, connection: Hashable, peer: str, hello: Hello) -> None:
        slave = self.slaves.get(hello.harbor)
        if slave is None:
            slave = self.slaves[hello.harbor] = SlaveEntry2013(hello.harbor, self)
            slave.machine = _slave_machine(slave)
        if slave.connection != connection:
            if slave.connection is not None:
                self._effects.log(
                    "master: {peer} takes over as harbor {harbor} at {address}; that"
                    " was {old} at {old_address}, which is connected still",
                    warn=True,
                    peer=peer,
                    harbor=hello.harbor,
                    address=hello.address,
                    old=slave.peer,
                    old_address=slave.address,
                )
            self._forget_names(hello.harbor)
        before = slave.connection
        slave.connection, slave.peer = connection, peer
        self._parted.pop(connection, None)
        self._part(before)
        slave.machine.register(hello.address)

    def _name(self, peer: str, request: Register) -> None:
        name, owner = _cut(request.name), Handle(request.handle)
        problem = None
        if not name:
            problem = "it is empty"
        elif owner.harbor == 0:
            problem = f"{owner} is in no harbor"
        elif name not in self.names and len(self.names) >= MAX_NAMES:
            problem = f"there are {MAX_NAMES} names already"
        if problem is not None:
            self._effects.log(
                "master: {peer} cannot register {name!r}: {problem}",
                warn=True,
                peer=peer,
                name=request.name,
                problem=problem,
            )
            return
        self.names[name] = request.handle
        self._announce(Name(name, request.handle))

    def _forget_names(self, harbor: int) -> None:
        """Forget them, and do not tell them to those who are away."""
        super()._forget_names(harbor)
        for slave in self.slaves.values():
            for key in list(slave.missed):
                if isinstance(key, str) and key not in self.names:
                    del slave.missed[key]

    # What harbors are told

    def _announce(self, announcement: Connect | Name) -> None:
        """Tell all harbors, now or when they are connected; not one of itself."""
        data = encode_announcement(announcement)
        for harbor in sorted(self.slaves):
            slave = self.slaves[harbor]
            if isinstance(announcement, Name):
                key: Hashable = announcement.name
            elif announcement.harbor == harbor:
                continue
            else:
                key = announcement.harbor
            if slave.connected:
                self._write(data, harbor)
            else:
                slave.missed[key] = data
                self._bound(slave.missed)

    @staticmethod
    def _bound(missed: dict[Hashable, bytes]) -> None:
        if len(missed) > MAX_MISSED:
            del missed[next(key for key in missed if isinstance(key, str))]

    def _introduce(self, new: SlaveEntry2013) -> None:
        """A harbor is connected: tell the others of it, and it of the others."""
        self._announce(Connect(new.harbor, new.address))
        for harbor in sorted(self.slaves):
            slave = self.slaves[harbor]
            if slave.connected:
                new.missed[harbor] = encode_announcement(Connect(harbor, slave.address))
        self._catch_up(new)
        self._effects.log(
            "master: harbor {harbor} at {address} joined from {peer}",
            harbor=new.harbor,
            address=new.address,
            peer=new.peer,
        )

    def _catch_up(self, slave: SlaveEntry2013) -> None:
        slave.connected = True
        missed, slave.missed = slave.missed, {}
        for data in missed.values():
            self._write(data, slave.harbor)

    def _leave(self, slave: SlaveEntry2013, reason: str) -> None:
        slave.connected = False
        self.slaves.pop(slave.harbor, None)
        self._part(slave.connection)
        self._effects.add(StopDialing(slave.harbor))
        self._effects.log(
            "master: harbor {harbor} at {address} left: {reason}",
            harbor=slave.harbor,
            address=slave.address,
            reason=reason,
        )

    def _unreachable(self, slave: SlaveEntry2013, reason: str) -> None:
        self._effects.log(
            "master: cannot dial harbor {harbor} at {address}: {reason}; it has to"
            " register again",
            warn=True,
            harbor=slave.harbor,
            address=slave.address,
            reason=reason,
        )
        self._leave(slave, "it cannot be dialed")


def _cut(name: str) -> str:
    """A name as harbors are told it."""
    data = name.encode("utf-8", "surrogateescape")[:NAME_SIZE].partition(b"\0")[0]
    return data.decode("utf-8", "surrogateescape")
