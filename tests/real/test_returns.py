"""Real nodes that come back under their ids, and names that move."""

from __future__ import annotations

import contextlib

from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import deferLater

from skynet_tw import Handle, LinkLost, NameTaken, PeerDown
from skynet_tw.service import NodeService

from ..processes import NodeProcess
from .world import RealCase, free_address


class ReturnTests(RealCase):
    """A real slave that is killed and comes back, with our master."""

    async def gone(self, service: NodeService, *harbors: int) -> None:
        """Wait until a node of ours has no link to these harbors."""
        while any(
            peer.peer in harbors and peer.stage == "ready"
            for peer in service.node.status().peers
        ):
            await deferLater(reactor, 0.01)

    async def reaches(self, service: NodeService, *names: str) -> None:
        """Check that a node of ours reaches real ones, and that they reach it."""
        ours = self.probe(service)
        for name in names:
            self.assertEqual(await ours.call(name, "ECHO", 5), 5)
            answer = await ours.call(name, "CALL", int(ours.handle), "ECHO", 6)
            self.assertEqual(answer, (True, 6))

    async def test_alone(self) -> None:
        """It boots with nobody but our master, again and again, wherever it is."""
        master = free_address()
        service = await self.ours(1, master, "OURS", standalone=master)
        address = free_address()
        for place in (address, address, "", address):
            node = await self.real(2, master, "REAL", address=place)
            self.assertIn("Waiting for 1 harbors", node.output)
            await self.reaches(service, "REAL")
            await node.stop("KILL")
            await self.gone(service, 2)

    async def test_with_ours(self) -> None:
        """Another node of ours that saw it die dials it as well."""
        master = free_address()
        first = await self.ours(1, master, "OURS", standalone=master)
        other = await self.ours(4, master, "OTHER")
        for _ in range(2):
            node = await self.real(2, master, "REAL")
            self.assertIn("Waiting for 2 harbors", node.output)
            await self.reaches(first, "REAL")
            await self.reaches(other, "REAL")
            await node.stop("KILL")
            await self.gone(first, 2)
            await self.gone(other, 2)

    async def test_with_a_real_witness(self) -> None:
        """It does not wait for a real node that saw it die, but for one that did not.

        The witness goes on as before, and never reaches it again.
        """
        master = free_address()
        service = await self.ours(1, master, "OURS", standalone=master)
        await self.real(3, master, "WITNESS")
        node = await self.real(2, master, "REAL")
        await node.stop("KILL")
        await self.gone(service, 2)
        await self.real(5, master, "LATE")
        node = await self.real(2, master, "REAL")
        self.assertIn("Waiting for 2 harbors", node.output)
        await self.reaches(service, "REAL", "WITNESS", "LATE")
        answer = await self.probe(service).call("LATE", "CALL", "REAL", "ECHO", 7)
        self.assertEqual(answer, (True, 7))

    async def test_two_at_once(self) -> None:
        """Two that were killed together come back together."""
        master = free_address()
        service = await self.ours(1, master, "OURS", standalone=master)
        for _ in range(2):
            nodes = await gatherResults(
                [self.started(2, master, "TWO"), self.started(3, master, "THREE")]
            )
            await self.reaches(service, "TWO", "THREE")
            answer = await self.probe(service).call("TWO", "CALL", "THREE", "ECHO", 7)
            self.assertEqual(answer, (True, 7))
            await gatherResults([node.stop("KILL") for node in nodes])
            await self.gone(service, 2, 3)

    def started(self, harbor: int, master: str, name: str) -> Deferred[NodeProcess]:
        """Start a real node beside others."""
        return Deferred.fromCoroutine(self.real(harbor, master, name))


class MovedNameTests(RealCase):
    """A name whose owner is killed, and that another node takes."""

    async def take(self, service: NodeService) -> Handle:
        """Let the probe of a node of ours take the name of an owner that is gone."""
        probe = self.probe(service)
        while True:
            try:
                return await probe.register("MOVED")
            except NameTaken:
                await deferLater(reactor, 0.05)

    async def test_real_master(self) -> None:
        """Ours takes it from a real node; all find it, also those who join later."""
        master = free_address()
        await self.real(1, master, "REAL", standalone=True)
        owner = await self.real(3, master, "MOVED")
        service = await self.ours(2, master, "OURS")
        ours = self.probe(service)
        first = await ours.query("MOVED")
        with self.assertRaises(NameTaken):
            await ours.register("MOVED")
        await owner.stop("KILL")
        self.assertEqual(await self.take(service), ours.handle)
        self.assertNotEqual(ours.handle, first)
        self.assertEqual(await ours.call("REAL", "QUERY", "MOVED"), ours.handle)
        self.assertEqual(await ours.call("REAL", "CALL", "MOVED", "ECHO", 1), (True, 1))
        # The master itself still says the first owner to whoever asks.
        await self.real(4, master, "LATE")
        self.assertEqual(await ours.call("LATE", "CALL", "MOVED", "ECHO", 2), (True, 2))
        self.assertEqual(await ours.call("LATE", "QUERY", "MOVED"), ours.handle)
        late = self.probe(await self.ours(5, master, "LATER"))
        self.assertEqual(await late.query("MOVED"), ours.handle)
        self.assertEqual(await late.call("MOVED", "ECHO", 3), 3)

    async def test_our_master(self) -> None:
        """A real node takes it from ours that is gone; nobody keeps the old owner."""
        master = free_address()
        first = await self.ours(1, master, "OURS", standalone=master)
        other = await self.ours(5, master, "OTHER")
        owner = await self.ours(4, master, "MOVED")
        await self.real(2, master, "REAL")
        probes = [self.probe(service) for service in (first, other)]
        for probe in probes:
            self.assertEqual(await probe.call("MOVED", "ECHO", 1), 1)
        await owner.stopService()
        for probe in probes:
            with self.assertRaises(PeerDown):
                while True:
                    # Imported by name, `suppress` would mean something to trial.
                    with contextlib.suppress(LinkLost):
                        await probe.call("MOVED", "ECHO", 1)
        found = [probe.query("MOVED") for probe in probes]
        taken = await probes[0].call("REAL", "REGISTER", "MOVED")
        for probe, waiting in zip(probes, found, strict=True):
            self.assertEqual(await waiting, taken)
            self.assertEqual(await probe.call("MOVED", "ECHO", 2), 2)
        late = self.probe(await self.ours(6, master, "LATE"))
        self.assertEqual(await late.call("MOVED", "ECHO", 3), 3)
