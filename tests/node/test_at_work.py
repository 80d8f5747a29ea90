"""The message at work: right in all that a handler starts, and nowhere else."""

from __future__ import annotations

import decimal
from contextvars import ContextVar
from typing import Any

from twisted.internet.defer import Deferred, gatherResults, inlineCallbacks

from skynet_tw.errors import RemoteError, SkynetError
from skynet_tw.handle import Handle
from skynet_tw.message import PType
from skynet_tw.node.actor import Actor, command, dispatch

from .support import Echo, NodeTestCase

FAR = Handle(0x0200000A)

MINE: ContextVar[str] = ContextVar("MINE", default="clean")


class Router(Actor):
    """Asks for the sender, and redirects, after each kind of wait."""

    def __init__(self) -> None:
        self.kept: list[Any] = []

    async def started(self, echo: int) -> None:
        self.echo = echo

    async def wait(self) -> int:
        await self.sleep(1)
        return self.sender

    @command
    async def PLAIN(self) -> int:
        return await self.wait()

    @command
    @inlineCallbacks
    def INLINE(self) -> Any:
        yield self.sleep(1)
        yield self.call(self.echo, "ECHO")
        return self.sender

    @command
    async def GATHER(self) -> Any:
        many = [Deferred.fromCoroutine(self.wait()) for _ in range(3)]
        return await gatherResults(many)

    @command
    async def CALLBACK(self) -> Any:
        made = [self.sleep(1), self.call(self.echo, "ECHO"), self.query(".name")]
        made += [self.spawn(Echo), self.fork(self.wait())]
        for one in made:
            one.addCallback(lambda _: self.sender)
        return await gatherResults(made)

    @command
    async def AGAIN(self, how: str) -> Any:
        await self.sleep(1)
        if how == "gather":
            await gatherResults([Deferred.fromCoroutine(self.wait())])
        return self.redirect(self.echo, "SENDER")

    @command
    @inlineCallbacks
    def PASSED(self) -> Any:
        yield self.sleep(1)
        return self.redirect(self.echo, "SENDER")

    @command
    def LEFT(self) -> str:
        self.kept.append(self.fork(self.later()))
        return "answered"

    async def later(self) -> None:
        await self.sleep(1)
        self.redirect(self.echo, "SENDER")

    @command
    def OTHER(self, other: Router) -> int:
        return other.sender

    @command
    async def CONTEXT(self, value: str) -> tuple[str, int]:
        before = MINE.get()
        MINE.set(value)
        decimal.getcontext().prec = 5
        await self.sleep(1)
        return before + MINE.get(), decimal.getcontext().prec

    @command
    def SETS(self) -> tuple[str, int]:
        before = MINE.get(), decimal.getcontext().prec
        MINE.set("leaked")
        decimal.getcontext().prec = 3
        return before


