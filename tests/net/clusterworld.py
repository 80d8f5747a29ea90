"""Nodes of a cluster on a network in memory.

The first node calls the second one: its link carries requests and pushes, and brings
answers.  What the second one has is a client, which its recorder shows as a link.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import (
    IProtocol,
    IProtocolFactory,
    IStreamClientEndpoint,
)
from zope.interface import implementer

from skynet_tw.interfaces import (
    IClient,
    ICluster,
    IClusterReceiver,
    LinkInfo,
    Peer,
    Request,
)
from skynet_tw.message import PType
from skynet_tw.net.cluster.remote import Cluster
from skynet_tw.net.kit.limits import ConnectionLimits
from skynet_tw.wire import cluster as wire

from .linkworld import LinkNode, LinkRecorder, LinkWorld, Stranger

#: What a client is called that is none of our nodes.
BY_HAND = "by hand"


class Agent:
    """Stands for one client.

    :param peer: the node that it is.
    """

    def __init__(self, peer: Peer, client: IClient) -> None:
        self.peer = peer
        self.client = client
        #: Why it is lost, None while it is not.
        self.reason: str | None = None


@implementer(IClusterReceiver)
class ClusterRecorder(LinkRecorder):
    """Notes what the layer of a cluster's node reports.

    :param own: a number of the node.
    :param names: the node that has dialed from an address, by that.
    """

    def __init__(self, own: int, names: Mapping[str, Peer]) -> None:
        super().__init__(own)
        self._names = names
        #: The nodes for which something waits.
        self.wanted: set[Peer] = set()
        #: The clients that are connected.
        self.agents: dict[Peer, Agent] = {}
        self.requests: dict[Peer, list[Request]] = {}
        self.absent: list[str] = []
        self.forgotten: list[Peer] = []
        #: How many pushes are lost with the links that held them.
        self.dropped = 0
        #: Of which calls a link wanted to know whether anybody waits for them.
        self.asked_for: list[tuple[int, int]] = []
        #: What is not wholly written of the calls that were asked.
        self.held: dict[tuple[int, int], Callable[[], object]] = {}

    # What we call

    def is_wanted(self, peer: Peer) -> bool:
        return peer in self.wanted

    def peer_absent(self, peer: Peer, reason: str) -> None:
        # What waits for it is refused.
        self.wanted.discard(peer)
        self.absent.append(reason)

    def peer_forgotten(self, peer: Peer) -> None:
        self.forgotten.append(peer)

    def call_held(
        self, peer: Peer, source: int, session: int, drop: Callable[[], object]
    ) -> None:
        assert (source, session) not in self.held
        self.held[source, session] = drop

    def call_written(self, source: int, session: int) -> None:
        del self.held[source, session]

    def calls_waiting(self, calls: list[tuple[int, int]]) -> list[bool]:
        self.asked_for += calls
        return [True for _ in calls]

    def pushes_dropped(self, peer: Peer, count: int) -> None:
        self.dropped += count

    # Who calls us

    def client_connected(self, client: IClient) -> Agent:
        agent = Agent(self._names.get(client.address, BY_HAND), client)
        self.agents[agent.peer] = agent
        self.events.append(("ready", agent.peer))
        return agent

    def requests_received(self, agent: object, requests: list[Request]) -> None:
        assert isinstance(agent, Agent)
        assert agent.reason is None, "requests of a client that is lost"
        assert requests
        self.requests.setdefault(agent.peer, []).extend(requests)

    def client_lost(self, agent: object, reason: str) -> None:
        assert isinstance(agent, Agent)
        assert agent.reason is None, "lost twice"
        agent.reason = reason
        self.reasons.append(reason)
        self.events.append(("lost", agent.peer))
        # It may be connected again already.
        if self.agents.get(agent.peer) is agent:
            del self.agents[agent.peer]


class ClusterNode(LinkNode):
    """One node of a cluster.

    :param world: gives it a layer.
    :param number: makes its name and its address.
    """

    receiver: ClusterRecorder

    def __init__(self, world: ClusterWorld, number: int) -> None:
        super().__init__(f"node{number}", f"host{number}:2526")
        self.receiver = ClusterRecorder(number, world.names)
        self.joined = Deferred()
        self.remote = world.make_cluster(self.peer, self.address)
        self.remote.attach(self.receiver)

    def join(self) -> Deferred[None]:
        self.remote.serve()
        reached: Deferred[None] = self.remote.reach()
        return reached

    def collect(self, node: LinkNode, payload: bytes, session: int = 0) -> None:
        source = self.receiver.own
        self.link_to(node).send("@x", source, PType.LUA, session, payload)

    def answer(self, node: LinkNode, session: int, payload: bytes) -> None:
        client = self.receiver.agents[node.peer].client
        client.answer(session, payload)
        client.flush()

    def is_linked(self, node: LinkNode) -> bool:
        return super().is_linked(node) or node.peer in self.receiver.agents

    def heard(self, peer: Peer) -> list[tuple[int, bytes]]:
        requests = self.receiver.requests.pop(peer, [])
        answers = self.receiver.frames.pop(peer, [])
        assert not requests or not answers
        return [request[1:3] for request in requests] + [frame[2:] for frame in answers]


class ClusterWorld(LinkWorld):
    """A test with nodes of a cluster.

    The rules of silent and of idle links are the cluster's own, and off: they are in
    `tests.network.test_cluster`.
    """

    provides = ICluster
    first_read_passes = False
    rough_delay = (0.0, 0.05)
    raw_name = BY_HAND
    raw_is_linked = True
    limits = ConnectionLimits(silence=0, idle=0)

    def setUp(self) -> None:
        #: The node that has dialed from an address, by that.
        self.names: dict[str, Peer] = {}
        super().setUp()

    def make_cluster(self, name: Peer, address: str) -> Cluster:
        """Make the layer of a node."""
        return Cluster(
            self.network.server,
            lambda where: NamedEndpoint(self, name, where),
            self.clock,
            listen=[address],
            nodes={f"node{number}": f"host{number}:2526" for number in range(1, 5)},
            retry_policy=self.retry_policy,
            limits=self.limits,
        )

    def linked_pair(self) -> tuple[ClusterNode, ClusterNode]:
        one, two = super().linked_pair()
        assert isinstance(one, ClusterNode) and isinstance(two, ClusterNode)
        return one, two

    def node(self, number: int) -> ClusterNode:
        node = ClusterNode(self, number)
        self.nodes.append(node)
        node.start()
        return node

    def need(self, one: LinkNode, two: LinkNode) -> None:
        assert isinstance(one, ClusterNode)
        one.receiver.wanted.add(two.peer)
        one.remote.want(two.peer)

    def accepted(self, node: LinkNode, info: LinkInfo) -> Peer:
        self.assertEqual(self.names[info.address], node.peer)
        return f"from {info.address}"

    def farewell(self, node: LinkNode) -> list[tuple[Any, ...]]:
        # It is not told of the nodes that call it.
        return [("lost", node.peer)]

    def raw_peer(self, node: LinkNode) -> Stranger:
        return self.stranger(node.address)

    def raw(self, payload: bytes) -> bytes:
        return wire.request("@x", 0, payload)


@implementer(IStreamClientEndpoint)
class NamedEndpoint:
    """Notes from where a node has dialed, before the other end has the connection.

    :param name: the node's.
    """

    def __init__(self, world: ClusterWorld, name: Peer, address: str) -> None:
        self._names = world.names
        self._name = name
        self._endpoint = world.network.client(address)

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        """Connect."""

        def note(protocol: Any) -> IProtocol:
            here = protocol.transport.getHost()
            self._names[f"{here.host}:{here.port}"] = self._name
            return protocol

        return self._endpoint.connect(protocolFactory).addCallback(note)
