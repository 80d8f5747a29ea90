"""``twistd skynet`` and ``twist skynet`` as their users meet them."""

from __future__ import annotations

import re
import socket
import sys
import tempfile
from pathlib import Path

from twisted.internet import reactor
from twisted.trial.unittest import TestCase

from .processes import NodeProcess

LOOPBACK = "127.0.0.1:0"
ACTORS = str(Path(__file__).resolve().parent / "actors")


def _line_of(source: str) -> int:
    """Where in the actors' module a piece of source is."""
    text = (Path(ACTORS) / "actors.py").read_text()
    return text.count("\n", 0, text.index(source)) + 1


class CommandLineTests(TestCase):
    """What a boot prints, and how the process ends."""

    timeout = 60

    def node(self, *options: str, by: str = "twistd") -> NodeProcess:
        process = NodeProcess.node(reactor, "--path", ACTORS, *options, by=by)
        self.addCleanup(process.stop, "KILL")
        return process

    async def master(self, *options: str) -> tuple[NodeProcess, str]:
        """A node with a master; and where that is."""
        options = ("--standalone", LOOPBACK, "--address", LOOPBACK, *options)
        process = self.node(*options)
        found = await process.wait_for(r"master listens on (\S+)")
        await process.wait_for("node ready")
        return process, found[1]

    async def failure(
        self, *options: str, by: str = "twistd", traceback: bool = False
    ) -> str:
        """The one line with which a boot fails; its status is not 0.

        :param traceback: whether code of the user's failed: then that is there, once.
        """
        process = self.node(*options, by=by)
        status = await process.wait()
        self.assertEqual(status, 1, process.output)
        self.assertEqual(process.output.count("Traceback"), traceback, process.output)
        lines = [x for x in process.lines if "skynet: " in x or "boot failed" in x]
        self.assertEqual(len(lines), 1, process.output)
        return lines[0]

    def reserved(self) -> str:
        """An address where nobody else can listen, and nobody answers."""
        reserved = socket.socket()
        self.addCleanup(reserved.close)
        reserved.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{reserved.getsockname()[1]}"

    async def test_stages(self) -> None:
        """Each stage is logged once, the ready line last, and SIGTERM ends the node."""
        process, _ = await self.master("--start", "actors:Greeter")
        for stage in ("bound", "master", "peers", "actors"):
            found = [x for x in process.lines if f"boot stage {stage} done" in x]
            self.assertEqual(len(found), 1, stage)
        self.assertRegex(
            process.lines[-1], r"node ready: harbor 1, 0 peers, 3 actors, \d+\.\d{3} s$"
        )
        self.assertEqual(await process.stop(), 0)

    async def test_stop(self) -> None:
        """A signal waits for what actors save, whatever the others do at their end."""
        process, _ = await self.master(
            *("--start", "actors:Host .store", "--start", "actors:Saver .store"),
            *("--start", "actors:Exiting"),
        )
        self.assertEqual(await process.stop(), 0)
        self.assertIn("saved: hello store", process.output)
        self.assertEqual(process.output.count("Traceback"), 1, process.output)

    async def test_second_signal(self) -> None:
        """The second signal does not wait, and ends the node in order all the same."""
        process, _ = await self.master(
            *("--start", "actors:Greeter", "--start", "actors:Hanging"),
        )
        ended = process.stop()
        await process.wait_for("hangs")
        await process.stop("INT")
        self.assertEqual(await ended, 0)
        self.assertIn("SIGINT again: the node stops at once", process.output)
        self.assertNotIn("Traceback", process.output)

    async def test_blocked(self) -> None:
        """Code that does not return cannot keep the process."""
        process, _ = await self.master("--start", "actors:Blocking")
        ended = process.stop()
        await process.wait_for("hangs")
        await process.stop("TERM")
        self.assertEqual(await ended, 1)
        self.assertIn("does not return", process.output)

    async def test_wires(self) -> None:
        """On both wires a second node joins, and calls an actor of the first."""
        for wire in ("modern", "2013"):
            start = ("--start", "actors:Host HOST", "--wire", wire)
            first, master = await self.master(*start)
            second = self.node(
                *("--harbor", "2", "--master", master, "--address", LOOPBACK),
                *("--start", "actors:Guest HOST", "--wire", wire),
            )
            await second.wait_for("node ready: harbor 2, 1 peers")
            self.assertIn("greeted: hello harbor 2", second.output)
            await first.wait_for("linked with harbor 2")
            self.assertEqual(await second.stop(), 0)
            self.assertEqual(await first.stop(), 0)

    async def test_other_wire(self) -> None:
        """Nodes of two wires do not meet: each says so in one line with both names."""
        for ours, theirs in (("modern", "2013"), ("2013", "modern")):
            first, master = await self.master("--wire", theirs)
            line = await self.failure(
                *("--harbor", "2", "--master", master, "--address", LOOPBACK),
                *("--wire", ours),
            )
            self.assertRegex(
                line,
                f"stage master: the master at {master}:"
                f" the other side speaks --wire {theirs}, we --wire {ours}$",
            )
            said = f"the other side speaks --wire {ours}, we --wire {theirs}"
            await first.wait_for(said)
            self.assertEqual(await first.stop(), 0)
            self.assertEqual(first.output.count("other side speaks"), 1)

    async def test_twist(self) -> None:
        """`twist skynet` boots the same node, and ends with 0."""
        options = ("--standalone", LOOPBACK, "--address", LOOPBACK)
        process = self.node(*options, by="twist")
        await process.wait_for("node ready: harbor 1, 0 peers")
        self.assertEqual(await process.stop("INT"), 0)

    async def test_no_harbor(self) -> None:
        """Harbor 0 is a node without network and without ports."""
        process = self.node("--harbor", "0", "--start", "actors:Greeter")
        await process.wait_for("node ready: harbor 0, 0 peers, 1 actors")
        self.assertNotIn("listens on", process.output)
        self.assertEqual(await process.stop(), 0)

    async def test_port_in_use(self) -> None:
        """A port in use names the role, the address and the system's reason."""
        taken = self.reserved()
        for by in ("twistd", "twist"):
            line = await self.failure("--address", taken, by=by)
            self.assertRegex(line, f"harbor.*{taken}.*in use")
            line = await self.failure("--standalone", taken, by=by)
            self.assertRegex(line, f"master.*{taken}.*in use")

    async def test_master_never_there(self) -> None:
        """A master that never answers ends the boot at its time limit, by name."""
        where = self.reserved()
        options = ("--master", where, "--address", LOOPBACK, "--boot-timeout", "1")
        line = await self.failure(*options)
        self.assertRegex(line, f"stage master.*1 s.*{where}.*refused")

    async def test_id_taken(self) -> None:
        """A harbor id that another node has is refused by name."""
        _, master = await self.master()
        options = ("--harbor", "2", "--master", master, "--address", LOOPBACK)
        first = self.node(*options)
        await first.wait_for("node ready")
        line = await self.failure(*options)
        self.assertRegex(line, f"{master} refuses harbor id 2")

    async def test_start_names_nothing(self) -> None:
        """What cannot be imported is named, with the reason, before anything starts."""
        for start, reason in [
            ("nowhere:Actor", "No module named 'nowhere'"),
            ("actors:Nobody", "no 'Nobody'"),
            ("actors:NOT_AN_ACTOR", "not an Actor"),
            ("actors", "pkg.module:Class"),
        ]:
            line = await self.failure("--harbor", "0", "--start", start)
            self.assertIn(start, line)
            self.assertIn(reason, line)

    async def test_started_raises(self) -> None:
        """An actor whose `started` raises ends the boot with its name and error."""
        for by in ("twistd", "twist"):
            start = ("--harbor", "0", "--start", "actors:Broken no luck")
            line = await self.failure(*start, by=by, traceback=True)
            number = _line_of('raise ValueError(" ".join(args))')
            said = rf"Broken.*ValueError: no luck \({ACTORS}/actors.py:{number}\)$"
            self.assertRegex(line, said)
            start = ("--harbor", "0", "--start", "actors:Died")
            line = await self.failure(*start, by=by, traceback=True)
            self.assertIn(
                r"Died did not start: ValueError: binary \udcff; line (", line
            )

    async def test_import_raises(self) -> None:
        """A module that raises ends the boot with error, file and line."""
        source = "import sys\n\nsys.exit('binary \\udcff')\n"
        for name, text, said in [
            ("leaves", source, r"SystemExit: binary \udcff (%s:3)"),
            ("inner", "\nimport no_such\n", "No module named 'no_such' (%s:2)"),
            ("wrong", "x = 1\n  y = 2\n", "(%s:2)"),
        ]:
            with tempfile.TemporaryDirectory() as directory:
                path = Path(directory) / f"{name}.py"
                path.write_text(text)
                (Path(directory) / "outer.py").write_text(f"import {name}")
                for module, by in ((name, "twistd"), ("outer", "twist")):
                    options = ("--path", directory, "--start", f"{module}:Actor")
                    line = await self.failure(*options, by=by, traceback=True)
                    self.assertIn(f"skynet: --start '{module}:Actor': ", line)
                    self.assertIn(said % path, line)

    async def test_paths(self) -> None:
        """Each --path counts, the first one first."""
        with tempfile.TemporaryDirectory() as directory:
            for number in "12":
                path = Path(directory) / number
                path.mkdir()
                source = f"from actors import *\nclass Two{number}(Greeter): pass"
                (path / "both.py").write_text(source)
            options = ("--path", f"{directory}/2", "--path", f"{directory}/1")
            process = self.node(*options, "--harbor", "0", "--start", "both:Two2")
            await process.wait_for("node ready: harbor 0, 0 peers, 1 actors")
            self.assertEqual(await process.stop(), 0)
            line = await self.failure(*options, "--start", "both:Two1")
            self.assertIn("module both has no 'Two1'", line)

    async def test_standalone(self) -> None:
        """A node reaches its own master, whatever of this machine that listens on."""
        with tempfile.TemporaryDirectory() as directory:
            for where in (
                *(":0", "0.0.0.0:0", "[::]:0", "[::1]:0", "localhost:0"),
                *("tcp:0", "tcp:0:interface=127.0.0.1", "tcp6:0"),
                f"unix:{directory}/socket:mode=600",
            ):
                for wire in ("modern", "2013"):
                    options = ("--standalone", where, "--address", LOOPBACK)
                    process = self.node(*options, "--wire", wire)
                    await process.wait_for("node ready: harbor 1, 0 peers, 2 actors")
                    self.assertEqual(await process.stop(), 0)

    async def test_standalone_refused(self) -> None:
        """A master's port that the node cannot dial, or bind, ends the boot at once."""
        for where in ("ssl:0", "tls:0"):
            line = await self.failure("--standalone", where, "--address", LOOPBACK)
            self.assertIn(f"--standalone '{where}': how the node itself", line)
        for option in ("--standalone", "--listen"):
            line = await self.failure(option, "tcp:port", "--address", LOOPBACK)
            self.assertIn(f"{option}: 'tcp:port': no endpoint to listen on", line)
        line = await self.failure("--master", "tcp:2013", "--address", LOOPBACK)
        self.assertIn("--master: 'tcp:2013': no endpoint to connect to", line)

    async def test_listen(self) -> None:
        """The port that the system chose for --listen is told to the others."""
        for listen in (LOOPBACK, ":0", "tcp:0"):
            options = ("--standalone", LOOPBACK, "--listen", listen)
            first = self.node(*options)
            await first.wait_for("node ready")
            [port] = re.findall(r"HarborFactory starting on (\d+)", first.output)
            said = f"harbor 1 at 127.0.0.1:{port} joined"
            self.assertIn(said, first.output)
            self.assertEqual(await first.stop(), 0)

    async def test_port_in_use_daemon(self) -> None:
        """A daemon that cannot bind says so: its parent's status is not 0."""
        taken = self.reserved()
        with tempfile.TemporaryDirectory() as directory:
            log = Path(directory) / "log"
            twistd = str(Path(sys.executable).with_name("twistd"))
            options = [f"--pidfile={directory}/pid", f"--logfile={log}", "skynet"]
            process = NodeProcess.start(reactor, [twistd, *options, "--address", taken])
            self.assertEqual(await process.wait(), 1)
            self.assertIn("cannot listen on", process.output)

    async def test_bad_numbers(self) -> None:
        """An id or a limit out of range is named, with the range."""
        self.assertIn("256", await self.failure("--harbor", "256"))
        self.assertIn("--boot-timeout", await self.failure("--boot-timeout", "soon"))

    async def test_long_name(self) -> None:
        """A global name of 16 bytes ends the boot of the actor that wants it."""
        name = "SIXTEEN_BYTES_16"
        start = ("--harbor", "0", "--start", f"actors:Named {name}")
        line = await self.failure(*start, traceback=True)
        self.assertRegex(line, f"{name}.*16 bytes.*15")

    async def test_plugin_listed(self) -> None:
        """`twistd --help` lists the node, from any directory."""
        twistd = str(Path(sys.executable).with_name("twistd"))
        process = NodeProcess.start(reactor, [twistd, "--help"])
        await process.wait()
        self.assertRegex(process.output, r"skynet +A Skynet node")
