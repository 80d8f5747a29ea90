# -*- test-case-name: tests.network -*-
"""Whole nodes on a memory network, for tests of actors.

Each node is put together as ``twistd skynet`` does it, but on a `MemoryNetwork` and a
`task.Clock`, so that a test of a whole network takes milliseconds and goes the same way
each time::

    nodes = MemoryNodes()
    nodes.start(1, standalone=True, actors=[Bank])
    other = nodes.start(2).node.client()
    nodes.result(other.call("BANK", "DEPOSIT", "alice", 100))
    nodes.network.cut(nodes.address(2))
    nodes.stop()
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

from twisted.application.internet import backoffPolicy
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from ..compose import make_node
from ..errors import BootFailed
from ..net.kit.limits import ConnectionLimits
from ..net.kit.master_port import MasterPort
from ..net.wires import DEFAULT_WIRE, WIRES
from ..node.actor import Actor
from ..node.limits import Limits
from ..service import NodeService
from ..starts import Start
from .network import MemoryNetwork

_A = TypeVar("_A", bound=Actor)
_T = TypeVar("_T")


class MemoryNodes:
    """Starts nodes on a memory network, and stops them.

    :param network: where they live; by default one without delays, on a new clock.
    :param master: the address at which nodes look for the master.
    :param wire: what they speak, unless their options say otherwise.
    """

    def __init__(
        self,
        network: MemoryNetwork | None = None,
        master: str = "master:2013",
        wire: str = DEFAULT_WIRE,
    ) -> None:
        #: Where the nodes live, and what can be made to fail.
        self.network = MemoryNetwork(Clock()) if network is None else network
        #: What all of them wait on.
        self.clock = self.network.clock
        #: Where they look for the master.
        self.master = master
        #: What they speak.
        self.wire = wire
        #: The nodes that were started and not stopped, in that order.
        self.services: list[NodeService] = []
        #: Why nodes failed to boot after their ports were bound.
        self.failures: list[BootFailed] = []
        #: How long they wait before they dial again: by the network's own chance, so
        #: that its seed decides over everything.
        self.retry_policy = backoffPolicy(0.1, 10.0, 1.5, self.network.random.random)

    def address(self, harbor: int) -> str:
        """Where a node is dialed, unless its options say otherwise."""
        return f"harbor{harbor}:2526"

    def start(
        self,
        harbor: int = 1,
        *,
        standalone: bool | str = False,
        actors: Sequence[type[Actor] | Start] = (),
        limits: Limits | None = None,
        connections: ConnectionLimits | None = None,
        **options: Any,
    ) -> NodeService:
        """Start a node; it boots as time passes, see `ready`.

        :param harbor: its id, 1-255, or 0 for a node without a harbor.
        :param standalone: whether it runs the master as well, or at which address.
        :param actors: what it starts, in order: classes, or a `Start` with arguments.
        :param limits: how much may wait in each of its queues.
        :param connections: what strangers and stalled peers may cost it.
        :param options: more of what ``--config`` takes, such as ``call_timeout=5``.
        :returns: the node is its attribute ``node``.
        :raises BootFailed: a port is in use.
        """
        given = {"harbor": harbor, "master": self.master, "wire": self.wire, **options}
        given.setdefault("address", self.address(harbor))
        if standalone:
            given["standalone"] = self.master if standalone is True else standalone
        service = make_node(
            given,
            reactor=self.clock,
            actors=actors,
            server=self.network.server,
            client=self.network.client,
            on_failure=self.failures.append,
            limits=limits,
            connections=connections,
            retry_policy=self.retry_policy,
        )
        service.startService()
        self.services.append(service)
        return service

    def ready(self, within: float = 60.0) -> None:
        """Let time pass until all nodes are ready.

        :param within: the most seconds that this may take.
        :raises BootFailed: a node did not boot.
        """
        for service in self.services:
            self.result(service.node.when_ready(), within)

    def run(self, seconds: float, step: float = 0.01) -> None:
        """Let time pass in small steps."""
        self.network.run(seconds, step)

    def result(self, waiting: Deferred[_T], within: float = 60.0) -> _T:
        """Let time pass until a Deferred fires, and return or raise its result.

        :param within: the most seconds that this may take.
        :raises AssertionError: it did not fire in that time.
        """
        results: list[Any] = []
        waiting.addBoth(results.append)
        end = self.clock.seconds() + within
        while not results:
            if self.clock.seconds() >= end:
                raise AssertionError(f"no result after {within:g} s: {waiting}")
            self.run(0.01)
        if isinstance(results[0], Failure):
            results[0].raiseException()
        result: _T = results[0]
        return result

    def actor(self, service: NodeService, kind: type[_A]) -> _A:
        """The first actor of a class in a node, for a test to look into.

        :raises LookupError: there is none.
        """
        for cell in service.node.actors():
            if isinstance(cell.actor, kind):
                return cell.actor
        raise LookupError(f"no {kind.__name__} lives in this node")

    def stop(self, *services: NodeService) -> None:
        """Stop nodes in order, by default all of them, the last one first."""
        for service in services or self.services[::-1]:
            self.services.remove(service)
            self.result(service.stopService())


class MemoryMaster:
    """A master without a node, which can be restarted, with nothing in its memory.

    :param nodes: those who look for it; it speaks their wire.
    """

    def __init__(self, nodes: MemoryNodes) -> None:
        self._nodes = nodes
        self._make = WIRES[nodes.wire].load().master
        self._port: MasterPort | None = None

    def start(self) -> None:
        """Listen."""
        nodes, network = self._nodes, self._nodes.network
        factory = self._make(nodes.clock, network.client, nodes.retry_policy, None)
        listen = network.server(nodes.master)
        self._port = MasterPort(factory, listen, nodes.master, network.client)
        nodes.result(self._port.bind())

    def stop(self) -> None:
        """Close all connections and the port, as the end of its process does."""
        if self._port is not None:
            port, self._port = self._port, None
            self._nodes.network.cut(self._nodes.master)
            self._nodes.result(port.close())
