"""What users write: commands, answers, forks, sections, spawning."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError, Deferred, fail, succeed
from twisted.internet.testing import EventLoggingObserver
from twisted.logger import LogLevel, globalLogPublisher

from skynet_tw.errors import (
    BadAddress,
    NoSuchActor,
    NoSuchName,
    NotReady,
    RemoteError,
    SkynetError,
)
from skynet_tw.handle import Handle
from skynet_tw.message import PType
from skynet_tw.node.actor import Actor, command, dispatch

from .support import Echo, NodeTestCase


class AnswerTests(NodeTestCase):
    """What a caller in the same node gets."""

    def setUp(self) -> None:
        self.one = self.world(0)
        self.handle, self.echo = self.spawn(self.one, Echo)

    def test_none(self) -> None:
        """No value is None."""
        self.assertIsNone(self.call(self.one, self.handle, "NOTE", 1))
        self.assertIsNone(self.call(self.one, self.handle, "ECHO"))

    def test_one(self) -> None:
        """One value is that value."""
        self.assertEqual(self.call(self.one, self.handle, "ECHO", 5), 5)

    def test_several(self) -> None:
        """A tuple is several values."""
        self.assertEqual(self.call(self.one, self.handle, "SAME", (1, 2)), (1, 2))

    def test_one_none(self) -> None:
        """A tuple of one is one value."""
        self.assertIsNone(self.call(self.one, self.handle, "SAME", (None,)))

    def test_list(self) -> None:
        """A list is a table: one value."""
        self.assertEqual(self.call(self.one, self.handle, "SAME", [1, 2]), [1, 2])

    def test_reference(self) -> None:
        """Within the node values go by reference, both ways."""
        value = {"deep": object()}
        self.assertIs(self.call(self.one, self.handle, "SAME", value), value)

    def test_raised(self) -> None:
        """An error in a handler is a RemoteError, logged once with all that helps."""
        client = self.one.node.client()
        events = EventLoggingObserver()
        globalLogPublisher.addObserver(events)
        self.addCleanup(globalLogPublisher.removeObserver, events)
        called = client.call(self.handle, "FAIL", "broke")
        self.one.turn()
        error = self.failureResultOf(called, RemoteError).value
        self.assertIn("broke", str(error))
        self.assertFalse(error.retry_safe)
        [event] = [e for e in events if e["log_level"] is LogLevel.error]
        self.assertEqual(event["log_namespace"], "tests.node.support.Echo")
        self.assertEqual(event["actor"], repr(self.echo._cell))
        self.assertEqual(event["source"], client.handle)
        self.assertIn("FAIL", event["request"])
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)

    def test_raised_one_way(self) -> None:
        """An error in the handler of a one-way message is logged once as well."""
        self.one.node.client().send(self.handle, "FAIL")
        self.one.turn()
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)

    def test_unknown_command(self) -> None:
        """An unknown command is answered with an error; the actor lives on."""
        called = self.one.node.client().call(self.handle, "NEVER")
        self.one.turn()
        self.assertIn("NEVER", str(self.failureResultOf(called, RemoteError).value))
        self.assertEqual(self.call(self.one, self.handle, "ECHO", 1), 1)

    def test_odd_commands(self) -> None:
        """No command, one that cannot be hashed, one that is a number: errors."""
        for args in [(), ([],), (3,)]:
            called = self.one.node.client().call(self.handle, *args)
            self.one.turn()
            self.failureResultOf(called, RemoteError)

    def test_wrong_arguments(self) -> None:
        """Arguments that a handler does not take are its caller's error: a warning."""
        events = EventLoggingObserver()
        globalLogPublisher.addObserver(events)
        self.addCleanup(globalLogPublisher.removeObserver, events)
        called = self.one.node.client().call(self.handle, "SAME")
        self.one.turn()
        self.failureResultOf(called, RemoteError)
        [event] = [e for e in events if e["log_namespace"].endswith(".Echo")]
        self.assertEqual(event["log_level"], LogLevel.warn)

    def test_addresses(self) -> None:
        """A handle, its text and a local name all reach the actor."""
        self.successResultOf(self.echo.register(".echo"))
        for dest in [self.handle, int(self.handle), str(self.handle), ".echo"]:
            self.assertEqual(self.call(self.one, dest, "ECHO", 1), 1)

    def test_bad_addresses(self) -> None:
        """What is no address fails at once, and nothing was sent."""
        client = self.one.node.client()
        wrong: list[Any] = [None, 1.5, [], "", ":zz", "12", "x" * 16, -1, 0, 1 << 32]
        for dest in wrong:
            with self.subTest(dest=dest):
                called = client.call(dest, "ECHO")
                error = self.failureResultOf(called, SkynetError).value
                self.assertIsInstance(error, BadAddress)
                with self.assertRaises(BadAddress):
                    client.send(dest, "ECHO")

    def test_nobody(self) -> None:
        """A handle or a local name of nobody fails at once, and is safe to retry."""
        client = self.one.node.client()
        nobody: list[tuple[int | str, type[SkynetError]]]
        nobody = [(Handle(77), NoSuchActor), (".no", NoSuchName)]
        for dest, kind in nobody:
            error = self.failureResultOf(client.call(dest, "ECHO"), kind).value
            self.assertTrue(error.retry_safe)

    def test_send_to_nobody(self) -> None:
        """A one-way message to nobody is a dead letter."""
        client = self.one.node.client()
        client.send(Handle(77), "NOTE")
        client.send(".no", "NOTE")
        letters = self.one.node.ledger.dead_letters
        self.assertEqual([letter.destination for letter in letters], [77, ".no"])
        self.assertEqual([letter.source for letter in letters], [client.handle] * 2)

    def test_sender(self) -> None:
        """A handler sees who sent the message."""
        client = self.one.node.client()
        called = client.call(self.handle, "SENDER")
        self.one.turn()
        self.assertEqual(self.successResultOf(called), client.handle)


