# -*- test-case-name: tests.node.test_agents,tests.node.test_cluster_calls -*-
"""What a node has for its cluster: names, agents of its clients, calls to others."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

from ..interfaces import ICluster, IClusterReceiver
from .agents import Agents
from .cells import Cells
from .cluster_calls import ClusterCalls
from .cluster_names import ClusterNames
from .core import Core
from .delivery import Delivery
from .dispatch import ActorCell
from .incoming import Incoming
from .names import Names
from .outgoing import Outgoing
from .receiver import ClusterReceiver


class Clustering:
    """Joins a node and its cluster.

    :param layer: what reaches the other nodes, and is reached by them.
    :param end: ends an actor at once, for a reason in words.
    """

    def __init__(
        self,
        core: Core,
        cells: Cells,
        outgoing: Outgoing,
        incoming: Incoming,
        names: Names,
        delivery: Delivery,
        layer: ICluster,
        end: Callable[[ActorCell, str], object],
    ) -> None:
        self._layer = layer
        self._names = ClusterNames()
        self._agents = Agents(
            core, cells, incoming, delivery, self._names, end, layer.max_payload
        )
        #: What actors use it by.
        self.calls = ClusterCalls(core, outgoing, layer, self._names, self._agents)
        receiver = ClusterReceiver(
            core, outgoing, incoming, names, delivery, cells, self._agents
        )
        layer.attach(cast(IClusterReceiver, receiver))
        core.backlog.watch(layer)
        incoming.expect_boot()

    def open_gate(self) -> None:
        """Let in what clients ask."""
        self._layer.serve()

    def boot_done(self) -> None:
        """All actors of the boot are there: refuse what is for others."""
        self._agents.boot_done()

    def named(self) -> None:
        """An actor of this node has a name, which a client may wait for."""
        self._agents.retry()

    def forget(self, handle: int) -> None:
        """An actor ends: another may take its name."""
        self._names.forget(handle)
