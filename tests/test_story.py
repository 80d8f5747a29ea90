"""The boot bugs of September 2013: a model of each fails, our nodes hold on both wires.

``docs/story.md`` tells the story; its table names the tests here.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise, product
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionRefusedError
from twisted.internet.task import Clock, LoopingCall
from twisted.python.reflect import namedAny
from twisted.trial.unittest import SynchronousTestCase, TestCase

from skynet_tw import Actor, CallTimeout, Handle, LinkLost, PeerDown, command
from skynet_tw.net.wires import WIRES
from skynet_tw.service import NodeService
from skynet_tw.starts import Start
from skynet_tw.testing import MemoryNetwork, MemoryNodes
from skynet_tw.testing.network import parse

from .reactors.matrix import run_on
from .reactors.run import why_lacking
from .story import old
from .test_sockets import ANY, LOOPBACK, Doorkeeper, SocketTestCase

#: What the network is like, one after the other: seconds that each step takes, from and
#: to, and how many bytes a read brings at most.
NETWORKS = [((0.0, 0.0), 0), ((0.0, 0.02), 40), ((0.005, 0.2), 0)]

#: Each wire on each of them.
KINDS = [*product(WIRES, range(len(NETWORKS)))]

#: Messages that are sent at a time.
MANY = 50

STORY = Path(__file__).resolve().parent.parent / "docs" / "story.md"


class Counter(Actor):
    """Notes the numbers that it is sent, and whether it was asked too early."""

    async def started(self, *names: str) -> None:
        self.seen: list[int] = []
        for name in names:
            await self.register(name)

    @command
    def COUNT(self, number: int) -> int:
        self.seen.append(number)
        return number

    @command
    async def HANG(self) -> None:
        await Deferred()


class Slow(Counter):
    """Has started when its test says so."""

    async def started(  # type: ignore[override]
        self, may_start: Deferred[None], *names: str
    ) -> None:
        await super().started(*names)
        await may_start
        assert self.seen == []


class Early(Actor):
    """Sends to another node, and calls it, before it has started itself."""

    async def started(self) -> None:
        for number in range(MANY - 1):
            self.send("COUNTER", "COUNT", number)
        self.answer = await self.call("COUNTER", "COUNT", MANY - 1)


class StoryCase(TestCase):
    """Has networks of nodes in memory; their books balance in the end."""

    @contextmanager
    def nodes(self, wire: str, seed: int) -> Iterator[MemoryNodes]:
        """A network of one kind, and its end."""
        nodes = MemoryNodes(MemoryNetwork(Clock(), seed, *NETWORKS[seed]))
        try:
            yield nodes
        except Exception as error:
            raise AssertionError(f"on wire {wire}, on network {seed}") from error
        services = list(nodes.services)
        nodes.stop()
        for service in services:
            node = service.node
            self.assertEqual(node.ledger.balance(node.status().ledger.waiting), 0)
        self.assertEqual(nodes.clock.getDelayedCalls(), [])

    def master(
        self, nodes: MemoryNodes, wire: str, *actors: type[Actor] | Start
    ) -> NodeService:
        """Start node 1, with the master."""
        return nodes.start(1, standalone=True, actors=actors, wire=wire)

    def counter(self, nodes: MemoryNodes, service: NodeService) -> Counter:
        """The counter that lives in a node."""
        return nodes.actor(service, Counter)


class TooEarlyTests(StoryCase):
    """An actor needs another node before the connection to the master is up."""

    def test_old_fails(self) -> None:
        """The first version aborts on an assert."""
        node = old.Aborting(Clock())
        node.connect()
        self.assertRaises(AssertionError, node.send, 1)

    def test_ours_holds(self) -> None:
        """What is sent and called before there is any master arrives, and is answered.

        So does what an actor sends in its own `started`.
        """
        for wire, seed in KINDS:
            with self.nodes(wire, seed) as nodes:
                two = nodes.start(2, actors=[Early], wire=wire)
                client = two.node.client()
                client.send("COUNTER", "COUNT", -2)
                answer = client.call("COUNTER", "COUNT", -1)
                nodes.run(3)
                self.assertNoResult(answer)
                one = self.master(nodes, wire, Start(Counter, ("COUNTER",)))
                nodes.ready()
                self.assertEqual(nodes.result(answer), -1)
                self.assertEqual(nodes.actor(two, Early).answer, MANY - 1)
                seen = self.counter(nodes, one).seen
                self.assertEqual(seen, [-2, -1, *range(MANY)])


class OneMessageTests(StoryCase):
    """Several messages wait for one connection."""

    def test_old_fails(self) -> None:
        """A callback that is swapped with one message in hand loses the others."""
        clock = Clock()
        node = old.Swapping(clock)
        for message in (1, 2, 3):
            node.send(message)
        clock.advance(old.CONNECT)
        node.send(4)
        self.assertEqual(node.arrived, [3, 4])

    def test_ours_holds(self) -> None:
        """All that wait arrive once, in order, to a name as well as to a handle."""
        for wire, seed in KINDS:
            with self.nodes(wire, seed) as nodes:
                client = nodes.start(2, wire=wire).node.client()
                for number in range(MANY):
                    client.send("ONE", "COUNT", number)
                    client.send(Handle.of(3, 1), "COUNT", number)
                one = self.master(nodes, wire, Start(Counter, ("ONE",)))
                three = nodes.start(3, actors=[Counter], wire=wire)
                nodes.ready()
                nodes.run(2)
                for service in (one, three):
                    seen = self.counter(nodes, service).seen
                    self.assertEqual(seen, [*range(MANY)])


class ForwardTests(StoryCase):
    """Messages go on to be sent while the connection comes up."""

    def test_old_fails(self) -> None:
        """A node that forwards to itself what cannot leave yet breaks the order."""
        clock = Clock()
        node = old.Forwarding(clock)
        node.connect()
        for message in range(3):
            node.send(message)
        while not node.connected:
            clock.advance(node.TURN)
        node.send(3)
        clock.pump([node.TURN] * 3)
        self.assertEqual(sorted(node.arrived), [0, 1, 2, 3])
        self.assertNotEqual(node.arrived, [0, 1, 2, 3])
        # In the meantime it was busy with nothing.
        self.assertGreater(node.vain, 3)

    def test_ours_holds(self) -> None:
        """The order stays from waiting to sending straight, to a name and a handle."""
        for wire, seed in KINDS:
            with self.nodes(wire, seed) as nodes:
                one = self.master(nodes, wire, Start(Counter, ("ONE",)))
                client = nodes.start(2, wire=wire).node.client()
                three = None
                for number in range(4 * MANY):
                    if number == MANY:
                        three = nodes.start(3, actors=[Counter], wire=wire)
                    client.send("ONE", "COUNT", number)
                    client.send(Handle.of(3, 1), "COUNT", number)
                    nodes.run(0.01)
                assert three is not None
                nodes.ready()
                nodes.run(2)
                for service in (one, three):
                    seen = self.counter(nodes, service).seen
                    self.assertEqual(seen, [*range(4 * MANY)])


class BlockingTests(StoryCase, SocketTestCase):
    """Somebody does not answer whom a node connects to."""

    def test_old_fails(self) -> None:
        """A node that stands in connect has no turn for anybody else."""
        clock = Clock()
        beats: list[float] = []
        beat = LoopingCall(lambda: beats.append(clock.seconds()))
        beat.clock = clock
        beat.start(0.1)
        node = old.Blocking(clock)
        clock.pump([0.1] * 5)
        node.send(1)
        clock.pump([0.1] * 5)
        beat.stop()
        self.assertEqual(node.arrived, [1])
        gaps = [after - before for before, after in pairwise(beats)]
        self.assertGreaterEqual(max(gaps), old.CONNECT)

    def test_ours_holds(self) -> None:
        """A node works on while the master, or another node, does not answer."""
        for wire, seed in KINDS:
            with self.nodes(wire, seed) as nodes:
                nodes.network.silence(nodes.master)
                two = nodes.start(2, actors=[Counter], wire=wire)
                handle = nodes.result(two.node.spawn(Counter))
                client = two.node.client()
                for number in range(MANY):
                    answer = nodes.result(client.call(handle, "COUNT", number), 0.02)
                    self.assertEqual(answer, number)
                    nodes.run(0.1)
                waiting = two.node.boot_report()[1]
                self.assertEqual((waiting.stage, waiting.state), ("master", "waiting"))
                nodes.network.mend(nodes.master)
                one = self.master(nodes, wire, Start(Counter, ("ONE",)))
                nodes.start(3, wire=wire)
                nodes.ready()
                nodes.result(client.query("ONE"))
                nodes.network.silence(nodes.address(3))
                nodes.network.cut(nodes.address(3))
                for number in range(MANY):
                    answer = nodes.result(client.call("ONE", "COUNT", number), 1.0)
                    self.assertEqual(answer, number)
                self.assertEqual(self.counter(nodes, one).seen, [*range(MANY)])
                nodes.network.mend(nodes.address(3))

    async def test_ours_holds_on_sockets(self) -> None:
        """The same on sockets: whoever listens there takes no connection at all."""
        deaf = socket.socket()
        self.addCleanup(deaf.close)
        deaf.bind((LOOPBACK, 0))
        deaf.listen(0)
        for _ in range(4):
            # They fill the queue of connections that wait to be accepted.
            other = socket.socket()
            self.addCleanup(other.close)
            other.setblocking(False)
            other.connect_ex(deaf.getsockname())
        master = f"{LOOPBACK}:{deaf.getsockname()[1]}"
        for wire in WIRES:
            service = self.start(2, master=master, wire=wire)
            handle = await service.node.spawn(Counter)
            client = service.node.client()
            for number in range(MANY):
                self.assertEqual(await client.call(handle, "COUNT", number), number)
                await self.turn()
            waiting = service.node.boot_report()[1]
            self.assertEqual((waiting.stage, waiting.state), ("master", "waiting"))
            await self.stop(service)


class ListenTests(StoryCase, SocketTestCase):
    """A node runs the master, and looks for it in its own process."""

    def test_old_fails(self) -> None:
        """Nobody listens before the loop turns, so the first node finds no master."""
        clock = Clock()
        ports = old.DeferredPorts(clock)
        ports.listen("127.0.0.1:2013")
        self.assertRaises(ConnectionRefusedError, ports.connect, "127.0.0.1:2013")
        clock.advance(0)
        ports.connect("127.0.0.1:2013")

    def test_ours_holds(self) -> None:
        """Every port is bound before any connection, and any turn of the loop."""
        for wire, seed in KINDS:
            with self.nodes(wire, seed) as nodes:
                one = self.master(nodes, wire, Counter)
                for address in (nodes.master, nodes.address(1)):
                    self.assertIsNotNone(nodes.network.listener(parse(address)))
                self.assertEqual(one.node.boot_report()[0].state, "done")
                self.assertEqual(nodes.network.wires, [])
                nodes.ready()

    async def test_ours_holds_on_sockets(self) -> None:
        """On sockets both ports take a connection at once, and the master is found."""
        for wire in WIRES:
            keeper = Doorkeeper()
            service = self.start(
                1,
                Start(Counter, ("ONE",)),
                keeper=keeper,
                bind_only=True,
                standalone=ANY,
                wire=wire,
            )
            for index in range(2):
                # No await: the reactor has had no turn since.
                socket.create_connection((LOOPBACK, keeper.port(index))).close()
            service.startService()
            await service.node.when_ready()
            client = service.node.client()
            self.assertEqual(await client.call("ONE", "COUNT", 7), 7)
            await self.stop(service)


class FilterTests(SynchronousTestCase):
    """Sockets that can be read, or written, are told from each other by filters."""

    def test_old_fails(self) -> None:
        """Asked as of a bit mask, every event is of both filters.

        `tests.reactors.test_bitmask_proof` has the whole back end of 2013; here is
        one test of many that it fails.
        """
        for event in (old.READ, old.WRITE):
            self.assertTrue(old.is_filter_2013(event, old.READ))
            self.assertTrue(old.is_filter_2013(event, old.WRITE))
        if why_lacking("kqueue") is None:
            test = "tests.reactors.test_contract.ContractTests.test_only_read"
            outcome = run_on("kqueue-bitmask", (test,))
            self.assertEqual(outcome.line, "reactor kqueue-bitmask: 0 passed, 1 failed")

    def test_ours_holds(self) -> None:
        """On Twisted's kqueue reactor whole nodes of both wires boot and talk."""
        outcome = run_on(
            "kqueue",
            (
                "tests.reactors.test_contract.ContractTests.test_only_read",
                f"{__name__}.BlockingTests.test_ours_holds_on_sockets",
                f"{__name__}.ListenTests.test_ours_holds_on_sockets",
            ),
        )
        self.assertEqual(outcome.line, "reactor kqueue: 3 tests passed", outcome.output)

    if why_lacking("kqueue"):
        test_ours_holds.skip = why_lacking("kqueue")  # type: ignore[attr-defined]


