"""Whole nodes of 2013: a caller that calls while the callee joins."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from skynet_tw import Actor, command
from skynet_tw.boot import Boot
from skynet_tw.errors import BootFailed, RemoteError
from skynet_tw.handle import Handle
from skynet_tw.net.harbor2013.master import HarborMasterFactory2013
from skynet_tw.net.harbor2013.remote import HarborRemote2013
from skynet_tw.node.node import Node
from skynet_tw.service import NodeService
from skynet_tw.starts import Start
from skynet_tw.testing.network import MemoryNetwork

MASTER = "master:2013"


class Callee(Actor):
    """Answers, and notes what it was asked in which order."""

    async def started(self) -> None:
        self.asked: list[int] = []
        await self.register("CALLEE")

    @command
    def ECHO(self, number: int) -> int:
        """Answer the number."""
        self.asked.append(number)
        return number

    @command
    def FAIL(self) -> None:
        """Fail."""
        raise ValueError("as it was told")


class Caller(Actor):
    """Calls when it is told to."""


class JoiningTests(SynchronousTestCase):
    """Calls around the moment in which a node joins."""

    def setUp(self) -> None:
        self.clock = Clock()

    def network(self, seed: int) -> None:
        """Begin with a new network, and a master."""
        self.net = MemoryNetwork(self.clock, seed, delay=(0.0, 0.02), chunk=40)
        self.master = HarborMasterFactory2013(self.clock, self.net.client)
        listening = self.net.server(MASTER).listen(self.master)
        self.port = self.successResultOf(listening)

    def start(self, harbor: int, *starts: Start) -> NodeService:
        """Start a node."""
        address = f"host{harbor}:1"
        remote = HarborRemote2013(
            harbor,
            address,
            self.net.server(address),
            self.net.client(MASTER),
            self.net.client,
            self.clock,
        )
        node = Node(self.clock, remote, call_timeout=5.0)
        boot = Boot(node, [remote], self.clock, starts)
        failures: list[BootFailed] = []
        service = NodeService(node, boot, [remote], failures.append)
        service.startService()
        self.assertEqual(failures, [])
        return service

    def caller(self, service: NodeService) -> Actor:
        """An actor to call from."""
        handle = self.successResultOf(service.node.spawn(Caller))
        context = service.node._cells.table[handle]
        assert context.actor is not None
        return context.actor

    def end(self, *services: NodeService) -> None:
        """Stop all."""
        stopped: list[Deferred[Any]] = [it.stopService() for it in services]
        self.net.run(6)
        for done in stopped:
            self.successResultOf(done)
        self.port.stopListening()
        closed = self.master.close()
        self.net.run(6)
        self.successResultOf(closed)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def call_while_joining(self, seed: int, dest: str | Handle) -> None:
        """Make ten calls while a node joins; all are answered, in order."""
        self.network(seed)
        one = self.start(1)
        self.net.run(0.01 * (seed % 7))
        caller = self.caller(one)
        waiting = []
        for number in range(10):
            if number == 2:
                two = self.start(2, Start(Callee))
            waiting.append(caller.call(dest, "ECHO", number))
            self.net.run(0.02)
        self.net.run(3)
        self.assertEqual([self.successResultOf(it) for it in waiting], [*range(10)])
        callee = two.node._cells.table[Handle.of(2, 1)].actor
        assert isinstance(callee, Callee)
        self.assertEqual(callee.asked, [*range(10)])
        self.end(one, two)

    def test_by_name(self) -> None:
        """None of 200 calls to a name is lost, and their order is kept."""
        for seed in range(20):
            self.call_while_joining(seed, "CALLEE")

    def test_by_handle(self) -> None:
        """None of 200 calls to a handle is lost, and their order is kept."""
        for seed in range(20):
            self.call_while_joining(seed, Handle.of(2, 1))

    def test_errors(self) -> None:
        """An error is an error for our own callers."""
        self.network(0)
        one, two = self.start(1), self.start(2, Start(Callee))
        self.net.run(3)
        caller = self.caller(one)
        for dest, what in (("CALLEE", "FAIL"), (Handle.of(2, 99), "ECHO")):
            failed = caller.call(dest, what)
            self.net.run(1)
            self.failureResultOf(failed, RemoteError)
        self.flushLoggedErrors(ValueError)
        self.end(one, two)

    def test_boot_report(self) -> None:
        """The boot says what it waits for: that the master dials us."""
        self.network(0)
        self.net.silence("host1:1")
        one = self.start(1)
        self.net.run(2)
        stage = one.boot.report()[1]
        self.assertEqual((stage.stage, stage.state), ("master", "waiting"))
        self.assertIn("to dial us at host1:1", stage.waiting_for[0])
        self.net.mend("host1:1")
        self.net.run(3)
        self.successResultOf(one.boot.when_ready())
        self.end(one)