class Sequence(Actor):
    """Records when its handlers begin and end."""

    def __init__(self) -> None:
        self.log: list[Any] = []
        self.gate: Deferred[None] = Deferred()
        self.senders: list[int] = []

    @command
    def PLAIN(self, n: int) -> None:
        self.log.append(n)

    @command
    async def SLOW(self, n: int) -> int:
        self.log.append(("begin", n))
        await self.sleep(n)
        self.log.append(("end", n))
        return n

    @command
    async def FIRED(self, n: int) -> int:
        self.log.append(("begin", n))
        got = await succeed(n)
        self.log.append(("end", got))
        return got

    @command
    async def FAILED(self) -> str:
        try:
            await fail(KeyError("fired"))
        except KeyError as error:
            return repr(error)
        return "nothing was raised"

    @command
    async def LATE_FAILED(self) -> str:
        wait: Deferred[None] = Deferred()
        self.node.clock.callLater(1, wait.errback, KeyError("late"))
        try:
            await wait
        except KeyError as error:
            return repr(error)
        return "nothing was raised"

    @command
    async def WRONG(self) -> None:
        await _Odd()

    @command
    def DEFERRED(self, n: int) -> Deferred[int]:
        wait: Deferred[int] = Deferred()
        self.node.clock.callLater(n, wait.callback, n)
        return wait

    @command
    def BROKEN(self) -> Deferred[int]:
        return fail(KeyError("deferred"))

    @command
    async def SENDERS(self) -> None:
        self.senders.append(self.sender)
        await self.sleep(1)
        self.senders.append(self.sender)


class _Odd:
    def __await__(self) -> Any:
        yield "no deferred"