class InboundTests(StoryCase):
    """Who knows the address of a node sends while its actor is still starting."""

    def test_old_fails(self) -> None:
        """Stages alone lose what comes first, and deliver the next too early."""
        node = old.StagedNode()
        node.receive(1)
        actor = node.begin()
        node.receive(2)
        actor.has_started = True
        node.receive(3)
        self.assertEqual((node.lost, actor.early, actor.seen), ([1], [2], [3]))

    def test_ours_holds(self) -> None:
        """All waits for the end of `started`, and is then delivered in order."""
        for wire, seed in KINDS:
            with self.nodes(wire, seed) as nodes:
                one = self.master(nodes, wire)
                nodes.ready()
                client = one.node.client()
                there = Handle.of(2, 1)
                answers = [
                    client.call(there, "COUNT", number) for number in range(MANY)
                ]
                may_start: Deferred[None] = Deferred()
                two = nodes.start(2, actors=[Start(Slow, (may_start,))], wire=wire)
                while not two.node.actors():
                    answers.append(client.call(there, "COUNT", len(answers)))
                    nodes.run(0.01)
                answers += [
                    client.call(there, "COUNT", len(answers) + i) for i in range(9)
                ]
                nodes.run(2)
                # Everything has crossed, and waits for the actor.
                self.assertEqual(one.node.status().ledger.waiting, 0)
                self.assertEqual(two.node.status().ledger.waiting, len(answers))
                self.assertEqual(self.counter(nodes, two).seen, [])
                self.assertEqual(two.node.boot_report()[4].state, "waiting")
                may_start.callback(None)
                nodes.ready()
                numbers = [*range(len(answers))]
                self.assertEqual([nodes.result(answer) for answer in answers], numbers)
                self.assertEqual(self.counter(nodes, two).seen, numbers)


