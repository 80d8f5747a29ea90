# -*- test-case-name: tests.network.test_simulation -*-
"""Random traffic between whole nodes, while everything around them fails at random.

A seed is one course of events: the same each time, on any machine.  What breaks a
promise is told with its seed, so that it can be looked at again::

    simulation = Simulation(seed=7, wire="2013")
    simulation.play()
    simulation.stop()

To look for seeds that break something, run ``python -m skynet_tw.testing.simulation
--wire 2013 0 1000``; ``--wire cluster`` are nodes without a harbor.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial

from ..net.wires import DEFAULT_WIRE, WIRES
from ..node.limits import Limits
from ..service import NodeService
from ..starts import Start
from .course import Course, Way
from .invariants import Broken
from .nodes import MemoryMaster
from .walkers import Walker

#: How many characters are behind the numbers of some messages: about as many as make a
#: message large, and more.
PADDINGS = (32_700, 32_768, 80_000)


class Simulation(Course):
    """The nodes of one network of harbors, and their master.

    :param seed: chooses the course of events.
    :param wire: what the nodes speak.
    :param harbors: their ids.
    :param limits: how much may wait in each of their queues.
    """

    def __init__(
        self,
        seed: int = 0,
        wire: str = DEFAULT_WIRE,
        harbors: tuple[int, ...] = (1, 2, 3),
        limits: Limits | None = None,
    ) -> None:
        super().__init__(seed, wire, harbors, limits)
        self.nodes.wire = wire
        self.master = MemoryMaster(self.nodes)
        self.masters.append(self.master)

    def _places(self) -> list[str]:
        return [self.nodes.master, *map(self.nodes.address, self.numbers)]

    def _start_node(self, number: int, actors: list[Start]) -> NodeService:
        return self.nodes.start(number, actors=actors, limits=self._limits)

    def _way(self, source: str, target: str, by_handle: bool) -> Way:
        walker = self.walkers[source]
        dest: int | str = self.walkers[target].handle if by_handle else target
        return partial(walker.send, dest), partial(walker.call, dest)

    def _disturb(self) -> None:
        """The master is away for a while."""
        self.master.stop()
        self.nodes.run(self._random.choice([0.0, 0.5, 3.0]))
        self.master.start()


class ClusterWalker(Walker):
    """A walker that other nodes find by its name, too."""

    async def started(self, name: str) -> None:
        """Take the name in this node, and in the cluster."""
        await super().started(name)
        await self.cluster.register(name)


class ClusterSimulation(Course):
    """The nodes of a cluster, which have no harbor.

    Some messages are large.  A node may be said to be somewhere else; it is there, too.

    :param seed: chooses the course of events.
    :param numbers: those of the nodes.
    :param limits: how much may wait in each of their queues.
    """

    walker = ClusterWalker

    def __init__(
        self,
        seed: int = 0,
        numbers: tuple[int, ...] = (1, 2, 3),
        limits: Limits | None = None,
    ) -> None:
        super().__init__(seed, "cluster", numbers, limits)
        #: What becomes of messages for a node that is absent.
        self._absent = "fail" if seed % 3 == 2 else "wait"

    def _places(self) -> list[str]:
        return [place for number in self.numbers for place in _addresses(number)]

    def _start_node(self, number: int, actors: list[Start]) -> NodeService:
        return self.nodes.start(
            0,
            actors=actors,
            limits=self._limits,
            cluster_listen=_addresses(number),
            cluster_nodes={f"node{n}": _addresses(n)[0] for n in self.numbers},
            cluster_absent=self._absent,
        )

    def _way(self, source: str, target: str, by_handle: bool) -> Way:
        walker, other = self.walkers[source], self.walkers[target]
        if walker.node is other.node:
            near: int | str = other.handle if by_handle else target
            return partial(walker.send, near), partial(walker.call, near)
        node = f"node{target[1:]}"
        far: int | str = int(other.handle) if by_handle else f"@{target}"
        cluster = walker.cluster
        return partial(cluster.send, node, far), partial(cluster.call, node, far)

    def _disturb(self) -> None:
        """One node learns that another one is elsewhere, or is not for a while."""
        service = self._random.choice(self.nodes.services)
        number = self._random.choice(self.numbers)
        address = self._random.choice(_addresses(number))
        reload = service.cluster.reload
        if self._random.random() < 0.5:
            reload({f"node{number}": False})
            self.nodes.run(self._random.choice([0.0, 0.5, 3.0]))
        reload({f"node{number}": address})

    def _padding(self) -> tuple[str, ...]:
        if self._random.random() < 0.1:
            return ("x" * self._random.choice(PADDINGS),)
        return ()


def _addresses(number: int) -> list[str]:
    return [f"node{number}:{port}" for port in (7000, 7001)]


#: What can be simulated, by what the nodes speak; takes a seed, and maybe limits.
KINDS: dict[str, Callable[..., Course]] = {
    **{wire: partial(Simulation, wire=wire) for wire in WIRES},
    "cluster": ClusterSimulation,
}


def main() -> None:
    """Play one seed after the other, and print those that break a promise."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("first", type=int, help="the first seed")
    parser.add_argument("count", type=int, help="how many seeds")
    parser.add_argument("--wire", choices=KINDS, default=DEFAULT_WIRE)
    parser.add_argument("--steps", type=int, default=300)
    options = parser.parse_args()
    for seed in range(options.first, options.first + options.count):
        simulation = KINDS[options.wire](seed)
        try:
            simulation.play(options.steps)
            simulation.stop()
        except Broken as error:
            print(error, flush=True)


if __name__ == "__main__":
    main()
