"""The stages of the boot, and the service that takes a node through them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, fail, maybeDeferred, succeed
from twisted.internet.task import Clock
from twisted.internet.testing import EventLoggingObserver
from twisted.logger import LogEvent, formatEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from skynet_tw.boot import STAGES, Boot
from skynet_tw.errors import BootFailed, NotReady
from skynet_tw.interfaces import IRemote
from skynet_tw.node.actor import Actor
from skynet_tw.node.node import Node
from skynet_tw.service import NodeService
from skynet_tw.starts import Start

from .node.fake_cluster import FakeCluster
from .node.support import Echo, FakeRemote


class Slow(Echo):
    """Starts when a test says so."""

    async def started(self, wait: Deferred[None]) -> None:
        await wait


class Named(Echo):
    """Has a global name."""

    async def started(self) -> None:
        await self.register("NAMED")


class BootTestCase(SynchronousTestCase):
    """Boots a node with a fake remote layer and a clock."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(1000)
        self.remote = FakeRemote()
        self.cluster = FakeCluster()
        self.node = Node(self.clock, self.remote)
        self.events = EventLoggingObserver()
        globalLogPublisher.addObserver(self.events)
        self.addCleanup(globalLogPublisher.removeObserver, self.events)
        self.addCleanup(self._over)

    def _over(self) -> None:
        boot = self.node.boot
        if isinstance(boot, Boot):
            boot.halt()
        self.node.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def boot(self, *starts: Start, **rest: Any) -> Boot:
        cluster: Any = self.cluster
        return Boot(
            self.node, [self.remote], self.clock, starts, cluster=cluster, **rest
        )

    def states(self) -> list[str]:
        """The state of each stage, in order."""
        return [report.state for report in self.node.boot_report()]

    def logged(self, word: str) -> list[str]:
        """The lines of the log with a word in them."""
        lines = [formatEvent(event) for event in self.events]
        return [line for line in lines if word in line]

    def through(self) -> None:
        """Let the remote layer do all its part at once."""
        remote = self.remote
        steps = (remote.binding, remote.joining, remote.linking, self.cluster.reaching)
        for step in steps:
            if not step.called:
                step.callback(None)


