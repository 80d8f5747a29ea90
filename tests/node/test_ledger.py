"""The books balance: each message that was taken has one fate."""

from __future__ import annotations

import contextlib
from collections import Counter
from random import Random
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.testing import EventLoggingObserver
from twisted.logger import globalLogPublisher

from skynet_tw.errors import SkynetError
from skynet_tw.handle import Handle
from skynet_tw.interfaces import Peer
from skynet_tw.message import PType
from skynet_tw.node.actor import command
from skynet_tw.node.ledger import KEPT_LETTERS, KEPT_REASONS, Ledger
from skynet_tw.node.limits import Limits

from .support import Echo, NodeTestCase, Sent, World

HARBORS = (2, 3)
NAMES = ("BANK", "LEDGER", ".local")


class LetterTests(NodeTestCase):
    """What is known of lost messages."""

    def setUp(self) -> None:
        self.ledger = Ledger()

    def test_record(self) -> None:
        """A dead letter says why, from whom, to whom, and of what type."""
        self.ledger.drop("a test", 0x01000001, "NAME", PType.LUA)
        self.ledger.expire("a test", 0x01000001, 0x02000002, PType.LUA)
        self.ledger.refuse("another", 0x01000001, 0x02000002, 99)
        letters = list(self.ledger.dead_letters)
        self.assertEqual(letters[0].destination, "NAME")
        self.assertEqual(str(letters[1].destination), ":02000002")
        self.assertEqual(self.ledger.reasons, Counter({"a test": 2, "another": 1}))
        fates = (self.ledger.dropped, self.ledger.expired, self.ledger.refused)
        self.assertEqual(fates, (1, 1, 1))

    def test_bounded(self) -> None:
        """Only the newest are kept, and powers of ten are logged."""
        events = EventLoggingObserver()
        globalLogPublisher.addObserver(events)
        self.addCleanup(globalLogPublisher.removeObserver, events)
        for n in range(1000):
            self.ledger.drop("a test", 1, n, PType.LUA)
        self.assertEqual(len(self.ledger.dead_letters), KEPT_LETTERS)
        self.assertEqual(self.ledger.dead_letters[-1].destination, 999)
        self.assertEqual([event["times"] for event in events], [1, 10, 100, 1000])

    def test_many_reasons(self) -> None:
        """What is beyond some hundred reasons is counted together."""
        for n in range(1000):
            self.ledger.drop(f"case {n}", 1, n, PType.LUA)
        reasons = self.ledger.reasons
        self.assertEqual(reasons["case 255"], 1)
        self.assertEqual(len(reasons), KEPT_REASONS + 1)
        self.assertEqual(reasons.total(), 1000)
        self.assertEqual(self.ledger.dead_letters[-1].reason, "case 999")

    def test_few_reasons(self) -> None:
        """Reasons are kinds, not cases: their number does not grow with messages."""
        one = self.world()
        client = one.node.client()
        for n in range(1, 50):
            client.send(0x01000100 + n, "X")
            client.send(f".name{n}", "X")
            client.send(n << 24 | 5, "X")
        one.remote.gone(2)
        client.send(0x02000001, "X")
        one.later(31)
        for n in range(1, 50):
            one.remote.receive(0x100 + n, "X", session=n)
        self.assertLess(len(one.node.ledger.reasons), 60)


class Walker(Echo):
    """An actor that does what a random walk tells it."""

    async def started(self, wait: Deferred[None] | None = None) -> None:
        if wait is not None:
            await wait

    @command
    async def CALL(self, *args: Any) -> Any:
        return await self.call(*args)

    @command
    async def DRIVE(self, *args: Any) -> Any:
        """Call twice, in a coroutine that Twisted drives."""

        async def work() -> Any:
            await self.call(*args)
            return await self.call(*args)

        return await Deferred.fromCoroutine(work())

    @command
    async def BOTH(self, *args: Any) -> Any:
        """Await a call that a callback returns as well."""
        made = self.call(*args)
        chained: Deferred[Any] = Deferred()
        chained.addCallback(lambda _: made)
        chained.addErrback(lambda failure: None)
        chained.callback(None)
        return await made

    @command
    async def IN_TIME(self, *args: Any) -> Any:
        return await self.call(*args, timeout=1)

    @command
    async def LATER(self, *args: Any) -> Any:
        await self.sleep(0.5)
        return self.redirect(*args)

    @command
    def SEND(self, *args: Any) -> None:
        self.send(*args)

    @command
    def PASS(self, *args: Any) -> Any:
        return self.redirect(*args)

    @command
    def END(self) -> None:
        self.exit()

    @command
    async def SPAWN(self) -> int:
        return await self.spawn(Walker)


