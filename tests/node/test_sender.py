"""Which message is at work belongs to the work, wherever it goes."""

from __future__ import annotations

import contextvars
import decimal
from collections.abc import Callable, Generator
from typing import Any

from twisted.internet.defer import (
    Deferred,
    FirstError,
    ensureDeferred,
    gatherResults,
    inlineCallbacks,
    succeed,
)

from skynet_tw.errors import RemoteError, SkynetError
from skynet_tw.handle import Handle
from skynet_tw.message import PType
from skynet_tw.node.actor import Actor, command, dispatch

from .support import Echo, NodeTestCase

FAR = Handle(0x0200000A)

#: How many ask at the same time.
CROWDS = (2, 3, 50)


class Working(Echo):
    """Says who is the sender after each kind of wait, and redirects to the echo."""

    async def started(self, echo: int = 0) -> None:
        self.echo = echo
        self.gate: Deferred[Any] = Deferred()
        self.section = self.queue()

    def pause(self) -> Deferred[Any]:
        """What all that are under way wait for together."""
        wait: Deferred[Any] = Deferred()
        self.waits.append(wait)
        return wait

    async def wait(self) -> None:
        await self.pause()

    def hold(self) -> Deferred[Any]:
        """A Deferred of the node's own, which others are under way with as well."""
        return self.call(self.echo, "WAIT")

    # Each kind of work ends with look().

    def look(self) -> Any:
        """What the test wants to know of the message at work."""
        return int(self.sender)

    @command
    async def COROUTINE(self) -> Any:
        await self.wait()
        return self.look()

    @command
    @inlineCallbacks
    def INLINE(self) -> Generator[Deferred[Any], Any, Any]:
        yield self.pause()
        return self.look()

    @command
    async def INLINE_INSIDE(self) -> Any:
        return await self.INLINE()

    @command
    def FROM_COROUTINE(self) -> Any:
        return Deferred.fromCoroutine(self.COROUTINE())

    @command
    def ENSURED(self) -> Any:
        return ensureDeferred(self.COROUTINE())

    @command
    async def GATHERED(self) -> Any:
        parts = [self.COROUTINE(), self.later(), self.COROUTINE()]
        results = await gatherResults([Deferred.fromCoroutine(part) for part in parts])
        return self.same([*results, self.look()])

    async def later(self) -> Any:
        await self.wait()
        await self.call(self.echo, "ECHO")
        await self.sleep(0)
        return self.look()

    def same(self, results: list[Any]) -> Any:
        """The one thing that was seen everywhere."""
        return results[0] if len(set(results)) == 1 else results

    @command
    async def GATHERED_INLINE(self) -> Any:
        results = await gatherResults([self.INLINE(), self.INLINE()])
        return self.same([*results, self.look()])

    @command
    def CALLBACK(self) -> Any:
        return self.hold().addCallback(lambda _: self.look())

    @command
    async def CALLBACK_INSIDE(self) -> Any:
        return await self.hold().addCallback(lambda _: self.look())

    @command
    def CALLBACK_CHAINED(self) -> Any:
        chained = self.hold().addCallback(lambda _: self.hold())
        return chained.addCallback(lambda _: self.look())

    @command
    def ERRBACK(self) -> Any:
        failing = self.hold().addCallback(lambda _: 1 // 0)
        return failing.addErrback(lambda _: self.look())

    @command
    async def CALL(self) -> Any:
        await self.wait()
        await self.call(self.echo, "ECHO", 1)
        return self.look()

    @command
    async def CALL_CALLBACK(self) -> Any:
        await self.wait()
        return await self.call(self.echo, "ECHO").addCallback(lambda _: self.look())

    @command
    async def SLEEP_CALLBACK(self) -> Any:
        await self.wait()
        return await self.sleep(0).addCallback(lambda _: self.look())

    @command
    async def QUERY_CALLBACK(self) -> Any:
        query = self.query(".gate", 60).addCallback(lambda _: self.look())
        await self.wait()
        return await query

    @command
    async def SPAWN_CALLBACK(self) -> Any:
        spawn = self.spawn(Slow).addCallback(lambda _: self.look())
        await self.wait()
        return await spawn

    @command
    async def WATCH_CALLBACK(self) -> Any:
        handle = await self.spawn(Echo)
        watch = self.watch(handle).addCallback(lambda _: self.look())
        await self.wait()
        self.send(handle, "EXIT")
        return await watch

    @command
    async def REGISTER_CALLBACK(self) -> Any:
        name = f"N{int(self.sender):08x}"
        register = self.register(name).addCallback(lambda _: self.look())
        await self.wait()
        return await register

    @command
    async def FORK(self) -> Any:
        done: Deferred[Any] = Deferred()
        self.fork(self.forked(done))
        return await done

    async def forked(self, done: Deferred[Any]) -> None:
        await self.wait()
        done.callback(self.look())

    @command
    async def SECTION(self) -> Any:
        await self.wait()
        async with self.section:
            await self.sleep(0)
            return self.look()

    @command
    async def SECTION_RUN(self) -> Any:
        await self.wait()
        return await self.section.run(self.later_in_section)

    async def later_in_section(self) -> Any:
        await self.call(self.echo, "ECHO")
        return self.look()

    @command
    async def FINALLY(self) -> Any:
        try:
            await self.wait()
        finally:
            await self.call(self.echo, "ECHO")
        return self.look()

    @command
    async def DEEP(self) -> Any:
        return await self.deep(20)

    async def deep(self, depth: int) -> Any:
        if depth:
            return await Deferred.fromCoroutine(self.deep(depth - 1))
        await self.wait()
        return self.look()

    @dispatch(PType.SNAX)
    async def snax(self, *args: Any) -> Any:
        await self.wait()
        return self.look()


class Slow(Echo):
    """Takes a moment to start."""

    async def started(self) -> None:
        await self.sleep(0)


class Redirecting(Working):
    """Lets the echo answer whatever message is at work, and by whom it was sent."""

    def look(self) -> Any:
        return self.redirect(self.echo, "SENDER")

    def same(self, results: list[Any]) -> Any:
        return results[-1]


#: All that is done above.
WORK = [
    "COROUTINE",
    "INLINE",
    "INLINE_INSIDE",
    "FROM_COROUTINE",
    "ENSURED",
    "GATHERED",
    "GATHERED_INLINE",
    "CALLBACK",
    "CALLBACK_INSIDE",
    "CALLBACK_CHAINED",
    "ERRBACK",
    "CALL",
    "CALL_CALLBACK",
    "SLEEP_CALLBACK",
    "QUERY_CALLBACK",
    "SPAWN_CALLBACK",
    "WATCH_CALLBACK",
    "REGISTER_CALLBACK",
    "FORK",
    "SECTION",
    "SECTION_RUN",
    "FINALLY",
    "DEEP",
]

#: In which the message is answered once, by the one redirection.
PASSING = [work for work in WORK if work not in ("GATHERED", "GATHERED_INLINE", "FORK")]


class SenderTestCase(NodeTestCase):
    """Lets many ask at once, and wakes them in an order of its own."""

    kind: type[Working] = Working

    def setUp(self) -> None:
        self.one = self.world()
        self.one.remote.up(2)
        self.echo, self.holder = self.spawn(self.one, Echo)
        self.handle, self.actor = self.spawn(self.one, self.kind, self.echo)
        self.intruder = self.one.node.client()

    def wake(self, order: Callable[[list[Any]], list[Any]]) -> None:
        """Let all that wait go on, until nobody waits any more."""
        _, gate = self.spawn(self.one, Gate)
        for _ in range(10):
            for actor in (self.actor, self.holder):
                waits, actor.waits = actor.waits, []
                for wait in order(waits):
                    wait.callback(None)
                    # Somebody else is at work meanwhile.
                    self.intruder.send(self.handle, "NOTE", 1)
                    self.intruder.send(self.echo, "NOTE", 1)
                    self.one.turn()
            self.one.remote.echo()
            self.one.turn()
        gate.exit()
        self.one.turn()


class Gate(Actor):
    """Owns the name that some wait for."""

    async def started(self) -> None:
        await self.register(".gate")


#: In which order those that wait go on.
ORDERS: list[Callable[[list[Any]], list[Any]]] = [
    lambda waits: waits,
    lambda waits: waits[::-1],
    lambda waits: waits[1::2] + waits[::2],
]


class SenderTests(SenderTestCase):
    """``self.sender`` in whatever a handler started."""

    def near(self, work: str, count: int, order: Any, ptype: int = PType.LUA) -> None:
        """Each of so many clients is told that it was the sender."""
        clients = [self.one.node.client() for _ in range(count)]
        calls = [client.call(self.handle, work, ptype=ptype) for client in clients]
        self.one.turn()
        self.wake(order)
        answers = [self.successResultOf(called) for called in calls]
        self.assertEqual(answers, [client.handle for client in clients], work)
        for client in clients:
            client.exit()
        self.one.turn()

    def far(self, work: str, count: int, order: Any) -> None:
        """Each of so many actors in another node is told so."""
        remote = self.one.remote
        frame = remote.frame
        frames = [
            frame(self.handle, work, source=FAR + n, session=100 + n)
            for n in range(count)
        ]
        remote.receiver.frames_received(2, frames)
        self.wake(order)
        answers = {
            sent.destination: (sent.session, sent.values)
            for sent in remote.take()
            if sent.ptype == PType.RESPONSE
        }
        expected = {FAR + n: (100 + n, (int(FAR) + n,)) for n in range(count)}
        self.assertEqual(answers, expected, work)

    def test_near(self) -> None:
        """It is the caller, after every kind of wait, with many callers at once."""
        for work in WORK:
            for order in ORDERS:
                for count in CROWDS:
                    with self.subTest(work=work):
                        self.near(work, count, order)

    def test_far(self) -> None:
        """So it is for callers in another node."""
        for work in WORK:
            for order in ORDERS:
                for count in CROWDS:
                    with self.subTest(work=work):
                        self.far(work, count, order)

    def test_types(self) -> None:
        """So it is in a dispatcher of another type."""
        for order in ORDERS:
            self.near("anything", 3, order, PType.SNAX)

    def test_mixed(self) -> None:
        """All kinds of work at once, of near and far callers, do not mix."""
        clients = [self.one.node.client() for _ in WORK]
        calls = []
        for n, (client, work) in enumerate(zip(clients, WORK, strict=True)):
            calls.append(client.call(self.handle, work))
            self.one.remote.receive(self.handle, work, source=FAR + n, session=1 + n)
        self.one.turn()
        self.wake(ORDERS[2])
        answers = [self.successResultOf(called) for called in calls]
        self.assertEqual(answers, [client.handle for client in clients])
        far = {
            sent.destination: sent.values
            for sent in self.one.remote.take()
            if sent.ptype == PType.RESPONSE
        }
        expected = {FAR + n: (int(FAR) + n,) for n in range(len(WORK))}
        self.assertEqual(far, expected)

    def test_of_another(self) -> None:
        """Two actors which wake each other keep their senders apart."""
        other, actor = self.spawn(self.one, Working, self.echo)
        one, two = self.one.node.client(), self.one.node.client()
        calls = [one.call(self.handle, "INLINE"), two.call(other, "INLINE")]
        self.one.turn()

        def fire(_: object) -> None:
            actor.waits[0].callback(None)

        self.actor.waits[0].addCallback(fire)
        self.actor.waits[0].callback(None)
        self.one.turn()
        answers = [self.successResultOf(called) for called in calls]
        self.assertEqual(answers, [one.handle, two.handle])


class RedirectTests(SenderTestCase):
    """``redirect`` from whatever a handler started."""

    kind = Redirecting

    def test_near(self) -> None:
        """Each caller gets its own answer, however they are interleaved."""
        for work in PASSING:
            for order in ORDERS:
                for count in CROWDS:
                    with self.subTest(work=work):
                        self.near(work, count, order)

    def near(self, work: str, count: int, order: Any) -> None:
        """The echo sees each caller as the sender, and answers it."""
        clients = [self.one.node.client() for _ in range(count)]
        calls = [client.call(self.handle, work) for client in clients]
        self.one.turn()
        self.wake(order)
        answers = [self.successResultOf(called) for called in calls]
        self.assertEqual(answers, [client.handle for client in clients], work)
        for client in clients:
            client.exit()
        self.one.turn()

    def test_far(self) -> None:
        """So does each caller of another node, in its own session."""
        remote = self.one.remote
        for work in PASSING:
            for order in ORDERS:
                frames = [
                    remote.frame(self.handle, work, source=FAR + n, session=100 + n)
                    for n in range(5)
                ]
                remote.receiver.frames_received(2, frames)
                self.wake(order)
                answers = sorted(
                    (sent.destination, sent.session, sent.values)
                    for sent in remote.take()
                    if sent.ptype == PType.RESPONSE and sent.source == self.echo
                )
                expected = [(FAR + n, 100 + n, (int(FAR) + n,)) for n in range(5)]
                self.assertEqual(answers, expected, work)

    def test_left_behind(self) -> None:
        """What a handler left behind cannot answer a second time."""
        errors: list[BaseException] = []

        class Leaving(Redirecting):
            def leave(self, _: object = None) -> None:
                try:
                    self.redirect(self.echo, "SENDER")
                except SkynetError as error:
                    errors.append(error)

            @command
            def LEAVE_FORK(self) -> str:
                self.fork(self.forked_leave())
                return "answered"

            async def forked_leave(self) -> None:
                await self.wait()
                self.leave()

            @command
            def LEAVE_CALLBACK(self) -> str:
                self.hold().addCallback(self.leave)
                return "answered"

            @command
            def LEAVE_COROUTINE(self) -> str:
                Deferred.fromCoroutine(self.forked_leave())
                return "answered"

            @command
            async def LEAVE_AWAITED(self) -> str:
                Deferred.fromCoroutine(self.forked_leave())
                await self.sleep(0)
                return "answered"

            @command
            def LEAVE_FAILED(self) -> str:
                self.fork(self.forked_leave())
                raise KeyError("answered with an error")

            @command
            def LEAVE_REDIRECTED(self) -> Any:
                self.fork(self.forked_leave())
                return self.redirect(self.echo, "SENDER")

        handle, actor = self.spawn(self.one, Leaving, self.echo)
        self.actor = actor
        remote = self.one.remote
        works = ["FORK", "CALLBACK", "COROUTINE", "AWAITED", "FAILED", "REDIRECTED"]
        for work in works:
            with self.subTest(work=work):
                errors.clear()
                client = self.one.node.client()
                called = client.call(handle, f"LEAVE_{work}")
                remote.receive(handle, f"LEAVE_{work}", session=7)
                self.one.turn()
                if work == "FAILED":
                    self.failureResultOf(called, RemoteError)
                    self.assertEqual(len(self.flushLoggedErrors(KeyError)), 2)
                else:
                    self.successResultOf(called)
                [first] = remote.take()
                self.assertEqual(first.session, 7)
                self.wake(ORDERS[0])
                self.assertEqual(len(errors), 2)
                self.assertEqual(remote.take(), [])
                self.assertEqual(self.one.node.ledger.late_answers, 0)

    def test_twice(self) -> None:
        """A message that was passed on cannot be passed on again."""

        class Twice(Redirecting):
            @command
            def TWICE(self) -> Any:
                self.redirect(self.echo, "SENDER")
                return self.redirect(self.echo, "SENDER")

        handle, _ = self.spawn(self.one, Twice, self.echo)
        self.one.remote.receive(handle, "TWICE", session=7)
        self.one.turn()
        self.assertEqual(len(self.one.remote.take()), 1)
        self.assertEqual(len(self.flushLoggedErrors(SkynetError)), 1)


class NobodyTests(NodeTestCase):
    """Where no message is at work."""

    def setUp(self) -> None:
        self.one = self.world()
        self.one.remote.up(2)
        self.echo, _ = self.spawn(self.one, Echo)

    def refused(self, actor: Actor) -> None:
        """Both are refused in words, and nothing is sent."""
        before = self.one.node.ledger.accepted
        for attempt in (
            lambda: actor.sender,
            lambda: actor.redirect(self.echo, "NOTE", 1),
            lambda: actor.redirect(FAR, "NOTE", 1),
        ):
            error = self.assertRaises(SkynetError, attempt)
            self.assertIn("message", str(error))
        self.assertEqual(self.one.node.ledger.accepted, before)

    def test_client(self) -> None:
        """Code outside of any actor has no sender."""
        self.refused(self.one.node.client())

    def test_client_afterwards(self) -> None:
        """Nor has it one after messages were handled, or in a callback of its own."""
        client = self.one.node.client()
        handle, actor = self.spawn(self.one, Working, self.echo)
        seen: list[object] = []

        def look(_: object) -> None:
            self.refused(client)
            self.refused(actor)
            seen.append(True)

        client.call(handle, "SENDER").addCallback(look)
        client.call(handle, "ECHO").addCallback(look)
        client.sleep(1).addCallback(look)
        client.query(".gate", 5).addCallback(look)
        client.spawn(Slow).addCallback(look)
        client.watch(handle).addCallback(look)
        client.send(handle, "COROUTINE")
        self.one.turn(1)
        self.successResultOf(actor.register(".gate"))
        actor.waits[0].callback(None)
        self.one.turn()
        actor.exit()
        self.one.turn()
        self.assertEqual(len(seen), 6)
        self.refused(client)

    def test_clock(self) -> None:
        """A delayed call has no sender, even when a handler arranged it."""
        seen: list[object] = []
        case = self

        class Arranging(Echo):
            @command
            def ARRANGE(self) -> None:
                self.node.clock.callLater(1, self.late)

            def late(self) -> None:
                try:
                    seen.append(int(self.sender))
                except SkynetError:
                    case.refused(self)
                    seen.append(None)

        handle, _ = self.spawn(self.one, Arranging)
        client = self.one.node.client()
        client.send(handle, "ARRANGE")
        self.one.turn()
        self.one.node.client().call(handle, "ECHO")
        self.one.turn(1)
        # asyncio's reactor carries the context over; none may tell a wrong one.
        self.assertIn(seen, ([None], [int(client.handle)]))

    def test_started(self) -> None:
        """``__init__``, ``started`` and ``stopped`` have none, whoever spawned it."""
        seen: list[str] = []
        case = self

        class Looking(Echo):
            def __init__(self) -> None:
                super().__init__()
                case.assertRaises(SkynetError, lambda: self.sender)
                case.assertRaises(SkynetError, lambda: self.redirect(FAR, "X"))
                seen.append("init")

            async def started(self) -> None:
                case.refused(self)
                await self.call(case.echo, "ECHO")
                case.refused(self)
                await self.sleep(0)
                self.fork(self.forked())
                seen.append("started")

            async def forked(self) -> None:
                case.refused(self)
                seen.append("forked")

            async def stopped(self) -> None:
                case.refused(self)
                await self.call(case.echo, "ECHO")
                case.refused(self)
                seen.append("stopped")

        class Parent(Echo):
            @command
            async def SPAWN(self) -> int:
                handle = await self.spawn(Looking)
                case.assertEqual(int(self.sender), int(client.handle))
                return handle

        parent, _ = self.spawn(self.one, Parent)
        client = self.one.node.client()
        called = client.call(parent, "SPAWN")
        for _ in range(3):
            self.one.turn(0.1)
        self.assertEqual(
            self.call(self.one, self.successResultOf(called), "EXIT"), "bye"
        )
        for _ in range(3):
            self.one.turn(0.1)
        expected = ["init", "started", "forked", "stopped"]
        self.assertEqual(seen, expected)

    def test_callback(self) -> None:
        """A callback that no message started has none."""
        handle, actor = self.spawn(self.one, Working, self.echo)
        seen: list[bool] = []
        wait: Deferred[None] = Deferred()

        def look(_: object) -> None:
            self.refused(actor)
            seen.append(True)

        wait.addCallback(look)

        class Firing(Echo):
            @command
            def FIRE(self) -> int:
                wait.callback(None)
                return self.sender

        firing, _ = self.spawn(self.one, Firing)
        client = self.one.node.client()
        called = client.call(firing, "FIRE")
        self.one.turn()
        self.assertEqual(self.successResultOf(called), client.handle)
        self.assertEqual(seen, [True])
        self.assertEqual(self.call(self.one, handle, "ECHO", 1), 1)

    def test_other_actor(self) -> None:
        """Another actor's sender is none of this handler's business."""

        class Peeking(Echo):
            @command
            def PEEK(self, other: Actor) -> Any:
                return int(other.sender)

            @command
            def TAKE(self, other: Actor, dest: int) -> Any:
                return other.redirect(dest, "SENDER")

            @command
            async def LATER(self, other: Actor) -> Any:
                await self.sleep(0)
                return int(other.sender)

        handle, actor = self.spawn(self.one, Working, self.echo)
        peeking, _ = self.spawn(self.one, Peeking)
        self.one.node.client().send(handle, "COROUTINE")
        self.one.turn()
        client = self.one.node.client()
        for request in [("PEEK", actor), ("TAKE", actor, self.echo), ("LATER", actor)]:
            called = client.call(peeking, *request)
            self.one.turn()
            self.one.turn()
            self.failureResultOf(called, RemoteError)
            self.assertEqual(len(self.flushLoggedErrors(SkynetError)), 1)
        actor.waits[0].callback(None)


class ContextTests(NodeTestCase):
    """Context variables belong to one handler."""

    VARIABLE: contextvars.ContextVar[str] = contextvars.ContextVar("of a test")

    def setUp(self) -> None:
        self.one = self.world()
        variable = self.VARIABLE

        class Setting(Working):
            @command
            def PLAIN(self, value: str) -> str:
                seen = variable.get("clean")
                variable.set(value)
                decimal.getcontext().prec = 5
                return seen

            @command
            async def AROUND(self, value: str) -> Any:
                seen = variable.get("clean")
                variable.set(value)
                with decimal.localcontext() as context:
                    context.prec = 3
                    await self.wait()
                    precision = decimal.getcontext().prec
                    return seen, variable.get(), precision

            @command
            @inlineCallbacks
            def AROUND_INLINE(self, value: str) -> Any:
                seen = variable.get("clean")
                variable.set(value)
                with decimal.localcontext() as context:
                    context.prec = 3
                    yield self.pause()
                    return seen, variable.get(), decimal.getcontext().prec

            @command
            async def AROUND_FORK(self, value: str) -> Any:
                seen = variable.get("clean")
                variable.set(value)
                done: Deferred[Any] = Deferred()
                self.fork(self.forked_look(done))
                variable.set("changed afterwards")
                await self.wait()
                return seen, await done, 3

            async def forked_look(self, done: Deferred[Any]) -> None:
                await self.sleep(0)
                done.callback(variable.get())

            @command
            def GET(self) -> Any:
                return variable.get("clean"), decimal.getcontext().prec

        self.kind = Setting
        self.handle, self.actor = self.spawn(self.one, Setting)
        # What leaks must not spoil the next test as well.
        self.addCleanup(decimal.setcontext, decimal.getcontext())
        self.addCleanup(variable.set, "clean")
        decimal.setcontext(decimal.Context(prec=28))
        variable.set("clean")
        self.precision = decimal.Context().prec
        self.client = self.one.node.client()

    def clean(self) -> None:
        """Neither the reactor, nor this actor, nor another one sees anything."""
        self.assertEqual(self.VARIABLE.get("clean"), "clean")
        self.assertEqual(decimal.getcontext().prec, self.precision)
        other, _ = self.spawn(self.one, self.kind)
        for handle in (self.handle, other):
            seen = self.call(self.one, handle, "GET")
            self.assertEqual(seen, ("clean", self.precision))
        self.one.node._cells.table[other].actor.exit()
        self.one.turn()

    def test_plain(self) -> None:
        """What a plain handler sets ends with it."""
        for value in ("one", "two"):
            self.assertEqual(self.call(self.one, self.handle, "PLAIN", value), "clean")
            self.clean()

    def test_around_await(self) -> None:
        """What one sets around an await is seen by it and nobody else."""
        for way in ("AROUND", "AROUND_INLINE"):
            values = ["one", "two", "three"]
            calls = [self.client.call(self.handle, way, value) for value in values]
            self.one.turn()
            self.clean()
            waits, self.actor.waits = self.actor.waits, []
            for wait in waits[::-1]:
                wait.callback(None)
                self.one.turn()
                self.clean()
            answers = [self.successResultOf(called) for called in calls]
            self.assertEqual(answers, [("clean", value, 3) for value in values])

    def test_fork(self) -> None:
        """A fork sees what was set when it was made."""
        called = self.client.call(self.handle, "AROUND_FORK", "one")
        self.one.turn()
        self.one.turn()
        self.clean()
        self.actor.waits.pop().callback(None)
        self.one.turn()
        self.assertEqual(self.successResultOf(called), ("clean", "one", 3))

    def test_of_sender(self) -> None:
        """What the sender set is not seen by who gets its message."""
        self.VARIABLE.set("of the caller")
        context = contextvars.copy_context()
        seen = context.run(self.call, self.one, self.handle, "GET")
        self.assertEqual(seen, ("clean", self.precision))
        spawned = context.run(self.one.node.spawn, self.kind)
        self.one.turn()
        other = self.successResultOf(spawned)
        seen = context.run(self.call, self.one, other, "GET")
        self.assertEqual(seen, ("clean", self.precision))

    def test_started(self) -> None:
        """What ``started`` sets is not seen by handlers, nor by who spawned it."""
        variable = self.VARIABLE

        class Starting(self.kind):  # type: ignore[name-defined, misc]
            async def started(self, echo: int = 0) -> None:
                variable.set("started")
                decimal.getcontext().prec = 7
                await self.sleep(0)
                await super().started(echo)

        spawned = self.one.node.spawn(Starting)
        self.one.turn()
        self.one.turn()
        handle = self.successResultOf(spawned)
        self.assertEqual(self.call(self.one, handle, "GET"), ("clean", self.precision))
        self.clean()

    def test_woken_by_another(self) -> None:
        """Who wakes another does not lend it its variables."""

        class Firing(self.kind):  # type: ignore[name-defined, misc]
            @command
            def FIRE(self, wait: Deferred[Any]) -> str:
                ContextTests.VARIABLE.set("of the waker")
                decimal.getcontext().prec = 9
                wait.callback(None)
                return ContextTests.VARIABLE.get()

        firing, _ = self.spawn(self.one, Firing)
        for way in ("AROUND", "AROUND_INLINE"):
            called = self.client.call(self.handle, way, "own")
            self.one.turn()
            waker = self.call(self.one, firing, "FIRE", self.actor.waits.pop())
            self.assertEqual(waker, "of the waker")
            self.one.turn()
            self.assertEqual(self.successResultOf(called), ("clean", "own", 3))
            self.clean()


class Sectioned(Echo):
    """Enters a critical section in every way."""

    async def started(self) -> None:
        self.section = self.queue()
        self.log: list[Any] = []
        self.inside = 0

    async def work(self, n: Any, seconds: float = 1) -> Any:
        """Enter, and see that nobody else is inside."""
        async with self.section:
            self.inside += 1
            assert self.inside == 1, f"{self.inside} are inside"
            try:
                self.log.append(("in", n))
                await self.sleep(seconds)
                self.log.append(("out", n))
            finally:
                self.inside -= 1
        return n

    @command
    async def WORK(self, n: Any) -> Any:
        return await self.work(n)

    @command
    async def GATHER(self, *numbers: Any) -> Any:
        parts = [Deferred.fromCoroutine(self.work(n)) for n in numbers]
        return await gatherResults(parts, consumeErrors=True)

    @command
    async def ENSURE(self, *numbers: Any) -> Any:
        return await gatherResults([ensureDeferred(self.work(n)) for n in numbers])

    @command
    async def FORKS(self, *numbers: Any) -> None:
        for n in numbers:
            self.fork(self.work(n))

    @command
    @inlineCallbacks
    def INLINE(self, n: Any) -> Generator[Deferred[Any], Any, Any]:
        result = yield Deferred.fromCoroutine(self.section.run(self.inner, n))
        return result

    async def inner(self, n: Any) -> Any:
        self.inside += 1
        assert self.inside == 1
        self.log.append(("in", n))
        await self.sleep(1)
        self.log.append(("out", n))
        self.inside -= 1
        return n

    @command
    async def AGAIN(self, depth: int) -> int:
        return await self.again(depth)

    async def again(self, depth: int) -> int:
        async with self.section:
            await self.sleep(0)
            return 1 + await self.again(depth - 1) if depth else 0

    @command
    async def CHILDREN(self, *numbers: Any) -> Any:
        """The holder awaits children which enter the same section."""
        async with self.section:
            self.log.append(("in", "parent"))
            parts = [Deferred.fromCoroutine(self.work(n)) for n in numbers]
            results = await gatherResults(parts)
            await self.sleep(1)
            self.log.append(("out", "parent"))
        return results

    @command
    async def LEFT_BEHIND(self, n: Any) -> str:
        async with self.section:
            self.log.append(("in", "parent"))
            Deferred.fromCoroutine(self.work(n, 3))
            await self.sleep(1)
            self.log.append(("out", "parent"))
        return "left"

    @command
    async def RAISE(self) -> None:
        async with self.section:
            await self.sleep(1)
            raise KeyError("inside")

    @command
    async def IMPATIENT(self, seconds: float) -> str:
        entering = Deferred.fromCoroutine(self.work("impatient"))
        try:
            await entering.addTimeout(seconds, self.node.clock)
        except Exception:
            return "gave up"
        return "entered"

    @command
    async def RUN_PLAIN(self, value: Any) -> Any:
        return await self.section.run(lambda: value)

    @command
    async def RUN_DEFERRED(self, value: Any) -> Any:
        return await self.section.run(lambda: succeed(value))

    @command
    async def RUN_RAISE(self) -> Any:
        return await self.section.run(lambda: 1 // 0)


class SectionTests(NodeTestCase):
    """Critical sections with tasks, and with coroutines that Twisted drives."""

    def setUp(self) -> None:
        self.one = self.world()
        self.handle, self.actor = self.spawn(self.one, Sectioned)
        self.client = self.one.node.client()

    def ask(self, *request: Any, wait: int = 20) -> Any:
        """The answer to a request, some seconds later."""
        called = self.client.call(self.handle, *request)
        self.one.later(wait)
        return self.successResultOf(called)

    def one_by_one(self, *numbers: Any) -> list[Any]:
        """The log of these, one after the other."""
        return [(way, n) for n in numbers for way in ("in", "out")]

    def test_gathered(self) -> None:
        """Coroutines that one handler gathers enter one at a time, in their order."""
        for way in ("GATHER", "ENSURE"):
            self.actor.log.clear()
            self.assertEqual(self.ask(way, *range(10)), list(range(10)))
            self.assertEqual(self.actor.log, self.one_by_one(*range(10)))

    def test_forks(self) -> None:
        """So do its forks."""
        self.ask("FORKS", *range(10))
        self.assertEqual(self.actor.log, self.one_by_one(*range(10)))

    def test_handlers(self) -> None:
        """So do different handlers, gathered or not, in the order of their coming."""
        calls = [
            self.client.call(self.handle, "WORK", 0),
            self.client.call(self.handle, "GATHER", 1, 2),
            self.client.call(self.handle, "INLINE", 3),
            self.client.call(self.handle, "WORK", 4),
        ]
        self.one.later(10)
        answers = [self.successResultOf(called) for called in calls]
        self.assertEqual(answers, [0, [1, 2], 3, 4])
        self.assertEqual(self.actor.log, self.one_by_one(*range(5)))

    def test_again(self) -> None:
        """Who is inside may enter again, however deep in its calls."""
        for depth in (1, 2, 100):
            self.assertEqual(self.ask("AGAIN", depth, wait=2), depth)

    def test_children(self) -> None:
        """The children that a holder awaits enter one at a time, and it goes on."""
        called = self.client.call(self.handle, "CHILDREN", 1, 2, 3)
        other = self.client.call(self.handle, "WORK", 4)
        self.one.later(10)
        self.assertEqual(self.successResultOf(called), [1, 2, 3])
        self.assertEqual(self.successResultOf(other), 4)
        expected = [
            ("in", "parent"),
            *self.one_by_one(1, 2, 3),
            ("out", "parent"),
            *self.one_by_one(4),
        ]
        self.assertEqual(self.actor.log, expected)

    def test_left_behind(self) -> None:
        """A child that its parent left inside keeps the others out until it leaves."""
        called = self.client.call(self.handle, "LEFT_BEHIND", 1)
        other = self.client.call(self.handle, "WORK", 2)
        self.one.later(10)
        self.assertEqual(self.successResultOf(called), "left")
        self.assertEqual(self.successResultOf(other), 2)
        log = self.actor.log
        self.assertLess(log.index(("out", 1)), log.index(("in", 2)))
        self.assertEqual(len(log), 6)

    def test_raises(self) -> None:
        """An error inside lets the next one in."""
        called = self.client.call(self.handle, "RAISE")
        other = self.client.call(self.handle, "GATHER", 1, 2)
        self.one.later(4)
        self.failureResultOf(called, RemoteError)
        self.assertEqual(self.successResultOf(other), [1, 2])
        self.assertEqual(len(self.flushLoggedErrors(KeyError)), 1)

    def test_raises_in_run(self) -> None:
        """So does one in a plain function that the section runs."""
        called = self.client.call(self.handle, "RUN_RAISE")
        self.one.turn()
        self.failureResultOf(called, RemoteError)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual(self.ask("RUN_PLAIN", 5, wait=1), 5)
        self.assertEqual(self.ask("RUN_DEFERRED", 6, wait=1), 6)
        self.assertEqual(self.ask("WORK", 7, wait=2), 7)

    def test_impatient(self) -> None:
        """Who gives up waiting is passed over; who gives up inside lets the next in."""
        calls = [
            self.client.call(self.handle, "WORK", 0),
            self.client.call(self.handle, "IMPATIENT", 0.5),
            self.client.call(self.handle, "WORK", 1),
            self.client.call(self.handle, "IMPATIENT", 2.5),
            self.client.call(self.handle, "WORK", 2),
        ]
        self.one.turn()
        for _ in range(20):
            self.one.turn(0.5)
        answers = [self.successResultOf(called) for called in calls]
        self.assertEqual(answers, [0, "gave up", 1, "gave up", 2])
        log = [entry for entry in self.actor.log if entry[1] != "impatient"]
        self.assertEqual(log, self.one_by_one(0, 1, 2))
        self.assertEqual(self.ask("WORK", 3, wait=2), 3)

    def test_all_give_up(self) -> None:
        """When all that waited have given up, the section is free."""
        calls = [self.client.call(self.handle, "WORK", 0)]
        calls += [self.client.call(self.handle, "IMPATIENT", 0.5) for _ in range(5)]
        for _ in range(4):
            self.one.turn(0.5)
        answers = [self.successResultOf(called) for called in calls]
        self.assertEqual(answers, [0, *["gave up"] * 5])
        self.assertEqual(self.ask("WORK", 1, wait=2), 1)

    def test_exit(self) -> None:
        """When the actor ends, nobody who waits enters any more."""
        calls = [self.client.call(self.handle, "GATHER", 1, 2)]
        calls += [self.client.call(self.handle, "WORK", n) for n in (3, 4)]
        calls.append(self.client.call(self.handle, "INLINE", 5))
        self.one.turn()
        self.actor.exit()
        self.one.later(2)
        for called in calls:
            self.failureResultOf(called, RemoteError)
        self.assertEqual(self.actor.log, [("in", 1)])
        # What `gatherResults` makes of a CancelledError.
        self.flushLoggedErrors(FirstError)
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_two_sections(self) -> None:
        """Two sections of one actor do not know each other."""

        class Two(Sectioned):
            async def started(self) -> None:
                await super().started()
                self.other = self.queue()

            @command
            async def BOTH(self, n: Any) -> Any:
                async with self.other:
                    return await self.work(n)

        handle, _ = self.spawn(self.one, Two)
        calls = [self.client.call(handle, "BOTH", n) for n in range(3)]
        calls.append(self.client.call(handle, "WORK", 3))
        self.one.later(6)
        answers = [self.successResultOf(called) for called in calls]
        self.assertEqual(answers, [0, 1, 2, 3])