class OrderTests(NodeTestCase):
    """When handlers run, and what a coroutine may await."""

    def setUp(self) -> None:
        self.one = self.world(0)
        self.handle, self.actor = self.spawn(self.one, Sequence)
        self.client = self.one.node.client()

    def test_arrival(self) -> None:
        """Messages are handled in the order in which they arrive, all of them."""
        for n in range(1000):
            self.client.send(self.handle, "PLAIN", n)
        self.one.turn()
        self.assertEqual(self.actor.log, list(range(1000)))

    def test_at_await(self) -> None:
        """At an await the next message is handled."""
        first = self.client.call(self.handle, "SLOW", 2)
        second = self.client.call(self.handle, "SLOW", 1)
        self.one.turn()
        self.assertEqual(self.actor.log, [("begin", 2), ("begin", 1)])
        self.one.later(2)
        self.assertEqual(self.actor.log[2:], [("end", 1), ("end", 2)])
        self.assertEqual(self.successResultOf(first), 2)
        self.assertEqual(self.successResultOf(second), 1)

    def test_fired(self) -> None:
        """An await of a Deferred that has fired lets no other message in between."""
        called = self.client.call(self.handle, "FIRED", 1)
        self.client.send(self.handle, "PLAIN", 2)
        self.one.turn()
        self.assertEqual(self.actor.log, [("begin", 1), ("end", 1), 2])
        self.assertEqual(self.successResultOf(called), 1)

    def test_failing(self) -> None:
        """The failure of a Deferred is raised at the await, whenever it came."""
        early = self.client.call(self.handle, "FAILED")
        late = self.client.call(self.handle, "LATE_FAILED")
        self.one.turn(1)
        self.assertEqual(self.successResultOf(early), "KeyError('fired')")
        self.assertEqual(self.successResultOf(late), "KeyError('late')")

    def test_not_awaitable(self) -> None:
        """An await of something that is no Deferred is an error of the handler."""
        called = self.client.call(self.handle, "WRONG")
        self.one.turn()
        self.failureResultOf(called, RemoteError)
        self.assertEqual(len(self.flushLoggedErrors(TypeError)), 1)

    def test_deferred(self) -> None:
        """A plain handler may return a Deferred of its answer."""
        called = self.client.call(self.handle, "DEFERRED", 3)
        self.one.turn(3)
        self.assertEqual(self.successResultOf(called), 3)

    def test_deferred_fails(self) -> None:
        """The failure of a returned Deferred is logged once, asked for or not."""
        called = self.client.call(self.handle, "BROKEN")
        self.one.turn()
        self.failureResultOf(called, RemoteError)
        self.client.send(self.handle, "BROKEN")
        self.one.turn()
        self.assertEqual(len(self.flushLoggedErrors(KeyError)), 2)

    def test_sender_after_await(self) -> None:
        """After an await the sender is still that of the handler's own message."""
        other = self.one.node.client()
        self.client.send(self.handle, "SENDERS")
        other.send(self.handle, "SENDERS")
        self.one.later(1)
        expected = [self.client.handle, other.handle] * 2
        self.assertEqual(self.actor.senders, expected)


class Nested(Actor):
    """Runs other coroutines of its own in the middle of a handler."""

    def __init__(self) -> None:
        self.wait: Deferred[None] = Deferred()
        self.got: list[Any] = []

    @command
    async def WAIT(self) -> None:
        await self.wait
        self.got.append(self.sender)

    @command
    def FIRE(self) -> int:
        self.wait.callback(None)
        return self.sender

    @command
    def FORK(self) -> int:
        self.fork(self.forked())
        return self.sender

    async def forked(self) -> None:
        self.got.append("forked")
        await self.sleep(1)
        self.got.append("slept")
        raise KeyError("forked")


class NestedTests(NodeTestCase):
    """Coroutines that run on inside another handler of their actor."""

    def setUp(self) -> None:
        self.one = self.world(0)
        self.handle, self.actor = self.spawn(self.one, Nested)

    def test_fired_inside(self) -> None:
        """A handler that wakes another keeps its own sender, and so does the other."""
        waiter, client = self.one.node.client(), self.one.node.client()
        waiter.send(self.handle, "WAIT")
        called = client.call(self.handle, "FIRE")
        self.one.turn()
        self.assertEqual(self.actor.got, [waiter.handle])
        self.assertEqual(self.successResultOf(called), client.handle)

    def test_fork(self) -> None:
        """A fork runs beside the handler, which keeps its sender; errors are logged."""
        client = self.one.node.client()
        called = client.call(self.handle, "FORK")
        self.one.turn()
        self.assertEqual(self.successResultOf(called), client.handle)
        self.one.turn(1)
        self.assertEqual(self.actor.got, ["forked", "slept"])
        self.assertEqual(len(self.flushLoggedErrors(KeyError)), 1)


class Sectioned(Actor):
    """Works in a critical section."""

    async def started(self) -> None:
        self.section = self.queue()
        self.log: list[Any] = []

    @command
    async def WORK(self, n: int, fails: bool = False) -> None:
        async with self.section:
            self.log.append(("in", n))
            await self.sleep(1)
            if fails:
                raise KeyError(n)
            async with self.section:
                await self.sleep(1)
            self.log.append(("out", n))

    @command
    async def RUN(self, value: Any) -> Any:
        return await self.section.run(self._work, value)

    async def _work(self, value: Any) -> Any:
        return await self.section.run(lambda: value)

    @command
    def PLAIN(self) -> Deferred[str]:
        async def inside() -> str:
            return "inside"

        return Deferred.fromCoroutine(self.section.run(inside))


