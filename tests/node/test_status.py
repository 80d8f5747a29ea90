"""Snapshots of a node: what they say, and that they stay as they were."""

from __future__ import annotations

import pickle
from typing import Any

from twisted.internet.defer import Deferred, gatherResults

from skynet_tw.handle import Handle
from skynet_tw.node.actor import Actor, command
from skynet_tw.status import ActorStatus, CallStatus, NodeStatus, PeerStatus, TaskStatus

from .support import Echo, NodeTestCase

FAR = Handle(0x0200000A)


class Waiter(Actor):
    """Waits for whatever it is told to wait for."""

    async def started(self) -> None:
        await self.register(".waiter")
        self.section = self.queue()
        self.never: Deferred[None] = Deferred()

    async def stopped(self) -> None:
        await self.sleep(0.5)

    @command
    async def SLEEP(self, seconds: float) -> None:
        await self.sleep(seconds)

    @command
    async def CALL(self, dest: int | str) -> Any:
        return await self.call(dest, "X")

    @command
    async def ENTER(self) -> None:
        async with self.section:
            await self.never

    @command
    async def FIND(self, name: str) -> Any:
        return await self.query(name)

    @command
    async def WATCH(self, handle: int) -> Any:
        return await self.watch(handle)

    @command
    async def GATHER(self) -> Any:
        return await gatherResults([self.never])


