# -*- test-case-name: tests.link.test_membership -*-
"""Which harbors there are, which of them are linked, and what to do about the rest.

The older node dials the newer one: the master tells all its slaves of a new one by
``C``, and tells the new one by ``W`` how many links to wait for (harbor-modern,
sections 3 and 7).  ``D`` means that a control connection is gone; a link may well
outlive it, so a harbor is gone only when it has neither.
"""

from __future__ import annotations

from dataclasses import dataclass

from .effects import Dial, Effect, Expected, Gone, StopDialing


@dataclass(slots=True)
class Harbor:
    """What is known of one harbor."""

    #: Where to dial it; None if we never were to.
    address: str | None = None
    #: Whether it is linked now.
    linked: bool = False
    #: Which address is dialed, again and again, also after a link that it led to.
    dialing: str | None = None
    #: Whether our handshake byte is sent and unanswered.
    greeting: bool = False
    #: Whether the master said that it is dead, and nothing else since.
    dead: bool = False
    #: How its last link was lost, None if it never had one since it was announced.
    lost: str | None = None


class Membership:
    """The table of harbors of one node.

    :param own: the node's own id.
    """

    def __init__(self, own: int) -> None:
        self._own = own
        #: What is known of each harbor that was ever heard of.
        self.harbors: dict[int, Harbor] = {}
        #: Links that older nodes are to open, None until the master said how many.
        self.awaited: int | None = None
        self._arrived: set[int] = set()
        self._newer: set[int] = set()

    def linked(self) -> list[int]:
        """The harbors that are linked now, in order."""
        return sorted(id for id, harbor in self.harbors.items() if harbor.linked)

    @property
    def missing(self) -> int | None:
        """How many older nodes did not link yet; None before the master said."""
        if self.awaited is None:
            return None
        return max(self.awaited - len(self._arrived - self._newer), 0)

    def accepted(self, count: int) -> None:
        """The master took us in (again), and *count* older nodes will link."""
        self.awaited = count
        self._newer.clear()
        self._arrived = set(self.linked())

    def connect(self, id: int, address: str) -> list[Effect]:
        """The master told us of a newer node."""
        if id == self._own:
            return []
        self._newer.add(id)
        harbor = self._harbor(id)
        harbor.address = address
        harbor.dead = False
        if harbor.linked:
            return []
        harbor.lost = None
        return [Expected(id), *self._dial(id, harbor)]

    def dead(self, id: int) -> list[Effect]:
        """The master lost a node's control connection."""
        if id == self._own:
            return []
        harbor = self._harbor(id)
        harbor.dead = True
        if harbor.linked:
            return []
        if self.awaited and id not in self._newer | self._arrived:
            # It was one of those that we wait for, and now nobody will come.
            self.awaited -= 1
        never = "the master lost it before it was linked"
        return self._give_up(id, never if harbor.lost is None else harbor.lost)

    def duplicate(self, id: int) -> str | None:
        """Why a harbor that we dialed is not linked, None if it is."""
        harbor = self.harbors.get(id)
        if harbor is not None and harbor.linked:
            return f"harbor {id} is linked already"
        return None

    def is_there(self, id: int) -> bool:
        """Whether a harbor is linked, or lives as far as we can know."""
        harbor = self.harbors.get(id)
        if harbor is None:
            # One of the older harbors that did not dial us yet may be this one.
            return id == self._own or self.missing != 0
        return harbor.linked or not harbor.dead

    def objection(self, id: int) -> str | None:
        """Why somebody who dialed us as *id* is not let in, None if he is."""
        if id == 0:
            return "0 is no harbor id"
        if id == self._own:
            return f"{id} is our own harbor id"
        harbor = self.harbors.get(id)
        if harbor is not None and harbor.greeting and self._own < id:
            # On a simultaneous dial the smaller id's link wins.
            return f"our own link to harbor {id} is on its way"
        return self.duplicate(id)

    def dialed(self, id: int, greeting: bool) -> None:
        """A connection that we dialed greets its harbor, or does so no longer."""
        self._harbor(id).greeting = greeting

    def link_up(self, id: int, dialed: bool) -> list[Effect]:
        """A handshake is done.

        :param dialed: whether the connection is one that we dialed.
        """
        harbor = self._harbor(id)
        harbor.linked = True
        harbor.greeting = False
        harbor.lost = None
        self._arrived.add(id)
        if harbor.dialing is not None and not dialed:
            harbor.dialing = None
            return [StopDialing(id)]
        return []

    def link_down(self, id: int, reason: str) -> list[Effect]:
        """A link is gone."""
        harbor = self._harbor(id)
        harbor.linked = False
        harbor.lost = reason
        if harbor.dead:
            return self._give_up(id, reason)
        return self._dial(id, harbor)

    def _dial(self, id: int, harbor: Harbor) -> list[Effect]:
        if harbor.address is None or harbor.dialing == harbor.address:
            return []
        harbor.dialing = harbor.address
        return [Dial(id, harbor.address)]

    def _harbor(self, id: int) -> Harbor:
        return self.harbors.setdefault(id, Harbor())

    def _give_up(self, id: int, reason: str) -> list[Effect]:
        harbor = self._harbor(id)
        effects: list[Effect] = []
        if harbor.dialing is not None:
            harbor.dialing = None
            effects.append(StopDialing(id))
        effects.append(Gone(id, reason))
        return effects
