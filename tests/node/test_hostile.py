"""Whatever user code raises and whatever its objects do, the node goes on."""

from __future__ import annotations

import asyncio
import gc
import traceback
import types
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, cast

from twisted.internet.defer import (
    CancelledError,
    Deferred,
    gatherResults,
    inlineCallbacks,
)
from twisted.logger import ILogObserver, LogEvent, eventAsText, globalLogPublisher

from skynet_tw.errors import RemoteError
from skynet_tw.handle import Handle
from skynet_tw.message import PType
from skynet_tw.node.actor import Actor, command, dispatch

from ..hostile import (
    ERRORS,
    LONG,
    RESULTS,
    Mute,
    Unnamed,
    hostile,
    interrupt,
    junk,
    nested,
    raising,
    recurse,
)
from .support import Echo, NodeTestCase, World

FAR = Handle(0x0200000A)


class Hostile(Echo):
    """Does a deed of the test, in every way in which a handler can."""

    def __init__(self) -> None:
        super().__init__()
        self.deed: Callable[[], Any] = lambda: None
        self.ended: list[str] = []

    @command
    def PLAIN(self) -> Any:
        return self.deed()

    @command
    async def BEFORE(self) -> Any:
        return self.deed()

    @command
    async def AFTER(self) -> Any:
        await self.sleep(1)
        return self.deed()

    @command
    async def AFTER_CALL(self) -> Any:
        await self.call(self.handle, "ECHO")
        return self.deed()

    @command
    async def FINALLY(self) -> Any:
        try:
            return self.deed()
        finally:
            await self.sleep(1)

    @command
    def RETURNED(self) -> Any:
        result: Deferred[Any] = Deferred()
        try:
            self.deed()
        except BaseException:
            result.errback()
        return result

    @command
    @inlineCallbacks
    def INLINE(self) -> Generator[Deferred[Any], Any, Any]:
        yield self.sleep(1)
        return self.deed()

    @command
    async def GATHER(self) -> Any:
        one = Deferred.fromCoroutine(self.AFTER())
        two = Deferred.fromCoroutine(self.call_coroutine())
        [result, _] = await gatherResults([one, two], consumeErrors=True)
        return result

    async def call_coroutine(self) -> Any:
        return await self.call(self.handle, "ECHO", 1)

    @command
    def CALLBACK(self) -> Any:
        return self.sleep(1).addCallback(lambda _: self.deed())

    @command
    async def SECTION(self) -> Any:
        section = self.queue()
        async with section:
            await self.sleep(1)
            return self.deed()

    @dispatch(PType.SNAX)
    def snax(self, *args: Any) -> Any:
        return self.deed()

    @dispatch(PType.CLIENT)
    async def raw(self, payload: bytes) -> Any:
        await self.sleep(1)
        return self.deed()


#: The commands above.
WAYS = [
    "PLAIN",
    "BEFORE",
    "AFTER",
    "AFTER_CALL",
    "FINALLY",
    "RETURNED",
    "INLINE",
    "GATHER",
    "CALLBACK",
    "SECTION",
]


class Caller(Actor):
    """Calls, and notes what came of it, as values which a Deferred cannot hold."""

    def __init__(self) -> None:
        self.got: list[Any] = []

    @command
    async def ASK(self, *args: Any) -> None:
        try:
            value = await self.call(*args)
        except BaseException as error:
            self.got.append(error)
        else:
            self.got.append(("value", value))


def _next(deeds: list[Callable[[], Any]]) -> Any:
    """Do the last deed of those left."""
    return deeds.pop()()


class HostileTestCase(NodeTestCase):
    """Judges what became of a deed, and of the node."""

    def setUp(self) -> None:
        self.failed: list[str] = []
        self.addCleanup(self._report)
        gc.collect()
        self.flushLoggedErrors()

    def _report(self) -> None:
        if self.failed:
            self.fail("\n".join([f"{len(self.failed)} cases:", *self.failed]))

    @contextmanager
    def case(self, *what: object) -> Iterator[World]:
        """A world of its own for one case; what fails in it is told at the end.

        Whatever escapes is a failure: a KeyboardInterrupt would end all tests.
        """
        try:
            world = World()
            world.remote.up(2)
            yield world
            self.over(world)
            self.assertTrue(world.remote.reading)
        except BaseException as error:
            self.errors()
            # It may be such that nobody can report it.
            kind = type(error)
            failed = any(base is AssertionError for base in type.mro(kind))
            text = str(error) if failed else type.__repr__(kind) + " escaped"
            where = "".join(traceback.format_tb(error.__traceback__)[-3:])
            self.failed.append(f"{what}: {text}\n{where}")

    def errors(self) -> int:
        """Take the logged errors, also those that nobody ever heard; their number."""
        gc.collect(1)
        return len(self.flushLoggedErrors())

    def lives(self, world: World, handle: int) -> None:
        """An actor answers near and far, and nothing of a message is left."""
        self.assertEqual(self.call(world, handle, "ECHO", "near"), "near")
        [answer] = self.from_far(world, handle, "ECHO", "far", session=99)
        self.assertEqual(answer[:4], (FAR, handle, PType.RESPONSE, 99))
        self.assertEqual(answer.values, ("far",))
        self.assertEqual(world.backlog, 0)
        self.assertEqual(world.balance, 0)

    def near(self, world: World, *args: Any) -> Any:
        """What an actor gets that calls: an error, or a tuple with the value."""
        handle, caller = self.spawn(world, Caller)
        world.node.client().send(handle, "ASK", *args)
        world.turn(1)
        world.turn(1)
        [got] = caller.got
        return got

    def refused_near(self, world: World, handle: int, *request: Any) -> str:
        """The text of the error that a caller in the node gets."""
        got = self.near(world, handle, *request)
        self.assertIsInstance(got, RemoteError)
        text = str(got)
        self.assertLess(len(text), 10_000)
        text.encode("utf-8", "surrogatepass")
        return text

    def refused_far(self, world: World, handle: int, *request: Any) -> None:
        """A caller in another node gets one error."""
        [sent] = self.from_far(world, handle, *request, wait=2)
        self.assertEqual(sent[:4], (FAR, handle, PType.ERROR, 7))
        self.assertLess(len(sent.payload), world.remote.max_payload + 1)


