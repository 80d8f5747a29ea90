"""The examples of nodes in other programs, each run as its reader would."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from twisted.internet import reactor
from twisted.trial.unittest import TestCase
from twisted.web.client import Agent, HTTPConnectionPool, readBody

from .processes import ROOT, NodeProcess

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
