"""Whole nodes on real sockets of loopback, under whatever reactor is installed.

The same file runs on every reactor (`tests.reactors.matrix`).  All nodes, masters and
strangers of a test live in this process; the system chooses the ports, nothing sleeps.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import resource
import socket
import struct
from collections.abc import Callable, Iterator
from functools import partial
from itertools import permutations
from typing import Any, cast
from unittest import SkipTest

from twisted.internet.defer import Deferred, gatherResults, succeed
from twisted.internet.endpoints import AdoptedStreamServerEndpoint, TCP4ClientEndpoint
from twisted.internet.error import ConnectionRefusedError
from twisted.internet.interfaces import (
    IAddress,
    IListeningPort,
    IProtocol,
    IProtocolFactory,
    IStreamClientEndpoint,
    IStreamServerEndpoint,
)
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.selectreactor import SelectReactor
from twisted.internet.testing import EventLoggingObserver
from twisted.logger import ILogObserver, LogEvent, formatEvent, globalLogPublisher
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase
from zope.interface import implementer

from skynet_tw import (
    Actor,
    BootFailed,
    Handle,
    LinkLost,
    PType,
    RemoteError,
    Start,
    TooLarge,
    command,
    make_node,
)
from skynet_tw.compose import endpoints
from skynet_tw.net.kit.limits import ConnectionLimits
from skynet_tw.seri import pack, unpack
from skynet_tw.service import NodeService
from skynet_tw.wire.harbor import FrameReader, FrameWriter

LOOPBACK = "127.0.0.1"

#: A port that the system chooses.
ANY = f"{LOOPBACK}:0"

#: Numbered messages each way.
MANY = 20_000

#: Connections that say nothing.
SILENT = 1000

#: The lowest descriptor of those connections' other ends, out of the way of a node
#: whose reactor carries those below 1,024 only.
FAR_DESCRIPTOR = 2048


class Gate:
    """Fires Deferreds once something that can be asked for is so."""

    def __init__(self) -> None:
        self._waiting: list[tuple[Callable[[], bool], Deferred[None]]] = []

    def when(self, is_so: Callable[[], bool]) -> Deferred[None]:
        """Fire once *is_so* says so."""
        waiter: Deferred[None] = Deferred()
        self._waiting.append((is_so, waiter))
        self.look()
        return waiter

    def look(self) -> None:
        """Something has happened."""
        for entry in list(self._waiting):
            if entry in self._waiting and entry[0]():
                self._waiting.remove(entry)
                entry[1].callback(None)


class Probe(Actor):
    """Answers, counts, and sends floods; like the service of the real nodes' tests."""

    async def started(self, *names: str) -> None:
        self.seen: list[int] = []
        self.changed = Gate()
        for name in names:
            await self.register(name)

    @command
    def ECHO(self, *values: Any) -> tuple[Any, ...]:
        return values

    @command
    def COUNT(self, i: int) -> int:
        self.seen.append(i)
        self.changed.look()
        return i

    @command
    def FLOOD(self, dest: int, count: int) -> None:
        for i in range(count):
            self.send(dest, "COUNT", i)

    @command
    async def HANG(self) -> None:
        await Deferred()

    @command
    def FAIL(self) -> None:
        raise ValueError("on purpose")

    async def have_seen(self, count: int) -> list[int]:
        """Wait until so many numbers were counted."""
        await self.changed.when(lambda: len(self.seen) >= count)
        return self.seen


class Waiting(Probe):
    """Has started when its test says so."""

    async def started(  # type: ignore[override]
        self, may_start: Deferred[None], *names: str
    ) -> None:
        await super().started(*names)
        await may_start
        assert self.seen == []


