# -*- test-case-name: tests.link.test_membership2013 -*-
"""Which harbors of 2013 there are, and which of them have dialed us.

The master says where a harbor is, and to it where we are; then both dial each other
(harbor-2013, section 1).  Nobody says who he is.  So a harbor that we reached counts as
one that has dialed us when there are as many callers as harbors that are being linked.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

from .effects import Effect, Effects
from .peer2013 import Peer2013


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
        self._peers: dict[int, Peer2013] = {}
        self._callers: dict[Hashable, _Caller] = {}

    def linked(self) -> list[int]:
        """The harbors that are linked now, in order."""
        return sorted(it.harbor for it in self._peers.values() if it.linked)

    def pending(self) -> list[tuple[int, str]]:
        """The harbors that may be linked soon, in order, each with what is missing."""
        return sorted(
            (it.harbor, "to dial us" if it.unheard else f"at {it.address}")
            for it in self._peers.values()
            if it.pending
        )

    def announce(self, harbor: int, address: str, own_address: str) -> list[Effect]:
        """The master says where a harbor is.

        :param own_address: where we are dialed ourselves.
        """
        if harbor == self._own:
            return []
        if address == own_address:
            it = self._peer(harbor)
            it.machine.displace("it was announced at our own address")
            return self._take()
        for other in self._peers.values():
            if other.harbor != harbor and other.address == address:
                other.machine.displace(f"harbor {harbor} lives at its address now")
        self._peer(harbor).machine.announce(address)
        return self._take()

    def connected(self, harbor: int) -> list[Effect]:
        """Our connection to a harbor is up."""
        self._peer(harbor).machine.connected()
        return self._take()

    def lost(self, harbor: int, reason: str, clean: bool) -> list[Effect]:
        """Our connection to a harbor is gone."""
        self._peer(harbor).machine.lost(reason, clean)
        return self._take()

    def failed(self, harbor: int, reason: str) -> None:
        """Dialing a harbor did not succeed; it goes on."""
        self._peer(harbor).reason = reason

    def too_late(self, harbor: int) -> list[Effect]:
        """The time of an `Await` is over."""
        self._peer(harbor).machine.too_late()
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

    def _peer(self, harbor: int) -> Peer2013:
        it = self._peers.get(harbor)
        if it is None:
            it = self._peers[harbor] = Peer2013(harbor, self._effects)
        return it

    def _take(self) -> list[Effect]:
        self._listen()
        return self._effects.take()

    def _listen(self) -> None:
        """See whose calls have come."""
        waiting = [it for it in self._peers.values() if it.unheard]
        if not waiting:
            return
        callers = [it for it in self._callers.values() if not it.is_master]
        heard = {it.harbor for it in callers}
        called = {it.stands_for for it in callers if it.harbor is None}
        free = [it for it in callers if it.harbor is None and it.stands_for is None]
        pending = {it.harbor for it in self._peers.values() if it.pending}
        enough = len(free) >= len(pending - heard - called)
        for it in waiting:
            if it.harbor in heard:
                it.machine.heard()
            elif it.harbor in called:
                it.machine.called()
            elif enough:
                free.pop().stands_for = it.harbor
                it.machine.called()
