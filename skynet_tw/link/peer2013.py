# -*- test-case-name: tests.link.test_membership2013 -*-
"""Our link to one harbor of 2013, from its announcement to its end.

Connections carry data in one direction: a link is the connection that we dialed, and
the harbor dials one of its own (harbor-2013, section 1).  Real nodes send from the
moment on in which their own connection is up, lose what they send before, and never
dial twice.  Three things are done better here:

- A harbor that we dialed counts as linked once it has dialed us as well, because a
  real one loses each answer that it gives before; after `HEARD_AFTER` seconds it counts
  in any case.  Where the first message of the harbor did not come yet, its own end gets
  `NOTICED_AFTER` seconds more.
- A link that breaks is dialed again.
- When a harbor is announced anew, its old connection is closed first, and the new one
  dialed when the other side has read it to the end: messages keep their order.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from automat import TypeMachineBuilder, pep614

from .effects import (
    Await,
    Dial,
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
class Peer2013:
    """One other harbor, and our link to it."""

    #: Its id.
    harbor: int
    #: Where what it wants is collected.
    effects: Effects
    #: Where it is dialed.
    address: str = ""
    #: Why there is no link, for people.
    reason: str = "it does not answer"
    #: Whether its link is on its way, and may be waited for.
    pending: bool = False
    #: Whether our connection is up, and only its own is waited for.
    unheard: bool = False
    #: Whether it may be written to.
    linked: bool = False
    #: Takes what happens to the link.
    machine: _Link = field(init=False)

    def __post_init__(self) -> None:
        self.machine = _link_machine(self)

    def dial(self) -> None:
        """Dial the address, and wait for a while."""
        self.pending, self.unheard, self.linked = True, False, False
        self.effects.add(Dial(self.harbor, self.address))
        self.effects.add(Await(self.harbor, GONE_AFTER))


def _make_link() -> Callable[[Peer2013], _Link]:
    builder = TypeMachineBuilder(_Link, Peer2013)

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

    def announced(link: _Link, it: Peer2013, address: str) -> None:
        it.address = address
        it.reason = "it does not answer"
        it.effects.add(Expected(it.harbor))
        it.dial()

    for state in (unknown, dialing, gone, unheard, called):
        state.upon(_Link.announce).to(dialing)(announced)

    def connected(link: _Link, it: Peer2013) -> None:
        it.pending = it.unheard = True
        it.effects.add(Await(it.harbor, HEARD_AFTER))

    for state in (dialing, gone):
        state.upon(_Link.connected).to(unheard)(connected)

    def ready(link: _Link, it: Peer2013) -> None:
        it.pending, it.unheard, it.linked = False, False, True
        it.effects.add(Await(it.harbor, None))
        it.effects.add(Ready(it.harbor))

    for state in (unheard, called):
        state.upon(_Link.heard).to(linked)(ready)
        state.upon(_Link.too_late).to(linked)(ready)

    @pep614(unheard.upon(_Link.called).to(called))
    def give_it_time(link: _Link, it: Peer2013) -> None:
        it.effects.add(Await(it.harbor, NOTICED_AFTER))

    @pep614(dialing.upon(_Link.too_late).to(gone))
    def give_up(link: _Link, it: Peer2013) -> None:
        it.pending = False
        it.effects.add(Gone(it.harbor, f"{it.reason}, for {GONE_AFTER:g} s"))

    def lost_unheard(link: _Link, it: Peer2013, reason: str, clean: bool) -> None:
        it.reason = reason
        it.unheard = False
        it.effects.add(Await(it.harbor, GONE_AFTER))

    for state in (unheard, called):
        state.upon(_Link.lost).to(dialing)(lost_unheard)

    # Whoever dials goes on doing so until he is told to stop.
    @pep614(linked.upon(_Link.lost).to(dialing))
    def lost(link: _Link, it: Peer2013, reason: str, clean: bool) -> None:
        it.reason = reason
        it.pending, it.linked = True, False
        it.effects.add(Lost(it.harbor, reason))
        it.effects.add(Await(it.harbor, GONE_AFTER))

    @pep614(linked.upon(_Link.announce).to(finishing))
    def finish(link: _Link, it: Peer2013, address: str) -> None:
        it.address = address
        it.pending, it.linked = True, False
        it.effects.add(Finish(it.harbor))
        it.effects.add(Await(it.harbor, CLOSED_AFTER))

    @pep614(finishing.upon(_Link.announce).loop())
    def finish_for_another(link: _Link, it: Peer2013, address: str) -> None:
        it.address = address

    @pep614(finishing.upon(_Link.lost).to(dialing))
    def finished(link: _Link, it: Peer2013, reason: str, clean: bool) -> None:
        it.reason = reason
        if not clean:
            it.effects.add(Lost(it.harbor, reason))
        it.dial()

    @pep614(finishing.upon(_Link.too_late).to(dialing))
    def not_finished(link: _Link, it: Peer2013) -> None:
        it.reason = "it was announced anew, and did not close the old link"
        it.effects.add(Lost(it.harbor, it.reason))
        it.dial()

    def displace(link: _Link, it: Peer2013, reason: str) -> None:
        it.pending = it.unheard = it.linked = False
        it.address = ""
        it.effects.add(Await(it.harbor, None))
        it.effects.add(StopDialing(it.harbor))
        it.effects.add(Gone(it.harbor, reason))

    for state in (unknown, dialing, gone, unheard, called):
        state.upon(_Link.displace).to(unknown)(displace)

    def displace_linked(link: _Link, it: Peer2013, reason: str) -> None:
        it.effects.add(Lost(it.harbor, reason))
        displace(link, it, reason)

    for state in (linked, finishing):
        state.upon(_Link.displace).to(unknown)(displace_linked)

    return builder.build()


_link_machine = _make_link()