class RaiseTests(HostileTestCase):
    """Handlers that raise."""

    def way(self, way: str) -> None:
        """Let a handler raise everything, near, far, and one way."""
        for name, make in ERRORS.items():
            if name == "prickly" and way in ("CALLBACK", "INLINE", "GATHER"):
                continue  # Twisted's own Deferreds cannot hold it.
            with self.case(way, name) as world:
                handle, actor = self.spawn(world, Hostile)
                actor.deed = raising(make)
                self.refused_near(world, handle, way)
                self.assertEqual(self.errors(), 1, "near")
                self.lives(world, handle)
                self.refused_far(world, handle, way)
                self.assertEqual(self.errors(), 1, "far")
                self.lives(world, handle)
                world.node.client().send(handle, way)
                world.turn(1)
                world.turn(1)
                self.assertEqual(self.errors(), 1, "one way")
                self.lives(world, handle)

    def test_plain(self) -> None:
        """A plain handler may raise anything."""
        self.way("PLAIN")

    def test_before(self) -> None:
        """So may a coroutine before its first await,"""
        self.way("BEFORE")

    def test_after(self) -> None:
        """and after a sleep,"""
        self.way("AFTER")

    def test_after_call(self) -> None:
        """after a call of its own,"""
        self.way("AFTER_CALL")

    def test_finally(self) -> None:
        """with an await on the way out,"""
        self.way("FINALLY")

    def test_returned(self) -> None:
        """in a Deferred that is returned,"""
        self.way("RETURNED")

    def test_inline(self) -> None:
        """inside Twisted's `inlineCallbacks`,"""
        self.way("INLINE")

    def test_gather(self) -> None:
        """inside a coroutine that Twisted drives, one of several,"""
        self.way("GATHER")

    def test_callback(self) -> None:
        """in a callback of a Deferred that is returned,"""
        self.way("CALLBACK")

    def test_section(self) -> None:
        """and inside a critical section."""
        self.way("SECTION")

    def test_dispatcher(self) -> None:
        """A dispatcher may raise anything, plain or as a coroutine."""
        kinds = [(PType.SNAX, (1,), None), (PType.CLIENT, (), b"raw")]
        for name, make in ERRORS.items():
            for ptype, args, payload in kinds:
                with self.case(name, ptype) as world:
                    handle, actor = self.spawn(world, Hostile)
                    actor.deed = raising(make)
                    world.remote.receive(
                        handle, *args, session=7, ptype=ptype, payload=payload
                    )
                    world.turn(1)
                    self.assertEqual(world.remote.one()[2:4], (PType.ERROR, 7))
                    self.assertEqual(self.errors(), 1)
                    self.lives(world, handle)

    def test_stack(self) -> None:
        """A handler may use up the stack."""
        for way in WAYS:
            with self.case(way) as world:
                handle, actor = self.spawn(world, Hostile)
                actor.deed = recurse
                self.refused_near(world, handle, way)
                self.assertEqual(self.errors(), 1)
                self.lives(world, handle)

    def test_batch(self) -> None:
        """What stands behind the failing message in the same read is handled."""
        for name, make in ERRORS.items():
            with self.case(name) as world:
                handle, actor = self.spawn(world, Hostile)
                actor.deed = raising(make)
                frame = world.remote.frame
                frames = [frame(handle, "ECHO", n, session=n) for n in range(1, 30)]
                frames[10] = frame(handle, "PLAIN", session=50)
                frames[20] = frame(handle, "PLAIN")
                world.remote.receiver.frames_received(2, frames)
                world.turn()
                answers = [(s.ptype, s.session) for s in world.remote.take()]
                expected = [
                    (PType.ERROR if n == 50 else PType.RESPONSE, n)
                    for n in [*range(1, 11), 50, *range(12, 21), *range(22, 30)]
                ]
                self.assertEqual(sorted(answers), sorted(expected))
                self.assertEqual(self.errors(), 2)
                self.lives(world, handle)

    def test_text(self) -> None:
        """What was raised is said to the caller, as far as it can be said."""
        with self.case() as world:
            handle, actor = self.spawn(world, Hostile)
            texts = {
                "Exception": "on purpose",
                "SystemExit": "SystemExit",
                "KeyboardInterrupt": "KeyboardInterrupt",
                "mute": "Mute",
                "odd": "Odd",
            }
            for name, text in texts.items():
                actor.deed = raising(ERRORS[name])
                self.assertIn(text, self.refused_near(world, handle, "PLAIN"))
                self.assertEqual(self.errors(), 1)


