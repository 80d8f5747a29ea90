"""`skynet-tw` and the demo of a cluster, with a real Skynet node."""

from __future__ import annotations

import io
import sys
from pathlib import Path

from twisted.internet import reactor

from skynet_tw.cli import commands, options

from ..processes import ROOT, NodeProcess
from .world import PEER, RealCase, free_address


class ShopTests(RealCase):
    """Commands to the Lua service of the demo."""

    async def shop(self) -> tuple[NodeProcess, str]:
        """Start the node; and where it listens."""
        address = free_address()
        table = Path(self.mktemp()).resolve()
        table.write_text(f'shop = "{address}"\n')
        python = str(PEER / "bin" / "python")
        script = str(ROOT / "tests" / "real" / "node.py")
        words = f"--harbor 0 --services examples/lua --arg cluster={table} --start shop"
        process = NodeProcess.start(
            reactor, [python, script, *words.split(), "--with-parent"]
        )
        self.addCleanup(process.stop, "KILL")
        await process.wait_for("the shop is open")
        return process, address

    async def run_command(self, *words: str) -> tuple[int, str, str]:
        """Run a command; its exit status and its two outputs."""
        out, err = io.StringIO(), io.StringIO()
        request = options.read(list(words))
        status = await commands.run(reactor, request, out, err)
        return status, out.getvalue(), err.getvalue()

    async def test_commands(self) -> None:
        """A Lua node answers each command, or says why not."""
        process, shop = await self.shop()
        status, out, err = await self.run_command("ping", shop, "shop")
        self.assertEqual((status, err), (0, ""))
        self.assertRegex(
            out, rf"^{shop} answers in \d+\.\d\d ms, shop is :[0-9a-f]+\n$"
        )
        status, handle, err = await self.run_command("query", shop, "@shop")
        self.assertEqual((status, err), (0, ""))
        for target in ("@shop", handle.strip()):
            found = await self.run_command("call", shop, target, "RELOAD")
            self.assertEqual(found, (0, "ok\n", ""))
        for words, said in (
            (("query", shop, "smithy"), "name not found"),
            (("call", shop, "@smithy"), "Invalid name"),
            (("call", shop, "@shop", "PRICE", "dragon"), "call failed"),
        ):
            status, out, err = await self.run_command(*words)
            self.assertEqual((status, out), (5, ""))
            self.assertRegex(err, f"^skynet-tw: {' '.join(words[:3])}: .*{said}\n$")
        found = await self.run_command("send", shop, "@shop", "RELOAD")
        self.assertEqual(found, (0, "", ""))
        await process.stop("KILL")
        status, out, err = await self.run_command("ping", shop)
        self.assertEqual((status, out), (3, ""), err)


class DemoTests(RealCase):
    """``make demo-cluster``."""

    async def test_demo(self) -> None:
        """All that the demo shows is as it should be."""
        script = str(ROOT / "examples" / "demo_cluster.py")
        demo = NodeProcess.start(
            reactor, [sys.executable, script], SKYNET_PEER=str(PEER)
        )
        self.addCleanup(demo.stop, "KILL")
        self.assertEqual(await demo.wait(), 0, demo.output)
        self.assertNotIn("Traceback", demo.output)
        for name in ("shop", "rates1", "rates2", "guest", "shell", "table"):
            self.assertRegex(demo.output, rf"(?m)^{name} +\| ")
