"""The end of an actor, and of a node: nothing that is to be saved is lost."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from twisted.internet.defer import (
    CancelledError,
    Deferred,
    FirstError,
    gatherResults,
    inlineCallbacks,
)

from skynet_tw.errors import (
    NameTaken,
    NoSuchActor,
    NotReady,
    RemoteError,
    SkynetError,
)
from skynet_tw.handle import Handle
from skynet_tw.message import PType
from skynet_tw.node.actor import Actor, command

from .support import Echo, NodeTestCase, World

FAR = Handle(0x0200000A)

#: Seconds that an actor may take for its end, unless a test says otherwise.
GRACE = 10.0

#: How finely time passes here, in seconds.
STEP = 0.25


class Ending(Echo):
    """Notes in a log that others share how it ends."""

    async def started(self, log: list[Any] | None = None, name: str = "") -> None:
        self.log = [] if log is None else log
        self.name = name
        self.section = self.queue()
        self.cancelled = 0

    def note(self, what: str) -> None:
        self.log.append(f"{self.name}{what}")

    @command
    async def SLEEP(self) -> None:
        """See the end once, and let it through."""
        try:
            await self.sleep(1000)
        except CancelledError:
            self.cancelled += 1
            raise

    @command
    async def CLEAN(self, seconds: float = 1, value: Any = None) -> None:
        """Take some time to clean up."""
        try:
            await self.sleep(1000)
        finally:
            await self.sleep(seconds)
            self.note("cleaned")

    @command
    async def CATCH(self, seconds: float, value: Any) -> Any:
        """Answer in spite of the end."""
        try:
            await self.sleep(1000)
        except CancelledError:
            self.cancelled += 1
        if seconds:
            await self.sleep(seconds)
        self.note("caught")
        return value

    @command
    async def SAVE(self, dest: Any, *request: Any) -> Any:
        """Call somebody before it ends."""
        try:
            await self.sleep(1000)
        finally:
            self.note(f"saved {await self.call(dest, *request)}")

    @command
    async def HANG(self) -> None:
        """Never end."""
        try:
            await Deferred()
        finally:
            await Deferred()

    @command
    @inlineCallbacks
    def INLINE(self) -> Generator[Deferred[Any], Any, None]:
        try:
            yield self.sleep(1000)
        except CancelledError:
            self.cancelled += 1
            raise

    @command
    def FROM_COROUTINE(self) -> Any:
        return Deferred.fromCoroutine(self.SLEEP())

    @command
    async def GATHER(self) -> Any:
        parts = [Deferred.fromCoroutine(self.SLEEP()) for _ in range(3)]
        return await gatherResults(parts, consumeErrors=True)

    @command
    async def SECTION(self) -> None:
        try:
            async with self.section:
                self.note("entered")
                await self.sleep(1000)
        except CancelledError:
            self.cancelled += 1
            raise

    @command
    async def CALL(self, dest: Any, *request: Any) -> Any:
        try:
            return await self.call(dest, *request)
        except CancelledError:
            self.cancelled += 1
            raise

    @command
    def FORK(self, way: str, *args: Any) -> str:
        self.fork(getattr(self, way)(*args))
        return "forked"

    @command
    async def EXIT_AND(self, way: str, *args: Any) -> Any:
        self.exit()
        return await getattr(self, way)(*args)

    @command
    async def EXIT_AND_RETURN(self) -> str:
        await self.sleep(0)
        self.exit()
        return "still answered"

    @command
    async def EXIT_AND_RAISE(self) -> str:
        self.exit()
        raise KeyError("after the exit")


class Plain(Ending):
    """Ends in a plain function."""

    def stopped(self) -> None:
        self.note("stopped")


class Slow(Ending):
    """Takes a second to end."""

    async def stopped(self) -> None:
        self.note("stops")
        await self.sleep(1)
        self.note("stopped")


class Promising(Ending):
    """Ends in a Deferred."""

    def stopped(self) -> Any:
        self.note("stops")
        return self.sleep(1).addCallback(lambda _: self.note("stopped"))


class Inline(Ending):
    """Ends in a generator that Twisted drives."""

    @inlineCallbacks
    def stopped(self) -> Any:
        self.note("stops")
        yield self.sleep(1)
        self.note("stopped")


class Saving(Ending):
    """Saves something elsewhere before it ends."""

    async def started(  # type: ignore[override]
        self, log: list[Any], dest: Any, name: str = ""
    ) -> None:
        await super().started(log, name)
        self.dest = dest

    async def stopped(self) -> None:
        self.send(self.dest, "NOTE", "sent")
        self.note(f"saved {await self.call(self.dest, 'ECHO', 'state')}")


class Hanging(Ending):
    """Never ends."""

    async def stopped(self) -> None:
        self.note("stops")
        try:
            await Deferred()
        finally:
            self.note("given up")


class EndingTestCase(NodeTestCase):
    """Lets time pass, and watches who is there."""

    def setUp(self) -> None:
        self.one = self.world()
        self.one.remote.up(2)
        self.log: list[Any] = []
        self.client = self.one.node.client()

    def later(self, seconds: float) -> None:
        """Let time pass in small steps."""
        self.one.turn()
        for _ in range(round(seconds / STEP)):
            self.one.turn(STEP)

    def lives(self, handle: int) -> bool:
        """Whether an actor is there still, if only to end."""
        return handle in [context.handle for context in self.one.node.actors()]

    def took(self, handle: int, within: float = 30) -> float:
        """The seconds until an actor is gone."""
        self.one.turn()
        for n in range(round(within / STEP)):
            if not self.lives(handle):
                return n * STEP
            self.one.turn(STEP)
        raise AssertionError(f"it lives after {within:g} s")

    def refused(self, called: Deferred[Any]) -> str:
        """The text of the error with which a call ended."""
        error = self.failureResultOf(called, RemoteError, NoSuchActor).value
        return str(error)


class StoppedTests(EndingTestCase):
    """``stopped``, whatever kind of function it is."""

    def test_plain(self) -> None:
        """A plain function is called once."""
        handle, actor = self.spawn(self.one, Plain, self.log)
        actor.exit()
        self.assertEqual(self.took(handle), 0)
        self.assertEqual(self.log, ["stopped"])

    def test_awaited(self) -> None:
        """A coroutine, a Deferred, and what `inlineCallbacks` makes are awaited."""
        for kind in (Slow, Promising, Inline):
            with self.subTest(kind=kind):
                self.log.clear()
                handle, actor = self.spawn(self.one, kind, self.log)
                actor.exit()
                self.one.turn()
                self.assertEqual(self.log, ["stops"])
                self.assertEqual(self.took(handle), 1)
                self.assertEqual(self.log, ["stops", "stopped"])

    def test_watchers(self) -> None:
        """Who watches is told when it is over, and why it began."""
        handle, actor = self.spawn(self.one, Slow, self.log)
        watch = self.client.watch(handle)
        self.one.remote.receive(handle, "LINK", session=5, ptype=PType.DEBUG)
        actor.exit()
        self.later(0.75)
        self.assertNoResult(watch)
        self.assertEqual(self.one.remote.take(), [])
        self.later(0.5)
        self.assertIn("it exited", self.successResultOf(watch))
        self.assertEqual(self.one.remote.one()[:4], (FAR, handle, PType.ERROR, 5))

    def test_watch_while_ending(self) -> None:
        """Who begins to watch meanwhile is told as well."""
        handle, actor = self.spawn(self.one, Slow, self.log)
        actor.exit()
        self.later(0.5)
        watch = self.client.watch(handle)
        self.later(1)
        self.successResultOf(watch)

    def test_near(self) -> None:
        """It may send to another actor of the node, and call it."""
        echo, target = self.spawn(self.one, Echo)
        handle, actor = self.spawn(self.one, Saving, self.log, echo)
        actor.exit()
        self.assertEqual(self.took(handle), 0)
        self.assertEqual(self.log, ["saved state"])
        self.assertEqual(target.got, ["sent"])

    def test_far(self) -> None:
        """It may do so with an actor of another node."""
        handle, actor = self.spawn(self.one, Saving, self.log, FAR)
        actor.exit()
        self.later(1)
        sent, called = self.one.remote.take()
        self.assertEqual(sent.values, ("NOTE", "sent"))
        self.assertTrue(self.lives(handle))
        self.one.remote.answer(called, "far away")
        self.assertEqual(self.took(handle), 0)
        self.assertEqual(self.log, ["saved far away"])
        self.assertEqual(self.one.node.ledger.late_answers, 0)

    def test_by_name(self) -> None:
        """It may do so by a name."""
        _, target = self.spawn(self.one, Echo)
        target.register("SAFE").addErrback(lambda _: None)
        self.one.remote.echo()
        handle, actor = self.spawn(self.one, Saving, self.log, "SAFE")
        actor.exit()
        self.assertEqual(self.took(handle), 0)
        self.assertEqual(self.log, ["saved state"])

    def test_itself(self) -> None:
        """A call to itself fails at once, as nobody would answer it."""

        class Foolish(Ending):
            async def stopped(self) -> None:
                try:
                    await self.call(self.handle, "ECHO")
                except SkynetError:
                    self.note("refused")

        handle, actor = self.spawn(self.one, Foolish, self.log)
        actor.exit()
        self.assertEqual(self.took(handle), 0)
        self.assertEqual(self.log, ["refused"])

    def test_hanging(self) -> None:
        """One that hangs is given up when the grace is over."""
        handle, actor = self.spawn(self.one, Hanging, self.log)
        watch = self.client.watch(handle)
        actor.exit()
        self.assertEqual(self.took(handle), GRACE)
        self.assertEqual(self.log, ["stops", "given up"])
        self.assertIn("it exited", self.successResultOf(watch))

    def test_raises(self) -> None:
        """One that raises is logged, and the actor is gone all the same."""

        class Raising(Ending):
            async def stopped(self) -> None:
                await self.sleep(1)
                raise SystemExit(3)

        handle, actor = self.spawn(self.one, Raising, self.log)
        watch = self.client.watch(handle)
        actor.exit()
        self.assertEqual(self.took(handle), 1)
        self.successResultOf(watch)
        self.assertEqual(len(self.flushLoggedErrors(SystemExit)), 1)

    def test_names(self) -> None:
        """Its names may be taken when it is gone."""
        handle, actor = self.spawn(self.one, Slow, self.log)
        self.successResultOf(actor.register(".slow"))
        other, target = self.spawn(self.one, Echo)
        actor.exit()
        self.later(0.5)
        self.failureResultOf(self.client.call(".slow", "ECHO"), SkynetError)
        self.took(handle)
        self.assertEqual(self.successResultOf(target.register(".slow")), other)

    def test_name_of_living(self) -> None:
        """The name of one that lives may not be taken."""
        _, actor = self.spawn(self.one, Slow, self.log)
        self.successResultOf(actor.register(".slow"))
        _, target = self.spawn(self.one, Echo)
        self.failureResultOf(target.register(".slow"), NameTaken)


class ExitTests(EndingTestCase):
    """``exit()``: what becomes of messages and tasks."""

    def test_new_messages(self) -> None:
        """One that ends takes no messages; who calls is told that it is gone."""
        handle, actor = self.spawn(self.one, Slow, self.log)
        actor.exit()
        self.later(0.5)
        self.assertTrue(self.lives(handle))
        for request in ("ECHO", "NEVER"):
            called = self.client.call(handle, request)
            self.one.turn()
            self.refused(called)
        self.client.send(handle, "NOTE", 1)
        [answer] = self.from_far(self.one, handle, "ECHO")
        self.assertEqual(answer[:4], (FAR, handle, PType.ERROR, 7))
        self.one.remote.receive(handle, "NOTE", 1)
        self.took(handle)
        self.assertEqual(actor.got, [])

    def test_waiting_messages(self) -> None:
        """What stands in its mailbox is refused, near and far."""
        handle, actor = self.spawn(self.one, Slow, self.log)
        first = self.client.call(handle, "EXIT")
        second = self.client.call(handle, "ECHO")
        self.client.send(handle, "NOTE", 1)
        self.one.turn()
        self.assertEqual(self.successResultOf(first), "bye")
        self.took(handle)
        self.assertIn("gone", self.refused(second))
        handle, _ = self.spawn(self.one, Slow, self.log)
        frame = self.one.remote.frame
        frames = [frame(handle, "EXIT"), frame(handle, "ECHO", session=8)]
        self.one.remote.receiver.frames_received(2, frames)
        self.took(handle)
        self.assertEqual(self.one.remote.one()[2:4], (PType.ERROR, 8))
        self.assertEqual(actor.got, [])

    def test_tasks(self) -> None:
        """Each task sees the end once, at its await, and its caller is told."""
        ways = ["SLEEP", "INLINE", "FROM_COROUTINE", "SECTION"]
        for way in ways:
            with self.subTest(way=way):
                handle, actor = self.spawn(self.one, Ending)
                called = self.client.call(handle, way)
                self.one.remote.receive(handle, way, session=7)
                self.client.send(handle, way)
                self.one.turn()
                self.assertNoResult(called)
                actor.exit()
                self.assertEqual(self.took(handle), 0)
                self.assertEqual(actor.cancelled, 3)
                self.refused(called)
                self.assertEqual(self.one.remote.one()[2:4], (PType.ERROR, 7))
                self.assertEqual(self.flushLoggedErrors(), [])

    def test_gathered(self) -> None:
        """So does each of several coroutines of one task."""
        handle, actor = self.spawn(self.one, Ending)
        called = self.client.call(handle, "GATHER")
        self.one.turn()
        actor.exit()
        self.assertEqual(self.took(handle), 0)
        self.assertEqual(actor.cancelled, 3)
        self.refused(called)
        self.flushLoggedErrors(FirstError)
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_calling(self) -> None:
        """So does one that waits for an answer, from here or elsewhere."""
        echo, target = self.spawn(self.one, Echo)
        for dest in (echo, FAR, "NOBODY", 0x0300000A):
            with self.subTest(dest=dest):
                handle, actor = self.spawn(self.one, Ending)
                called = self.client.call(handle, "CALL", dest, "WAIT")
                self.one.turn()
                actor.exit()
                self.assertEqual(self.took(handle), 0)
                self.assertEqual(actor.cancelled, 1)
                self.refused(called)
                self.assertEqual(len(self.one.node._core.calls), 0)
        for wait in target.waits:
            wait.callback("late")
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_forks(self) -> None:
        """So does a fork, which is no error."""
        handle, actor = self.spawn(self.one, Ending, self.log)
        for _ in range(3):
            self.assertEqual(self.call(self.one, handle, "FORK", "SLEEP"), "forked")
        self.call(self.one, handle, "FORK", "CLEAN", 2)
        actor.exit()
        self.assertEqual(self.took(handle), 2)
        self.assertEqual(actor.cancelled, 3)
        self.assertEqual(self.log, ["cleaned"])
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_cleaning(self) -> None:
        """A task may wait while it cleans up; its caller is told afterwards."""
        handle, actor = self.spawn(self.one, Plain, self.log)
        calls = [self.client.call(handle, "CLEAN", n) for n in (1, 3, 2)]
        self.one.turn()
        actor.exit()
        self.later(0.5)
        self.assertNoResult(calls[0])
        self.later(1)
        self.refused(calls[0])
        self.assertNoResult(calls[1])
        self.later(2)
        self.refused(calls[1])
        self.refused(calls[2])
        self.assertFalse(self.lives(handle))
        self.assertEqual(self.log, ["cleaned"] * 3 + ["stopped"])
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_cleaning_calls(self) -> None:
        """It may call while it cleans up, near and far."""
        echo, _ = self.spawn(self.one, Echo)
        handle, actor = self.spawn(self.one, Plain, self.log)
        self.client.send(handle, "SAVE", echo, "ECHO", "near")
        self.client.send(handle, "SAVE", FAR, "ECHO", "far")
        self.one.turn()
        self.one.remote.take()
        actor.exit()
        self.later(1)
        self.assertEqual(self.log, ["saved near"])
        [called] = [sent for sent in self.one.remote.take() if sent.session]
        self.one.remote.answer(called, "far")
        self.assertEqual(self.took(handle), 0)
        self.assertEqual(self.log, ["saved near", "saved far", "stopped"])

    def test_caught(self) -> None:
        """A task that catches its end and returns answers its caller."""
        for seconds in (0, 1):
            with self.subTest(seconds=seconds):
                handle, actor = self.spawn(self.one, Plain)
                called = self.client.call(handle, "CATCH", seconds, "value")
                self.one.remote.receive(handle, "CATCH", seconds, "value", session=7)
                self.one.turn()
                actor.exit()
                self.assertEqual(self.took(handle), seconds)
                self.assertEqual(self.successResultOf(called), "value")
                answer = self.one.remote.one()
                self.assertEqual(answer[2:4], (PType.RESPONSE, 7))
                self.assertEqual(answer.values, ("value",))
                self.assertEqual(actor.cancelled, 2)

    def test_section(self) -> None:
        """Who waits for a critical section does not enter it any more."""
        handle, actor = self.spawn(self.one, Ending, self.log)
        calls = [self.client.call(handle, "SECTION") for _ in range(5)]
        self.one.turn()
        actor.exit()
        self.assertEqual(self.took(handle), 0)
        self.assertEqual(self.log, ["entered"])
        self.assertEqual(actor.cancelled, 5)
        for called in calls:
            self.refused(called)

    def test_stubborn_task(self) -> None:
        """``stopped`` waits for tasks half of the grace; nothing outlives the whole."""
        handle, actor = self.spawn(self.one, Slow, self.log)
        calls = [
            self.client.call(handle, "HANG"),
            self.client.call(handle, "CLEAN", 1),
        ]
        self.one.remote.receive(handle, "HANG", session=7)
        self.one.turn()
        actor.exit()
        self.later(GRACE / 2 - STEP)
        self.assertEqual(self.log, ["cleaned"])
        self.later(2 * STEP)
        self.assertEqual(self.log, ["cleaned", "stops"])
        self.assertLessEqual(self.took(handle), GRACE / 2)
        self.assertEqual(self.log, ["cleaned", "stops", "stopped"])
        for called in calls:
            self.refused(called)
        self.assertEqual(self.one.remote.one()[2:4], (PType.ERROR, 7))

    def test_stubborn_at_all(self) -> None:
        """Tasks and ``stopped`` that hang are given up when the grace is over."""
        handle, actor = self.spawn(self.one, Hanging, self.log)
        called = self.client.call(handle, "HANG")
        self.one.turn()
        actor.exit()
        self.assertEqual(self.took(handle), GRACE)
        self.assertEqual(self.log, ["stops", "given up"])
        self.refused(called)

    def test_grace(self) -> None:
        """How long the grace is, the node is told."""
        for grace in (1.0, 4.0, 30.0):
            one = self.world(stop_grace=grace)
            handle, actor = self.spawn(one, Hanging, self.log)
            actor.exit()
            for _ in range(round(grace / STEP) - 1):
                one.turn(STEP)
            self.assertIn(handle, [context.handle for context in one.node.actors()])
            one.turn(STEP)
            one.turn()
            self.assertEqual(one.node.actors(), [])

    def test_no_grace(self) -> None:
        """Without a grace tasks and ``stopped`` run up to where they wait."""
        one = self.world(stop_grace=0)
        client = one.node.client()
        for kind, log in [(Plain, ["stopped"]), (Slow, ["stops"])]:
            self.log.clear()
            handle, actor = self.spawn(one, kind, self.log)
            calls = [client.call(handle, way) for way in ("SLEEP", "CLEAN", "HANG")]
            one.turn()
            actor.exit()
            one.turn()
            self.assertEqual(self.log, log)
            for called in calls:
                self.refused(called)
            self.assertNotIn(handle, one.node._cells.table)
            # Those that await in spite of their end.
            self.flushLoggedErrors(RuntimeError)

    def test_inside_plain(self) -> None:
        """The answer of a plain handler that exits still leaves."""
        handle, _ = self.spawn(self.one, Slow, self.log)
        called = self.client.call(handle, "EXIT")
        self.one.turn()
        self.assertEqual(self.successResultOf(called), "bye")
        self.assertEqual(self.took(handle), 1)
        handle, _ = self.spawn(self.one, Slow, self.log)
        [answer] = self.from_far(self.one, handle, "EXIT")
        self.assertEqual(answer.values, ("bye",))

    def test_inside_coroutine(self) -> None:
        """So does that of a coroutine which returns without another await."""
        handle, _ = self.spawn(self.one, Plain, self.log)
        called = self.client.call(handle, "EXIT_AND_RETURN")
        self.one.turn()
        self.one.turn()
        self.assertEqual(self.successResultOf(called), "still answered")
        self.assertEqual(self.log, ["stopped"])

    def test_inside_raising(self) -> None:
        """One that raises is logged, and its caller told, once."""
        handle, _ = self.spawn(self.one, Plain, self.log)
        called = self.client.call(handle, "EXIT_AND_RAISE")
        self.one.turn()
        self.failureResultOf(called, RemoteError)
        self.assertEqual(self.log, ["stopped"])
        self.assertEqual(len(self.flushLoggedErrors(KeyError)), 1)

    def test_inside_waiting(self) -> None:
        """One that waits sees its end there, and may answer still."""
        handle, actor = self.spawn(self.one, Plain, self.log)
        called = self.client.call(handle, "EXIT_AND", "SLEEP")
        self.one.turn()
        self.assertEqual(self.took(handle), 0)
        self.refused(called)
        self.assertEqual(actor.cancelled, 1)
        handle, actor = self.spawn(self.one, Plain, self.log)
        called = self.client.call(handle, "EXIT_AND", "CATCH", 1, 5)
        self.assertEqual(self.took(handle), 1)
        self.assertEqual(self.successResultOf(called), 5)
        self.assertEqual(actor.cancelled, 1)
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_twice(self) -> None:
        """Two exits are one end."""
        handle, actor = self.spawn(self.one, Slow, self.log)
        called = self.client.call(handle, "CATCH", 1, 5)
        self.one.turn()
        actor.exit()
        actor.exit()
        self.later(0.5)
        actor.exit()
        self.later(1)
        actor.exit()
        self.assertEqual(self.took(handle), 0.5)
        actor.exit()
        self.later(1)
        self.assertEqual(actor.cancelled, 1)
        self.assertEqual(self.successResultOf(called), 5)
        self.assertEqual(self.log, ["caught", "stops", "stopped"])

    def test_in_stopped(self) -> None:
        """An exit in ``stopped`` does nothing."""

        class Again(Ending):
            def stopped(self) -> None:
                self.exit()
                self.note("stopped")

        handle, actor = self.spawn(self.one, Again, self.log)
        actor.exit()
        self.assertEqual(self.took(handle), 0)
        self.assertEqual(self.log, ["stopped"])

    def test_by_another(self) -> None:
        """An actor may end another from a handler, and goes on first."""
        _, other = self.spawn(self.one, Plain, self.log)

        class Killing(Echo):
            @command
            def KILL(self, actor: Actor) -> list[Any]:
                actor.exit()
                return list(log)

        log = self.log
        killing, _ = self.spawn(self.one, Killing)
        self.assertEqual(self.call(self.one, killing, "KILL", other), [])
        self.assertEqual(self.log, ["stopped"])

    def test_methods_afterwards(self) -> None:
        """What the methods of an actor that is gone do: errors in words, or nothing."""
        handle, actor = self.spawn(self.one, Plain, self.log)
        echo, target = self.spawn(self.one, Echo)
        actor.exit()
        self.took(handle)
        self.failureResultOf(actor.register(".gone"), NotReady)
        ended: list[Any] = []
        for deferred in (
            actor.call(echo, "WAIT"),
            actor.call(FAR, "X"),
            actor.sleep(5),
            actor.query("NAME"),
            actor.spawn(Echo),
            actor.watch(echo),
        ):
            deferred.addBoth(ended.append)
        self.later(60)
        for wait in target.waits:
            wait.callback(None)
        self.one.turn()
        self.assertEqual(len(self.one.node._core.calls), 0)
        actor.exit()
        self.assertEqual(actor.handle, handle)


class StartedTests(EndingTestCase):
    """The end of an actor that starts."""

    class Starting(Ending):
        """Starts in the way that a test says."""

        async def started(  # type: ignore[override]
            self, log: list[Any], how: str
        ) -> None:
            await super().started(log)
            await getattr(self, how)()

        async def exit_and_return(self) -> None:
            self.exit()

        async def exit_and_wait(self) -> None:
            self.exit()
            await self.wait()

        async def wait(self) -> None:
            try:
                await self.sleep(1000)
            except CancelledError:
                self.note("cancelled")
                raise

        async def clean(self) -> None:
            try:
                await self.sleep(1000)
            finally:
                await self.sleep(1)
                self.note("cleaned")

        async def catch(self) -> None:
            try:
                await self.sleep(1000)
            except CancelledError:
                self.note("caught")

    def spawning(self, how: str, kind: Any = None) -> Deferred[Handle]:
        """A spawn of such a one."""
        spawned = self.one.node.spawn(kind or self.Starting, self.log, how)
        self.one.turn()
        return spawned

    def test_exit(self) -> None:
        """An exit in ``started`` fails the spawn, with or without an await."""
        for how in ("exit_and_return", "exit_and_wait"):
            with self.subTest(how=how):
                spawned = self.spawning(how)
                self.failureResultOf(spawned, NotReady)
                self.assertEqual(len(self.one.node.actors()), 1)
        self.assertEqual(self.log, ["cancelled"])
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_stop(self) -> None:
        """A node that stops cancels ``started``, which may clean up."""
        for how, log in [("wait", "cancelled"), ("clean", "cleaned")]:
            with self.subTest(how=how):
                self.log.clear()
                one = self.world()
                spawned = one.node.spawn(self.Starting, self.log, how)
                one.turn()
                client = one.node.client()
                handle = one.node.actors()[0].handle
                waiting = self.ends(client.call(handle, "ECHO"))
                one.stop()
                self.failureResultOf(spawned, NotReady)
                self.assertIsInstance(waiting[0].value, SkynetError)
                self.assertEqual(self.log, [log])
                self.assertEqual(self.flushLoggedErrors(), [])

    def test_stop_caught(self) -> None:
        """One that catches it has not started all the same."""
        one = self.world()
        spawned = one.node.spawn(self.Starting, self.log, "catch")
        one.turn()
        one.stop()
        self.failureResultOf(spawned, NotReady)
        self.assertEqual(self.log, ["caught"])

    def test_exit_outside(self) -> None:
        """So does an exit that somebody else calls."""
        spawned = self.spawning("clean")
        [_, context] = self.one.node.actors()
        context.actor.exit()
        self.assertEqual(self.took(context.handle), 1)
        self.failureResultOf(spawned, NotReady)
        self.assertEqual(self.log, ["cleaned"])

    def test_plain(self) -> None:
        """``started`` may be a plain function, or return a Deferred."""

        class Simple(Echo):
            def started(self, value: int) -> None:
                self.got.append(value)

        class Promise(Echo):
            def started(self, value: int) -> Any:
                return self.sleep(1).addCallback(lambda _: self.got.append(value))

        _, simple = self.spawn(self.one, Simple, 5)
        self.assertEqual(simple.got, [5])
        spawned = self.one.node.spawn(Promise, 6)
        handle = self.one.node.actors()[-1].handle
        called = self.client.call(handle, "ECHO", 1)
        self.one.turn()
        self.assertNoResult(spawned)
        self.assertNoResult(called)
        self.one.turn(1)
        self.one.turn()
        self.assertEqual(self.one.actor(self.successResultOf(spawned)).got, [6])
        self.assertEqual(self.successResultOf(called), 1)

    def test_plain_fails(self) -> None:
        """A plain one that raises fails the spawn as a coroutine does."""

        class Simple(Echo):
            def started(self, value: int) -> None:
                raise KeyError(value)

        for args, kind in [((5,), KeyError), ((), TypeError)]:
            spawned = self.one.node.spawn(Simple, *args)
            self.one.turn()
            self.failureResultOf(spawned, kind)
            self.assertEqual(len(self.one.node.actors()), 1)


class StopTests(NodeTestCase):
    """The end of a node."""

    def setUp(self) -> None:
        self.log: list[Any] = []

    def make(self, *kinds: type[Ending], **options: Any) -> World:
        """A node with actors called a, b, c..., started in this order."""
        one = self.world(**options)
        one.remote.up(2)
        self.actors = [
            self.spawn(one, kind, self.log, name)[1]
            for kind, name in zip(kinds, "abcdef", strict=False)
        ]
        return one

    def stopping(self, one: World, **rest: Any) -> list[Any]:
        """Begin to stop; a list to which the end adds its result."""
        over: list[Any] = []
        one.node.stop(**rest).addBoth(over.append)
        one.turn()
        return over

    def took(self, one: World, over: list[Any], within: float = 30) -> float:
        """The seconds until the stop is over."""
        for n in range(round(within / STEP)):
            if over:
                self.assertEqual(over, [None])
                return n * STEP
            one.turn(STEP)
        raise AssertionError(f"it has not stopped after {within:g} s")

    def test_nothing(self) -> None:
        """A node without actors stops at once."""
        one = self.make()
        self.assertEqual(self.took(one, self.stopping(one)), 0)

    def test_plain(self) -> None:
        """So does one whose actors have nothing to wait for; last started first."""
        one = self.make(Plain, Plain, Plain)
        self.assertEqual(self.took(one, self.stopping(one)), 0)
        self.assertEqual(self.log, ["cstopped", "bstopped", "astopped"])

    def test_one_by_one(self) -> None:
        """They end one after the other, each awaited."""
        one = self.make(Slow, Promising, Inline)
        over = self.stopping(one)
        self.assertEqual(self.log, ["cstops"])
        self.assertEqual(self.took(one, over), 3)
        expected = [f"{n}{what}" for n in "cba" for what in ("stops", "stopped")]
        self.assertEqual(self.log, expected)

    def test_served(self) -> None:
        """One that was started earlier still serves a later one that ends."""
        one = self.world()
        echo, target = self.spawn(one, Echo)
        for name in "ab":
            self.spawn(one, Saving, self.log, echo, name)
        self.assertEqual(self.took(one, self.stopping(one)), 0)
        self.assertEqual(self.log, ["bsaved state", "asaved state"])
        self.assertEqual(target.got, ["sent", "sent"])

    def test_not_served(self) -> None:
        """One that was started later is gone, and the call says so."""
        one = self.world()
        _, early = self.spawn(one, Saving, self.log, 0, "a")
        early.dest, _ = self.spawn(one, Echo)
        self.assertEqual(self.took(one, self.stopping(one)), 0)
        self.assertEqual(len(self.flushLoggedErrors(SkynetError)), 1)

    def test_far(self) -> None:
        """The links are open until the last one has ended."""
        one = self.world()
        one.remote.up(2)
        self.spawn(one, Saving, self.log, FAR, "a")
        over = self.stopping(one)
        sent, called = one.remote.take()
        self.assertEqual(sent.values, ("NOTE", "sent"))
        one.turn(1)
        self.assertEqual(over, [])
        one.remote.answer(called, "far")
        self.assertEqual(self.took(one, over), 0)
        self.assertEqual(self.log, ["asaved far"])

    def test_serves_far(self) -> None:
        """One whose turn has not come answers other nodes still."""
        one = self.make(Plain, Slow)
        handle = self.actors[0].handle
        over = self.stopping(one)
        [answer] = self.from_far(one, handle, "ECHO", 1)
        self.assertEqual(answer.values, (1,))
        self.assertEqual(self.took(one, over), 1)

    def test_hanging(self) -> None:
        """One that hangs takes half of what is left, and the others their turn."""
        one = self.make(Plain, Slow, Hanging)
        over = self.stopping(one)
        for _ in range(round(GRACE / 2 / STEP) - 1):
            one.turn(STEP)
        self.assertEqual(self.log, ["cstops"])
        one.turn(2 * STEP)
        self.assertIn("bstops", self.log)
        self.assertLessEqual(self.took(one, over), GRACE / 2 + 1)
        at = [self.log.index(what) for what in ("bstops", "bstopped", "astopped")]
        self.assertEqual(at, sorted(at))
        self.assertIn("cgiven up", self.log)

    def test_all_hang(self) -> None:
        """However many hang, all is over when the grace is, and each had its turn."""
        one = self.make(*[Hanging] * 6)
        over = self.stopping(one)
        self.assertLessEqual(self.took(one, over), GRACE + STEP)
        stops = [what for what in self.log if what.endswith("stops")]
        self.assertEqual(stops, [f"{name}stops" for name in "fedcba"])
        self.assertEqual(len(self.log), 12)

    def test_tasks(self) -> None:
        """Tasks may clean up, those of one actor at a time."""
        one = self.make(Plain, Plain)
        client = one.node.client()
        calls = [
            self.ends(client.call(actor.handle, "CLEAN", 1)) for actor in self.actors
        ]
        one.remote.receive(self.actors[0].handle, "CATCH", 0, "saved", session=7)
        one.turn()
        over = self.stopping(one)
        self.assertEqual(self.took(one, over), 2)
        for [failure] in calls:
            self.assertIsInstance(failure.value, SkynetError)
        self.assertEqual(one.remote.one()[2:4], (PType.RESPONSE, 7))
        expected = ["bcleaned", "bstopped", "acaught", "acleaned", "astopped"]
        self.assertEqual(self.log, expected)

    def test_raises(self) -> None:
        """Whatever one raises, the others have their turn."""
        for error in (KeyError, SystemExit, KeyboardInterrupt, GeneratorExit):

            class Raising(Ending):
                async def stopped(self) -> None:
                    self.note("raises")
                    raise error  # noqa: B023

            self.log.clear()
            one = self.make(Plain, Raising, Plain)
            self.assertEqual(self.took(one, self.stopping(one)), 0)
            self.assertEqual(self.log, ["cstopped", "braises", "astopped"])
            self.assertEqual(len(self.flushLoggedErrors(error)), 1)

    def test_again(self) -> None:
        """Who asks again meanwhile, or afterwards, hears of the same end."""
        one = self.make(Slow)
        first = self.stopping(one)
        one.turn(0.5)
        second = self.stopping(one)
        self.assertEqual((first, second), ([], []))
        self.assertEqual(self.took(one, second), 0.5)
        self.assertEqual(first, [None])
        self.assertEqual(self.stopping(one), [None])
        self.assertEqual(self.log, ["astops", "astopped"])

    def test_now(self) -> None:
        """A stop at once waits for nobody."""
        one = self.make(Hanging, Slow, Plain)
        client = one.node.client()
        called = self.ends(client.call(self.actors[2].handle, "HANG"))
        one.turn()
        over = self.stopping(one, now=True)
        self.assertEqual(over, [None])
        self.assertIsInstance(called[0].value, SkynetError)
        # A coroutine that awaits in spite of its end.
        self.flushLoggedErrors(RuntimeError)
        self.assertEqual(one.node.actors(), [])
        self.assertEqual(one.clock.getDelayedCalls(), [])
        self.assertNotIn("bstopped", self.log)

    def test_now_at_last(self) -> None:
        """It ends another one that is under way."""
        one = self.make(Plain, Hanging)
        self.spawn(one, Plain, self.log, "c")
        one.remote.receive(self.actors[0].handle, "HANG", session=7)
        one.remote.receive(self.actors[1].handle, "HANG", session=8)
        first = self.stopping(one)
        one.turn(1)
        self.assertEqual(first, [])
        second = self.stopping(one, now=True)
        self.assertEqual((first, second), ([None], [None]))
        self.flushLoggedErrors(RuntimeError)
        self.assertEqual(one.node.actors(), [])
        errors = sorted((sent.ptype, sent.session) for sent in one.remote.take())
        self.assertEqual(errors, [(PType.ERROR, 7), (PType.ERROR, 8)])

    def test_no_grace(self) -> None:
        """Without a grace plain ends still run, and all is over at once."""
        one = self.make(Plain, Slow, Plain, stop_grace=0)
        self.assertEqual(self.took(one, self.stopping(one)), 0)
        self.assertEqual(self.log, ["cstopped", "bstops", "astopped"])

    def test_spawn(self) -> None:
        """No actor is started meanwhile."""
        one = self.make(Slow)
        over = self.stopping(one)
        self.failureResultOf(one.node.spawn(Echo), NotReady)
        self.took(one, over)
        self.failureResultOf(one.node.spawn(Echo), NotReady)

    def test_inside(self) -> None:
        """An actor may stop its own node, and even wait for it."""

        class Stopping(Slow):
            @command
            def STOP(self) -> str:
                self.node.stop()
                return "stopping"

            @command
            async def STOP_AND_WAIT(self) -> None:
                try:
                    await self.node.stop()
                finally:
                    self.note("cancelled")

        for way in ("STOP", "STOP_AND_WAIT"):
            self.log.clear()
            one = self.make(Plain, Stopping, Plain)
            one.remote.receive(self.actors[1].handle, way, session=7)
            one.turn()
            over = self.stopping(one)
            self.assertLessEqual(self.took(one, over), 1 + STEP)
            self.assertEqual(self.log[-2:], ["bstopped", "astopped"])
            answer = one.remote.one()
            plain = way == "STOP"
            expected = PType.RESPONSE if plain else PType.ERROR
            self.assertEqual(answer[2:4], (expected, 7))

    def test_already_ending(self) -> None:
        """One that was ending already is awaited as well."""
        one = self.make(Slow, Slow)
        self.actors[0].exit()
        one.turn(0.5)
        over = self.stopping(one)
        self.assertLessEqual(self.took(one, over), 1 + STEP)
        self.assertEqual(self.log.count("astopped"), 1)
        self.assertEqual(self.log.count("bstopped"), 1)

    def test_ended_by_another(self) -> None:
        """One may end others in its ``stopped``."""

        class Killing(Ending):
            victims: list[Actor]

            def stopped(self) -> None:
                self.note("stopped")
                for victim in self.victims:
                    victim.exit()

        one = self.make(Plain, Slow, Plain, Killing)
        self.actors[3].victims = self.actors[:]  # type: ignore[attr-defined]
        over = self.stopping(one)
        self.assertLessEqual(self.took(one, over), 1 + STEP)
        ends = sorted(what for what in self.log if what.endswith("stopped"))
        self.assertEqual(ends, [f"{name}stopped" for name in "abcd"])

    def test_late_answers(self) -> None:
        """An answer that comes after the end hurts nobody."""
        one = self.make(Plain)
        one.remote.take()
        self.actors[0].call(FAR, "X").addErrback(lambda _: None)
        [called] = [sent for sent in one.remote.take() if sent.session]
        self.took(one, self.stopping(one))
        one.remote.answer(called, 1)
        one.remote.receive(self.actors[0].handle, "ECHO", session=7)
        one.turn(1)
        self.assertEqual(one.balance, 0)

    def test_many(self) -> None:
        """A node with a thousand actors stops at once when they do."""
        one = self.world()
        for _ in range(1000):
            self.spawn(one, Plain, self.log, "")
        self.assertEqual(self.took(one, self.stopping(one)), 0)
        self.assertEqual(len(self.log), 1000)
