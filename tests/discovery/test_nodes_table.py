"""``--cluster-nodes``: a process that reads its node table again at SIGHUP."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred

from skynet_tw.service import NodeService

from .whole import WholeCase

#: Node tables with one node, as TOML and as Skynet's own file, which is Lua.
FORMS = {
    "nodes.toml": '# all of them\nbank = "{}"\n__nowaiting = true\n',
    "clustername.lua": '-- all of them\nbank = "{}"\n__nowaiting = true\n',
}

DONE = "SIGHUP: looked again where the nodes are"
LEFT = "SIGHUP: the nodes of the cluster stay as they were: "


class NodeTableTests(WholeCase):
    """A process whose table has a bank, and two banks in this one."""

    timeout = 120

    async def setUp(self) -> None:  # type: ignore[override]
        self.folder = Path(self.mktemp()).resolve()
        self.folder.mkdir()
        self.first = await self.node("first")
        self.second = await self.node("second")

    def write(self, name: str, bank: NodeService) -> Path:
        """Write a table."""
        path = self.folder / name
        path.write_text(FORMS[name].format(self.address(bank)))
        return path

    async def run_process(self, path: Path) -> None:
        """Run the process; and have who calls it."""
        self.process_under_test = await self.process(
            "process", "--cluster-nodes", str(path)
        )
        address = self.address(self.process_under_test)
        caller = await self.node("caller", cluster_nodes={"process": address})
        self.cluster = caller.node.client().cluster

    def ask(self, node: str) -> Deferred[Any]:
        """What a node answers to the process."""
        return self.cluster.call("process", "@relay", "ASK", node)

    async def hang_up(self, line: str) -> None:
        """Send SIGHUP, and wait for a line of the log which was not there before."""
        process = self.process_under_test
        count = process.output.count(line)
        process.hang_up()
        await process.wait_for(f"(?s)(?:{line}.*){{{count + 1}}}")

    async def test_moved(self) -> None:
        """Calls go to the new address from SIGHUP on, and not before."""
        for name in FORMS:
            path = self.write(name, self.first)
            await self.run_process(path)
            self.assertEqual(await self.ask("bank"), "first")
            self.write(name, self.second)
            self.assertEqual(await self.ask("bank"), "first")
            await self.hang_up(DONE)
            self.assertEqual(await self.ask("bank"), "second")
            await self.hang_up(DONE)
            self.assertEqual(await self.ask("bank"), "second")

    async def test_broken(self) -> None:
        """A table that cannot be read is one line of the log, and changes nothing."""
        for name in FORMS:
            path = self.write(name, self.first)
            await self.run_process(path)
            self.assertEqual(await self.ask("bank"), "first")
            for text, reason in (
                ("bank = 7", "line 1: 'bank': HOST:PORT as a text, or false"),
                ("?", "line 1"),
                (None, "No such file or directory"),
            ):
                path.unlink(missing_ok=True)
                if text is not None:
                    path.write_text(text)
                process = self.process_under_test
                before = len(process.lines)
                await self.hang_up(LEFT)
                self.assertEqual(await self.ask("bank"), "first")
                [line] = process.lines[before:]
                self.assertRegex(line, f"{LEFT}node table {path}: .*{reason}")
            self.write(name, self.second)
            await self.hang_up(DONE)
            self.assertEqual(await self.ask("bank"), "second")
            self.assertEqual(await process.stop(), 0)
