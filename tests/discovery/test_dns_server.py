"""Nodes that DNS knows, asked of a server over UDP on loopback."""

from __future__ import annotations

import os
import tempfile
from typing import Any

from twisted.internet import reactor
from twisted.names import dns

from skynet_tw.discovery import dns as directories
from skynet_tw.discovery.dns import DNSDirectory, SystemResolver

from .dnsserver import DNSServerCase, Records, Zone
from .support import Views


class ServerTests(DNSServerCase):
    """A directory over Twisted's own resolver."""

    async def test_services(self) -> None:
        """SRV records and addresses come over the wire."""
        records: Records = {
            "_skynet._tcp.example.org": [
                dns.Record_SRV(0, 0, 2528, "db.example.org", ttl=1),
                dns.Record_SRV(0, 0, 2529, "web.example.org", ttl=1),
            ],
            "db.example.org": [dns.Record_A("10.0.0.1", ttl=1)],
            "web.example.org": [dns.Record_AAAA("fd00::2", ttl=1)],
        }
        port = self.serve(Zone(records))
        net: Any = reactor
        resolver = self.resolver(port)
        directory = DNSDirectory("_skynet._tcp.example.org", None, resolver, net)
        views = Views()
        self.addCleanup(directory.stop)
        await directory.start(views.take, {})
        expected = {"db": "10.0.0.1:2528", "web": "[fd00::2]:2529"}
        self.assertEqual(views, [expected])

    async def test_nothing(self) -> None:
        """A name that a server does not have is an empty view."""
        port = self.serve(Zone({}))
        net: Any = reactor
        resolver = self.resolver(port)
        directory = DNSDirectory("nobody.example.org", 80, resolver, net)
        views = Views()
        self.addCleanup(directory.stop)
        await directory.start(views.take, {})
        self.assertEqual(views, [{}])

    async def test_system(self) -> None:
        """The system's servers are read from the system's file."""
        port = self.serve(Zone({"db.example.org": [dns.Record_A("10.0.0.1", ttl=1)]}))
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
