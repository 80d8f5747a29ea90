"""Calls in flight: their answers, time limits, and cancelling."""

from __future__ import annotations

from typing import Any, cast

from twisted.internet.defer import (
    CancelledError,
    Deferred,
    gatherResults,
)
from twisted.internet.defer import (
    TimeoutError as TwistedTimeoutError,
)

from skynet_tw.errors import (
    CallTimeout,
    LinkLost,
    QueueFull,
    RemoteError,
    SkynetError,
    UnpackError,
)
from skynet_tw.message import MAX_SESSION, PType
from skynet_tw.node import debug
from skynet_tw.node.actor import Actor, command
from skynet_tw.node.limits import Limits
from skynet_tw.node.reply import Reply

from .support import Echo, NodeTestCase, cell_of

FAR = 0x0200000A


class Caller(Actor):
    """Calls in the ways that its tests ask for."""

    def __init__(self) -> None:
        self.call_made: Deferred[Any]
        self.got: list[Any] = []

    @command
    async def TWICE(self, dest: int) -> Any:
        first = await self.call(dest, "ECHO", 1)
        return first, await self.call(dest, "ECHO", 2)

    @command
    async def MADE(self, dest: int) -> Any:
        self.call_made = self.call(dest, "WAIT", timeout=None)
        try:
            self.got.append(await self.call_made)
        except Exception as error:
            self.got.append(type(error))

    @command
    async def AGAIN(self) -> Any:
        try:
            return await self.call_made
        except Exception as error:
            return repr(error)

    @command
    async def CHANGED(self, dest: int) -> Any:
        call = self.call(dest, "WAIT")
        call.addCallback(lambda value: ("changed", value))
        return await call

    @command
    async def LIMITED(self, dest: int) -> Any:
        call = self.call(dest, "WAIT")
        return await call.addTimeout(2, self.node.clock)

    @command
    async def TOGETHER(self, dest: int) -> Any:
        calls = [self.call(dest, "ECHO", n) for n in range(3)]
        return await gatherResults(calls)

    @command
    async def CAUGHT(self, dest: int) -> Any:
        try:
            return await self.call(dest, "FAIL")
        except RemoteError as error:
            return str(error)


