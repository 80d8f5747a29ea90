"""The benchmarks in their smallest form: they end, and print what they promise."""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.trial.unittest import SynchronousTestCase, TestCase

from benchmarks import plots, report, rounds, sampler

from .processes import NodeProcess


def temporary(case: SynchronousTestCase) -> Path:
    """A directory that lasts as long as the test."""
    directory = tempfile.TemporaryDirectory()
    case.addCleanup(directory.cleanup)
    return Path(directory.name)


class CommandLineTests(TestCase):
    """``python -m benchmarks NAME``, one round of little work; no time is judged."""

    timeout = 60

    async def run_one(self, *arguments: str) -> dict[str, Any]:
        """Run one, and return what it printed: one JSON object."""
        command = [sys.executable, "-m", "benchmarks", *arguments, "--rounds", "1"]
        process = NodeProcess.start(reactor, command)
        self.addCleanup(process.stop)
        self.assertEqual(await process.wait(), 0, process.output)
        self.assertEqual(len(process.lines), 1, process.output)
        result: dict[str, Any] = json.loads(process.output)
        self.assertEqual(result["benchmark"], arguments[0])
        self.assertIn("processor", result["machine"])
        return result

    async def expect(self, fields: str, *arguments: str) -> None:
        """Run one; each of the fields is there with its spread."""
        result = await self.run_one(*arguments)
        for field in fields.split():
            spread = result["ours"][field]
            self.assertEqual(list(spread), ["median", "min", "max"], field)

    async def compare(self, fields: str, *arguments: str) -> None:
        """Run one on both sides; each of the fields is there twice, and its ratio."""
        result = await self.run_one(*arguments, "--against", "real")
        for field in fields.split():
            for side in ("ours", "real", "ratio"):
                self.assertIn(field, result[side])

    async def test_call_local(self) -> None:
        """Calls within a node have a rate, a CPU time and latencies."""
        fields = "calls_per_s cpu_us_per_call p50_us p99_us max_us"
        options = ("--layer", "local", "--inflight", "64", "--count", "100")
        await self.expect(fields, "call", *options)

    async def test_call_profile(self) -> None:
        """Calls from node to node can be profiled: a flame graph of each node."""
        directory = temporary(self)
        options = ("--count", "100", "--profile", str(directory))
        result = await self.run_one("call", *options)
        self.assertIn("server_cpu_s", result["ours"])
        self.assertEqual(set(result["profile"]), {"echo", "load"})
        for name in ("echo.svg", "load.svg"):
            text = (directory / name).read_text()
            self.assertTrue(text.startswith("<svg"), name)

    async def test_against_real(self) -> None:
        """Real Skynet does the same, and each number has a ratio."""
        fields = "calls_per_s cpu_us_per_call p50_us p99_us max_us"
        await self.compare(fields, "call", "--count", "100")

    async def test_cluster(self) -> None:
        """Over a cluster both sides call, push, and send large strings."""
        layer = ("--layer", "cluster")
        fields = "calls_per_s cpu_us_per_call p50_us"
        await self.compare(fields, "call", *layer, "--inflight", "1", "--count", "100")
        fields = "messages_per_s cpu_us_per_message"
        await self.compare(fields, "send", *layer, "--count", "100")
        fields = "mb_per_s cpu_us_per_mb"
        await self.compare(fields, "payload", *layer, "--count", "4")

    async def test_send(self) -> None:
        """One-way messages are counted where they arrive."""
        fields = "messages_per_s cpu_us_per_message"
        await self.expect(fields, "send", "--count", "100")

    async def test_payload(self) -> None:
        """Large strings have a rate in bytes."""
        await self.expect("mb_per_s cpu_us_per_mb", "payload", "--count", "4")

    async def test_spawn(self) -> None:
        """An actor has a time and a size."""
        await self.expect("us_per_actor rss_kb_per_actor", "spawn", "--count", "100")

    async def test_boot(self) -> None:
        """Two harbors become ready."""
        await self.expect("first_s others_s cpu_s", "boot", "--count", "2")

    async def test_names(self) -> None:
        """Names are registered, found and called."""
        fields = "known_us query_us cpu_us_per_call"
        await self.expect(fields, "names", "--count", "10", "--seconds", "0.1")

    async def test_idle(self) -> None:
        """A node that does nothing is weighed."""
        fields = "cpu_percent wakeups_per_s resident_mb"
        await self.expect(fields, "idle", "--seconds", "0.1")

    async def test_flood(self) -> None:
        """A quiet actor is called alone and beside a flood."""
        fields = "alone_p99_us beside_p99_us beside_late_p99_us flood_per_s"
        await self.expect(fields, "flood", "--layer", "local", "--seconds", "0.2")

    async def test_growth(self) -> None:
        """There is a row for each size of what grows."""
        options = ("--smallest", "--of", "actors", "--seconds", "0.1")
        result = await self.run_one("growth", *options)
        (row,) = result["growth"]
        self.assertEqual((row["what"], row["size"]), ("actors", 10))
        self.assertIn("median", row["cpu_us_per_call"])


