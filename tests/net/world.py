"""Masters and harbors on a network in memory, whatever their wire.

A `World` is a test with a network, a clock and a log.  What a wire has to say of itself
is at its top; `tests.net.modern` and `tests.net.world2013` say it for theirs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IListeningPort
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import EventLoggingObserver
from twisted.logger import formatEvent, globalLogPublisher
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from skynet_tw.errors import BootFailed
from skynet_tw.interfaces import Frame, ILink, IRemote, IRemoteReceiver, Peer
from skynet_tw.net.kit.limits import ConnectionLimits
from skynet_tw.net.kit.master import MasterFactory
from skynet_tw.net.kit.member import HarborMember
from skynet_tw.net.wires import WIRES
from skynet_tw.testing.network import MemoryNetwork

MASTER = "master:2013"


@implementer(IRemoteReceiver)
class Recorder:
    """Notes what a remote layer reports, and checks the order of it."""

    def __init__(self, own: int) -> None:
        self.own = own
        #: What was reported, without messages.
        self.events: list[tuple[Any, ...]] = []
        self.frames: dict[Peer, list[Frame]] = {}
        self.links: dict[Peer, ILink] = {}
        self.names: dict[str, int] = {}
        self.busy: set[Peer] = set()

    def frames_received(self, harbor: Peer, frames: list[Frame]) -> None:
        assert harbor in self.links, "messages of a harbor that is not linked"
        assert frames
        self.frames.setdefault(harbor, []).extend(frames)

    def link_ready(self, harbor: Peer, link: ILink) -> None:
        if harbor in self.links:
            assert self.links[harbor] is link, "two links"
            assert harbor in self.busy
            self.busy.discard(harbor)
            self.events.append(("free", harbor))
        else:
            self.links[harbor] = link
            self.events.append(("ready", harbor))

    def link_busy(self, harbor: Peer) -> None:
        assert harbor in self.links and harbor not in self.busy
        self.busy.add(harbor)
        self.events.append(("busy", harbor))

    def link_lost(self, harbor: Peer, reason: str) -> None:
        del self.links[harbor]
        self.busy.discard(harbor)
        self.events.append(("lost", harbor))

    def peer_expected(self, harbor: Peer) -> None:
        self.events.append(("expected", harbor))

    def peer_gone(self, harbor: Peer, reason: str) -> None:
        assert harbor not in self.links
        self.events.append(("gone", harbor))

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


class Node:
    """One harbor.

    :param world: gives it a remote layer.
    :param harbor: its id.
    :param address: what it listens on and tells the others.
    :param wire: its wire, unless that is the one of its world.
    """

    def __init__(
        self, world: World, harbor: int, address: str = "", wire: str = ""
    ) -> None:
        self.harbor = harbor
        self.address = address or f"host{harbor}:2526"
        self.receiver = world.make_recorder(harbor)
        self.remote = world.make_remote(harbor, self.address, wire or world.wire)
        self.remote.attach(self.receiver)
        self.joined: Deferred[None] = Deferred()

    def start(self) -> Node:
        """Bind, and begin to join."""
        bound: list[object] = []
        self.remote.bind().addBoth(bound.append)
        assert bound == [None], bound
        self.joined = self.remote.join()
        return self


class Stranger(Protocol):
    """Somebody who connects, says what the test wants, and notes the answer."""

    def __init__(self) -> None:
        self.heard = b""
        #: Why the connection is lost, None while it is not.
        self.lost: str | None = None

    def say(self, data: bytes) -> None:
        """Send bytes."""
        if data and self.transport is not None:
            self.transport.write(data)

    def dataReceived(self, data: bytes) -> None:
        self.heard += data

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.lost = reason.getErrorMessage()


class World(SynchronousTestCase):
    """A test with a network, a clock, and a log that it can look into."""

    # What a wire says of itself

    #: Its key in the table of wires.
    wire: str
    #: Seconds for which a harbor without a link is not taken for gone.
    patience: float
    #: Whether the first read of a new link comes in while nothing is read.
    first_read_passes: bool
    #: Whether a harbor that loses its connection to the master is dead by that alone.
    dies_with_its_connection: bool
    #: What is no packet to a master.
    garbage: tuple[bytes, ...]
    #: What a packet to a master may begin with.
    half_a_packet: bytes
    #: How long bytes travel on a rough network, in seconds: at least, and at most.
    rough_delay: tuple[float, float]
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

    #: How the network behaves.
    seed = 0
    delay = (0.0, 0.0)
    chunk = 0
    limits = ConnectionLimits()
    retry_policy: Callable[[int], float] = staticmethod(
        lambda attempt: min(0.1 * 2**attempt, 3.0)
    )

    def setUp(self) -> None:
        self.clock = Clock()
        self.network = MemoryNetwork(self.clock, self.seed, self.delay, self.chunk)
        self.observer = EventLoggingObserver()
        globalLogPublisher.addObserver(self.observer)
        self.addCleanup(globalLogPublisher.removeObserver, self.observer)
        self.nodes: list[Node] = []
        self.factory: MasterFactory | None = None
        self.port: IListeningPort | None = None
        self.addCleanup(self.end)

    def end(self) -> None:
        """Leave with everybody, and see that nothing stays behind."""
        left = [node.remote.leave() for node in self.nodes]
        self.run_for(self.limits.close + 1)
        for done in left:
            self.successResultOf(done)
        for node in self.nodes:
            node.joined.addErrback(lambda failure: failure.trap(BootFailed))
        self.stop_master()
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertEqual(self.network.wires, [])

    def run_for(self, seconds: float = 0.2) -> None:
        """Let time pass."""
        self.network.run(seconds)

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
        return node.start()

    def pair(self) -> tuple[Node, Node]:
        """Start a master and two harbors, link them, and forget what they reported."""
        self.start_master()
        one, two = self.node(1), self.node(2)
        self.run_for(1)
        self.assertEqual((one.remote.linked(), two.remote.linked()), ([2], [1]))
        for node in (one, two):
            node.receiver.events.clear()
        return one, two

    def leave(self, node: Node) -> None:
        """Let a harbor leave."""
        left = node.remote.leave()
        self.run_for()
        self.successResultOf(left)
        self.nodes.remove(node)

    def factory_of(self, build: Callable[[], Protocol]) -> Factory:
        """A factory that builds just that."""
        factory = Factory()
        factory.noisy = False
        factory.buildProtocol = lambda addr: build()  # type: ignore[method-assign]
        return factory

    def stranger(self, address: str, says: bytes = b"") -> Stranger:
        """Connect somebody who is no node."""
        stranger = Stranger()
        connected = self.network.client(address).connect(
            self.factory_of(lambda: stranger)
        )
        self.run_for(0.05)
        self.successResultOf(connected)
        stranger.say(says)
        self.run_for(0.05)
        return stranger

    def log(self) -> list[str]:
        """The lines that our own code has logged."""
        return [
            str(formatEvent(event))
            for event in self.observer
            if str(event.get("log_namespace", "")).startswith("skynet_tw")
        ]

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