class TextTests(HostileTestCase):
    """Huge and unprintable things cost nothing, and are not repeated in full."""

    def setUp(self) -> None:
        super().setUp()
        self.events: list[LogEvent] = []
        observer = cast(ILogObserver, self._note)
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)

    def _note(self, event: LogEvent) -> None:
        self.events.append(event)

    def lines(self) -> str:
        """All that was logged since the last time."""
        events, self.events = self.events, []
        return "\n".join(eventAsText(event) for event in events)

    def test_huge_error(self) -> None:
        """The text of an error is cut, for the caller and in the log."""
        for way in WAYS:
            with self.case(way) as world:
                handle, actor = self.spawn(world, Hostile)
                actor.deed = raising(lambda: ValueError("x" * LONG))
                text = self.refused_near(world, handle, way)
                self.assertRegex(text, "(ValueError|FirstError).*: xxx")
                self.assertLess(len(text), 2000)
                self.assertEqual(self.errors(), 1)
                self.refused_far(world, handle, way)
                self.assertEqual(self.errors(), 1)
                self.assertLess(len(self.lines()), 100_000)

    def test_huge_request(self) -> None:
        """A message is not written down in full to log that it failed."""

        class Counted:
            asked = 0

            def __repr__(self) -> str:
                Counted.asked += 1
                return "counted"

        with self.case() as world:
            handle, _ = self.spawn(world, Hostile)
            for way in ("FAIL", "NEVER", "WAIT"):
                requests: list[Any] = [
                    [Counted()] * 100_000,
                    {n: Counted() for n in range(100_000)},
                    [[Counted()] * 300] * 300,
                    "x" * LONG,
                    b"x" * LONG,
                ]
                for request in requests:
                    world.node.client().send(handle, way, request, request)
                    world.turn()
            self.errors()
            self.assertLess(Counted.asked, 10_000)
            self.assertLess(len(self.lines()), 1_000_000)
            world.remote.receive(handle, "TASK", session=5, ptype=PType.DEBUG)
            self.assertEqual(world.remote.one().session, 5)

    def test_huge_bytes(self) -> None:
        """A failing message of 16 MB from another node is not written down in full."""

        class Dispatching(Hostile):
            @dispatch(PType.TEXT)
            def text(self, payload: bytes) -> None:
                raise ValueError("on purpose")

        with self.case() as world:
            handle, _ = self.spawn(world, Dispatching)
            world.remote.receive(
                handle, payload=b"\xff" * LONG, ptype=PType.TEXT, session=7
            )
            self.assertEqual(world.remote.one()[2:4], (PType.ERROR, 7))
            self.assertEqual(self.errors(), 1)
            self.assertLess(len(self.lines()), 100_000)

    def test_surrogate(self) -> None:
        """An error may speak what is no UTF-8."""
        for way in WAYS:
            with self.case(way) as world:
                handle, actor = self.spawn(world, Hostile)
                actor.deed = raising(lambda: ValueError("\udcff\ud800"))
                self.refused_near(world, handle, way)
                self.refused_far(world, handle, way)
                self.lives(world, handle)
                self.errors()

    def test_unprintable_request(self) -> None:
        """A message may hold what cannot be written down; its caller is warned."""
        for name, make in RESULTS.items():
            with self.case(name) as world:
                handle, _ = self.spawn(world, Hostile)
                text = self.refused_near(world, handle, "FAIL", make(), [make()])
                self.assertIn("Error", text)
                self.assertEqual(self.errors(), 0)
                self.lines()
                self.lives(world, handle)

    def test_unprintable_task(self) -> None:
        """Questions of a console about such a message are answered."""
        for name, make in RESULTS.items():
            with self.case(name) as world:
                handle, _ = self.spawn(world, Hostile)
                world.node.client().send(handle, "WAIT", make())
                world.turn()
                world.remote.receive(handle, "TASK", session=5, ptype=PType.DEBUG)
                self.assertEqual(world.remote.one()[2:4], (PType.RESPONSE, 5))
                self.assertEqual(self.errors(), 0)
                self.lives(world, handle)


