"""How actors end, who hears of it, and what they tell who asks."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError

from skynet_tw.errors import NoSuchActor, RemoteError
from skynet_tw.handle import Handle
from skynet_tw.message import PType
from skynet_tw.node.actor import Actor, command

from .support import Echo, NodeTestCase, cell_of

FAR = Handle(0x0200000A)


class Ending(Echo):
    """Ends in various ways, and notes that it was stopped."""

    @command
    async def EXIT_LATE(self) -> str:
        await self.sleep(1)
        self.exit()
        return "bye"

    @command
    async def EXIT_AND_WAIT(self) -> str:
        self.exit()
        await self.sleep(1)
        return "never"

    @command
    async def TRY(self) -> None:
        try:
            await self.sleep(100)
        finally:
            self.got.append("finally")

    @command
    async def STUBBORN(self) -> None:
        try:
            await self.sleep(100)
        finally:
            await self.sleep(1)

    @command
    async def CALL(self, *args: Any) -> Any:
        return await self.call(*args)

    @command
    def CALL_UNHEARD(self, *args: Any) -> None:
        self.waits.append(self.call(*args))

    def stopped(self) -> None:
        self.got.append("stopped")


class ExitTests(NodeTestCase):
    """The end of an actor, in its node."""

    def setUp(self) -> None:
        self.one = self.world(0)
        self.handle, self.actor = self.spawn(self.one, Ending)
        self.client = self.one.node.client()

    def test_plain_handler(self) -> None:
        """A plain handler's answer still leaves; what waits behind it is refused."""
        first = self.client.call(self.handle, "EXIT")
        second = self.client.call(self.handle, "ECHO")
        self.client.send(self.handle, "NOTE", 1)
        self.one.turn()
        self.assertEqual(self.successResultOf(first), "bye")
        error = self.failureResultOf(second, RemoteError).value
        self.assertIn("it exited", str(error))
        self.assertEqual(self.actor.got, ["stopped"])
        [letter] = self.one.node.ledger.dead_letters
        self.assertEqual(letter.source, self.client.handle)

    def test_coroutine(self) -> None:
        """A coroutine that exits and returns answers still."""
        called = self.client.call(self.handle, "EXIT_LATE")
        self.one.turn(1)
        self.assertEqual(self.successResultOf(called), "bye")
        self.assertEqual(self.actor.got, ["stopped"])

    def test_coroutine_awaits(self) -> None:
        """A coroutine that exits ends at its next await."""
        called = self.client.call(self.handle, "EXIT_AND_WAIT")
        self.one.turn()
        self.failureResultOf(called, RemoteError)
        self.assertEqual(self.one.clock.getDelayedCalls(), [])

    def test_work_under_way(self) -> None:
        """Handlers under way end where they wait; their callers get errors."""
        called = self.client.call(self.handle, "TRY")
        self.one.turn()
        self.actor.exit()
        self.assertEqual(self.actor.got, ["finally", "stopped"])
        self.one.turn()
        self.failureResultOf(called, RemoteError)

    def test_stubborn(self) -> None:
        """A handler may await while it ends; the actor is over when it is."""
        self.client.send(self.handle, "STUBBORN")
        self.one.turn()
        self.actor.exit()
        self.assertEqual(self.actor.got, [])
        self.one.turn(1)
        self.assertEqual(self.actor.got, ["stopped"])

    def test_twice(self) -> None:
        """The second exit does nothing."""
        self.actor.exit()
        self.actor.exit()
        self.assertEqual(self.actor.got, ["stopped"])

    def test_gone(self) -> None:
        """Nobody is there afterwards."""
        self.actor.exit()
        self.failureResultOf(self.client.call(self.handle, "ECHO"), NoSuchActor)

    def test_stopped_fails(self) -> None:
        """An error in ``stopped`` is logged, and the actor is gone all the same."""

        class Broken(Actor):
            def stopped(self) -> None:
                raise KeyError("stopped")

        _handle, actor = self.spawn(self.one, Broken)
        actor.exit()
        self.assertEqual(len(self.flushLoggedErrors(KeyError)), 1)

    def test_own_calls(self) -> None:
        """The answer to a call of an actor that ended is nobody's, without noise."""
        other, echo = self.spawn(self.one, Echo)
        self.client.send(self.handle, "CALL", other, "WAIT")
        self.client.send(self.handle, "CALL_UNHEARD", other, "FAIL")
        self.one.turn()
        self.actor.exit()
        echo.waits[0].callback(1)
        self.one.turn()
        self.flushLoggedErrors(ValueError)
        self.failureResultOf(self.actor.waits[0], RemoteError)

    def test_fork_afterwards(self) -> None:
        """An actor that ended forks nothing."""
        self.actor.exit()
        self.actor.fork(self.actor.TRY())
        self.assertEqual(self.actor.got, ["stopped"])

    def test_stop_order(self) -> None:
        """The node ends its actors last one first, and each hears of it."""
        order: list[int] = []

        class Noting(Actor):
            def stopped(self) -> None:
                order.append(self.handle)

        handles = [self.spawn(self.one, Noting)[0] for _ in range(3)]
        self.one.node.stop()
        self.assertEqual(order, handles[::-1])

    def test_stop_inside(self) -> None:
        """An actor may stop its own node."""
        one = self.world()
        one.remote.up(2)

        class Stopping(Ending):
            @command
            def STOP(self) -> None:
                self.node.stop()

        handle, actor = self.spawn(one, Stopping)
        one.remote.receive(handle, "WAIT", session=7)
        one.remote.receive(handle, "STOP")
        self.assertEqual(one.remote.one()[2:4], (PType.ERROR, 7))
        self.assertEqual(actor.got, ["stopped"])
        self.assertEqual(one.clock.getDelayedCalls(), [])


