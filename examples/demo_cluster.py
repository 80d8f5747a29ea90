"""The demo of a cluster: a shop in Lua, exchange rates in Python, and a guest.

A real Skynet node and two of ours, each a process of its own, find each other by a node
table: one file in Skynet's own format, which all of them read.  The node with the rates
is killed and replaced on another port, and the calls go on.  ``skynet-tw`` calls into
all of them.  The demo ends with status 0 if all that it shows was as it should be.
"""

from __future__ import annotations

import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import Empty, Queue
from threading import Thread
from typing import ClassVar

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
BIN = Path(sys.executable).parent

#: The environment with real Skynet that `make peer` makes.
PEER = Path(os.environ.get("SKYNET_PEER", ROOT / ".peer"))

#: Seconds that each thing may take which is waited for.
LIMIT = 30.0


class Unexpected(Exception):
    """Something was not as it should be; the text says what."""


def show(name: str, text: str) -> None:
    """Print a line of a node."""
    sys.stdout.write(f"{name:8}{text}\n")
    sys.stdout.flush()


def say(text: str) -> None:
    """Print what is shown next."""
    show("demo", f"# {text}")


class Process:
    """A process whose output is shown under its name, line by line.

    :param name: what it is called.
    :param command: what is run.
    :param shown: the command as the reader types it.
    """

    #: All that were started.
    started: ClassVar[list[Process]] = []

    def __init__(self, name: str, command: list[str], shown: str) -> None:
        show(name, f"$ {shown}")
        self.name = name
        self._lines: Queue[str | None] = Queue()
        self._process = subprocess.Popen(
            command,
            cwd=HERE,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        self._reader = Thread(target=self._read)
        self._reader.start()
        self.started.append(self)

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            # Without the time and the origin that the logs have.
            text = re.sub(r"^(\S+ \[[^]]*\]|\[:\w+\]) ", "", line.rstrip())
            if not text.startswith(("LAUNCH ", "KILL ")):
                show(self.name, f"| {text}")
            self._lines.put(text)
        self._lines.put(None)

    def expect(self, pattern: str) -> str:
        """Wait for a line that matches; return its first group, or what matched.

        :raises Unexpected: it does not come in time, or the process ends before.
        """
        while True:
            try:
                line = self._lines.get(timeout=LIMIT)
            except Empty:
                raise Unexpected(f"{self.name}: no {pattern!r} in time") from None
            if line is None:
                raise Unexpected(f"{self.name}: ended without {pattern!r}")
            found = re.search(pattern, line)
            if found is not None:
                return found[found.lastindex or 0]

    def end(self, expected: int = 0) -> None:
        """Wait for the end of the process.

        :param expected: its exit status, or minus the number of a signal.
        :raises Unexpected: it ends otherwise, or not in time.
        """
        try:
            status = self._process.wait(LIMIT)
        except subprocess.TimeoutExpired:
            raise Unexpected(f"{self.name}: did not end") from None
        self._reader.join()
        show(self.name, f"exit status {status}")
        if status != expected:
            raise Unexpected(f"{self.name}: exit status {status}, not {expected}")

    def signal(self, number: signal.Signals) -> None:
        """Send a signal."""
        show(self.name, f"gets {number.name}")
        self._process.send_signal(number)

    def kill(self) -> None:
        """End it, whatever it does."""
        self._process.kill()
        self._process.wait()
        self._reader.join()


class Table:
    """The node table: a file that all nodes read, and that is replaced as a whole."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / "nodes.lua"
        self._nodes: dict[str, str] = {}

    def put(self, name: str, address: str) -> None:
        """Write where a node is."""
        self._nodes[name] = address
        lines = [f'{name} = "{address}"' for name, address in self._nodes.items()]
        new = self.path.with_suffix(".new")
        new.write_text("\n".join(lines) + "\n")
        new.replace(self.path)
        show("table", f"| {', '.join(lines)}")


def lua(table: Table, service: str) -> Process:
    """Start a real Skynet node without a harbor."""
    if not (PEER / "stamp").exists():
        raise Unexpected(f"no real Skynet in {PEER}; `make peer` makes it")
    options = f"--harbor 0 --services lua --arg cluster={table.path} --start {service}"
    command = [str(PEER / "bin" / "python"), str(ROOT / "tests" / "real" / "node.py")]
    return Process(service, [*command, *options.split()], f"node.py {options}")


def python(table: Table, name: str, start: str) -> Process:
    """Start a node of ours without a harbor."""
    options = (
        f"--harbor 0 --cluster-listen 127.0.0.1:0 --cluster-directory file:{table.path}"
        f" --path . --start {shlex.quote(start)}"
    )
    command = [str(BIN / "twistd"), "--pidfile=", "-n", "skynet", *shlex.split(options)]
    return Process(name, command, f"twistd -n skynet {options}")


def shell(words: str) -> Process:
    """Run ``skynet-tw``."""
    command = [str(BIN / "skynet-tw"), *shlex.split(words)]
    return Process("shell", command, f"skynet-tw {words}")


def free_address() -> str:
    """An address of loopback where nobody listens: a Lua node has to be told one."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"


def ask(words: str, *lines: str) -> None:
    """Run ``skynet-tw``, which prints these lines and ends with 0."""
    asked = shell(words)
    for line in lines:
        asked.expect(f"^{re.escape(line)}$")
    asked.end()


def story(table: Table) -> None:
    """All that is shown.

    :raises Unexpected: something was not as it should be.
    """
    say("a shop in a real Skynet node, rates and a guest in nodes of ours")
    at = free_address()
    table.put("shop", at)
    shop = lua(table, "shop")
    shop.expect("the shop is open")
    first = python(table, "rates1", "rates:Rates first")
    rates = first.expect(r"cluster listens on (\S+)")
    table.put("rates", rates)
    guest = python(table, "guest", "rates:Guest")
    guest_at = guest.expect(r"cluster listens on (\S+)")
    for node in (first, guest):
        node.expect("node ready")

    say("Lua calls Python, through a proxy")
    ask(f"call {at} @shop RELOAD", "ok")
    ask(f"call {at} @shop PRICE sword yen", "2400", "first")

    say("Python asks for names and calls Lua, which calls Python")
    ask(f"call {guest_at} @guest VISIT")
    guest.expect(r"the shop is shop:[0-9a-f]{8}$")
    guest.expect(r"there is no smithy: .*name not found$")
    guest.expect(r"a sword is 15\.0 euro, says first$")

    say("Python calls Python")
    ask(f"call {guest_at} @guest ASK 2", "480", "first")
    guest.expect("asks for the rates")

    say("the node with the rates dies: a call that it was at may have run")
    thinking = shell(f"call --timeout 30 {rates} @rates THINK")
    first.expect("first thinks about it")
    first.signal(signal.SIGKILL)
    first.end(-signal.SIGKILL)
    thinking.expect("LinkLost: .*it may have run")
    thinking.end(4)
    guest.expect("lost the link to node rates")

    say("another node takes its place; a call that came before waits for it")
    waiting = shell(f"call --timeout 30 {guest_at} @guest ASK 3")
    guest.expect("asks for the rates")
    second = python(table, "rates2", "rates:Rates second")
    table.put("rates", second.expect(r"cluster listens on (\S+)"))
    for line in ("720", "second"):
        waiting.expect(f"^{line}$")
    waiting.end()
    ask(f"call {at} @shop RELOAD", "ok")
    ask(f"call {guest_at} @guest VISIT")
    guest.expect(r"a sword is 15\.0 euro, says second$")

    say("all of them end")
    for node, status in ((guest, 0), (second, 0), (shop, -signal.SIGTERM)):
        node.signal(signal.SIGTERM)
        node.end(status)


@contextmanager
def all_ended() -> Iterator[None]:
    """Leave no process behind."""
    try:
        yield
    finally:
        for process in Process.started:
            process.kill()


def main() -> int:
    """Tell the story in a directory of its own."""
    with tempfile.TemporaryDirectory() as directory, all_ended():
        try:
            story(Table(Path(directory)))
        except Unexpected as error:
            say(f"failed: {error}")
            return 1
    say("all was as it should be")
    return 0


if __name__ == "__main__":
    sys.exit(main())