class ResultTests(HostileTestCase):
    """Handlers that return what cannot be returned."""

    #: Twisted itself cannot carry these through a Deferred's callbacks.
    only_direct = frozenset({"class", "attribute", "unnamed"})

    def way(self, way: str) -> None:
        """Let a handler return everything, near, far, and one way."""
        for name, make in RESULTS.items():
            direct = way in ("PLAIN", "BEFORE", "AFTER", "AFTER_CALL", "FINALLY")
            if name in self.only_direct and not direct:
                continue
            with self.case(way, name) as world:
                handle, actor = self.spawn(world, Hostile)
                actor.deed = make
                got = self.near(world, handle, way)
                failed = type(got) is not tuple
                if failed:
                    self.assertIsInstance(got, RemoteError)
                self.assertEqual(self.errors(), int(failed), "near")
                self.lives(world, handle)
                [sent] = self.from_far(world, handle, way, wait=2)
                self.assertEqual((sent.destination, sent.session), (FAR, 7))
                self.assertEqual(self.errors(), int(sent.ptype == PType.ERROR), "far")
                self.lives(world, handle)
                world.node.client().send(handle, way)
                world.turn(1)
                self.assertLessEqual(self.errors(), 1, "one way")
                self.lives(world, handle)

    def test_plain(self) -> None:
        """A plain handler may return anything."""
        self.way("PLAIN")

    def test_before(self) -> None:
        """So may a coroutine that does not wait,"""
        self.way("BEFORE")

    def test_after(self) -> None:
        """one that did,"""
        self.way("AFTER")

    def test_after_call(self) -> None:
        """one that called,"""
        self.way("AFTER_CALL")

    def test_inline(self) -> None:
        """one of Twisted's `inlineCallbacks`,"""
        self.way("INLINE")

    def test_gather(self) -> None:
        """and one of several that Twisted drives."""
        self.way("GATHER")

    def test_unheard(self) -> None:
        """A result that nobody has asked for yet harms nobody, whatever it is."""
        for name, make in RESULTS.items():
            with self.case(name) as world:
                handle, actor = self.spawn(world, Hostile)
                actor.deed = make
                call = world.node.client().call(handle, "PLAIN")
                call.addErrback(lambda failure: None)
                world.turn()
                self.lives(world, handle)
                self.errors()

    def test_several(self) -> None:
        """So may one of several values be anything."""
        for name, make in RESULTS.items():
            if name.startswith("await"):
                continue
            with self.case(name) as world:
                handle, actor = self.spawn(world, Hostile)
                values = (1, make(), make())
                actor.deed = partial(tuple, values)
                got = self.near(world, handle, "PLAIN")
                self.assertIs(got[1], values)
                [sent] = self.from_far(world, handle, "PLAIN")
                self.assertEqual(self.errors(), int(sent.ptype == PType.ERROR))
                self.lives(world, handle)


class RequestTests(HostileTestCase):
    """Messages within the node whose command is none."""

    def commands(self) -> dict[str, Any]:
        """Commands that cannot be looked up."""

        def same(self: object) -> int:
            return hash("ECHO")

        liar = type("Liar", (str,), {"__hash__": same, "__eq__": interrupt})
        killer = type("Killer", (), {"__hash__": interrupt, "__repr__": interrupt})
        return {
            "hash": hostile(str, "__hash__", "__repr__"),
            "interrupts": killer(),
            "equal": liar("ECHO"),
            "unhashable": [],
            "class": hostile(object, "__class__", "__hash__", "__repr__"),
            "attribute": hostile(object, "__getattribute__", "__hash__"),
            "huge": "x" * LONG,
            "deep": nested(),
            "surrogate": "\udcff",
            "control": "\x00\x1b[2J\n",
            "number": 1 << 200_000,
            "none": None,
            "nan": float("nan"),
            "unnamed": Unnamed(),
        }

    def test_commands(self) -> None:
        """Who calls one gets an error; the actor goes on."""
        for name in self.commands():
            with self.case(name) as world:
                request = self.commands()[name]
                handle, _ = self.spawn(world, Hostile)
                self.refused_near(world, handle, request)
                self.assertLessEqual(self.errors(), 1)
                self.lives(world, handle)

    def test_commands_of_dispatcher(self) -> None:
        """A dispatcher of all other commands gets them."""

        class Other(Echo):
            @dispatch(PType.LUA)
            def other(self, *args: Any) -> str:
                return "other"

        for name in self.commands():
            with self.case(name) as world:
                request = self.commands()[name]
                handle, _ = self.spawn(world, Other)
                got = self.near(world, handle, request)
                if name not in ("equal", "hash", "interrupts", "class", "attribute"):
                    self.assertEqual(got, ("value", "other"))
                self.assertLessEqual(self.errors(), 1)
                self.lives(world, handle)

    def test_far(self) -> None:
        """Huge and unreadable commands of another node are refused, once each."""
        for name in ("x" * 1_000_000, "\udcff", None, 5, 1.5, True):
            with self.case(str(name)[:20]) as world:
                handle, _ = self.spawn(world, Hostile)
                self.refused_far(world, handle, name)
                self.assertEqual(self.errors(), 0)
                self.lives(world, handle)

    def test_debug(self) -> None:
        """So are questions of a console."""
        for name in self.commands():
            with self.case(name) as world:
                handle, _ = self.spawn(world, Hostile)
                client = world.node.client()
                request = self.commands()[name]
                called = client.call(handle, request, ptype=PType.DEBUG)
                world.turn()
                self.failureResultOf(called, RemoteError)
                self.assertLessEqual(self.errors(), 1)
                self.lives(world, handle)

    def test_arguments(self) -> None:
        """Arguments of a call that leaves may be anything, and fail as its own."""
        for name, make in RESULTS.items():
            with self.case(name) as world:
                handle, caller = self.spawn(world, Caller)
                world.node.client().send(handle, "ASK", FAR, make(), [make()])
                world.turn()
                for sent in world.remote.take():
                    world.remote.answer(sent, 1)
                world.turn()
                self.assertEqual(len(caller.got), 1)
                self.assertEqual(len(world.node._core.calls), 0)
                self.assertEqual(self.errors(), 0)