class StatusTests(NodeTestCase):
    """What a snapshot says."""

    def setUp(self) -> None:
        self.one = self.world()
        self.client = self.one.node.client()
        self.waiter, self.actor = self.spawn(self.one, Waiter)

    def status(self) -> NodeStatus:
        return self.one.node.status()

    def of(self, handle: int) -> ActorStatus:
        """What is said of one actor."""
        [one] = [it for it in self.status().actors if it.handle == handle]
        return one

    def ask(self, *request: Any) -> TaskStatus:
        """Let the waiter work on a request, and tell what its task does 2 s later."""
        self.client.send(self.waiter, *request)
        self.one.turn(2)
        return self.of(self.waiter).tasks[-1]

    def test_actor(self) -> None:
        """An actor has its class, names, state and counts."""
        got = self.of(self.waiter)
        self.assertEqual(
            got,
            ActorStatus(self.waiter, "Waiter", (".waiter",), "running", 0, 0, (), 0),
        )
        self.client.send(self.waiter, "SLEEP", 1)
        self.assertEqual(self.of(self.waiter).mailbox, 1)
        self.one.turn()
        got = self.of(self.waiter)
        self.assertEqual((got.mailbox, got.handled, len(got.tasks)), (0, 1, 1))
        self.client.send(self.waiter, "SLEEP", 60)
        self.one.turn(1)
        self.actor.exit()
        self.assertEqual(self.of(self.waiter).state, "ending")
        self.one.turn(1)
        self.assertNotIn(self.waiter, [it.handle for it in self.status().actors])

    def test_starting(self) -> None:
        """An actor that has not started says so, and what it waits for."""

        class Slow(Actor):
            async def started(self) -> None:
                await self.sleep(5)

        spawned = self.one.node.spawn(Slow)
        [got] = [it for it in self.status().actors if it.kind == "Slow"]
        self.assertEqual((got.state, got.tasks[0].request), ("starting", "started"))
        self.assertEqual(got.tasks[0].waits_for, "5 s to pass")
        self.one.later(6)
        self.successResultOf(spawned)

    def test_tasks(self) -> None:
        """Each coroutine says what it waits for, and for how long."""
        handle, _ = self.spawn(self.one, Echo)
        cases: list[tuple[tuple[Any, ...], str]] = [
            (("SLEEP", 90), "90 s to pass"),
            (("CALL", FAR), "the answer of :0200000a (link)"),
            (("CALL", "NOBODY"), "the answer of NOBODY (name)"),
            (("FIND", "NOBODY"), "the owner of the name 'NOBODY'"),
            (("WATCH", int(handle)), f"the end of Echo({handle})"),
            (("ENTER",), "a Deferred"),
            (("ENTER",), "its turn in a critical section"),
            (("GATHER",), "a DeferredList"),
        ]
        for request, waits_for in cases:
            with self.subTest(request=request):
                task = self.ask(*request)
                self.assertEqual(task.waits_for, waits_for)
                self.assertEqual(task.seconds, 2)
                self.assertEqual(task.source, self.client.handle)
                self.assertIn(request[0], task.request)
        self.actor.never.callback(None)

    def test_calls(self) -> None:
        """Calls in flight are told, the oldest first, each with its stage."""
        self.one.remote.up(2)
        self.client.call(FAR, "X").addErrback(lambda failure: None)
        self.one.turn(1)
        self.client.call("NOBODY", "X", timeout=5).addErrback(lambda failure: None)
        self.one.turn(1)
        me = self.client.handle
        self.assertEqual(
            self.status().calls,
            (
                CallStatus(me, ":0200000a", 1, "sent", 2, 28),
                CallStatus(me, "NOBODY", 2, "name", 1, 4),
            ),
        )

    def test_peers(self) -> None:
        """Each peer has its stage, its queue, its calls and its link."""
        self.client.call(FAR, "X").addErrback(lambda failure: None)
        self.client.send(FAR, "Y")
        self.assertEqual(
            self.status().peers, (PeerStatus(2, "expected", "", 2, 1, None),)
        )
        self.assertEqual(self.status().waits, (("the link to harbor 2", 2),))
        self.one.remote.up(2)
        [peer] = self.status().peers
        self.assertEqual((peer.stage, peer.queued, peer.calls), ("ready", 0, 1))
        assert peer.link is not None
        self.assertEqual((peer.link.peer, peer.link.address), (2, "host:2"))
        self.one.remote.lost(2)
        self.one.remote.gone(2, "it was stopped")
        [peer] = self.status().peers
        self.assertEqual(
            (peer.stage, peer.reason), ("gone", "harbor 2 is gone: it was stopped")
        )

    def test_names(self) -> None:
        """The global names that are known have their owners."""
        self.one.remote.known("BANK", FAR)
        self.assertEqual(self.status().names, (("BANK", FAR),))

    def test_ledger(self) -> None:
        """The books add up, with what waits now."""
        self.client.send(0x01FFFFFF, "X")
        self.client.send(self.waiter, "SLEEP", 1)
        books = self.status().ledger
        self.assertEqual(books.waiting, 1)
        self.assertEqual(books.reasons, (("no such actor", 1),))
        self.assertEqual(books.dead_letters[0].destination, 0x01FFFFFF)
        fates = books.delivered + books.refused + books.expired + books.dropped
        self.assertEqual(books.accepted, fates + books.waiting)

    def test_states(self) -> None:
        """A node without stages is ready, then stopping, then stopped."""
        self.assertEqual(self.status().state, "ready")
        one = self.world()
        self.spawn(one, Waiter)
        one.node.stop()
        self.assertEqual(one.node.status().state, "stopping")
        one.turn(1)
        self.assertEqual(one.node.status().state, "stopped")

    def test_frozen(self) -> None:
        """A snapshot stays as it was, compares, and can be pickled."""
        self.client.send(self.waiter, "SLEEP", 1)
        before = self.status()
        kept = pickle.loads(pickle.dumps(before))
        self.assertEqual(before, kept)
        self.one.turn(3)
        self.assertEqual(before, kept)
        self.assertNotEqual(self.status(), before)

    def test_reprs(self) -> None:
        """A node, its ledger and a handle say what they are."""
        self.assertEqual(repr(self.one.node), "<Node harbor 1: 2 actors>")
        self.assertEqual(repr(self.world(0).node), "<Node without a harbor: 0 actors>")
        self.assertIn("accepted = ", repr(self.one.node.ledger))
        self.assertEqual(repr(FAR), "<Handle :0200000a>")
