"""Nodes that are linked on a network in memory, whatever layer links them.

A `LinkWorld` is a test with a network, a clock and a log.  What a layer has to say of
itself is at its top: `tests.net.world` says it for harbors, and
`tests.net.clusterworld` for the nodes of a cluster.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import EventLoggingObserver
from twisted.logger import formatEvent, globalLogPublisher
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.interface import InterfaceClass

from skynet_tw.errors import BootFailed
from skynet_tw.interfaces import Frame, ILink, ILinkReceiver, LinkInfo, Peer
from skynet_tw.net.kit.limits import ConnectionLimits
from skynet_tw.testing.network import MemoryNetwork


@implementer(ILinkReceiver)
class LinkRecorder:
    """Notes what a layer reports of its links, and checks the order of it.

    :param own: a number of the node.
    """

    def __init__(self, own: int) -> None:
        self.own = own
        #: What was reported, without messages.
        self.events: list[tuple[Any, ...]] = []
        #: Why links were lost, in order.
        self.reasons: list[str] = []
        self.frames: dict[Peer, list[Frame]] = {}
        self.links: dict[Peer, ILink] = {}
        self.busy: set[Peer] = set()
        #: Called when a link is up, from within that report.
        self.on_ready: Callable[[], object] = lambda: None
        #: Called when one is lost, from within that report.
        self.on_lost: Callable[[], object] = lambda: None

    def frames_received(self, peer: Peer, frames: list[Frame]) -> None:
        assert peer in self.links, "messages of a peer that is not linked"
        assert frames
        self.frames.setdefault(peer, []).extend(frames)

    def link_ready(self, peer: Peer, link: ILink) -> None:
        if peer in self.links:
            assert self.links[peer] is link, "two links"
            assert peer in self.busy
            self.busy.discard(peer)
            self.events.append(("free", peer))
        else:
            self.links[peer] = link
            self.events.append(("ready", peer))
            self.on_ready()

    def link_busy(self, peer: Peer) -> None:
        assert peer in self.links and peer not in self.busy
        self.busy.add(peer)
        self.events.append(("busy", peer))

    def link_lost(self, peer: Peer, reason: str) -> None:
        del self.links[peer]
        self.busy.discard(peer)
        self.events.append(("lost", peer))
        self.reasons.append(reason)
        self.on_lost()

    def peer_expected(self, peer: Peer) -> None:
        self.events.append(("expected", peer))

    def peer_gone(self, peer: Peer, reason: str) -> None:
        assert peer not in self.links
        self.events.append(("gone", peer))


class LinkNode(ABC):
    """One node.

    :param peer: what the others call it.
    :param address: what they dial.
    """

    #: Its layer.
    remote: Any
    #: Takes the reports of that.
    receiver: LinkRecorder
    #: Fires when it has joined the others.
    joined: Deferred[None]

    def __init__(self, peer: Peer, address: str) -> None:
        self.peer = peer
        self.address = address

    def start(self) -> None:
        """Bind, and begin to join the others."""
        bound: list[object] = []
        self.remote.bind().addBoth(bound.append)
        assert bound == [None], bound
        self.joined = self.join()

    def link_to(self, node: LinkNode) -> ILink:
        """The link to another node, which is up."""
        return self.receiver.links[node.peer]

    def tell(self, node: LinkNode, payload: bytes) -> None:
        """Send one message that nobody answers, and write it."""
        self.collect(node, payload)
        self.link_to(node).flush()

    def ask(self, node: LinkNode, session: int, payload: bytes) -> None:
        """Send one message that is to be answered, and write it."""
        self.collect(node, payload, session)
        self.link_to(node).flush()

    def got(self, node: LinkNode) -> list[bytes]:
        """The payloads that came from another node, and forget them."""
        return [payload for _, payload in self.heard(node.peer)]

    def is_linked(self, node: LinkNode) -> bool:
        """Whether there is a link between the two."""
        return node.peer in self.receiver.links

    @abstractmethod
    def join(self) -> Deferred[None]:
        """Begin to join the others."""

    @abstractmethod
    def collect(self, node: LinkNode, payload: bytes, session: int = 0) -> None:
        """Give the link to another node one message, which is not written by that."""

    @abstractmethod
    def answer(self, node: LinkNode, session: int, payload: bytes) -> None:
        """Answer a message, by the session with which it came, and write that."""

    @abstractmethod
    def heard(self, peer: Peer) -> list[tuple[int, bytes]]:
        """What came from a peer, as sessions and payloads, and forget it."""


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


class LinkWorld(SynchronousTestCase):
    """A test with a network, a clock, and a log that it can look into."""

    # What a layer says of itself

    #: What it provides.
    provides: InterfaceClass
    #: Whether the first read of a new link comes in while nothing is read.
    first_read_passes: bool
    #: Connections to a node besides those of the others.
    other_connections = 0
    #: Lines of the log that say that a node cannot be reached.
    lines_of_absence = 1
    #: How long bytes travel on a rough network, in seconds: at least, and at most.
    rough_delay: tuple[float, float]
    #: What a peer is called that a test plays by hand, see `raw_peer`.
    raw_name: Peer
    #: Whether that is reported as a link.
    raw_is_linked: bool

    def begin(self) -> None:
        """Start what has to be there before the nodes."""

    def node(self, number: int) -> LinkNode:
        """Start a node."""
        raise NotImplementedError

    def need(self, one: LinkNode, two: LinkNode) -> None:
        """There is something at *one* for *two*, so that the link is wanted."""

    def meet(self, one: LinkNode, two: LinkNode) -> None:
        """Let each say something to the other, and forget it."""
        one.ask(two, 1, b"well met")
        self.run_for()
        [(session, payload)] = two.heard(one.peer)
        two.answer(one, session, payload)
        self.run_for()
        self.assertEqual(one.heard(two.peer), [(1, b"well met")])

    def raw_peer(self, node: LinkNode) -> Stranger:
        """Connect somebody to a node who is linked with it, and speaks by hand."""
        raise NotImplementedError

    def raw(self, payload: bytes) -> bytes:
        """What such a one says to send a message."""
        raise NotImplementedError

    def accepted(self, node: LinkNode, info: LinkInfo) -> Peer:
        """What a link that *node* has made is called at its other end."""
        return node.peer

    def farewell(self, node: LinkNode) -> list[tuple[Any, ...]]:
        """What is reported, in the end, of a node that was linked and leaves."""
        raise NotImplementedError

    # What is the same for each layer

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
        self.nodes: list[LinkNode] = []
        self.addCleanup(self.end)

    def end(self) -> None:
        """Leave with everybody, and see that nothing stays behind."""
        left = [node.remote.leave() for node in self.nodes]
        self.run_for(self.limits.close + 1)
        for done in left:
            self.successResultOf(done)
        for node in self.nodes:
            node.joined.addErrback(lambda failure: failure.trap(BootFailed))
        self.finish()
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertEqual(self.network.wires, [])

    def finish(self) -> None:
        """Stop what `begin` started."""

    def run_for(self, seconds: float = 0.2) -> None:
        """Let time pass."""
        self.network.run(seconds)

    def linked_pair(self) -> tuple[LinkNode, LinkNode]:
        """Start two nodes, link the first with the second, and forget all reports."""
        self.begin()
        one, two = self.node(1), self.node(2)
        self.need(one, two)
        self.run_for(1)
        for node in (one, two):
            self.assertEqual(len(node.remote.links()), 1)
            node.receiver.events.clear()
        self.meet(one, two)
        return one, two

    def leave(self, node: LinkNode) -> None:
        """Let a node leave."""
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
