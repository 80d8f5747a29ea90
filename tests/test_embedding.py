"""Nodes in other programs: the examples as readers run them, and their processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from twisted.application.service import MultiService
from twisted.internet import reactor
from twisted.internet.defer import gatherResults
from twisted.internet.task import deferLater
from twisted.logger import globalLogPublisher
from twisted.trial.unittest import TestCase
from twisted.web.client import Agent, HTTPConnectionPool, readBody

from skynet_tw import Actor, Start, command, make_node

from .processes import ROOT, NodeProcess

LOOPBACK = {"standalone": "127.0.0.1:0", "address": "127.0.0.1:0"}
EXAMPLES = ROOT / "examples" / "embedding"


class ExampleTests(TestCase):
    """What docs/embedding.md shows."""

    timeout = 60

    def run_python(self, *arguments: str) -> NodeProcess:
        """Run Python in the directory of the examples."""
        python = [sys.executable, "-b", *arguments]
        process = NodeProcess.start(reactor, python, PYTHONPATH=str(EXAMPLES))
        self.addCleanup(process.stop, "KILL")
        return process

    def bank(self) -> NodeProcess:
        """The application of ``node.tac``."""
        program = str(Path(sys.executable).with_name("twistd"))
        twistd = [program, "--pidfile=", "-ny", str(EXAMPLES / "node.tac")]
        return self.run_python(*twistd)

    async def test_tac_and_react(self) -> None:
        """A program joins the network of an application, calls its bank, and ends."""
        bank = self.bank()
        master = (await bank.wait_for(r"master listens on (\S+)"))[1]
        await bank.wait_for("node ready: harbor 1")
        for gold in (100, 200):
            # It leaves in order: its harbor id is free again.
            visitor = self.run_python(str(EXAMPLES / "react.py"), master)
            self.assertEqual(await visitor.wait(), 0, visitor.output)
            self.assertIn(f"alice has {gold} now", visitor.lines)
        await bank.stop("INT")
        self.assertIn("Server Shut Down", bank.output)
        for process in (bank, visitor):
            self.assertNotIn("Traceback", process.output)
            self.assertNotIn("Unhandled", process.output)

    async def test_react_fails(self) -> None:
        """A program that cannot have its node ends with an error that says why."""
        visitor = self.run_python(str(EXAMPLES / "react.py"), "nowhere")
        self.assertEqual(await visitor.wait(), 1)
        self.assertIn("config['master']: 'nowhere' is neither", visitor.output)

    async def test_klein(self) -> None:
        """A page answers with what an actor does, and with why it did not."""
        web = self.run_python(str(EXAMPLES / "klein_app.py"))
        where = (await web.wait_for(r"http://\S+"))[0]
        pool = HTTPConnectionPool(reactor, persistent=False)
        agent = Agent(reactor, pool=pool)

        async def post(path: str) -> tuple[int, str]:
            response = await agent.request(b"POST", f"{where}{path}".encode())
            return response.code, (await readBody(response)).decode()

        self.assertEqual(await post("/gold/alice/100"), (200, "alice has 100 now\n"))
        self.assertEqual(await post("/gold/alice/20"), (200, "alice has 120 now\n"))
        await web.stop()
        self.assertNotIn("Traceback", web.output)

    async def test_trial(self) -> None:
        """The tests of the example pass."""
        directory = os.path.abspath(self.mktemp())  # It runs in another one.
        trial = ["-m", "twisted.trial", f"--temp-directory={directory}", "test_bank"]
        process = self.run_python(*trial)
        self.assertEqual(await process.wait(), 0, process.output)
        self.assertIn("PASSED (successes=4)", process.output)


class Named(Actor):
    """Answers by a name."""

    async def started(self, name: str) -> None:
        await self.register(name)

    @command
    def ECHO(self, value: int) -> int:
        return value


class ProcessTests(TestCase):
    """What a node leaves alone in the process that it lives in."""

    def process(self) -> list[Any]:
        """What a node of ``twistd skynet`` changes of its process, and more."""
        return [
            [signal.getsignal(number) for number in signal.valid_signals()],
            sys.excepthook,
            list(sys.path),
            list(globalLogPublisher._observers),
            os.environ.copy(),
        ]

    async def test_two(self) -> None:
        """Two nodes live in one process, and leave nothing behind in it."""
        await deferLater(reactor, 0)  # By then the reactor runs, with its signals.
        before = self.process()
        parent = MultiService()
        services = []
        for name in ("ONE", "TWO"):
            # Each is a network of its own.
            service = make_node(
                LOOPBACK, reactor=reactor, actors=[Start(Named, (name,))]
            )
            service.setServiceParent(parent)
            services.append(service)
        parent.startService()
        await gatherResults([service.when_ready() for service in services])
        for name, service in zip(("ONE", "TWO"), services, strict=True):
            answer = await service.node.client().call(name, "ECHO", 1)
            self.assertEqual(answer, 1)
        self.assertEqual(self.process(), before)
        await parent.stopService()

    def printed(self, source: str) -> str:
        """What a process prints that runs a piece of Python."""
        command = [sys.executable, "-c", source]
        found = subprocess.run(command, capture_output=True, text=True, check=True)
        return found.stdout.strip()

    def test_no_reactor(self) -> None:
        """To put a node together takes no reactor but the one that is passed in."""
        source = (
            "import sys; from twisted.internet.task import Clock;"
            "from skynet_tw import make_node;"
            "service = make_node({'harbor': 0}, reactor=Clock());"
            "service.startService(); service.stopService();"
            "print('twisted.internet.reactor' in sys.modules)"
        )
        self.assertEqual(self.printed(source), "False")

    def test_no_reactor_in_memory(self) -> None:
        """Nor does a whole network in memory, with harbors and a cluster."""
        source = (
            "import sys; from skynet_tw.testing import MemoryNodes;"
            "nodes = MemoryNodes();"
            "nodes.start(1, standalone=True, cluster_listen=['db:1']);"
            "nodes.start(2, cluster_nodes={'db': 'db:1'}, cluster_require=['db']);"
            "nodes.ready(); nodes.stop();"
            "print('twisted.internet.reactor' in sys.modules)"
        )
        self.assertEqual(self.printed(source), "False")

    def test_options(self) -> None:
        """Whoever reads options loads no wire, and no reactor."""
        source = (
            "import sys, skynet_tw.options;"
            "print([m for m in sys.modules if m.startswith('skynet_tw.net.')"
            " or m == 'twisted.internet.reactor'])"
        )
        self.assertEqual(self.printed(source), "['skynet_tw.net.wires']")