class Raw(Protocol):
    """Somebody who speaks the wire by hand."""

    def __init__(self) -> None:
        self.heard = bytearray()
        self.lost = False
        self.changed = Gate()

    def say(self, data: bytes) -> None:
        """Send bytes."""
        assert self.transport is not None
        self.transport.write(data)

    def close(self) -> Deferred[None]:
        """Close the connection."""
        if self.transport is not None:
            self.transport.loseConnection()
        return self.changed.when(lambda: self.lost)

    def dataReceived(self, data: bytes) -> None:
        self.heard += data
        self.changed.look()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.lost = True
        self.changed.look()


class Doorkeeper:
    """Knows the ports that were opened, and the connections that they accepted."""

    def __init__(self) -> None:
        self.ports: list[IListeningPort] = []
        self.open: list[Any] = []
        self.accepted = 0
        self.changed = Gate()

    def port(self, index: int) -> int:
        """The number of the port that was opened as the first, second, ..."""
        number: int = getattr(self.ports[index].getHost(), "port", 0)
        return number

    def have_accepted(self, more: int) -> Deferred[None]:
        """Wait until so many more were let in."""
        all_in = self.accepted + more
        return self.changed.when(lambda: self.accepted >= all_in)

    def have_open(self, count: int) -> Deferred[None]:
        """Wait until no more than so many connections are open."""
        return self.changed.when(lambda: len(self.open) <= count)

    def note(self, protocol: Any) -> None:
        """Somebody was let in."""
        self.open.append(protocol)
        self.accepted += 1
        lost = protocol.connectionLost

        def connection_lost(reason: Failure) -> None:
            self.open.remove(protocol)
            lost(reason)
            self.changed.look()

        protocol.connectionLost = connection_lost
        self.changed.look()


@implementer(IStreamServerEndpoint)
class Watched:
    """An endpoint that tells a doorkeeper."""

    def __init__(self, endpoint: IStreamServerEndpoint, keeper: Doorkeeper) -> None:
        self._endpoint = endpoint
        self._keeper = keeper

    def listen(self, protocolFactory: IProtocolFactory) -> Deferred[IListeningPort]:
        def bound(port: IListeningPort) -> IListeningPort:
            self._keeper.ports.append(port)
            return port

        factory = WatchedFactory(protocolFactory, self._keeper)
        return self._endpoint.listen(factory).addCallback(bound)


@implementer(IProtocolFactory)
class WatchedFactory:
    """The factory of such an endpoint."""

    noisy = False

    def __init__(self, factory: IProtocolFactory, keeper: Doorkeeper) -> None:
        self._factory = factory
        self._keeper = keeper
        self.doStart = factory.doStart
        self.doStop = factory.doStop

    def buildProtocol(self, addr: IAddress) -> IProtocol | None:
        protocol = self._factory.buildProtocol(addr)
        self._keeper.note(protocol)
        return protocol


@implementer(IStreamServerEndpoint)
class Reserved:
    """A port that is nobody else's, and where nobody listens before `listen`."""

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self.socket = socket.socket()
        self.socket.bind((LOOPBACK, 0))
        self.socket.setblocking(False)
        #: Where it is.
        self.address = f"{LOOPBACK}:{self.socket.getsockname()[1]}"

    def listen(self, protocolFactory: IProtocolFactory) -> Deferred[IListeningPort]:
        self.socket.listen(128)
        # It takes its own descriptor of the socket, and closes this one.
        number = self.socket.detach()
        adopted = AdoptedStreamServerEndpoint(self._reactor, number, socket.AF_INET)
        return adopted.listen(protocolFactory)


