"""Nodes that DNS knows, asked of a resolver in memory."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, fail, maybeDeferred, succeed
from twisted.internet.task import Clock
from twisted.names import dns
from twisted.names.common import ResolverBase
from twisted.names.error import DNSNameError, DNSServerError

from skynet_tw.discovery.dns import MAX_TTL, NOTHING_TTL, TIME_LIMIT, DNSDirectory
from skynet_tw.errors import DirectoryFailed, NotReady

from .support import DirectoryCase

SERVICE = "_skynet._tcp.example.org"


class Zone(ResolverBase):
    """A resolver that knows some records, and counts what it is asked."""

    def __init__(self) -> None:
        super().__init__()
        self.records: dict[tuple[str, int], list[dns.RRHeader]] = {}
        self.error: Exception | None = None
        self.silent = False
        self.asked: list[tuple[str, int]] = []

    def _lookup(self, name: bytes, cls: int, type: int, timeout: Any) -> Deferred[Any]:
        key = (name.decode(), type)
        self.asked.append(key)
        if self.silent:
            return Deferred()
        if self.error is not None:
            return fail(self.error)
        if not any(known == key[0] for known, _ in self.records):
            return fail(DNSNameError(dns.Message()))
        return succeed((self.records.get(key, []), [], []))

    def add(self, name: str, payload: Any, ttl: int = 10) -> None:
        """Add a record of a name."""
        record = dns.RRHeader(name, payload.TYPE, dns.IN, ttl, payload)
        self.records.setdefault((name, payload.TYPE), []).append(record)

    def service(self, target: str, port: int, ttl: int = 10, priority: int = 0) -> None:
        """Add a SRV record of the service."""
        self.add(SERVICE, dns.Record_SRV(priority, 0, port, target), ttl)

    def address(self, name: str, ip: str, ttl: int = 10) -> None:
        """Add an address of a name."""
        kind = dns.Record_AAAA if ":" in ip else dns.Record_A
        self.add(name, kind(ip), ttl)


class DNSCase(DirectoryCase):
    """A test over a zone, with a clock."""

    def setUp(self) -> None:
        super().setUp()
        self.clock = Clock()
        self.zone = Zone()

    def directory(self, name: str = SERVICE, port: int | None = None) -> DNSDirectory:
        """A directory over the zone; it asks again after 2 s, 4 s and so on."""
        return DNSDirectory(name, port, self.zone, self.clock, lambda n: 2.0 * n)

    def started(self, name: str = SERVICE, port: int | None = None) -> DNSDirectory:
        """The same, started."""
        directory = self.directory(name, port)
        self.successResultOf(self.begin(directory))
        return directory


class RecordTests(DNSCase):
    """What records say."""

    def test_services(self) -> None:
        """A target is a node by its first label, at its address and its port."""
        self.zone.service("db.nodes.example.org", 2528)
        self.zone.service("web.nodes.example.org", 2529)
        self.zone.address("db.nodes.example.org", "10.0.0.1")
        self.zone.address("web.nodes.example.org", "fd00::2")
        self.started()
        self.assertEqual(self.views, [{"db": "10.0.0.1:2528", "web": "[fd00::2]:2529"}])
        self.assertEqual(self.warnings, [])

    def test_one_address(self) -> None:
        """A host has one address: its lowest, of IPv4 where it has both kinds."""
        self.zone.service("db.example.org", 2528)
        for ip in ("::1", "10.0.0.10", "10.0.0.9"):
            self.zone.address("db.example.org", ip)
        self.started()
        self.assertEqual(self.views, [{"db": "10.0.0.9:2528"}])

    def test_same_label(self) -> None:
        """Of two targets with one name the preferred one is taken; it is logged."""
        self.zone.service("db.b.org", 2, priority=2)
        self.zone.service("db.a.org", 1, priority=1)
        self.zone.address("db.a.org", "10.0.0.1")
        self.zone.address("db.b.org", "10.0.0.2")
        self.started()
        self.assertEqual(self.views, [{"db": "10.0.0.1:1"}])
        self.assertEqual(
            self.warnings,
            [
                f"DNS, {SERVICE}: 10.0.0.2:2 of db.b.org left out: db is 10.0.0.1:1",
            ],
        )

    def test_dangling(self) -> None:
        """A target without an address is left out, and logged once."""
        self.zone.service("db.example.org", 1)
        self.zone.service("web.example.org", 2)
        self.zone.address("db.example.org", "10.0.0.1")
        self.started()
        self.clock.pump([10, 10])
        self.assertEqual(self.views, [{"db": "10.0.0.1:1"}])
        self.assertEqual(
            self.warnings, [f"DNS, {SERVICE}: no address of web.example.org"]
        )

    def test_no_service(self) -> None:
        """A target of "." says that there is no such service."""
        self.zone.service("", 0)
        self.started()
        self.assertEqual(self.views, [{}])

    def test_name(self) -> None:
        """With a port, the one address of the name is the node of that name."""
        self.zone.address("db.example.org", "10.0.0.1")
        self.started("db.example.org", 2528)
        self.assertEqual(self.views, [{"db.example.org": "10.0.0.1:2528"}])

    def test_several(self) -> None:
        """Several addresses of the name are nodes, each named as its address."""
        for ip in ("10.0.0.2", "10.0.0.1"):
            self.zone.address("nodes.example.org", ip)
        self.started("nodes.example.org", 7)
        self.assertEqual(
            self.views, [{"10.0.0.1": "10.0.0.1:7", "10.0.0.2": "10.0.0.2:7"}]
        )

    def test_name_of_six(self) -> None:
        """IPv6 addresses count where the name has no others."""
        self.zone.address("nodes.example.org", "fd00::1")
        self.zone.address("nodes.example.org", "fd00::2")
        self.started("nodes.example.org", 7)
        self.assertEqual(
            self.views, [{"fd00::1": "[fd00::1]:7", "fd00::2": "[fd00::2]:7"}]
        )

    def test_nothing(self) -> None:
        """That there is no such name is an answer: nobody; it is logged, not failed.

        The first node of a cluster must be able to start before there are records.
        """
        self.started()
        self.clock.pump([NOTHING_TTL, NOTHING_TTL])
        self.assertEqual(self.views, [{}])
        self.assertEqual(self.warnings, [f"DNS, {SERVICE}: no SRV record"])
        self.zone.service("db.example.org", 1)
        self.zone.address("db.example.org", "10.0.0.1")
        self.clock.advance(NOTHING_TTL)
        self.assertEqual(self.views[1:], [{"db": "10.0.0.1:1"}])


class TimeTests(DNSCase):
    """When DNS is asked."""

    def at(self, ip: str, ttl: int) -> None:
        """Make the zone one node."""
        self.zone.records.clear()
        self.zone.service("db.example.org", 1, ttl=300)
        self.zone.address("db.example.org", ip, ttl)

    def test_ttl(self) -> None:
        """It is asked again when the first of the records is too old."""
        self.at("10.0.0.1", 5)
        self.started()
        self.at("10.0.0.2", 5)
        self.clock.advance(4.9)
        self.assertEqual(len(self.views), 1)
        self.clock.advance(0.1)
        self.assertEqual(self.views[1:], [{"db": "10.0.0.2:1"}])

    def test_bounds(self) -> None:
        """It is asked at most once a second, and at least once a minute."""
        for ttl, seconds in ((0, 1.0), (3600, MAX_TTL)):
            self.at("10.0.0.1", ttl)
            directory = self.started()
            [call] = self.clock.getDelayedCalls()
            self.assertEqual(call.getTime() - self.clock.seconds(), seconds)
            self.successResultOf(directory.stop())

    def test_failures(self) -> None:
        """A server that fails keeps the view, is logged once, asked with back-off."""
        self.at("10.0.0.1", 5)
        self.started()
        self.zone.error = DNSServerError(dns.Message())
        self.clock.advance(5)
        asked = len(self.zone.asked)
        self.clock.advance(2)
        self.clock.pump([1] * 4)
        self.assertEqual(len(self.zone.asked), asked + 2)
        self.assertEqual(len(self.views), 1)
        [line] = self.warnings
        self.assertTrue(line.startswith(f"cannot ask DNS for {SERVICE}: DNSServerErr"))
        self.assertTrue(line.endswith("; the nodes stay as they were"), line)
        self.at("10.0.0.2", 5)
        self.zone.error = None
        self.clock.advance(6)
        self.assertEqual(self.views[1:], [{"db": "10.0.0.2:1"}])

    def test_half(self) -> None:
        """A target whose address cannot be asked fails the look: it may be there."""
        self.at("10.0.0.1", 5)
        self.started()
        lookup = self.zone._lookup

        def half(name: bytes, cls: int, type: int, timeout: Any) -> Deferred[Any]:
            if type == dns.A:
                return fail(DNSServerError(dns.Message()))
            return lookup(name, cls, type, timeout)

        self.patch(self.zone, "_lookup", half)
        self.clock.advance(5)
        self.assertEqual(self.views, [{"db": "10.0.0.1:1"}])
        self.assertIn("DNSServerError", self.warnings[0])

    def test_waiting(self) -> None:
        """The start waits for a first answer, and says for what."""
        self.zone.error = DNSServerError(dns.Message())
        directory = self.directory()
        done = self.begin(directory)
        self.assertNoResult(done)
        self.assertIn(f"DNS, {SERVICE}: DNSServerError", str(directory.waiting_for()))
        self.zone.error = None
        self.at("10.0.0.1", 5)
        self.clock.advance(2)
        self.successResultOf(done)
        self.assertEqual(self.views, [{"db": "10.0.0.1:1"}])
        self.assertIsNone(directory.waiting_for())

    def test_silence(self) -> None:
        """A resolver that says nothing is given up after a time, and asked again."""
        self.zone.silent = True
        directory = self.directory()
        done = self.begin(directory)
        self.assertEqual(directory.waiting_for(), f"DNS, {SERVICE}: no answer yet")
        self.clock.advance(TIME_LIMIT)
        self.assertEqual(
            directory.waiting_for(), f"DNS, {SERVICE}: no answer within 30 s"
        )
        self.zone.silent = False
        self.at("10.0.0.1", 5)
        self.clock.advance(2)
        self.successResultOf(done)

    def test_refresh(self) -> None:
        """To refresh asks at once, and the next look is counted from then."""
        self.at("10.0.0.1", 5)
        directory = self.started()
        self.at("10.0.0.2", 5)
        self.clock.advance(4)
        self.successResultOf(directory.refresh())
        self.assertEqual(self.views[1:], [{"db": "10.0.0.2:1"}])
        asked = len(self.zone.asked)
        self.clock.advance(4)
        self.assertEqual(len(self.zone.asked), asked)
        self.clock.advance(1)
        self.assertGreater(len(self.zone.asked), asked)

    def test_refresh_fails(self) -> None:
        """To refresh says in one line why it is not possible; the view stays."""
        self.at("10.0.0.1", 5)
        directory = self.started()
        self.zone.error = DNSServerError("out of order")
        line = self.line_of(directory.refresh(), DirectoryFailed)
        self.assertEqual(line, f"DNS, {SERVICE}: DNSServerError: out of order")
        self.assertEqual(len(self.views), 1)

    def test_refresh_behind(self) -> None:
        """To refresh while a look is under way makes another one: that one is older."""
        self.zone.silent = True
        directory = self.directory()
        started = self.begin(directory)
        refreshed = directory.refresh()
        self.zone.silent = False
        self.at("10.0.0.1", 5)
        self.assertNoResult(refreshed)
        self.clock.advance(TIME_LIMIT)
        self.successResultOf(refreshed)
        self.successResultOf(started)

    def test_stop(self) -> None:
        """After the stop nothing is asked or told, and no call is left."""
        self.at("10.0.0.1", 5)
        directory = self.started()
        self.successResultOf(directory.stop())
        self.successResultOf(directory.stop())
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.failureResultOf(directory.refresh(), DirectoryFailed)

    def test_stop_while_waiting(self) -> None:
        """It may be stopped while the start waits; what it asked is given up."""
        self.zone.silent = True
        directory = self.directory()
        done = self.begin(directory)
        behind = directory.refresh()
        self.successResultOf(maybeDeferred(directory.stop))
        self.failureResultOf(done, NotReady)
        self.failureResultOf(behind, DirectoryFailed)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertEqual(self.warnings, [])