class LifeTests(HostileTestCase):
    """Actors whose beginning or end is hostile."""

    def gone(self, world: World) -> None:
        """Nothing is left of an actor that did not start."""
        self.assertEqual(world.node.actors(), [])
        self.assertEqual(world.node._cells.table, {})
        self.assertEqual(len(world.node._core.calls), 0)
        self.assertEqual(world.clock.getDelayedCalls(), [])

    def spawn_fails(self, world: World, kind: Any, *args: Any) -> None:
        """A spawn fails, and leaves nothing; another one works."""
        ended: list[bool] = []
        spawned = world.node.spawn(kind, *args)
        spawned.addCallbacks(
            lambda _: ended.append(True), lambda _: ended.append(False)
        )
        world.turn(2)
        self.assertEqual(ended, [False])
        self.assertLessEqual(self.errors(), 1)
        self.gone(world)
        handle, _ = self.spawn(world, Hostile)
        self.lives(world, handle)

    def test_init(self) -> None:
        """A class that cannot be made fails its spawn, and nothing else."""
        for name, make in ERRORS.items():
            with self.case(name) as world:

                class Broken(Actor):
                    __init__ = lambda self: raising(make)()  # noqa: B023, E731

                self.spawn_fails(world, Broken)

    def test_started(self) -> None:
        """So does one whose start fails, early or late."""

        class Early(Actor):
            async def started(self, make: Any) -> None:
                raise make()

        class Late(Actor):
            async def started(self, make: Any) -> None:
                await self.register(".late")
                await self.sleep(1)
                raise make()

        class Inline(Actor):
            @inlineCallbacks
            def started(self, make: Any) -> Any:
                yield self.sleep(1)
                raise make()

        class Forking(Actor):
            async def started(self, make: Any) -> None:
                self.fork(self.forked())
                raise make()

            async def forked(self) -> None:
                await self.sleep(10)

        for kind in (Early, Late, Inline, Forking):
            for name, make in ERRORS.items():
                if name == "prickly" and kind is Inline:
                    continue  # Twisted's own Deferreds cannot hold it.
                with self.case(kind.__name__, name) as world:
                    self.spawn_fails(world, kind, make)

    def test_plain_start(self) -> None:
        """A plain ``started`` may raise anything as well."""

        class Plain(Actor):
            def started(self, make: Any) -> None:
                raise make()

        for name, make in ERRORS.items():
            with self.case(name) as world:
                self.spawn_fails(world, Plain, make)

    def test_spawner(self) -> None:
        """An actor that spawns such a one hears of it, and lives."""

        class Broken(Actor):
            async def started(self, make: Any) -> None:
                raise make()

        class Parent(Echo):
            @command
            async def SPAWN(self, make: Any) -> str:
                try:
                    await self.spawn(Broken, make)
                except BaseException:
                    return "caught"
                return "started"

            @command
            async def UNCAUGHT(self, make: Any) -> None:
                await self.spawn(Broken, make)

        for name, make in ERRORS.items():
            with self.case(name) as world:
                handle, _ = self.spawn(world, Parent)
                got = self.near(world, handle, "SPAWN", make)
                self.assertEqual(got, ("value", "caught"))
                self.refused_near(world, handle, "UNCAUGHT", make)
                self.assertLessEqual(self.errors(), 2)
                self.lives(world, handle)

    def test_stopped(self) -> None:
        """Whatever ``stopped`` raises, the others end in order, and all is told."""
        order: list[str] = []

        class Plain(Echo):
            async def started(self, make: Any) -> None:
                self.make = make

            def stopped(self) -> None:
                order.append("plain")
                raise self.make()

        class Early(Plain):
            async def stopped(self) -> None:  # type: ignore[override]
                order.append("early")
                raise self.make()

        class Late(Plain):
            async def stopped(self) -> None:  # type: ignore[override]
                order.append("late")
                await self.sleep(1)
                raise self.make()

        class Returned(Plain):
            def stopped(self) -> Any:
                order.append("returned")
                failing: Deferred[None] = Deferred()
                try:
                    raise self.make()
                except BaseException:
                    failing.errback()
                return failing

        kinds = [Plain, Early, Late, Returned]
        for name, make in ERRORS.items():
            with self.case(name) as world:
                handles = [self.spawn(world, kind, make)[0] for kind in kinds]
                client = world.node.client()
                calls = [client.call(handle, "WAIT") for handle in handles]
                world.turn()
                world.stop()
                self.assertEqual(order, ["returned", "late", "early", "plain"])
                for called in calls:
                    self.failureResultOf(called)
                self.assertEqual(self.errors(), 4)
            order.clear()

    def test_exit(self) -> None:
        """The same when one of them exits by itself."""

        class Broken(Echo):
            async def started(self, make: Any) -> None:
                self.make = make

            def stopped(self) -> None:
                raise self.make()

        for name, make in ERRORS.items():
            with self.case(name) as world:
                handle, _ = self.spawn(world, Broken, make)
                other, _ = self.spawn(world, Hostile)
                client = world.node.client()
                watch = client.watch(handle)
                self.assertEqual(self.call(world, handle, "EXIT"), "bye")
                world.turn(1)
                self.assertIn("it exited", self.successResultOf(watch))
                self.assertNotIn(handle, world.node._cells.table)
                self.assertEqual(self.errors(), 1)
                self.lives(world, other)

    def test_strange_methods(self) -> None:
        """``started`` and ``stopped`` may be no functions at all."""
        strange: dict[str, Any] = {
            "none": None,
            "number": 5,
            "property": property(recurse),
            "interrupts": property(interrupt),
            "class": Mute,
            "nameless": Unnamed,
        }
        for name, value in strange.items():
            with self.case("started", name) as world:
                kind: Any = type("Strange", (Echo,), {"started": value})
                world.node.spawn(kind).addBoth(lambda _: None)
                world.turn(1)
                handle, _ = self.spawn(world, Hostile)
                self.lives(world, handle)
                self.errors()
            with self.case("stopped", name) as world:
                kind = type("Strange", (Echo,), {"stopped": value})
                handle, actor = self.spawn(world, kind)
                other, _ = self.spawn(world, Hostile)
                watch = world.node.client().watch(handle)
                actor.exit()
                world.turn(1)
                self.successResultOf(watch)
                self.assertLessEqual(self.errors(), 1)
                self.lives(world, other)

    def test_strange_classes(self) -> None:
        """A class may be such that hardly anything works."""

        def refuse(self: object, *args: object) -> Any:
            raise KeyboardInterrupt

        class Noted(type(Actor)):  # type: ignore[misc]
            __repr__ = __str__ = __hash__ = refuse

        bodies: dict[str, dict[str, Any]] = {
            "repr": {"__repr__": refuse, "__str__": refuse},
            "equal": {"__eq__": refuse, "__hash__": refuse},
            "truth": {"__bool__": refuse, "__len__": refuse},
            "class": {"__class__": property(refuse)},
        }
        for name, body in bodies.items():
            with self.case(name) as world:
                kind: Any = type("Strange", (Hostile,), body)
                handle, actor = self.spawn(world, kind)
                self.lives(world, handle)
                self.refused_near(world, handle, "FAIL")
                self.assertEqual(self.errors(), 1)
                actor.exit()
                world.turn()
                self.assertNotIn(handle, world.node._cells.table)
        with self.case("metaclass") as world:
            kind = Noted("Strange", (Hostile,), {})
            handle, actor = self.spawn(world, kind)
            self.lives(world, handle)
            self.refused_near(world, handle, "FAIL")
            self.refused_near(world, handle, "NEVER")
            self.assertEqual(self.errors(), 1)
            actor.exit()
        unmade: dict[str, dict[str, Any]] = {
            "no actor": {"__new__": lambda cls: object()},
            "none": {"__new__": lambda cls: None},
            "attributes": {"__setattr__": refuse},
        }
        for name, body in unmade.items():
            with self.case(name) as world:
                kind = type("Strange", (Hostile,), body)
                self.spawn_fails(world, kind)


