"""Masters and harbors on a network in memory, and what they report."""

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
from skynet_tw.interfaces import Frame, ILink, IRemoteReceiver
from skynet_tw.net.harbor.master import HarborMasterFactory
from skynet_tw.net.harbor.remote import HarborRemote
from skynet_tw.net.kit.limits import ConnectionLimits
from skynet_tw.testing.network import MemoryNetwork

MASTER = "master:2013"


@implementer(IRemoteReceiver)
class Recorder:
    """Notes what a remote layer reports, and checks the order of it."""

    def __init__(self, own: int) -> None:
        self.own = own
        #: What was reported, without messages.
        self.events: list[tuple[Any, ...]] = []
        self.frames: dict[int, list[Frame]] = {}
        self.links: dict[int, ILink] = {}
        self.names: dict[str, int] = {}
        self.busy: set[int] = set()

    def frames_received(self, harbor: int, frames: list[Frame]) -> None:
        assert harbor in self.links, "messages of a harbor that is not linked"
        assert frames
        self.frames.setdefault(harbor, []).extend(frames)

    def link_ready(self, harbor: int, link: ILink) -> None:
        if harbor in self.links:
            assert self.links[harbor] is link, "two links"
            assert harbor in self.busy
            self.busy.discard(harbor)
            self.events.append(("free", harbor))
        else:
            self.links[harbor] = link
            self.events.append(("ready", harbor))

    def link_busy(self, harbor: int) -> None:
        assert harbor in self.links and harbor not in self.busy
        self.busy.add(harbor)
        self.events.append(("busy", harbor))

    def link_lost(self, harbor: int, reason: str) -> None:
        del self.links[harbor]
        self.busy.discard(harbor)
        self.events.append(("lost", harbor))

    def harbor_expected(self, harbor: int) -> None:
        self.events.append(("expected", harbor))

    def harbor_gone(self, harbor: int, reason: str) -> None:
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
    """One harbor."""

    def __init__(self, world: World, harbor: int, address: str | None = None) -> None:
        self.address = address or f"host{harbor}:2526"
        self.receiver = Recorder(harbor)
        self.remote = HarborRemote(
            harbor,
            self.address,
            world.network.server(self.address),
            world.network.client(MASTER),
            world.network.client,
            world.clock,
            master_address=MASTER,
            retry_policy=world.retry_policy,
            limits=world.limits,
        )
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
        self.observer = EventLoggingObserver.createWithCleanup(self, globalLogPublisher)
        self.nodes: list[Node] = []
        self.factory: HarborMasterFactory | None = None
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

    def start_master(self) -> HarborMasterFactory:
        """Let a master listen."""
        self.factory = HarborMasterFactory(self.clock, self.limits)
        listening = self.network.server(MASTER).listen(self.factory)
        self.port = self.successResultOf(listening)
        return self.factory

    def stop_master(self) -> None:
        """Close the master and its connections."""
        if self.port is None or self.factory is None:
            return
        self.port.stopListening()
        closed = self.factory.close()
        self.run_for(self.limits.close + 1)
        self.successResultOf(closed)
        self.port = self.factory = None

    def node(self, harbor: int, address: str | None = None) -> Node:
        """Start a harbor."""
        node = Node(self, harbor, address)
        self.nodes.append(node)
        return node.start()

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
        ids = [node.remote.harbor for node in nodes]
        for node in nodes:
            own = node.remote.harbor
            self.assertEqual(node.remote.linked(), sorted(set(ids) - {own}))
            for other in node.remote.linked():
                node.receiver.send(other, b"from %d" % own)
        self.run_for()
        for node in nodes:
            for other in node.remote.linked():
                self.assertEqual(node.receiver.got(other), [b"from %d" % other])
