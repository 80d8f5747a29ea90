"""No stack grows with the number of those who wait, or with the links of a chain."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, gatherResults

from skynet_tw.node.actor import Actor, command

from .support import Echo, NodeTestCase

#: Many more than Python's stack has frames.
MANY = 3000


class Crowd(Actor):
    """Many coroutines that wait for one another."""

    async def started(self) -> None:
        self.section = self.queue()
        self.fired: Deferred[None] = Deferred()
        self.count = 0
        self.log: list[Any] = []

    @command
    async def ENTER(self) -> int:
        async with self.section:
            self.count += 1
            return self.count

    async def enter(self) -> None:
        async with self.section:
            self.count += 1

    @command
    async def GATHER(self) -> int:
        async with self.section:
            waiting = [Deferred.fromCoroutine(self.enter()) for _ in range(MANY)]
            await self.sleep(0)
        await gatherResults(waiting)
        return self.count

    @command
    async def WAIT(self) -> None:
        await self.fired
        self.count += 1

    @command
    def FIRE(self) -> int:
        self.fired.callback(None)
        return self.count

    @command
    async def FORKS(self) -> None:
        done: Deferred[None] = Deferred()

        async def chain(n: int) -> None:
            self.count = n
            if n == MANY:
                done.callback(None)
            else:
                self.fork(chain(n + 1))

        self.fork(chain(1))
        await done

    @command
    async def ORDER(self) -> None:
        async def one(name: str) -> None:
            self.log.append(name)

        self.fork(one("first"))
        self.fork(lambda: self.log.append("second"))
        self.log.append("maker")
        await self.sleep(0)
        self.log.append("maker again")


class Link(Actor):
    """One of a chain of actors, each of which spawns the next before it has started."""

    async def started(self, n: int, end: int) -> None:
        if n < end:
            await self.spawn(Link, n + 1, end)


class Named(Actor):
    """Waits for a name, and registers the next."""

    async def started(self, n: int) -> None:
        self.fork(self.wait(n))

    async def wait(self, n: int) -> None:
        await self.query(f"N{n}")
        await self.register(f"N{n + 1}")


class Chained(Actor):
    """Calls, or redirects to, the one before it; ends with it."""

    async def started(self, before: int) -> None:
        self.before = before
        if before:
            self.watch(before).addCallback(lambda _: self.exit())

    @command
    async def CALL(self) -> Any:
        return await self.call(self.before, "CALL") if self.before else "end"

    @command
    def PASS(self) -> Any:
        return self.redirect(self.before, "PASS") if self.before else "end"


class DepthTests(NodeTestCase):
    """Each in its own node."""

    def setUp(self) -> None:
        self.one = self.world(0)
        self.client = self.one.node.client()

    def crowd(self) -> tuple[int, Crowd]:
        return self.spawn(self.one, Crowd)

    def test_section(self) -> None:
        """All who wait for a critical section get in, in order."""
        handle, actor = self.crowd()
        calls = [self.client.call(handle, "ENTER") for _ in range(MANY)]
        held = self.client.call(handle, "GATHER")
        more = [self.client.call(handle, "ENTER") for _ in range(MANY)]
        self.one.turn()
        self.one.turn()
        results = [self.successResultOf(call) for call in calls]
        self.assertEqual(results, list(range(1, MANY + 1)))
        self.successResultOf(held)
        results = sorted(self.successResultOf(call) for call in more)
        self.assertEqual(actor.count, 3 * MANY)

    def test_one_deferred(self) -> None:
        """Who fires a Deferred that many wait for goes on before any of them."""
        handle, actor = self.crowd()
        calls = [self.client.call(handle, "WAIT") for _ in range(MANY)]
        fire = self.client.call(handle, "FIRE")
        self.one.turn()
        self.assertEqual(self.successResultOf(fire), 0)
        for call in calls:
            self.successResultOf(call)
        self.assertEqual(actor.count, MANY)

    def test_forks(self) -> None:
        """A fork that forks, and so on."""
        handle, actor = self.crowd()
        self.call(self.one, handle, "FORKS")
        self.assertEqual(actor.count, MANY)

    def test_fork_order(self) -> None:
        """A fork first runs when its maker gives way, in the order of forking."""
        handle, actor = self.crowd()
        self.client.send(handle, "ORDER")
        self.one.turn()
        expected = ["maker", "first", "second", "maker again"]
        self.assertEqual(actor.log, expected)

    def test_spawns(self) -> None:
        """An actor that spawns another before it has started, and so on."""
        spawned = self.one.node.spawn(Link, 1, MANY)
        self.one.turn()
        self.successResultOf(spawned)
        self.assertEqual(len(self.one.node.actors()), MANY + 1)

    def test_names(self) -> None:
        """A name that wakes one who registers the next, and so on."""
        for n in range(1000):
            self.spawn(self.one, Named, n)
        self.client.register("N0")
        self.one.turn()
        self.assertIn("N1000", self.one.node._cells.table)

    def test_calls(self) -> None:
        """A call that calls, a redirect that redirects, an end that ends another."""
        handle = 0
        for _ in range(1000):
            handle, _actor = self.spawn(self.one, Chained, handle)
        for way in ("CALL", "PASS"):
            self.assertEqual(self.call(self.one, handle, way), "end")
        first = self.one.node.actors()[1]
        first.actor.exit()
        self.one.turn()
        self.assertEqual([c.actor for c in self.one.node.actors()], [self.client])

    def test_woken_by_an_end(self) -> None:
        """Who ends another goes on before those hear of it who watch."""
        log: list[str] = []
        target, echo = self.spawn(self.one, Echo)

        class Ending(Actor):
            async def started(self) -> None:
                self.watch(target).addCallback(lambda _: log.append("heard"))

            @command
            def END(self) -> None:
                echo.exit()
                log.append("went on")

        handle, _ = self.spawn(self.one, Ending)
        self.client.send(handle, "END")
        self.one.turn()
        self.assertEqual(log, ["went on", "heard"])
