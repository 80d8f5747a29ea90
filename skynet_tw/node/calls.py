# -*- test-case-name: tests.node.test_calls -*-
"""Calls in flight, and their time limits.

Each actor has the sessions of its own calls, and each channel has the calls to its
peer, so that an actor or a link that ends costs its own calls and no others.  Answers
to calls within the node carry the `Call` itself: such a call stands here only when it
has a time limit.
"""

from __future__ import annotations

from collections.abc import Iterator
from heapq import heapify, heappop, heappush

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from .requests import Call
from .scheduler import Scheduler

#: Seconds between two looks at the time limits, and the width of a slot.
INTERVAL = 0.01


class Calls:
    """Calls that go one way, found by their time limits.

    They lie in slots of time.  To enter and to leave costs the same however many there
    are, and a look at the limits costs what it finds.

    :param clock: gives the time, and one delayed call for all limits.
    :param scheduler: in its turn the calls fail whose time is over.
    """

    def __init__(self, clock: IReactorTime, scheduler: Scheduler) -> None:
        self._clock = clock
        self._scheduler = scheduler
        self._without_limit: dict[Call, None] = {}
        self._slots: dict[int, dict[Call, None]] = {}
        #: The numbers of the slots, as a heap.
        self._order: list[int] = []
        #: How many slots there may be until the empty ones are taken out.
        self._room = 64
        #: The slot that was used last, which is often used next.
        self._number = -1
        self._slot = self._without_limit
        self._sweep: IDelayedCall | None = None
        self._sweep_at = 0.0
        #: How many calls the looks at time limits have looked at so far.
        self.looked_at = 0

    def __len__(self) -> int:
        return len(self._without_limit) + sum(map(len, self._slots.values()))

    def __iter__(self) -> Iterator[Call]:
        slots = [self._without_limit, *self._slots.values()]
        return iter([call for slot in slots for call in slot])

    def add(self, call: Call, deadline: float | None) -> None:
        """Enter a call with its time limit; `Call.leave` takes it out."""
        call.deadline = deadline
        if deadline is None:
            slot = self._without_limit
        else:
            number = int(deadline / INTERVAL)
            if number != self._number:
                self._find(number)
            slot = self._slot
            if self._sweep is None or deadline < self._sweep_at:
                self._schedule(deadline)
        slot[call] = None
        call.slot = slot

    def stop(self) -> None:
        """Look at the time limits no more."""
        if self._sweep is not None:
            self._sweep.cancel()
            self._sweep = None

    def _find(self, number: int) -> None:
        """Have the slot of this number ready."""
        slot = self._slots.get(number)
        if slot is None:
            if len(self._slots) >= self._room:
                # Calls left these before their time; seldom enough to cost nothing.
                self._slots = {n: kept for n, kept in self._slots.items() if kept}
                self._order = list(self._slots)
                heapify(self._order)
                self._room = 2 * len(self._slots) + 64
            slot = self._slots[number] = {}
            heappush(self._order, number)
        self._number = number
        self._slot = slot

    def _schedule(self, at: float) -> None:
        if self._sweep is not None:
            self._sweep.cancel()
        delay = max(at - self._clock.seconds(), 0.0)
        self._sweep_at = at
        self._sweep = self._clock.callLater(delay, self._look)

    def _look(self) -> None:
        """Tell of the calls whose time is over, and arrange the next look."""
        self._sweep = None
        now = self._clock.seconds()
        over: list[Call] = []
        next_at: float | None = None
        while self._order and next_at is None:
            number = self._order[0]
            for call in self._slots[number]:
                self.looked_at += 1
                deadline = call.deadline
                assert deadline is not None
                if deadline <= now:
                    over.append(call)
                elif next_at is None or deadline < next_at:
                    next_at = deadline
            if next_at is None:
                heappop(self._order)
                del self._slots[number]
                if number == self._number:
                    self._number = -1
        for call in over:
            call.leave()
        if next_at is not None:
            # Calls made one after the other do not cost a look each.
            self._schedule(max(next_at, now + INTERVAL))
        if over:
            self._scheduler.in_turn(_fail, over)


def _fail(calls: list[Call]) -> None:
    for call in calls:
        call.give_up(call.late())
