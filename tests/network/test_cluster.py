"""Nodes of a cluster: links that are made when they are needed, and how they end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.interfaces import (
    IListeningPort,
    IProtocol,
    IProtocolFactory,
    IStreamClientEndpoint,
    IStreamServerEndpoint,
)
from twisted.internet.protocol import Factory
from twisted.internet.task import Clock
from twisted.internet.testing import EventLoggingObserver
from twisted.logger import (
    ILogObserver,
    LogEvent,
    formatEvent,
    globalLogPublisher,
)
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from skynet_tw import (
    Actor,
    BootFailed,
    CallTimeout,
    Limits,
    LinkLost,
    NotReady,
    PeerDown,
    RemoteError,
    SkynetError,
    command,
)
from skynet_tw.interfaces import INodeDirectory
from skynet_tw.net.kit.limits import ConnectionLimits
from skynet_tw.service import NodeService
from skynet_tw.testing import MemoryNetwork, MemoryNodes
from skynet_tw.testing.course import NETWORKS
from skynet_tw.testing.invariants import check_books, check_idle

from ..net.linkworld import Stranger

BANK = "bank:7000"
OTHER = "bank:7001"


class Bank(Actor):
    """Notes the numbers that it is sent, and answers in every way."""

    async def started(self) -> None:
        self.seen: list[int] = []
        self.hanging: list[Deferred[Any]] = []
        await self.cluster.register("bank")

    @command
    def COUNT(self, i: int, *padding: str) -> int:
        self.seen.append(i)
        return i

    @command
    def ECHO(self, *values: Any) -> tuple[Any, ...]:
        return values

    @command
    async def HANG(self) -> None:
        wait: Deferred[Any] = Deferred()
        self.hanging.append(wait)
        await wait

    @command
    def WHO(self) -> int:
        return self.sender


class ClusterTestCase(SynchronousTestCase):
    """A bank and a client on a network in memory; the books balance in the end."""

    @contextmanager
    def nodes(self, seed: int = 0, **options: Any) -> Iterator[MemoryNodes]:
        """The bank runs, and a client whose table has it."""
        delay, chunk = NETWORKS[seed % len(NETWORKS)]
        nodes = self.all = MemoryNodes(MemoryNetwork(Clock(), seed, delay, chunk))
        self.network = nodes.network
        self.bank = self.start_bank()
        self.service = self.start_client(**options)
        nodes.ready()
        self.client = self.service.node.client()
        yield nodes
        for service in nodes.services:
            check_books(service.node)
        nodes.stop()
        self.assertEqual(nodes.clock.getDelayedCalls(), [])
        self.assertEqual(nodes.network.wires, [])

    def start_bank(self, address: str = BANK, **options: Any) -> NodeService:
        return self.all.start(0, actors=[Bank], cluster_listen=[address], **options)

    def start_client(self, **options: Any) -> NodeService:
        options.setdefault("cluster_nodes", {"bank": BANK})
        return self.all.start(0, **options)

    @property
    def actor(self) -> Bank:
        """The bank itself."""
        return self.all.actor(self.bank, Bank)

    def call(self, *values: Any, **rest: Any) -> Deferred[Any]:
        return self.client.cluster.call("bank", "@bank", *values, **rest)

    def send(self, *values: Any) -> None:
        self.client.cluster.send("bank", "@bank", *values)

    def failed(self, waiting: Deferred[Any], kind: type[Exception]) -> Any:
        """The error of a call, as time passes."""
        with self.assertRaises(kind) as caught:
            self.all.result(waiting)
        return caught.exception

    def answer(self, *values: Any, **rest: Any) -> Any:
        """The answer to a call, as time passes."""
        return self.all.result(self.call(*values, **rest))


class LinkTests(ClusterTestCase):
    """One link for each node, made when something is for it."""

    def test_made_when_needed(self) -> None:
        """The first message makes the link, and all the others take it."""
        with self.nodes() as nodes:
            self.assertEqual(self.network.connections(BANK), 0)
            calls = [self.call("COUNT", i) for i in range(50)]
            self.send("COUNT", 50)
            self.assertEqual([nodes.result(call) for call in calls], [*range(50)])
            self.assertEqual(self.network.connections(BANK), 1)
            self.assertEqual(self.actor.seen, [*range(51)])
            (info,) = self.service.cluster.links()
            self.assertEqual((info.peer, info.address), ("bank", BANK))
            (seen,) = self.bank.cluster.links()
            self.assertEqual(
                (seen.bytes_in, seen.bytes_out), (info.bytes_out, info.bytes_in)
            )

    def test_order(self) -> None:
        """Pushes and calls arrive in order from the first on, around large ones."""
        for seed in range(4):
            with self.nodes(seed) as nodes:
                last = None
                for i in range(60):
                    padding = ["x" * 50_000] if i % 20 == 0 else []
                    if i % 3:
                        self.send("COUNT", i, *padding)
                    else:
                        last = self.call("COUNT", i, *padding)
                    if i % 7 == 0:
                        nodes.run(0.01)
                assert last is not None
                nodes.result(last)
                nodes.run(1.0)
                self.assertEqual(self.actor.seen, [*range(60)])

    def test_sizes(self) -> None:
        """Bodies around the border of what is cut, and large ones, both ways."""
        with self.nodes():
            for size in (32_700, 32_767, 32_768, 32_769, 65_536, 1 << 20, 20 << 20):
                # So many bytes have "ECHO" and the text's length in front.
                value = "x" * (size - 10)
                self.assertEqual(self.answer("ECHO", value), value)

    def test_large_ones_hold_up_nobody(self) -> None:
        """A small message of another sender passes between the parts of a large one."""
        with self.nodes(3) as nodes:
            other = self.service.node.client()
            self.answer("COUNT", 0)
            large = self.call("ECHO", "x" * 600_000, timeout=100)
            nodes.run(0.1)
            small = other.cluster.call("bank", "@bank", "COUNT", 1)
            nodes.result(small)
            self.assertNoResult(large)
            nodes.result(large, 100)

    def test_idle(self) -> None:
        """A link without traffic is closed, and comes back unseen."""
        with self.nodes() as nodes:
            self.answer("COUNT", 0)
            self.send("COUNT", 1)
            nodes.run(80, 0.5)
            self.assertEqual(self.network.connections(BANK), 0)
            self.assertEqual(self.answer("COUNT", 2), 2)
            self.assertEqual(self.actor.seen, [0, 1, 2])

    def test_not_idle(self) -> None:
        """A link on which a call waits is not closed."""
        with self.nodes() as nodes:
            waiting = self.call("HANG", timeout=500)
            nodes.run(200, 0.5)
            self.actor.hanging[0].callback(None)
            nodes.result(waiting)
            self.assertEqual(self.network.connections(BANK), 1)

    def test_both_directions(self) -> None:
        """Two nodes that call each other have a link for each direction."""
        with self.nodes() as nodes:
            self.all.result(self.bank.cluster.reload({"client": "client:7000"}))
            nodes.result(self.service.cluster.open("client:7000"))
            self.answer("COUNT", 0)
            back = self.actor.cluster.call("client", ".nobody", "X")
            self.assertRaises(RemoteError, nodes.result, back)
            self.assertEqual(self.network.connections(BANK), 1)
            self.assertEqual(self.network.connections("client:7000"), 1)

    def test_itself(self) -> None:
        """A node may call itself by its name in the table."""
        with self.nodes() as nodes:
            self.all.result(self.bank.cluster.reload({"me": BANK}))
            called = self.actor.cluster.call("me", "@bank", "COUNT", 7)
            self.assertEqual(nodes.result(called), 7)


class AbsentTests(ClusterTestCase):
    """Nodes that are not there, or not any more."""

    def test_not_there_at_first(self) -> None:
        """What is for a node that starts later arrives, in order."""
        with self.nodes() as nodes:
            self.all.stop(self.bank)
            for i in range(10):
                self.send("COUNT", i)
            called = self.call("COUNT", 10)
            nodes.run(5)
            self.bank = self.start_bank()
            self.assertEqual(nodes.result(called), 10)
            self.assertEqual(self.actor.seen, [*range(11)])

    def test_never_there(self) -> None:
        """A call to a node that never comes is safe to make again; dialing ends."""
        with self.nodes() as nodes:
            self.all.stop(self.bank)
            error = self.failed(self.call("COUNT", 1, timeout=3), PeerDown)
            self.assertTrue(error.retry_safe)
            nodes.run(40)
            # Nobody waits any more, so that nobody is dialed.
            self.assertFalse(self.service.cluster._nodes._links["bank"].route.is_used)

    def test_fail(self) -> None:
        """Where nothing waits for an absent node, one attempt decides."""
        with self.nodes(cluster_absent="fail") as nodes:
            self.assertEqual(self.answer("COUNT", 0), 0)
            unknown = self.client.cluster.call("nobody", "@x")
            self.failureResultOf(unknown, PeerDown)
            self.all.stop(self.bank)
            nodes.run(1)
            began = nodes.clock.seconds()
            self.send("COUNT", 1)
            error = self.failed(self.call("COUNT", 2), PeerDown)
            self.assertIn("refused", str(error))
            self.assertLess(nodes.clock.seconds() - began, 1)
            self.bank = self.start_bank()
            self.assertEqual(self.answer("COUNT", 3), 3)
            self.assertEqual(self.actor.seen, [3])

    def test_nowaiting(self) -> None:
        """The table can say that nothing waits, and later that it does."""
        with self.nodes(cluster_nodes={"bank": BANK, "__nowaiting": True}) as nodes:
            call = self.client.cluster.call
            self.failureResultOf(call("nobody", "@x"), PeerDown)
            nodes.result(self.service.cluster.reload({"__nowaiting": False}))
            waiting = call("nobody", "@bank", "COUNT", 1)
            nodes.result(self.service.cluster.reload({"nobody": BANK}))
            self.assertEqual(nodes.result(waiting), 1)

    def test_bad_addresses(self) -> None:
        """An address that cannot be dialed counts as a node that is not reached."""
        for absent in ("wait", "fail"):
            table = {"bank": BANK, "a": "nowhere", "b": "h:x"}
            with self.nodes(cluster_nodes=table, cluster_absent=absent):
                for name in ("a", "b"):
                    called = self.client.cluster.call(name, "@x", timeout=2)
                    self.failed(called, PeerDown)

    def test_fails_at_once(self) -> None:
        """An attempt may fail while it is begun: that ends all that waited for it."""
        table = {"bank": BANK, "a": "nowhere"}
        with self.nodes(cluster_nodes=table, cluster_absent="fail") as nodes:
            began = nodes.clock.seconds()
            calls = [self.client.cluster.call("a", "@x") for _ in range(3)]
            self.client.cluster.send("a", "@x")
            again: list[Deferred[Any]] = []

            def retry(_: object) -> None:
                again.append(self.client.cluster.call("a", "@x"))

            calls[0].addErrback(retry)
            for call in calls[1:]:
                self.failed(call, PeerDown)
            self.failed(again[0], PeerDown)
            self.assertLess(nodes.clock.seconds() - began, 1)
            self.assertFalse(self.service.cluster._nodes._links["a"].route.is_used)

    def test_fails_at_once_at_first(self) -> None:
        """Where messages wait, the next attempt is made soon."""
        with self.nodes() as nodes:
            around = self.service.cluster._nodes

            def refuse(address: str) -> IStreamClientEndpoint:
                around.dial = self.network.client
                raise OSError("no socket is left")

            around.dial = refuse
            self.assertEqual(nodes.result(self.call("COUNT", 1), 5), 1)

    def test_connected_too_late(self) -> None:
        """A connection that is made when nobody waits for it any more is closed."""
        with self.nodes(2) as nodes:
            network = self.network

            @implementer(IStreamClientEndpoint)
            class Stubborn:
                """Connects, though nobody wants it any more."""

                def connect(self, factory: IProtocolFactory) -> Deferred[IProtocol]:
                    result: Deferred[IProtocol] = Deferred()

                    def connected(protocol: IProtocol) -> None:
                        if not result.called:
                            result.callback(protocol)

                    network.client(BANK).connect(factory).addCallback(connected)
                    return result

            self.service.cluster._nodes.dial = lambda address: Stubborn()
            waiting = self.call("COUNT", 1)
            nodes.result(self.client.cluster.reload({"bank": False}))
            self.failureResultOf(waiting, PeerDown)
            nodes.run(1)
            self.assertEqual(self.service.cluster.linked(), [])
            self.assertEqual(network.connections(BANK), 0)

    def test_heard_of_by_the_log(self) -> None:
        """Who reads the log may use the cluster, and finds it in order."""
        with self.nodes() as nodes:
            told: list[Deferred[None]] = []

            def observe(event: LogEvent) -> None:
                if not told and str(event.get("log_format")).startswith("linked with"):
                    told.append(self.client.cluster.reload({"bank": False}))

            observer = cast(ILogObserver, observe)
            globalLogPublisher.addObserver(observer)
            self.addCleanup(globalLogPublisher.removeObserver, observer)
            self.send("COUNT", 1)
            nodes.run(0.1)
            (removed,) = told
            self.successResultOf(removed)
            self.send("COUNT", 2)
            self.assertEqual(self.actor.seen, [1])
            letter = self.service.node.ledger.dead_letters[-1]
            self.assertEqual(letter.reason, "no such node")

    def test_unknown(self) -> None:
        """A node that no table has is waited for until one has it."""
        with self.nodes(cluster_nodes={}) as nodes:
            waiting = self.call("COUNT", 1)
            short = self.call("COUNT", 2, timeout=1)
            self.failed(short, PeerDown)
            nodes.result(self.client.cluster.reload({"bank": BANK}))
            self.assertEqual(nodes.result(waiting), 1)

    def test_forgotten(self) -> None:
        """Of names that no table has nothing is kept once nothing waits for them."""
        for absent in ("wait", "fail"):
            options: dict[str, Any] = {"cluster_absent": absent, "call_timeout": 3}
            with self.nodes(**options) as nodes:
                self.answer("COUNT", 0)
                for n in range(50):
                    self.client.cluster.send(f"node{n}", "@x")
                    call = self.client.cluster.call(f"node{n}", "@x")
                    call.addErrback(lambda failure: failure.trap(PeerDown))
                nodes.run(10, 0.1)
                waiting = self.client.cluster.call("late", "@bank", "COUNT", 1)
                waiting.addErrback(lambda failure: failure.trap(PeerDown))
                peers = [peer.peer for peer in self.service.node.status().peers]
                known = {"wait": ["bank", "late"], "fail": ["bank"]}[absent]
                self.assertEqual(peers, known)
                self.assertEqual([*self.service.cluster._nodes._links], known)

    def test_out_of_sight(self) -> None:
        """A node that a directory has no more keeps its link, until that is idle."""
        with self.nodes(cluster_nodes={}) as nodes:
            self.service.cluster._nodes.found({"bank": BANK})
            self.answer("COUNT", 0)
            self.service.cluster._nodes.found({})
            self.assertEqual(self.answer("COUNT", 1), 1)
            nodes.run(80, 0.5)
            self.assertEqual(self.service.node.status().peers, ())
            self.service.cluster._nodes.found({"bank": BANK})
            self.assertEqual(self.answer("COUNT", 2), 2)

    def test_restarted(self) -> None:
        """What was written to a node that dies may have run; the rest goes on."""
        with self.nodes() as nodes:
            hanging = self.call("HANG")
            nodes.run(0.1)
            self.all.stop(self.bank)
            error = self.failed(hanging, RemoteError)
            self.assertFalse(error.retry_safe)
            waiting = self.call("COUNT", 1)
            self.bank = self.start_bank()
            self.assertEqual(nodes.result(waiting), 1)

    def test_silent(self) -> None:
        """A node that says nothing is given up within seconds; calls know they ran."""
        with self.nodes() as nodes:
            self.answer("COUNT", 0)
            self.network.silence(BANK)
            hanging = self.call("COUNT", 1)
            began = nodes.clock.seconds()
            error = self.failed(hanging, LinkLost)
            self.assertLess(nodes.clock.seconds() - began, 15)
            self.assertIn("sent nothing", str(error))
            self.network.mend(BANK)
            self.assertEqual(self.answer("COUNT", 2), 2)

    def test_silent_after_pushes(self) -> None:
        """It is noticed as well where nobody waits for an answer."""
        with self.nodes() as nodes:
            self.answer("COUNT", 0)
            self.network.silence(BANK)
            self.send("COUNT", 1)
            nodes.run(15)
            self.assertEqual(self.service.cluster.linked(), [])
            self.network.mend(BANK)

    def test_slow_handlers_are_not_silent(self) -> None:
        """A node that lives is not given up, however long its actors take."""
        with self.nodes() as nodes:
            hanging = self.call("HANG", timeout=100)
            self.send("COUNT", 1)
            nodes.run(60, 0.1)
            self.actor.hanging[0].callback(None)
            self.assertIsNone(nodes.result(hanging))
            self.assertEqual(self.network.connections(BANK), 1)

    def test_late_answers(self) -> None:
        """An answer that comes too late is of no effect, and nothing is kept for it."""
        with self.nodes() as nodes:
            self.failed(self.call("HANG", timeout=1), CallTimeout)
            link = self.service.cluster._nodes._links["bank"]
            nodes.run(3)
            self.assertEqual(link._core.calls, {})
            self.actor.hanging[0].callback(None)
            nodes.run(1)
            self.assertEqual(self.answer("COUNT", 1), 1)


class TableTests(ClusterTestCase):
    """Nodes that move, come and go."""

    def test_moved(self) -> None:
        """The Deferred of a reload fires when no link to the old address is left."""
        with self.nodes() as nodes:
            hanging = self.call("HANG")
            self.answer("COUNT", 0)
            self.bank, old = self.start_bank(OTHER), self.bank
            nodes.ready()
            reloaded = self.client.cluster.reload({"bank": OTHER})
            self.failureResultOf(hanging, LinkLost)
            waiting = self.call("COUNT", 1)
            nodes.result(reloaded)
            self.assertEqual(self.network.connections(BANK), 0)
            self.assertEqual(nodes.result(waiting), 1)
            self.assertEqual(self.actor.seen, [1])
            self.assertEqual(nodes.actor(old, Bank).seen, [0])

    def test_moved_from_a_dead_address(self) -> None:
        """A link that cannot be closed in order is closed by force."""
        with self.nodes() as nodes:
            self.answer("COUNT", 0)
            self.network.silence(BANK)
            self.send("COUNT", 1)
            self.bank = self.start_bank(OTHER)
            nodes.ready()
            nodes.result(self.client.cluster.reload({"bank": OTHER}), 10)
            self.assertEqual(self.answer("COUNT", 2), 2)
            self.network.mend(BANK)

    def test_same_address(self) -> None:
        """A reload that changes nothing disturbs nothing."""
        with self.nodes() as nodes:
            hanging = self.call("HANG")
            nodes.run(0.1)
            nodes.result(self.client.cluster.reload({"bank": BANK, "other": OTHER}))
            nodes.result(self.client.cluster.reload())
            self.assertNoResult(hanging)
            self.actor.hanging[0].callback(None)
            nodes.result(hanging)

    def test_removed(self) -> None:
        """A node that is no more is refused, until the table has it again."""
        with self.nodes() as nodes:
            hanging = self.call("HANG")
            nodes.run(0.1)
            nodes.result(self.client.cluster.reload({"bank": False}))
            self.failureResultOf(hanging, LinkLost)
            error = self.failureResultOf(self.call("COUNT", 1), PeerDown).value
            self.assertTrue(error.retry_safe)
            self.send("COUNT", 2)
            nodes.result(self.client.cluster.reload({"bank": None}))
            self.assertEqual(self.answer("COUNT", 3), 3)
            self.assertEqual(self.actor.seen, [3])

    def test_nodes(self) -> None:
        """The nodes with an address are known; a change is told when it took effect."""
        with self.nodes() as nodes:
            cluster = self.client.cluster
            known = cluster.nodes()
            self.assertEqual(known, {"bank": BANK})
            self.answer("COUNT", 0)
            changed = cluster.nodes_other_than(known)
            dropped = cluster.nodes_other_than(known)
            nodes.result(cluster.reload({"bank": BANK, "shop": False}))
            self.assertNoResult(changed)
            dropped.cancel()
            self.failureResultOf(dropped, CancelledError)
            self.bank = self.start_bank(OTHER)
            nodes.ready()
            told = changed.addCallback(lambda found: (found, self.answer("COUNT", 1)))
            cluster.reload({"bank": OTHER, "shop": "shop:1"})
            expected = {"bank": OTHER, "shop": "shop:1"}
            self.assertEqual(nodes.result(told), (expected, 1))
            self.assertEqual(cluster.nodes(), expected)
            self.assertEqual(
                self.successResultOf(cluster.nodes_other_than(known)), expected
            )

    def test_nodes_to_the_end(self) -> None:
        """Who waits for other nodes is told that the node stops; nothing is left."""
        with self.nodes() as nodes:
            cluster = self.client.cluster
            waiting = cluster.nodes_other_than(cluster.nodes())
            nodes.stop(self.service)
            self.failureResultOf(waiting, NotReady)

    def test_sent_before(self) -> None:
        """What is sent in the same turn before a node is taken out arrives."""
        with self.nodes() as nodes:

            def send_and_tell(_: object) -> None:
                for n in range(1, 4):
                    self.send("COUNT", n)
                self.client.cluster.reload({"bank": False})

            nodes.result(self.call("COUNT", 0).addCallback(send_and_tell))
            nodes.run(1)
            self.assertEqual(self.actor.seen, [0, 1, 2, 3])

    def test_told_meanwhile(self) -> None:
        """What hears that a node is no more may say that it is, and is believed."""
        with self.nodes() as nodes:
            again: list[Deferred[Any]] = []

            def tell(_: object) -> None:
                reload = self.client.cluster.reload
                again.extend([reload({"bank": BANK}), self.call("COUNT", 1)])

            self.call("HANG").addErrback(tell)
            nodes.run(0.1)
            nodes.result(self.client.cluster.reload({"bank": False}))
            told, called = again
            nodes.result(told)
            self.assertEqual(nodes.result(called), 1)

    def test_bad_table(self) -> None:
        """A reload that means nothing changes nothing."""
        with self.nodes():
            bad: list[Any] = [{"bank": 7000}, {"": BANK}, {7: BANK}, {"bank": ""}]
            for changes in bad:
                self.failureResultOf(self.client.cluster.reload(changes), ValueError)
            self.assertEqual(self.answer("COUNT", 0), 0)


class ClientTests(ClusterTestCase):
    """Nodes that call this one."""

    def test_clients(self) -> None:
        """There is a limit of them; who is beyond it is closed, the others go on."""
        limits = ConnectionLimits(clients=2)
        with self.nodes() as nodes:
            self.bank = self.start_bank(OTHER, connections=limits)
            clients = []
            for _ in range(3):
                service = self.start_client(cluster_nodes={"bank": OTHER})
                clients.append(service.node.client())
            nodes.ready()
            results: list[Any] = []
            for client in clients:
                call = client.cluster.call("bank", "@bank", "COUNT", 1, timeout=2)
                call.addBoth(results.append)
                nodes.run(0.1)
            nodes.run(3)
            self.assertEqual(results[:2], [1, 1])
            self.assertIsInstance(results[2].value, PeerDown | LinkLost)

    def test_silent_clients(self) -> None:
        """Who connects and says nothing makes room for others, the oldest first."""
        with self.nodes() as nodes:
            limits = ConnectionLimits(clients=3)
            self.bank = self.start_bank(OTHER, connections=limits)
            nodes.ready()
            endpoint = self.network.client(OTHER)
            factory = Factory.forProtocol(Stranger)
            strangers: list[Any] = [
                nodes.result(endpoint.connect(factory)) for _ in range(5)
            ]
            nodes.run(0.1)
            self.assertEqual(self.network.connections(OTHER), 3)
            nodes.result(self.client.cluster.reload({"bank": OTHER}))
            self.assertEqual(self.answer("COUNT", 1), 1)
            self.assertEqual(self.network.connections(OTHER), 3)
            lost = [stranger.lost is not None for stranger in strangers]
            self.assertEqual(lost, [True, True, True, False, False])
            # Who is not read may have said something: it stays, and who comes does not.
            self.bank.cluster.pause_reading()
            late: Any = nodes.result(endpoint.connect(factory))
            nodes.run(0.1)
            self.assertIsNotNone(late.lost)
            self.bank.cluster.resume_reading()

    def test_no_handle_left(self) -> None:
        """A client that can have no agent is closed, and is none."""
        with self.nodes() as nodes:
            receiver = self.bank.cluster.receiver

            class Full:
                """A node whose handles are all in use."""

                def client_connected(self, client: object) -> object:
                    raise SkynetError("there are no more handles")

                def __getattr__(self, name: str) -> Any:
                    return getattr(receiver, name)

            self.bank.cluster.attach(Full())
            error = self.failed(self.call("COUNT", 1, timeout=3), SkynetError)
            self.assertFalse(error.retry_safe)
            nodes.run(1)
            self.assertEqual(self.bank.cluster.links(), [])
            self.bank.cluster.attach(receiver)
            self.assertEqual(self.answer("COUNT", 2), 2)

    def test_agents(self) -> None:
        """Each connection has an agent, which ends with it."""
        with self.nodes() as nodes:
            one = self.answer("WHO")
            self.assertTrue(self.bank.node.has_actor(one))
            self.network.cut(BANK)
            nodes.run(1)
            self.assertFalse(self.bank.node.has_actor(one))
            self.assertNotEqual(self.answer("WHO"), one)

    def test_reads_nothing(self) -> None:
        """A client that reads no answers is dropped, and costs others nothing."""
        with self.nodes() as nodes:
            other = self.start_client()
            nodes.ready()
            self.answer("COUNT", 0)
            self.service.cluster.pause_reading()
            ends: list[Any] = []
            for _ in range(40):
                self.call("ECHO", "x" * 100_000, timeout=200).addBoth(ends.append)
            nodes.run(50, 0.1)
            # What was not wholly written waits for another connection.
            self.assertEqual({type(end.value) for end in ends}, {LinkLost})
            client = other.node.client()
            called = client.cluster.call("bank", "@bank", "COUNT", 1)
            self.assertEqual(nodes.result(called), 1)
            self.service.cluster.resume_reading()

    def test_backlog(self) -> None:
        """A node that has enough to do reads no client until it is through."""
        with self.nodes() as nodes:
            self.all.stop(self.bank)
            self.bank = self.start_bank(limits=Limits(backlog=10))
            nodes.ready()
            for i in range(200):
                self.send("COUNT", i)
            self.assertEqual(self.answer("COUNT", 200), 200)
            self.assertEqual(self.actor.seen, [*range(201)])


class SlowBank(Bank):
    """Takes its time to start."""

    async def started(self) -> None:
        await super().started()
        await self.sleep(25)


class BootTests(ClusterTestCase):
    """The stage of the boot."""

    def test_slow_start(self) -> None:
        """A node whose actors take long to start is not taken for silent."""
        with self.nodes() as nodes:
            self.all.start(0, actors=[SlowBank], cluster_listen=[OTHER])
            nodes.result(self.client.cluster.reload({"slow": OTHER}))
            called = self.client.cluster.call("slow", "@bank", "COUNT", 1, timeout=60)
            nodes.run(24)
            self.assertNoResult(called)
            self.assertEqual(nodes.result(called), 1)

    def test_required(self) -> None:
        """The boot waits for the nodes that it requires, and says for which."""
        with self.nodes() as nodes:
            self.all.stop(self.bank)
            late = self.start_client(cluster_require=["bank", "other"])
            ready = late.node.when_ready()
            nodes.run(1)
            self.assertNoResult(ready)
            stage = {it.stage: it for it in late.node.boot_report()}["cluster"]
            self.assertEqual(stage.state, "waiting")
            first, second = stage.waiting_for
            self.assertIn(f"node bank at {BANK}", first)
            self.assertIn("refused", first)
            self.assertIn("node other, which no node table has", second)
            late.cluster.reload({"other": False})
            stage = {it.stage: it for it in late.node.boot_report()}["cluster"]
            self.assertIn("taken out", stage.waiting_for[1])
            self.bank = self.start_bank()
            late.cluster.reload({"other": BANK})
            nodes.result(ready)
            self.assertEqual(late.cluster.linked(), ["bank", "other"])

    def test_ready_line(self) -> None:
        """The line that says that a node is ready counts actors, and no clients."""
        with self.nodes() as nodes:
            events = EventLoggingObserver()
            globalLogPublisher.addObserver(events)
            self.addCleanup(globalLogPublisher.removeObserver, events)
            late = self.start_bank(OTHER, cluster_require=["late"])
            nodes.result(self.client.cluster.reload({"other": OTHER}))
            self.client.cluster.send("other", "@bank", "COUNT", 1)
            nodes.run(1)
            late.cluster.reload({"late": BANK})
            nodes.result(late.node.when_ready())
            lines = [str(formatEvent(event)) for event in events]
            (ready,) = [line for line in lines if line.startswith("node ready")]
            self.assertIn("1 peers, 1 actors", ready)

    def test_required_in_vain(self) -> None:
        """A boot that waits for a node in vain fails, and names it."""
        with self.nodes() as nodes:
            self.all.stop(self.bank)
            for absent in ("wait", "fail"):
                late = self.start_client(
                    cluster_require=["bank"], boot_timeout=2, cluster_absent=absent
                )
                with self.assertRaises(BootFailed) as caught:
                    nodes.result(late.node.when_ready())
                self.assertIn("stage cluster", str(caught.exception))
                self.assertIn(f"node bank at {BANK}", str(caught.exception))

    def test_listens_by_name(self) -> None:
        """A node may listen where its table has a name."""
        with self.nodes() as nodes:
            table = {"me": "me:7000"}
            me = self.start_client(cluster_listen=["me"], cluster_nodes=table)
            nodes.ready()
            self.assertEqual(me.cluster.addresses(), ["me:7000"])
            late = self.start_client(cluster_listen=["unknown"])
            with self.assertRaises(BootFailed) as caught:
                nodes.result(late.node.when_ready())
            self.assertIn("'unknown'", str(caught.exception))

    def test_port_in_use(self) -> None:
        """A port that is taken fails the boot, and a later opening only itself."""
        with self.nodes() as nodes:
            self.assertRaises(BootFailed, self.start_bank)
            opened = self.client.cluster.open(BANK)
            self.assertRaises(BootFailed, nodes.result, opened)
            self.assertEqual(self.answer("COUNT", 0), 0)

    def test_reload_before(self) -> None:
        """Before the boot asks a directory, there is nothing to be asked again."""
        with self.nodes() as nodes:
            asked: list[str] = []

            @implementer(INodeDirectory)
            class Directory:
                publishes = False

                def start(self, changed: Any, own: Any) -> Deferred[None]:
                    asked.append("start")
                    changed({"bank": BANK})
                    return succeed(None)

                def refresh(self) -> Deferred[None]:
                    asked.append("refresh")
                    return succeed(None)

                def waiting_for(self) -> str | None:
                    return None

                def stop(self) -> Deferred[None]:
                    return succeed(None)

            late = self.all.start(1, standalone=True, cluster_directory=Directory())
            self.successResultOf(late.cluster.reload())
            self.assertEqual(asked, [])
            nodes.ready()
            self.successResultOf(late.cluster.reload())
            self.assertEqual(asked, ["start", "refresh"])

    def test_bound_too_late(self) -> None:
        """A port that is bound when the node has left is closed again."""
        with self.nodes() as nodes:
            late: Deferred[None] = Deferred()
            endpoint = self.network.server(OTHER)

            @implementer(IStreamServerEndpoint)
            class Late:
                def listen(self, factory: IProtocolFactory) -> Deferred[IListeningPort]:
                    return late.addCallback(lambda _: endpoint.listen(factory))

            self.service.cluster._server = lambda address: Late()
            opened = self.client.cluster.open(OTHER)
            nodes.stop(self.service)
            late.callback(None)
            self.failureResultOf(opened, BootFailed)
            self.successResultOf(endpoint.listen(Factory()))

    def test_beside_harbors(self) -> None:
        """A harbor may be a node of a cluster, on each wire."""
        for wire in ("modern", "2013"):
            with self.nodes():
                both = self.all.start(
                    1,
                    standalone=True,
                    wire=wire,
                    actors=[Bank],
                    cluster_listen=[OTHER],
                    cluster_nodes={"bank": BANK},
                )
                self.all.ready()
                client = both.node.client()
                value = {"n": 1 << 40, "list": [1, 2.5, "x"]}
                called = client.cluster.call("bank", "@bank", "ECHO", value)
                self.assertEqual(self.all.result(called), value)
                self.all.result(self.service.cluster.reload({"both": OTHER}))
                called = self.client.cluster.call("both", "@bank", "ECHO", value)
                self.assertEqual(self.all.result(called), value)
                check_idle(both.node)
