# -*- test-case-name: tests.net.test_network -*-
"""A network in memory, driven by a clock, that can be made to fail.

Nodes, masters and peers of a test listen on it and dial each other by ``host:port``,
through the endpoints that they would use over TCP.  With a `task.Clock` of Twisted
everything happens in the same order in each run; seeds vary that order::

    clock = Clock()
    network = MemoryNetwork(clock, seed=7, delay=(0.0, 0.02), chunk=5)
    network.server("10.0.0.1:2013").listen(HarborMasterFactory(clock))
    ...
    network.run(1.0)
    network.cut("10.0.0.1:2013")
"""

from __future__ import annotations

import errno
import os
from random import Random

from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import (
    CannotListenError,
    ConnectionRefusedError,
    TimeoutError,
)
from twisted.internet.interfaces import (
    IAddress,
    IDelayedCall,
    IListeningPort,
    IProtocol,
    IProtocolFactory,
    IStreamClientEndpoint,
    IStreamServerEndpoint,
)
from twisted.internet.task import Clock
from zope.interface import implementer

from .transport import MemoryTransport, Wire

#: Seconds until a connection fails to an address that does not answer at all.
CONNECT_TIMEOUT = 30.0


def parse(address: str) -> IPv4Address:
    """Read ``host:port``."""
    host, _, port = address.rpartition(":")
    return IPv4Address("TCP", host, int(port))


class MemoryNetwork:
    """Hosts and ports that exist only in this object.

    :param clock: what everything waits on.
    :param seed: chooses the delays and sizes below.
    :param delay: seconds, from and to, that each step of a connection takes.
    :param chunk: the most bytes that one read brings; 0 for no limit.
    """

    def __init__(
        self,
        clock: Clock,
        seed: int = 0,
        delay: tuple[float, float] = (0.0, 0.0),
        chunk: int = 0,
    ) -> None:
        self.clock = clock
        #: What all chance in this network comes from.
        self.random = Random(seed)
        self._delay = delay
        self._chunk = chunk
        self._ports: dict[tuple[str, int], MemoryPort] = {}
        self._next_port = 40000
        self._refusing: set[str] = set()
        self._silent: set[str] = set()
        #: The connections that are open, in the order in which they were made.
        self.wires: list[Wire] = []

    def server(self, address: str) -> IStreamServerEndpoint:
        """An endpoint to listen on; for port 0 a free one is chosen."""
        return MemoryServerEndpoint(self, parse(address))

    def client(self, address: str) -> IStreamClientEndpoint:
        """An endpoint to dial with."""
        return MemoryClientEndpoint(self, parse(address))

    def run(self, seconds: float, step: float = 0.01) -> None:
        """Let time pass in small steps."""
        self.clock.pump([step] * round(seconds / step))

    def cut(self, address: str) -> None:
        """Break all connections that were made to *address*, as a crash does."""
        for wire in self._wires_to(address):
            wire.cut()

    def refuse(self, address: str) -> None:
        """Refuse new connections to *address*, until `mend`."""
        self._refusing.add(address)

    def silence(self, address: str) -> None:
        """Lose everything on its way to or from *address*, until `mend`.

        Nobody notices: connections stay open, new ones wait for an answer.  Bytes
        arrive late, as they would when TCP sends them again.
        """
        self._silent.add(address)

    def mend(self, address: str) -> None:
        """Undo `refuse` and `silence`."""
        self._refusing.discard(address)
        self._silent.discard(address)
        for wire in self._wires_to(address):
            wire.pump()

    def connections(self, address: str) -> int:
        """How many connections to *address* are open."""
        return len(self._wires_to(address))

    def _wires_to(self, address: str) -> list[Wire]:
        return [wire for wire in self.wires if wire.address == address]

    # For the endpoints and wires

    def seconds_of_delay(self) -> float:
        """How long the next step takes."""
        return self.random.uniform(*self._delay)

    def bytes_of_read(self) -> int:
        """How many bytes the next read brings at most; 0 for no limit."""
        return self.random.randint(1, self._chunk) if self._chunk else 0

    def is_silent(self, address: str) -> bool:
        """Whether nothing gets through to or from *address*."""
        return address in self._silent

    def free_port(self) -> int:
        """A port number that nobody used before."""
        self._next_port += 1
        return self._next_port

    def open_port(self, address: IPv4Address, factory: IProtocolFactory) -> MemoryPort:
        """Listen.

        :raises CannotListenError: somebody does so already.
        """
        if address.port == 0:
            address = IPv4Address("TCP", address.host, self.free_port())
        key = (address.host, address.port)
        if key in self._ports:
            reason = OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))
            raise CannotListenError(address.host, address.port, reason)
        self._ports[key] = port = MemoryPort(self, address, factory)
        port.startListening()
        return port

    def close_port(self, address: IPv4Address) -> None:
        """Listen no more."""
        del self._ports[address.host, address.port]

    def listener(self, address: IPv4Address) -> MemoryPort | None:
        """Who listens there and takes connections, if anybody does."""
        if f"{address.host}:{address.port}" in self._refusing:
            return None
        return self._ports.get((address.host, address.port))


