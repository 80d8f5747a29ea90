# -*- test-case-name: tests.test_tap -*-
"""``twistd skynet``: where a node is put together.

The composition root, and the only place that takes Twisted's reactor.
"""

from __future__ import annotations

import atexit
import os
import sys
from collections.abc import Callable, Sequence
from functools import partial
from types import TracebackType
from typing import Any, TypeVar

from twisted.application.service import IService
from twisted.internet.interfaces import (
    IReactorTime,
    IStreamClientEndpoint,
    IStreamServerEndpoint,
)
from twisted.internet.selectreactor import SelectReactor
from twisted.logger import Logger

from . import addresses
from .allocator import keep_large_blocks
from .boot import Boot, Start
from .descriptors import SelectServerEndpoint
from .errors import BadAddress, BootFailed
from .logs import keep_every_event
from .net.harbor.master import HarborMasterFactory
from .net.harbor.remote import HarborRemote
from .net.harbor2013.master import HarborMasterFactory2013
from .net.harbor2013.remote import HarborRemote2013
from .net.kit.limits import ConnectionLimits
from .net.kit.master_port import MasterPort
from .net.kit.member import DEFAULT_RETRY_POLICY
from .node.datacenter import DataCenter
from .node.limits import Limits
from .node.node import Node
from .node.services import UniqueServices
from .options import Config, Options, load_start
from .reasons import one_line
from .service import NodeService
from .signals import Shutdown

__all__ = ["Options", "build", "endpoints", "makeService"]

_log = Logger()

_E = TypeVar("_E")


def makeService(options: Options) -> IService:
    """Put the node together that *options* describe; Twisted runs it."""
    from twisted.internet import reactor

    _show_boot_failures_in_one_line()
    keep_large_blocks()
    config = options.config
    sys.path[:0] = map(os.path.abspath, config.path)
    try:
        starts = [load_start(text) for text in config.start]
        # First, so that whoever reads "node ready" may send a signal.
        shutdown = Shutdown(reactor)
        reactor.callWhenRunning(shutdown.install)
        service = build(
            config,
            starts,
            reactor,
            *endpoints(reactor),
            _stop_with_failure(reactor),
            reactor.callWhenRunning,
        )
    except (BadAddress, ValueError) as error:
        raise BootFailed(str(error)) from error
    shutdown.node = service.node
    service.node.on_shutdown = shutdown.stop
    return keep_every_event(service, options.parent, reactor)


def build(
    config: Config,
    starts: Sequence[Start],
    clock: IReactorTime,
    server: Callable[[str], IStreamServerEndpoint],
    client: Callable[[str], IStreamClientEndpoint],
    on_failure: Callable[[BootFailed], None],
    when_running: Callable[[Callable[[], None]], object] = lambda begin: begin(),
    *,
    limits: ConnectionLimits | None = None,
    queues: Limits | None = None,
    retry_policy: Callable[[int], float] = DEFAULT_RETRY_POLICY,
) -> NodeService:
    """Put a node together.

    :param clock: gives the time to all of it.
    :param server: makes the endpoint to listen on of HOST:PORT or an endpoint string.
    :param client: makes the endpoint to connect to of the same.
    :param on_failure: told when the boot fails after the ports were bound.
    :param when_running: calls a function once the reactor runs.
    :param limits: what strangers and stalled peers may cost.
    :param queues: how much may wait in each queue of the node.
    :param retry_policy: seconds to wait after so many failed attempts in a row, to
        reach the master or another harbor.
    :raises BadAddress: an endpoint string is malformed.
    """
    is_2013 = config.wire == "2013"
    master: MasterPort | None = None
    if config.standalone is not None:
        factory: HarborMasterFactory | HarborMasterFactory2013
        if is_2013:
            factory = HarborMasterFactory2013(clock, client, retry_policy, limits)
        else:
            factory = HarborMasterFactory(clock, limits)
        port = addresses.Reachable(
            _endpoint("standalone", server, config.standalone), client
        )
        master = MasterPort(factory, port, config.standalone, port.dial)
        starts = [Start(UniqueServices), Start(DataCenter), *starts]
    remote: HarborRemote | HarborRemote2013 | None = None
    if config.harbor:
        way: IStreamClientEndpoint
        if master is not None and config.master == config.standalone:
            way = master
        else:
            way = _endpoint("master", client, config.master)
        listen = (
            _endpoint("address", server, config.address)
            if config.listen is None
            else _endpoint("listen", server, config.listen)
        )
        remote = (HarborRemote2013 if is_2013 else HarborRemote)(
            config.harbor,
            config.address,
            listen,
            way,
            client,
            clock,
            master_address=way if way is master else config.master,
            retry_policy=retry_policy,
            limits=limits,
        )
    node = Node(
        clock,
        remote,
        call_timeout=config.call_timeout,
        limits=queues,
        stop_grace=config.stop_grace,
    )
    boot = Boot(
        node,
        remote,
        clock,
        starts,
        () if master is None else (master.bind,),
        config.boot_timeout,
    )
    return NodeService(
        node,
        boot,
        remote,
        on_failure,
        () if master is None else (master.close,),
        when_running,
    )


def _endpoint(name: str, make: Callable[[str], _E], text: str) -> _E:
    """Make the endpoint of an option, and name the option if that fails."""
    try:
        return make(text)
    except BadAddress as error:
        raise BadAddress(f"--{name}: {error}") from error


def endpoints(
    reactor: Any,
) -> tuple[
    Callable[[str], IStreamServerEndpoint], Callable[[str], IStreamClientEndpoint]
]:
    """How to listen on, and to connect to, an address over a reactor's sockets."""
    server = partial(addresses.server, reactor)
    client = partial(addresses.client, reactor)
    if isinstance(reactor, SelectReactor):
        return lambda text: SelectServerEndpoint(server(text), reactor), client
    return server, client


def _show_boot_failures_in_one_line() -> None:
    """Let Python end with one line, not a traceback, when a boot fails at once."""
    show = sys.excepthook

    def in_one_line(
        kind: type[BaseException], error: BaseException, trace: TracebackType | None
    ) -> None:
        if isinstance(error, BootFailed):
            sys.stderr.write(f"skynet: {one_line(str(error))}\n")
        else:
            show(kind, error, trace)

    sys.excepthook = in_one_line


def _stop_with_failure(reactor: Any) -> Callable[[BootFailed], None]:
    """What to do when the boot fails while the reactor runs."""

    def stop(error: BootFailed) -> None:
        _log.critical("{error}", error=error)
        # twistd ends with 0 whenever its reactor returns. This runs after it has
        # removed its pid file and written its last line.
        atexit.register(_exit, 1)
        reactor.stop()

    return stop


def _exit(status: int) -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)
