"""Networks of our nodes: ``twistd skynet`` processes."""

from __future__ import annotations

import sys
from pathlib import Path

from .nodes import ROOT, Network, Process

LOOPBACK = "127.0.0.1:0"
ACTORS = {"echo": "benchmarks.actors:Echo", "loadgen": "benchmarks.actors:Load"}


class Ours(Network):
    """Nodes of ours."""

    kind = "ours"
    ready = "node ready"

    def _start(self, harbor: int, start: str) -> Process:
        service, space, arguments = start.partition(" ")
        settings = self.settings
        command = [str(Path(sys.executable).with_name("twistd")), "--pidfile=", "-n"]
        if settings.reactor is not None:
            command.append(f"--reactor={settings.reactor}")
        command += ["skynet", "--harbor", str(harbor), "--address", LOOPBACK]
        command += ["--path", str(ROOT), "--start", ACTORS[service] + space + arguments]
        if harbor == 1:
            command += ["--standalone", LOOPBACK]
        else:
            command += ["--master", self.master]
        env = {}
        if settings.profile is not None:
            env["SKYNET_TW_PROFILE"] = str(settings.profile.resolve())
        process = Process(command, settings.core, **env)
        if harbor == 1:
            self._processes.append(process)
            self.master = process.wait_for(r"master listens on (\S+)")[1]
            self._processes.remove(process)
        return process
