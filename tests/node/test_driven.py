"""Coroutines that Twisted drives, in an actor: all goes as with other Deferreds."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from twisted.internet import defer
from twisted.internet.defer import (
    CancelledError,
    Deferred,
    gatherResults,
    inlineCallbacks,
    succeed,
)

from skynet_tw.errors import CallTimeout, LinkLost, RemoteError, SkynetError
from skynet_tw.handle import Handle
from skynet_tw.node import driven
from skynet_tw.node.actor import Actor, command

from .support import Echo, NodeTestCase, World, cell_of

FAR = Handle(0x0200000A)


class User(Actor):
    """Uses Twisted's own drivers of coroutines in its handlers."""

    def __init__(self) -> None:
        self.ends: list[Any] = []
        self.senders: list[int] = []

    @command
    async def GATHER(self, dest: int, count: int, times: int) -> list[Any]:
        async def work(first: int) -> list[Any]:
            got = []
            for n in range(times):
                got.append(await self.call(dest, "SAME", first + n))
                self.senders.append(self.sender)
            return got

        return await gatherResults(
            [Deferred.fromCoroutine(work(n * times)) for n in range(count)]
        )

    @command
    @inlineCallbacks
    def INLINE(self, dest: int, times: int) -> Generator[Deferred[Any], Any, list[Any]]:
        got = []
        for n in range(times):
            got.append((yield self.call(dest, "SAME", n)))
            self.senders.append(self.sender)
        return got

    @command
    @inlineCallbacks
    def MIXED(self, dest: int) -> Generator[Any, Any, list[Any]]:
        """Waits for all that a generator may yield, calls between."""

        async def coroutine() -> Any:
            return await self.call(dest, "SAME", 3)

        shared = self.call(dest, "SAME", 5)
        shared.addCallback(lambda value: value + 1)
        got = [
            (yield self.call(dest, "SAME", 0)),
            (yield 1),
            (yield succeed(2)),
            (yield coroutine()),
            (yield self.sleep(1)),
            (yield self.call(dest, "SAME", 4)),
            (yield shared),
        ]
        for n in range(3000):  # None of these may grow the stack.
            got[1] = yield n
            got[2] = yield succeed(n)
        return [*got, (yield self.call(dest, "SAME", 7))]

    @command
    async def TRY(self, dest: int, *request: Any, timeout: float = 5.0) -> str:
        """The error of a call after one that succeeds, in words."""

        async def work() -> str:
            await self.call(dest, "SAME", 0)
            try:
                await self.call(dest, *request, timeout=timeout)
            except Exception as error:
                return type(error).__name__
            return "none"

        return await Deferred.fromCoroutine(work())

    @command
    async def RAISE(self, dest: int) -> Any:
        async def work() -> None:
            await self.call(dest, "SAME", 0)
            await self.call(dest, "SAME", 0)
            raise ValueError("mine")

        return await Deferred.fromCoroutine(work())

    @command
    def START(self, dest: int, times: int) -> None:
        """Begin calls that nobody may ever answer."""

        async def work() -> None:
            for _ in range(times):
                await self.call(dest, "SAME", 0)
            await self.call(dest, "WAIT", timeout=60)

        self.work: Deferred[Any] = Deferred.fromCoroutine(work())
        self.work.addBoth(self.ends.append)

    @command
    def CANCEL(self) -> None:
        self.work.cancel()

    @command
    def FIRE(self) -> None:
        """Fire what is not its own."""
        self.work.callback("fired")


class _UserTestCase(NodeTestCase):
    """An actor that uses Twisted's drivers, and one that it calls."""

    def setUp(self) -> None:
        self.one = self.world()
        self.client = self.one.node.client()
        self.handle, self.echo = self.spawn(self.one, Echo)
        self.where, self.user = self.spawn(self.one, User)

    def ask(self, *request: Any) -> Any:
        """The answer of the user to a request."""
        called = self.client.call(self.where, *request)
        for _ in range(5):
            self.one.turn(0.5)
        return self.successResultOf(called)

    def serve(self, world: World) -> None:
        """Answer what leaves for the other node, and what that leads to."""
        while sent := world.remote.take():
            for one in sent:
                world.remote.answer(one, *one.values[1:])
            world.turn()

    def start(self, times: int) -> None:
        """Let the user wait for an answer, after some calls."""
        self.client.send(self.where, "START", self.handle, times)
        self.one.turn()
        self.assertEqual(self.user.ends, [])