class SocketTestCase(TestCase):
    """Starts nodes in this process, and checks what they leave behind."""

    timeout = 30
    limits = ConnectionLimits()

    def setUp(self) -> None:
        from twisted.internet import reactor

        self.reactor: Any = reactor
        self.failures: list[BootFailed] = []
        self.events = EventLoggingObserver()
        self.logged = Gate()
        for observer in (self.events, cast(ILogObserver, self._logged)):
            globalLogPublisher.addObserver(observer)
            self.addCleanup(globalLogPublisher.removeObserver, observer)

    def _logged(self, event: LogEvent) -> None:
        self.logged.look()

    def lines(self, word: str) -> list[str]:
        """Our own lines of the log with a word in them."""
        lines = [
            str(formatEvent(event))
            for event in self.events
            if str(event.get("log_namespace", "")).startswith("skynet_tw")
        ]
        return [line for line in lines if word in line]

    def reserve(self) -> Reserved:
        """A port of our own on which nobody listens."""
        reserved = Reserved(self.reactor)
        self.addCleanup(reserved.socket.close)
        return reserved

    def start(
        self,
        harbor: int,
        *actors: Start,
        keeper: Doorkeeper | None = None,
        reserved: Reserved | None = None,
        bind_only: bool = False,
        **options: Any,
    ) -> NodeService:
        """Start a node; it boots by itself.

        :param keeper: is told of its ports and of whom they let in.
        :param reserved: what to listen on at that address.
        :param bind_only: let it bind its ports, and start when the test says so.
        """
        server, client = endpoints(self.reactor)

        def listen(text: str) -> IStreamServerEndpoint:
            endpoint = server(text)
            if reserved is not None and text == reserved.address:
                endpoint = reserved
            return endpoint if keeper is None else Watched(endpoint, keeper)

        service = make_node(
            {"harbor": harbor, "address": ANY, **options},
            reactor=self.reactor,
            actors=actors,
            server=listen,
            client=client,
            on_failure=self.failures.append,
            connections=self.limits,
            retry_policy=lambda attempt: 0.01,
        )
        service.privilegedStartService()
        if not bind_only:
            service.startService()
        self.addCleanup(self.stop, service)
        return service

    def stop(self, service: NodeService) -> Deferred[None]:
        """Stop a node, once; its books must balance."""
        if not service.running:
            return succeed(None)
        node = service.node
        self.assertEqual(node.ledger.balance(node.status().ledger.waiting), 0)
        return service.stopService()

    def probe(self, service: NodeService) -> Probe:
        """The probe of a node."""
        actors = [context.actor for context in service.node.actors()]
        return next(actor for actor in actors if isinstance(actor, Probe))

    def turn(self) -> Deferred[None]:
        """Let the reactor go round once."""
        turned: Deferred[None] = Deferred()
        self.reactor.callLater(0, turned.callback, None)
        return turned

    async def network(self, *harbors: int) -> list[Probe]:
        """Boot nodes, the first with the master, each with a probe ``P`` and its id."""
        self.keepers = [Doorkeeper() for _ in harbors]
        self.services: list[NodeService] = []
        for harbor, keeper in zip(harbors, self.keepers, strict=True):
            where: dict[str, Any] = {"standalone": ANY}
            if self.services:
                where = {"master": f"{LOOPBACK}:{self.keepers[0].port(0)}"}
            actor = Start(Probe, (f"P{harbor}",))
            service = self.start(harbor, actor, keeper=keeper, **where)
            await service.node.when_ready()
            self.services.append(service)
        return [self.probe(service) for service in self.services]

    async def assert_mesh(self, *probes: Probe) -> None:
        """Each calls each by its name and by its handle."""
        for probe in probes:
            for other in probes:
                for dest in (f"P{other.node.harbor}", other.handle):
                    self.assertEqual(await probe.call(dest, "ECHO", 1), 1)

    async def connect(self, port: int, says: bytes = b"") -> Raw:
        """Connect somebody who is no node."""
        endpoint: IStreamClientEndpoint
        endpoint = TCP4ClientEndpoint(self.reactor, LOOPBACK, port)
        raw = await endpoint.connect(Factory.forProtocol(Raw))
        assert isinstance(raw, Raw)
        self.addCleanup(raw.close)
        if says:
            raw.say(says)
        return raw


