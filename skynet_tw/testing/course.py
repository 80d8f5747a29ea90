# -*- test-case-name: tests.network.test_simulation -*-
"""One course of events: nodes talk, while everything around them fails at random."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from ..errors import QueueFull
from ..node.limits import Limits
from ..service import NodeService
from ..starts import Start
from .invariants import (
    Broken,
    check_books,
    check_bounds,
    check_call,
    check_idle,
    check_order,
)
from .network import MemoryNetwork
from .nodes import MemoryMaster, MemoryNodes
from .walkers import Pair, Traffic, Walker

#: What the network is like under one seed after the other: from and to how many
#: seconds each step takes, and how many bytes a read brings at most.
NETWORKS = (
    ((0.0, 0.0), 0),
    ((0.0, 0.02), 4096),
    ((0.005, 0.2), 0),
    ((0.0, 0.001), 700),
)

#: How one of them sends to the other one, and how it calls it.
Way = tuple[Callable[..., None], Callable[..., Deferred[Any]]]


class Course(ABC):
    """The nodes of one network, two walkers in each.

    Each walker numbers what it sends to each other one, which it always addresses in
    the same way: by its name or by its handle.

    :param seed: chooses the course of events.
    :param wire: what the nodes speak, for people.
    :param numbers: those of the nodes.
    :param limits: how much may wait in each of their queues.
    """

    #: The actors that talk.
    walker: type[Walker] = Walker

    def __init__(
        self, seed: int, wire: str, numbers: tuple[int, ...], limits: Limits | None
    ) -> None:
        self.seed = seed
        self.wire = wire
        self.numbers = numbers
        #: What can be made to fail, and how time passes.
        self.network = MemoryNetwork(Clock(), seed, *NETWORKS[seed % len(NETWORKS)])
        self.nodes = MemoryNodes(self.network)
        #: What runs beside them.
        self.masters: list[MemoryMaster] = []
        self.traffic = Traffic()
        #: The walkers that live, by name.
        self.walkers: dict[str, Walker] = {}
        #: Those whose nodes were stopped.
        self.gone: list[Walker] = []
        self._limits = limits
        self._random = self.network.random
        self._number_of: dict[NodeService, int] = {}
        self._by_handle: set[Pair] = set()

    def play(self, steps: int = 300) -> None:
        """The whole course: boot, traffic with failures, quiet; with all checks.

        :param steps: how long the traffic lasts, about a tenth of a second each.
        :raises Broken: a promise does not hold; it names the seed.
        """
        self.boot()
        self.run(steps)
        self.quiet()
        self.check()

    def boot(self) -> None:
        """Start all in any order, and give each pair its way to address."""
        with self._told():
            starts = [partial(self._start, number) for number in self.numbers]
            masters = [master.start for master in self.masters]
            everybody: list[Callable[[], None]] = [*masters, *starts]
            self._random.shuffle(everybody)
            for start in everybody:
                start()
            self._ready()
        pairs = [(a, b) for a in self.walkers for b in self.walkers if a != b]
        self._by_handle.update(self._random.sample(pairs, len(pairs) // 2))

    def run(self, steps: int) -> None:
        """Let walkers talk and things fail, and look at all nodes after each step."""
        with self._told():
            for _ in range(steps):
                for _ in range(self._random.choice([0, 1, 5, 40])):
                    self.say()
                if self._random.random() < 0.06:
                    self.fail()
                self.nodes.run(self._random.choice([0.01, 0.05, 0.3]))
                self._check_nodes()

    def quiet(self) -> None:
        """Mend everything, and let all time limits pass."""
        with self._told():
            self.mend()
            self.nodes.run(50, 0.05)
            self._check_nodes()

    def check(self) -> None:
        """Compare what was sent with what arrived; after `quiet`.

        In the end all is as if nothing had happened: each walker reaches each other.
        """
        with self._told():
            seen: dict[Pair, set[int]] = {}
            for walker in (*self.walkers.values(), *self.gone):
                for source, numbers in walker.got.items():
                    pair = (source, walker.name)
                    what = "{} to {}".format(*pair)
                    check_order(numbers, what)
                    before = seen.setdefault(pair, set())
                    if twice := before.intersection(numbers):
                        raise Broken(f"{what}: {twice} came again after a restart")
                    before.update(numbers)
                    if numbers[-1] > self.traffic.numbers[pair]:
                        raise Broken(f"{what}: nobody sent {numbers[-1]}")
            for (source, target, number), ends in self.traffic.calls.items():
                arrived = number in seen.get((source, target), set())
                check_call(number, ends, arrived, f"{source} to {target}")
            for service in self.nodes.services:
                check_idle(service.node)
            self._check_reach()

    def stop(self) -> None:
        """Stop all, in order; nothing may stay behind on the clock or the network."""
        with self._told():
            self.nodes.stop()
            for master in self.masters:
                master.stop()
            left = [*self.network.clock.getDelayedCalls(), *self.network.wires]
            if left:
                raise Broken(f"left behind: {left}")

    # What happens

    def say(self) -> None:
        """Somebody sends to somebody, or calls."""
        source, target = pair = self._pair()
        number = self.traffic.next(pair)
        send, call = self._way(source, target, pair in self._by_handle)
        padding = self._padding()
        if self._random.random() < 0.5:
            try:
                send("NOTE", source, number, *padding)
            except QueueFull:
                self.traffic.full += 1
            return
        seconds = self._random.choice([0.0, 0.0, 0.3, 8.0])
        limit = self._random.choice([1.0, 5.0, 30.0])
        ends = self.traffic.calls[source, target, number] = []
        asked = call("ASK", source, number, seconds, *padding, timeout=limit)
        asked.addBoth(ends.append)

    def _pair(self) -> Pair:
        source, target = self._random.sample(sorted(self.walkers), 2)
        return source, target

    def fail(self) -> None:
        """Something happens to the network, to a node, or to what else there is."""
        place = self._random.choice(self._places())
        what = self._random.randrange(7)
        if what < 2:
            self.network.cut(place)
        elif what == 2:
            self.network.refuse(place)
            self.network.cut(place)
        elif what == 3:
            self.network.silence(place)
        elif what == 4:
            self.mend()
        elif what == 5:
            self.restart()
        else:
            self._disturb()

    def mend(self) -> None:
        """Let all get through again."""
        for place in self._places():
            self.network.mend(place)

    def restart(self) -> None:
        """Stop a node in order, and start it again, while all is well."""
        self.mend()
        self.nodes.run(12)
        service = self._random.choice(self.nodes.services)
        number = self._number_of.pop(service)
        self.gone += [w for w in self.walkers.values() if w.node is service.node]
        self.nodes.stop(service)
        check_books(service.node)
        check_idle(service.node)
        self.nodes.run(self._random.choice([0.5, 3.0]))
        self._start(number)
        self._ready()

    def _start(self, number: int) -> None:
        actors = [Start(self.walker, (f"{name}{number}",)) for name in "AB"]
        self._number_of[self._start_node(number, actors)] = number

    def _ready(self) -> None:
        self.nodes.ready()
        for service in self.nodes.services:
            for cell in service.node.actors():
                if isinstance(cell.actor, Walker):
                    self.walkers[cell.actor.name] = cell.actor

    # What is peculiar to a kind of network

    @abstractmethod
    def _places(self) -> list[str]:
        """The addresses of all."""

    @abstractmethod
    def _start_node(self, number: int, actors: list[Start]) -> NodeService:
        """Start a node."""

    @abstractmethod
    def _way(self, source: str, target: str, by_handle: bool) -> Way:
        """How one walker sends to another one, and how it calls it."""

    @abstractmethod
    def _disturb(self) -> None:
        """Something happens that is not the network's fault."""

    def _padding(self) -> tuple[str, ...]:
        """What a message has behind its number."""
        return ()

    # What holds

    def _check_nodes(self) -> None:
        for service in self.nodes.services:
            check_books(service.node)
            check_bounds(service.node)

    def _check_reach(self) -> None:
        for source in self.walkers:
            for target in self.walkers:
                _, call = self._way(source, target, False)
                answer = self.nodes.result(call("NOTE", "check", 1))
                if answer != 1:
                    raise Broken(f"{source} to {target}: {answer!r}")

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Name the course of events in whatever goes wrong in it."""
        try:
            yield
        except Exception as error:
            seconds = self.network.clock.seconds()
            where = f"seed {self.seed}, wire {self.wire}, after {seconds:.2f} s"
            raise Broken(f"{where}: {error}") from error
