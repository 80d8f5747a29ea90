"""Real Skynet nodes and nodes of ours, side by side on loopback."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults
from twisted.trial.unittest import TestCase

from skynet_tw import Actor, Start, command, make_node
from skynet_tw.service import NodeService

from ..processes import ROOT, NodeProcess

#: The environment that ``make_peer.sh`` makes.
PEER = Path(os.environ.get("SKYNET_PEER", ROOT / ".peer"))

#: A tree of Skynet that was built, to be the real nodes instead; by hand only.
HEAD = os.environ.get("SKYNET_HEAD", "")


def free_address() -> str:
    """An address of loopback where nobody listens; the system chose the port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"


class Probe(Actor):
    """Does what the Lua service of the same name does, as far as our tests ask."""

    async def started(self, *names: str) -> None:
        self.seen: list[int] = []
        for name in names:
            await self.register(name)

    @command
    def ECHO(self, *values: Any) -> tuple[Any, ...]:
        return values

    @command
    def ERROR(self, text: str = "told to fail") -> None:
        raise ValueError(text)

    @command
    def LEN(self, text: str) -> int:
        return len(text)

    @command
    def COUNT(self, i: int, *padding: str) -> None:
        self.seen.append(i)

    @command
    def RESULT(self) -> tuple[int, bool, int]:
        seen = self.seen
        last = seen[-1] if seen else 0
        return len(seen), seen == list(range(1, len(seen) + 1)), last

    @command
    def RESET(self) -> None:
        self.seen = []

    @command
    async def HANG(self) -> None:
        await Deferred()

    @command
    def EXIT(self) -> None:
        self.exit()


class RealCase(TestCase):
    """A test with real nodes; it fails, and is not skipped, where there are none."""

    timeout = 120

    def setUp(self) -> None:
        if not HEAD and not (PEER / "stamp").exists():
            self.fail(f"no real Skynet in {PEER}; `make peer` makes it")
        self.failures: list[Exception] = []

    async def real(
        self,
        harbor: int,
        master: str,
        *names: str,
        standalone: bool = False,
        address: str = "",
    ) -> NodeProcess:
        """Start a real node with one probe service, and wait until it is ready."""
        address = address or free_address()
        options = ["--harbor", str(harbor), "--master", master, "--address", address]
        if standalone:
            options += ["--standalone", master]
        process = self.run_real(*options, "--start", " ".join(["probe", *names]))
        await process.wait_for("probe ready")
        return process

    def run_real(self, *options: str) -> NodeProcess:
        """Run node.py with *options*; the test's end is the process's."""
        snax = f"snax={ROOT / 'tests' / 'real' / 'services' / 'snax' / '?.lua'}"
        python = sys.executable if HEAD else str(PEER / "bin" / "python")
        script = str(ROOT / "tests" / "real" / "node.py")
        arguments = [python, script, *options, "--arg", snax, "--with-parent"]
        if HEAD:
            arguments += ["--tree", HEAD]
        process = NodeProcess.start(reactor, arguments)
        self.addCleanup(process.stop, "KILL")
        return process

    def start_ours(
        self, harbor: int, master: str, *names: str, **options: Any
    ) -> NodeService:
        """Start a node of ours with one probe actor; it boots by itself."""
        given = {"harbor": harbor, "master": master, "address": "127.0.0.1:0"}
        service = make_node(
            {**given, **options},
            reactor=reactor,
            actors=[Start(Probe, names)],
            on_failure=self.failures.append,
        )
        service.startService()
        self.addCleanup(self.stop_ours, service)
        return service

    async def ours(
        self, harbor: int, master: str, *names: str, **options: Any
    ) -> NodeService:
        """Start a node of ours, and wait until it is ready."""
        service = self.start_ours(harbor, master, *names, **options)
        await service.node.when_ready()
        return service

    def stop_ours(self, service: NodeService) -> Deferred[None] | None:
        """Stop a node, once; its books must balance until then."""
        if not service.running:
            return None
        node = service.node
        self.assertEqual(node.ledger.balance(node.status().ledger.waiting), 0)
        return service.stopService()

    def probe(self, service: NodeService) -> Probe:
        """The probe actor of a node of ours."""
        actors = [c.actor for c in service.node.actors()]
        return next(actor for actor in actors if isinstance(actor, Probe))

    async def numbered(
        self, service: NodeService, name: str, count: int = 100_000
    ) -> None:
        """Send numbered messages each way at the same time; all arrive in order."""
        ours = self.probe(service)
        await ours.call(name, "RESET")
        ours.RESET()
        flood = ours.call(name, "FLOOD", int(ours.handle), count, timeout=60)
        for i in range(1, count + 1):
            ours.send(name, "COUNT", i)
        there = await ours.call(name, "RESULT", int(ours.handle), timeout=60)
        self.assertEqual(there, (count, True, count))
        self.assertEqual(await flood, count)
        self.assertEqual(ours.RESULT(), (count, True, count))


__all__ = ["PEER", "Probe", "RealCase", "free_address", "gatherResults"]
