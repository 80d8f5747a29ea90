"""Networks of real Skynet nodes: pyskynet's, or those of a built tree."""

from __future__ import annotations

import os
import socket
from pathlib import Path

from .nodes import ROOT, Network, Process

PEER = Path(os.environ.get("SKYNET_PEER", ROOT / ".peer"))
NODE = ROOT / "tests" / "real" / "node.py"
SERVICES = ROOT / "tests" / "real" / "services"

#: A configuration as Skynet's own examples have it; ``profile`` costs some speed.
CONFIG = """\
thread = {threads}
profile = false
{membership}
start = "{start}"
bootstrap = "snlua bootstrap"
luaservice = "{services}/?.lua;{root}/service/?.lua"
lualoader = "{root}/lualib/loader.lua"
lua_path = "{root}/lualib/?.lua;{root}/lualib/?/init.lua"
lua_cpath = "{root}/luaclib/?.so"
cpath = "{root}/cservice/?.so"
"""


def free_address() -> str:
    """An address of loopback where nobody listens; the system chose the port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"


class Real(Network):
    """Real nodes in a harbor network."""

    kind = "real"
    ready = "echo ready"

    def _start(self, harbor: int, start: str) -> Process:
        if harbor == 1:
            self.first = free_address()
        if self.settings.skynet is not None:
            return self._start_tree(self.settings.skynet, harbor, start)
        python = PEER / "bin" / "python"
        if not python.exists():
            raise SystemExit(f"no real Skynet in {PEER}; `make peer` makes it")
        command = [str(python), str(NODE), "--with-parent", "--start", start]
        command += ["--threads", str(self.settings.threads)]
        membership = self._membership(harbor)
        command += ["--harbor", membership.pop("harbor")]
        for key, value in membership.items():
            command += ["--arg", f"{key}={value}"]
        return Process(command, self.settings.core)

    def _start_tree(self, tree: Path, harbor: int, start: str) -> Process:
        text = CONFIG.format(
            threads=self.settings.threads,
            membership="\n".join(
                f'{key} = "{value}"' for key, value in self._membership(harbor).items()
            ),
            start=start,
            services=SERVICES,
            root=tree.resolve(),
        )
        config = Path(self._directory.name) / f"{harbor}.config"
        config.write_text(text)
        command = [str(tree.resolve() / "skynet"), str(config)]
        return Process(command, self.settings.core)

    def _membership(self, harbor: int) -> dict[str, str]:
        """The values of a node's configuration that say how it finds the others."""
        found = {"harbor": str(harbor), "master": self.first, "address": free_address()}
        if harbor == 1:
            found["standalone"] = self.first
        return found


class RealCluster(Real):
    """Real nodes without a harbor; the first one's echo opens a cluster port."""

    def _membership(self, harbor: int) -> dict[str, str]:
        found = {"harbor": "0", "cluster": str(self._node_table())}
        if harbor == 1:
            found["cluster_listen"] = "server"
        return found