class SectionTests(NodeTestCase):
    """Critical sections."""

    def setUp(self) -> None:
        self.one = self.world(0)
        self.handle, self.actor = self.spawn(self.one, Sectioned)
        self.client = self.one.node.client()

    def test_exclusive(self) -> None:
        """One after the other in the order of arrival; inside one may enter again."""
        for n in range(3):
            self.client.send(self.handle, "WORK", n)
        self.one.later(6)
        order = [(way, n) for n in range(3) for way in ("in", "out")]
        self.assertEqual(self.actor.log, order)

    def test_left_by_error(self) -> None:
        """An error leaves the section, and reaches the caller."""
        called = self.client.call(self.handle, "WORK", 1, True)
        self.client.send(self.handle, "WORK", 2)
        self.one.later(3)
        self.failureResultOf(called, RemoteError)
        self.assertEqual(self.actor.log, [("in", 1), ("in", 2), ("out", 2)])
        self.assertEqual(len(self.flushLoggedErrors(KeyError)), 1)

    def test_run(self) -> None:
        """A section runs functions and coroutine functions, and returns their value."""
        called = self.client.call(self.handle, "RUN", 7)
        self.one.turn()
        self.assertEqual(self.successResultOf(called), 7)

    def test_end(self) -> None:
        """When the actor ends, nobody waiting enters, and each is told once."""
        calls = [self.client.call(self.handle, "WORK", n) for n in range(3)]
        self.one.turn()
        self.actor.exit()
        self.one.turn()
        for called in calls:
            self.failureResultOf(called, RemoteError)
        self.assertEqual(self.actor.log, [("in", 0)])
        self.assertEqual(self.one.node.ledger.late_answers, 0)

    def test_twisted_coroutine(self) -> None:
        """A coroutine that Twisted drives enters as well, in its turn."""
        called = self.client.call(self.handle, "PLAIN")
        self.one.turn()
        self.assertEqual(self.successResultOf(called), "inside")


class Starting(Actor):
    """Starts in the way that a test says."""

    wait: Deferred[Any]

    def __init__(self) -> None:
        self.got: list[Any] = []

    async def started(self, how: str, *args: Any) -> None:
        await getattr(self, how)(*args)

    async def waits(self) -> None:
        Starting.wait = Deferred()
        await Starting.wait
        self.got.append("started")

    async def fails(self) -> None:
        await self.register(".starting")
        raise KeyError("start")

    async def calls_itself(self) -> None:
        await self.register(".starting")
        await self.call(".starting", "NOTE")

    async def calls(self, dest: int) -> None:
        await self.call(dest, "NOTE")

    async def spawns_a_caller(self) -> None:
        await self.spawn(Starting, "calls", self.handle)

    async def sends_itself(self) -> None:
        self.send(self.handle, "NOTE", "own")
        self.got.append("started")

    async def uses(self, echo: int) -> None:
        self.got.append(await self.call(echo, "ECHO", 1))
        self.got.append(await self.call(echo, "ECHO", 2))

    async def exits(self) -> None:
        self.exit()
        await self.sleep(1)
        self.got.append("never")

    async def forks(self) -> None:
        self.fork(self.forked())
        self.fork(self.waiting())

    async def forked(self) -> None:
        self.got.append("forked")

    async def waiting(self) -> None:
        await self.sleep(100)

    @command
    def NOTE(self, value: Any = None) -> None:
        self.got.append(value)