class LocalCallTests(NodeTestCase):
    """Calls within the node."""

    def setUp(self) -> None:
        self.one = self.world(0)
        self.echo, self.target = self.spawn(self.one, Echo)
        self.handle, self.caller = self.spawn(self.one, Caller)

    def answer(self, value: Any = None) -> None:
        """Let the target answer what waits there."""
        self.target.waits.pop(0).callback(value)
        self.one.turn()

    def test_awaited(self) -> None:
        """A handler awaits calls one after the other, or together."""
        self.assertEqual(self.call(self.one, self.handle, "TWICE", self.echo), (1, 2))
        together = self.call(self.one, self.handle, "TOGETHER", self.echo)
        self.assertEqual(together, [0, 1, 2])

    def test_raised(self) -> None:
        """The callee's error is raised at the await."""
        text = self.call(self.one, self.handle, "CAUGHT", self.echo)
        self.assertIn("ValueError: no", text)
        self.flushLoggedErrors(ValueError)

    def test_outside(self) -> None:
        """A coroutine outside of actors may await calls."""
        client = self.one.node.client()

        async def work() -> Any:
            first = await client.call(self.echo, "ECHO", 1)
            try:
                await client.call(self.echo, "FAIL")
            except RemoteError:
                return first, await client.call(self.echo, "ECHO", 2)

        done = Deferred.fromCoroutine(work())
        self.one.turn()
        self.assertEqual(self.successResultOf(done), (1, 2))
        self.flushLoggedErrors(ValueError)

    def test_callbacks_before(self) -> None:
        """Callbacks that were added before the await change what it gives."""
        called = self.one.node.client().call(self.handle, "CHANGED", self.echo)
        self.one.turn()
        self.answer(1)
        self.assertEqual(self.successResultOf(called), ("changed", 1))

    def test_callbacks_after(self) -> None:
        """Callbacks that are added while a handler awaits the call run, too."""
        self.one.node.client().send(self.handle, "MADE", self.echo)
        self.one.turn()
        got: list[Any] = []
        self.caller.call_made.addBoth(got.append)
        self.answer(1)
        self.assertEqual(self.caller.got, [1])
        self.assertEqual(got, [None])

    def test_twisted_timeout(self) -> None:
        """Twisted's own ``addTimeout`` works on an awaited call."""
        called = self.one.node.client().call(self.handle, "LIMITED", self.echo)
        self.one.turn(2)
        self.failureResultOf(called, RemoteError)
        self.assertEqual(len(self.flushLoggedErrors(TwistedTimeoutError)), 1)
        self.answer()
        self.assertEqual(self.one.node.ledger.late_answers, 1)

    def test_cancel_awaited(self) -> None:
        """A call that another handler cancels raises where it is awaited."""
        self.one.node.client().send(self.handle, "MADE", self.echo)
        self.one.turn()
        self.caller.call_made.cancel()
        self.assertEqual(self.caller.got, [CancelledError])
        self.answer()
        self.assertEqual(self.one.node.ledger.late_answers, 1)

    def test_awaited_again(self) -> None:
        """A call that has been answered can be awaited again."""
        self.one.node.client().send(self.handle, "MADE", self.echo)
        self.one.turn()
        self.answer(5)
        self.assertEqual(self.call(self.one, self.handle, "AGAIN"), 5)

    def test_chained_before(self) -> None:
        """A callback may return a call that is awaited as well: both get it."""
        client = self.one.node.client()
        reply = client.call(self.echo, "WAIT")
        chained: Deferred[Any] = Deferred()
        chained.addCallback(lambda _: reply)
        chained.callback(None)

        async def work() -> Any:
            return await reply

        work_ends = self.ends(client.fork(work()))
        chained_ends = self.ends(chained)
        self.one.turn()
        self.answer(1)
        self.assertEqual((chained_ends, work_ends), ([1], [None]))

    def test_chained_after(self) -> None:
        """So it is when the callback returns the call while it is awaited."""
        self.one.node.client().send(self.handle, "MADE", self.echo)
        self.one.turn()
        chained: Deferred[Any] = Deferred()
        chained.addCallback(lambda _: self.caller.call_made)
        chained.callback(None)
        chained_ends = self.ends(chained)
        self.answer(1)
        # Who waits first takes the result out of the Deferred, as in Twisted.
        self.assertEqual((self.caller.got, chained_ends), ([1], [None]))

    def test_limit_after_answer(self) -> None:
        """An answer that waits in the mailbox is in time."""
        handle, busy = self.spawn(self.one, Echo)
        called = busy.call(self.echo, "WAIT", timeout=1)
        self.one.turn()
        self.one.slow()
        for _ in range(40):
            self.caller.send(handle, "NOTE")
        self.target.waits.pop().callback(5)  # A batch of notes is handled.
        self.one.node._core.scheduler.run()  # The callee runs on, and answers.
        self.assertEqual(len(cell_of(busy).mailbox), 25)
        self.one.clock.advance(2)
        self.assertEqual(self.successResultOf(called), 5)

    def test_no_limit(self) -> None:
        """A local call waits as long as it takes, and is not in the table."""
        called = self.one.node.client().call(self.echo, "WAIT")
        self.one.later(100)
        self.assertNoResult(called)
        self.assertEqual(len(self.one.node._core.calls), 0)
        self.answer("late")
        self.assertEqual(self.successResultOf(called), "late")

    def test_limit(self) -> None:
        """A local call with a time limit fails there; its answer is counted late."""
        called = self.one.node.client().call(self.echo, "WAIT", timeout=2)
        self.one.later(1)
        self.assertNoResult(called)
        self.one.later(1)
        error = self.failureResultOf(called, CallTimeout).value
        self.assertFalse(error.retry_safe)
        self.assertEqual(len(self.one.node._core.calls), 0)
        self.answer()
        self.assertEqual(self.one.node.ledger.late_answers, 1)

    def test_limit_not_reached(self) -> None:
        """An answer in time frees the session."""
        called = self.one.node.client().call(self.echo, "ECHO", 1, timeout=2)
        self.one.turn()
        self.assertEqual(self.successResultOf(called), 1)
        self.assertEqual(len(self.one.node._core.calls), 0)

    def test_full(self) -> None:
        """A full mailbox refuses calls and messages, which leaves nothing behind."""
        one = self.world(0, limits=Limits(messages=3))
        echo, actor = self.spawn(one, Echo)
        client = one.node.client()
        for n in range(3):
            client.send(echo, "NOTE", n)
        with self.assertRaises(QueueFull):
            client.send(echo, "NOTE", 3)
        called = client.call(echo, "NOTE", 3, timeout=1)
        self.assertTrue(self.failureResultOf(called, QueueFull).value.retry_safe)
        self.assertEqual(len(one.node._core.calls), 0)
        one.later(2)
        self.assertEqual(actor.got, [0, 1, 2])

    def test_wrong_limit(self) -> None:
        """A mistake in the caller's own values is not called a bad address."""
        with self.assertRaises(TypeError):
            self.one.node.client().call(self.echo, "ECHO", timeout="soon")  # type: ignore[arg-type]


