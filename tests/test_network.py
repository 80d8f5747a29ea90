"""Whole nodes on a network in memory: what they promise, whatever the network does."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import permutations
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IListeningPort
from twisted.internet.protocol import Factory
from twisted.internet.task import Clock
from twisted.internet.testing import EventLoggingObserver
from twisted.logger import formatEvent, globalLogPublisher
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from skynet_tw import (
    Actor,
    CallTimeout,
    Handle,
    Limits,
    LinkLost,
    NoSuchName,
    NotReady,
    PeerDown,
    QueueFull,
    RemoteError,
    SkynetError,
    command,
)
from skynet_tw.errors import BootFailed
from skynet_tw.net.harbor.master import HarborMasterFactory
from skynet_tw.service import NodeService
from skynet_tw.starts import Start
from skynet_tw.testing import MemoryNetwork, MemoryNodes
from skynet_tw.wire.control import Hello, Wait, encode

from .net.world import Stranger

_T = TypeVar("_T")

#: What the network is like under one seed after the other: from and to how many
#: seconds each step takes, and how many bytes a read brings at most.
NETWORKS = [
    ((0.0, 0.0), 0),
    ((0.0, 0.02), 4096),
    ((0.005, 0.2), 0),
    ((0.0, 0.001), 700),
]


class Peer(Actor):
    """Notes the numbers that it is sent, and answers in every way.

    It takes its names first; what `started` waits for then is a subclass' affair.
    """

    async def started(self, *names: str) -> None:
        self.seen: list[int] = []
        self.hanging: list[Deferred[Any]] = []
        self.has_started = False
        for name in names:
            await self.register(name)
        await self.prepare()
        self.has_started = True

    async def prepare(self) -> None:
        """Do what takes its time."""

    @command
    def COUNT(self, i: int, *padding: str) -> int:
        assert self.has_started
        self.seen.append(i)
        return i

    @command
    def ECHO(self, *values: Any) -> tuple[Any, ...]:
        return values

    @command
    async def HANG(self, *values: Any) -> Any:
        wait: Deferred[Any] = Deferred()
        self.hanging.append(wait)
        await wait
        return values

    @command
    def FAIL(self) -> None:
        raise ValueError("on purpose")


class SlowPeer(Peer):
    """Is not ready for a second after its names are known."""

    async def prepare(self) -> None:
        await self.sleep(1.0)


class Sender(Actor):
    """Sends numbered messages while it starts."""

    async def started(self, name: str, count: int) -> None:
        for i in range(1, count + 1):
            self.send(name, "COUNT", i)


class Crier(Actor):
    """Sends to several at once."""

    async def started(self, *names: str) -> None:
        for name in names:
            self.send(name, "COUNT", int(self.handle))


class LoneMaster:
    """A master without a node, which can be restarted, with nothing in its memory."""

    def __init__(self, nodes: MemoryNodes) -> None:
        self._nodes = nodes
        self._port: IListeningPort | None = None
        self._factory: HarborMasterFactory | None = None

    def start(self) -> None:
        """Listen."""
        nodes = self._nodes
        self._factory = HarborMasterFactory(nodes.clock)
        listening = nodes.network.server(nodes.master).listen(self._factory)
        self._port = nodes.result(listening)

    def stop(self) -> None:
        """Close all connections and the port, as the end of its process does."""
        if self._port is not None and self._factory is not None:
            self._port.stopListening()
            self._nodes.network.cut(self._nodes.master)
            self._nodes.result(self._factory.close())
            self._port = self._factory = None


class NetworkTestCase(SynchronousTestCase):
    """Runs nodes under seeds; the books balance, and nothing stays behind."""

    @contextmanager
    def nodes(self, seed: int = 0) -> Iterator[MemoryNodes]:
        """A network of the kind that belongs to a seed."""
        delay, chunk = NETWORKS[seed % len(NETWORKS)]
        nodes = MemoryNodes(MemoryNetwork(Clock(), seed, delay, chunk))
        yield nodes
        self.balanced(nodes)
        services = list(nodes.services)
        nodes.stop()
        for service in services:
            self.assertEqual(
                service.node.ledger.balance(service.node.status().ledger.waiting), 0
            )
            self.assertEqual(service.node.status().ledger.waiting, 0)
            self.assertEqual(len(service.node._core.calls), 0)
        self.assertEqual(nodes.clock.getDelayedCalls(), [])
        self.assertEqual(nodes.network.wires, [])

    def balanced(self, nodes: MemoryNodes) -> None:
        """Check the books of all nodes."""
        for service in nodes.services:
            node = service.node
            self.assertEqual(
                node.ledger.balance(node.status().ledger.waiting), 0, node.harbor
            )

    def three(
        self, nodes: MemoryNodes, limits: Limits | None = None, **options: Any
    ) -> list[NodeService]:
        """Boot three nodes in order, with the peers ONE, TWO and THREE.

        :param limits: those of node 2.
        """
        for harbor, name in enumerate(("ONE", "TWO", "THREE"), 1):
            nodes.start(
                harbor,
                standalone=harbor == 1,
                actors=[Start(Peer, (name,))],
                limits=limits if harbor == 2 else None,
                **options,
            )
            nodes.ready()
        for service in nodes.services:
            for name in ("ONE", "TWO", "THREE"):
                nodes.result(service.node.client().query(name))
        return list(nodes.services)

    def peer(self, nodes: MemoryNodes, service: NodeService) -> Peer:
        """The peer that lives in a node."""
        return nodes.actor(service, Peer)

    def failed(self, waiting: Deferred[Any], *kinds: type[SkynetError]) -> SkynetError:
        """The error with which a call has ended by now."""
        error = self.failureResultOf(waiting, *kinds).value
        assert isinstance(error, SkynetError)
        return error

    def assert_mesh(self, nodes: MemoryNodes) -> None:
        """Each peer calls each by the name ``P`` and its harbor, and by its handle."""
        calls = []
        for service in nodes.services:
            client = service.node.client()
            for other in nodes.services:
                harbor = other.node.harbor
                handle = self.peer(nodes, other).handle
                calls.append((client.call(f"P{harbor}", "ECHO", harbor), harbor))
                calls.append((client.call(handle, "ECHO", harbor), harbor))
        for call, harbor in calls:
            self.assertEqual(nodes.result(call), harbor)


class BootTests(NetworkTestCase):
    """Boots against a network which is not there yet, or slow."""

    def test_slave_before_master(self) -> None:
        """A slave that is 20 s older than its master finds it, and all works."""
        for seed in range(8):
            with self.nodes(seed) as nodes:
                two = nodes.start(2, actors=[Start(Peer, ("P2",))])
                call = two.node.client().call("P1", "ECHO", 5)
                nodes.run(20)
                self.assertNoResult(two.node.when_ready())
                states = [report.state for report in two.node.boot_report()]
                self.assertEqual(states, ["done", "waiting"] + ["to come"] * 3)
                [waiting] = two.node.boot_report()[1].waiting_for
                self.assertIn("refused", waiting)
                nodes.start(1, standalone=True, actors=[Start(Peer, ("P1",))])
                nodes.ready()
                self.assertEqual(nodes.result(call), 5)
                self.assert_mesh(nodes)

    def test_any_order(self) -> None:
        """Three nodes that start at once, in any order, become one network."""
        for order in permutations((1, 2, 3)):
            for seed in range(8):
                with self.nodes(seed) as nodes:
                    for harbor in order:
                        actors = [Start(Peer, (f"P{harbor}",))]
                        nodes.start(harbor, standalone=harbor == 1, actors=actors)
                    nodes.ready()
                    self.assert_mesh(nodes)

    def test_any_order_2013(self) -> None:
        """So do three nodes on the wire of 2013."""
        for order in permutations((1, 2, 3)):
            for seed in range(4):
                with self.nodes(seed) as nodes:
                    for harbor in order:
                        actors = [Start(Peer, (f"P{harbor}",))]
                        one = harbor == 1
                        nodes.start(harbor, standalone=one, actors=actors, wire="2013")
                    nodes.ready()
                    self.assert_mesh(nodes)

    def test_any_order_with_pauses(self) -> None:
        """So do three nodes that start some seconds after each other."""
        for order in permutations((1, 2, 3)):
            for seed in range(4):
                with self.nodes(seed) as nodes:
                    for harbor in order:
                        actors = [Start(Peer, (f"P{harbor}",))]
                        nodes.start(harbor, standalone=harbor == 1, actors=actors)
                        nodes.run(nodes.network.random.uniform(0, 4))
                    nodes.ready()
                    self.assert_mesh(nodes)

    def test_message_in_start(self) -> None:
        """What ``started`` sends to a name of 5 s later arrives in order, and once."""
        count = 10_000
        for seed in range(4):
            with self.nodes(seed) as nodes:
                nodes.start(1, standalone=True)
                nodes.start(2, actors=[Start(Sender, ("LATER", count))])
                nodes.ready()
                nodes.run(5)
                # It asserts that nothing comes while it has not started.
                three = nodes.start(3, actors=[Start(SlowPeer, ("LATER",))])
                nodes.ready()
                nodes.run(20)
                seen = self.peer(nodes, three).seen
                self.assertEqual(seen, list(range(1, count + 1)))

    def test_harbor_ids(self) -> None:
        """The ids at the borders of a signed and an unsigned byte work as others do."""
        for seed in range(4):
            with self.nodes(seed) as nodes:
                for harbor in (255, 1, 128, 2, 127):
                    actors = [Start(Peer, (f"P{harbor}",))]
                    nodes.start(harbor, standalone=harbor == 255, actors=actors)
                nodes.ready()
                self.assert_mesh(nodes)

    def test_id_taken(self) -> None:
        """An id that another node has fails the boot, by name; the holder lives on."""
        with self.nodes() as nodes:
            self.three(nodes)
            again = nodes.start(2, address="elsewhere:2526")
            error = self.assertRaises(BootFailed, nodes.ready)
            self.assertIn("refuses harbor id 2", str(error))
            self.assertEqual([str(e) for e in nodes.failures], [str(error)])
            nodes.stop(again)
            client = nodes.services[0].node.client()
            self.assertEqual(nodes.result(client.call("TWO", "ECHO", 1)), 1)

    def test_same_way_again(self) -> None:
        """One seed is one course of events."""
        courses = []
        for _ in range(10):
            observer = EventLoggingObserver()
            globalLogPublisher.addObserver(observer)
            with self.nodes(3) as nodes:
                for service in self.three(nodes):
                    # Several links are written to in one turn.
                    for _ in range(3):
                        service.node.spawn(Crier, "ONE", "TWO", "THREE")
                nodes.run(1)
                seen = [self.peer(nodes, service).seen for service in nodes.services]
            globalLogPublisher.removeObserver(observer)
            lines = [str(formatEvent(event)) for event in observer]
            chance = nodes.network.random.random()
            courses.append((lines, seen, nodes.clock.seconds(), chance))
        for course in courses[1:]:
            self.assertEqual(course, courses[0])


class LinkTests(NetworkTestCase):
    """Links, masters and nodes that go, and come back."""

    def test_cut_and_linked_again(self) -> None:
        """What was written to a link that is cut fails; what waits for it survives."""
        for seed in range(8):
            with self.nodes(seed) as nodes:
                _, two, three = self.three(nodes)
                client = two.node.client()
                peer = self.peer(nodes, three)
                handle = nodes.result(client.query("THREE"))
                for i in range(1, 101):
                    client.send(handle, "COUNT", i)
                written = [client.call(handle, "HANG", i) for i in range(50)]
                nodes.run(3)
                self.balanced(nodes)
                self.assertEqual(len(peer.hanging), 50)
                nodes.network.refuse(nodes.address(3))
                nodes.network.cut(nodes.address(3))
                nodes.run(0.05)
                self.balanced(nodes)
                for call in written:
                    self.assertFalse(self.failed(call, LinkLost).retry_safe)
                for i in range(101, 201):
                    client.send(handle, "COUNT", i)
                waiting = [client.call(handle, "COUNT", i) for i in range(201, 301)]
                nodes.run(5)
                self.balanced(nodes)
                self.assertEqual(two.node.status().ledger.waiting, 200)
                for call in waiting:
                    self.assertNoResult(call)
                nodes.network.mend(nodes.address(3))
                for i, call in enumerate(waiting, 201):
                    self.assertEqual(nodes.result(call), i)
                    self.balanced(nodes)
                for i in range(301, 401):
                    client.send(handle, "COUNT", i)
                nodes.run(3)
                self.assertEqual(peer.seen, list(range(1, 401)))
                # Those of the old link are answered on the new one, and are late.
                for hanging in peer.hanging:
                    hanging.callback(None)
                nodes.run(3)
                self.assertEqual(two.node.ledger.late_answers, 50)

    def test_cut_while_sending(self) -> None:
        """A link that is cut again and again may lose some, and keeps the order."""
        for seed in range(8):
            with self.nodes(seed) as nodes:
                _, two, three = self.three(nodes)
                client = two.node.client()
                handle = nodes.result(client.query("THREE"))
                calls: list[Deferred[int]] = []
                for i in range(1000):
                    calls.append(client.call(handle, "COUNT", i))
                    nodes.run(0.01)
                    if i % 100 == 50:
                        nodes.network.cut(nodes.address(3))
                nodes.run(35)
                seen = self.peer(nodes, three).seen
                self.assertEqual(seen, sorted(set(seen)))
                for i, call in enumerate(calls):
                    outcome: list[Any] = []
                    call.addBoth(outcome.append)
                    if isinstance(outcome[0], Failure):
                        self.assertIsInstance(outcome[0].value, LinkLost)
                    else:
                        self.assertEqual(outcome, [i])
                        self.assertIn(i, seen)
                self.assertGreater(len(seen), 700)

    def test_master_out_of_reach(self) -> None:
        """While the master is away all goes on; what it was not told it learns then."""
        for seed in range(8):
            with self.nodes(seed) as nodes:
                one, two, three = self.three(nodes)
                network = nodes.network
                network.refuse(nodes.master)
                network.cut(nodes.master)
                nodes.run(1)
                peer = self.peer(nodes, two)
                client = three.node.client()
                registered = peer.register("NEW")
                asked = client.query("NEW")
                for i in range(10):
                    client.send("NEW", "COUNT", i)
                called = one.node.client().call("NEW", "ECHO", 5)
                # Known names and links do not need it.
                for name in ("ONE", "TWO", "THREE"):
                    self.assertEqual(nodes.result(client.call(name, "ECHO", 1)), 1)
                nodes.run(10)
                for waiting in (registered, asked, called):
                    self.assertNoResult(waiting)
                network.mend(nodes.master)
                self.assertEqual(nodes.result(registered), peer.handle)
                self.assertEqual(nodes.result(asked), peer.handle)
                self.assertEqual(nodes.result(called), 5)
                nodes.run(3)
                self.assertEqual(peer.seen, list(range(10)))

    def test_master_without_memory(self) -> None:
        """A master that starts again, empty, is told all names, also by late ones."""
        for seed in range(8):
            with self.nodes(seed) as nodes:
                master = LoneMaster(nodes)
                master.start()
                for harbor in (1, 2):
                    nodes.start(harbor, actors=[Start(Peer, (f"P{harbor}",))])
                nodes.ready()
                master.stop()
                nodes.run(3)
                registered = self.peer(nodes, nodes.services[0]).register("NEW")
                master.start()
                nodes.start(3, actors=[Start(Peer, ("P3",))])
                nodes.ready()
                nodes.result(registered)
                self.assert_mesh(nodes)
                client = nodes.services[2].node.client()
                self.assertEqual(nodes.result(client.call("NEW", "ECHO", 4)), 4)
                nodes.stop()
                master.stop()

    def test_stop_answers_callers(self) -> None:
        """A node that stops answers those who wait for its actors; then it is gone."""
        for seed in range(8):
            with self.nodes(seed) as nodes:
                one, two, three = self.three(nodes)
                clients = [one.node.client(), two.node.client()]
                calls = [c.call("THREE", "HANG") for c in clients for _ in range(20)]
                watched = [c.watch(self.peer(nodes, three).handle) for c in clients]
                nodes.run(3)
                nodes.stop(three)
                self.balanced(nodes)
                for call in calls:
                    nodes.run(0.2)
                    self.failed(call, RemoteError)
                for watch in watched:
                    self.successResultOf(watch)
                nodes.run(2)
                error = self.failed(clients[0].call("THREE", "ECHO"), PeerDown)
                self.assertTrue(error.retry_safe)

    def test_node_back(self) -> None:
        """A node that stopped comes back under its id and name, and is found again."""
        for seed in range(8):
            with self.nodes(seed) as nodes:
                _, two, three = self.three(nodes)
                client = two.node.client()
                nodes.stop(three)
                nodes.run(1)
                again = nodes.start(3, actors=[SlowPeer, Start(Peer, ("THREE",))])
                nodes.ready()
                self.assertEqual(nodes.result(client.call("THREE", "ECHO", 1)), 1)
                # It is another actor now, at another handle.
                self.assertEqual(
                    nodes.result(client.query("THREE")), again.node.actors()[1].handle
                )

    def test_silent_network(self) -> None:
        """When nothing gets through any more, no call waits for ever."""
        for seed in range(4):
            with self.nodes(seed) as nodes:
                one, two, three = self.three(nodes, call_timeout=5.0)
                for place in (nodes.master, nodes.address(2), nodes.address(3)):
                    nodes.network.silence(place)
                ends: list[tuple[str, str]] = []

                def note(name: str, kind: Any, result: Any, ends: Any = ends) -> None:
                    ends.append((name, result.type.__name__))
                    result.trap(kind)

                for service in (one, two, three):
                    node = service.node
                    peer = self.peer(nodes, service)
                    far = "ONE" if service is two else "TWO"
                    for name, kind, waiting in [
                        ("by name", CallTimeout, peer.call(far, "ECHO")),
                        ("nobody's name", NoSuchName, peer.call("NOBODY", "ECHO")),
                        ("no harbor", PeerDown, peer.call(0x09000001, "ECHO")),
                        ("query", NoSuchName, peer.query("NOBODY")),
                        ("register", NotReady, peer.register(f"X{node.harbor}")),
                    ]:
                        waiting.addBoth(
                            lambda result, name=name, kind=kind: note(
                                name, kind, result
                            )
                        )
                    for dest in (far, "NOBODY", 0x09000001):
                        peer.send(dest, "COUNT", 1)
                self.assertEqual(ends, [])
                nodes.run(6.1)
                self.assertEqual(len(ends), 15)
                for service in (one, two, three):
                    self.assertEqual(service.node.status().ledger.waiting, 0)
                    self.assertEqual(len(service.node._core.calls), 0)
                self.balanced(nodes)
                for place in (nodes.master, nodes.address(2), nodes.address(3)):
                    nodes.network.mend(place)
                nodes.run(5)
                # The answers of those that were only slow come now, for nobody.
                self.assertEqual(
                    [s.node.ledger.late_answers for s in (one, two, three)], [1, 1, 1]
                )


class QueueTests(NetworkTestCase):
    """A peer that does not read."""

    def flood(self, limits: Limits, size: int, count: int) -> tuple[int, int]:
        """Send *count* messages to a node that does not read, then let it read.

        :returns: how many were taken, and by how many bytes the memory grew while
            the second half was refused.
        """
        with self.nodes() as nodes:
            _, two, three = self.three(nodes, limits=limits)
            client = two.node.client()
            handle = nodes.result(client.query("THREE"))
            nodes.network.silence(nodes.address(3))
            padding = "x" * size
            taken = grown = 0
            tracemalloc.start()
            for i in range(count):
                if i == count // 2:
                    grown = -tracemalloc.get_traced_memory()[0]
                try:
                    client.send(handle, "COUNT", taken, padding)
                except QueueFull as error:
                    self.assertTrue(error.retry_safe)
                    self.assertIn("harbor 3", str(error))
                else:
                    taken += 1
                if i % 100 == 0:
                    nodes.run(0.01)
            grown += tracemalloc.get_traced_memory()[0]
            tracemalloc.stop()
            self.balanced(nodes)
            self.failed(client.call(handle, "COUNT", 1, padding), QueueFull)
            # What was taken arrives, and then there is room again.
            nodes.network.mend(nodes.address(3))
            nodes.run(5)
            self.assertEqual(self.peer(nodes, three).seen, list(range(taken)))
            self.assertEqual(nodes.result(client.call(handle, "COUNT", taken)), taken)
        return taken, grown

    def test_messages(self) -> None:
        """At the limit of messages the sender is told, and memory stays flat."""
        taken, grown = self.flood(Limits(messages=500), 10, 20_000)
        # Some were written before the connection was full.
        self.assertGreater(taken, 500)
        self.assertLess(taken, 500 + 65536 // 30)
        self.assertLess(grown, 65536)

    def test_bytes(self) -> None:
        """At the limit of bytes the sender is told, and memory stays flat."""
        taken, grown = self.flood(Limits(size=200_000), 1000, 20_000)
        self.assertGreater(taken, 200)
        self.assertLess(taken, (200_000 + 65536) // 1000 + 1)
        self.assertLess(grown, 65536)


class PromiseTests(NetworkTestCase):
    """The six promises of the design, by number."""

    def test_1_order(self) -> None:
        """Messages of one sender arrive in order, through boot and look-up; once."""
        for seed in range(8):
            with self.nodes(seed) as nodes:
                sent = 0

                def send(client: Actor, times: int, nodes: MemoryNodes = nodes) -> None:
                    nonlocal sent
                    for _ in range(times):
                        client.send("LATE", "COUNT", sent)
                        sent += 1
                        nodes.run(0.01)

                two = nodes.start(2)
                client = two.node.client()
                send(client, 50)  # no master
                nodes.start(1, standalone=True)
                send(client, 300)  # two boots, and nobody of that name
                three = nodes.start(3, actors=[Start(SlowPeer, ("LATE",))])
                send(client, 300)  # a new link, a new name, a gate
                nodes.ready()
                send(client, 100)  # the direct way
                nodes.run(2)
                self.assertEqual(self.peer(nodes, three).seen, list(range(sent)))

    def test_2_fate(self) -> None:
        """Each message is delivered, refused, expired or dropped, and is counted."""
        with self.nodes() as nodes:
            _, two, three = self.three(nodes, call_timeout=3.0)
            ledger, client = two.node.ledger, two.node.client()
            handle = nodes.result(client.query("THREE"))
            nodes.run(1)
            fates = ("accepted", "delivered", "refused", "expired", "dropped")

            def books() -> list[int]:
                self.balanced(nodes)
                return [getattr(ledger, fate) for fate in fates]

            def changes(before: list[int]) -> list[int]:
                return [now - then for now, then in zip(books(), before, strict=True)]

            before = books()
            client.send(handle, "COUNT", 1)
            nodes.run(1)
            self.assertEqual(changes(before), [1, 1, 0, 0, 0])
            # Whom a name belongs to that nobody ever takes.
            before = books()
            client.send("NOBODY", "COUNT", 1)
            self.assertEqual(changes(before), [1, 0, 0, 0, 0])
            nodes.run(5)
            self.assertEqual(changes(before), [1, 0, 0, 1, 0])
            # A message that waits for a harbor which is gone then.
            before = books()
            nodes.network.refuse(nodes.address(3))
            nodes.network.cut(nodes.address(3))
            nodes.run(0.1)
            client.send(handle, "COUNT", 2)
            call = client.call(handle, "COUNT", 3)
            self.assertEqual(changes(before), [2, 0, 0, 0, 0])
            nodes.stop(three)
            nodes.run(1)
            self.assertTrue(self.failed(call, PeerDown).retry_safe)
            self.assertEqual(changes(before), [2, 0, 2, 0, 0])
            # A message for that harbor later on, and for an actor that is no more.
            before = books()
            client.send(handle, "COUNT", 4)
            client.send(Handle.of(2, 0xFFFF), "COUNT", 5)
            self.assertEqual(changes(before), [2, 0, 0, 0, 2])
            letters = [letter.reason for letter in ledger.dead_letters]
            self.assertEqual(
                letters,
                [
                    "waited too long for the name 'NOBODY'",
                    "harbor gone",
                    "its harbor is out of reach",
                    "no such actor",
                ],
            )

    def test_3_gate(self) -> None:
        """No message gets in before the stage ``peers``, and before ``started`` is."""
        for seed in range(4):
            with self.nodes(seed) as nodes:
                one = nodes.start(1, standalone=True)
                nodes.ready()
                # A harbor which the newcomer has to wait for, and which does not link.
                master = nodes.network.client(nodes.master)
                dialed = master.connect(Factory.forProtocol(Stranger))
                holder = nodes.result(dialed)
                assert isinstance(holder, Stranger)
                holder.say(encode(Hello(3, nodes.address(3))))
                nodes.run(1)
                self.assertEqual(holder.heard, encode(Wait(1)))
                two = nodes.start(2, actors=[SlowPeer])
                client = one.node.client()
                for i in range(100):
                    client.send(Handle.of(2, 1), "COUNT", i)
                call = client.call(Handle.of(2, 1), "COUNT", 100)
                nodes.run(5)
                states = [report.state for report in two.node.boot_report()]
                self.assertEqual(states[:4], ["done", "done", "waiting", "to come"])
                self.assertEqual(two.node.actors(), [])
                self.assertEqual(two.node.status().ledger.waiting, 101)
                assert holder.transport is not None
                holder.transport.loseConnection()
                nodes.run(0.9)
                peer = self.peer(nodes, two)
                self.assertEqual((peer.has_started, peer.seen), (False, []))
                self.assertNoResult(call)
                self.assertEqual(nodes.result(call), 100)
                self.assertEqual(peer.seen, list(range(101)))

    def test_4_bound(self) -> None:
        """Each queue has a limit of messages and of bytes: beyond it, `QueueFull`."""
        for limits, room in [(Limits(messages=10), 10), (Limits(size=3000), 2)]:
            with self.nodes() as nodes:
                two = nodes.start(2, limits=limits)
                client = two.node.client()
                padding = "x" * 1000
                # For a name, and for a harbor, while there is no master.
                for dest in ("NOBODY", 0x01000003):
                    for i in range(room):
                        client.send(dest, "COUNT", i, padding)
                    with self.assertRaises(QueueFull):
                        client.send(dest, "COUNT", room, padding)
                    self.failed(client.call(dest, "COUNT", room, padding), QueueFull)
                self.assertEqual(two.node.status().ledger.waiting, 2 * room)
                self.balanced(nodes)
                # At the gate of a node that boots, and at that of an actor.
                actors = [SlowPeer]
                one = nodes.start(1, standalone=True, actors=actors, limits=limits)
                calls: list[Deferred[int]] = []
                while not one.node.actors()[2:]:
                    nodes.run(0.01)
                nodes.run(0.3)
                for i in range(room, 20):
                    calls.append(client.call(0x01000003, "COUNT", i, padding))
                    nodes.run(0.01)
                nodes.ready()
                nodes.run(1)
                # What came in is within the bounds; TCP held the rest.
                for call in calls:
                    self.successResultOf(call)
                peer = self.peer(nodes, one)
                self.assertEqual(peer.seen, list(range(20)))

    def test_5_time(self) -> None:
        """No remote call waits for ever; a late answer is counted, not delivered."""
        with self.nodes() as nodes:
            _, two, three = self.three(nodes)
            client = two.node.client()
            began = nodes.clock.seconds()
            calls = [
                client.call("THREE", "HANG", 1),
                client.call("THREE", "HANG", 2, timeout=2.0),
                client.call("THREE", "HANG", 3, timeout=None),
            ]
            with self.assertRaises(CallTimeout):
                nodes.result(calls[1])
            self.assertApproximates(nodes.clock.seconds() - began, 2.0, 0.05)
            with self.assertRaises(CallTimeout):
                nodes.result(calls[0])
            self.assertApproximates(nodes.clock.seconds() - began, 30.0, 0.05)
            for hanging in self.peer(nodes, three).hanging:
                hanging.callback(None)
            self.assertEqual(nodes.result(calls[2]), 3)
            self.assertEqual(two.node.ledger.late_answers, 2)

    def test_6_truth_in_failures(self) -> None:
        """An error that is retry safe is that of a request which nobody ever saw."""
        with self.nodes() as nodes:
            _, two, three = self.three(nodes, call_timeout=4.0)
            client = two.node.client()
            peer = self.peer(nodes, three)
            handle = peer.handle
            number = 0

            def expect(
                kind: type[SkynetError],
                dest: int | str,
                meanwhile: Callable[[], object] = lambda: None,
            ) -> None:
                nonlocal number
                number += 1
                call = client.call(dest, "HANG", number)
                nodes.run(0.1)
                meanwhile()
                with self.assertRaises(kind) as raised:
                    nodes.result(call)
                nodes.run(5)
                ran, peer.hanging = bool(peer.hanging), []
                if raised.exception.retry_safe:
                    self.assertFalse(ran, kind)
                self.assertEqual(kind.retry_safe, not ran)

            network, place = nodes.network, nodes.address(3)
            expect(CallTimeout, handle)
            expect(LinkLost, handle, lambda: network.cut(place))
            network.refuse(place)
            network.cut(place)
            nodes.run(0.1)
            expect(PeerDown, handle)
            network.mend(place)
            nodes.run(10)
            expect(NoSuchName, "NOBODY")
            failed = client.call("THREE", "FAIL")
            with self.assertRaises(RemoteError) as raised:
                nodes.result(failed)
            self.assertFalse(raised.exception.retry_safe)
            self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)
            late = nodes.start(4, call_timeout=2.0, master="nowhere:1")
            caller = late.node.client()
            with self.assertRaises(NotReady) as early:
                nodes.result(caller.call(handle, "HANG"))
            self.assertTrue(early.exception.retry_safe)
            self.assertEqual(peer.hanging, [])
            nodes.stop(late)
            hanging = client.call("THREE", "HANG")
            nodes.run(1)
            nodes.stop(three)
            nodes.run(1)
            self.assertFalse(self.failed(hanging, RemoteError).retry_safe)
            peer.hanging.clear()
            expect(PeerDown, "THREE")


class Walker(Peer):
    """An actor of the simulation: knows who sent it which number, in which order."""

    async def started(self, *names: str) -> None:
        self.got: dict[str, list[int]] = {}
        await super().started(*names)

    @command
    def NOTE(self, sender: str, number: int) -> None:
        self.got.setdefault(sender, []).append(number)

    @command
    async def ASK(self, sender: str, number: int, seconds: float) -> int:
        self.NOTE(sender, number)
        if seconds:
            await self.sleep(seconds)
        return number


class Simulation:
    """Random traffic between the actors of three nodes, and random failures.

    Each walker numbers what it sends to each other one, which it always addresses in
    the same way: by its name or by its handle.
    """

    def __init__(self, test: NetworkTestCase, nodes: MemoryNodes) -> None:
        self.test = test
        self.nodes = nodes
        self.random = nodes.network.random
        self.master = LoneMaster(nodes)
        self.numbers: dict[tuple[str, str], int] = {}
        self.calls: dict[tuple[str, str, int], list[Any]] = {}
        self.walkers: dict[str, Walker] = {}
        #: Those whose nodes were stopped, by name.
        self.gone: list[tuple[str, Walker]] = []
        self.by_handle: set[tuple[str, str]] = set()

    def boot(self) -> None:
        """Start all in any order, and give each pair its way to address."""
        starts = [self.master.start, *(partial(self.start_node, h) for h in (1, 2, 3))]
        self.random.shuffle(starts)
        for start in starts:
            start()
        self.ready()
        pairs = [(a, b) for a in self.walkers for b in self.walkers if a != b]
        self.by_handle.update(self.random.sample(pairs, len(pairs) // 2))

    def start_node(self, harbor: int) -> None:
        """Start a node with two walkers."""
        actors = [Start(Walker, (f"{name}{harbor}",)) for name in "AB"]
        self.nodes.start(harbor, actors=actors)

    def ready(self) -> None:
        """Wait for all nodes, and find their walkers."""
        self.nodes.ready()
        for service in self.nodes.services:
            for context in service.node.actors():
                if isinstance(context.actor, Walker):
                    self.walkers[context.names[0]] = context.actor

    def restart(self) -> None:
        """Stop a node in order, and start it again, while all is well."""
        self.mend()
        self.nodes.run(12)
        service = self.random.choice(self.nodes.services)
        for context in service.node.actors():
            if isinstance(context.actor, Walker):
                self.gone.append((context.names[0], context.actor))
        self.nodes.stop(service)
        self.test.assertEqual(
            service.node.ledger.balance(service.node.status().ledger.waiting), 0
        )
        self.nodes.run(self.random.choice([0.5, 3.0]))
        self.start_node(service.node.harbor)
        self.ready()

    def mend(self) -> None:
        """Let all get through again."""
        for place in (self.nodes.master, *map(self.nodes.address, (1, 2, 3))):
            self.nodes.network.mend(place)

    def say(self) -> None:
        """Somebody sends to somebody, or calls."""
        source, target = self.random.sample(sorted(self.walkers), 2)
        pair = (source, target)
        number = self.numbers[pair] = self.numbers.get(pair, 0) + 1
        walker = self.walkers[source]
        dest: int | str = target
        if pair in self.by_handle:
            dest = self.walkers[target].handle
        if self.random.random() < 0.5:
            walker.send(dest, "NOTE", source, number)
            return
        seconds = self.random.choice([0.0, 0.0, 0.3, 8.0])
        limit = self.random.choice([1.0, 5.0, 30.0])
        ends = self.calls[source, target, number] = []
        call = walker.call(dest, "ASK", source, number, seconds, timeout=limit)
        call.addBoth(ends.append)

    def fail(self) -> None:
        """Something happens to the network."""
        nodes, network = self.nodes, self.nodes.network
        places = [nodes.master, *(nodes.address(harbor) for harbor in (1, 2, 3))]
        place = self.random.choice(places)
        what = self.random.randrange(7)
        if what < 2:
            network.cut(place)
        elif what == 2:
            network.refuse(place)
            network.cut(place)
        elif what == 3:
            network.silence(place)
        elif what == 4:
            self.mend()
        elif what == 5:
            self.restart()
        else:
            self.master.stop()
            nodes.run(self.random.choice([0.0, 0.5, 3.0]))
            self.master.start()

    def run(self, steps: int) -> None:
        """Let it all happen, and look into the books after each step."""
        for _ in range(steps):
            for _ in range(self.random.choice([0, 1, 5, 40])):
                self.say()
            if self.random.random() < 0.06:
                self.fail()
            self.nodes.run(self.random.choice([0.01, 0.05, 0.3]))
            self.test.balanced(self.nodes)

    def settle(self) -> None:
        """Mend everything, and let all time limits pass."""
        self.mend()
        self.nodes.run(50, 0.05)
        self.test.balanced(self.nodes)

    def judge(self) -> int:
        """Compare what was sent with what arrived; return how many calls failed."""
        test = self.test
        seen: dict[tuple[str, str], set[int]] = {}
        for target, walker in [*self.walkers.items(), *self.gone]:
            for source, numbers in walker.got.items():
                pair = (source, target)
                test.assertEqual(numbers, sorted(set(numbers)), pair)
                test.assertLessEqual(numbers[-1], self.numbers[pair])
                both = seen.setdefault(pair, set()).intersection(numbers)
                test.assertEqual(both, set(), pair)
                seen[pair].update(numbers)
        failures = 0
        for (source, target, number), ends in self.calls.items():
            test.assertEqual(len(ends), 1, (source, target, number))
            arrived = number in seen.get((source, target), set())
            if not isinstance(ends[0], Failure):
                test.assertEqual((ends[0], arrived), (number, True))
                continue
            failures += 1
            error = ends[0].value
            test.assertIsInstance(error, SkynetError)
            if error.retry_safe:
                test.assertFalse(arrived, error)
        return failures


class SimulationTests(NetworkTestCase):
    """Random traffic over a network where everything fails at random."""

    #: How many courses of events are tried.
    seeds = 20

    def test_simulation(self) -> None:
        """Order, no duplicates, one end for each call, and honest books, always."""
        failures = calls = 0
        for seed in range(self.seeds):
            with self.nodes(seed) as nodes:
                simulation = Simulation(self, nodes)
                simulation.boot()
                simulation.run(300)
                simulation.settle()
                failures += simulation.judge()
                calls += len(simulation.calls)
                # In the end, all is as if nothing had happened.
                for source in simulation.walkers.values():
                    for target in simulation.walkers:
                        answer = nodes.result(source.call(target, "ECHO", seed))
                        self.assertEqual(answer, seed)
                for service in nodes.services:
                    self.assertEqual(service.node.status().ledger.waiting, 0)
                    self.assertEqual(len(service.node._core.calls), 0)
                nodes.stop()
                simulation.master.stop()
        # It is worth nothing if nothing fails, or if nothing works.
        self.assertGreater(failures, calls // 100)
        self.assertLess(failures, calls // 2)