class ForkTests(HostileTestCase):
    """What an actor forks."""

    def test_raising(self) -> None:
        """A fork may raise anything, early or late, and is logged once."""

        class Forking(Hostile):
            @command
            def FORK(self, wait: bool) -> str:
                self.fork(self.forked(wait))
                return "forked"

            async def forked(self, wait: bool) -> None:
                if wait:
                    await self.sleep(1)
                self.deed()

        for name, make in ERRORS.items():
            for wait in (False, True):
                with self.case(name, wait) as world:
                    handle, actor = self.spawn(world, Forking)
                    actor.deed = raising(make)
                    self.assertEqual(self.call(world, handle, "FORK", wait), "forked")
                    world.turn(1)
                    self.assertEqual(self.errors(), 1)
                    self.lives(world, handle)


class WaitTests(HostileTestCase):
    """What a handler awaits, and what it does when it is to end."""

    def test_junk(self) -> None:
        """An await of what nobody can await is an error of the handler."""

        class Awaiting(Hostile):
            @command
            async def AWAIT(self) -> Any:
                await one(self.deed())
                return await one(self.deed())

        @types.coroutine
        def one(value: Any) -> Generator[Any, Any, Any]:
            return (yield value)

        for name, make in RESULTS.items():
            with self.case(name) as world:
                handle, actor = self.spawn(world, Awaiting)
                actor.deed = make
                self.refused_near(world, handle, "AWAIT")
                self.assertEqual(self.errors(), 1)
                self.refused_far(world, handle, "AWAIT")
                self.assertEqual(self.errors(), 1)
                self.lives(world, handle)

    def test_stubborn_junk(self) -> None:
        """One that goes on awaiting such things costs no stack."""

        class Awaiting(Hostile):
            @command
            async def AWAIT(self, rounds: int) -> Any:
                return await junk(5, rounds)

            @command
            async def AWAIT_NONE(self, rounds: int) -> Any:
                return await junk(None, rounds)

        with self.case() as world:
            handle, _ = self.spawn(world, Awaiting)
            for way in ("AWAIT", "AWAIT_NONE"):
                got = self.near(world, handle, way, 5000)
                self.assertEqual(got, ("value", "enough"))
            self.assertEqual(self.errors(), 0)
            self.lives(world, handle)

    def test_asyncio(self) -> None:
        """A future of asyncio cannot be awaited without its reactor."""

        class Awaiting(Hostile):
            @command
            async def AWAIT(self) -> Any:
                loop = asyncio.new_event_loop()
                try:
                    return await loop.create_future()
                finally:
                    loop.close()

        with self.case() as world:
            handle, _ = self.spawn(world, Awaiting)
            self.refused_near(world, handle, "AWAIT")
            self.assertEqual(self.errors(), 1)
            self.lives(world, handle)

    def test_canceller(self) -> None:
        """A canceller that raises harms nobody when its actor ends."""

        class Waiting(Hostile):
            @command
            async def WAIT_RUDELY(self) -> None:
                def cancel(_: object) -> None:
                    self.deed()

                try:
                    await Deferred(cancel)
                finally:
                    self.ended.append("finally")

        for name, make in ERRORS.items():
            with self.case(name) as world:
                handle, actor = self.spawn(world, Waiting)
                other, _ = self.spawn(world, Hostile)
                actor.deed = raising(make)
                client = world.node.client()
                calls = [client.call(handle, "WAIT_RUDELY") for _ in range(2)]
                calls.append(client.call(handle, "WAIT"))
                watch = client.watch(handle)
                world.remote.receive(handle, "WAIT_RUDELY", session=8)
                world.turn()
                actor.exit()
                for _ in range(11):
                    world.turn(1)
                for called in calls:
                    self.failureResultOf(called, RemoteError)
                self.assertEqual(world.remote.one()[2:4], (PType.ERROR, 8))
                self.successResultOf(watch)
                self.assertEqual(actor.ended, ["finally"] * 3)
                self.assertEqual(self.errors(), 3)
                self.lives(world, other)

    def test_cleaning(self) -> None:
        """So do a ``finally`` and an ``except`` that raise,"""

        class Waiting(Hostile):
            @command
            async def FINALLY_RAISE(self) -> None:
                try:
                    await self.sleep(100)
                finally:
                    self.deed()

            @command
            async def EXCEPT_RAISE(self) -> None:
                try:
                    await self.sleep(100)
                except BaseException:
                    await self.sleep(1)
                    self.deed()

        for name, make in ERRORS.items():
            for way in ("FINALLY_RAISE", "EXCEPT_RAISE"):
                with self.case(name, way) as world:
                    handle, actor = self.spawn(world, Waiting)
                    other, _ = self.spawn(world, Hostile)
                    actor.deed = raising(make)
                    client = world.node.client()
                    called = client.call(handle, way)
                    watch = client.watch(handle)
                    world.turn()
                    actor.exit()
                    world.turn(1)
                    world.turn(1)
                    self.failureResultOf(called, RemoteError)
                    self.successResultOf(watch)
                    # An end that is cancelled is no error.
                    cancelled = name == "asyncio.CancelledError"
                    self.assertIn(self.errors(), (0, 1) if cancelled else (1,))
                    self.lives(world, other)

    def test_stubborn(self) -> None:
        """and a handler that will not end."""

        class Waiting(Hostile):
            @command
            async def NEVER_END(self, rounds: int) -> None:
                for _ in range(rounds):
                    try:
                        await self.sleep(100)
                    except BaseException:
                        continue

            @command
            async def GO_ON(self, rounds: int) -> None:
                for _ in range(rounds):
                    try:
                        await self.sleep(100)
                    except Exception:
                        continue

        cases = [("NEVER_END", 2), ("NEVER_END", 3), ("GO_ON", 2), ("GO_ON", 1000)]
        for way, rounds in cases:
            with self.case(way, rounds) as world:
                handle, actor = self.spawn(world, Waiting)
                other, _ = self.spawn(world, Hostile)
                client = world.node.client()
                called = client.call(handle, way, rounds)
                watch = client.watch(handle)
                world.turn()
                actor.exit()
                for _ in range(11):
                    world.turn(1)
                self.failureResultOf(called, RemoteError)
                self.successResultOf(watch)
                self.assertLessEqual(self.errors(), 1)
                self.lives(world, other)

    def test_shared(self) -> None:
        """Two may await one Deferred; one that raises does not keep the other."""

        class Sharing(Hostile):
            @command
            async def SHARE(self) -> str:
                if not self.waits:
                    self.waits.append(Deferred())
                await self.waits[0]
                self.deed()
                return "woken"

            @command
            def FIRE(self) -> None:
                self.waits[0].callback(None)

        for name, make in ERRORS.items():
            with self.case(name) as world:
                handle, actor = self.spawn(world, Sharing)
                client = world.node.client()
                calls = [client.call(handle, "SHARE") for _ in range(3)]
                deeds = [raising(make), lambda: None, raising(make)]
                actor.deed = partial(_next, deeds)
                self.call(world, handle, "FIRE")
                world.turn()
                self.failureResultOf(calls[0], RemoteError)
                self.assertEqual(self.successResultOf(calls[1]), "woken")
                self.failureResultOf(calls[2], RemoteError)
                self.assertEqual(self.errors(), 2)
                self.lives(world, handle)