class RoundsTests(SynchronousTestCase):
    """How the numbers of rounds become one result."""

    def test_interleaved(self) -> None:
        """The sides take turns, and who is first changes."""
        order: list[str] = []
        numbers = {"ours": [2.0, 6.0, 3.0], "real": [1.0, 2.0, 3.0]}

        def side(name: str) -> dict[str, Any]:
            order.append(name)
            return {"x": numbers[name].pop(0), "k": 64, "job": "calls"}

        table = rounds.compare(
            {"ours": lambda: side("ours"), "real": lambda: side("real")}, 3
        )
        self.assertEqual(order, ["ours", "real", "real", "ours", "ours", "real"])
        self.assertEqual(table["ours"], {"x": {"median": 3.0, "min": 2.0, "max": 6.0}})
        self.assertEqual(table["ratio"], {"x": {"median": 2.0, "min": 1.0, "max": 3.0}})


class ReportTests(SynchronousTestCase):
    """Tables and plots."""

    def test_page(self) -> None:
        """A place in the page is filled anew, and the rest of the page stays."""
        directory = temporary(self)
        page = directory / "page.md"
        page.write_text(
            "a\n<!-- machine -->\n<!-- end -->\n<!-- send -->\nold\n<!-- end -->\nz"
        )
        spread = {"median": 1234.0, "min": 1000.0, "max": 2e6}
        result = {
            "benchmark": "send",
            "options": {"count": 1000},
            "pin": True,
            "machine": dict.fromkeys(
                ("processor", "processors", "system", "python", "twisted", "skynet_tw"),
                "?",
            ),
            "ours": {"messages_per_s": spread},
        }
        results = directory / "results"
        results.write_text(json.dumps(result) + "\n")
        self.patch(report, "PAGE", page)
        self.patch(report, "PLOTS", directory / "plots")
        report.write([results])
        text = page.read_text()
        self.assertIn("| messages/s | 1,000, one core | 1.23k (1k–2M) | – | – |", text)
        self.assertNotIn("old", text)
        self.assertTrue(text.startswith("a\n") and text.endswith("z"))

    def test_flame_graph(self) -> None:
        """Every function of the stacks is in the drawing, with its share."""
        path = temporary(self) / "stacks"
        path.write_text("m:main;m:a;m:b 3\nm:main;m:c<1> 1\n")
        stacks = sampler.read(path)
        self.assertEqual(sampler.top(stacks), {"m:b": 0.75, "m:c<1>": 0.25})
        drawn = plots.flame("title", stacks)
        self.assertIn("m:a: 75.0%", drawn)
        self.assertIn("m:c&lt;1&gt;: 25.0%", drawn)


class SamplerTests(SynchronousTestCase):
    """The profile of a process."""

    def test_samples(self) -> None:
        """What used CPU time is in the stacks."""
        profile = sampler.Sampler()
        profile.start()
        while not profile.samples:
            sum(range(1000))
        path = temporary(self) / "stacks"
        profile.stop(path)
        found = [name for stack, _ in sampler.read(path) for name in stack]
        self.assertTrue([name for name in found if "test_samples" in name], found)
