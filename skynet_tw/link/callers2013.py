# -*- test-case-name: tests.net.test_strangers2013,tests.link.test_callers2013 -*-
"""Who dialed a harbor of 2013: the master, harbors, strangers.

Nobody says who he is (harbor-2013, section 1).  A harbor is known by its first message,
the master by its first announcement.  A master that knows of no other harbor has
nothing to say.  Before it dialed us, nobody else could know where we are; so the first
who dials us and says nothing is the master.  Where others know from earlier, a harbor
may come first; but then the master has news of that harbor, and says so.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Hashable
from dataclasses import dataclass
from math import inf

from ..errors import ProtocolError
from .effects import Close, Effect, MasterFound

#: Connections of one harbor; whoever has more of them lost the older ones.
MAX_CALLERS = 4

#: A harbor dials when it is announced; seconds between the one and the other, at most.
DIALS_WITHIN = 5.0

#: Silent connections from about that time that may each be that harbor's.
NEAREST = 4


@dataclass(slots=True)
class _Caller:
    """Who dialed us."""

    #: When, on the clock of the node.
    since: float
    #: Whether it may be the master that dials us back.
    may_be_master: bool
    #: The harbor that its first message came from, 0 until there is one.
    harbor: int = 0
    #: Whether we gave the connection up.
    dropped: bool = False


class Callers2013:
    """The connections that others opened, by what stands for each.

    :param strangers: how many may be unidentified.
    :param handshake: for how many seconds.
    """

    def __init__(self, strangers: int, handshake: float) -> None:
        self._strangers = strangers
        self._handshake = handshake
        self._callers: dict[Hashable, _Caller] = {}
        #: When the master told us last of each harbor, or each harbor of us.
        self._announced: dict[int, float] = {}
        #: Who spoke as the master does, whoever did so last at the end.
        self._speakers: dict[Hashable, None] = {}
        #: The connection that the master dialed, None if there is none.
        self.master: Hashable = None

    def opened(self, caller: Hashable, now: float, may_be_master: bool) -> list[Effect]:
        """Somebody dialed us.

        :param may_be_master: whether we registered, and the master did not dial us
            since.
        """
        self._callers[caller] = _Caller(now, False)
        effects: list[Effect] = []
        silent = self._silent()
        if len(silent) > self._strangers:
            spared = self._may_be_harbors(silent)
            oldest = next((it for it in silent if it not in spared), silent[0])
            reason = "too many connections did not say who they are"
            effects.append(Close(ProtocolError(reason), oldest))
        self._callers[caller].may_be_master = may_be_master
        return effects

    def is_harbor(self, caller: Hashable, harbor: int) -> list[Effect]:
        """The first message of a connection is about to come."""
        self._callers[caller].harbor = harbor
        older = [who for who, it in self._callers.items() if it.harbor == harbor]
        if len(older) <= MAX_CALLERS:
            return []
        reason = f"harbor {harbor} has {MAX_CALLERS} newer connections"
        return [Close(ProtocolError(reason), older[0])]

    def announces(self, caller: Hashable) -> list[Effect]:
        """Somebody who is no harbor speaks as the master does."""
        effects: list[Effect] = []
        if caller is not self.master:
            effects.append(self._found(caller))
        self._speakers.pop(caller, None)
        self._speakers[caller] = None
        if len(self._speakers) > MAX_CALLERS:
            reason = f"{MAX_CALLERS} others spoke as the master"
            effects.append(Close(ProtocolError(reason), next(iter(self._speakers))))
        return effects

    def announced(self, harbor: int, now: float) -> None:
        """The master told us of a harbor."""
        self._announced[harbor] = now

    def quiet(self) -> list[Effect]:
        """Nothing came for a moment, and we still expect the master."""
        for who, it in self._callers.items():
            if it.may_be_master and not it.harbor:
                return [self._found(who)]
        return []

    def dropped(self, caller: Hashable) -> None:
        """We give a connection up."""
        self._speakers.pop(caller, None)
        if caller in self._callers:
            self._callers[caller].dropped = True

    def closed(self, caller: Hashable) -> bool:
        """A connection is gone; True if it was the master's."""
        self._speakers.pop(caller, None)
        self._callers.pop(caller, None)
        if caller is not self.master:
            return False
        self.master = None
        return True

    def sweep(self, now: float) -> list[Effect]:
        """Close the connections that did not say who they are in time."""
        silent = self._silent()
        latest = now - self._handshake
        if not silent or self._callers[silent[0]].since > latest:
            return []
        spared = self._may_be_harbors(silent)
        reason = f"it did not say who it is for {self._handshake:g} s"
        return [
            Close(ProtocolError(reason), who)
            for who in silent
            if self._callers[who].since <= latest and who not in spared
        ]

    def _found(self, caller: Hashable) -> MasterFound:
        found = MasterFound(caller, self.master)
        self.master = caller
        return found

    def _silent(self) -> list[Hashable]:
        """Those who did not say yet who they are, the oldest first."""
        return [
            who
            for who, it in self._callers.items()
            if not it.harbor
            and not it.dropped
            and who is not self.master
            and who not in self._speakers
        ]

    def _may_be_harbors(self, silent: list[Hashable]) -> set[Hashable]:
        """Those of the silent who may be harbors, or the master, with nothing to say.

        To hang up on a real one would cut it off for good, as it never dials again.
        But it dials when it is announced: so those who did so next to the announcement
        of a harbor that was not heard since are kept.  One of ours dials again whenever
        it loses its connection; for each harbor that is missing the newest is kept.
        """
        since = [self._callers[who].since for who in silent]
        heard = {it.harbor: it.since for it in self._callers.values()}
        missing = 0
        spared: set[Hashable] = set()
        for harbor, announced in self._announced.items():
            if heard.get(harbor, -inf) >= announced - DIALS_WITHIN:
                continue
            missing += 1
            next_to = bisect_left(since, announced)
            around = silent[max(next_to - NEAREST, 0) : next_to + NEAREST]
            around.sort(key=lambda who: abs(self._callers[who].since - announced))
            spared.update(around[:NEAREST])
        spared.update(silent[max(len(silent) - missing, 0) :])
        if not self._speakers:
            # Whom we took for the master has not proved it yet.
            may_be = [who for who in silent if self._callers[who].may_be_master]
            spared.update(may_be[:NEAREST])
        return spared
