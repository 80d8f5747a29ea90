"""``skynet-tw`` as its users meet it: a process, its output and its exit status."""

from __future__ import annotations

import socket
import sys
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory, ProcessProtocol, Protocol
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase

from skynet_tw import Actor, __version__, command, make_node
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
        reactor.spawnProcess(
            process, command[0], command, {"PATH": "/bin", "LANG": "C.UTF-8"}, root
        )
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


class Bank(Actor):
    """What is called."""

    async def started(self, *args: str) -> None:
        self.hung: Deferred[None] = Deferred()
        await self.cluster.register("bank")

    @command
    def ECHO(self, *values: Any) -> tuple[Any, ...]:
        return values

    @command
    def FAIL(self, text: str) -> None:
        raise ValueError(text)

    @command
    async def HANG(self) -> None:
        self.hung.callback(None)
        await Deferred()


class Rude(Protocol):
    """A peer that hangs up when it is asked something."""

    def dataReceived(self, data: bytes) -> None:
        self.transport.loseConnection()  # type: ignore[union-attr]


class NodeTests(MainCase):
    """Commands to a node, on sockets of loopback."""

    async def bank(self) -> str:
        """Start a node with a bank; where it listens."""
        config = {"harbor": 0, "cluster_listen": ["127.0.0.1:0"]}
        service = make_node(config, reactor, [Bank])
        service.startService()
        self.addCleanup(service.stopService)
        await service.when_ready()
        self.actor = next(
            it.actor for it in service.node.actors() if isinstance(it.actor, Bank)
        )
        [address] = service.cluster.addresses()
        return address

    def listen(self, kind: type[Protocol]) -> str:
        """Listen with protocols of a test; where."""
        factory: Any = Factory.forProtocol(kind)
        port: Any = reactor.listenTCP(0, factory, interface="127.0.0.1")
        # The connections end with the commands that made them.
        self.addCleanup(port.stopListening)
        return f"127.0.0.1:{port.getHost().port}"

    async def test_results(self) -> None:
        """Results go to standard output, and nothing of the log goes anywhere."""
        bank = await self.bank()
        for words, printed in (
            (["call", bank, "@bank", "ECHO", "1", "x y", "{a=1}"], "1\nx y\n{a = 1}\n"),
            (["call", "-j", bank, "@bank", '"ECHO"', '"\u00e9"'], '["\\u00e9"]\n'),
            (["call", bank, "@bank", "ECHO", "é\udcff"], '"é\\xff"\n'),
            (["call", bank, "@bank", "ECHO"], ""),
            (["send", bank, "@bank", "ECHO"], ""),
        ):
            self.assertEqual(await self.run_command(*words), (0, printed, ""))
        status, out, err = await self.run_command("ping", bank)
        self.assertEqual((status, err), (0, ""))
        self.assertRegex(out, rf"^{bank} answers in \d+\.\d\d ms\n$")

    async def assert_fails(self, status: int, said: str, *words: str) -> None:
        """A command ends with a status, and with one line that says this."""
        found = await self.run_command(*words)
        self.assertEqual(found[:2], (status, ""), found[2])
        self.assertRegex(found[2], said)
        self.assertEqual(len(found[2].splitlines()), 1)

    async def test_answered(self) -> None:
        """An error of the other side is told, with a status of its own."""
        bank = await self.bank()
        call = ("call", bank, "@bank", "FAIL", "no luck")
        self.addCleanup(self.flushLoggedErrors, ValueError)
        said = f"^skynet-tw: call {bank} @bank: RemoteError: .*no luck\n$"
        await self.assert_fails(failures.ANSWERED, said, *call)
        await self.assert_fails(failures.ANSWERED, "RemoteError", "query", bank, "x")
        await self.assert_fails(failures.ANSWERED, "RemoteError", "call", bank, "@x")

    async def test_unreached(self) -> None:
        """Where nobody listens nothing ran, and it takes no time to know it."""
        with socket.socket() as reserved:
            reserved.bind(("127.0.0.1", 0))
            there = f"127.0.0.1:{reserved.getsockname()[1]}"
            for words in (["call", there, "@bank"], ["send", there, "@bank"]):
                words[1:1] = ["--timeout", "60"]
                await self.assert_fails(failures.UNREACHED, "PeerDown: ", *words)

    async def test_uncertain(self) -> None:
        """A call whose answer is lost may have run; so may what was only sent."""
        rude = self.listen(Rude)
        said = "LinkLost: .*may have run"
        for name in ("call", "send"):
            words = (name, "--timeout", "60", rude, "@bank")
            await self.assert_fails(failures.UNCERTAIN, said, *words)

    async def test_bad_target(self) -> None:
        """What cannot be sent is a mistake of the command line."""
        bank = await self.bank()
        for words in (["call", bank, ""], ["call", bank, "@" + "x" * 300]):
            await self.assert_fails(failures.USAGE, "BadAddress: ", *words)
        for where in ("127.0.0.1:0", ":1", "tcp:x"):
            await self.assert_fails(failures.USAGE, "BadAddress: ", "ping", where)

    async def test_interrupt(self) -> None:
        """A signal ends a command that waits, and it does not look like success."""
        bank = await self.bank()
        process = self.start("call", "--timeout", "60", bank, "@bank", "HANG")
        await self.actor.hung
        process.transport.signalProcess("INT")  # type: ignore[union-attr]
        self.assertEqual(await process.ended, failures.INTERRUPTED)
        self.assertEqual(process.out, "")
        said = f"skynet-tw: call {bank} @bank: interrupted (it may have run)\n"
        self.assertEqual(process.err, said)
