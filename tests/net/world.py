"""Masters and harbors on a network in memory, whatever their wire.

What a wire has to say of itself is at the top of `World`; `tests.net.modern` and
`tests.net.world2013` say it for theirs.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IListeningPort
from zope.interface import implementer

from skynet_tw.interfaces import IRemote, IRemoteReceiver, Peer
from skynet_tw.message import PType
from skynet_tw.net.kit.master import MasterFactory
from skynet_tw.net.kit.member import HarborMember
from skynet_tw.net.wires import WIRES

from .linkworld import LinkNode, LinkRecorder, LinkWorld

MASTER = "master:2013"


@implementer(IRemoteReceiver)
class Recorder(LinkRecorder):
    """Notes what a remote layer reports."""

    def __init__(self, own: int) -> None:
        super().__init__(own)
        self.names: dict[str, int] = {}

    def name_known(self, name: str, handle: int) -> None:
        self.names[name] = handle
        self.events.append(("name", name, handle))

    def send(self, harbor: int, payload: bytes) -> None:
        """Send one message, and write it."""
        link = self.links[harbor]
        link.send(harbor << 24 | 7, self.own << 24 | 7, 10, 0, payload)
        link.flush()

    def got(self, harbor: int) -> list[bytes]:
        """The payloads that came from a harbor, and forget them."""
        return [frame[3] for frame in self.frames.pop(harbor, [])]


class Node(LinkNode):
    """One harbor.

    :param world: gives it a remote layer.
    :param harbor: its id.
    :param address: what it listens on and tells the others.
    :param wire: its wire, unless that is the one of its world.
    """

    def __init__(
        self, world: World, harbor: int, address: str = "", wire: str = ""
    ) -> None:
        super().__init__(harbor, address or f"host{harbor}:2526")
        self.harbor = harbor
        self.receiver: Recorder = world.make_recorder(harbor)
        self.remote = world.make_remote(harbor, self.address, wire or world.wire)
        self.remote.attach(self.receiver)
        self.joined = Deferred()

    def join(self) -> Deferred[None]:
        joined: Deferred[None] = self.remote.join()
        return joined

    def collect(self, node: LinkNode, payload: bytes, session: int = 0) -> None:
        self._collect(node, PType.LUA, payload, session)

    def answer(self, node: LinkNode, session: int, payload: bytes) -> None:
        self._collect(node, PType.RESPONSE, payload, session)
        self.link_to(node).flush()

    def _collect(
        self, node: LinkNode, ptype: int, payload: bytes, session: int
    ) -> None:
        assert isinstance(node, Node)
        to, source = node.harbor << 24 | 7, self.harbor << 24 | 7
        self.link_to(node).send(to, source, ptype, session, payload)

    def heard(self, peer: Peer) -> list[tuple[int, bytes]]:
        return [frame[2:] for frame in self.receiver.frames.pop(peer, [])]


class World(LinkWorld):
    """A test with a network of harbors."""

    # What a wire says of itself

    provides = IRemote
    #: Its key in the table of wires.
    wire: str
    #: Seconds for which a harbor without a link is not taken for gone.
    patience: float
    #: Whether a harbor that loses its connection to the master is dead by that alone.
    dies_with_its_connection: bool
    #: What is no packet to a master.
    garbage: tuple[bytes, ...]
    #: What a packet to a master may begin with.
    half_a_packet: bytes
    #: Seconds until all have joined there, until they have joined again, and have left.
    rough_seconds: tuple[float, float, float]

    def make_remote(self, harbor: int, address: str, wire: str) -> IRemote:
        """Make the remote layer of a harbor."""
        makers = WIRES[wire].load()
        return makers.member(
            harbor,
            address,
            self.network.server(address),
            self.network.client(MASTER),
            self.network.client,
            self.clock,
            master_address=MASTER,
            retry_policy=self.retry_policy,
            limits=self.limits,
        )

    def make_master(self) -> MasterFactory:
        """Make a master."""
        makers = WIRES[self.wire].load()
        return makers.master(
            self.clock, self.network.client, self.retry_policy, self.limits
        )

    def make_recorder(self, harbor: int) -> Recorder:
        """Make what takes the reports of a harbor's remote layer."""
        return Recorder(harbor)

    def address_of(self, node: Node) -> str:
        """What the others are told to dial to reach a harbor."""
        assert isinstance(node.remote, HarborMember)
        return node.remote.address

    def known_to_master(self) -> list[int]:
        """The harbors that the master has taken in, in order."""
        raise NotImplementedError

    def names_of_master(self) -> dict[str, int]:
        """The names that the master knows, with their owners."""
        assert self.factory is not None
        return self.factory.master.names

    def newcomer_reports(self, older: int) -> list[tuple[Any, ...]]:
        """What a newcomer reports of the one harbor that was there before it."""
        raise NotImplementedError

    def rejoin_reports(self, other: int) -> list[tuple[Any, ...]]:
        """What is reported of a linked harbor when both join a master again."""
        raise NotImplementedError

    def hello(self, harbor: int, address: str) -> bytes:
        """What a harbor says to the master at first."""
        raise NotImplementedError

    def redialed_reports(self, other: int) -> list[tuple[Any, ...]]:
        """What a harbor reports whose port was cut off from *other* for a moment."""
        raise NotImplementedError

    # What is the same on each wire

    #: The id of a peer that is none of our nodes.
    raw_name = 9

    def setUp(self) -> None:
        self.factory: MasterFactory | None = None
        self.port: IListeningPort | None = None
        super().setUp()

    def begin(self) -> None:
        self.start_master()

    def finish(self) -> None:
        self.stop_master()

    def farewell(self, node: LinkNode) -> list[tuple[Any, ...]]:
        self.run_for(2 * self.patience)
        return [("lost", node.peer), ("gone", node.peer)]

    def start_master(self) -> None:
        """Let a master listen."""
        self.factory = self.make_master()
        listening = self.network.server(MASTER).listen(self.factory)
        self.port = self.successResultOf(listening)

    def stop_master(self) -> None:
        """Close the master and its connections."""
        if self.port is None or self.factory is None:
            return
        self.port.stopListening()
        closed = self.factory.close()
        self.run_for(self.limits.close + 1)
        self.successResultOf(closed)
        self.port = self.factory = None

    def node(self, harbor: int, address: str = "") -> Node:
        """Start a harbor."""
        node = Node(self, harbor, address)
        self.nodes.append(node)
        node.start()
        return node

    def pair(self) -> tuple[Node, Node]:
        """Start a master and two harbors, link them, and forget what they reported."""
        self.start_master()
        one, two = self.node(1), self.node(2)
        self.run_for(1)
        self.assertEqual((one.remote.linked(), two.remote.linked()), ([2], [1]))
        for node in (one, two):
            node.receiver.events.clear()
        return one, two

    def assert_full_mesh(self, *nodes: Node) -> None:
        """Check that all *nodes* are linked, and that messages pass both ways."""
        ids = [node.harbor for node in nodes]
        for node in nodes:
            own = node.harbor
            self.assertEqual(node.remote.linked(), sorted(set(ids) - {own}))
            for other in node.remote.linked():
                node.receiver.send(other, b"from %d" % own)
        self.run_for()
        for node in nodes:
            for other in node.remote.linked():
                self.assertEqual(node.receiver.got(other), [b"from %d" % other])