class Walk:
    """One random history of a node."""

    def __init__(self, world: World, random: Random) -> None:
        self.world = world
        self.node = world.node
        self.remote = world.remote
        self.random = random
        self.waits: list[Deferred[None]] = []
        self.made: list[Deferred[Any]] = []
        self.requests: list[Sent] = []
        self.full: set[Peer] = set()
        self.past = 0
        self.client = self.node.client()

    def local(self) -> int:
        contexts = self.node.actors()
        return int(self.random.choice(contexts).handle) if contexts else 0x01000001

    def anywhere(self) -> int | str:
        kind = self.random.randrange(6)
        if kind < 2:
            return self.local()
        if kind == 2:
            return self.random.choice(NAMES)
        if kind == 3:
            nobody: list[int | str] = [0x01000FFF, 0x0000000A, ".nobody", "NOBODY"]
            return self.random.choice(nobody)
        return self.random.choice(HARBORS) << 24 | self.random.randrange(1, 4)

    def request(self) -> tuple[Any, ...]:
        """A command and its arguments."""
        commands = ["NOTE", "ECHO", "FAIL", "WAIT", "END", "NEVER", "SPAWN"]
        passing = ["CALL", "DRIVE", "BOTH", "IN_TIME", "SEND", "PASS", "LATER"]
        name = self.random.choice(commands + passing)
        if name in passing:
            return (name, self.anywhere(), *self.request())
        return (name, "x" * self.random.randrange(60)) if name == "NOTE" else (name,)

    # What may happen

    def send(self) -> None:
        with contextlib.suppress(SkynetError):
            self.client.send(self.anywhere(), *self.request())

    def call(self) -> None:
        timeout = self.random.choice([0.5, 1, 5])
        made = self.client.call(self.anywhere(), *self.request(), timeout=timeout)
        made.addErrback(lambda failure: None)
        self.made.append(made)

    def cancel(self) -> None:
        if self.made:
            self.random.choice(self.made).cancel()

    def come_in(self) -> None:
        harbor = self.random.choice(HARBORS)
        frames = []
        for _ in range(self.random.randrange(1, 6)):
            frames.append(
                self.remote.frame(
                    self.random.choice([self.local(), 0xFFF, 7, 0]),
                    *self.request(),
                    source=self.random.choice([harbor << 24 | 1, 0, 0x01000001]),
                    session=self.random.choice([0, 0, 1, 2, 0x80000001]),
                    ptype=self.random.choice([10, 10, 10, 10, 1, 7, 9, 0, 5, 12]),
                    payload=self.random.choice([None, None, None, b"", b"\x0c"]),
                )
            )
        self.remote.receiver.frames_received(harbor, frames)

    def answer(self) -> None:
        self.requests.extend(self.remote.take())
        if self.requests:
            sent = self.requests.pop(self.random.randrange(len(self.requests)))
            self.remote.answer(sent, 1)

    def spawn(self) -> None:
        wait: Deferred[None] | None = None
        if self.random.randrange(2):
            wait = Deferred()
            self.waits.append(wait)
        self.node.spawn(Walker, wait).addErrback(lambda failure: None)

    def start(self) -> None:
        if self.waits:
            wait = self.waits.pop()
            if self.random.randrange(3):
                wait.callback(None)
            else:
                wait.errback(KeyError("start"))

    def wake(self) -> None:
        for context in self.node.actors():
            waits = getattr(context.actor, "waits", [])
            while waits:
                waits.pop().callback(1)

    def end(self) -> None:
        context = self.node._cells.table.get(self.local())
        if context is not None and context.actor is not self.client:
            context.actor.exit()

    def register(self) -> None:
        context = self.node._cells.table.get(self.local())
        if context is not None:
            registered = context.actor.register(self.random.choice(NAMES))
            registered.addErrback(lambda failure: None)
            self.remote.echo()

    def know(self) -> None:
        owner = self.random.choice(HARBORS) << 24 | 1
        self.remote.known(self.random.choice(NAMES[:2]), owner)

    def query(self) -> None:
        timeout = self.random.choice([1, 5, None])
        waiting = self.client.query(self.random.choice([*NAMES, "NEW"]), timeout)
        waiting.addErrback(lambda failure: None)
        self.made.append(waiting)

    def up(self) -> None:
        harbor = self.random.choice(HARBORS)
        if harbor not in self.remote.fake_links:
            self.remote.up(harbor, self.random.choice([None, 1, 2]))
        elif harbor in self.full:
            self.full.discard(harbor)
            self.remote.free(harbor, self.random.choice([None, 1, 2]))

    def busy(self) -> None:
        if self.remote.fake_links:
            harbor = self.random.choice(list(self.remote.fake_links))
            self.full.add(harbor)
            self.remote.busy(harbor)

    def lose(self) -> None:
        if self.remote.fake_links:
            harbor = self.random.choice(list(self.remote.fake_links))
            self.remote.lost(harbor)
            if self.random.randrange(2):
                self.remote.gone(harbor)

    def time(self) -> None:
        self.world.turn(self.random.choice([0, 0, 0.5, 1, 3, 31]))

    def boot(self) -> None:
        self.past += 1
        if self.past == 2:
            self.world.open_gate()
        if self.past == 4:
            self.world.settle()

    def step(self) -> str:
        """Let one thing happen; its name."""
        steps = [self.send, self.call, self.come_in] * 4
        steps += [self.cancel, self.answer, self.spawn, self.start, self.wake]
        steps += [self.end, self.register, self.know, self.up, self.up, self.busy]
        steps += [self.lose, self.time, self.time, self.boot, self.query]
        step = self.random.choice(steps)
        step()
        return step.__name__

    def broken(self) -> list[str]:
        """What of the node's tables contradicts another one, in words."""
        core = self.node._core
        channels = self.node._outgoing.channels()
        found: list[str] = []
        if core.backlog.count < 0:
            found.append(f"a backlog of {core.backlog.count}")
        for calls in (core.calls, *(channel.calls for channel in channels)):
            for slot in (calls._without_limit, *calls._slots.values()):
                for call in slot:
                    kept = call.caller.calls.get(call.session)
                    if call.over or call.slot is not slot or kept is not call:
                        found.append(f"{call.callee} is in a slot")
        for cell in self.node.actors():
            for call in cell.calls.values():
                if call.over or call.slot is None or call not in call.slot:
                    found.append(f"{call.callee} is among the calls of {cell}")
        for channel in channels:
            if channel.link is not None and channel.outbox:
                found.append(f"{channel.name} has a link, and messages wait for it")
        names = self.node._names
        waited = set(names.boxes._boxes) | set(names._queries._waits)
        if names._asked - waited - set(names.known()):
            found.append(f"of {names._asked}, only {waited} are waited for")
        return found