class AtWorkTests(NodeTestCase):
    """`Actor.sender` and `Actor.redirect`."""

    def setUp(self) -> None:
        self.one = self.world()
        self.one.remote.up(2)
        self.echo, _ = self.spawn(self.one, Echo)
        self.handle, self.router = self.spawn(self.one, Router, self.echo)
        self.spawn(self.one, Echo)[1].register(".name")

    def ask(self, *request: Any) -> list[Any]:
        """Two near callers and two far ones ask at once: who each is told to be."""
        near = [self.one.node.client() for _ in range(2)]
        far = [int(FAR), int(FAR) + 1]
        calls = [client.call(self.handle, *request) for client in near]
        for source in far:
            self.one.remote.receive(self.handle, *request, source=source, session=7)
        self.one.turn(1)
        self.one.turn(1)
        told = [self.successResultOf(call) for call in calls]
        answers = {sent.destination: sent.values for sent in self.one.remote.take()}
        told += [one[0] if len(one) == 1 else one for one in (answers[s] for s in far)]
        return list(zip([*(c.handle for c in near), *far], told, strict=True))

    def test_waits(self) -> None:
        """After each kind of wait the sender is the message's own."""
        for name in ("PLAIN", "INLINE"):
            for sender, told in self.ask(name):
                self.assertEqual(told, sender, name)

    def test_many(self) -> None:
        """So it is in gathered coroutines, and in callbacks of what the node gave."""
        for name in ("GATHER", "CALLBACK"):
            for sender, told in self.ask(name):
                self.assertEqual(set(told), {sender}, name)

    def test_redirect(self) -> None:
        """Each caller gets its own answer from whom it is redirected to."""
        for request in (("AGAIN", "plain"), ("AGAIN", "gather"), ("PASSED",)):
            for sender, told in self.ask(*request):
                self.assertEqual(told, sender, request)

    def test_answered(self) -> None:
        """What was answered cannot be redirected any more: no second answer leaves."""
        told = self.ask("LEFT")
        self.assertEqual([one for _, one in told], ["answered"] * 4)
        for fork in self.router.kept:
            error = self.failureResultOf(fork, SkynetError).value
            self.assertIn("its answer already", str(error))
        self.assertEqual(len(self.flushLoggedErrors(SkynetError)), 4)
        self.assertEqual(self.one.node.ledger.late_answers, 0)

    def test_none(self) -> None:
        """Where no message is at work, that is said."""
        seen: list[str] = []

        class Asking(Actor):
            def ask(self) -> None:
                for what in (lambda: self.sender, lambda: self.redirect(self.handle)):
                    try:
                        what()
                    except SkynetError as error:
                        seen.append(str(error))

            async def started(self) -> None:
                self.ask()
                await self.sleep(1)
                self.ask()

            def stopped(self) -> None:
                self.ask()

        spawned = self.one.node.spawn(Asking)
        self.one.turn(1)
        actor = self.one.actor(self.successResultOf(spawned))
        actor.ask()
        actor.exit()
        self.one.turn()
        self.assertEqual(len(seen), 8)
        self.assertEqual({"no message at work" in text for text in seen}, {True})

    def test_other_actor(self) -> None:
        """Another actor's code has not this one's message."""
        _, other = self.spawn(self.one, Router, self.echo)
        called = self.one.node.client().call(self.handle, "OTHER", other)
        self.one.turn()
        self.failureResultOf(called, RemoteError)
        self.assertEqual(len(self.flushLoggedErrors(SkynetError)), 1)

    def test_variables(self) -> None:
        """Context variables are a handler's own, and do not leak."""
        precision = decimal.getcontext().prec
        for value in ("a", "b"):
            told = self.ask("CONTEXT", value)
            self.assertEqual([one for _, one in told], [(f"clean{value}", 5)] * 4)
        for _ in range(2):
            told = self.ask("SETS")
            self.assertEqual([one for _, one in told], [("clean", precision)] * 4)
        self.assertEqual((MINE.get(), decimal.getcontext().prec), ("clean", precision))

    def test_answers_back(self) -> None:
        """What comes back into the node as a number is answered here, in each form."""
        target, _ = self.spawn(self.one, Echo)
        client = self.one.node.client()
        forms: list[tuple[tuple[Any, ...], Any]] = [
            (("ECHO", 1, None), (1, None)),
            (("ECHO",), None),
            (("FAIL", "no"), "ValueError: no"),
            (("NEVER",), "NEVER"),
            (("EXIT",), "bye"),
        ]
        for request, expected in forms:
            call = client.call(FAR, *request)
            sent = self.one.remote.one()
            # The far actor redirects the request back to one of ours.
            self.one.remote.receive(
                target, *request, source=client.handle, session=sent.session
            )
            self.one.turn()
            if isinstance(expected, str) and expected != "bye":
                error = self.failureResultOf(call, RemoteError).value
                self.assertIn(expected, str(error))
            else:
                self.assertEqual(self.successResultOf(call), expected)
        self.flushLoggedErrors(ValueError)
        call = client.call(FAR, "ECHO")
        sent = self.one.remote.one()
        self.one.remote.receive(
            target, "ECHO", source=client.handle, session=sent.session
        )
        self.one.turn()
        self.failureResultOf(call, RemoteError)
        self.assertEqual(self.one.remote.take(), [])

    def test_raw_back(self) -> None:
        """So is an answer of a raw type."""

        class Raw(Actor):
            @dispatch(PType.CLIENT)
            def raw(self, body: bytes) -> bytes:
                return body + b"!"

        target, _ = self.spawn(self.one, Raw)
        client = self.one.node.client()
        call = client.call(FAR, b"x", ptype=PType.CLIENT)
        sent = self.one.remote.one()
        self.one.remote.receive(
            target,
            source=client.handle,
            session=sent.session,
            ptype=PType.CLIENT,
            payload=b"x",
        )
        self.one.turn()
        self.assertEqual(self.successResultOf(call), b"x!")


