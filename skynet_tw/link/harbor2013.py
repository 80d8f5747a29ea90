# -*- test-case-name: tests.link.test_harbor2013 -*-
"""One harbor of 2013: how it is introduced to the others, and its links to them.

Connections carry data in one direction, and nobody says who he is (harbor-2013,
section 1).  A harbor tells the master its address; the master dials it back, and says
on that connection where the others are, and to the others where it is; then all dial
each other.  To be joined is to have been dialed back by the master.

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

from ..errors import OtherWire
from ..wire.harbor2013 import encode_request
from ..wire.master import Hello, Name, Query, Register
from .membership import Dial, Expected, Gone, StopDialing
from .slave import Effects

#: Seconds that a harbor which we dialed may take to dial us.
HEARD_AFTER = 1.0

#: Seconds that a real one may take to notice that we took its call: only then it
#: begins to answer (with 2 of 200 calls to nodes that joined it was later than us).
NOTICED_AFTER = 0.02

#: Seconds without a link until a harbor counts as gone.
GONE_AFTER = 5.0

#: Seconds that a harbor may take to read a connection which we closed.
CLOSED_AFTER = 5.0


class _Introduction(Protocol):
    """What happens between a harbor and its master."""

    def connected(self) -> None:
        """A connection to the master is up."""

    def dialed_back(self) -> None:
        """The master has dialed us."""

    def left_alone(self) -> None:
        """The connection that it dialed is gone."""

    def repeat(self) -> None:
        """Time has passed since, and it did not dial again."""

    def say(self, request: Register | Query) -> None:
        """There is something to tell the master."""

    def lost(self) -> None:
        """Our connection to it is gone."""


def _make_introduction() -> Callable[[Registration], _Introduction]:
    builder = TypeMachineBuilder(_Introduction, Registration)
    offline = builder.state("offline")
    registered = builder.state("registered")
    introduced = builder.state("introduced")
    alone = builder.state("alone")

    # What is said before the master has dialed us is said then: its answers come
    # on that connection, and would be lost.
    for state in (offline, registered, alone):
        state.upon(_Introduction.say).loop().returns(None)
    for state in (offline, registered, introduced):
        state.upon(_Introduction.repeat).loop().returns(None)
    for state in (offline, registered, alone):
        state.upon(_Introduction.left_alone).loop().returns(None)
    offline.upon(_Introduction.dialed_back).loop().returns(None)
    offline.upon(_Introduction.lost).loop().returns(None)
    registered.upon(_Introduction.lost).to(offline).returns(None)
    alone.upon(_Introduction.lost).to(offline).returns(None)

    def register(introduction: _Introduction, core: Registration) -> None:
        core._write(Hello(core.harbor, core.address))

    def tell_all(introduction: _Introduction, core: Registration) -> None:
        core.introduced = True
        core.confirmed.clear()
        for name, handle in core.names.items():
            core._write(Register(name, handle))
        for name in core.queries:
            core._write(Query(name))

    offline.upon(_Introduction.connected).to(registered)(register)
    alone.upon(_Introduction.repeat).to(registered)(register)
    registered.upon(_Introduction.dialed_back).to(introduced)(tell_all)
    alone.upon(_Introduction.dialed_back).to(introduced)(tell_all)

    @pep614(introduced.upon(_Introduction.dialed_back).loop())
    def once_more(introduction: _Introduction, core: Registration) -> None:
        # A second one before the first is gone: what was said there may be lost.
        tell_all(introduction, core)

    @pep614(introduced.upon(_Introduction.say).loop())
    def say(
        introduction: _Introduction, core: Registration, request: Register | Query
    ) -> None:
        core._write(request)

    @pep614(introduced.upon(_Introduction.left_alone).to(alone))
    def left_alone(introduction: _Introduction, core: Registration) -> None:
        core.introduced = False

    @pep614(introduced.upon(_Introduction.lost).to(offline))
    def lost(introduction: _Introduction, core: Registration) -> None:
        core.introduced = False

    return builder.build()


class Registration:
    """What one harbor tells the master, and what outlives its connection.

    :param harbor: our id.
    :param address: where others dial us, ``host:port``; may be set until `connected`.
    """

    def __init__(self, harbor: int, address: str) -> None:
        self.harbor = harbor
        self.address = address
        self._introduction = _introduction_machine(self)
        self._effects = Effects()
        #: Whether the master has dialed us, and that connection is up.
        self.introduced = False
        #: Names that we registered, and did not lose to somebody else.
        self.names: dict[str, int] = {}
        #: Those of them which the master confirmed since it dialed us.
        self.confirmed: set[str] = set()
        #: Names that were asked for and are not known yet, in the order of asking.
        self.queries: dict[str, None] = {}

    def connected(self) -> Effects:
        """Our connection to the master is up."""
        self._introduction.connected()
        return self._take()

    def feed(self, data: bytes) -> Effects:
        """The master said something on our own connection, which none of 2013 does."""
        return Effects(error=OtherWire(theirs="modern", ours="2013"))

    @property
    def half_open(self) -> int | None:
        """None: nothing is ever half said on our own connection."""
        return None

    def lost(self) -> None:
        """Our connection to the master is gone."""
        self._introduction.lost()

    def dialed_back(self) -> Effects:
        """The master has dialed us."""
        self._introduction.dialed_back()
        return self._take()

    def left_alone(self) -> None:
        """The connection is gone that the master dialed."""
        self._introduction.left_alone()

    def repeat(self) -> Effects:
        """Ask a master to dial us that did not do so by itself."""
        self._introduction.repeat()
        return self._take()

    def register(self, name: str, handle: int) -> Effects:
        """Own a name, from now on.

        :raises TooLarge: the name is too long.
        """
        request = Register(name, handle)
        encode_request(request)  # Whatever cannot be said must not be kept.
        self.names[name] = handle
        self.confirmed.discard(name)
        self._introduction.say(request)
        return self._take()

    def query(self, name: str) -> Effects:
        """Ask for a name until it is known.

        :raises TooLarge: the name is too long.
        """
        request = Query(name)
        encode_request(request)
        self.queries[name] = None
        self._introduction.say(request)
        return self._take()

    def heard(self, announced: Name) -> bool:
        """Take the master's word for a name; False if it is old news.

        The last who registers a name has it (section 3).  The master announces each
        registration, in its order, and answers to all what anybody asks.  So whatever
        comes before our own registration is announced was true before it.
        """
        name, handle = announced.name, announced.handle
        self.queries.pop(name, None)
        own = self.names.get(name)
        if own is None:
            return True
        if handle == own:
            self.confirmed.add(name)
        elif name not in self.confirmed:
            return False
        else:
            # It moved away; to say it again would take it back.
            del self.names[name]
            self.confirmed.discard(name)
        return True

    def _write(self, request: Hello | Register | Query) -> None:
        self._effects.write += encode_request(request)

    def _take(self) -> Effects:
        effects, self._effects = self._effects, Effects()
        return effects


_introduction_machine = _make_introduction()


@dataclass(frozen=True, slots=True)
class Ready:
    """The harbor is linked: it may be written to."""

    #: Its id.
    harbor: int


@dataclass(frozen=True, slots=True)
class Finish:
    """Write nothing more; when all is read, the connection is to be closed."""

    #: The id of the harbor.
    harbor: int


@dataclass(frozen=True, slots=True)
class Lost:
    """The link is broken; what was written may not have arrived."""

    #: The id of the harbor.
    harbor: int
    #: How that came, for people.
    reason: str


@dataclass(frozen=True, slots=True)
class Await:
    """Call `Neighbours.too_late` after a time, in place of any earlier wish."""

    #: The id of the harbor.
    harbor: int
    #: After how many seconds; None for never.
    seconds: float | None


#: What `Neighbours` wants to be done.  `StopDialing` here ends the connection, too.
Action = Dial | StopDialing | Expected | Gone | Ready | Finish | Lost | Await


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
    actions: list[Action]
    address: str = ""
    #: Why there is no link, for people.
    reason: str = "it does not answer"
    #: Whether its link is on its way, and may be waited for.
    pending: bool = False
    #: Whether our connection is up, and only its own is waited for.
    unheard: bool = False
    linked: bool = False
    machine: _Link = field(init=False)

    def wish(self, action: Action) -> None:
        """Want something to be done."""
        self.actions.append(action)

    def dial(self) -> None:
        """Dial the address, and wait for a while."""
        self.pending, self.unheard, self.linked = True, False, False
        self.wish(Dial(self.harbor, self.address))
        self.wish(Await(self.harbor, GONE_AFTER))


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
        it.wish(Expected(it.harbor))
        it.dial()

    for state in (unknown, dialing, gone, unheard, called):
        state.upon(_Link.announce).to(dialing)(announced)

    def connected(link: _Link, it: _Neighbour) -> None:
        it.pending = it.unheard = True
        it.wish(Await(it.harbor, HEARD_AFTER))

    for state in (dialing, gone):
        state.upon(_Link.connected).to(unheard)(connected)

    def ready(link: _Link, it: _Neighbour) -> None:
        it.pending, it.unheard, it.linked = False, False, True
        it.wish(Await(it.harbor, None))
        it.wish(Ready(it.harbor))

    for state in (unheard, called):
        state.upon(_Link.heard).to(linked)(ready)
        state.upon(_Link.too_late).to(linked)(ready)

    @pep614(unheard.upon(_Link.called).to(called))
    def give_it_time(link: _Link, it: _Neighbour) -> None:
        it.wish(Await(it.harbor, NOTICED_AFTER))

    @pep614(dialing.upon(_Link.too_late).to(gone))
    def give_up(link: _Link, it: _Neighbour) -> None:
        it.pending = False
        it.wish(Gone(it.harbor, f"{it.reason}, for {GONE_AFTER:g} s"))

    def lost_unheard(link: _Link, it: _Neighbour, reason: str, clean: bool) -> None:
        it.reason = reason
        it.unheard = False
        it.wish(Await(it.harbor, GONE_AFTER))

    for state in (unheard, called):
        state.upon(_Link.lost).to(dialing)(lost_unheard)

    # Whoever dials goes on doing so until he is told to stop.
    @pep614(linked.upon(_Link.lost).to(dialing))
    def lost(link: _Link, it: _Neighbour, reason: str, clean: bool) -> None:
        it.reason = reason
        it.pending, it.linked = True, False
        it.wish(Lost(it.harbor, reason))
        it.wish(Await(it.harbor, GONE_AFTER))

    @pep614(linked.upon(_Link.announce).to(finishing))
    def finish(link: _Link, it: _Neighbour, address: str) -> None:
        it.address = address
        it.pending, it.linked = True, False
        it.wish(Finish(it.harbor))
        it.wish(Await(it.harbor, CLOSED_AFTER))

    @pep614(finishing.upon(_Link.announce).loop())
    def finish_for_another(link: _Link, it: _Neighbour, address: str) -> None:
        it.address = address

    @pep614(finishing.upon(_Link.lost).to(dialing))
    def finished(link: _Link, it: _Neighbour, reason: str, clean: bool) -> None:
        it.reason = reason
        if not clean:
            it.wish(Lost(it.harbor, reason))
        it.dial()

    @pep614(finishing.upon(_Link.too_late).to(dialing))
    def not_finished(link: _Link, it: _Neighbour) -> None:
        it.reason = "it was announced anew, and did not close the old link"
        it.wish(Lost(it.harbor, it.reason))
        it.dial()

    def displace(link: _Link, it: _Neighbour, reason: str) -> None:
        it.pending = it.unheard = it.linked = False
        it.address = ""
        it.wish(Await(it.harbor, None))
        it.wish(StopDialing(it.harbor))
        it.wish(Gone(it.harbor, reason))

    for state in (unknown, dialing, gone, unheard, called):
        state.upon(_Link.displace).to(unknown)(displace)

    def displace_linked(link: _Link, it: _Neighbour, reason: str) -> None:
        it.wish(Lost(it.harbor, reason))
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


class Neighbours:
    """The table of all other harbors, and of those who dialed us.

    :param own: our own id.
    """

    def __init__(self, own: int) -> None:
        self._own = own
        self._actions: list[Action] = []
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

    def announce(self, harbor: int, address: str, own_address: str) -> list[Action]:
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

    def connected(self, harbor: int) -> list[Action]:
        """Our connection to a harbor is up."""
        self._neighbour(harbor).machine.connected()
        return self._take()

    def lost(self, harbor: int, reason: str, clean: bool) -> list[Action]:
        """Our connection to a harbor is gone."""
        self._neighbour(harbor).machine.lost(reason, clean)
        return self._take()

    def failed(self, harbor: int, reason: str) -> None:
        """Dialing a harbor did not succeed; it goes on."""
        self._neighbour(harbor).reason = reason

    def too_late(self, harbor: int) -> list[Action]:
        """The time of an `Await` is over."""
        self._neighbour(harbor).machine.too_late()
        return self._take()

    def called(self, caller: Hashable) -> list[Action]:
        """Somebody dialed us."""
        self._callers[caller] = _Caller()
        return self._take()

    def caller_is(self, caller: Hashable, harbor: int) -> list[Action]:
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

    def callers_of(self, harbor: int) -> list[Hashable]:
        """Those who dialed us and are this harbor, the oldest first."""
        return [who for who, it in self._callers.items() if it.harbor == harbor]

    def _neighbour(self, harbor: int) -> _Neighbour:
        it = self._neighbours.get(harbor)
        if it is None:
            it = self._neighbours[harbor] = _Neighbour(harbor, self._actions)
            it.machine = _link_machine(it)
        return it

    def _take(self) -> list[Action]:
        self._listen()
        actions = list(self._actions)
        self._actions.clear()
        return actions

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
