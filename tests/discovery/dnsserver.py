"""A DNS server on loopback, whose records a test sets."""

from __future__ import annotations

from typing import Any

from twisted.internet import reactor
from twisted.names import client, dns
from twisted.names.authority import FileAuthority
from twisted.names.server import DNSServerFactory
from twisted.trial.unittest import TestCase

#: What a zone has, by name.
Records = dict[str, list[Any]]


class Zone(FileAuthority):
    """The zone example.org.

    :param records: what is in it.
    """

    def __init__(self, records: Records) -> None:
        self._given = records
        super().__init__("no file")

    def loadFile(self, name: str) -> None:
        """Take what was given."""
        soa = dns.Record_SOA(b"example.org", b"admin.example.org", 1, ttl=1)
        zone: Any = self
        zone.soa = (b"example.org", soa)
        zone.records = {}
        for name, records in self._given.items():
            self.set(name, records)
        self.set("example.org", [soa])

    def set(self, name: str, records: list[Any]) -> None:
        """Give a name other records."""
        zone: Any = self
        zone.records[name.encode()] = records


class DNSServerCase(TestCase):
    """A test with a server, over UDP."""

    timeout = 60

    def serve(self, zone: Zone) -> int:
        """Run a server on a port that the system chooses, which is returned."""
        net: Any = reactor
        factory = DNSServerFactory(authorities=[zone])
        port = net.listenUDP(
            0, dns.DNSDatagramProtocol(factory, reactor=net), "127.0.0.1"
        )
        self.addCleanup(port.stopListening)
        number: int = port.getHost().port
        return number

    def resolver(self, port: int) -> Any:
        """Who asks a server."""
        net: Any = reactor
        return client.Resolver(servers=[("127.0.0.1", port)], reactor=net)
