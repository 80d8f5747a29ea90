# -*- test-case-name: tests.link.test_master_client -*-
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
from typing import Protocol

from automat import TypeMachineBuilder, pep614

from ..errors import ProtocolError
from ..handle import Handle
from ..wire.control import (
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
from .client_core import ClientCore
from .effects import Close, Effect, Heard

#: Bound on packets that are buffered before ``W``.
MAX_EARLY = 65536


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


def _make_stages() -> Callable[[MasterClientCore], _Stages]:
    builder = TypeMachineBuilder(_Stages, MasterClientCore)

    def nothing_yet(stages: _Stages, core: MasterClientCore) -> list[Record]:
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
    def greet(stages: _Stages, core: MasterClientCore) -> None:
        core._say(Hello(core.harbor, core.address, redials=core.ours))

    @pep614(greeting.upon(_Stages.take).loop())
    def keep(
        stages: _Stages, core: MasterClientCore, early: list[Record], record: Record
    ) -> None:
        if isinstance(record, Wait):
            stages.accepted(record)
        elif isinstance(record, Connect | Name | Dead) and len(early) < MAX_EARLY:
            early.append(record)
        else:
            core._close(ProtocolError(f"the answer to H is {record!r:.60}"))

    @pep614(greeting.upon(_Stages.accepted).to(joined))
    def join(
        stages: _Stages, core: MasterClientCore, early: list[Record], answer: Wait
    ) -> None:
        core._effects.add(Heard(answer))
        core._checks = core.ours and not answer.follows
        core._repeat()
        for record in early:
            core._heard(record)

    @pep614(joined.upon(_Stages.take).loop())
    def listen(stages: _Stages, core: MasterClientCore, record: Record) -> None:
        core._heard(record)

    @pep614(joined.upon(_Stages.ask).loop())
    def ask(
        stages: _Stages, core: MasterClientCore, question: Register | Query
    ) -> None:
        core._say(question)

    return builder.build()


class MasterClientCore(ClientCore):
    """What one harbor tells the master, and hears from it.

    :param harbor: the id to join with.
    :param address: where others dial us, ``host:port``; may be set until `connected`.
    :param ours: whether it says and asks more than a real slave does.
    """

    def __init__(self, harbor: int, address: str, *, ours: bool = False) -> None:
        super().__init__(harbor, address)
        self.ours = ours
        self._stages = _stages_machine(self)
        self._reader = ControlReader()
        self._closed = False
        #: Names of ours for which the master names another owner, on this connection.
        self.moved: set[str] = set()
        self._checks = False
        self._checked: set[str] = set()

    def connected(self) -> list[Effect]:
        """A connection to the master is up."""
        self._reader = ControlReader()
        self._closed = False
        self.confirmed.clear()
        self.moved.clear()
        self._checked.clear()
        self._stages.connected()
        return self._effects.take()

    def feed(self, data: bytes) -> list[Effect]:
        """Take what was read from the master."""
        for record in self._reader.feed(data):
            self._stages.take(record)
        if self._reader.error is not None:
            self._close(self._reader.error)
        return self._effects.take()

    def lost(self) -> None:
        """The connection to the master is gone."""
        self._stages.lost()

    def register(self, name: str, handle: int) -> list[Effect]:
        """Own a name, on this connection and on all that follow."""
        self._checked.discard(name)
        return super().register(name, handle)

    @property
    def half_open(self) -> int | None:
        """A number that grows as an incomplete packet does; None if there is none."""
        rest = self._reader.rest
        return rest.changes if rest.kept else None

    def _encode(self, request: Hello | Register | Query) -> bytes:
        return encode(request)

    def _ask(self, request: Register | Query) -> None:
        self._stages.ask(request)

    def _close(self, error: ProtocolError) -> None:
        if not self._closed:
            self._closed = True
            self._effects.add(Close(error))

    def _heard(self, record: Record) -> None:
        if isinstance(record, Name):
            asked = record.name in self.queries
            self.queries.pop(record.name, None)
            if self._contradicts(record, asked):
                return
        elif isinstance(record, Connect):
            for name in sorted(self.moved):
                self._say(Register(name, self.names[name]))
        if isinstance(record, Connect | Name | Dead):
            self._effects.add(Heard(record))
        else:
            # A real master passes on what any stranger told it; that is not its fault.
            reason = record.reason if isinstance(record, Malformed) else repr(record)
            self._effects.log("ignored a packet of the master: {reason}", reason=reason)

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
                self._say(Query(name))
            else:
                self._checked.discard(name)
            self.confirmed.add(name)
        elif name in self._checked:
            self._checked.discard(name)
            self.moved.add(name)
            return True
        elif Handle(handle).harbor != self.harbor:
            if name in self.confirmed:
                self._effects.log(
                    "name {name!r} belongs to {own}; ignored that the master gives"
                    " it to {other}",
                    warn=True,
                    name=name,
                    own=Handle(own),
                    other=Handle(handle),
                )
                return True
            if asked:
                return True
            del self.names[name]
            self.moved.discard(name)
        return False


_stages_machine = _make_stages()
