# -*- test-case-name: tests.test_cli -*-
"""``twistd skynet``: a node that has a process of its own.

What is the process' is here: its signals, its exit status, its import path, its memory,
and Twisted's reactor, which no other module takes.
"""

from __future__ import annotations

import atexit
import os
import sys
from collections.abc import Callable
from dataclasses import replace
from types import TracebackType
from typing import Any

from twisted.application.service import IService
from twisted.logger import Logger

from .allocator import keep_large_blocks
from .compose import make_node
from .errors import BootFailed
from .logs import keep_every_event
from .options import Options
from .reasons import one_line
from .signals import Shutdown

__all__ = ["Options", "makeService"]

_log = Logger()


def makeService(options: Options) -> IService:
    """Put the node together that *options* describe; Twisted runs it."""
    from twisted.internet import reactor

    _show_boot_failures_in_one_line()
    keep_large_blocks()
    config = options.config
    sys.path[:0] = map(os.path.abspath, config.path)
    service = make_node(
        replace(config, path=()),
        reactor=reactor,
        on_failure=_stop_with_failure(reactor),
    )
    shutdown = Shutdown(reactor)
    # Before the boot begins: whoever reads "node ready" may send a signal.
    reactor.callWhenRunning(shutdown.install)
    shutdown.node = service.node
    shutdown.reload = service.cluster.reload
    service.node.on_shutdown = shutdown.stop
    return keep_every_event(service, options.parent, reactor)


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
