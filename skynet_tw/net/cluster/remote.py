# -*- test-case-name: tests.network.test_cluster -*-
"""A node's part in a cluster: its ports, its clients, and its links to other nodes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from twisted.internet.defer import Deferred, fail, gatherResults, maybeDeferred, succeed
from twisted.internet.interfaces import (
    IListeningPort,
    IReactorTime,
    IStreamClientEndpoint,
    IStreamServerEndpoint,
)
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from ...errors import BootFailed, PeerDown
from ...interfaces import ICluster, IClusterReceiver, INodeDirectory, LinkInfo
from ...oneshot import OneShot
from ...repeater import Repeater
from ...text import shown
from ..kit.closing import close_within, stop_listening
from ..kit.limits import ConnectionLimits
from ..kit.member import DEFAULT_RETRY_POLICY, bound_address, cannot_listen
from .nodes import Nodes
from .serving import Clients

#: Largest body of a request or of a result, in bytes.  The wire carries 4 GiB; an end
#: of ours refuses what would take its memory.
MAX_PAYLOAD = 64 * 1024 * 1024


@implementer(ICluster)
class Cluster:
    """What joins a node with the other nodes of a cluster.

    :param server: turns an address into an endpoint to listen on.
    :param dial: turns an address into an endpoint to connect to; what it raises fails
        the attempt.
    :param clock: schedules everything.
    :param listen: what to open at the boot: names of nodes, addresses.
    :param nodes: where the nodes are, as far as that is known before the boot.
    :param directory: where the nodes are found; None where `reload` tells the rest.
    :param name: what the directory is to call us, if it publishes its nodes.
    :param address: where it is to say that we are, with port 0 for the one that is
        bound first; by default what is bound first.
    :param required: the nodes to be linked before the boot goes on.
    :param waiting: whether what is for an absent node waits for it.
    :param retry_policy: seconds to wait after so many failed attempts in a row.
    :param limits: what clients, and nodes that stall, may cost.
    """

    _log = Logger()

    max_payload = MAX_PAYLOAD

    def __init__(
        self,
        server: Callable[[str], IStreamServerEndpoint],
        dial: Callable[[str], IStreamClientEndpoint],
        clock: IReactorTime,
        *,
        listen: Iterable[str] = (),
        nodes: Mapping[str, str | bool] | None = None,
        directory: INodeDirectory | None = None,
        name: str = "",
        address: str = "",
        required: Iterable[str] = (),
        waiting: bool = True,
        retry_policy: Callable[[int], float] = DEFAULT_RETRY_POLICY,
        limits: ConnectionLimits | None = None,
    ) -> None:
        self.clock = clock
        self.limits = limits or ConnectionLimits()
        self.retry_policy = retry_policy
        self.dial = dial
        self.paused = False
        self._server = server
        self._listen = list(listen)
        self._directory = directory
        #: Whether the directory was asked at all.
        self._looking = False
        self._name = name
        self._told = address
        self._required = list(required)
        self._nodes = Nodes(self, nodes or {}, waiting)
        self._clients = Clients(self)
        #: What is bound, and where that is.
        self._ports: list[tuple[str, IListeningPort]] = []
        self._sweeper = Repeater(self._sweep, self.limits.sweep, clock)
        self._reached = OneShot()
        self._reaching = False
        self._left: OneShot | None = None
        self._receiver: IClusterReceiver | None = None

    def attach(self, receiver: IClusterReceiver) -> None:
        """Say, before anything else, who is told what happens."""
        self._receiver = receiver

    @property
    def receiver(self) -> IClusterReceiver:
        """Who is told what happens."""
        assert self._receiver is not None, "attach a receiver first"
        return self._receiver

    def addresses(self) -> list[str]:
        """What is bound, in the order in which it was."""
        return [address for address, _ in self._ports]

    # The boot

    def bind(self) -> Deferred[None]:
        """Bind what is to be opened at the boot, at once.

        A node whose address only a directory knows is opened by `reach`.

        :returns: fails with `BootFailed` if a port cannot be bound.
        """
        later = [where for where in self._listen if self._address(where) is None]
        binding = [self.open(where) for where in self._listen if where not in later]
        self._listen = later
        return gatherResults(binding, consumeErrors=True).addCallbacks(
            lambda _: None, _first_error
        )

    def _address(self, where: str) -> str | None:
        """The address of what is to be opened, None if nobody knows it."""
        return self._nodes.table.address(where) if _is_name(where) else where

    def reach(self) -> Deferred[None]:
        """Find the nodes, open what is listened on by name, link who is required."""
        self._reaching = True
        return Deferred.fromCoroutine(self._reach())

    async def _reach(self) -> None:
        directory = self._directory
        if directory is not None:
            self._looking = True
            await directory.start(self._nodes.found, self._own())
        for where in self._listen:
            await self.open(where)
        self._nodes.need(self._required)
        self.changed()
        await self._reached.when()

    def _own(self) -> dict[str, str]:
        """What the directory is to publish of this node."""
        if not (self._name and self._ports):
            return {}
        first, port = self._ports[0]
        return {self._name: bound_address(self._told, port) if self._told else first}

    def waiting_for(self) -> list[str]:
        """Say in words what `reach` still waits for, and why."""
        if not self._reaching:
            return []
        found = self._directory and self._directory.waiting_for()
        if found:
            return [found]
        missing = self._nodes.missing(self._required)
        return [self._nodes.describe(name) for name in missing]

    def changed(self) -> None:
        """A node is linked, or it was not reached."""
        if self._reaching and not self._nodes.missing(self._required):
            self._reaching = False
            self._nodes.need(())
            self._reached.fire()

    def serve(self) -> None:
        """Read what the clients ask, from now on."""
        self._clients.serve()

    def open(self, where: str) -> Deferred[str]:
        """Listen, too; see `ICluster.open`."""
        if self._left is not None:
            return fail(_leaving())
        address = self._address(where)
        if address is None:
            wrong = f"no node table says where {shown(where, 80)} is"
            return fail(BootFailed(f"cluster cannot listen: {wrong}"))
        return self._listen_on(address)

    def _listen_on(self, address: str) -> Deferred[str]:
        def bound(port: IListeningPort) -> str | Deferred[str]:
            if self._left is not None:
                return stop_listening(port).addCallback(lambda _: fail(_leaving()))
            real = bound_address(address, port)
            self._ports.append((real, port))
            self._sweeper.start()
            self._log.info("cluster listens on {address}", address=real)
            return real

        def refused(failure: Failure) -> str:
            raise cannot_listen("cluster", address, failure) from None

        def listen() -> Deferred[IListeningPort]:
            return self._server(address).listen(self._clients)

        listening: Deferred[IListeningPort] = maybeDeferred(listen)
        return listening.addCallbacks(bound, refused)

    # Nodes that we call

    def reload(
        self, changes: Mapping[str, str | bool | None] | None = None
    ) -> Deferred[None]:
        """Look again where the nodes are, or be told; see `ICluster.reload`."""
        if changes is not None:
            return self._nodes.tell(changes)
        if self._directory is None or not self._looking:
            # The boot will look; a directory is asked nothing before it has started.
            return succeed(None)
        looked = self._directory.refresh()
        return looked.addCallback(lambda _: self._nodes.when_settled())

    def nodes(self) -> dict[str, str]:
        """The nodes whose addresses are known, see `ICluster.nodes`."""
        return self._nodes.table.nodes()

    def nodes_other_than(self, known: Mapping[str, str]) -> Deferred[dict[str, str]]:
        """Wait until the nodes are others, see `ICluster.nodes_other_than`."""
        return self._nodes.table.nodes_other_than(known)

    def want(self, node: str) -> None:
        """A message is for a node: make a link to it, see `ICluster.want`."""
        if self._left is not None:
            raise PeerDown("this node leaves")
        self._sweeper.start()
        self._nodes.want(node)

    def linked(self) -> list[str]:
        """List the nodes that are linked now, in order."""
        return self._nodes.linked()

    def links(self) -> list[LinkInfo]:
        """Describe the links to nodes, by their names, then those of clients."""
        return self._nodes.infos() + self._clients.infos()

    def pause_reading(self) -> None:
        """Read nobody until `resume_reading`."""
        if not self.paused:
            self.paused = True
            self._read()

    def resume_reading(self) -> None:
        """Read all again."""
        if self.paused:
            self.paused = False
            self._read()

    def _read(self) -> None:
        self._nodes.read()
        self._clients.read()

    def _sweep(self) -> None:
        self._nodes.sweep()
        self._clients.sweep()

    # The end

    def leave(self) -> Deferred[None]:
        """Write what is left, then close all connections and ports."""
        if self._left is None:
            left = self._left = OneShot()
            self._reached.fail(lambda: BootFailed("this node left before it was ready"))
            self._sweeper.stop()
            self._nodes.table.close()
            closing: list[Deferred[Any]] = []
            if self._directory is not None:
                closing.append(maybeDeferred(self._directory.stop))
            closing += [stop_listening(port) for _, port in self._ports]
            closing += [self._nodes.close(), self._clients.close()]
            # Links see to that themselves, as when they are closed one by one.
            close_within(
                self.limits.close, self.clock, closing, self._clients.abort
            ).addCallback(lambda _: left.fire())
        return self._left.when()


def _leaving() -> BootFailed:
    return BootFailed("cluster cannot listen: this node leaves")


def _is_name(where: str) -> bool:
    """Whether this is the name of a node, and no address."""
    return ":" not in where


def _first_error(failure: Failure) -> Any:
    failure.value.subFailure.raiseException()  # type: ignore[union-attr]
