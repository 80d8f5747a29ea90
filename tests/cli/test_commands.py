"""What the commands do with the cluster."""

from __future__ import annotations

import io
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from skynet_tw import Actor, PeerDown, RemoteError, command
from skynet_tw.cli import failures, options
from skynet_tw.cli.commands import Answer, There, write

from .support import ADDRESS, Shell


class Found:
    """The address of a cluster's actor."""

    target = 10


class Cluster:
    """A cluster that notes what it is asked, and answers what a test says."""

    def __init__(self, answer: Any) -> None:
        self.asked: list[Any] = []
        self.answer = answer

    def call(self, *asked: Any, timeout: float) -> Any:
        self.asked.append(("call", *asked, timeout))
        return self.answer()

    def query(self, *asked: Any, timeout: float) -> Any:
        self.asked.append(("query", *asked, timeout))
        return self.answer()

    def send(self, *asked: Any) -> None:
        self.asked.append(("send", *asked))


class Asker(Actor):
    """An actor whose cluster that is."""

    cluster: Any = None


class Bank(Actor):
    """What is called."""

    async def started(self, *args: Any) -> None:
        self.got: list[Any] = []
        await self.cluster.register("bank")

    @command
    def PUT(self, *values: Any) -> int:
        self.got.extend(values)
        return len(self.got)

    @command
    async def HANG(self) -> None:
        await Deferred()

    @command
    def SIZE(self, value: str) -> tuple[int, str]:
        return len(value), value


class ShellTests(SynchronousTestCase):
    """Whole commands."""

    def setUp(self) -> None:
        self.shell = Shell(Bank)
        self.addCleanup(self.shell.stop)

    def test_sent(self) -> None:
        """A message that was sent is there when the command ends."""
        bank = self.shell.nodes.actor(self.shell.service, Bank)
        for count in (1, 2):
            ended = self.shell.run("send", ADDRESS, "@bank", "PUT", "{1, x=2}")
            self.assertEqual(ended, (0, "", ""))
            self.assertEqual(bank.got, [{1: 1, "x": 2}] * count)

    def test_large(self) -> None:
        """Arguments and results may be of any size that a message has."""
        text = "x" * 1_000_000
        ended = self.shell.run("call", ADDRESS, "@bank", "SIZE", text)
        self.assertEqual(ended, (0, f"1000000\n{text}\n", ""))

    def test_silent(self) -> None:
        """A node that nobody reaches in time was not reached, and nothing is left."""
        network = self.shell.nodes.network
        network.silence(ADDRESS)
        late = network.clock.seconds() + 2
        ended = self.shell.run("call", "--timeout", "2", ADDRESS, "@bank", "PUT", "1")
        self.assertEqual((ended.status, ended.out), (failures.UNREACHED, ""))
        self.assertLess(abs(network.clock.seconds() - late), 0.1)

    def test_late(self) -> None:
        """A call that is not answered in time may have run, whoever is silent."""
        network = self.shell.nodes.network
        silent = "127.0.0.1:7001"
        network.server(silent).listen(Factory.forProtocol(Protocol))
        for address in (ADDRESS, silent):
            late = network.clock.seconds() + 2
            words = ("call", "--timeout", "2", address, "@bank", "HANG")
            ended = self.shell.run(*words)
            self.assertEqual((ended.status, ended.out), (failures.UNCERTAIN, ""))
            self.assertIn("(it may have run)", ended.err)
            self.assertLess(abs(network.clock.seconds() - late), 0.1)

    def test_unpackable(self) -> None:
        """A value that no message carries is a mistake of the command line."""
        deep = "{" * 40 + "1" + "}" * 40
        ended = self.shell.run("call", ADDRESS, "@bank", "PUT", deep)
        self.assertEqual((ended.status, ended.out), (failures.USAGE, ""))
        self.assertIn("PackError: ", ended.err)


