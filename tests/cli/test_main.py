"""``skynet-tw`` as its users meet it: a process, its output and its exit status."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.protocol import ProcessProtocol
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase

from skynet_tw import __version__
from skynet_tw.cli import failures

SCRIPT = "import sys; from skynet_tw.cli.main import main; main()"


class Ended(ProcessProtocol):
    """A process until its end; its two outputs apart."""

    def __init__(self) -> None:
        self.out = ""
        self.err = ""
        self.ended: Deferred[int] = Deferred()

    def outReceived(self, data: bytes) -> None:
        self.out += data.decode()

    def errReceived(self, data: bytes) -> None:
        self.err += data.decode()

    def processEnded(self, reason: Failure) -> None:
        value: Any = reason.value
        self.ended.callback(-value.signal if value.signal else value.exitCode)


class MainCase(TestCase):
    """Runs commands."""

    timeout = 60

    def start(self, *words: str) -> Ended:
        """Run a command line."""
        process = Ended()
        command = [sys.executable, "-b", "-c", SCRIPT, *words]
        root = str(Path(__file__).resolve().parent.parent.parent)
        reactor.spawnProcess(process, command[0], command, {"PATH": "/bin"}, root)
        return process

    async def run_command(self, *words: str) -> tuple[int, str, str]:
        """Run a command line; its exit status, and its two outputs."""
        process = self.start(*words)
        status = await process.ended
        return status, process.out, process.err


class UsageTests(MainCase):
    """What needs no node."""

    async def test_usage(self) -> None:
        """A wrong command line ends with 2 and one line on standard error."""
        for words, said in (
            ([], "skynet-tw: a command is missing: call, send, query or ping\n"),
            (["ping", "x"], "skynet-tw: 'x' is neither HOST:PORT nor an endpoint"),
        ):
            status, out, err = await self.run_command(*words)
            self.assertEqual((status, out), (failures.USAGE, ""))
            self.assertTrue(err.startswith(said), err)
            self.assertEqual(len(err.splitlines()), 1)

    async def test_version(self) -> None:
        """The version goes to standard output."""
        found = await self.run_command("--version")
        self.assertEqual(found, (0, f"skynet-tw {__version__}\n", ""))
