"""The end of an actor, and of all actors of a node: nothing to save is lost."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError, Deferred

from skynet_tw.errors import NoSuchActor, NotReady, RemoteError
from skynet_tw.handle import Handle
from skynet_tw.node.actor import Actor, command

from .support import Echo, NodeTestCase

FAR = Handle(0x0200000A)


class Saving(Actor):
    """Saves what it has at its end, at another actor."""

    async def started(self, store: int, log: list[Any]) -> None:
        self.store = store
        self.log = log

    @command
    async def WORK(self, how: str) -> Any:
        try:
            await self.sleep(1000)
        except CancelledError:
            self.log.append("cancelled")
            if how == "answers":
                return "saved"
            if how == "cleans up":
                await self.call(self.store, "NOTE", "cleaned up")
            if how == "hangs":
                await Deferred()
            raise

    async def stopped(self) -> None:
        await self.call(self.store, "NOTE", "stopped")
        self.log.append("stopped")


class Hanging(Actor):
    """Does not come to its end."""

    async def stopped(self) -> None:
        await Deferred()


class Raising(Actor):
    """Raises at its end."""

    def stopped(self) -> None:
        raise SystemExit(3)


class EndTests(NodeTestCase):
    """`Actor.exit`, and ``stopped``."""

    def setUp(self) -> None:
        self.one = self.world()
        self.log: list[Any] = []
        self.store, self.echo = self.spawn(self.one, Echo)
        self.client = self.one.node.client()

    def saving(self) -> tuple[Handle, Saving]:
        return self.spawn(self.one, Saving, self.store, self.log)

    def test_stopped_calls(self) -> None:
        """``stopped`` may be a coroutine, and call; then the actor is gone."""
        handle, actor = self.saving()
        watched = self.client.watch(handle)
        actor.exit()
        self.one.turn()
        self.assertEqual(self.echo.got, ["stopped"])
        self.assertEqual(self.log, ["stopped"])
        self.assertIn("it exited", self.successResultOf(watched))
        self.failureResultOf(self.client.call(handle, "WORK", ""), NoSuchActor)

    def test_stopped_calls_far(self) -> None:
        """It may call another node, whose answer reaches it; requests do not."""
        self.one.remote.up(2)
        handle, actor = self.spawn(self.one, Saving, FAR, self.log)
        actor.exit()
        self.one.turn()
        sent = self.one.remote.one()
        self.one.remote.receive(handle, "WORK", session=9)
        self.assertEqual(self.one.remote.one().session, 9)
        self.failureResultOf(self.client.call(handle, "WORK", ""), NoSuchActor)
        self.assertEqual(self.log, [])
        self.one.remote.answer(sent)
        self.assertEqual(self.log, ["stopped"])

    def test_cancelled(self) -> None:
        """Work under way sees CancelledError once, and may answer or clean up."""
        handle, actor = self.saving()
        answers = self.client.call(handle, "WORK", "answers")
        cleans = self.client.call(handle, "WORK", "cleans up")
        self.one.turn()
        actor.exit()
        self.one.turn()
        self.assertEqual(self.successResultOf(answers), "saved")
        error = self.failureResultOf(cleans, RemoteError).value
        self.assertIn("it exited", str(error))
        self.assertEqual(self.log, ["cancelled", "cancelled", "stopped"])
        self.assertEqual(self.echo.got, ["cleaned up", "stopped"])

    def test_time(self) -> None:
        """What hangs has half of the grace, and ``stopped`` has the rest of it."""
        handle, actor = self.saving()
        hangs = self.client.call(handle, "WORK", "hangs")
        self.one.turn()
        actor.exit()
        self.one.later(4)
        self.assertEqual(self.log, ["cancelled"])
        self.assertNoResult(hangs)
        self.one.later(1)
        self.assertEqual(self.log, ["cancelled", "stopped"])
        self.failureResultOf(hangs, RemoteError)

    def test_hangs(self) -> None:
        """A ``stopped`` that hangs is ended with the grace."""
        handle, actor = self.spawn(self.one, Hanging)
        watched = self.client.watch(handle)
        actor.exit()
        self.one.later(9)
        self.assertNoResult(watched)
        self.one.later(1)
        self.successResultOf(watched)
        self.assertNotIn(handle, self.one.node._cells.table)

    def test_exit_in_start(self) -> None:
        """An actor that exits while it starts has not started."""

        class Leaving(Actor):
            async def started(self, awaits: bool) -> None:
                self.exit()
                if awaits:
                    await self.sleep(1)

        for awaits in (False, True):
            spawned = self.one.node.spawn(Leaving, awaits)
            self.one.turn()
            self.failureResultOf(spawned, NotReady)

    def test_plain_start(self) -> None:
        """``started`` may be plain, or return a Deferred."""
        wait: Deferred[None] = Deferred()

        class Plain(Actor):
            def started(self, waits: bool) -> Any:
                return wait if waits else None

        self.spawn(self.one, Plain, False)
        spawned = self.one.node.spawn(Plain, True)
        self.assertNoResult(spawned)
        wait.callback(None)
        self.successResultOf(spawned)


class StopTests(NodeTestCase):
    """`Node.stop`."""

    def setUp(self) -> None:
        self.one = self.world(0)
        self.log: list[Any] = []
        self.store, self.echo = self.spawn(self.one, Echo)

    def test_last_first(self) -> None:
        """The last one ends first, and those before it serve it until then."""
        for _ in range(3):
            self.spawn(self.one, Saving, self.store, self.log)
        stopped = self.one.node.stop()
        self.one.turn()
        self.successResultOf(stopped)
        self.assertEqual(self.echo.got, ["stopped"] * 3)
        self.failureResultOf(self.one.node.spawn(Echo), NotReady)

    def test_one_raises(self) -> None:
        """What one raises is logged, and the others' ``stopped`` run."""
        self.spawn(self.one, Saving, self.store, self.log)
        self.spawn(self.one, Raising)
        self.successResultOf(self.one.node.stop())
        self.assertEqual(self.log, ["stopped"])
        self.assertEqual(len(self.flushLoggedErrors(SystemExit)), 1)

    def test_one_hangs(self) -> None:
        """One that hangs leaves half of the time to the others; all end in time."""
        self.spawn(self.one, Saving, self.store, self.log)
        self.spawn(self.one, Hanging)
        stopped = self.one.node.stop()
        self.one.later(4)
        self.assertEqual(self.log, [])
        self.one.later(1)
        self.assertEqual(self.log, ["stopped"])
        self.assertNoResult(stopped)
        self.one.later(5)
        self.successResultOf(stopped)

    def test_now(self) -> None:
        """A stop that is under way ends at once where it is asked to."""
        self.spawn(self.one, Saving, self.store, self.log)
        self.spawn(self.one, Hanging)
        stopped = self.one.node.stop()
        self.one.turn()
        self.assertNoResult(stopped)
        self.successResultOf(self.one.node.stop(now=True))
        self.successResultOf(stopped)

    def test_while_starting(self) -> None:
        """An actor that starts sees CancelledError, and its spawn fails."""

        class Slow(Actor):
            async def started(self, log: list[Any]) -> None:
                try:
                    await self.sleep(100)
                except CancelledError:
                    log.append("cancelled")
                    raise

        spawned = self.one.node.spawn(Slow, self.log)
        self.successResultOf(self.one.node.stop())
        self.failureResultOf(spawned, NotReady)
        self.assertEqual(self.log, ["cancelled"])