class WriteTests(SynchronousTestCase):
    """Lines of output."""

    def test_encoding(self) -> None:
        """What the encoding of the output has not is written as an escape."""
        for encoding, said in (("ascii", rb"\xe9"), ("utf-8", "é".encode())):
            raw = io.BytesIO()
            file = io.TextIOWrapper(raw, encoding)
            write(file, "é\udcff")
            self.assertEqual(raw.getvalue(), said + b"\\udcff\n")


class ThereTests(SynchronousTestCase):
    """One command at a time."""

    def setUp(self) -> None:
        self.clock = Clock()

    def run_command(self, words: str, answer: Any) -> tuple[Deferred[Answer], Any]:
        """Run a command; and what it asks the cluster."""
        request = options.read(words.split())
        asker = Asker()
        asker.cluster = Cluster(answer)
        there = There(asker, request, self.clock)
        found = Deferred.fromCoroutine(getattr(there, request.command)())
        return found, asker.cluster.asked

    def test_call(self) -> None:
        """A call's results are none, one, or several."""
        cases: list[tuple[Any, list[Any]]] = [
            (None, []),
            (1, [1]),
            ([1], [[1]]),
            ((1, None), [1, None]),
        ]
        for result, values in cases:
            found, asked = self.run_command(
                "call h:1 @bank ADD 2", lambda result=result: succeed(result)
            )
            self.assertEqual(asked, [("call", "h:1", "@bank", "ADD", 2, 5.0)])
            self.assertEqual(self.successResultOf(found).values, values)

    def test_send(self) -> None:
        """A message is sent, and it is done when what is behind it was answered."""
        answer: Deferred[Any] = Deferred()
        found, asked = self.run_command("send h:1 @bank ADD 2", lambda: answer)
        self.assertEqual(asked[0], ("send", "h:1", "@bank", "ADD", 2))
        self.assertEqual(asked[1][0], "query")
        self.assertNoResult(found)
        answer.errback(RemoteError("name not found"))
        self.assertEqual(self.successResultOf(found), Answer([]))

    def test_send_fails(self) -> None:
        """A message that cannot be followed is not called sent."""
        found, _ = self.run_command("send h:1 @bank X", lambda: fail(PeerDown("x")))
        self.failureResultOf(found, PeerDown)

    def test_query(self) -> None:
        """A name's handle is a target of the next command."""
        found, asked = self.run_command("query h:1 bank", lambda: succeed(Found()))
        self.assertEqual(asked, [("query", "h:1", "bank", 5.0)])
        self.assertEqual(self.successResultOf(found), Answer([10], [":0000000a"]))

    def test_query_fails(self) -> None:
        """A name that nobody has is a failure of a query."""
        found, _ = self.run_command("query h:1 b", lambda: fail(RemoteError("no")))
        self.failureResultOf(found, RemoteError)

    def test_ping(self) -> None:
        """The second of two questions is measured; both share the time limit."""
        for words, answer, said, values in (
            ("ping h:1", fail, "", []),
            ("ping h:1 bank", fail, ", bank is nobody", [None]),
            ("ping h:1 bank", succeed, ", bank is :0000000a", [10]),
        ):
            waiting: list[Deferred[Any]] = []

            def ask(waiting: list[Deferred[Any]] = waiting) -> Deferred[Any]:
                waiting.append(Deferred())
                return waiting[-1]

            found, asked = self.run_command(words, ask)
            for n, seconds in enumerate((2.0, 0.5)):
                self.clock.advance(seconds)
                if answer is fail:
                    waiting[n].errback(RemoteError("name not found"))
                else:
                    waiting[n].callback(Found())
            self.assertEqual([it[-1] for it in asked], [5.0, 3.0])
            line = f"h:1 answers in 500.00 ms{said}"
            self.assertEqual(
                self.successResultOf(found), Answer([0.5, *values], [line])
            )

    def test_ping_fails(self) -> None:
        """A node that is not there does not answer."""
        found, _ = self.run_command("ping h:1", lambda: fail(PeerDown("x")))
        self.failureResultOf(found, PeerDown)
