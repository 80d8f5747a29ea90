"""Nodes as processes, for tests on real sockets: ours, and real Skynet's."""

from __future__ import annotations

import os
import re
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import ProcessExitedAlready
from twisted.internet.protocol import ProcessProtocol
from twisted.python.failure import Failure

ROOT = Path(__file__).resolve().parent.parent


class Ended(Exception):
    """A process ended while something in its output was waited for."""


class NodeProcess(ProcessProtocol):
    """A process whose output is kept line by line, and can be waited for."""

    def __init__(self) -> None:
        self.output = ""
        self.status: int | None = None
        self._ends: list[Deferred[int]] = []
        self._waits: list[tuple[re.Pattern[str], Deferred[re.Match[str]]]] = []

    @classmethod
    def start(cls, reactor: Any, arguments: Sequence[str], **env: str) -> NodeProcess:
        """Run a command."""
        process = cls()
        environment = {"PATH": "/usr/bin:/bin", "PYTHONUNBUFFERED": "1", **env}
        # The reactor of the test run is the test's own affair.
        reactor.spawnProcess(process, arguments[0], arguments, environment, str(ROOT))
        return process

    @classmethod
    def node(cls, reactor: Any, *options: str, by: str = "twistd") -> NodeProcess:
        """Run ``twistd skynet``, or ``twist skynet``, with *options*."""
        program = str(Path(sys.executable).with_name(by))
        first = ["--pidfile=", "-n"] if by == "twistd" else ["--log-format=text"]
        return cls.start(reactor, [program, *first, "skynet", *options])

    @property
    def lines(self) -> list[str]:
        """The lines that it printed until now."""
        return self.output.splitlines()

    def wait_for(self, pattern: str) -> Deferred[re.Match[str]]:
        """Wait until *pattern* is found in the output; it fails with `Ended`."""
        compiled = re.compile(pattern)
        found = compiled.search(self.output)
        if found is not None:
            return succeed(found)
        if self.status is not None:
            return fail(Ended(f"no {pattern!r} in: {self.output}"))
        waiting: Deferred[re.Match[str]] = Deferred()
        self._waits.append((compiled, waiting))
        return waiting

    def stop(self, by: str = "TERM") -> Deferred[int]:
        """Send a signal, and wait for the end."""
        if self.status is None:
            with suppress(ProcessExitedAlready):
                self.transport.signalProcess(by)  # type: ignore[union-attr]
        return self.wait()

    def hang_up(self) -> None:
        """Let it read its node table again, as SIGHUP does."""
        self.transport.signalProcess("HUP")  # type: ignore[union-attr]

    def freeze(self) -> None:
        """Let it stand still, until `thaw`; all its threads do when this returns."""
        pid = self.transport.pid  # type: ignore[union-attr]
        os.kill(pid, signal.SIGSTOP)
        os.waitid(os.P_PID, pid, os.WSTOPPED)

    def thaw(self) -> None:
        """Let it go on."""
        os.kill(self.transport.pid, signal.SIGCONT)  # type: ignore[union-attr]

    def wait(self) -> Deferred[int]:
        """Wait for the end; the exit status, or minus the signal's number."""
        if self.status is not None:
            return succeed(self.status)
        waiting: Deferred[int] = Deferred()
        self._ends.append(waiting)
        return waiting

    def outReceived(self, data: bytes) -> None:
        self.output += data.decode("utf-8", "replace")
        waits, self._waits = self._waits, []
        for pattern, waiting in waits:
            found = pattern.search(self.output)
            if found is None:
                self._waits.append((pattern, waiting))
            else:
                waiting.callback(found)

    errReceived = outReceived

    def processEnded(self, reason: Failure) -> None:
        value: Any = reason.value
        self.status = -value.signal if value.signal else value.exitCode
        for pattern, waiting in self._waits:
            waiting.errback(Ended(f"no {pattern.pattern!r} in: {self.output}"))
        for ending in self._ends:
            ending.callback(self.status)