class AlikeTests(StoryCase):
    """A program cannot see what is local and what is remote."""

    def test_old_fails(self) -> None:
        """A call to a node that is gone looks like any other, and never ends."""
        node = old.Alike(harbor=1)
        node.add(0x01000001, str.upper)
        answers: list[str] = []
        node.call(0x01000001, "local", answers.append)
        node.call(0x02000001, "remote", answers.append)
        self.assertEqual(answers, ["LOCAL"])

    def test_ours_holds(self) -> None:
        """A handle tells whose it is; what fails remotely says what became of it."""
        for wire, seed in KINDS:
            with self.nodes(wire, seed) as nodes:
                one = self.master(nodes, wire, Start(Counter, (".here",)))
                two = nodes.start(2, actors=[Start(Counter, ("THERE",))], wire=wire)
                nodes.ready()
                client = one.node.client()
                here = nodes.result(client.query(".here"))
                there = nodes.result(client.query("THERE"))
                self.assertEqual((here.harbor, there.harbor), (1, 2))
                late = client.call(there, "HANG", timeout=1.0)
                with self.assertRaises(CallTimeout) as timeout:
                    nodes.result(late)
                self.assertFalse(timeout.exception.retry_safe)
                lost = client.call(there, "HANG")
                nodes.run(1)
                for harbor in (1, 2):
                    nodes.network.refuse(nodes.address(harbor))
                    nodes.network.cut(nodes.address(harbor))
                with self.assertRaises(LinkLost) as link_lost:
                    nodes.result(lost)
                self.assertFalse(link_lost.exception.retry_safe)
                with self.assertRaises(PeerDown) as peer_down:
                    nodes.result(client.call(there, "COUNT", 1, timeout=1.0))
                self.assertTrue(peer_down.exception.retry_safe)
                self.assertEqual(nodes.result(client.call(here, "COUNT", 1)), 1)
                self.assertEqual(self.counter(nodes, two).seen, [])

    def test_ours_holds_without_harbor(self) -> None:
        """The core needs no distributed layer: a node without one is just local."""
        for wire, seed in KINDS:
            with self.nodes(wire, seed) as nodes:
                node = nodes.start(
                    0, actors=[Start(Counter, (".here",))], wire=wire
                ).node
                nodes.ready()
                self.assertEqual(
                    nodes.result(node.client().call(".here", "COUNT", 1)), 1
                )
                with self.assertRaises(PeerDown):
                    nodes.result(node.client().call(Handle.of(2, 1), "COUNT", 1))


class TableTests(SynchronousTestCase):
    """The table of ``docs/story.md``."""

    def setUp(self) -> None:
        rows = re.findall(r"^\|.*\|$", STORY.read_text(), re.MULTILINE)[2:]
        self.named = [re.findall(r"`(tests\.[\w.]+)`", row) for row in rows]

    def test_exist(self) -> None:
        """Each row names tests, and all of them exist."""
        for names in self.named:
            self.assertTrue(names)
            for name in names:
                found: Any = namedAny(name)
                self.assertTrue(callable(found), name)
                self.assertTrue(name.rpartition(".")[2].startswith("test_"), name)

    def test_complete(self) -> None:
        """Each problem here has its row, which names both of its tests."""
        for kind in list(globals().values()):
            if isinstance(kind, type) and "test_old_fails" in vars(kind):
                both = {
                    f"{__name__}.{kind.__name__}.{which}"
                    for which in ("test_old_fails", "test_ours_holds")
                }
                rows = [names for names in self.named if both <= set(names)]
                self.assertEqual(len(rows), 1, kind.__name__)
