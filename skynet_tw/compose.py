# -*- test-case-name: tests.test_compose -*-
"""Where a node is put together: for ``twistd skynet``, for tests, for any program.

Nothing here touches the process that the node lives in: no signal handler, no log
observer, no import path, no reactor but the one that is passed in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from twisted.internet.interfaces import (
    IReactorTCP,
    IReactorTime,
    IStreamClientEndpoint,
    IStreamServerEndpoint,
)
from twisted.internet.selectreactor import SelectReactor

from . import addresses
from .boot import Boot
from .config import Config, check, keys_of
from .descriptors import SelectServerEndpoint
from .discovery.file import FileDirectory
from .discovery.nodetable import load
from .discovery.specs import directory
from .errors import BadAddress, BootFailed
from .interfaces import INodeDirectory, IRemote
from .net.cluster.remote import Cluster
from .net.cluster.table import checked
from .net.kit.limits import ConnectionLimits
from .net.kit.master_port import MasterPort
from .net.kit.member import DEFAULT_RETRY_POLICY
from .net.wires import WIRES
from .node.actor import Actor
from .node.datacenter import DataCenter
from .node.limits import Limits
from .node.node import Node
from .node.services import UniqueServices
from .reasons import one_line
from .service import NodeService
from .starts import Start, load_start
from .text import shown

__all__ = ["endpoints", "make_node"]

#: Turn an address, HOST:PORT or an endpoint string, into an endpoint.
Server = Callable[[str], IStreamServerEndpoint]
Client = Callable[[str], IStreamClientEndpoint]

_E = TypeVar("_E")


def make_node(
    config: Config | Mapping[str, Any] | None = None,
    reactor: IReactorTime | None = None,
    actors: Iterable[type[Actor] | Start] = (),
    *,
    server: Server | None = None,
    client: Client | None = None,
    on_failure: Callable[[BootFailed], object] | None = None,
    limits: Limits | None = None,
    connections: ConnectionLimits | None = None,
    retry_policy: Callable[[int], float] = DEFAULT_RETRY_POLICY,
) -> NodeService:
    """Put a node together, for any program that runs Twisted.

    Nothing happens before the service starts, and nothing of the process is touched
    even then: signal handlers, log observers, ``sys.path`` and ``sys.excepthook`` stay
    the program's own.  Any number of nodes may live in one process.

    :param config: what a node is told, with the keys of ``--config`` (``{"harbor": 2,
        "master": "10.0.0.1:2013"}``); all but ``path``, as the import path belongs to
        the program.  ``cluster_nodes`` may be a table, ``cluster_directory`` what
        provides `INodeDirectory`.  Without any, the node is a network of one, on
        loopback.
    :param reactor: runs the node.  With *server* and *client*, a `task.Clock` will do.
    :param actors: what the node starts, in order, after those of the key ``start``:
        classes, or a `Start` with arguments.
    :param server: makes the endpoint to listen on of HOST:PORT or an endpoint string;
        by default one of *reactor*.
    :param client: makes the endpoint to connect to of the same.
    :param on_failure: told when the boot fails after the ports were bound; by default
        that is one line in the log.  The node stays as it is until it is stopped.
    :param limits: how much may wait in each queue of the node.
    :param connections: what strangers and stalled peers may cost.
    :param retry_policy: seconds to wait after so many failed attempts in a row, to
        reach the master or another harbor.
    :returns: an `IService` with the attribute ``node`` and the method ``when_ready``.
        Its ``startService`` raises `BootFailed` if a port cannot be bound; its
        ``stopService`` returns a Deferred and leaves nothing behind.  It starts once.
    :raises BootFailed: *config* is wrong; one line says which key, which value and why.
    :raises TypeError: an actor is none, or *reactor* is none, or has no sockets to use.
    """
    if not IReactorTime.providedBy(reactor):
        raise TypeError(f"a reactor, or a clock, is wanted, not {shown(reactor)}")
    named = "--{}".format if isinstance(config, Config) else "config[{!r}]".format
    try:
        if not isinstance(config, Config):
            config = check(keys_of(config or {}, "config"), named)
        if config.path:
            raise ValueError(f"{named('path')}: the import path is the program's own")
        starts = [load_start(text, named("start")) for text in config.start]
        starts += map(_start, actors)
        if server is None or client is None:
            sockets = _sockets(config, reactor)
            server, client = server or sockets[0], client or sockets[1]
        net = _Net(config, named, reactor, server, client, connections, retry_policy)
        master = net.master()
        harbor = net.harbor(master)
        cluster = net.cluster()
    except ValueError as error:
        raise BootFailed(one_line(str(error))) from error
    if master is not None:
        starts = [Start(UniqueServices), Start(DataCenter), *starts]
    node = Node(
        reactor,
        harbor,
        cluster=cluster,
        call_timeout=config.call_timeout,
        limits=limits,
        stop_grace=config.stop_grace,
    )
    remotes = [] if harbor is None else [harbor]
    binders = [] if master is None else [master.bind]
    closers = [] if master is None else [master.close]
    boot = Boot(node, remotes, reactor, starts, binders, config.boot_timeout, cluster)
    when_running = getattr(reactor, "callWhenRunning", _at_once)
    layers = [*remotes, cluster]
    service = NodeService(node, boot, layers, on_failure, closers, when_running)
    service.cluster = cluster
    return service


def endpoints(reactor: Any) -> tuple[Server, Client]:
    """How to listen on, and to connect to, an address over a reactor's sockets."""
    server = partial(addresses.server, reactor)
    client = partial(addresses.client, reactor)
    if isinstance(reactor, SelectReactor):
        return lambda text: SelectServerEndpoint(server(text), reactor), client
    return server, client