class BootTests(SocketTestCase):
    """Boots on real ports."""

    async def test_any_order(self) -> None:
        """The master's node and two more boot in one process, in any order."""
        for order in permutations((1, 2, 3)):
            reserved = self.reserve()
            services: dict[int, NodeService] = {}
            for harbor in order:
                where: dict[str, Any] = {"master": reserved.address}
                if harbor == 1:
                    where = {"standalone": reserved.address, "reserved": reserved}
                actor = Start(Probe, (f"P{harbor}",))
                services[harbor] = self.start(harbor, actor, **where)
            ready = [service.node.when_ready() for service in services.values()]
            await gatherResults(ready)
            await self.assert_mesh(*map(self.probe, services.values()))
            stopping = [self.stop(service) for service in services.values()]
            await gatherResults([it for it in stopping if it is not None])
        self.assertEqual(self.failures, [])

    async def test_port_zero(self) -> None:
        """Of a port that the system chooses, all are told which it is."""
        keeper = Doorkeeper()
        one = self.start(1, keeper=keeper, standalone=ANY)
        await one.node.when_ready()
        master, harbor = keeper.port(0), keeper.port(1)
        self.assertEqual(
            self.lines("master listens on"),
            [f"master listens on {LOOPBACK}:{master}"],
        )
        self.assertEqual(len(self.lines(f"harbor 1 at {LOOPBACK}:{harbor} joined")), 1)

    async def test_stop(self) -> None:
        """A node that stops closes its ports and connections, and answers callers."""
        one, _ = await self.network(1, 2)
        call = one.call("P2", "HANG")
        await one.call("P2", "ECHO")
        numbers = [keeper.port(-1) for keeper in self.keepers]
        await self.services[1].stopService()
        with self.assertRaises(RemoteError):
            await call
        self.assertEqual(self.keepers[1].open, [])
        with self.assertRaises(ConnectionRefusedError):
            await self.connect(numbers[1])
        await self.services[0].stopService()
        self.assertEqual(self.keepers[0].open, [])
        with self.assertRaises(ConnectionRefusedError):
            await self.connect(numbers[0])

    async def failure(self, harbor: int, **options: Any) -> str:
        """The one line with which a boot fails."""
        try:
            service = self.start(harbor, **options)
            await service.node.when_ready()
        except BootFailed as error:
            line = str(error)
        else:
            self.fail("it booted")
        self.assertNotIn("\n", line)
        return line

    async def test_port_in_use(self) -> None:
        """A port in use fails the boot at once, with the role, the place and why."""
        taken = self.reserve()
        taken.socket.listen()
        why = f"{taken.address}: .*{os.strerror(errno.EADDRINUSE)}"
        line = await self.failure(1, standalone=ANY, address=taken.address)
        self.assertRegex(line, f"stage bound: harbor 1 cannot listen on {why}")
        line = await self.failure(1, standalone=taken.address)
        self.assertRegex(line, f"stage bound: the master cannot listen on {why}")

    async def test_id_taken(self) -> None:
        """An id that another node has fails the boot, and does not disturb that."""
        one, two = await self.network(1, 2)
        master = f"{LOOPBACK}:{self.keepers[0].port(0)}"
        line = await self.failure(2, master=master)
        self.assertRegex(line, f"stage master: .*{master} refuses harbor id 2")
        self.assertEqual([str(error) for error in self.failures], [line])
        await self.assert_mesh(one, two)

    async def test_master_never_there(self) -> None:
        """A master that is not there fails the boot in time, by its address."""
        where = self.reserve().address
        line = await self.failure(2, master=where, boot_timeout=0.2)
        self.assertRegex(
            line, f"stage master: .*0.2 s: the master at {where},.*refused"
        )

    async def test_inbound_before_ready(self) -> None:
        """Who knows our address may send at once: all waits, in order, for the end.

        This is what boots in stages alone do not solve.
        """
        may_start: Deferred[None] = Deferred()
        keeper = Doorkeeper()
        service = self.start(
            1,
            Start(Waiting, (may_start, "P1")),
            keeper=keeper,
            bind_only=True,
            standalone=ANY,
        )
        # The ports are bound, and that is all.
        raw = await self.connect(keeper.port(1), b"\x09")
        await raw.changed.when(lambda: bytes(raw.heard) == b"\x01")
        writer = FrameWriter()

        def numbered(numbers: range, session: int = 0) -> bytes:
            for i in numbers:
                payload = pack("COUNT", i)
                # SERVICE and DATACENTER are the first actors of a master's node.
                writer.send(0x01000003, 0x09000001, PType.LUA, session, payload)
            return writer.take()

        raw.say(numbered(range(500)))
        service.startService()
        raw.say(numbered(range(500, 1000)))
        while len(service.node.actors()) < 3:
            await self.turn()
        raw.say(numbered(range(1000, 1500)) + numbered(range(1500, 1501), 77))
        await self.probe(service).call("SERVICE", "LIST")
        while service.node.status().ledger.waiting < 1501:
            await self.turn()
        self.assertEqual(self.probe(service).seen, [])
        self.assertFalse(service.node.boot_report()[-1].state == "done")
        may_start.callback(None)
        await service.node.when_ready()
        seen = await self.probe(service).have_seen(1501)
        self.assertEqual(seen, list(range(1501)))
        reader = FrameReader()
        await raw.changed.when(lambda: len(raw.heard) > 1)
        [(source, destination, session, payload)] = reader.feed(bytes(raw.heard[1:]))
        self.assertEqual((source, session), (0x01000003, 77))
        self.assertEqual(destination, PType.RESPONSE << 24 | 1)
        self.assertEqual(unpack(payload), (1500,))


