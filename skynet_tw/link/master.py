# -*- test-case-name: tests.link.test_master -*-
"""The master: which slaves there are, where they are dialed, who owns which name.

The rules are those of a real master (harbor-modern, section 2), except where it hurts
its own network and the wire lets us do better:

- Ids are 1-255 and nothing else.
- An id may come back once its control connection is gone.  A newcomer is told to wait
  for as many links as there will be: a real one that is told of fewer shuts its port
  too early, and with more it waits for ever.  Our own slaves dial everybody, and say
  so in their ``H``; a real one never links to an id again that it saw die.
- The first owner of a name keeps it, and all are told so: a real master keeps the
  first and announces the last.  A new handle replaces one of the same harbor, and one
  of a harbor that is gone.
- Names that no harbor can use are not announced.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Protocol

from automat import TypeMachineBuilder, pep614

from ..errors import BadAddress, ProtocolError
from ..handle import Handle, check_global_name
from ..wire.control import (
    NOT_2013,
    Connect,
    ControlReader,
    Dead,
    Hello,
    Malformed,
    Name,
    Packet,
    Query,
    Record,
    Register,
    Wait,
    encode,
)
from .effects import Effect
from .master_core import MAX_NAMES, MasterCore, Reader


@dataclass(eq=False, slots=True)
class SlaveEntry:
    """A slave whose control connection is up."""

    #: Its id.
    harbor: int
    #: Where it is dialed.
    address: str
    #: Its control connection.
    connection: Hashable
    #: The other end of that, for the log.
    peer: str
    #: When it joined, on the master's clock.
    since: float
    #: Whether it dials ids that it saw die; only ours do.
    redials: bool = False
    #: The ids which it saw die.
    saw_die: set[int] = field(default_factory=set)
    #: Others that wanted its id.
    refused: int = 0
    #: Packets of it that were ignored.
    ignored: int = 0


class _Control(Protocol):
    """What happens to one control connection."""

    def take(self, record: Record) -> None:
        """A packet came."""

    def welcome(self, hello: Hello) -> None:
        """Its first packet is in order."""

    def drop(self, error: ProtocolError) -> None:
        """The slave broke a rule."""

    def lost(self, reason: str) -> None:
        """The connection is gone."""


@dataclass(eq=False)
class _Core:
    master: Master
    connection: Hashable
    peer: str


def _make_control() -> Callable[[_Core], _Control]:
    builder = TypeMachineBuilder(_Control, _Core)

    def join(control: _Control, core: _Core, hello: Hello) -> SlaveEntry:
        return core.master._join(core.connection, core.peer, hello)

    stranger = builder.state("stranger")
    member = builder.state("member", join)
    ended = builder.state("ended")

    stranger.upon(_Control.welcome).to(member).returns(None)
    stranger.upon(_Control.lost).to(ended).returns(None)
    ended.upon(_Control.take).loop().returns(None)
    ended.upon(_Control.drop).loop().returns(None)
    ended.upon(_Control.lost).loop().returns(None)

    @pep614(stranger.upon(_Control.take).loop())
    def first(control: _Control, core: _Core, record: Record) -> None:
        objection = core.master._objection(core.peer, record)
        if objection is None:
            assert isinstance(record, Hello)
            control.welcome(record)
        else:
            control.drop(ProtocolError(objection))

    @pep614(stranger.upon(_Control.drop).to(ended))
    def refuse(control: _Control, core: _Core, error: ProtocolError) -> None:
        core.master._close(core.connection, error)

    @pep614(member.upon(_Control.take).loop())
    def serve(
        control: _Control, core: _Core, slave: SlaveEntry, record: Record
    ) -> None:
        if isinstance(record, Register):
            core.master._register(slave, record)
        elif isinstance(record, Query):
            core.master._query(slave, record)
        elif isinstance(record, Malformed) and record.letter in "RQ":
            control.drop(ProtocolError(record.reason))
        else:
            core.master._ignore(slave, record)

    @pep614(member.upon(_Control.drop).to(ended))
    def expel(
        control: _Control, core: _Core, slave: SlaveEntry, error: ProtocolError
    ) -> None:
        core.master._close(core.connection, error)
        core.master._leave(slave, str(error))

    @pep614(member.upon(_Control.lost).to(ended))
    def leave(control: _Control, core: _Core, slave: SlaveEntry, reason: str) -> None:
        core.master._leave(slave, reason)

    return builder.build()


_control_machine = _make_control()


class Master(MasterCore[_Control, Record]):
    """The table of slaves and names, fed by any number of connections.

    :param seconds: gives the time, in seconds.
    """

    def __init__(self, seconds: Callable[[], float]) -> None:
        super().__init__(NOT_2013)
        self._seconds = seconds
        #: The slaves whose control connection is up, in the order of their joining.
        self.slaves: dict[int, SlaveEntry] = {}

    def lost(self, connection: Hashable, reason: str) -> list[Effect]:
        """A connection is gone; a closed one is ignored."""
        entry = self._connections.pop(connection, None)
        if entry is not None:
            entry[0].lost(reason)
        return self._effects.take()

    def joined(self, connection: Hashable) -> bool:
        """Whether a connection is that of a slave."""
        return any(s.connection is connection for s in self.slaves.values())

    def _open(self, connection: Hashable, peer: str) -> tuple[_Control, Reader[Record]]:
        return _control_machine(_Core(self, connection, peer)), ControlReader()

    def _take(self, connection: Hashable, kept: _Control, record: Record) -> None:
        kept.take(record)

    def _break(
        self, connection: Hashable, kept: _Control, error: ProtocolError
    ) -> None:
        kept.drop(error)

    def _say(self, slave: SlaveEntry, packet: Packet) -> None:
        self._write(encode(packet), slave.connection)

    def _close(self, connection: Hashable, error: ProtocolError) -> None:
        self._connections.pop(connection, None)
        super()._close(connection, error)

    def _objection(self, peer: str, record: Record) -> str | None:
        """Why a first packet is refused, None if it is in order."""
        if isinstance(record, Malformed):
            return record.reason
        if not isinstance(record, Hello):
            return f"the first packet is no H but {record!r:.60}"
        holder = self.slaves.get(record.harbor)
        if holder is None:
            return None
        holder.refused += 1
        if holder.refused == 1:
            self._effects.log(
                "master: refused {peer}, which wants to be harbor {harbor} at"
                " {address}: that id is held by {holder} at {holder_address}"
                " for {seconds:.0f} s",
                warn=True,
                peer=peer,
                harbor=record.harbor,
                address=record.address,
                holder=holder.peer,
                holder_address=holder.address,
                seconds=self._seconds() - holder.since,
            )
        return f"harbor id {record.harbor} is in use by {holder.peer}"

    def _join(self, connection: Hashable, peer: str, hello: Hello) -> SlaveEntry:
        new = SlaveEntry(
            hello.harbor,
            hello.address,
            connection,
            peer,
            self._seconds(),
            hello.redials,
        )
        blind = [
            slave
            for slave in self.slaves.values()
            if hello.harbor in slave.saw_die and not slave.redials
        ]
        for slave in self.slaves.values():
            self._say(slave, Connect(hello.harbor, hello.address))
        count = len(self.slaves) - len(blind)
        self._say(new, Wait(count, follows=new.redials))
        self._effects.log(
            "master: harbor {harbor} at {address} joined from {peer}",
            harbor=hello.harbor,
            address=hello.address,
            peer=peer,
        )
        if blind:
            self._effects.log(
                "master: harbor {harbor} is back; the harbors {blind} saw it die, are"
                " original Skynet, and will not link to it; stop all of these, then"
                " start them again",
                warn=True,
                harbor=hello.harbor,
                blind=", ".join(str(slave.harbor) for slave in blind),
            )
        self._forget_names(hello.harbor)
        self.slaves[hello.harbor] = new
        return new

    def _leave(self, slave: SlaveEntry, reason: str) -> None:
        del self.slaves[slave.harbor]
        for other in self.slaves.values():
            other.saw_die.add(slave.harbor)
            self._say(other, Dead(slave.harbor))
        self._effects.log(
            "master: harbor {harbor} at {address} left: {reason}",
            harbor=slave.harbor,
            address=slave.address,
            reason=reason,
        )

    def _register(self, slave: SlaveEntry, request: Register) -> None:
        name, handle = request.name, request.handle
        owner = self.names.get(name)
        try:
            check_global_name(name)
            if owner is None and len(self.names) >= MAX_NAMES:
                raise BadAddress(f"there are {MAX_NAMES} names already")
        except BadAddress as error:
            self._effects.log(
                "master: harbor {harbor} cannot register {name!r}: {error}",
                warn=True,
                harbor=slave.harbor,
                name=name,
                error=str(error),
            )
            return
        if owner is not None and owner != handle:
            harbor = Handle(owner).harbor
            if harbor != Handle(handle).harbor and harbor in self.slaves:
                self._effects.log(
                    "master: harbor {harbor} cannot register {name!r} for {handle}:"
                    " it belongs to {owner}",
                    warn=True,
                    harbor=slave.harbor,
                    name=name,
                    handle=Handle(handle),
                    owner=Handle(owner),
                )
                handle = owner
        self.names[name] = handle
        for member in self.slaves.values():
            self._say(member, Name(name, handle))

    def _query(self, slave: SlaveEntry, request: Query) -> None:
        handle = self.names.get(request.name)
        if handle is not None:
            self._say(slave, Name(request.name, handle))

    def _ignore(self, slave: SlaveEntry, record: Record) -> None:
        slave.ignored += 1
        if slave.ignored > 1:
            return
        self._effects.log(
            "master: ignored a packet of harbor {harbor}: {record!r:.60}",
            harbor=slave.harbor,
            record=record,
        )
