"""When a node reads its links no more, and reads them again."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred

from skynet_tw.errors import (
    RemoteError,
)
from skynet_tw.handle import Handle
from skynet_tw.message import PType
from skynet_tw.node.actor import Actor, command
from skynet_tw.node.limits import Limits

from .support import (
    Echo,
    FakeRemote,
    NodeTestCase,
    cell_of,
)

FAR = Handle(0x0200000A)


class BacklogTests(NodeTestCase):
    """Reading stops while too much waits for the processor."""

    def setUp(self) -> None:
        self.one = self.world(limits=Limits(backlog=40))
        self.one.slow()
        self.remote = self.one.remote
        self.remote.up(2)

    def receive(self, handle: int, count: int, *values: Any) -> None:
        frames = [self.remote.frame(handle, *values) for _ in range(count)]
        self.remote.receiver.frames_received(2, frames)

    def test_pause(self) -> None:
        """Above the limit no link is read until half of it is handled."""
        handle, echo = self.spawn(self.one, Echo)
        self.receive(handle, 40, "NOTE", 1)
        self.assertTrue(self.remote.reading)
        self.receive(handle, 40, "NOTE", 1)
        self.assertFalse(self.remote.reading)
        while not self.remote.reading:
            self.one.clock.advance(0)
        self.assertLess(len(cell_of(echo).mailbox), 20)
        self.one.turn()
        self.assertEqual(len(echo.got), 80)

    def test_actor_ends(self) -> None:
        """What waits for an actor that ends no longer counts."""
        for _ in range(5):
            handle, echo = self.spawn(self.one, Echo)
            self.receive(handle, 60, "NOTE", 1)
            self.assertFalse(self.remote.reading)
            echo.exit()
            self.assertTrue(self.remote.reading)

    def test_gated(self) -> None:
        """What waits for an actor to start counts from when it has started."""

        class Late(Echo):
            async def started(self, wait: Deferred[None]) -> None:
                await wait

        for payload in (b"", None):
            wait: Deferred[None] = Deferred()
            spawned = self.one.node.spawn(Late, wait)
            context = self.one.node.actors()[-1]
            frames = [
                self.remote.frame(context.handle, 1, payload=payload, session=0)
                for _ in range(60)
            ]
            self.remote.receiver.frames_received(2, frames)
            self.assertTrue(self.remote.reading)
            wait.callback(None)
            self.one.turn()
            self.successResultOf(spawned)
            self.assertEqual(self.one.node._core.backlog.count, 0)

    def test_crowd_at_gate(self) -> None:
        """Reading stops while too much waits for an actor that starts."""

        class Late(Echo):
            async def started(self, wait: Deferred[None], dest: int) -> None:
                if dest:
                    await self.call(dest, "X")
                await wait

        one = self.world(limits=Limits(messages=100))
        one.remote.up(2)
        wait: Deferred[None] = Deferred()
        spawned = one.node.spawn(Late, wait, 0)
        context = one.node.actors()[-1]
        frames = [one.remote.frame(context.handle, "NOTE", n) for n in range(60)]
        one.remote.receiver.frames_received(2, frames[:50])
        self.assertTrue(one.remote.reading)
        one.remote.receiver.frames_received(2, frames[50:])
        self.assertFalse(one.remote.reading)
        wait.callback(None)
        one.turn()
        self.successResultOf(spawned)
        self.assertTrue(one.remote.reading)
        self.assertEqual(len(context.actor.got), 60)
        # One whose start waits for an answer over a link gets that answer.
        wait = Deferred()
        spawned = one.node.spawn(Late, wait, FAR)
        sent = one.remote.one()
        context = one.node.actors()[-1]
        frames = [one.remote.frame(context.handle, "NOTE", n) for n in range(60)]
        one.remote.receiver.frames_received(2, frames)
        self.assertTrue(one.remote.reading)
        one.remote.answer(sent)
        self.assertFalse(one.remote.reading)
        wait.callback(None)
        one.turn()
        self.successResultOf(spawned)
        self.assertTrue(one.remote.reading)

    def test_start_with_a_limit(self) -> None:
        """A start that waits for an answer in the node has the links read as well."""

        class Ask(Echo):
            async def started(self, wait: Deferred[None], dest: int) -> None:
                await wait
                await self.call(dest, "ASK", timeout=5)

        class Far(Actor):
            @command
            async def ASK(self) -> Any:
                return await self.call(FAR, "X")

        one = self.world(limits=Limits(messages=100))
        one.remote.up(2)
        dest, _ = self.spawn(one, Far)
        wait: Deferred[None] = Deferred()
        spawned = one.node.spawn(Ask, wait, dest)
        handle = one.node.actors()[-1].handle
        frames = [one.remote.frame(handle, "NOTE", n) for n in range(60)]
        one.remote.receiver.frames_received(2, frames)
        self.assertFalse(one.remote.reading)
        wait.callback(None)
        one.turn()
        self.assertTrue(one.remote.reading)
        one.remote.answer(one.remote.one(), 1)
        one.turn()
        self.successResultOf(spawned)

    def test_attached_later(self) -> None:
        """A layer that comes while no link is read is not read either."""
        handle, _ = self.spawn(self.one, Echo)
        self.receive(handle, 60, "NOTE", 1)
        other = FakeRemote(3)
        self.one.node.attach(other)
        self.assertFalse(other.reading)
        self.one.turn()
        self.assertTrue(other.reading)

    def test_answers_at_gate(self) -> None:
        """Answers that pass the gate do not count."""

        class Caller(Actor):
            async def started(self) -> None:
                await self.call(FAR, "X")

        for ends in (False, True):
            spawned = self.one.node.spawn(Caller)
            sent = self.remote.one()
            if ends:
                self.remote.receive(
                    sent.source, session=sent.session, ptype=PType.ERROR
                )
                self.one.turn()
                self.failureResultOf(spawned, RemoteError)
            else:
                self.remote.answer(sent, 1)
                self.one.turn()
                self.successResultOf(spawned)
            self.assertEqual(self.one.node._core.backlog.count, 0)
