"""Networks of real Skynet nodes: pyskynet's, or those of a built tree."""

from __future__ import annotations

import os
import socket
import tempfile
from pathlib import Path
from typing import Any

from .nodes import ROOT, Network, Process, Settings

PEER = Path(os.environ.get("SKYNET_PEER", ROOT / ".peer"))
NODE = ROOT / "tests" / "real" / "node.py"
SERVICES = ROOT / "tests" / "real" / "services"

#: A configuration as Skynet's own examples have it; ``profile`` costs some speed.
CONFIG = """\
thread = {threads}
profile = false
harbor = {harbor}
master = "{master}"
address = "{address}"
{standalone}
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
    """Real nodes."""

    kind = "real"
    ready = "echo ready"

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self._directory = tempfile.TemporaryDirectory()

    def _start(self, harbor: int, start: str) -> Process:
        if harbor == 1:
            self.master = free_address()
        if self.settings.skynet is not None:
            return self._start_tree(self.settings.skynet, harbor, start)
        python = PEER / "bin" / "python"
        if not python.exists():
            raise SystemExit(f"no real Skynet in {PEER}; `make peer` makes it")
        command = [str(python), str(NODE), "--with-parent", "--start", start]
        command += ["--harbor", str(harbor), "--address", free_address()]
        command += ["--master", self.master, "--threads", str(self.settings.threads)]
        if harbor == 1:
            command += ["--standalone", self.master]
        return Process(command, self.settings.core)

    def _start_tree(self, tree: Path, harbor: int, start: str) -> Process:
        text = CONFIG.format(
            threads=self.settings.threads,
            harbor=harbor,
            master=self.master,
            address=free_address(),
            standalone=f'standalone = "{self.master}"' if harbor == 1 else "",
            start=start,
            services=SERVICES,
            root=tree.resolve(),
        )
        config = Path(self._directory.name) / f"{harbor}.config"
        config.write_text(text)
        command = [str(tree.resolve() / "skynet"), str(config)]
        return Process(command, self.settings.core)

    def __exit__(self, *exc_info: Any) -> None:
        super().__exit__(*exc_info)
        self._directory.cleanup()
