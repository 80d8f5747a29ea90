"""Nodes that DNS knows, asked of a server over UDP on loopback."""

from __future__ import annotations

import os
import tempfile
from typing import Any

from twisted.internet import reactor
from twisted.names import client, dns
from twisted.names.authority import FileAuthority
from twisted.names.server import DNSServerFactory
from twisted.trial.unittest import TestCase

from skynet_tw.discovery import dns as directories
from skynet_tw.discovery.dns import DNSDirectory, SystemResolver

from .support import Views

#: What a zone has, by name.
Records = dict[str, list[Any]]


class Zone(FileAuthority):
    """A zone whose records are set by the test."""

    def __init__(self, records: Records) -> None:
        self._given = records
        super().__init__("no file")

    def loadFile(self, name: str) -> None:
        """Take what was given."""
        soa = dns.Record_SOA(b"example.org", b"admin.example.org", 1, ttl=1)
        zone: Any = self
        zone.soa = (b"example.org", soa)
        zone.records = {name.encode(): them for name, them in self._given.items()}
        zone.records[b"example.org"] = [soa]


class ServerTests(TestCase):
    """A directory over Twisted's own resolver."""

    timeout = 60

    def serve(self, records: Records) -> int:
        """Run a server on a port that the system chooses, which is returned."""
        net: Any = reactor
        factory = DNSServerFactory(authorities=[Zone(records)])
        port = net.listenUDP(
            0, dns.DNSDatagramProtocol(factory, reactor=net), "127.0.0.1"
        )
        self.addCleanup(port.stopListening)
        number: int = port.getHost().port
        return number

    async def test_services(self) -> None:
        """SRV records and addresses come over the wire; a change is seen in time."""
        records: Records = {
            "_skynet._tcp.example.org": [
                dns.Record_SRV(0, 0, 2528, "db.example.org", ttl=1),
                dns.Record_SRV(0, 0, 2529, "web.example.org", ttl=1),
            ],
            "db.example.org": [dns.Record_A("10.0.0.1", ttl=1)],
            "web.example.org": [dns.Record_AAAA("fd00::2", ttl=1)],
        }
        port = self.serve(records)
        net: Any = reactor
        resolver = client.Resolver(servers=[("127.0.0.1", port)], reactor=net)
        directory = DNSDirectory("_skynet._tcp.example.org", None, resolver, net)
        views = Views()
        self.addCleanup(directory.stop)
        await directory.start(views.take, {})
        expected = {"db": "10.0.0.1:2528", "web": "[fd00::2]:2529"}
        self.assertEqual(views, [expected])

    async def test_nothing(self) -> None:
        """A name that a server does not have is an empty view."""
        port = self.serve({})
        net: Any = reactor
        resolver = client.Resolver(servers=[("127.0.0.1", port)], reactor=net)
        directory = DNSDirectory("nobody.example.org", 80, resolver, net)
        views = Views()
        self.addCleanup(directory.stop)
        await directory.start(views.take, {})
        self.assertEqual(views, [{}])

    async def test_system(self) -> None:
        """The system's servers are read from the system's file."""
        port = self.serve({"db.example.org": [dns.Record_A("10.0.0.1", ttl=1)]})
        self.patch(dns, "PORT", port)
        with tempfile.NamedTemporaryFile("w") as file:
            file.write("# nobody yet\nnameserver 127.0.0.1\n")
            file.flush()
            self.patch(directories, "RESOLV_CONF", file.name)
            net: Any = reactor
            directory = DNSDirectory("db.example.org", 7, SystemResolver(net), net)
            views = Views()
            self.addCleanup(directory.stop)
            await directory.start(views.take, {})
        self.assertEqual(views, [{"db.example.org": "10.0.0.1:7"}])

    def test_no_system(self) -> None:
        """Without the system's file the server of this machine is asked, as usual."""
        self.patch(directories, "RESOLV_CONF", os.devnull + "/none")
        resolver: Any = SystemResolver(reactor)
        self.assertEqual(resolver.dynServers, [("127.0.0.1", 53)])
