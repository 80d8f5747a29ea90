"""Random traffic where everything fails at random, on each wire and in a cluster."""

from __future__ import annotations

import os
from typing import Any

from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from skynet_tw import CallTimeout, Limits, LinkLost, PeerDown
from skynet_tw.net.wires import DEFAULT_WIRE
from skynet_tw.testing import MemoryNodes
from skynet_tw.testing.course import Course
from skynet_tw.testing.invariants import (
    Broken,
    check_books,
    check_bounds,
    check_call,
    check_idle,
    check_order,
)
from skynet_tw.testing.simulation import KINDS

from .support import Peer

#: Queues that overflow whenever something is wrong.
SHORT = Limits(messages=10, backlog=20)


class SimulationTests(SynchronousTestCase):
    """Whole courses of events."""

    #: How many of them are tried on each wire: fewer where examples are few.
    seeds = min(20, int(os.environ.get("SKYNET_TW_EXAMPLES", "200")) // 12)

    def play(self, seed: int, wire: str, limits: Limits | None = None) -> Course:
        """One course of events, to its end."""
        simulation = KINDS[wire](seed, limits=limits)
        simulation.play()
        simulation.stop()
        return simulation

    def promises(self, wire: str) -> None:
        """Play all, each to its end."""
        played = [self.play(seed, wire).traffic for seed in range(self.seeds)]
        failures = sum(traffic.failures() for traffic in played)
        calls = sum(len(traffic.calls) for traffic in played)
        # It is worth nothing if nothing fails, or if nothing works.
        self.assertGreater(failures, calls // 100)
        self.assertLess(failures, calls // 2)

    def test_promises(self) -> None:
        """Order, no duplicates, one true end for each call, honest books, always."""
        self.promises(DEFAULT_WIRE)

    def test_promises_of_other_wires(self) -> None:
        """The same on every other wire, and in a cluster."""
        for wire in KINDS:
            if wire != DEFAULT_WIRE:
                self.promises(wire)

    def test_bounds(self) -> None:
        """The same where queues are short: what they have no room for is refused."""
        for wire in KINDS:
            played = [self.play(seed, wire, SHORT).traffic for seed in range(4)]
            self.assertGreater(sum(traffic.full for traffic in played), 0)

    def test_same_again(self) -> None:
        """A seed is one course of events on a wire."""
        for wire in KINDS:
            first, second = (self.play(3, wire) for _ in range(2))
            self.assertEqual(first.traffic.numbers, second.traffic.numbers)
            for one, other in zip(
                first.walkers.values(), second.walkers.values(), strict=True
            ):
                self.assertEqual((one.name, one.got), (other.name, other.got))
            self.assertEqual(
                first.network.random.random(), second.network.random.random()
            )

    def test_names_the_seed(self) -> None:
        """What breaks a promise is told with the course of events that broke it."""
        for wire in KINDS:
            simulation = KINDS[wire](7)
            simulation.boot()
            simulation.walkers["A1"].got["B2"] = [2, 1]
            with self.assertRaises(Broken) as caught:
                simulation.check()
            self.assertRegex(
                str(caught.exception),
                rf"^seed 7, wire {wire}, after \d+\.\d\d s: B2 to A1: 1 came after 2$",
            )
            simulation.stop()


class InvariantTests(SynchronousTestCase):
    """Each check fails where its promise is broken."""

    def broken(self, check: Any, *arguments: Any) -> str:
        """What a check says."""
        with self.assertRaises(Broken) as caught:
            check(*arguments)
        return str(caught.exception)

    def test_order(self) -> None:
        """Numbers may be missing; none comes late, or again."""
        check_order([], "A to B")
        check_order([2, 3, 7], "A to B")
        for numbers in ([1, 1], [1, 3, 2]):
            self.assertIn("A to B: ", self.broken(check_order, numbers, "A to B"))

    def test_call(self) -> None:
        """A call has one end: its own answer, or an error that is true."""
        safe, unsafe = Failure(PeerDown("")), Failure(LinkLost(""))
        late = Failure(CallTimeout(""))
        for end, arrived in [(5, True), (safe, False), (unsafe, True), (late, False)]:
            check_call(5, [end], arrived, "A to B")
        for ends, arrived in [
            ([], True),
            ([5, 5], True),
            ([4], True),
            ([5], False),
            ([safe], True),
            ([Failure(KeyError())], False),
        ]:
            said = self.broken(check_call, 5, ends, arrived, "A to B")
            self.assertIn("A to B: the call 5", said)

    def test_nodes(self) -> None:
        """The books of a node balance, its queues are bounded, and empty in the end."""
        nodes = MemoryNodes()
        node = nodes.start(2, limits=Limits(messages=3)).node
        for check in (check_books, check_bounds, check_idle):
            check(node)
        for _ in range(3):
            node.client().send("NOBODY", "X")
        check_bounds(node)
        self.assertIn("3 messages wait", self.broken(check_idle, node))
        node.limits = Limits(messages=2)
        self.assertIn("3 messages for", self.broken(check_bounds, node))
        node.ledger.queued += 1
        self.assertIn("1 messages too many", self.broken(check_books, node))
        nodes.stop()

    def test_calls(self) -> None:
        """A call to another node that waits keeps its node from being idle."""
        nodes = MemoryNodes()
        one = nodes.start(1, standalone=True, actors=[Peer])
        two = nodes.start(2)
        nodes.ready()
        call = two.node.client().call(nodes.actor(one, Peer).handle, "HANG")
        nodes.run(1)
        self.assertIn("1 calls wait", self.broken(check_idle, two.node))
        call.cancel()
        self.failureResultOf(call)
        check_idle(two.node)
        nodes.stop()
