"""Our nodes and real Skynet nodes in one network, on the current wire."""

from __future__ import annotations

from typing import Any

from twisted.internet import reactor
from twisted.internet.task import deferLater

from skynet_tw import Handle, LinkLost, RemoteError, TooLarge
from skynet_tw.service import NodeService

from .world import RealCase, free_address

NESTED: dict[str, Any] = {
    "pos": {"x": 1, "y": -2.5, "far": 2**40},
    "list": [1, "two", [3.0, True, {}]],
    "text": "grün \udcff",
}


class Exchange(RealCase):
    """What every pair of a real node and one of ours must be able to do."""

    async def exchange(self, service: NodeService, real: str, own: str) -> None:
        """Names, calls, sends, answers and errors, both ways."""
        ours = self.probe(service)
        # Global names both ways.
        there = Handle(await ours.query(real))
        self.assertEqual(await ours.call(real, "QUERY", own), ours.handle)
        # Calls both ways, by name and by handle, with nested tables.
        for dest in (real, there, str(there)):
            echoed = await ours.call(dest, "ECHO", NESTED, None, 7)
            self.assertEqual(echoed, (NESTED, None, 7))
        for mine in (own, int(ours.handle)):
            answer = await ours.call(real, "CALL", mine, "ECHO", NESTED, 7)
            self.assertEqual(answer, (True, NESTED, 7))
        # An error of the callee, and a dead handle, both ways.
        with self.assertRaises(RemoteError):
            await ours.call(real, "ERROR", "on purpose")
        with self.assertRaises(RemoteError):
            await ours.call(Handle.of(there.harbor, 0xFFFFF), "ECHO")
        failed = await ours.call(real, "CALL", own, "ERROR", "on purpose")
        self.assertIs(failed[0], False)
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)
        dead = int(Handle.of(service.node.harbor, 0xFFFFF))
        failed = await ours.call(real, "CALL", dead, "ECHO")
        self.assertIs(failed[0], False)
        # 100,000 numbered messages each way.
        await self.numbered(service, real)


class RealMasterTests(Exchange):
    """A real node runs the master, ours are slaves."""

    async def test_exchange(self) -> None:
        """A node of ours joins a real master and is a full member."""
        master = free_address()
        await self.real(1, master, "REAL", standalone=True)
        service = await self.ours(2, master, "OURS")
        await self.exchange(service, "REAL", "OURS")

    async def test_high_ids(self) -> None:
        """Harbor ids of 127, 128 and 255 work on either side."""
        master = free_address()
        await self.real(255, master, "REAL", standalone=True)
        low = await self.ours(127, master, "LOW")
        high = await self.ours(128, master, "HIGH")
        for service in (low, high):
            ours = self.probe(service)
            self.assertEqual(await ours.call("REAL", "ECHO", 1), 1)
            answer = await ours.call("REAL", "CALL", int(ours.handle), "ECHO", 2)
            self.assertEqual(answer, (True, 2))
        there = await self.probe(low).query("HIGH")
        self.assertEqual(there, self.probe(high).handle)
        self.assertEqual(await self.probe(low).call("HIGH", "ECHO", 3), 3)

    async def test_large(self) -> None:
        """15 MiB reach a real node, 8,000,000 bytes come back, 17 MiB are refused."""
        master = free_address()
        await self.real(1, master, "REAL", standalone=True)
        ours = self.probe(await self.ours(2, master, "OURS"))
        size = 15 * 1024 * 1024
        self.assertEqual(await ours.call("REAL", "LEN", "x" * size), size)
        blob = await ours.call("REAL", "BLOB", 8_000_000)
        self.assertEqual(blob, ("0123456789abcdef" * 500_000)[:8_000_000])
        with self.assertRaises(TooLarge):
            await ours.call("REAL", "LEN", "x" * (17 * 1024 * 1024))
        with self.assertRaises(TooLarge):
            ours.send("REAL", "LEN", "x" * (17 * 1024 * 1024))
        self.assertEqual(await ours.call("REAL", "ECHO", "alive"), "alive")

    async def test_deaths(self) -> None:
        """An exit and a kill, on either side, fail the calls that wait for it."""
        master = free_address()
        await self.real(1, master, "REAL", standalone=True)
        other = await self.real(3, master, "OTHER")
        ours = self.probe(await self.ours(2, master, "OURS"))
        service = await ours.call("REAL", "NEWSERVICE")
        hanging = ours.call(service, "HANG")
        watched = ours.watch(service)
        await ours.call(service, "ECHO")
        ours.send(service, "EXIT")
        with self.assertRaises(RemoteError):
            await hanging
        await watched
        # A real node's link to an actor of ours that exits.
        mine = await ours.spawn(type(ours))
        await ours.call("REAL", "WATCH", int(mine))
        self.assertEqual(await ours.call("REAL", "FATE", int(mine)), "linked")
        ours.send(mine, "EXIT")
        while await ours.call("REAL", "FATE", int(mine)) != "gone":
            await deferLater(reactor, 0)
        # A node that is killed.
        hanging = ours.call("OTHER", "HANG")
        await ours.call("OTHER", "ECHO")
        await other.stop("KILL")
        with self.assertRaises(LinkLost):
            await hanging

    async def test_slave_before_master(self) -> None:
        """A slave of ours waits for a real master which starts long after it."""
        master = free_address()
        service = self.start_ours(2, master, "OURS")
        ready = service.node.when_ready()
        await deferLater(reactor, 1)
        report = {stage.stage: stage.state for stage in service.node.boot_report()}
        self.assertEqual((report["bound"], report["master"]), ("done", "waiting"))
        await self.real(1, master, "REAL", standalone=True)
        await ready
        self.assertEqual(await self.probe(service).call("REAL", "ECHO", 1), 1)


class OurMasterTests(Exchange):
    """Ours runs the master, for two real slaves and one more of ours."""

    async def test_exchange(self) -> None:
        """Real slaves boot against our master, and all exchange messages."""
        master = free_address()
        first = await self.ours(1, master, "OURS", standalone=master)
        await self.real(2, master, "REAL2")
        await self.real(128, master, "REAL128")
        third = await self.ours(255, master, "OURS255")
        await self.exchange(first, "REAL2", "OURS")
        await self.exchange(third, "REAL128", "OURS255")
        ours = self.probe(first)
        way = ("CALL", "REAL128", "CALL", "OURS255", "ECHO", 5)
        answer = await ours.call("REAL2", *way)
        self.assertEqual(answer, (True, True, 5))

    async def test_datacenter(self) -> None:
        """SERVICE and DATACENTER of our master node answer as a real one's do."""
        master = free_address()
        first = await self.ours(1, master, "OURS", standalone=master)
        await self.real(2, master, "REAL")
        ours = self.probe(first)
        call = ("REAL", "CALL", "DATACENTER")
        self.assertEqual(await ours.call(*call, "UPDATE", "b", "c", "v"), True)
        self.assertEqual(await ours.call(*call, "QUERY", "b"), (True, {"c": "v"}))
        self.assertEqual(await ours.call("REAL", "CALL", "SERVICE", "LIST"), (True, {}))

    async def test_late_name(self) -> None:
        """10,000 messages to a name that a real node takes later arrive in order."""
        master = free_address()
        first = await self.ours(1, master, "OURS", standalone=master)
        ours = self.probe(first)
        for i in range(1, 10_001):
            ours.send("LATER", "COUNT", i)
        await self.real(2, master, "LATER")
        result = await ours.call("LATER", "RESULT", int(ours.handle))
        self.assertEqual(result, (10_000, True, 10_000))