class Sectioned(Actor):
    """Works in a critical section."""

    async def started(self) -> None:
        self.section = self.queue()
        self.log: list[Any] = []

    async def inside(self, n: int) -> None:
        async with self.section:
            self.log.append(("in", n))
            await self.sleep(1)
            self.log.append(("out", n))

    @command
    async def GATHER(self, first: int, count: int) -> None:
        many = [self.inside(n) for n in range(first, first + count)]
        await gatherResults([Deferred.fromCoroutine(one) for one in many])

    @command
    async def NESTED(self, count: int) -> None:
        async with self.section, self.section:
            self.log.append("parent")
            await self.GATHER(0, count)
            self.log.append("parent")

    @command
    async def LEAVES(self) -> None:
        async with self.section:
            self.child = Deferred.fromCoroutine(self.inside(0))
        self.log.append("left")

    @command
    async def FAILS(self) -> None:
        async with self.section:
            raise ValueError("inside")


class SectionTests(NodeTestCase):
    """Critical sections, by whoever enters them."""

    def setUp(self) -> None:
        self.one = self.world(0)
        self.handle, self.actor = self.spawn(self.one, Sectioned)
        self.client = self.one.node.client()

    def in_turn(self, *numbers: int) -> list[Any]:
        """The log of coroutines that were inside one after the other."""
        return [(what, n) for n in numbers for what in ("in", "out")]

    def test_gathered(self) -> None:
        """Gathered coroutines enter one at a time, in order; so do two handlers."""
        calls = [self.client.call(self.handle, "GATHER", n, 3) for n in (0, 3)]
        self.one.turn()
        self.one.later(6)
        for call in calls:
            self.successResultOf(call)
        self.assertEqual(self.actor.log, self.in_turn(*range(6)))

    def test_children(self) -> None:
        """Those that somebody inside awaits enter one at a time, and do not wait."""
        call = self.client.call(self.handle, "NESTED", 3)
        after = self.client.call(self.handle, "GATHER", 9, 1)
        self.one.turn()
        self.one.later(4)
        self.successResultOf(call)
        self.successResultOf(after)
        expected = ["parent", *self.in_turn(0, 1, 2), "parent", *self.in_turn(9)]
        self.assertEqual(self.actor.log, expected)

    def test_left_behind(self) -> None:
        """One that is left behind inside keeps the others out until it leaves."""
        self.client.send(self.handle, "LEAVES")
        after = self.client.call(self.handle, "GATHER", 1, 1)
        self.one.turn()
        self.one.later(2)
        self.successResultOf(after)
        self.assertEqual(
            self.actor.log, [("in", 0), "left", ("out", 0), *self.in_turn(1)]
        )

    def test_error(self) -> None:
        """An error inside lets the next one in."""
        self.client.send(self.handle, "FAILS")
        after = self.client.call(self.handle, "GATHER", 1, 1)
        self.one.turn()
        self.one.later(1)
        self.successResultOf(after)
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)

    def test_cancelled(self) -> None:
        """Who gives up waiting leaves the queue as it is, at whatever moment."""
        made = [Deferred.fromCoroutine(self.actor.inside(n)) for n in range(4)]
        for one in made:
            one.addErrback(lambda failure: None)
        made[1].cancel()
        self.one.turn(1)
        made[2].cancel()
        self.one.later(3)
        self.assertEqual(self.actor.log[-2:], self.in_turn(3))
        self.assertEqual(self.actor.log[:2], self.in_turn(0))
