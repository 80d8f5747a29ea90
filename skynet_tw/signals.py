# -*- test-case-name: tests.test_cli -*-
"""How a process that runs a node ends, in order or at once; and what SIGHUP does."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from .node.node import Node

#: Seconds from the second signal on, after which the process ends whatever an actor's
#: code does; it may be blocking the reactor.
PATIENCE = 1.0


class Shutdown:
    """Stops the reactor, and with it the node, once.

    At SIGTERM and SIGINT the process stops in order and ends with 0.  Twisted's own
    handlers stop in order as well, but then kill the process by the same signal, so
    that its exit status would be that of a crash.  A second signal gives the actors no
    more time.  At SIGHUP it looks again where the nodes of its cluster are.
    """

    _log = Logger()

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        #: The node, once there is one.
        self.node: Node | None = None
        #: Looks where the nodes of its cluster are.
        self.reload: Callable[[], Deferred[None]] | None = None
        self._signals = 0
        self._stopped = False

    def install(self) -> None:
        """Take the signals; the reactor runs, and has taken them itself."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._signalled)
        if hasattr(signal, "SIGHUP"):
            signal.signal(
                signal.SIGHUP, lambda *_: self._reactor.callFromThread(self._reload)
            )

    def _reload(self) -> None:
        if self.reload is None:
            return

        def failed(failure: Failure) -> None:
            self._log.warn(
                "SIGHUP: the nodes of the cluster stay as they were: {reason}",
                reason=failure.getErrorMessage(),
            )

        self.reload().addCallbacks(
            lambda _: self._log.info("SIGHUP: looked again where the nodes are"),
            failed,
        )

    def stop(self) -> None:
        """Stop the reactor in order, if nobody did."""
        if self._reactor.running and not self._stopped:
            self._stopped = True
            self._reactor.stop()

    def _signalled(self, number: int, frame: object) -> None:
        self._signals += 1
        self._reactor.callFromThread(self._stop, number, self._signals)
        if self._signals == 2 and hasattr(signal, "setitimer"):
            signal.signal(signal.SIGALRM, self._give_up)
            signal.setitimer(signal.ITIMER_REAL, PATIENCE)

    def _stop(self, number: int, times: int) -> None:
        name = signal.Signals(number).name
        if times == 1:
            self._log.info("{name}: the node stops", name=name)
            self.stop()
        elif times == 2 and self.node is not None:
            self._log.warn("{name} again: the node stops at once", name=name)
            self.stop()
            self.node.stop(now=True)

    def _give_up(self, number: int, frame: object) -> None:
        text = "skynet: an actor's code does not return: the process ends at once\n"
        sys.stderr.write(text)
        sys.stderr.flush()
        os._exit(1)
