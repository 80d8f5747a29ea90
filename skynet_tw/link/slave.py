# -*- test-case-name: tests.link.test_slave -*-
"""A slave's side of its control connection, and what outlives that connection.

A slave greets with ``H`` and may ask nothing until the master answers ``W``
(harbor-modern, sections 2 and 3).  What the master says before that is kept.  A real
slave goes on without its master once it is lost; this one greets the next connection
again, repeats its own names, and asks again for those that nobody told it yet.

A name may move: its owner's harbor is gone, or its owner has ended, and another actor
registers it.  A real master tells that to all who are there, but answers whoever joins
later with the first owner of all.  So the new owner says its name again when a harbor
joins.  That a name moved is seen by asking for it once the master has confirmed it.
With a master of ours nothing of that is necessary.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from automat import TypeMachineBuilder, pep614

from ..errors import ProtocolError
from ..handle import Handle
from ..wire.master import (
    Connect,
    ControlReader,
    Dead,
    Hello,
    Malformed,
    Name,
    Query,
    Record,
    Register,
    Wait,
    encode,
)
from .notice import Notice

#: What a slave is told.
Told = Wait | Connect | Name | Dead

#: Packets that are kept until ``W`` comes; whoever says more is no master.
MAX_EARLY = 65536


@dataclass(slots=True)
class Effects:
    """What is to be done after something happened to a slave."""

    #: Bytes to write to the master.
    write: bytes = b""
    #: What the master said, in order; nothing comes before the `Wait`.
    told: list[Told] = field(default_factory=list)
    #: What should be logged.
    notices: list[Notice] = field(default_factory=list)
    #: Why the connection has to be closed, None if it does not.
    error: ProtocolError | None = None


class _Stages(Protocol):
    """What happens to the control connection."""

    def connected(self) -> None:
        """It is up."""

    def take(self, record: Record) -> None:
        """A packet came."""

    def accepted(self, answer: Wait) -> None:
        """The packet was the answer to ``H``."""

    def ask(self, question: Register | Query) -> None:
        """There is something to tell the master."""

    def lost(self) -> None:
        """It is gone."""


def _make_stages() -> Callable[[Slave], _Stages]:
    builder = TypeMachineBuilder(_Stages, Slave)

    def nothing_yet(stages: _Stages, slave: Slave) -> list[Record]:
        return []

    offline = builder.state("offline")
    greeting = builder.state("greeting", nothing_yet)
    joined = builder.state("joined")

    # All that is asked before the master has accepted us is asked on acceptance.
    offline.upon(_Stages.ask).loop().returns(None)
    offline.upon(_Stages.take).loop().returns(None)
    offline.upon(_Stages.lost).loop().returns(None)
    greeting.upon(_Stages.ask, nodata=True).loop().returns(None)
    greeting.upon(_Stages.lost, nodata=True).to(offline).returns(None)
    joined.upon(_Stages.lost).to(offline).returns(None)

    @pep614(offline.upon(_Stages.connected).to(greeting))
    def greet(stages: _Stages, slave: Slave) -> None:
        slave._write(Hello(slave.harbor, slave.address, redials=slave.ours))

    @pep614(greeting.upon(_Stages.take).loop())
    def keep(
        stages: _Stages, slave: Slave, early: list[Record], record: Record
    ) -> None:
        if isinstance(record, Wait):
            stages.accepted(record)
        elif isinstance(record, Connect | Name | Dead) and len(early) < MAX_EARLY:
            early.append(record)
        else:
            slave._break(f"the answer to H is {record!r:.60}")

    @pep614(greeting.upon(_Stages.accepted).to(joined))
    def join(stages: _Stages, slave: Slave, early: list[Record], answer: Wait) -> None:
        slave._told(answer)
        slave._checks = slave.ours and not answer.follows
        slave._repeat()
        for record in early:
            slave._heard(record)

    @pep614(joined.upon(_Stages.take).loop())
    def listen(stages: _Stages, slave: Slave, record: Record) -> None:
        slave._heard(record)

    @pep614(joined.upon(_Stages.ask).loop())
    def ask(stages: _Stages, slave: Slave, question: Register | Query) -> None:
        slave._write(question)

    return builder.build()


class Slave:
    """What one harbor tells the master, and hears from it.

    :param harbor: the id to join with.
    :param address: where others dial us, ``host:port``; may be set until `connected`.
    :param ours: whether it says and asks more than a real slave does.
    """

    def __init__(self, harbor: int, address: str, *, ours: bool = False) -> None:
        self.harbor = harbor
        self.address = address
        self.ours = ours
        self._stages = _stages_machine(self)
        self._reader = ControlReader()
        self._effects = Effects()
        #: Names that we registered, and did not lose to somebody else.
        self.names: dict[str, int] = {}
        #: Those of them which the master confirmed on this connection.
        self.confirmed: set[str] = set()
        #: Those which the master answers with another owner, on this connection.
        self.moved: set[str] = set()
        self._checks = False
        self._checked: set[str] = set()
        #: Names that were asked for and are not known yet, in the order of asking.
        self.queries: dict[str, None] = {}

    def connected(self) -> Effects:
        """A connection to the master is up."""
        self._reader = ControlReader()
        self.confirmed.clear()
        self.moved.clear()
        self._checked.clear()
        self._stages.connected()
        return self._take_effects()

    def feed(self, data: bytes) -> Effects:
        """Take what was read from the master."""
        for record in self._reader.feed(data):
            self._stages.take(record)
        if self._effects.error is None:
            self._effects.error = self._reader.error
        return self._take_effects()

    def lost(self) -> None:
        """The connection to the master is gone."""
        self._stages.lost()

    def register(self, name: str, handle: int) -> Effects:
        """Own a name, on this connection and on all that follow."""
        packet = Register(name, handle)
        encode(packet)  # Whatever does not fit a packet must not be kept.
        self.names[name] = handle
        self.confirmed.discard(name)
        self._checked.discard(name)
        self._stages.ask(packet)
        return self._take_effects()

    def query(self, name: str) -> Effects:
        """Ask for a name, on this connection and on those that follow until known."""
        packet = Query(name)
        encode(packet)
        self.queries[name] = None
        self._stages.ask(packet)
        return self._take_effects()

    @property
    def half_open(self) -> int | None:
        """A number that grows as an incomplete packet does; None if there is none."""
        rest = self._reader.rest
        return rest.changes if rest.kept else None

    def _take_effects(self) -> Effects:
        effects, self._effects = self._effects, Effects()
        return effects

    def _write(self, packet: Hello | Register | Query) -> None:
        self._effects.write += encode(packet)

    def _told(self, record: Told) -> None:
        self._effects.told.append(record)

    def _break(self, reason: str) -> None:
        if self._effects.error is None:
            self._effects.error = ProtocolError(reason)

    def _repeat(self) -> None:
        for name, handle in self.names.items():
            self._write(Register(name, handle))
        for name in self.queries:
            self._write(Query(name))

    def _heard(self, record: Record) -> None:
        if isinstance(record, Name):
            asked = record.name in self.queries
            self.queries.pop(record.name, None)
            if self._contradicts(record, asked):
                return
        elif isinstance(record, Connect):
            for name in sorted(self.moved):
                self._write(Register(name, self.names[name]))
        if isinstance(record, Connect | Name | Dead):
            self._told(record)
        else:
            # A real master passes on what any stranger told it; that is not its fault.
            reason = record.reason if isinstance(record, Malformed) else repr(record)
            notice = Notice(
                "ignored a packet of the master: {reason}", {"reason": reason}
            )
            self._effects.notices.append(notice)

    def _contradicts(self, record: Name, asked: bool) -> bool:
        """Whether an announcement is about a name that is ours beyond doubt.

        The first registration wins in the table of every master, but a real one
        announces each later one as well.  So the first word about our name on a
        connection decides: our handle confirms it, a foreign one means that we lost,
        if it does not answer what was asked before we registered.

        :param asked: whether it may answer a question.
        """
        name, handle = record.name, record.handle
        own = self.names.get(name)
        if own is None:
            return False
        if handle == own:
            if name not in self.confirmed and self._checks:
                self._checked.add(name)
                self._write(Query(name))
            else:
                self._checked.discard(name)
            self.confirmed.add(name)
        elif name in self._checked:
            self._checked.discard(name)
            self.moved.add(name)
            return True
        elif Handle(handle).harbor != self.harbor:
            if name in self.confirmed:
                notice = Notice(
                    "name {name!r} belongs to {own}; ignored that the master gives"
                    " it to {other}",
                    {"name": name, "own": Handle(own), "other": Handle(handle)},
                    warn=True,
                )
                self._effects.notices.append(notice)
                return True
            if asked:
                return True
            del self.names[name]
            self.moved.discard(name)
        return False


_stages_machine = _make_stages()