class SpawnTests(NodeTestCase):
    """How actors start."""

    def setUp(self) -> None:
        self.one = self.world(0)

    def nothing_left(self) -> None:
        """No actor, no call, no name is left."""
        node = self.one.node
        self.assertEqual(node.actors(), [])
        self.assertEqual(node._cells.table, {})
        self.assertEqual(len(node._core.calls), 0)

    def test_gate(self) -> None:
        """Messages wait until ``started`` is done, then come in order."""
        spawned = self.one.node.spawn(Starting, "waits")
        self.assertNoResult(spawned)
        [context] = self.one.node.actors()
        client = self.one.node.client()
        for n in range(3):
            client.send(context.handle, "NOTE", n)
        self.one.turn()
        self.assertEqual(self.one.actor(context.handle).got, [])
        Starting.wait.callback(None)
        self.one.turn()
        self.assertEqual(self.successResultOf(spawned), context.handle)
        self.assertEqual(self.one.actor(context.handle).got, ["started", 0, 1, 2])

    def test_start_fails(self) -> None:
        """A failing start fails the spawn with that error and leaves nothing."""
        spawned = self.one.node.spawn(Starting, "fails")
        error = self.failureResultOf(spawned, KeyError).value
        self.assertEqual(error.args, ("start",))
        self.nothing_left()

    def test_class_fails(self) -> None:
        """A class that cannot be made fails the spawn, and leaves nothing."""

        class Broken(Actor):
            def __init__(self) -> None:
                raise KeyError("made")

        self.failureResultOf(self.one.node.spawn(Broken), KeyError)
        self.nothing_left()

    def test_wrong_arguments(self) -> None:
        """Arguments that ``started`` does not take fail the spawn."""
        self.failureResultOf(self.one.node.spawn(Starting), TypeError)
        self.nothing_left()

    def test_waiting_messages(self) -> None:
        """Calls to an actor whose start fails are answered with errors."""
        spawned = self.one.node.spawn(Starting, "waits")
        [context] = self.one.node.actors()
        called = self.one.node.client().call(context.handle, "NOTE")
        self.one.turn()
        Starting.wait.errback(KeyError("start"))
        self.one.turn()
        self.failureResultOf(spawned, KeyError)
        self.failureResultOf(called, RemoteError)

    def test_calls_itself(self) -> None:
        """A call to itself in ``started`` fails instead of hanging."""
        spawned = self.one.node.spawn(Starting, "calls_itself")
        error = self.failureResultOf(spawned, NotReady).value
        self.assertIn("before it has started", str(error))
        self.nothing_left()

    def test_calls_each_other(self) -> None:
        """Two that wait for each other's start hang no longer than the time limit."""
        spawned = self.one.node.spawn(Starting, "spawns_a_caller")
        self.one.later(29)
        self.assertNoResult(spawned)
        self.one.later(2)
        self.failureResultOf(spawned, SkynetError)
        self.nothing_left()

    def test_sends_itself(self) -> None:
        """What an actor sends itself in ``started`` comes when that is done."""
        _handle, actor = self.spawn(self.one, Starting, "sends_itself")
        self.assertEqual(actor.got, ["started", "own"])

    def test_calls_others(self) -> None:
        """``started`` may call; the answers pass the gate."""
        echo, _ = self.spawn(self.one, Echo)
        _handle, actor = self.spawn(self.one, Starting, "uses", echo)
        self.assertEqual(actor.got, [1, 2])

    def test_spawned_by_actor(self) -> None:
        """An actor spawns another, and gets its handle or its error."""

        class Parent(Actor):
            @command
            async def SPAWN(self, how: str) -> int:
                return await self.spawn(Starting, how)

        parent, _ = self.spawn(self.one, Parent)
        handle = self.call(self.one, parent, "SPAWN", "sends_itself")
        self.assertEqual(self.one.actor(handle).got, ["started", "own"])
        called = self.one.node.client().call(parent, "SPAWN", "fails")
        self.one.turn()
        self.failureResultOf(called, RemoteError)
        self.assertEqual(len(self.flushLoggedErrors(KeyError)), 1)

    def test_exits(self) -> None:
        """An exit in ``started`` fails the spawn, and leaves nothing."""
        spawned = self.one.node.spawn(Starting, "exits")
        self.one.turn(1)
        self.failureResultOf(spawned, NotReady)
        self.nothing_left()

    def test_forks(self) -> None:
        """Forks of ``started`` go on beside the handlers, and end with the actor."""
        _handle, actor = self.spawn(self.one, Starting, "forks")
        self.assertEqual(actor.got, ["forked"])
        actor.exit()
        self.assertEqual(self.one.clock.getDelayedCalls(), [])

    def test_after_stop(self) -> None:
        """A node that stops starts no actor."""
        self.one.node.stop()
        self.failureResultOf(self.one.node.spawn(Echo), NotReady)

    def test_handles(self) -> None:
        """Handles grow, and are not given again soon."""
        first, actor = self.spawn(self.one, Echo)
        actor.exit()
        second, _ = self.spawn(self.one, Echo)
        self.assertEqual([first.index, second.index], [1, 2])


