"""What docs/cluster.md tells a Lua team, done in a real node."""

from __future__ import annotations

import tempfile
import types
from pathlib import Path
from typing import Any

from twisted.internet import reactor

from skynet_tw import make_node

from ..processes import ROOT, NodeProcess
from ..test_docs import blocks, files
from .world import PEER, RealCase

PAGE = ROOT / "docs" / "cluster.md"

#: A service that runs what the page shows, and logs what came of it.
SERVICE = """
local skynet = require "skynet"
{requires}

skynet.start(function()
    skynet.fork(function()
{body}
        skynet.error("guide done", gold, word, same, more)
    end)
end)
"""


class GuideTests(RealCase):
    """The page's own blocks."""

    async def test_lua(self) -> None:
        """A real node calls, pushes, queries and has a proxy, as the page shows it."""
        page: Any = types.ModuleType("page")
        _, source = next(blocks(PAGE, "python"))
        exec(source, vars(page))
        ours = make_node(
            {"harbor": 0, "cluster_listen": ["127.0.0.1:0"]}, reactor, [page.Bank]
        )
        ours.startService()
        self.addCleanup(self.stop_ours, ours)
        await ours.node.when_ready()
        (address,) = ours.cluster.addresses()

        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        table = Path(directory.name, "clustername.lua")
        *_, text = (text for name, text in files(PAGE) if name == table.name)
        shown = "127.0.0.1:7000"
        self.assertIn(shown, text)
        table.write_text(text.replace(shown, address))
        *_, (_, lua) = (it for it in blocks(PAGE, "lua") if "cluster.call" in it[1])
        requires, _, body = lua.partition("\n\n")
        service = SERVICE.format(requires=requires, body=body)
        Path(directory.name, "guide.lua").write_text(service)

        script = str(ROOT / "tests" / "real" / "node.py")
        command = [str(PEER / "bin" / "python"), script, "--with-parent"]
        command += ["--harbor", "0", "--arg", f"cluster={table}"]
        command += ["--services", directory.name, "--start", "guide"]
        real = NodeProcess.start(reactor, command)
        self.addCleanup(real.stop, "KILL")
        await real.wait_for("guide done 100 ok 105 110")
        (bank,) = (
            cell.actor
            for cell in ours.node.actors()
            if isinstance(cell.actor, page.Bank)
        )
        self.assertEqual(bank.price, ("sword", 10))