class BalanceTests(NodeTestCase):
    """Random histories of a node with every kind of event."""

    def walk(self, seed: int, steps: int = 150) -> None:
        world = self.world(ready=False, limits=Limits(8, 400, 6))
        walk = Walk(world, Random(seed))
        past: list[str] = []
        for _ in range(steps):
            past.append(walk.step())
            if world.balance:
                self.fail(f"seed {seed}: {world.balance} at the end of {past}")
            if broken := walk.broken():
                self.fail(f"seed {seed}: {broken} at the end of {past}")
            waiting = world.node.waits()
            self.assertLessEqual(max(waiting.values(), default=0), 8)
        self.flushLoggedErrors()
        world.open_gate()
        world.settle()
        for wait in walk.waits:
            wait.callback(None)
        for harbor in HARBORS:
            world.remote.receiver.peer_expected(harbor)
            world.remote.up(harbor)
        world.later(40)
        for _ in range(10):
            if world.node.status().calls:  # One after the other, each with its limit.
                world.later(40)
        self.assertEqual(world.balance, 0)
        waits = [world.node.waits(), *world.node.actors()]
        self.assertEqual(world.node.status().ledger.waiting, 0, f"seed {seed}: {waits}")
        self.assertEqual(world.node._core.backlog.count, 0, f"seed {seed}: backlog")
        self.assertTrue(world.remote.reading)
        self.assertEqual(world.node.status().calls, (), f"seed {seed}")
        self.assertEqual(len(world.node._names.boxes), 0, f"seed {seed}")
        self.flushLoggedErrors()

    def setUp(self) -> None:
        # Callers that the stop of the node reaches in the middle of a call.
        self.addCleanup(self.flushLoggedErrors)

    def test_walks(self) -> None:
        """It balances at each step, and in the end nothing waits."""
        for seed in range(60):
            self.walk(seed)

    @staticmethod
    def _count(_result: object, ended: Counter[int], n: int) -> None:
        ended[n] += 1

    def test_one_fate(self) -> None:
        """Each call ends once, whatever happens."""
        ended: Counter[int] = Counter()
        world = self.world(limits=Limits(8, 400, 6))
        walk = Walk(world, Random(5))
        for n in range(500):
            walk.step()
            called = walk.client.call(walk.anywhere(), "ECHO", n, timeout=5)
            called.addBoth(self._count, ended, n)
        world.later(40)
        self.flushLoggedErrors()
        self.assertEqual(ended, Counter(range(500)))
        self.assertEqual(Handle(walk.client.handle).harbor, 1)