class MessageTests(SocketTestCase):
    """Messages between nodes that are ready."""

    async def test_exchange(self) -> None:
        """Names, calls, sends, answers and errors work between three nodes."""
        one, two, three = await self.network(1, 128, 255)
        await self.assert_mesh(one, two, three)
        table = {"pos": {"x": 1.5, "y": -2}, "list": [1, "two", True]}
        self.assertEqual(await one.call("P255", "ECHO", table, None), (table, None))
        one.send(two.handle, "COUNT", 7)
        self.assertEqual(await two.have_seen(1), [7])
        with self.assertRaises(RemoteError):
            await two.call("P1", "FAIL")
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)
        with self.assertRaises(RemoteError):
            await three.call(Handle.of(128, 0xFFFF), "ECHO")

    async def test_numbered(self) -> None:
        """20,000 numbered messages each way, at the same time, arrive in order."""
        one, two = await self.network(1, 2)
        one.send("P2", "FLOOD", int(one.handle), MANY)
        one.FLOOD(two.handle, MANY)
        for probe in (one, two):
            self.assertEqual(await probe.have_seen(MANY), list(range(MANY)))

    async def test_large(self) -> None:
        """1 MiB goes there and back; what the wire does not carry is refused."""
        one, two = await self.network(1, 2)
        blob = "0123456789abcdef" * 65536
        answers = [one.call("P2", "ECHO", blob), two.call("P1", "ECHO", blob)]
        for answer in answers:
            self.assertTrue(await answer == blob)
        with self.assertRaises(TooLarge):
            await one.call("P2", "ECHO", "x" * 16_777_216)

    async def test_link_lost(self) -> None:
        """After a link was cut all is linked again, in order, and nothing is twice."""
        one, two, _ = await self.network(1, 2, 3)
        for round in range(5):
            written = one.call(two.handle, "HANG")
            await one.call(two.handle, "COUNT", 3 * round)
            # The older node dialed the newer.
            [link] = [it for it in self.keepers[1].open if it.peer.harbor == 1]
            link.transport.abortConnection()
            with self.assertRaises(LinkLost):
                await written
            waiting = one.call(two.handle, "COUNT", 3 * round + 1)
            one.send(two.handle, "COUNT", 3 * round + 2)
            self.assertEqual(await waiting, 3 * round + 1)
        self.assertEqual(await two.have_seen(15), list(range(15)))


