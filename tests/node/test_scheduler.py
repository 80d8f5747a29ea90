"""Who runs when: fairness between actors, and towards the reactor."""

from __future__ import annotations

from typing import Any

from twisted.internet.task import Clock

from skynet_tw.node.actor import Actor, command
from skynet_tw.node.node import Node
from skynet_tw.node.scheduler import BATCH

from .support import Echo, NodeTestCase, cell_of


class _Running(Clock):
    """A clock on which each look at it costs a millisecond."""

    def seconds(self) -> float:
        self.rightNow += 0.001
        return float(self.rightNow)

    def advance(self, amount: float) -> None:
        """One turn, whatever *amount* is."""
        self.turn()

    def turn(self) -> None:
        """One turn of a reactor: what is due now, not what that arranges."""
        for call in list(self.calls):
            if call.active() and call.getTime() <= self.rightNow:
                self.calls.remove(call)
                call.called = 1
                call.func(*call.args, **call.kw)


class FairnessTests(NodeTestCase):
    """Nobody is starved."""

    def setUp(self) -> None:
        self.one = self.world(0)

    def test_flood(self) -> None:
        """A flood to one actor holds up the others by a batch, not by the flood."""
        order: list[Any] = []

        class Noting(Actor):
            @command
            def NOTE(self, value: Any) -> None:
                order.append(value)

        flooded, _ = self.spawn(self.one, Noting)
        other, _ = self.spawn(self.one, Noting)
        client = self.one.node.client()
        for _n in range(1000):
            client.send(flooded, "NOTE", "flood")
        client.send(other, "NOTE", "other")
        self.one.turn()
        self.assertEqual(len(order), 1001)
        self.assertLessEqual(order.index("other"), BATCH)

    def test_reactor(self) -> None:
        """A turn ends when its time is over, and goes on after the reactor's."""
        clock = _Running()
        node = Node(clock)
        spawned = node.spawn(Echo)
        handle = self.successResultOf(spawned)
        actor: Any = node._cells.table[handle].actor
        client = node.client()
        for n in range(1000):
            client.send(handle, "NOTE", n)
        between: list[int] = []
        clock.callLater(0, lambda: between.append(len(actor.got)))
        while len(actor.got) < 1000:
            clock.turn()
        self.assertGreater(between[0], 0)
        self.assertLess(between[0], 1000)
        self.assertEqual(actor.got, list(range(1000)))
        self.stop(node, clock)
        self.assertEqual(clock.getDelayedCalls(), [])

    def test_endless(self) -> None:
        """Two actors that never stop talking let the reactor have its turns."""

        class Talking(Actor):
            @command
            def TALK(self, other: int) -> None:
                self.send(other, "TALK", self.handle)

        clock = _Running()
        node = Node(clock)
        one, two = (self.successResultOf(node.spawn(Talking)) for _ in range(2))
        node.client().send(one, "TALK", two)
        woken: list[bool] = []
        clock.callLater(0.5, woken.append, True)
        for _ in range(1000):
            clock.turn()
        self.assertEqual(woken, [True])
        self.stop(node, clock)
        self.assertEqual(node.ledger.balance(node.status().ledger.waiting), 0)
        self.assertEqual(clock.getDelayedCalls(), [])

    def test_not_at_once(self) -> None:
        """Who sends is not interrupted: the receiver runs afterwards."""
        handle, echo = self.spawn(self.one, Echo)
        self.one.node.client().send(handle, "NOTE", 1)
        self.assertEqual(echo.got, [])
        self.one.turn()
        self.assertEqual(echo.got, [1])

    def test_one_wake(self) -> None:
        """However much is sent, one delayed call arranges the turn."""
        client = self.one.node.client()
        for _ in range(10):
            handle, _echo = self.spawn(self.one, Echo)
            client.send(handle, "NOTE", 1)
            client.send(handle, "NOTE", 2)
        self.assertEqual(len(self.one.clock.getDelayedCalls()), 1)

    def test_scheduled_once(self) -> None:
        """An actor stands in the queue once, however many messages it has."""
        one = self.world(ready=False)
        handle, echo = self.spawn(one, Echo)
        one.remote.receive(handle, "NOTE", 1)
        one.node.client().send(handle, "NOTE", 2)
        one.open_gate()
        ready = one.node._core.scheduler.ready
        self.assertEqual(list(ready).count(cell_of(echo)), 1)
        one.turn()
        self.assertEqual(echo.got, [2, 1])
        one.settle()

    def test_deep(self) -> None:
        """A long chain of calls and answers does not grow the stack."""

        class Looping(Actor):
            @command
            async def LOOP(self, dest: int, count: int) -> int:
                for n in range(count):
                    await self.call(dest, "ECHO", n)
                return count

        echo, _ = self.spawn(self.one, Echo)
        looping, _ = self.spawn(self.one, Looping)
        self.assertEqual(self.call(self.one, looping, "LOOP", echo, 5000), 5000)

    def test_deep_at_start(self) -> None:
        """Nor does one in ``started``."""

        class Looping(Actor):
            async def started(self, dest: int, count: int) -> None:
                for n in range(count):
                    await self.call(dest, "ECHO", n)

        echo, _ = self.spawn(self.one, Echo)
        self.spawn(self.one, Looping, echo, 5000)
