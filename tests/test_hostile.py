"""Whatever an actor's code does, its node goes on: books, links and neighbours.

A program of strange code is drawn, and run in one of two nodes; the caller is near or
far, the wire the modern one or that of 2013.  What must hold afterwards is the same for
each of them.  ``SKYNET_TW_EXAMPLES`` says how many are drawn.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import Deferred, gatherResults, inlineCallbacks
from twisted.trial.unittest import SynchronousTestCase

from skynet_tw import Actor, RemoteError, SkynetError, command
from skynet_tw.node.section import CriticalSection
from skynet_tw.service import NodeService
from skynet_tw.testing import MemoryNodes

from .hostile import ERRORS, RESULTS, Mute

EXAMPLES = int(os.environ.get("SKYNET_TW_EXAMPLES", "1000"))


class Mean(type):
    """The class of classes that raise when they are looked at."""

    def __hash__(cls) -> int:
        raise KeyboardInterrupt("hashed")

    def __repr__(cls) -> str:
        raise KeyboardInterrupt("shown")

    def __instancecheck__(cls, other: object) -> bool:
        raise KeyboardInterrupt("checked")


class Thing(metaclass=Mean):
    """A value whose every method raises."""

    def __getattribute__(self, name: str) -> Any:
        raise SystemExit(f"asked for {name[:1]}")

    def __eq__(self, other: object) -> bool:
        raise SystemExit("compared")

    def __hash__(self) -> int:
        raise SystemExit("hashed")

    def __repr__(self) -> str:
        raise SystemExit("shown")

    def __bool__(self) -> bool:
        raise SystemExit("asked if it is true")

    def __len__(self) -> int:
        raise SystemExit("measured")


#: What is raised.  Twisted's own Deferreds cannot hold the prickly one.
RAISED: dict[str, Callable[[], BaseException]] = {
    **{name: make for name, make in ERRORS.items() if name != "prickly"},
    "huge": lambda: ValueError("x" * 1_000_000),
    "surrogate": lambda: ValueError("\udcff\ud800\0\n"),
    "skynet": lambda: SkynetError("mine"),
    "thing": lambda: KeyError(Thing()),
}

#: What is returned.
RETURNED: dict[str, Callable[[], Any]] = {
    **RESULTS,
    "none": lambda: None,
    "huge": lambda: "x" * 2_000_000,
    "thing": Thing,
    "function": lambda: _failed,
    "failed": lambda: _failed(),
    "never": Deferred,
}

WAITS = ["none", "sleep", "call", "far", "deferred", "inline", "gather", "section"]
PLACES = ["handler", "plain", "started", "init", "fork", "callback", "canceller"]
PLACES += ["stopped", "cleanup"]


#: Failed Deferreds that were made; a program may have left them lying about.
FAILED: list[Deferred[Any]] = []


def _failed() -> Deferred[Any]:
    failed: Deferred[Any] = Deferred()
    FAILED.append(failed)
    failed.errback(Mute())
    return failed


@dataclass(frozen=True)
class Program:
    """What a strange actor does."""

    place: str
    wait: str
    error: str | None
    value: str
    far: bool
    request: str


PROGRAMS = st.builds(
    Program,
    place=st.sampled_from(PLACES),
    wait=st.sampled_from(WAITS),
    error=st.none() | st.sampled_from(sorted(RAISED)),
    value=st.sampled_from(sorted(RETURNED)),
    far=st.booleans(),
    request=st.sampled_from(["GO", "NEVER", "\udcff\x1b", "x" * 100_000]),
)


class Honest(Actor):
    """Answers, whatever its neighbours do."""

    async def started(self, name: str) -> None:
        await self.register(name)

    @command
    def PING(self, value: Any) -> Any:
        return value


class Strange(Actor):
    """Does what a program says."""

    program: Program

    def __init__(self) -> None:
        self.section: CriticalSection | None = None
        self.act("init")

    def act(self, place: str) -> Any:
        """Raise or return what the program has for this place."""
        if self.program.place == place:
            if self.program.error is not None:
                raise RAISED[self.program.error]()
            return RETURNED[self.program.value]()
        return None

    async def started(self) -> None:
        self.section = self.queue()
        if self.program.place == "started":
            await self.wait()
            self.act("started")

    async def stopped(self) -> Any:
        if self.program.place == "stopped":
            await self.wait()
        return self.act("stopped")

    async def wait(self) -> Any:
        """Wait in the way of the program."""
        wait = self.program.wait
        if wait == "sleep":
            await self.sleep(0.1)
        elif wait == "call":
            await self.call("HERE", "PING", 1)
        elif wait == "far":
            await self.call("THERE", "PING", 1)
        elif wait == "deferred":
            fired: Deferred[None] = Deferred()
            self.node.clock.callLater(0.1, fired.callback, None)
            await fired
        elif wait == "inline":
            await self.inline()
        elif wait == "gather":
            calls = [self.call("THERE", "PING", n) for n in range(3)]
            await gatherResults(
                [Deferred.fromCoroutine(self.awaits(call)) for call in calls]
            )
        elif wait == "section":
            assert self.section is not None
            async with self.section:
                await self.sleep(0.01)

    async def awaits(self, call: Deferred[Any]) -> Any:
        return await call

    @inlineCallbacks
    def inline(self) -> Any:
        yield self.sleep(0.1)
        yield self.call("HERE", "PING", 2)

    @command
    def PING(self, value: Any) -> Any:
        return value

    @command(name="GO")
    def go(self) -> Any:
        place = self.program.place
        if place == "plain":
            return self.act("plain")
        return self.work()

    async def work(self) -> Any:
        place = self.program.place
        if place == "cleanup":
            try:
                await self.sleep(1000)
            finally:
                await self.wait()
                self.act("cleanup")
        await self.wait()
        if place == "fork":
            self.fork(self.forked())
        elif place == "callback":
            call = self.call("THERE", "PING", 3)
            call.addCallback(lambda _: self.act("callback"))
            return await call
        elif place == "canceller":
            await Deferred(lambda _: self.act("canceller"))
        return self.act("handler")

    async def forked(self) -> Any:
        await self.wait()
        return self.act("fork")


class HostileTests(SynchronousTestCase):
    """Programs of strange code, on each wire."""

    def run_programs(self, wire: str) -> None:
        nodes = MemoryNodes()
        one = nodes.start(
            1, standalone=True, wire=wire, stop_grace=2.0, call_timeout=5.0
        )
        two = nodes.start(2, wire=wire, call_timeout=5.0)
        nodes.ready()
        nodes.result(one.node.spawn(Honest, "HERE"))
        nodes.result(two.node.spawn(Honest, "THERE"))
        callers = (one.node.client(), two.node.client())
        for caller in callers:
            for name in ("HERE", "THERE"):
                nodes.result(caller.query(name))

        def links() -> list[Any]:
            channels = [s.node._outgoing.channels() for s in (one, two)]
            return [c.link for pair in channels for c in pair if c.link is not None]

        before = links()
        self.assertEqual(len(before), 2)

        @settings(max_examples=EXAMPLES)
        @given(PROGRAMS)
        def strange(program: Program) -> None:
            self.one_program(nodes, one, callers, program)
            for service in (one, two):
                self.check(service)
            for caller in callers:
                for name in ("HERE", "THERE"):
                    answer = nodes.result(caller.call(name, "PING", 7))
                    self.assertEqual(answer, 7)
            self.assertEqual(links(), before, "a link was cut")

        try:
            strange()
        finally:
            nodes.stop()
            while FAILED:
                FAILED.pop().addErrback(lambda failure: None)
            gc.collect()
            self.flushLoggedErrors()
        self.assertEqual(nodes.clock.getDelayedCalls(), [])

    def one_program(
        self,
        nodes: MemoryNodes,
        one: NodeService,
        callers: tuple[Actor, Actor],
        program: Program,
    ) -> None:
        """Start a strange actor, ask it, see that it answers others, and end it."""
        kind = type("Strange", (Strange,), {"program": program})
        ends: list[object] = []
        spawned = one.node.spawn(kind)
        spawned.addBoth(ends.append)
        nodes.run(1.0, 0.1)
        self.assertEqual(len(ends), 1, "the spawn has an end")
        [*_, context] = one.node.actors()
        if context.kind is kind:
            caller = callers[program.far]
            asked = caller.call(context.handle, program.request)
            asked.addBoth(ends.append)
            nodes.run(1.0, 0.1)
            for caller in callers:
                ping = caller.call(context.handle, "PING", 5)
                self.assertEqual(nodes.result(ping), 5)
            context.actor.exit()
            nodes.run(6.0, 0.1)
            self.assertEqual(len(ends), 2, "the call has an end")
            self.assertNotIn(context, one.node.actors())

    def check(self, service: NodeService) -> None:
        """The books balance, and nothing is left."""
        node = service.node
        self.assertEqual(node.ledger.balance(node.status().ledger.waiting), 0)
        self.assertEqual(node._core.backlog.count, 0)
        self.assertEqual(len(node._sleeps), 0)
        for context in node.actors():
            self.assertEqual((context.calls, context.tasks), ({}, {}))

    def test_modern(self) -> None:
        """The modern wire."""
        self.run_programs("modern")

    def test_2013(self) -> None:
        """The wire of 2013."""
        self.run_programs("2013")


class TextTests(SynchronousTestCase):
    """What a caller in another node of ours is told."""

    def test_wires(self) -> None:
        """The text of an error crosses both wires, in bounds, whatever it holds."""

        class Raising(Actor):
            async def started(self) -> None:
                await self.register("RAISING")

            @command
            def RAISE(self, text: str, times: int) -> None:
                raise ValueError(text * times)

        for wire in ("modern", "2013"):
            nodes = MemoryNodes()
            nodes.start(1, standalone=True, wire=wire, actors=[Raising])
            client = nodes.start(2, wire=wire).node.client()
            nodes.ready()
            for text, times, part in (
                ("no luck", 1, "no luck"),
                ("\udcff", 2, "\\udcff"),
                ("x", 100_000, "xxx"),
            ):
                call = client.call("RAISING", "RAISE", text, times)
                error = self.assertRaises(RemoteError, nodes.result, call)
                said = str(error)
                self.assertIn("raised ValueError: ", said)
                self.assertIn(part, said)
                self.assertLess(len(said), 2200)
            nodes.stop()
            self.assertEqual(len(self.flushLoggedErrors(ValueError)), 3)