class DrivenTests(_UserTestCase):
    """``fromCoroutine`` and ``inlineCallbacks`` over calls, near and far."""

    def test_near(self) -> None:
        """Each gathered coroutine gets the answers to its own calls, in order."""
        got = self.ask("GATHER", self.handle, 3, 4)
        self.assertEqual(got, [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]])
        self.assertEqual(set(self.user.senders), {self.client.handle})

    def test_far(self) -> None:
        """So it is with calls to another node."""
        self.one.remote.up(2)
        called = self.client.call(self.where, "GATHER", FAR, 3, 4)
        self.one.turn()
        self.serve(self.one)
        got = self.successResultOf(called)
        self.assertEqual(got, [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]])
        self.assertEqual(set(self.user.senders), {self.client.handle})

    def test_inline(self) -> None:
        """``inlineCallbacks`` gets its answers, and keeps the sender."""
        self.assertEqual(self.ask("INLINE", self.handle, 4), [0, 1, 2, 3])
        self.assertEqual(set(self.user.senders), {self.client.handle})

    def test_mixed(self) -> None:
        """What is no call is waited for as Twisted does it, between calls."""
        got = self.ask("MIXED", self.handle)
        self.assertEqual(got, [0, 2999, 2999, 3, None, 4, 6, 7])

    def test_errors(self) -> None:
        """An error is raised where the answer is awaited."""
        self.assertEqual(self.ask("TRY", self.handle, "FAIL"), RemoteError.__name__)
        self.flushLoggedErrors(ValueError)

    def test_time(self) -> None:
        """So is the end of the time limit."""
        called = self.client.call(self.where, "TRY", self.handle, "WAIT")
        self.one.later(6)
        self.assertEqual(self.successResultOf(called), CallTimeout.__name__)

    def test_lost(self) -> None:
        """So is the loss of the link."""
        self.one.remote.up(2)
        called = self.client.call(self.where, "TRY", FAR, "X")
        self.one.turn()
        self.one.remote.answer(self.one.remote.one(), 0)
        self.one.turn()
        self.one.remote.lost(2)
        self.assertEqual(self.successResultOf(called), LinkLost.__name__)

    def test_raises(self) -> None:
        """What such a coroutine raises reaches who awaits it."""
        called = self.client.call(self.where, "RAISE", self.handle)
        self.one.turn()
        self.assertIn("mine", str(self.failureResultOf(called, RemoteError)))
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)

    def test_cancel(self) -> None:
        """To cancel its Deferred cancels the call that it waits for."""
        for times in (0, 1, 5):
            with self.subTest(times=times):
                self.start(times)
                self.client.send(self.where, "CANCEL")
                self.one.turn()
                [end] = self.user.ends
                end.trap(CancelledError)
                self.assertEqual(cell_of(self.user).calls, {})
                self.user.ends.clear()

    def test_actor_ends(self) -> None:
        """The end of the actor is an error of the call that it waits for."""
        self.start(3)
        self.user.exit()
        self.one.turn()
        [end] = self.user.ends
        end.trap(SkynetError)

    def test_second_listener(self) -> None:
        """A callback that is added to an awaited reply runs as well."""
        reply = self.client.call(self.handle, "WAIT", 1)

        async def work() -> Any:
            await self.client.call(self.handle, "SAME", 0)
            return await reply

        work_ends = self.ends(Deferred.fromCoroutine(work()))
        self.one.turn()
        reply_ends = self.ends(reply)
        self.echo.waits.pop().callback(7)
        self.one.turn()
        # A coroutine takes the result out of the Deferred, as it does in Twisted.
        self.assertEqual((work_ends, reply_ends), ([7], [None]))

    def test_strange(self) -> None:
        """What is no Deferred is given back; what raises is raised there."""

        class Strange:
            """Awaitable, but neither a coroutine nor a Deferred."""

            call = 1

            def __await__(self) -> Generator[Any, Any, Any]:
                return (yield self)

        class Hostile(Strange):
            """Raises at whoever asks for its call."""

            @property
            def call(self) -> int:  # type: ignore[override]
                raise ValueError("not yours")

        got: list[Any] = []

        async def work() -> None:
            for thing in (Strange(), Hostile()):
                await self.client.call(self.handle, "SAME", 0)
                got.append(await thing is thing)
            got.append(await self.client.call(self.handle, "SAME", 1))

        ends = self.ends(Deferred.fromCoroutine(work()))
        self.one.turn()
        self.assertEqual((got, ends), ([True, True, 1], [None]))

    def test_deep(self) -> None:
        """A coroutine may await calls and other things as often as it likes."""
        fired = succeed(0)

        async def work() -> int:
            total = 0
            for n in range(3000):
                total += await self.client.call(self.handle, "SAME", 1)
                if n % 3 == 0:
                    await fired
            return total

        ends = self.ends(Deferred.fromCoroutine(work()))
        self.one.turn()
        for _ in range(300):
            self.one.turn()
        self.assertEqual(ends, [3000])

    def test_closed(self) -> None:
        """A generator that somebody closes while it waits is over at its answer."""

        def work() -> Generator[Deferred[Any], Any, None]:
            yield self.client.call(self.handle, "SAME", 0)
            yield self.client.call(self.handle, "WAIT")

        generator = work()
        ends = self.ends(inlineCallbacks(lambda: generator)())
        self.one.turn()
        generator.close()
        self.echo.waits.pop().callback(1)
        self.one.turn()
        self.assertEqual(ends, [None])

    def test_other_actor(self) -> None:
        """A coroutine may await replies of several actors, and outlive one."""
        other = self.one.node.client()

        async def work() -> list[Any]:
            got = [await self.client.call(self.handle, "SAME", 1)]
            waits = other.call(self.handle, "WAIT")
            try:
                got.append(await waits)
            except SkynetError:
                got.append("gone")
            got.append(await self.client.call(self.handle, "SAME", 3))
            return got

        ends = self.ends(Deferred.fromCoroutine(work()))
        self.one.turn()
        other.exit()
        self.echo.waits.pop().callback(2)
        self.one.turn()
        self.assertEqual(ends, [[1, "gone", 3]])

    def test_debugging(self) -> None:
        """With Twisted's debugging on all goes as without."""
        self.addCleanup(defer.setDebugging, defer.getDebugging())
        defer.setDebugging(True)
        self.assertEqual(self.ask("INLINE", self.handle, 4), [0, 1, 2, 3])
        self.assertEqual(self.ask("TRY", self.handle, "FAIL"), RemoteError.__name__)
        self.flushLoggedErrors(ValueError)

    def test_answered(self) -> None:
        """A reply that has its answer already gives it at once."""
        reply = self.client.call(self.handle, "SAME", 5)
        failed = self.client.call(self.handle, "FAIL")
        self.one.turn()
        self.flushLoggedErrors(ValueError)

        async def work() -> list[Any]:
            got = [await self.client.call(self.handle, "SAME", 4), await reply]
            try:
                await failed
            except RemoteError:
                got.append("failed")
            return got

        ends = self.ends(Deferred.fromCoroutine(work()))
        self.one.turn()
        self.assertEqual(ends, [[4, 5, "failed"]])