class StageTests(BootTestCase):
    """One stage after the other."""

    def test_order(self) -> None:
        """Each stage waits for the one before, and is logged once, when it is done."""
        wait: Deferred[None] = Deferred()
        boot = self.boot(Start(Slow, (wait,)))
        ready = self.node.when_ready()
        self.assertEqual(self.states(), ["to come"] * 6)
        boot.bind()
        self.assertEqual(self.states(), ["waiting"] + ["to come"] * 5)
        self.remote.binding.callback(None)
        self.assertEqual(self.states(), ["done"] + ["to come"] * 5)
        boot.begin()
        steps = [self.remote.joining, self.remote.linking, self.cluster.reaching, wait]
        for done, step in enumerate(steps, 1):
            expected = ["done"] * done + ["waiting"] + ["to come"] * (5 - done)
            self.assertEqual(self.states(), expected)
            self.assertEqual(len(self.logged("boot stage")), done)
            self.assertNoResult(ready)
            step.callback(None)
        self.assertEqual(self.states(), ["done"] * 6)
        self.successResultOf(ready)
        lines = self.logged("boot stage")
        self.assertEqual(len(lines), 5)
        for stage, line in zip(STAGES, lines, strict=False):
            self.assertIn(f"stage {stage} done", line)

    def test_ready_line(self) -> None:
        """The last line counts the peers and actors, and tells the time it took."""
        boot = self.boot(Start(Echo), Start(Echo), Start(Echo))
        boot.bind()
        self.remote.binding.callback(None)
        boot.begin()
        self.remote.joining.callback(None)
        self.remote.up(2)
        self.remote.up(3)
        self.cluster.reaching.callback(None)
        self.clock.advance(0.042)
        self.remote.linking.callback(None)
        expected = "node ready: harbor 1, 2 peers, 3 actors, 0.042 s"
        self.assertEqual(self.logged("node ready"), [expected])
        self.assertEqual(formatEvent(self.events[-1]), expected)

    def test_without_remote(self) -> None:
        """A node without a harbor is ready at once."""
        self.node = Node(self.clock)
        boot = Boot(self.node, [], self.clock, [Start(Echo)])
        boot.bind()
        boot.begin()
        self.successResultOf(self.node.when_ready())
        self.assertIn("harbor 0, 0 peers, 1 actors", self.logged("node ready")[0])

    def test_two_remotes(self) -> None:
        """Each stage waits for all remote layers, and counts the peers of each."""
        other = FakeRemote()
        self.node.attach(other)
        boot = Boot(self.node, [self.remote, other], self.clock)
        boot.bind()
        self.remote.waits, other.waits = ["one"], ["other"]
        self.assertEqual(self.node.boot_report()[0].waiting_for, ("one", "other"))
        self.through()
        self.assertEqual(self.states()[0], "waiting")
        other.binding.callback(None)
        boot.begin()
        other.joining.callback(None)
        self.remote.up(2)
        other.up(3)
        self.assertEqual(self.states()[2], "waiting")
        other.linking.callback(None)
        self.assertIn("linked harbors: 2, 3", self.logged("stage peers")[0])
        self.assertIn("2 peers", self.logged("node ready")[0])

    def test_one_of_two_fails(self) -> None:
        """One remote layer that fails ends the boot; what the others say is heard."""
        other = FakeRemote()
        boot = Boot(self.node, [self.remote, other], self.clock)
        boot.bind()
        other.binding.errback(BootFailed("in use"))
        self.remote.binding.errback(BootFailed("in use as well"))
        error = self.failureResultOf(boot.when_ready(), BootFailed).value
        self.assertEqual(str(error), "boot failed at stage bound: in use")

    def test_without_boot(self) -> None:
        """A node without stages is ready, and has nothing to report."""
        self.successResultOf(self.node.when_ready())
        self.assertEqual(self.node.boot_report(), [])

    def test_bound_before_join(self) -> None:
        """Every port is bound before the first connection is made."""
        order: list[str] = []

        class Ordered(FakeRemote):
            def bind(self) -> Deferred[None]:
                order.append("remote")
                return succeed(None)

            def join(self) -> Deferred[None]:
                order.append("join")
                return Deferred()

        def master() -> Deferred[None]:
            order.append("master")
            return succeed(None)

        remote = Ordered()
        self.node = Node(self.clock, remote)
        boot = Boot(self.node, [remote], self.clock, (), [master])
        boot.bind()
        self.assertEqual(order, ["master", "remote"])
        boot.begin()
        self.assertEqual(order, ["master", "remote", "join"])

    def test_actors_in_order(self) -> None:
        """The actors start one after the other; each name is registered by then."""
        wait: Deferred[None] = Deferred()
        boot = self.boot(Start(Slow, (wait,)), Start(Named))
        boot.bind()
        self.through()
        boot.begin()
        self.assertEqual(len(self.node.actors()), 1)
        self.assertEqual(self.remote.registered, [])
        wait.callback(None)
        self.assertEqual(len(self.remote.registered), 1)
        self.assertEqual(self.states()[4], "waiting")
        self.remote.echo()
        self.assertEqual(self.states()[5], "done")

    def test_gate(self) -> None:
        """Remote messages come in after ``peers``, and only to who has started."""
        wait: Deferred[None] = Deferred()
        boot = self.boot(Start(Echo), Start(Slow, (wait,)))
        boot.bind()
        self.remote.binding.callback(None)
        boot.begin()
        self.remote.joining.callback(None)
        for index in (1, 2, 3):
            self.remote.receive(index, "NOTE", 1, session=index)
        self.remote.up(2)
        self.clock.advance(0)
        self.assertEqual(self.remote.take(), [])
        self.remote.linking.callback(None)
        self.cluster.reaching.callback(None)
        self.clock.advance(0)
        self.assertEqual([sent.session for sent in self.remote.take()], [1])
        wait.callback(None)
        self.clock.advance(0)
        sent = [(one.session, one.ptype) for one in self.remote.take()]
        self.assertEqual(sorted(sent), [(2, 1), (3, 7)])

    def test_fresh_deferreds(self) -> None:
        """Each caller of ``when_ready`` gets a Deferred of its own."""
        boot = self.boot()
        first, second, third = (self.node.when_ready() for _ in range(3))
        first.addCallback(lambda _: third.cancel())
        second.addCallback(lambda _: 1 / 0)
        boot.bind()
        self.through()
        boot.begin()
        self.successResultOf(first)
        self.failureResultOf(second, ZeroDivisionError)
        self.failureResultOf(third)
        self.assertIsNone(self.successResultOf(self.node.when_ready()))

    def test_cancelled(self) -> None:
        """One who waits no longer does not disturb the boot."""
        boot = self.boot()
        waiting = self.node.when_ready()
        waiting.cancel()
        self.failureResultOf(waiting)
        boot.bind()
        self.through()
        boot.begin()
        self.successResultOf(self.node.when_ready())