@dataclass(frozen=True, slots=True)
class _Net:
    """Makes those parts of a node that have sockets."""

    config: Config
    #: Says where a key of the configuration was given.
    named: Callable[[str], str]
    clock: IReactorTime
    server: Server
    client: Client
    limits: ConnectionLimits | None
    retry_policy: Callable[[int], float]

    def master(self) -> MasterPort | None:
        """The master's port, where this node runs it."""
        address = self.config.standalone
        if address is None:
            return None
        make = WIRES[self.config.wire].load().master
        factory = make(self.clock, self.client, self.retry_policy, self.limits)
        listen = self._endpoint("standalone", self.server, address)
        port = addresses.Reachable(listen, self.client)
        return MasterPort(factory, port, address, port.dial)

    def harbor(self, master: MasterPort | None) -> IRemote | None:
        """The member of a network of harbors, where this node is one.

        :param master: the master of this node.
        """
        config = self.config
        if not config.harbor:
            return None
        way: IStreamClientEndpoint
        master_address: object
        if master is not None and config.master == config.standalone:
            way, master_address = master, master
        else:
            way = self._endpoint("master", self.client, config.master)
            master_address = config.master
        listen = (
            self._endpoint("address", self.server, config.address)
            if config.listen is None
            else self._endpoint("listen", self.server, config.listen)
        )
        return (
            WIRES[config.wire]
            .load()
            .member(
                config.harbor,
                config.address,
                listen,
                way,
                self.client,
                self.clock,
                master_address=master_address,
                retry_policy=self.retry_policy,
                limits=self.limits,
            )
        )

    def cluster(self) -> Cluster:
        """The cluster, which may have no port and no table before it is told."""
        config = self.config
        for where in config.cluster_listen:
            if ":" in where:
                self._endpoint("cluster_listen", self.server, where)
        nodes, directory = self._directory()
        if config.cluster_name and not (directory and directory.publishes):
            wrong = f"{shown(config.cluster_name)}: it is for a directory that"
            advice = "publishes nodes: --cluster-directory etcd:URL"
            raise ValueError(f"{self.named('cluster_name')} {wrong} {advice}")
        return Cluster(
            self.server,
            self.client,
            self.clock,
            listen=config.cluster_listen,
            nodes=nodes,
            directory=directory,
            name=config.cluster_name,
            address=config.cluster_address or "",
            required=config.cluster_require,
            waiting=config.cluster_absent == "wait",
            retry_policy=self.retry_policy,
            limits=self.limits,
        )

    def _directory(self) -> tuple[Mapping[str, Any], INodeDirectory | None]:
        """Where the nodes are, as far as it is known, and what knows the rest."""
        config = self.config
        told = config.cluster_directory
        if told is not None:
            if not isinstance(told, str):
                return {}, told
            try:
                return {}, directory(told, self.clock)
            except ValueError as error:
                raise ValueError(f"{self.named('cluster_directory')} {error}") from None
        nodes = config.cluster_nodes or {}
        if not isinstance(nodes, str):
            try:
                return checked(nodes), None
            except BadAddress as error:
                raise ValueError(f"{self.named('cluster_nodes')}: {error}") from None
        try:
            view = load(nodes).view
        except ValueError as error:
            raise ValueError(f"{self.named('cluster_nodes')} {error}") from None
        return view, FileDirectory(nodes, self.clock, 0)

    def _endpoint(self, key: str, make: Callable[[str], _E], text: str) -> _E:
        """Make the endpoint that a key asks for, and name the key if that fails."""
        try:
            return make(text)
        except BadAddress as error:
            raise BadAddress(f"{self.named(key)}: {error}") from error


def _start(actor: type[Actor] | Start) -> Start:
    start = actor if isinstance(actor, Start) else Start(actor)
    kind: object = start.actor_class
    if not (isinstance(kind, type) and issubclass(kind, Actor)):
        raise TypeError(
            f"a subclass of Actor, or a Start, is wanted, not {shown(kind)}"
        )
    return start


def _sockets(config: Config, reactor: IReactorTime) -> tuple[Server, Client]:
    if IReactorTCP.providedBy(reactor):
        return endpoints(reactor)
    if not (config.harbor or config.standalone or config.cluster_listen):
        return _no_sockets(reactor), _no_sockets(reactor)
    raise TypeError(f"{shown(reactor)} has no sockets: give a server and a client")


def _no_sockets(reactor: IReactorTime) -> Callable[[str], Any]:
    """What refuses each address, for a node that needs none to boot."""

    def refuse(address: str) -> Any:
        raise BadAddress(f"{shown(reactor)} has no sockets for {shown(address)}")

    return refuse


def _at_once(begin: Callable[[], None]) -> None:
    """Run what is to run on a reactor that cannot say when it runs, as a clock."""
    begin()
