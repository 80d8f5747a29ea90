"""A real etcd, a process on loopback."""

from __future__ import annotations

import shutil
import tempfile
from typing import ClassVar

from twisted.internet import reactor
from twisted.trial import util
from twisted.trial.unittest import TestCase

from ..processes import NodeProcess
from ..real.world import free_address


class EtcdServerCase(TestCase):
    """A test with an etcd, which may be killed and started again."""

    timeout = 60

    # Twisted's table of headers has names of both kinds.
    suppress: ClassVar = [util.suppress(category=BytesWarning)]

    async def setUp(self) -> None:  # type: ignore[override]
        found = shutil.which("etcd")
        if found is None:
            self.fail("no etcd on the PATH; `make etcd` installs it")
        data = tempfile.TemporaryDirectory()
        self.addCleanup(data.cleanup)
        self.url, peer = (f"http://{free_address()}" for _ in range(2))
        self.command = [
            *(found, "--data-dir", data.name),
            *("--listen-client-urls", self.url, "--advertise-client-urls", self.url),
            *("--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer),
            *("--initial-cluster", f"default={peer}"),
        ]
        await self.run_etcd()

    async def run_etcd(self) -> None:
        """Start etcd, and wait until it serves."""
        self.etcd = NodeProcess.start(reactor, self.command)
        self.addCleanup(self.etcd.stop, "KILL")
        await self.etcd.wait_for("erving .*client")