class ReportTests(BootTestCase):
    """What is known of a boot under way."""

    def test_times(self) -> None:
        """It tells when each stage began and how long it took, or takes."""
        self.clock.rightNow = 0.0
        boot = self.boot()
        boot.bind()
        self.remote.binding.callback(None)
        boot.begin()
        self.clock.advance(2)
        self.remote.joining.callback(None)
        self.clock.advance(3)
        times = [(one.stage, one.since, one.took) for one in self.node.boot_report()]
        expected = [
            ("bound", 0, 0),
            ("master", 0, 2),
            ("peers", 2, 3),
            ("cluster", None, None),
            ("actors", None, None),
            ("ready", None, None),
        ]
        self.assertEqual(times, expected)

    def test_waiting_for(self) -> None:
        """It tells what is waited for, in words."""
        wait: Deferred[None] = Deferred()
        boot = self.boot(Start(Slow, (wait,)))
        boot.bind()
        self.remote.binding.callback(None)
        boot.begin()
        self.remote.waits = ["the master at master:2013: connection refused"]
        report = self.node.boot_report()[1]
        self.assertEqual(report.waiting_for, tuple(self.remote.waits))
        self.through()
        [context] = self.node.actors()
        client = self.node.client()
        client.send(context.handle, "NOTE", 1)
        client.send(0x02000001, "X")
        text = "; ".join(self.node.boot_report()[4].waiting_for)
        self.assertIn("Slow to have started", text)
        self.assertIn("1 messages wait for Slow(:01000001) to have started", text)
        self.assertIn("1 messages wait for the link to harbor 2", text)
        wait.callback(None)
        self.assertEqual(self.node.boot_report()[4].waiting_for, ())


