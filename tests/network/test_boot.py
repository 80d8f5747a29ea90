"""Boots against a network which is not there yet, or slow."""

from __future__ import annotations

from itertools import permutations

from twisted.internet.testing import EventLoggingObserver
from twisted.logger import formatEvent, globalLogPublisher

from skynet_tw import Actor, BootFailed, Start

from .support import NetworkTestCase, Peer, SlowPeer


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
                self.assertEqual(states, ["done", "waiting"] + ["to come"] * 4)
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
