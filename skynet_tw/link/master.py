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

from ..errors import BadAddress, OtherWire
from ..handle import Handle, check_global_name
from ..wire.master import (
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
from .notice import Notice

#: Names that one master keeps; a slave gone wild must not fill its memory.
MAX_NAMES = 65536


@dataclass(slots=True)
class Effects:
    """What is to be done after something happened to a master, in this order."""

    #: Bytes to write, each with the connection to write them to.
    writes: list[tuple[Hashable, bytes]] = field(default_factory=list)
    #: Connections to close, each with the reason; the master knows them no more.
    closes: list[tuple[Hashable, str]] = field(default_factory=list)
    #: What should be logged.
    notices: list[Notice] = field(default_factory=list)


@dataclass(eq=False, slots=True)
class Slave:
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

    def drop(self, reason: str) -> None:
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

    def join(control: _Control, core: _Core, hello: Hello) -> Slave:
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
            control.drop(objection)

    @pep614(stranger.upon(_Control.drop).to(ended))
    def refuse(control: _Control, core: _Core, reason: str) -> None:
        core.master._close(core.connection, reason)

    @pep614(member.upon(_Control.take).loop())
    def serve(control: _Control, core: _Core, slave: Slave, record: Record) -> None:
        if isinstance(record, Register):
            core.master._register(slave, record)
        elif isinstance(record, Query):
            core.master._query(slave, record)
        elif isinstance(record, Malformed) and record.letter in "RQ":
            control.drop(record.reason)
        else:
            core.master._ignore(slave, record)

    @pep614(member.upon(_Control.drop).to(ended))
    def expel(control: _Control, core: _Core, slave: Slave, reason: str) -> None:
        core.master._close(core.connection, reason)
        core.master._leave(slave, reason)

    @pep614(member.upon(_Control.lost).to(ended))
    def leave(control: _Control, core: _Core, slave: Slave, reason: str) -> None:
        core.master._leave(slave, reason)

    return builder.build()


_control_machine = _make_control()


class Master:
    """The table of slaves and names, fed by any number of connections.

    :param seconds: gives the time, in seconds.
    """

    def __init__(self, seconds: Callable[[], float]) -> None:
        self._seconds = seconds
        self._controls: dict[Hashable, tuple[_Control, ControlReader]] = {}
        #: The slaves whose control connection is up, in the order of their joining.
        self.slaves: dict[int, Slave] = {}
        #: The names and their owners.
        self.names: dict[str, int] = {}
        self._effects = Effects()

    def connected(self, connection: Hashable, peer: str) -> None:
        """Somebody opened a connection.

        :param connection: what stands for it in everything that follows.
        :param peer: the other end, for the log.
        """
        control = _control_machine(_Core(self, connection, peer))
        self._controls[connection] = (control, ControlReader())

    def feed(self, connection: Hashable, data: bytes) -> Effects:
        """Take what was read from a connection; a closed one is ignored."""
        entry = self._controls.get(connection)
        if entry is not None:
            control, reader = entry
            for record in reader.feed(data):
                control.take(record)
            if reader.error is not None:
                if isinstance(reader.error, OtherWire):
                    self._effects.writes.append((connection, NOT_2013))
                control.drop(str(reader.error))
        return self._take_effects()

    def lost(self, connection: Hashable, reason: str) -> Effects:
        """A connection is gone; a closed one is ignored."""
        entry = self._controls.pop(connection, None)
        if entry is not None:
            entry[0].lost(reason)
        return self._take_effects()

    def joined(self, connection: Hashable) -> bool:
        """Whether a connection is that of a slave."""
        return any(s.connection is connection for s in self.slaves.values())

    def half_open(self, connection: Hashable) -> int | None:
        """A number that grows as an incomplete packet does; None if there is none."""
        entry = self._controls.get(connection)
        if entry is None or not entry[1].rest.kept:
            return None
        return entry[1].rest.changes

    def _take_effects(self) -> Effects:
        effects, self._effects = self._effects, Effects()
        return effects

    def _notice(self, format: str, /, *, warn: bool = False, **fields: object) -> None:
        self._effects.notices.append(Notice(format, fields, warn))

    def _write(self, slave: Slave, packet: Packet) -> None:
        self._effects.writes.append((slave.connection, encode(packet)))

    def _close(self, connection: Hashable, reason: str) -> None:
        self._controls.pop(connection, None)
        self._effects.closes.append((connection, reason))

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
            self._notice(
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

    def _join(self, connection: Hashable, peer: str, hello: Hello) -> Slave:
        new = Slave(
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
            self._write(slave, Connect(hello.harbor, hello.address))
        count = len(self.slaves) - len(blind)
        self._write(new, Wait(count, follows=new.redials))
        self._notice(
            "master: harbor {harbor} at {address} joined from {peer}",
            harbor=hello.harbor,
            address=hello.address,
            peer=peer,
        )
        if blind:
            self._notice(
                "master: harbor {harbor} is back; the harbors {blind} saw it die, are"
                " original Skynet, and will not link to it; stop all of these, then"
                " start them again",
                warn=True,
                harbor=hello.harbor,
                blind=", ".join(str(slave.harbor) for slave in blind),
            )
        # It says its names again; what it does not say again is no more.
        self.names = {
            name: handle
            for name, handle in self.names.items()
            if Handle(handle).harbor != hello.harbor
        }
        self.slaves[hello.harbor] = new
        return new

    def _leave(self, slave: Slave, reason: str) -> None:
        del self.slaves[slave.harbor]
        for other in self.slaves.values():
            other.saw_die.add(slave.harbor)
            self._write(other, Dead(slave.harbor))
        self._notice(
            "master: harbor {harbor} at {address} left: {reason}",
            harbor=slave.harbor,
            address=slave.address,
            reason=reason,
        )

    def _register(self, slave: Slave, request: Register) -> None:
        name, handle = request.name, request.handle
        owner = self.names.get(name)
        try:
            check_global_name(name)
            if owner is None and len(self.names) >= MAX_NAMES:
                raise BadAddress(f"there are {MAX_NAMES} names already")
        except BadAddress as error:
            self._notice(
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
                self._notice(
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
            self._write(member, Name(name, handle))

    def _query(self, slave: Slave, request: Query) -> None:
        handle = self.names.get(request.name)
        if handle is not None:
            self._write(slave, Name(request.name, handle))

    def _ignore(self, slave: Slave, record: Record) -> None:
        slave.ignored += 1
        if slave.ignored > 1:
            return
        self._notice(
            "master: ignored a packet of harbor {harbor}: {record!r:.60}",
            harbor=slave.harbor,
            record=record,
        )
