"""Links, masters and nodes that go, and come back."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from skynet_tw import (
    CallTimeout,
    LinkLost,
    NoSuchName,
    NotReady,
    PeerDown,
    RemoteError,
    Start,
)
from skynet_tw.testing import MemoryMaster
from skynet_tw.testing.invariants import check_idle

from .support import NetworkTestCase, Peer, SlowPeer


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
                master = MemoryMaster(nodes)
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

                def note(result: Any, name: str, kind: Any, ends: Any = ends) -> None:
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
                        waiting.addBoth(note, name, kind)
                    for dest in (far, "NOBODY", 0x09000001):
                        peer.send(dest, "COUNT", 1)
                self.assertEqual(ends, [])
                nodes.run(6.1)
                self.assertEqual(len(ends), 15)
                for service in (one, two, three):
                    check_idle(service.node)
                self.balanced(nodes)
                for place in (nodes.master, nodes.address(2), nodes.address(3)):
                    nodes.network.mend(place)
                nodes.run(5)
                # The answers of those that were only slow come now, for nobody.
                self.assertEqual(
                    [s.node.ledger.late_answers for s in (one, two, three)], [1, 1, 1]
                )


class StopTests(NetworkTestCase):
    """A node that stops in order."""

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
                nodes.run(8)
                error = self.failed(clients[0].call("THREE", "ECHO"), PeerDown)
                self.assertTrue(error.retry_safe)


class StopTests2013(StopTests):
    """The same on the wire of 2013."""

    wire = "2013"