class FailureTests(BootTestCase):
    """A boot that does not succeed."""

    def failed(self, boot: Boot) -> str:
        """The one line with which the boot failed, now and for who asks later."""
        error = self.failureResultOf(self.node.when_ready(), BootFailed).value
        assert boot.error is not None
        self.assertIs(boot.error.value, error)
        self.assertNotIn("\n", str(error))
        return str(error)

    def test_each_stage(self) -> None:
        """The failure of any step names the stage and the reason; no later one runs."""
        for number, stage in enumerate(STAGES[:5]):
            self.remote = FakeRemote()
            self.cluster = FakeCluster()
            self.node = Node(self.clock, self.remote)
            wait: Deferred[None] = Deferred()
            boot = self.boot(Start(Slow, (wait,)))
            waiting = self.node.when_ready()
            steps = [self.remote.binding, self.remote.joining, self.remote.linking]
            steps += [self.cluster.reaching, wait]
            for step in steps[:number]:
                step.callback(None)
            boot.bind()
            if number:
                boot.begin()
            steps[number].errback(BootFailed("it is in use"))
            self.failureResultOf(waiting, BootFailed)
            text = self.failed(boot)
            self.assertIn(f"stage {stage}", text)
            self.assertIn("it is in use", text)
            self.assertEqual(self.states()[number], "failed")
            self.assertEqual(set(self.states()[number + 1 :]), {"to come"})
            # That of an actor has its traceback in the log, too.
            logged = self.flushLoggedErrors(BootFailed)
            self.assertEqual(len(logged), stage == "actors")
            self._over()

    def test_actor(self) -> None:
        """An actor that does not start is named with its error."""

        class Broken(Actor):
            async def started(self) -> None:
                raise KeyError("broken")

        boot = self.boot(Start(Broken), Start(Echo))
        boot.bind()
        self.through()
        boot.begin()
        text = self.failed(boot)
        self.assertIn("Broken did not start: KeyError", text)
        self.assertEqual(self.node.actors(), [])
        self.assertEqual(len(self.flushLoggedErrors(KeyError)), 1)

    def start_failed(self, started: Callable[[Any], Any]) -> tuple[str, LogEvent]:
        """The line of a boot whose actor fails to start, and what is logged of it."""

        class Broken(Actor):
            async def started(self) -> None:
                await started(self)

        self.remote = FakeRemote()
        self.node = Node(self.clock, self.remote)
        before = len(self.events)
        boot = self.boot(Start(Broken))
        boot.bind()
        self.through()
        boot.begin()
        line = self.failed(boot)
        self.flushLoggedErrors()
        events = list(self.events)[before:]
        [event] = [event for event in events if "log_failure" in event]
        self.assertEqual(event["log_namespace"], f"{__name__}.{Broken.__qualname__}")
        self._over()
        return line, event

    def test_any_error(self) -> None:
        """Whatever `started` raises fails the boot, and its line in a file is named."""
        for error in [
            ValueError("no"),
            SystemExit(0),
            KeyboardInterrupt(),
            asyncio.CancelledError(),
            BaseException("what\never\x1b"),
        ]:

            async def started(actor: Actor, error: BaseException = error) -> None:
                raise error

            line, event = self.start_failed(started)
            said = type(error).__name__
            self.assertIn(
                f"boot failed at stage actors: Broken did not start: {said}", line
            )
            self.assertTrue(line.isprintable(), line)
            number = started.__code__.co_firstlineno + 1
            self.assertIn(f"({__file__}:{number})", line)
            self.assertIs(event["log_failure"].value, error)

    def test_where(self) -> None:
        """The line is that of the actor's own module, however deep the error was."""

        async def started(actor: Actor) -> None:
            await maybeDeferred(json.loads, "{")

        line, event = self.start_failed(started)
        self.assertIn(f"({__file__}:{started.__code__.co_firstlineno + 1})", line)
        self.assertIn("json", event["log_failure"].getTraceback())

    def test_huge(self) -> None:
        """A huge text, or none, of an error is bounded in the line."""

        class Rude(Exception):
            def __str__(self) -> str:
                raise SystemExit

        for error in (ValueError("x" * 1_000_000), Rude()):

            async def started(actor: Actor, error: Exception = error) -> None:
                raise error

            line, _ = self.start_failed(started)
            self.assertLess(len(line), 1000)

    def test_stop_while_starting(self) -> None:
        """An actor that has not started when the node stops is no error."""
        wait: Deferred[None] = Deferred()
        boot = self.boot(Start(Slow, (wait,)))
        boot.bind()
        self.through()
        boot.begin()
        boot.halt()
        self.node.stop()
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_too_late(self) -> None:
        """The time limit names what is missing, and why."""
        boot = self.boot(timeout=5.0)
        boot.bind()
        self.remote.binding.callback(None)
        boot.begin()
        self.remote.joining.callback(None)
        self.remote.waits = ["harbor 2 at two:1: refused", "harbor 3 at three:1"]
        self.clock.advance(4.9)
        self.assertIsNone(boot.error)
        self.clock.advance(0.1)
        text = self.failed(boot)
        for part in ("stage peers", "5 s", "harbor 2 at two:1: refused", "harbor 3"):
            self.assertIn(part, text)
        self.remote.linking.callback(None)
        self.assertEqual(self.states()[2], "failed")
        self.assertEqual(self.logged("node ready"), [])

    def test_too_late_actors(self) -> None:
        """The time limit names the actor that has not started."""
        wait: Deferred[None] = Deferred()
        boot = self.boot(Start(Echo), Start(Slow, (wait,)), timeout=5.0)
        boot.bind()
        self.through()
        boot.begin()
        self.clock.advance(5)
        self.assertIn("Slow to have started", self.failed(boot))

    def test_no_limit(self) -> None:
        """Without a time limit it waits."""
        boot = self.boot(timeout=0.0)
        boot.bind()
        self.remote.binding.callback(None)
        boot.begin()
        self.clock.advance(1000)
        self.assertEqual(self.states()[1], "waiting")
        self.through()
        self.successResultOf(self.node.when_ready())

    def test_limit_over(self) -> None:
        """The time limit ends with the boot."""
        boot = self.boot()
        boot.bind()
        self.through()
        boot.begin()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_halt(self) -> None:
        """Who waits for a boot that is stopped hears of it, early or late."""
        boot = self.boot()
        waiting = self.node.when_ready()
        boot.bind()
        self.remote.binding.callback(None)
        boot.begin()
        boot.halt()
        self.failureResultOf(waiting, NotReady)
        self.failureResultOf(self.node.when_ready(), NotReady)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.through()
        self.assertEqual(self.logged("node ready"), [])
        boot.halt()