@implementer(IListeningPort)
class MemoryPort:
    """A port that is open."""

    def __init__(
        self, network: MemoryNetwork, address: IPv4Address, factory: IProtocolFactory
    ) -> None:
        self._network = network
        self._address = address
        self._listening = False
        #: What builds the protocols.
        self.factory = factory

    def startListening(self) -> None:
        """Tell the factory."""
        self._listening = True
        self.factory.doStart()

    def stopListening(self) -> Deferred[None]:
        """Close the port; connections stay."""
        if self._listening:
            self._listening = False
            self._network.close_port(self._address)
            self.factory.doStop()
        return succeed(None)

    def getHost(self) -> IAddress:
        """The address, with the port that was chosen."""
        return self._address


@implementer(IStreamServerEndpoint)
class MemoryServerEndpoint:
    """Listens on a memory network."""

    def __init__(self, network: MemoryNetwork, address: IPv4Address) -> None:
        self._network = network
        self._address = address

    def listen(self, protocolFactory: IProtocolFactory) -> Deferred[IListeningPort]:
        """Listen at once."""
        try:
            port = self._network.open_port(self._address, protocolFactory)
        except CannotListenError:
            return fail()
        return succeed(port)


@implementer(IStreamClientEndpoint)
class MemoryClientEndpoint:
    """Dials on a memory network."""

    def __init__(self, network: MemoryNetwork, address: IPv4Address) -> None:
        self._network = network
        self._address = address

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        """Connect after the network's delay."""
        network, address = self._network, self._address
        text = f"{address.host}:{address.port}"
        deadline = network.clock.seconds() + CONNECT_TIMEOUT
        attempt: IDelayedCall
        connected: Deferred[IProtocol] = Deferred(lambda _: attempt.cancel())

        def try_it() -> None:
            nonlocal attempt
            if network.is_silent(text):
                if network.clock.seconds() >= deadline:
                    connected.errback(TimeoutError())
                else:
                    attempt = network.clock.callLater(1.0, try_it)
                return
            port = network.listener(address)
            if port is None:
                connected.errback(ConnectionRefusedError())
                return
            self._connect(port, text, protocolFactory, connected)

        attempt = network.clock.callLater(network.seconds_of_delay(), try_it)
        return connected

    def _connect(
        self,
        port: MemoryPort,
        text: str,
        factory: IProtocolFactory,
        connected: Deferred[IProtocol],
    ) -> None:
        network = self._network
        here = IPv4Address("TCP", "127.0.0.1", network.free_port())
        wire = Wire(network.clock, text, network)
        network.wires.append(wire)
        wire.on_closed = lambda: network.wires.remove(wire)
        server = port.factory.buildProtocol(here)
        client = factory.buildProtocol(self._address)
        assert client is not None
        ours = MemoryTransport(wire, client, here, self._address)
        theirs = MemoryTransport(wire, server, self._address, here)
        wire.join(ours, theirs)
        client.makeConnection(ours)
        connected.callback(client)
        if server is None:
            theirs.abortConnection()
        else:
            server.makeConnection(theirs)