class RemoteExitTests(NodeTestCase):
    """The end of an actor, as other nodes see it."""

    def setUp(self) -> None:
        self.one = self.world()
        self.remote = self.one.remote
        self.remote.up(2)
        self.handle, self.actor = self.spawn(self.one, Ending)

    def test_callers(self) -> None:
        """Calls under way and waiting calls are answered with ERROR, once each."""
        frame = self.remote.frame
        frames = [
            frame(self.handle, "WAIT", session=7),
            frame(self.handle, "EXIT"),
            frame(self.handle, "ECHO", session=8),
            frame(self.handle, "NOTE"),
        ]
        self.remote.receiver.frames_received(2, frames)
        errors = {
            (e.destination, e.source, e.ptype, e.session) for e in self.remote.written
        }
        expected = {(FAR, self.handle, PType.ERROR, n) for n in (7, 8)}
        self.assertEqual(errors, expected)
        self.assertEqual(len(self.remote.take()), 2)

    def test_callees(self) -> None:
        """Whom it still waits for is told, once each, whatever way it waits."""
        client = self.one.node.client()
        for dest in (FAR, FAR, FAR + 1):
            client.send(self.handle, "CALL", dest, "X")
        client.send(self.handle, "CALL_UNHEARD", FAR + 2, "X")
        self.one.turn()
        self.remote.take()
        self.actor.exit()
        told = {(sent.destination, sent[1:]) for sent in self.remote.written}
        error = (self.handle, PType.ERROR, 0, b"")
        self.assertEqual(told, {(FAR + n, error) for n in range(3)})
        self.assertEqual(len(self.remote.take()), 3)
        self.assertEqual(len(self.one.node._core.calls), 0)

    def test_callee_of_unsent(self) -> None:
        """A callee that the call has not reached hears nothing."""
        client = self.one.node.client()
        client.send(self.handle, "CALL", 0x0300000A, "X")
        client.send(self.handle, "CALL", "BANK", "X")
        self.one.turn()
        self.actor.exit()
        self.remote.up(3)
        self.remote.known("BANK", FAR)
        self.assertEqual(self.remote.take(), [])

    def test_callee_behind_busy_link(self) -> None:
        """A callee behind a full transport is told when there is room."""
        self.one.node.client().send(self.handle, "CALL", FAR, "X")
        self.one.turn()
        self.remote.take()
        self.remote.busy(2)
        self.actor.exit()
        self.remote.free(2)
        self.assertEqual(self.remote.one()[1:4], (self.handle, PType.ERROR, 0))

    def test_local_callee(self) -> None:
        """A callee in the node answers an actor that ended without noise."""
        other, echo = self.spawn(self.one, Echo)
        self.one.node.client().send(self.handle, "CALL", other, "WAIT")
        self.one.turn()
        self.actor.exit()
        echo.waits[0].callback(1)
        self.one.turn()
        self.assertEqual(self.remote.take(), [])

    def test_answer_afterwards(self) -> None:
        """An answer to an actor that ended is answered with ERROR, as real nodes do."""
        self.one.node.client().send(self.handle, "CALL", FAR, "X")
        self.one.turn()
        sent = self.remote.one()
        self.actor.exit()
        self.remote.take()
        self.remote.answer(sent, 1)
        self.assertEqual(
            self.remote.one()[1:4], (self.handle, PType.ERROR, sent.session)
        )

    def test_node_stops(self) -> None:
        """A node that stops answers all that waits, before its links close."""
        self.remote.receive(self.handle, "WAIT", session=7)
        self.actor.call(FAR, "X").addErrback(lambda _: None)
        self.remote.take()
        self.one.node.stop()
        told = {(sent.ptype, sent.session) for sent in self.remote.take()}
        self.assertEqual(told, {(PType.ERROR, 7), (PType.ERROR, 0)})


