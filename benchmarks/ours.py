"""Networks of our nodes: ``twistd skynet`` processes."""

from __future__ import annotations

import sys
from pathlib import Path

from .nodes import ROOT, Network, Process

LOOPBACK = "127.0.0.1:0"
ACTORS = {"echo": "benchmarks.actors:Echo", "loadgen": "benchmarks.actors:Load"}


class Ours(Network):
    """Nodes of ours in a harbor network."""

    kind = "ours"
    ready = "node ready"
    #: The line by which the first node says what it bound.
    bound = r"master listens on (\S+)"

    def _start(self, harbor: int, start: str) -> Process:
        service, space, arguments = start.partition(" ")
        settings = self.settings
        command = [str(Path(sys.executable).with_name("twistd")), "--pidfile=", "-n"]
        if settings.reactor is not None:
            command.append(f"--reactor={settings.reactor}")
        command += ["skynet", *self._membership(harbor), "--path", str(ROOT)]
        command += ["--start", ACTORS[service] + space + arguments]
        env = {}
        if settings.profile is not None:
            env["SKYNET_TW_PROFILE"] = str(settings.profile.resolve())
        process = Process(command, settings.core, **env)
        if harbor == 1:
            self._processes.append(process)
            self.first = process.wait_for(self.bound)[1]
            self._processes.remove(process)
        return process

    def _membership(self, harbor: int) -> list[str]:
        """The options that say how a node finds the others."""
        own = ["--harbor", str(harbor), "--address", LOOPBACK]
        if harbor == 1:
            return [*own, "--standalone", LOOPBACK]
        return [*own, "--master", self.first]


class OursCluster(Ours):
    """Nodes of ours without a harbor; the first opens a cluster port."""

    bound = r"cluster listens on (\S+)"

    def _membership(self, harbor: int) -> list[str]:
        if harbor == 1:
            return ["--harbor", "0", "--cluster-listen", LOOPBACK]
        return ["--harbor", "0", "--cluster-nodes", str(self._node_table())]
