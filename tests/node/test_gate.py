"""The gates before which messages from other nodes wait."""

from __future__ import annotations

from twisted.internet.defer import Deferred

from skynet_tw.handle import Handle
from skynet_tw.message import PType
from skynet_tw.node.limits import Limits

from .support import (
    Echo,
    NodeTestCase,
)

FAR = Handle(0x0200000A)


class Slow(Echo):
    """Starts when a test says so."""

    async def started(self, wait: Deferred[None], dest: int = 0) -> None:
        if dest:
            self.got.append(await self.call(dest, "X"))
        await wait
        self.got.append("started")


class GateTests(NodeTestCase):
    """No remote message reaches an actor too early."""

    def setUp(self) -> None:
        self.one = self.world(ready=False)
        self.remote = self.one.remote
        self.remote.up(2)

    def finish(self) -> None:
        self.one.open_gate()
        self.one.settle()
        self.one.turn()

    def test_before_peers(self) -> None:
        """Before ``peers`` even an actor that has started gets nothing."""
        handle, echo = self.spawn(self.one, Echo)
        for n in range(3):
            self.remote.receive(handle, "NOTE", n)
        self.one.turn()
        self.assertEqual(echo.got, [])
        self.one.open_gate()
        self.remote.receive(handle, "NOTE", 3)
        self.one.turn()
        self.assertEqual(echo.got, [0, 1, 2, 3])
        self.one.settle()
        self.assertEqual(self.one.node._core.backlog.count, 0)

    def test_actor_made_before_peers(self) -> None:
        """A message that came before its actor waits for ``peers`` as well."""
        self.remote.receive(1, "NOTE", 1)
        handle, echo = self.spawn(self.one, Echo)
        self.assertEqual(handle.index, 1)
        self.assertEqual(echo.got, [])
        self.one.open_gate()
        self.one.turn()
        self.assertEqual(echo.got, [1])
        self.one.settle()

    def test_before_started(self) -> None:
        """Before ``started`` is done messages wait, from here and from there."""
        self.one.open_gate()
        wait: Deferred[None] = Deferred()
        spawned = self.one.node.spawn(Slow, wait)
        [context] = self.one.node.actors()
        client = self.one.node.client()
        self.remote.receive(context.handle, "NOTE", 1)
        client.send(context.handle, "NOTE", 2)
        self.remote.receive(context.handle, "NOTE", 3)
        self.one.turn()
        self.assertEqual(self.one.actor(context.handle).got, [])
        wait.callback(None)
        self.one.turn()
        self.successResultOf(spawned)
        self.assertEqual(self.one.actor(context.handle).got, ["started", 1, 2, 3])
        self.one.settle()

    def test_answers_pass(self) -> None:
        """The answers to what ``started`` asks pass both gates."""
        wait: Deferred[None] = Deferred()
        spawned = self.one.node.spawn(Slow, wait, FAR)
        [context] = self.one.node.actors()
        self.remote.receive(context.handle, "NOTE", 1)
        self.remote.answer(self.remote.one(), "answer")
        self.assertEqual(self.one.actor(context.handle).got, ["answer"])
        wait.callback(None)
        self.successResultOf(spawned)
        self.assertEqual(self.one.actor(context.handle).got, ["answer", "started"])
        self.finish()
        self.assertEqual(self.one.actor(context.handle).got, ["answer", "started", 1])

    def test_not_there_yet(self) -> None:
        """During the boot a message waits for an actor that does not exist yet."""
        self.remote.receive(1, "NOTE", 1)
        self.one.open_gate()
        self.remote.receive(1, "NOTE", 2)
        self.assertEqual(self.remote.take(), [])
        handle, echo = self.spawn(self.one, Echo)
        self.assertEqual(handle.index, 1)
        self.assertEqual(echo.got, [1, 2])
        self.one.settle()

    def test_never_there(self) -> None:
        """What waited for an actor that the boot did not bring is refused."""
        self.remote.receive(9, "NOTE", 1)
        self.remote.receive(9, "NOTE", 1, session=7)
        self.remote.receive(9, session=7, ptype=PType.ERROR)
        self.one.open_gate()
        self.assertEqual(self.remote.take(), [])
        self.one.settle()
        errors = [(sent.source, sent.session) for sent in self.remote.take()]
        self.assertEqual(errors, [(0x01000009, 0), (0x01000009, 7)])

    def test_no_index(self) -> None:
        """Index 0 is nobody's, ever."""
        self.remote.receive(0, "NOTE", 1, session=7)
        self.assertEqual(self.remote.one().ptype, PType.ERROR)
        self.finish()

    def test_bounds(self) -> None:
        """What waits at the gate is bounded in messages and bytes."""
        for limits in (Limits(messages=5), Limits(size=5 * 10)):
            one = self.world(limits=limits, ready=False)
            one.remote.up(2)
            for index in range(1, 11):
                one.remote.receive(index, session=7, payload=b"x" * 10)
            self.assertEqual(one.node._incoming.waiting(), 5)
            self.assertEqual(len(one.remote.take()), 5)
            one.open_gate()
            one.settle()
            self.assertEqual(one.node._core.outboxes.waiting(), 0)

    def test_bounds_at_actor(self) -> None:
        """What waits for an actor's ``started`` is bounded in messages and bytes."""
        for limits in (Limits(messages=5), Limits(size=5 * 10)):
            one = self.world(limits=limits)
            one.remote.up(2)
            wait: Deferred[None] = Deferred()
            spawned = one.node.spawn(Slow, wait)
            [context] = one.node.actors()
            for _ in range(10):
                one.remote.receive(context.handle, session=7, payload=b"x" * 10)
            self.assertEqual(len(context.mailbox), 5)
            self.assertEqual(len(one.remote.take()), 5)
            wait.callback(None)
            self.successResultOf(spawned)
            one.turn()

    def test_stop_in_boot(self) -> None:
        """A node that stops in its boot refuses what waits at the gate."""
        one = self.world(ready=False)
        one.remote.up(2)
        one.remote.receive(1, "NOTE", 1, session=7)
        one.node.stop()
        self.assertEqual(one.node.status().ledger.waiting, 0)
        self.assertEqual(one.remote.one().ptype, PType.ERROR)
        self.finish()
