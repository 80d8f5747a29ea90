"""Descriptors from outside: sockets that systemd hands over, and too high numbers."""

from __future__ import annotations

import re
import resource
import socket
import sys
from pathlib import Path

from twisted.internet import reactor
from twisted.trial.unittest import SkipTest, TestCase

from skynet_tw.descriptors import objection

from .processes import ROOT, NodeProcess

TWISTD = str(Path(sys.executable).with_name("twistd"))
ANY = "127.0.0.1:0"

#: Takes all descriptors below a number, and is twistd then.
CROWDED = """
import os, sys
from twisted.scripts.twistd import run
below = int(sys.argv.pop(1))
while os.open(os.devnull, os.O_RDONLY) < below - 1:
    pass
run()
"""


class SystemdTests(TestCase):
    """``systemd:`` endpoints: sockets that were open before the node was."""

    timeout = 60

    def listening(self) -> socket.socket:
        """A socket that listens, as systemd makes one."""
        made = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(made.close)
        return made

    async def test_sockets(self) -> None:
        """A node takes its master's and its own port over, and is found at them."""
        sockets = [self.listening(), self.listening()]
        master, harbor = (f"127.0.0.1:{it.getsockname()[1]}" for it in sockets)
        process = NodeProcess()
        options = ["--standalone", "systemd:domain=INET:name=master"]
        options += ["--master", master]
        options += ["--listen", "systemd:domain=INET:name=harbor", "--address", harbor]
        # What systemd says is meant for the process that it started, by number.
        variables = "LISTEN_PID=$$ LISTEN_FDS=2 LISTEN_FDNAMES=master:harbor"
        script = f'exec env {variables} "$0" "$@"'
        command = ["/bin/sh", "-c", script, TWISTD, "--pidfile=", "-n", "skynet"]
        descriptors: dict[int, int | str] = {0: 0, 1: "r", 2: "r"}
        descriptors |= {number: it.fileno() for number, it in enumerate(sockets, 3)}
        reactor.spawnProcess(
            process,
            command[0],
            [*command, *options],
            {"PATH": "/usr/bin:/bin"},
            str(ROOT),
            childFDs=descriptors,
        )
        self.addCleanup(process.stop, "KILL")
        await process.wait_for("node ready: harbor 1, 0 peers")
        options = ["--harbor", "2", "--master", master, "--address", ANY]
        other = NodeProcess.node(reactor, *options)
        self.addCleanup(other.stop, "KILL")
        await other.wait_for("node ready: harbor 2, 1 peers")
        await process.wait_for(f"master: harbor 1 at {re.escape(harbor)} joined")
        self.assertEqual(await other.stop(), 0)
        self.assertEqual(await process.stop(), 0)
        # The sockets are systemd's; they take connections for the next start.
        socket.create_connection(sockets[1].getsockname()).close()

    async def test_none(self) -> None:
        """Where systemd handed nothing over, the boot fails with one line."""
        for which in (
            "domain=INET:name=master",
            "domain=INET:index=0",
            "domain=X:index=0",
        ):
            options = ["--address", ANY, "--standalone", f"systemd:{which}"]
            process = NodeProcess.node(reactor, *options, "--master", "127.0.0.1:9")
            self.assertEqual(await process.wait(), 1, process.output)
            [line] = process.lines
            self.assertIn(f"skynet: --standalone: 'systemd:{which}'", line)


class SelectTests(TestCase):
    """The select reactor, whose descriptors are those below 1,024."""

    timeout = 60

    def crowded(self, below: int) -> NodeProcess:
        """Run a node on the select reactor, with all descriptors taken below one."""
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        if soft != resource.RLIM_INFINITY and soft < 1200:
            raise SkipTest("the system allows no descriptors beyond 1,024")
        options = ["--pidfile=", "-n", "--reactor=select", "skynet"]
        options += ["--standalone", ANY, "--address", ANY]
        command = [sys.executable, "-c", CROWDED, str(below), *options]
        process = NodeProcess.start(reactor, command)
        self.addCleanup(process.stop, "KILL")
        return process

    async def test_no_room(self) -> None:
        """Where it cannot carry the ports, the boot fails with one line, and why."""
        process = self.crowded(1100)
        self.assertEqual(await process.wait(), 1, process.output)
        self.assertNotIn("Traceback", process.output)
        [line] = [line for line in process.lines if "skynet: " in line]
        self.assertRegex(
            line,
            r"stage bound: the master cannot listen on 127\.0\.0\.1:0: the select"
            r" reactor cannot carry descriptor 11\d\d, only those below 1024;"
            r" choose another --reactor",
        )

    async def test_room(self) -> None:
        """Where it can, the node boots."""
        process = self.crowded(900)
        await process.wait_for("node ready: harbor 1")
        self.assertEqual(await process.stop(), 0)

    def test_closed(self) -> None:
        """What is closed already is no objection."""
        closed = socket.socket()
        closed.close()
        self.assertIsNone(objection(closed))