class StrangerTests(SocketTestCase):
    """Whoever else connects to the ports of a node."""

    limits = ConnectionLimits(handshake=0.4, strangers=64, stall=0.4)

    async def prepare(self) -> None:
        self.probes = await self.network(1, 2)
        self.ports = {
            "master's port": self.keepers[0].port(0),
            "port of harbor 1": self.keepers[0].port(1),
        }

    def dropped(self) -> int:
        """How many were dropped, as the log says."""
        lines = self.lines("dropped")
        counts = [re.search(r"dropped (\d+) more", line) for line in lines]
        return sum(int(count[1]) if count else 1 for count in counts)

    async def test_noise(self) -> None:
        """Bytes that are no protocol of ours cost their sender the connection."""
        await self.prepare()
        noises = [b"GET / HTTP/1.1\r\n\r\n", b"\xff" * 100_000, os.urandom(100_000)]
        keeper = self.keepers[0]
        before = len(keeper.open)
        for port in self.ports.values():
            for noise in noises:
                accepted = keeper.have_accepted(1)
                await self.connect(port, noise)
                await accepted
                await keeper.have_open(before)
        await self.logged.when(lambda: self.dropped() >= 2 * len(noises))
        self.assertEqual(self.dropped(), 2 * len(noises))
        await self.assert_mesh(*self.probes)

    async def test_reset(self) -> None:
        """A linked peer that says something and dies in the same moment is noticed."""
        await self.prepare()
        if (
            "uvloop"
            in type(getattr(self.reactor, "_asyncioEventloop", None)).__module__
        ):
            raise SkipTest("uvloop loses resets that come with data: its issue 552")
        with socket.socket() as peer:
            peer.connect((LOOPBACK, self.ports["port of harbor 1"]))
            peer.sendall(b"\x09")
            await self.logged.when(lambda: bool(self.lines("linked with harbor 9")))
            peer.sendall(b"\x00\x00")
            # To linger for no time is to reset the connection.
            linger = struct.pack("ii", 1, 0)
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        await self.logged.when(lambda: bool(self.lines("lost the link to harbor 9")))
        await self.assert_mesh(*self.probes)

    async def test_huge_length(self) -> None:
        """A length that no frame can have ends a link at once, and is logged once."""
        await self.prepare()
        raw = await self.connect(self.ports["port of harbor 1"], b"\x09")
        await raw.changed.when(lambda: bytes(raw.heard) == b"\x01")
        raw.say(b"\xff\xff\xff\xff" + bytes(100_000))
        await raw.changed.when(lambda: raw.lost)
        self.assertEqual(len(self.lines("dropped the link to harbor 9")), 1)
        await self.assert_mesh(*self.probes)

    async def test_half_a_frame(self) -> None:
        """Half a frame, or half a packet, that is left open is dropped in time."""
        await self.prepare()
        link = await self.connect(self.ports["port of harbor 1"], b"\x09")
        await link.changed.when(lambda: bytes(link.heard) == b"\x01")
        link.say((100_000).to_bytes(4, "big") + bytes(50_000))
        control = await self.connect(self.ports["master's port"], b"\x10\x0c")
        for raw in (link, control):
            await raw.changed.when(partial(getattr, raw, "lost"))
        self.assertEqual(len(self.lines("half a frame stood still")), 1)
        self.assertEqual(len(self.lines("did not say who it is")), 1)
        await self.assert_mesh(*self.probes)

    async def test_silent_crowd(self) -> None:
        """A thousand connections that say nothing cost a few places, for some time."""
        await self.prepare()
        count = self.room_for(SILENT)
        keeper = self.keepers[0]
        for what, port in self.ports.items():
            self.events._events.clear()
            crowd: list[socket.socket] = []
            before = len(keeper.open)
            most = 0
            while len(crowd) < count:
                # No more at once than can wait to be accepted.
                more = min(50, count - len(crowd))
                accepted = keeper.have_accepted(more)
                crowd.extend(self.silent(port) for _ in range(more))
                await accepted
                await self.turn()
                most = max(most, len(keeper.open) - before)
            # Those that had to make room may still be on their way out.
            self.assertLessEqual(most, self.limits.strangers + 50)
            await self.logged.when(lambda: self.dropped() >= count)
            await keeper.have_open(before)
            for member in crowd:
                self.assertTrue(self.is_closed(member))
                member.close()
            lines = self.lines("dropped")
            self.assertEqual(self.dropped(), count)
            self.assertTrue(all(line.startswith(what) for line in lines), lines)
            self.assertLess(len(lines), 30)
            await self.assert_mesh(*self.probes)

    def room_for(self, count: int) -> int:
        """Raise the limit of descriptors, and return how many may be opened."""
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = FAR_DESCRIPTOR + count + 256
        if soft != resource.RLIM_INFINITY and soft < wanted:
            most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
            self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
            return min(count, most - FAR_DESCRIPTOR - 256)
        return count

    def silent(self, port: int) -> socket.socket:
        """Connect a socket that the reactor does not know, on a high descriptor."""
        near = socket.socket()
        number = fcntl.fcntl(near.fileno(), fcntl.F_DUPFD_CLOEXEC, FAR_DESCRIPTOR)
        near.close()
        far = socket.socket(fileno=number)
        self.addCleanup(far.close)
        far.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            far.connect((LOOPBACK, port))
        return far

    def is_closed(self, sock: socket.socket) -> bool:
        """Whether the other side has closed a connection."""
        try:
            return sock.recv(1) == b""
        except ConnectionResetError:
            return True
        except BlockingIOError:
            return False