class RemoteCallTests(NodeTestCase):
    """Calls to an actor of another node."""

    def setUp(self) -> None:
        self.one = self.world()
        self.client = self.one.node.client()
        self.one.remote.up(2)

    def test_answer(self) -> None:
        """The answer's values are those of the call."""
        for values, expected in [
            ((), None),
            ((1,), 1),
            ((1, 2), (1, 2)),
            ((None,), None),
        ]:
            called = self.client.call(FAR, "X", 1)
            sent = self.one.remote.one()
            self.assertEqual(sent.values, ("X", 1))
            self.assertEqual(sent[:3], (FAR, self.client.handle, PType.LUA))
            self.one.remote.answer(sent, *values)
            self.assertEqual(self.successResultOf(called), expected)
            self.assertEqual(len(self.one.node._core.calls), 0)

    def test_list(self) -> None:
        """A table comes as one list."""
        called = self.client.call(FAR, "X")
        self.one.remote.answer(self.one.remote.one(), [1, 2])
        self.assertEqual(self.successResultOf(called), [1, 2])

    def test_raw(self) -> None:
        """A call of a raw type sends and gets bytes."""
        called = self.client.call(FAR, b"ask", ptype=PType.TEXT)
        sent = self.one.remote.one()
        self.assertEqual((sent.ptype, sent.payload), (PType.TEXT, b"ask"))
        self.one.remote.answer(sent, payload=b"answer")
        self.assertEqual(self.successResultOf(called), b"answer")

    def test_error(self) -> None:
        """An ERROR with the session fails the call; its payload does not matter."""
        called = self.client.call(FAR, "X")
        sent = self.one.remote.one()
        self.one.remote.receive(
            sent.source, ptype=PType.ERROR, session=sent.session, payload=b"\xff"
        )
        error = self.failureResultOf(called, RemoteError).value
        self.assertFalse(error.retry_safe)
        self.assertIn(":0200000a", str(error))

    def test_other_source(self) -> None:
        """An answer from another address is accepted, as real nodes accept it."""
        called = self.client.call(FAR, "X")
        sent = self.one.remote.one()
        self.one.remote.receive(
            sent.source,
            1,
            source=0x0300000B,
            ptype=PType.RESPONSE,
            session=sent.session,
        )
        self.assertEqual(self.successResultOf(called), 1)

    def test_other_actor(self) -> None:
        """An answer to another actor of this node is not the caller's."""
        other = self.one.node.client()
        called = self.client.call(FAR, "X")
        sent = self.one.remote.one()
        answer = {"ptype": PType.RESPONSE, "session": sent.session}
        self.one.remote.receive(other.handle, 1, **answer)
        self.assertNoResult(called)
        self.assertEqual(self.one.node.ledger.late_answers, 1)
        self.one.remote.receive(self.client.handle, 2, **answer)
        self.assertEqual(self.successResultOf(called), 2)

    def test_unreadable(self) -> None:
        """An answer that cannot be read is an UnpackError."""
        called = self.client.call(FAR, "X")
        self.one.remote.answer(self.one.remote.one(), payload=b"\x0c")
        self.failureResultOf(called, UnpackError)

    def test_limit(self) -> None:
        """Without an answer the call fails at the node's limit, and not before."""
        called = self.client.call(FAR, "X")
        self.one.later(29)
        self.assertNoResult(called)
        self.one.later(1)
        error = self.failureResultOf(called, CallTimeout).value
        self.assertFalse(error.retry_safe)
        self.assertIn(":0200000a", str(error))

    def test_own_limit(self) -> None:
        """A call's own limit counts instead; the shortest comes first."""
        calls = [self.client.call(FAR, "X", timeout=t) for t in (3, 1, 2)]
        for n in (1, 2, 0):
            self.one.later(1)
            self.failureResultOf(calls[n], CallTimeout)

    def test_no_limit(self) -> None:
        """None and 0 are no limit."""
        calls = [self.client.call(FAR, "X", timeout=t) for t in (None, 0)]
        self.one.later(100)
        for sent, called in zip(self.one.remote.take(), calls, strict=True):
            self.assertNoResult(called)
            self.one.remote.answer(sent, 1)
            self.assertEqual(self.successResultOf(called), 1)

    def test_node_without_limit(self) -> None:
        """A node may have no limit by default."""
        one = self.world(call_timeout=0)
        one.remote.up(2)
        called = one.node.client().call(FAR, "X")
        one.later(100)
        self.assertNoResult(called)
        self.assertEqual(one.clock.getDelayedCalls(), [])

    def test_one_timer(self) -> None:
        """Time limits cost one delayed call, however many calls there are."""
        for n in range(100):
            self.client.call(FAR, "X", timeout=n + 1).addErrback(lambda _: None)
        self.assertEqual(len(self.one.clock.getDelayedCalls()), 1)

    def test_late(self) -> None:
        """A late answer is counted, not delivered."""
        called = self.client.call(FAR, "X", timeout=1)
        self.one.later(1)
        self.failureResultOf(called, CallTimeout)
        self.one.remote.answer(self.one.remote.one(), 1)
        self.assertEqual(self.one.node.ledger.late_answers, 1)

    def test_twice(self) -> None:
        """A second answer is late."""
        called = self.client.call(FAR, "X")
        sent = self.one.remote.one()
        self.one.remote.answer(sent, 1)
        self.one.remote.answer(sent, 2)
        self.assertEqual(self.successResultOf(called), 1)
        self.assertEqual(self.one.node.ledger.late_answers, 1)

    def test_cancel(self) -> None:
        """Cancelling a call frees its session; the answer is late."""
        called = self.client.call(FAR, "X")
        called.cancel()
        self.failureResultOf(called, CancelledError)
        self.assertEqual(len(self.one.node._core.calls), 0)
        self.one.remote.answer(self.one.remote.one(), 1)
        self.assertEqual(self.one.node.ledger.late_answers, 1)

    def test_sessions(self) -> None:
        """Sessions are unique, go around, and stay within 1 and 0x7fffffff."""
        calls = cell_of(self.client)
        calls._last_session = MAX_SESSION - 2
        for _ in range(4):
            self.client.call(FAR, "X")
        sessions = [sent.session for sent in self.one.remote.take()]
        self.assertEqual(sessions, [MAX_SESSION - 1, MAX_SESSION, 1, 2])
        calls._last_session = MAX_SESSION - 2
        self.client.call(FAR, "X")
        self.assertEqual(self.one.remote.one().session, 3)

    def test_awaited_in_handler(self) -> None:
        """A handler that awaits remote calls goes on at their answers."""
        handle, _ = self.spawn(self.one, Caller)
        called = self.client.call(handle, "TWICE", FAR)
        self.one.turn()
        self.one.remote.answer(self.one.remote.one(), "a")
        self.one.remote.answer(self.one.remote.one(), "b")
        self.assertEqual(self.successResultOf(called), ("a", "b"))

    def test_stop(self) -> None:
        """When the node stops, who waits for a call from outside hears of it."""
        far = self.client.call(FAR, "X")
        echo, _ = self.spawn(self.one, Echo)
        near = self.client.call(echo, "WAIT")
        self.one.turn()
        heard: list[Any] = []
        for called in (far, near):
            called.addErrback(lambda failure: heard.append(failure.type))
        self.one.node.stop()
        self.assertEqual(heard, [RemoteError, SkynetError])

    def test_call_after_stop(self) -> None:
        """Calls and messages of a stopped node fail at once, and leave nothing."""
        self.one.node.stop()
        for dest in (FAR, "NAME", self.client.handle):
            called = self.client.call(dest, "X")
            self.assertTrue(self.failureResultOf(called).value.retry_safe)
            self.client.send(dest, "X")
        self.assertEqual(self.one.clock.getDelayedCalls(), [])


