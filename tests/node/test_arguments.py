"""What is not as it should be is said when it happens, in plain words."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from math import inf, nan
from threading import Thread
from types import coroutine
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, succeed

from skynet_tw.errors import SkynetError
from skynet_tw.message import PType
from skynet_tw.node.actor import Actor, command, dispatch

from .support import Echo, NodeTestCase, cell_of

FAR = 0x0200000A


def _hiding(name: str, handler: Callable[[Actor], None]) -> type:
    return type("Hiding", (Actor,), {name: command(handler)})


class ClassTests(NodeTestCase):
    """Classes of actors that cannot mean what they say."""

    def refused(self, make: Callable[[], object], *words: str) -> None:
        text = str(self.assertRaises(TypeError, make))
        for word in words:
            self.assertIn(word, text)

    def test_twice(self) -> None:
        """Two commands of one name are refused, also over base classes."""

        def same_method() -> None:
            class Twice(Actor):
                @command
                def ONE(self) -> None: ...

                @command  # type: ignore[no-redef]
                def ONE(self) -> None: ...  # noqa: F811

        def same_name() -> None:
            class Twice(Actor):
                @command
                def ONE(self) -> None: ...

                @command(name="ONE")
                def two(self) -> None: ...

        def inherited() -> None:
            class Twice(Echo):
                @command(name="ECHO")
                def other(self) -> None: ...

        def types() -> None:
            class Twice(Actor):
                @dispatch(PType.TEXT)
                def one(self, raw: bytes) -> None: ...

                @dispatch(PType.TEXT)
                def two(self, raw: bytes) -> None: ...

        self.refused(same_method, "ONE")
        self.refused(same_name, "ONE", "two")
        self.refused(inherited, "ECHO", "other")
        self.refused(types, "one", "two")

    def test_marks(self) -> None:
        """What cannot handle, or be handled, is refused where it is marked."""
        self.refused(lambda: command(5), "5")  # type: ignore[call-overload]
        for ptype in (PType.RESPONSE, PType.ERROR, 300, -1, "lua"):
            with self.assertRaises(ValueError):
                dispatch(ptype)  # type: ignore[arg-type]

    def test_hides(self) -> None:
        """A command that hides what all actors have is refused."""
        public = [name for name in vars(Actor) if not name.startswith("__")]
        self.assertIn("query", public)
        for name in public:

            def handler(self: Actor) -> None: ...

            handler.__name__ = name
            self.refused(
                partial(_hiding, name, handler),
                f"Actor.{name}",
            )

    def test_override(self) -> None:
        """An override answers as what it overrides, marked or not."""
        world = self.world(0)

        class Marked(Echo):
            @command
            def ECHO(self, *values: Any) -> Any:
                return "marked"

        class Unmarked(Echo):
            def ECHO(self, *values: Any) -> Any:
                return "unmarked"

        for kind in (Marked, Unmarked):
            handle, _ = self.spawn(world, kind)
            answer = self.call(world, handle, "ECHO", 1)
            self.assertEqual(answer, kind.__name__.lower())

    def test_patched(self) -> None:
        """A handler that is replaced, on class or instance, is the one that runs."""
        world = self.world(0)
        handle, echo = self.spawn(world, Echo)
        self.patch(Echo, "ECHO", lambda self, *values: "class")
        self.assertEqual(self.call(world, handle, "ECHO"), "class")
        echo.ECHO = lambda *values: "instance"  # type: ignore[method-assign, assignment]
        self.assertEqual(self.call(world, handle, "ECHO"), "instance")

    def test_awaitables(self) -> None:
        """Whatever can be awaited is awaited."""

        class Waits:
            def __await__(self) -> Any:
                return (yield from succeed("object").__await__())

        @coroutine
        def old() -> Any:
            yield from succeed("old").__await__()
            return "generator"

        class Giving(Actor):
            made: Any

            @command
            def GIVE(self) -> Any:
                return self.made()

        world = self.world(0)
        handle, actor = self.spawn(world, Giving)
        for made, expected in [
            (Waits, "object"),
            (old, "generator"),
            (lambda: succeed("deferred"), "deferred"),
        ]:
            actor.made = made
            self.assertEqual(self.call(world, handle, "GIVE"), expected)


class ArgumentTests(NodeTestCase):
    """Arguments that mean nothing."""

    def setUp(self) -> None:
        self.one = self.world()
        self.client = self.one.node.client()
        self.echo, _ = self.spawn(self.one, Echo)

    def test_wrong(self) -> None:
        """They are refused at once, and leave nothing behind."""
        c, echo = self.client, self.echo
        wrong: list[Callable[[], object]] = [
            lambda: c.fork(5),  # type: ignore[arg-type]
            lambda: c.fork(None),  # type: ignore[arg-type]
            lambda: c.spawn("X"),  # type: ignore[arg-type]
            lambda: c.spawn(int),  # type: ignore[arg-type]
            lambda: c.spawn(Echo()),  # type: ignore[arg-type]
            lambda: c.register(None),  # type: ignore[arg-type]
            lambda: c.query(5),  # type: ignore[arg-type]
            lambda: c.query("X", timeout=nan),
            lambda: c.watch("A"),  # type: ignore[arg-type]
            lambda: c.sleep(-1),
            lambda: c.sleep(nan),
            lambda: c.sleep(inf),
            lambda: c.sleep("x"),  # type: ignore[arg-type]
        ]
        for dest in (echo, FAR, "NAME"):
            for timeout in (nan, "2", -1, True, [1]):
                wrong.append(lambda d=dest, t=timeout: c.call(d, "ECHO", timeout=t))  # type: ignore[misc]
            for ptype in (300, -1, "lua", 1.5, True, None, 1, 7):
                wrong.append(lambda d=dest, p=ptype: c.call(d, b"", ptype=p))  # type: ignore[misc]
                wrong.append(lambda d=dest, p=ptype: c.send(d, b"", ptype=p))  # type: ignore[misc]
        node = self.one.node
        before = dict(node._cells.table), node.ledger.accepted
        for one in wrong:
            with self.assertRaises((TypeError, ValueError)):
                one()
        self.assertEqual((dict(node._cells.table), node.ledger.accepted), before)
        self.assertEqual((len(node._core.calls), len(node._sleeps)), (0, 0))
        self.assertEqual(self.one.clock.getDelayedCalls(), [])

    def test_very_long(self) -> None:
        """A time that no process lives to see is as good as any other long one."""
        self.one.remote.up(2)
        for seconds in (1e308, 10**400, sys.maxsize):
            for dest in (FAR, self.echo):
                called = self.client.call(dest, "WAIT", timeout=seconds)
                self.one.turn(1)
                self.assertNoResult(called)
                called.cancel()
                self.failureResultOf(called, CancelledError)
            sleeping = self.client.sleep(seconds)
            sleeping.cancel()
            self.failureResultOf(sleeping, CancelledError)
        self.assertEqual(cell_of(self.client).calls, {})

    def test_addresses(self) -> None:
        """What is no address or name fails the Deferred."""
        destinations: tuple[Any, ...] = (
            None,
            True,
            0,
            1.5,
            [],
            ":xyz",
            -1,
            2**40,
            b"NAME",
        )
        for dest in destinations:
            self.failureResultOf(
                self.client.call(dest, "ECHO"),
                SkynetError,
            )
        for name in ("", ".", "x" * 16, "7", ":1"):
            self.failureResultOf(self.client.register(name), SkynetError)

    def test_before_the_node(self) -> None:
        """What needs a node says so in ``__init__``."""
        seen: list[str] = []

        class Early(Actor):
            def __init__(self) -> None:
                for what in (
                    lambda: self.handle,
                    lambda: self.node,
                    lambda: self.sender,
                    lambda: self.send(1, "X"),
                    lambda: self.call(1, "X"),
                    lambda: self.queue(),
                    lambda: self.exit(),
                ):
                    try:
                        what()
                    except SkynetError as error:
                        seen.append(str(error))

        self.spawn(self.one, Early)
        self.assertEqual(len(seen), 7)
        self.assertEqual({text.startswith("Early has no") for text in seen}, {True})

    def test_other_thread(self) -> None:
        """In another thread all is refused, and the way to do it is named."""
        c = self.client
        errors: list[str] = []
        ways: list[Callable[[], object]] = [
            lambda: c.send(self.echo, "NOTE", 1),
            lambda: c.call(self.echo, "ECHO"),
            lambda: c.redirect(self.echo, "ECHO"),
            lambda: c.register("X"),
            lambda: c.query("X"),
            lambda: c.spawn(Echo),
            lambda: c.watch(self.echo),
            lambda: c.sleep(1),
            lambda: c.fork(lambda: None),
            lambda: c.exit(),
        ]

        def work() -> None:
            for way in ways:
                try:
                    way()
                except SkynetError as error:
                    errors.append(str(error))

        thread = Thread(target=work)
        thread.start()
        thread.join()
        self.assertEqual(len(errors), len(ways))
        self.assertEqual({"reactor.callFromThread" in text for text in errors}, {True})
        self.one.turn()
        self.assertEqual(self.one.actor(self.echo).got, [])
        self.assertEqual(len(self.one.node.actors()), 2)


class ForkTests(NodeTestCase):
    """What a fork gives."""

    def setUp(self) -> None:
        self.one = self.world(0)
        _, self.actor = self.spawn(self.one, Echo)

    def test_result(self) -> None:
        """A coroutine, a function, an awaitable: each gives its result."""

        async def work() -> str:
            await self.actor.sleep(1)
            return "coroutine"

        forks = [self.actor.fork(one) for one in (work(), work, lambda: "plain")]
        forks.append(self.actor.fork(succeed("deferred")))  # type: ignore[arg-type]
        self.one.turn(1)
        self.one.turn()
        results = [self.successResultOf(fork) for fork in forks]
        self.assertEqual(results, ["coroutine", "coroutine", "plain", "deferred"])

    def test_error(self) -> None:
        """An error is logged once under the actor, or given to who listens."""

        async def work() -> None:
            raise KeyError("fork")

        heard = self.actor.fork(work()).addErrback(lambda failure: failure.type)
        self.one.turn()
        self.assertIs(self.successResultOf(heard), KeyError)
        self.assertEqual(self.flushLoggedErrors(), [])
        unheard = self.actor.fork(work())
        self.one.turn()
        self.assertEqual(len(self.flushLoggedErrors(KeyError)), 1)
        self.failureResultOf(unheard, KeyError)
        del unheard
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_cancel(self) -> None:
        """A fork that is cancelled ends."""
        ended: list[str] = []

        async def work() -> None:
            try:
                await Deferred()
            finally:
                ended.append("ended")

        fork = self.actor.fork(work())
        fork.addErrback(lambda failure: None)
        self.one.turn()
        fork.cancel()
        self.one.turn()
        self.assertEqual(ended, ["ended"])