class DescriptorTests(SocketTestCase):
    """Descriptors beyond 1,024, which the select reactor cannot watch."""

    def setUp(self) -> None:
        super().setUp()
        self.selects = isinstance(self.reactor, SelectReactor)

    def high(self) -> Iterator[int]:
        """Open descriptors until all below 1,024 are taken."""
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        if soft != resource.RLIM_INFINITY and soft < 1100:
            raise SkipTest("the system allows no descriptors beyond 1,024")
        while True:
            number = os.open(os.devnull, os.O_RDONLY)
            self.addCleanup(os.close, number)
            if number >= 1024:
                return
            yield number

    async def test_port(self) -> None:
        """A port that the reactor cannot carry fails the boot, and is not just lost."""
        for _ in self.high():
            pass
        if self.selects:
            error = self.assertRaises(BootFailed, self.start, 1, standalone=ANY)
            self.assertRegex(
                str(error),
                r"stage bound: the master cannot listen on 127\.0\.0\.1:0: the select"
                r" reactor cannot carry descriptor \d{4}, only those below 1024",
            )
        else:
            await self.start(1, standalone=ANY).node.when_ready()

    async def test_connection(self) -> None:
        """A connection that the reactor cannot carry is dropped, and logged."""
        probes = await self.network(1, 2)
        near = socket.socket()
        for _ in self.high():
            pass
        near.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            near.connect((LOOPBACK, self.keepers[0].port(1)))
        self.addCleanup(near.close)
        if self.selects:
            await self.logged.when(lambda: bool(self.lines("the select reactor")))
            [line] = self.lines("the select reactor")
            self.assertRegex(line, r"dropped 127\.0\.0\.1:\d+ \(1 so far\)")
        else:
            keeper = self.keepers[0]
            await keeper.changed.when(lambda: bool(keeper.open))
        await self.assert_mesh(*probes)