class DispatchTests(NodeTestCase):
    """Other types than LUA, and inheritance."""

    def setUp(self) -> None:
        self.one = self.world(0)

    def test_types(self) -> None:
        """A dispatcher takes the messages of its type; commands keep theirs."""

        class Typed(Echo):
            @dispatch(PType.TEXT)
            def text(self, raw: bytes) -> bytes:
                return raw[::-1]

            @dispatch(PType.LUA)
            def other(self, *values: Any) -> str:
                return f"other {values!r}"

            @dispatch(PType.SNAX)
            async def snax(self, value: int) -> int:
                await self.sleep(1)
                return value + 1

        handle, _ = self.spawn(self.one, Typed)
        self.assertEqual(self.call(self.one, handle, b"abc", ptype=PType.TEXT), b"cba")
        self.assertEqual(self.call(self.one, handle, "WHAT", 1), "other ('WHAT', 1)")
        self.assertEqual(self.call(self.one, handle, "ECHO", 1), 1)
        called = self.one.node.client().call(handle, 1, ptype=PType.SNAX)
        self.one.turn(1)
        self.assertEqual(self.successResultOf(called), 2)

    def test_unknown_type(self) -> None:
        """A type without a dispatcher is answered with an error."""
        handle, _ = self.spawn(self.one, Echo)
        called = self.one.node.client().call(handle, b"x", ptype=PType.TEXT)
        self.one.turn()
        self.failureResultOf(called, RemoteError)

    def test_inherited(self) -> None:
        """An override answers as what it overrides; a name may differ."""

        class Child(Echo):
            def SAME(self, value: Any) -> Any:
                return ("child", value)

            @command(name="other-name")
            def other(self) -> str:
                return "other"

        handle, _ = self.spawn(self.one, Child)
        self.assertEqual(self.call(self.one, handle, "SAME", 1), ("child", 1))
        self.assertEqual(self.call(self.one, handle, "other-name"), "other")
        plain, _ = self.spawn(self.one, Echo)
        self.assertEqual(self.call(self.one, plain, "SAME", 1), 1)


class Redirecting(Actor):
    """Lets others answer."""

    async def started(self, dest: int) -> None:
        self.dest = dest

    @command
    def PASS(self, *args: Any) -> Any:
        return self.redirect(self.dest, *args)

    @command
    async def PASS_LATER(self, *args: Any) -> Any:
        await self.sleep(1)
        return self.redirect(self.dest, *args)


class RedirectTests(NodeTestCase):
    """Messages that another actor of the node answers."""

    def setUp(self) -> None:
        self.one = self.world(0)
        self.echo, self.target = self.spawn(self.one, Echo)
        self.handle, _ = self.spawn(self.one, Redirecting, self.echo)

    def test_plain(self) -> None:
        """The answer of the other reaches the first caller, who is the sender."""
        self.assertEqual(self.call(self.one, self.handle, "PASS", "ECHO", 1, 2), (1, 2))
        client = self.one.node.client()
        called = client.call(self.handle, "PASS", "SENDER")
        self.one.turn()
        self.assertEqual(self.successResultOf(called), client.handle)

    def test_later(self) -> None:
        """A coroutine redirects the message that it was started for."""
        first, second = self.one.node.client(), self.one.node.client()
        calls = [c.call(self.handle, "PASS_LATER", "SENDER") for c in (first, second)]
        self.one.turn()
        self.one.turn(1)
        answers = [self.successResultOf(called) for called in calls]
        self.assertEqual(answers, [first.handle, second.handle])

    def test_one_way(self) -> None:
        """A one-way message is passed on as one."""
        self.one.node.client().send(self.handle, "PASS", "NOTE", 5)
        self.one.turn()
        self.assertEqual(self.target.got, [5])

    def test_failing(self) -> None:
        """An error of the other is the caller's."""
        called = self.one.node.client().call(self.handle, "PASS", "FAIL")
        self.one.turn()
        self.failureResultOf(called, RemoteError)
        self.flushLoggedErrors(ValueError)

    def test_nobody(self) -> None:
        """To redirect to nobody is an error of the handler, which the caller gets."""
        self.target.exit()
        called = self.one.node.client().call(self.handle, "PASS", "ECHO")
        self.one.turn()
        self.failureResultOf(called, RemoteError)
        self.assertEqual(len(self.flushLoggedErrors(NoSuchActor)), 1)


class SleepTests(NodeTestCase):
    """Time."""

    def test_left_alone(self) -> None:
        """A sleep that nobody awaits ends with the node, in silence."""
        one = self.world(0)
        client = one.node.client()
        woken: list[object] = []
        client.sleep(5).addCallback(woken.append)
        one.node.stop()
        self.assertEqual(one.clock.getDelayedCalls(), [])
        self.assertEqual(woken, [])

    def test_cancel(self) -> None:
        """A sleep can be cancelled."""
        one = self.world(0)
        sleep = one.node.client().sleep(5)
        sleep.cancel()
        self.failureResultOf(sleep, CancelledError)
        self.assertEqual(one.clock.getDelayedCalls(), [])
