# -*- test-case-name: tests.link.test_membership2013 -*-
"""The other harbors of 2013, and our links to them.

Connections carry data in one direction, and nobody says who he is (harbor-2013,
section 1).  The master says where a harbor is, and to it where we are; then both dial
each other.

Real nodes send from the moment on in which their own connection is up, lose what they
send before, and never dial twice.  Three things are done better here:

- A harbor that we dialed counts as linked once it has dialed us as well, because a
  real one loses each answer that it gives before.  As callers do not say who they
  are, it is enough that there are as many of them as there are harbors being linked;
  and after `HEARD_AFTER` seconds it counts in any case.  Where the first message of
  the harbor did not come yet, its own end gets `NOTICED_AFTER` seconds more.
- A link that breaks is dialed again.
- When a harbor is announced anew, its old connection is closed first, and the new one
  dialed when the other side has read it to the end: messages keep their order.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Protocol

from automat import TypeMachineBuilder, pep614

from .effects import (
    Await,
    Dial,
    Effect,
    Effects,
    Expected,
    Finish,
    Gone,
    Lost,
    Ready,
    StopDialing,
)

#: Seconds that a harbor which we dialed may take to dial us.
HEARD_AFTER = 1.0

#: Seconds that a real one may take to notice that we took its call: only then it
#: begins to answer (with 2 of 200 calls to nodes that joined it was later than us).
NOTICED_AFTER = 0.02

#: Seconds without a link until a harbor counts as gone.
GONE_AFTER = 5.0

#: Seconds that a harbor may take to read a connection which we closed.
CLOSED_AFTER = 5.0


class _Link(Protocol):
    """What happens to our link to one harbor."""

    def announce(self, address: str) -> None:
        """The master says where the harbor is."""

    def connected(self) -> None:
        """Our connection is up."""

    def called(self) -> None:
        """The harbor has dialed us, as far as can be known."""

    def heard(self) -> None:
        """Messages came from the harbor, so that it has dialed us."""

    def lost(self, reason: str, clean: bool) -> None:
        """Our connection is gone; clean, if the other side has read all of it."""

    def too_late(self) -> None:
        """What was waited for did not happen."""

    def displace(self, reason: str) -> None:
        """Somebody else lives at the address of the harbor."""


@dataclass(eq=False, slots=True)
class _Neighbour:
    """What is known of one other harbor."""

    harbor: int
    effects: Effects
    address: str = ""
    #: Why there is no link, for people.
    reason: str = "it does not answer"
    #: Whether its link is on its way, and may be waited for.
    pending: bool = False
    #: Whether our connection is up, and only its own is waited for.
    unheard: bool = False
    linked: bool = False
    machine: _Link = field(init=False)

    def dial(self) -> None:
        """Dial the address, and wait for a while."""
        self.pending, self.unheard, self.linked = True, False, False
        self.effects.add(Dial(self.harbor, self.address))
        self.effects.add(Await(self.harbor, GONE_AFTER))


def _make_link() -> Callable[[_Neighbour], _Link]:
    builder = TypeMachineBuilder(_Link, _Neighbour)

    unknown = builder.state("unknown")
    dialing = builder.state("dialing")
    gone = builder.state("gone")
    unheard = builder.state("unheard")
    called = builder.state("called")
    linked = builder.state("linked")
    finishing = builder.state("finishing")

    for state in (unknown, dialing, gone, linked, finishing):
        state.upon(_Link.heard).loop().returns(None)
        state.upon(_Link.called).loop().returns(None)
    called.upon(_Link.called).loop().returns(None)
    for state in (unknown, gone, linked):
        state.upon(_Link.too_late).loop().returns(None)
    for state in (unknown, dialing, gone):
        state.upon(_Link.lost).loop().returns(None)
    for state in (unknown, unheard, called, linked, finishing):
        state.upon(_Link.connected).loop().returns(None)

    def announced(link: _Link, it: _Neighbour, address: str) -> None:
        it.address = address
        it.reason = "it does not answer"
        it.effects.add(Expected(it.harbor))
        it.dial()

    for state in (unknown, dialing, gone, unheard, called):
        state.upon(_Link.announce).to(dialing)(announced)

    def connected(link: _Link, it: _Neighbour) -> None:
        it.pending = it.unheard = True
        it.effects.add(Await(it.harbor, HEARD_AFTER))

    for state in (dialing, gone):
        state.upon(_Link.connected).to(unheard)(connected)

    def ready(link: _Link, it: _Neighbour) -> None:
        it.pending, it.unheard, it.linked = False, False, True
        it.effects.add(Await(it.harbor, None))
        it.effects.add(Ready(it.harbor))

    for state in (unheard, called):
        state.upon(_Link.heard).to(linked)(ready)
        state.upon(_Link.too_late).to(linked)(ready)

    @pep614(unheard.upon(_Link.called).to(called))
    def give_it_time(link: _Link, it: _Neighbour) -> None:
        it.effects.add(Await(it.harbor, NOTICED_AFTER))

    @pep614(dialing.upon(_Link.too_late).to(gone))
    def give_up(link: _Link, it: _Neighbour) -> None:
        it.pending = False
        it.effects.add(Gone(it.harbor, f"{it.reason}, for {GONE_AFTER:g} s"))

    def lost_unheard(link: _Link, it: _Neighbour, reason: str, clean: bool) -> None:
        it.reason = reason
        it.unheard = False
        it.effects.add(Await(it.harbor, GONE_AFTER))

    for state in (unheard, called):
        state.upon(_Link.lost).to(dialing)(lost_unheard)

    # Whoever dials goes on doing so until he is told to stop.
    @pep614(linked.upon(_Link.lost).to(dialing))
    def lost(link: _Link, it: _Neighbour, reason: str, clean: bool) -> None:
        it.reason = reason
        it.pending, it.linked = True, False
        it.effects.add(Lost(it.harbor, reason))
        it.effects.add(Await(it.harbor, GONE_AFTER))

    @pep614(linked.upon(_Link.announce).to(finishing))
    def finish(link: _Link, it: _Neighbour, address: str) -> None:
        it.address = address
        it.pending, it.linked = True, False
        it.effects.add(Finish(it.harbor))
        it.effects.add(Await(it.harbor, CLOSED_AFTER))

    @pep614(finishing.upon(_Link.announce).loop())
    def finish_for_another(link: _Link, it: _Neighbour, address: str) -> None:
        it.address = address

    @pep614(finishing.upon(_Link.lost).to(dialing))
    def finished(link: _Link, it: _Neighbour, reason: str, clean: bool) -> None:
        it.reason = reason
        if not clean:
            it.effects.add(Lost(it.harbor, reason))
        it.dial()

    @pep614(finishing.upon(_Link.too_late).to(dialing))
    def not_finished(link: _Link, it: _Neighbour) -> None:
        it.reason = "it was announced anew, and did not close the old link"
        it.effects.add(Lost(it.harbor, it.reason))
        it.dial()

    def displace(link: _Link, it: _Neighbour, reason: str) -> None:
        it.pending = it.unheard = it.linked = False
        it.address = ""
        it.effects.add(Await(it.harbor, None))
        it.effects.add(StopDialing(it.harbor))
        it.effects.add(Gone(it.harbor, reason))

    for state in (unknown, dialing, gone, unheard, called):
        state.upon(_Link.displace).to(unknown)(displace)

    def displace_linked(link: _Link, it: _Neighbour, reason: str) -> None:
        it.effects.add(Lost(it.harbor, reason))
        displace(link, it, reason)

    for state in (linked, finishing):
        state.upon(_Link.displace).to(unknown)(displace_linked)

    return builder.build()


_link_machine = _make_link()


@dataclass(slots=True)
class _Caller:
    """Who dialed us."""

    #: The harbor that its messages come from, None until there are any.
    harbor: int | None = None
    #: The harbor that it counts for, although it has not said anything yet.
    stands_for: int | None = None
    #: Whether it is the master.
    is_master: bool = False


class Membership2013:
    """The table of all other harbors, and of those who dialed us.

    :param own: our own id.
    """

    def __init__(self, own: int) -> None:
        self._own = own
        self._effects = Effects()
        self._neighbours: dict[int, _Neighbour] = {}
        self._callers: dict[Hashable, _Caller] = {}

    def linked(self) -> list[int]:
        """The harbors that are linked now, in order."""
        return sorted(it.harbor for it in self._neighbours.values() if it.linked)

    def pending(self) -> list[tuple[int, str]]:
        """The harbors that may be linked soon, in order, each with what is missing."""
        return sorted(
            (it.harbor, "to dial us" if it.unheard else f"at {it.address}")
            for it in self._neighbours.values()
            if it.pending
        )

    def announce(self, harbor: int, address: str, own_address: str) -> list[Effect]:
        """The master says where a harbor is.

        :param own_address: where we are dialed ourselves.
        """
        if harbor == self._own:
            return []
        if address == own_address:
            it = self._neighbour(harbor)
            it.machine.displace("it was announced at our own address")
            return self._take()
        for other in self._neighbours.values():
            if other.harbor != harbor and other.address == address:
                other.machine.displace(f"harbor {harbor} lives at its address now")
        self._neighbour(harbor).machine.announce(address)
        return self._take()

    def connected(self, harbor: int) -> list[Effect]:
        """Our connection to a harbor is up."""
        self._neighbour(harbor).machine.connected()
        return self._take()

    def lost(self, harbor: int, reason: str, clean: bool) -> list[Effect]:
        """Our connection to a harbor is gone."""
        self._neighbour(harbor).machine.lost(reason, clean)
        return self._take()

    def failed(self, harbor: int, reason: str) -> None:
        """Dialing a harbor did not succeed; it goes on."""
        self._neighbour(harbor).reason = reason

    def too_late(self, harbor: int) -> list[Effect]:
        """The time of an `Await` is over."""
        self._neighbour(harbor).machine.too_late()
        return self._take()

    def called(self, caller: Hashable) -> list[Effect]:
        """Somebody dialed us."""
        self._callers[caller] = _Caller()
        return self._take()

    def caller_is(self, caller: Hashable, harbor: int) -> list[Effect]:
        """Messages of a harbor came from somebody who dialed us."""
        self._callers[caller].harbor = harbor
        return self._take()

    def caller_is_master(self, caller: Hashable, is_master: bool) -> None:
        """Somebody who dialed us is the master, or is not after all."""
        if caller in self._callers:
            self._callers[caller].is_master = is_master

    def caller_lost(self, caller: Hashable) -> None:
        """Somebody who dialed us is gone."""
        self._callers.pop(caller, None)

    def _neighbour(self, harbor: int) -> _Neighbour:
        it = self._neighbours.get(harbor)
        if it is None:
            it = self._neighbours[harbor] = _Neighbour(harbor, self._effects)
            it.machine = _link_machine(it)
        return it

    def _take(self) -> list[Effect]:
        self._listen()
        return self._effects.take()

    def _listen(self) -> None:
        """See whose calls have come."""
        waiting = [it for it in self._neighbours.values() if it.unheard]
        if not waiting:
            return
        callers = [it for it in self._callers.values() if not it.is_master]
        heard = {it.harbor for it in callers}
        called = {it.stands_for for it in callers if it.harbor is None}
        free = [it for it in callers if it.harbor is None and it.stands_for is None]
        pending = {it.harbor for it in self._neighbours.values() if it.pending}
        enough = len(free) >= len(pending - heard - called)
        for it in waiting:
            if it.harbor in heard:
                it.machine.heard()
            elif it.harbor in called:
                it.machine.called()
            elif enough:
                free.pop().stands_for = it.harbor
                it.machine.called()
