# -*- test-case-name: tests.network.test_simulation -*-
"""The actors of a simulation, and the record of what they said to each other."""

from __future__ import annotations

from dataclasses import dataclass, field

from twisted.python.failure import Failure

from ..node.actor import Actor, command

#: Who sends, and to whom, by the names of the walkers.
Pair = tuple[str, str]


class Walker(Actor):
    """Notes who sent it which number, in which order."""

    async def started(self, name: str) -> None:
        """Take a name."""
        self.name = name
        self.got: dict[str, list[int]] = {}
        await self.register(name)

    @command
    def NOTE(self, sender: str, number: int, *padding: str) -> int:
        """Note a number, and answer with it."""
        self.got.setdefault(sender, []).append(number)
        return number

    @command
    async def ASK(self, sender: str, number: int, seconds: float, *padding: str) -> int:
        """The same after some seconds."""
        self.NOTE(sender, number)
        if seconds:
            await self.sleep(seconds)
        return number


@dataclass
class Traffic:
    """What was sent, and what became of it."""

    #: The last number that each sent to each.
    numbers: dict[Pair, int] = field(default_factory=dict)
    #: The ends of each call, by who called whom with which number.
    calls: dict[tuple[str, str, int], list[object]] = field(default_factory=dict)
    #: How many sends were refused, as too much waited already.
    full: int = 0

    def next(self, pair: Pair) -> int:
        """The number of the next message."""
        number = self.numbers[pair] = self.numbers.get(pair, 0) + 1
        return number

    def failures(self) -> int:
        """How many calls have failed."""
        return sum(
            isinstance(end, Failure) for ends in self.calls.values() for end in ends
        )