class DebugTests(NodeTestCase):
    """Messages of type DEBUG."""

    def setUp(self) -> None:
        self.one = self.world()
        self.remote = self.one.remote
        self.remote.up(2)
        self.handle, self.actor = self.spawn(self.one, Echo)

    def ask(self, *question: Any, session: int = 7) -> list[Any]:
        self.remote.receive(self.handle, *question, session=session, ptype=PType.DEBUG)
        return self.remote.take()

    def test_ping(self) -> None:
        """PING is answered with nothing, which is an empty payload."""
        [sent] = self.ask("PING")
        self.assertEqual(sent, (FAR, self.handle, PType.RESPONSE, 7, b""))

    def test_one_way(self) -> None:
        """Questions without a session get no answer."""
        for question in ("PING", "STAT", "LINK", "NEVER"):
            self.assertEqual(self.ask(question, session=0), [])
        self.one.node.client().send(self.handle, "PING", ptype=PType.DEBUG)
        self.one.turn()
        self.assertEqual(self.remote.take(), [])

    def test_stat(self) -> None:
        """STAT counts what waits and what is under way, TASK names it."""
        self.one.node.client().send(self.handle, "WAIT", "something")
        self.one.turn()
        [sent] = self.ask("STAT")
        self.assertEqual(sent.values, ({"mqlen": 0, "task": 1},))
        [sent] = self.ask("TASK")
        self.assertIn("something", str(sent.values))

    def test_info(self) -> None:
        """INFO says who it is."""
        [sent] = self.ask("INFO")
        self.assertEqual(sent.values, ("Echo(:01000001)",))

    def test_unknown(self) -> None:
        """Anything else is an ERROR, most of all what would end an actor."""
        for question in ("KILL", "EXIT", "RUN", "", 1, None):
            [sent] = self.ask(question)
            self.assertEqual(sent.ptype, PType.ERROR)
        [sent] = self.ask()
        self.assertEqual(sent.ptype, PType.ERROR)

    def test_link(self) -> None:
        """LINK is answered with an ERROR when the actor has ended, not before."""
        self.assertEqual(self.ask("LINK"), [])
        self.actor.exit()
        self.assertEqual(self.remote.one()[:4], (FAR, self.handle, PType.ERROR, 7))

    def test_link_of_gone(self) -> None:
        """Who linked from a harbor that is gone is forgotten."""
        self.ask("LINK")
        self.remote.gone(2)
        self.assertEqual(cell_of(self.actor).callers.links, {})

    def test_link_of_dead(self) -> None:
        """Who linked and is dead is told nothing."""
        self.ask("LINK")
        self.remote.receive(self.handle, ptype=PType.ERROR)
        self.actor.exit()
        self.assertEqual(self.remote.take(), [])