class OwnDeferredTests(HostileTestCase):
    """User code that fires or cancels what the node gave it."""

    class Meddling(Hostile):
        """Fires what it got before the node does."""

        def __init__(self) -> None:
            super().__init__()
            self.got: list[Any] = []

        @command
        async def FIRE(self, what: str, how: str, *args: Any) -> None:
            waiting: Deferred[Any] = getattr(self, what)(*args)
            if how == "callback":
                waiting.callback("own")
            elif how == "errback":
                waiting.errback(Mute())
            else:
                waiting.cancel()
            try:
                self.got.append(await waiting)
            except BaseException as error:
                self.got.append(type(error))

        @command
        async def FIRE_LATER(self, what: str, how: str, *args: Any) -> None:
            waiting: Deferred[Any] = getattr(self, what)(*args)
            firing: dict[str, Callable[[], Any]] = {
                "callback": lambda: waiting.callback("own"),
                "errback": lambda: waiting.errback(Mute()),
                "cancel": waiting.cancel,
            }
            self.node.clock.callLater(0.5, firing[how])
            try:
                self.got.append(await waiting)
            except BaseException as error:
                self.got.append(type(error))

        @command
        def LEAVE(self, what: str, how: str, *args: Any) -> None:
            waiting: Deferred[Any] = getattr(self, what)(*args)
            if how == "callback":
                waiting.callback("own")
            elif how == "errback":
                waiting.errback(Mute())
            else:
                waiting.cancel()
            waiting.addErrback(lambda _: None)

    class Slow(Echo):
        """Takes its time to start."""

        async def started(self) -> None:
            await self.sleep(1)

    def fire(self, way: str, what: str, *args: Any) -> None:
        """Fire what a method returns, in every way."""
        for how in ("callback", "errback", "cancel"):
            with self.case(what, how, *args) as world:
                handle, actor = self.spawn(world, self.Meddling)
                other, target = self.spawn(world, Echo)
                places = {"OTHER": other, "FAR": FAR}
                given = [
                    places.get(arg, arg) if type(arg) is str else arg for arg in args
                ]
                world.node.client().send(handle, way, what, how, *given)
                world.turn(0.5)
                world.turn(0.5)
                if way != "LEAVE":
                    [got] = actor.got
                    raised = isinstance(got, type) and issubclass(got, Exception)
                    self.assertEqual(raised, how != "callback", got)
                for sent in world.remote.take():
                    if sent.session:
                        world.remote.answer(sent, 1)
                for wait in target.waits:
                    wait.callback("late")
                world.remote.echo()
                world.remote.known("NOBODY", FAR)
                world.turn(2)
                target.exit()
                world.later(40)
                self.assertEqual(self.errors(), 0)
                self.assertEqual(len(world.node._core.calls), 0)
                self.lives(world, handle)

    def each(self, what: str, *args: Any) -> None:
        """At once, later, and without an await."""
        for way in ("FIRE", "FIRE_LATER", "LEAVE"):
            self.fire(way, what, *args)

    def test_call(self) -> None:
        """An answer that comes for a call which was fired is late."""
        self.each("call", "OTHER", "WAIT")

    def test_call_far(self) -> None:
        """So is one from another node."""
        self.each("call", "FAR", "X")

    def test_call_name(self) -> None:
        """A call to a name may be fired while nobody owns the name."""
        self.each("call", "NOBODY", "X")

    def test_sleep(self) -> None:
        """A sleep may be fired before its time."""
        self.each("sleep", 3)

    def test_watch(self) -> None:
        """So may a watch; the others of the same actor are told."""
        self.each("watch", "OTHER")

    def test_watch_far(self) -> None:
        """A watch of an actor elsewhere as well,"""
        self.each("watch", "FAR")

    def test_query(self) -> None:
        """a query of a name of the network,"""
        self.each("query", "NOBODY")

    def test_query_local(self) -> None:
        """and of one of the node,"""
        self.each("query", ".nobody", 2)

    def test_register(self) -> None:
        """a registration that is not confirmed yet,"""
        self.each("register", "OWN")

    def test_spawn(self) -> None:
        """and a spawn that has not finished."""
        self.each("spawn", self.Slow)

    def test_watchers(self) -> None:
        """A callback of a watch that raises does not keep the news from others."""
        for name, make in ERRORS.items():
            if name == "prickly":
                continue  # Twisted's own Deferreds cannot hold it.
            with self.case(name) as world:
                _, target = self.spawn(world, Echo)
                other, _ = self.spawn(world, Hostile)
                client = world.node.client()
                watches = [client.watch(target.handle) for _ in range(5)]
                watches[1].callback("own")
                watches[2].addCallback(lambda _: raising(make)())  # noqa: B023
                watches[2].addErrback(lambda _: None)
                watches[3].cancel()
                self.failureResultOf(watches[3], CancelledError)
                target.exit()
                world.turn()
                for n in (0, 4):
                    self.assertIn("it exited", self.successResultOf(watches[n]))
                self.assertEqual(self.errors(), 0)
                self.lives(world, other)

    def test_paused(self) -> None:
        """A call that was paused while it is answered goes on when it is resumed."""

        class Pausing(Hostile):
            @command
            async def PAUSE(self, dest: int) -> Any:
                waiting = self.call(dest, "ECHO", 5)
                waiting.pause()
                self.node.clock.callLater(1, waiting.unpause)
                return await waiting

        with self.case() as world:
            handle, _ = self.spawn(world, Pausing)
            other, _ = self.spawn(world, Echo)
            called = world.node.client().call(handle, "PAUSE", other)
            world.turn()
            self.assertNoResult(called)
            world.turn(1)
            self.assertEqual(self.successResultOf(called), 5)
            self.lives(world, handle)

    def test_chained(self) -> None:
        """The Deferred of one call may be returned by a callback of another."""

        class Chaining(Hostile):
            @command
            async def CHAIN(self, dest: int) -> Any:
                first = self.call(dest, "ECHO", 1)
                first.addCallback(lambda _: self.call(dest, "ECHO", 2))
                first.addCallback(lambda _: self.call(dest, "FAIL"))
                first.addErrback(lambda _: self.sleep(1))
                first.addCallback(lambda _: self.call(dest, "ECHO", 3))
                return await first

        with self.case() as world:
            handle, _ = self.spawn(world, Chaining)
            other, _ = self.spawn(world, Echo)
            called = world.node.client().call(handle, "CHAIN", other)
            world.turn(1)
            world.turn(1)
            self.assertEqual(self.successResultOf(called), 3)
            self.assertEqual(self.errors(), 1)
            self.lives(world, handle)