class ServiceTests(BootTestCase):
    """The node as an IService."""

    def service(
        self, *starts: Start, closers: tuple[Any, ...] = (), **rest: Any
    ) -> NodeService:
        self.failures: list[BootFailed] = []
        boot = self.boot(*starts, **rest)
        remote: IRemote = self.remote
        return NodeService(self.node, boot, [remote], self.failures.append, closers)

    def test_life(self) -> None:
        """Bind with privileges, boot, run, stop: actors first, connections last."""
        order: list[str] = []

        class Ending(Actor):
            def stopped(self) -> None:
                order.append("actor")

        def close() -> Deferred[None]:
            order.append(f"master, remote left: {self.remote.left}")
            return succeed(None)

        service = self.service(Start(Ending), closers=(close,))
        self.through()
        service.privilegedStartService()
        self.assertEqual(self.states()[:2], ["done", "to come"])
        service.startService()
        self.successResultOf(self.node.when_ready())
        self.successResultOf(service.stopService())
        self.assertEqual(order, ["actor", "master, remote left: True"])
        self.assertEqual(self.failures, [])

    def test_start_alone(self) -> None:
        """Without the call with privileges the start binds as well."""
        service = self.service()
        self.through()
        service.startService()
        self.successResultOf(self.node.when_ready())
        self.successResultOf(service.stopService())

    def test_port_in_use(self) -> None:
        """A port that cannot be bound raises, and what was bound is closed."""
        closed: list[bool] = []

        def close() -> Deferred[None]:
            closed.append(True)
            return succeed(None)

        for order in (1, 2):
            self.remote = FakeRemote()
            self.node = Node(self.clock, self.remote)
            binders = [lambda: succeed(None)]
            if order == 1:
                self.remote.binding.errback(BootFailed("harbor port: in use"))
            else:
                self.remote.binding.callback(None)
                binders.append(lambda: fail(BootFailed("master port: in use")))
            service = self.service(closers=(close,), binders=binders)
            with self.assertRaises(BootFailed) as caught:
                service.privilegedStartService()
            self.assertIn("in use", str(caught.exception))
            self.assertTrue(self.remote.left)
        self.assertEqual(closed, [True, True])

    def test_failure(self) -> None:
        """A boot that fails later is told once, and can still be stopped."""
        service = self.service(timeout=5.0)
        self.remote.binding.callback(None)
        service.startService()
        self.clock.advance(5)
        self.assertEqual(len(self.failures), 1)
        self.successResultOf(service.stopService())
        self.assertTrue(self.remote.left)
        self.assertEqual(len(self.failures), 1)

    def test_stop_in_boot(self) -> None:
        """A stop in the middle of the boot is no failure."""
        service = self.service()
        self.remote.binding.callback(None)
        service.startService()
        self.successResultOf(service.stopService())
        self.assertEqual(self.failures, [])