class WithoutTests(DrivenTests):
    """All the same holds where Twisted calls its functions otherwise."""

    def setUp(self) -> None:
        from skynet_tw.node import reply

        self.patch(reply, "GOT_RESULT", object())
        super().setUp()


class UsedTests(_UserTestCase):
    """The direct way is there, and is taken."""

    def test_known(self) -> None:
        """This Twisted has the function by which coroutines wait."""
        self.assertIs(driven.GOT_RESULT, defer._gotResultInlineCallbacks)

    def test_taken(self) -> None:
        """An answer is sent into the coroutine, without callbacks of the reply."""
        replies: list[Deferred[Any]] = []

        async def work() -> Any:
            for _ in range(2):
                replies.append(self.client.call(self.handle, "SAME", 1))
                await replies[-1]

        ends = self.ends(Deferred.fromCoroutine(work()))
        self.one.turn()
        self.assertEqual(ends, [None])
        self.assertEqual([r.__dict__.get("_callbacks") for r in replies], [None] * 2)

    def test_fired(self) -> None:
        """Who fires the coroutine's own Deferred gets an error logged, no more."""
        self.start(2)
        self.client.send(self.where, "FIRE")
        self.one.turn()
        self.echo.waits.pop().callback(1)
        self.one.turn()
        self.assertEqual(self.user.ends, ["fired"])
        errors = self.flushLoggedErrors(defer.AlreadyCalledError)
        self.assertEqual(len(errors), 1)

    def test_hostile_class(self) -> None:
        """What raises when its class is asked for does not stop the coroutine."""

        class Hostile:
            @property  # type: ignore[misc]
            def __class__(self) -> Any:
                raise ValueError("no class")

            def __await__(self) -> Generator[Any, Any, Any]:
                return (yield self)

        async def work() -> str:
            await self.client.call(self.handle, "SAME", 0)
            try:
                await Hostile()
            except ValueError as error:
                return str(error)
            return "nothing"

        ends = self.ends(Deferred.fromCoroutine(work()))
        self.one.turn()
        self.assertEqual(ends, ["no class"])
