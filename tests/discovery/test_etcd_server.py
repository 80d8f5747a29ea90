"""Nodes that find each other through a real etcd, a process on loopback."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred, fail, gatherResults, succeed
from twisted.internet.error import ConnectionRefusedError
from twisted.web.iweb import IAgent, IBodyProducer, IResponse
from zope.interface import implementer

from skynet_tw.discovery.agent import http_agent
from skynet_tw.discovery.etcd import EtcdDirectory
from skynet_tw.errors import BootFailed, DirectoryFailed
from skynet_tw.interfaces import Addresses

from .etcdserver import EtcdServerCase

net: Any = reactor

#: Seconds of a lease: the shortest that etcd grants.
SHORT = 2


class Told:
    """The views that a directory told, and who waits for one."""

    def __init__(self) -> None:
        self.views: list[dict[str, str | bool]] = []
        self._waits: list[tuple[Addresses, Deferred[None]]] = []

    def take(self, addresses: Addresses) -> None:
        view = dict(addresses)
        self.views.append(view)
        for wait in list(self._waits):
            if wait[0] == view:
                self._waits.remove(wait)
                wait[1].callback(None)

    def until(self, view: Addresses) -> Deferred[None]:
        """Wait for a view, unless it is the last one."""
        if self.views and self.views[-1] == view:
            return succeed(None)
        waiting: Deferred[None] = Deferred()
        self._waits.append((view, waiting))
        return waiting


@implementer(IAgent)
class Cable:
    """An HTTP agent that can be cut off."""

    def __init__(self) -> None:
        self._agent = http_agent(net)
        self.is_cut = False

    def request(
        self,
        method: bytes,
        uri: bytes,
        headers: Any = None,
        bodyProducer: IBodyProducer | None = None,
    ) -> Deferred[IResponse]:
        if self.is_cut:
            return fail(ConnectionRefusedError())
        return self._agent.request(method, uri, headers, bodyProducer)


class EtcdTests(EtcdServerCase):
    """Directories over one etcd."""

    async def node(
        self, own: Mapping[str, str], told: Told, agent: IAgent | None = None
    ) -> EtcdDirectory:
        """A directory that has started."""
        directory = EtcdDirectory(
            [self.url], agent or Cable(), net, ttl=SHORT, retry_policy=lambda _: 0.1
        )
        self.addCleanup(directory.stop)
        await directory.start(told.take, own)
        return directory

    async def test_find(self) -> None:
        """Three nodes find each other; one that stops is gone at once."""
        tolds = [Told(), Told(), Told()]
        nodes = [
            await self.node({f"n{i}": f"h:{i}"}, told)
            for i, told in enumerate(tolds, start=1)
        ]
        everybody = {"n1": "h:1", "n2": "h:2", "n3": "h:3"}
        await gatherResults([told.until(everybody) for told in tolds])
        began = net.seconds()
        await nodes[0].stop()
        rest = {"n2": "h:2", "n3": "h:3"}
        await gatherResults([told.until(rest) for told in tolds[1:]])
        self.assertLess(net.seconds() - began, SHORT)
        self.assertEqual(tolds[0].views[-1], everybody)

    async def test_alive(self) -> None:
        """A node that lives stays, however short its lease."""
        await self.node({"n1": "h:1"}, Told())
        other = Told()
        await self.node({}, other)
        # Until etcd has ended a lease of the same length, which nobody keeps.
        cable = Cable()
        await self.node({"n2": "h:2"}, Told(), cable)
        await other.until({"n1": "h:1", "n2": "h:2"})
        cable.is_cut = True
        await other.until({"n1": "h:1"})
        self.assertNotIn({}, other.views)

    async def test_dead(self) -> None:
        """A node that is cut off is gone from the views within its lease."""
        told, cable = Told(), Cable()
        await self.node({"n1": "h:1"}, told)
        await self.node({"n2": "h:2"}, Told(), cable)
        await told.until({"n1": "h:1", "n2": "h:2"})
        began = net.seconds()
        cable.is_cut = True
        await told.until({"n1": "h:1"})
        # etcd looks for leases that have ended twice a second, and is not alone here.
        self.assertLess(net.seconds() - began, SHORT + 3)

    async def test_restart(self) -> None:
        """While etcd is down the view stays; when it is back changes are seen again."""
        told, other = Told(), Told()
        first = await self.node({"n1": "h:1"}, told)
        second = await self.node({"n2": "h:2"}, other)
        both = {"n1": "h:1", "n2": "h:2"}
        await told.until(both)
        await other.until(both)
        await self.etcd.stop("KILL")
        # It has noticed when it cannot look again.
        with self.assertRaises(DirectoryFailed) as raised:
            await first.refresh()
        self.assertIn(self.url, str(raised.exception))
        self.assertEqual(told.views[-1], both)
        before = len(told.views)
        await self.run_etcd()
        third = Told()
        await self.node({"n3": "h:3"}, third)
        await told.until({**both, "n3": "h:3"})
        await second.stop()
        await told.until({"n1": "h:1", "n3": "h:3"})
        self.assertTrue(all("n1" in view for view in told.views[before:]))

    async def test_taken(self) -> None:
        """A name of a living node is refused, and stays with it."""
        told = Told()
        await self.node({"n1": "h:1"}, told)
        with self.assertRaises(BootFailed) as raised:
            await self.node({"n1": "h:2"}, Told())
        self.assertIn("by another living node", str(raised.exception))
        self.assertEqual(told.views[-1], {"n1": "h:1"})

    async def test_earlier(self) -> None:
        """A name of a process that died is ours when its lease has ended."""
        cable = Cable()
        await self.node({"n1": "h:1"}, Told(), cable)
        cable.is_cut = True
        told = Told()
        await self.node({"n1": "h:2"}, told)
        await told.until({"n1": "h:2"})