class CostTests(NodeTestCase):
    """What calls cost is counted in work, not in time."""

    def setUp(self) -> None:
        self.one = self.world()
        self.one.remote.up(2)
        self.one.remote.up(3)
        self.client = self.one.node.client()

    def looked_at(self) -> int:
        """How many calls the looks at time limits have looked at."""
        node = self.one.node
        channels = node._outgoing.channels()
        return node._core.calls.looked_at + sum(c.calls.looked_at for c in channels)

    def test_expiry(self) -> None:
        """Calls that expire steadily cost a look or two each, however many wait."""
        failed: list[Any] = []
        for _ in range(2000):
            waits = self.client.call(FAR, "X", timeout=1000)
            waits.addErrback(lambda failure: None)
        for _ in range(1000):
            for timeout in (1, 1.005, 2.5):
                self.client.call(FAR, "X", timeout=timeout).addErrback(failed.append)
            self.one.clock.advance(0.01)
        self.one.later(3)
        self.assertEqual(len(failed), 3000)
        self.assertLess(self.looked_at(), 4 * 3000)
        self.one.remote.lost(2)

    def test_answered(self) -> None:
        """Calls that are answered cost no look, and leave nothing, in any order."""
        for n in range(5000):
            self.client.call(FAR, "X", timeout=100 + n % 7 * 1000)
            self.one.remote.answer(self.one.remote.one())
            self.one.clock.advance(0.01)
        self.assertEqual(self.looked_at(), 0)
        channel = self.one.node._outgoing.channel(2)
        self.assertLess(len(channel.calls._slots), 200)
        self.assertLess(len(channel.calls._order), 200)

    def test_actor_ends(self) -> None:
        """An actor that ends, or a link that breaks, ends its own calls only."""
        others = [self.client.call(FAR, "X") for _ in range(1000)]
        _, caller = self.spawn(self.one, Caller)
        mine = [caller.call(FAR + 0x01000000, "X") for _ in range(3)]
        calls = [cast(Reply, other).call for other in others]
        for call in calls:
            call.reply = None  # To end one of these would be an error from now on.
        caller.exit()
        mine += [self.client.call(FAR + 0x01000000, "X") for _ in range(2)]
        self.one.remote.lost(3)
        for one in mine[3:]:
            self.failureResultOf(one, LinkLost)
        for call, other in zip(calls, others, strict=True):
            self.assertFalse(call.over)
            call.reply = cast(Reply, other)
        self.one.remote.lost(2)
        for other in others:
            self.failureResultOf(other, LinkLost)

    def test_given_up(self) -> None:
        """A local watch or link that is given up leaves nothing at its callee."""
        handle, echo = self.spawn(self.one, Echo)
        for _ in range(3):
            watch = self.client.watch(handle)
            watch.addErrback(lambda failure: None)
            watch.cancel()
            link = self.client.call(handle, "LINK", ptype=PType.DEBUG)
            self.client.call(handle, "LINK", ptype=PType.DEBUG, timeout=1).addErrback(
                lambda failure: None
            )
            link.addErrback(lambda failure: None)
            self.one.turn()
            link.cancel()
        self.one.later(1)
        self.assertEqual(
            (cell_of(echo).callers.links, cell_of(echo).watchers), ({}, {})
        )

    def test_links_are_bounded(self) -> None:
        """So many links of other nodes wait, and no more."""
        self.patch(debug, "MAX_LINKS", 5)
        handle, echo = self.spawn(self.one, Echo)
        for session in range(1, 8):
            self.one.remote.receive(handle, "LINK", session=session, ptype=PType.DEBUG)
        refused = [sent.session for sent in self.one.remote.take()]
        self.assertEqual(refused, [6, 7])
        self.one.remote.lost(2)
        self.one.remote.gone(2)
        self.assertEqual(cell_of(echo).callers.links, {})

    def test_handlers_are_bounded(self) -> None:
        """So many handlers of one actor wait, and no more."""
        one = self.world(limits=Limits(handlers=5))
        one.remote.up(2)
        handle, _ = self.spawn(one, Echo)
        for session in range(1, 8):
            one.remote.receive(handle, "WAIT", session=session)
        self.assertEqual([sent.session for sent in one.remote.take()], [6, 7])
        self.assertEqual(len(self.flushLoggedErrors(QueueFull)), 2)