class WatchTests(NodeTestCase):
    """Waiting for the end of others."""

    def setUp(self) -> None:
        self.one = self.world()
        self.remote = self.one.remote
        self.remote.up(2)
        self.handle, self.actor = self.spawn(self.one, Echo)
        self.client = self.one.node.client()

    def test_local(self) -> None:
        """A watch of an actor here fires when it ends, and says why."""
        watches = [self.client.watch(self.handle) for _ in range(2)]
        self.assertNoResult(watches[0])
        self.actor.exit()
        for watch in watches:
            self.assertIn("it exited", self.successResultOf(watch))

    def test_local_cancelled(self) -> None:
        """A watch that is cancelled is taken out, also by another one that fires."""
        first, second, third = (self.client.watch(self.handle) for _ in range(3))
        first.cancel()
        self.failureResultOf(first, CancelledError)
        second.addCallback(lambda _: third.cancel())
        self.actor.exit()
        self.failureResultOf(third, CancelledError)

    def test_local_nobody(self) -> None:
        """A watch of nobody fires at once."""
        self.actor.exit()
        watch = self.client.watch(self.handle)
        self.assertIn("no actor", self.successResultOf(watch))

    def test_awaited(self) -> None:
        """The end of a watching actor ends its watches."""

        class Watching(Actor):
            @command
            async def WATCH(self, handle: int) -> str:
                return await self.watch(handle)

        watching, actor = self.spawn(self.one, Watching)
        called = self.client.call(watching, "WATCH", self.handle)
        self.one.turn()
        self.assertEqual(len(cell_of(self.actor).watchers), 1)
        actor.exit()
        self.one.turn()
        self.failureResultOf(called, RemoteError)
        self.assertEqual(cell_of(self.actor).watchers, {})

    def test_remote(self) -> None:
        """A watch of an actor elsewhere is a DEBUG LINK without time limit."""
        watch = self.client.watch(FAR)
        sent = self.remote.one()
        self.assertEqual((sent.destination, sent.ptype), (FAR, PType.DEBUG))
        self.assertEqual(sent.values, ("LINK",))
        self.one.later(100)
        self.assertNoResult(watch)
        self.remote.receive(self.client.handle, ptype=PType.ERROR, session=sent.session)
        self.assertIn(":0200000a", self.successResultOf(watch))

    def test_remote_says_so(self) -> None:
        """An ERROR without session from there ends the watch as well."""
        watch = self.client.watch(FAR)
        self.remote.receive(self.client.handle, ptype=PType.ERROR)
        self.successResultOf(watch)

    def test_remote_lost(self) -> None:
        """A lost link, or a harbor that is gone, ends the watch."""
        watch = self.client.watch(FAR)
        self.remote.lost(2)
        self.assertIn("broke", self.successResultOf(watch))
        watch = self.client.watch(FAR)
        self.remote.gone(2, "it left")
        self.assertIn("it left", self.successResultOf(watch))

    def test_remote_cancelled(self) -> None:
        """A watch of an actor elsewhere can be cancelled."""
        watch = self.client.watch(FAR)
        watch.cancel()
        self.failureResultOf(watch, CancelledError)
        self.assertEqual(len(self.one.node._core.calls), 0)

    def test_between_nodes(self) -> None:
        """What one node's watch asks, another node's actor answers at its end."""
        two = self.world(2)
        two.remote.up(1)
        there, actor = self.spawn(two, Echo)
        watch = self.client.watch(there)
        sent = self.remote.one()
        frame = two.remote.frame(
            there,
            payload=sent.payload,
            source=sent.source,
            session=sent.session,
            ptype=sent.ptype,
        )
        two.remote.receiver.frames_received(1, [frame])
        self.assertNoResult(watch)
        actor.exit()
        error = two.remote.one()
        self.remote.receive(
            error.destination,
            source=error.source,
            session=error.session,
            ptype=error.ptype,
            payload=error.payload,
        )
        self.successResultOf(watch)
