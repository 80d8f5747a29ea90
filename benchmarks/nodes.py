"""Nodes as processes: started, read line by line, weighed, and ended."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Condition, Thread
from time import monotonic
from types import TracebackType
from typing import Any

ROOT = Path(__file__).resolve().parent.parent

#: Seconds that anything a node is waited for may take.
PATIENCE = 180.0


class NodeFailed(Exception):
    """A node ended, or said nothing, while something in its output was waited for."""


@dataclass(frozen=True)
class Settings:
    """What is the same for all nodes of a run."""

    #: The core on which all nodes run, None for no matter which.
    core: int | None = None
    #: Twisted's reactor, None for its default.
    reactor: str | None = None
    #: Where our nodes write their profiles, None for none.
    profile: Path | None = None
    #: A built tree of Skynet; None for the one that pyskynet carries.
    skynet: Path | None = None
    #: Worker threads of each real node.
    threads: int = 2


class Process:
    """A process whose output is kept; lines that begin with ``{`` are its results."""

    def __init__(self, command: Sequence[str], core: int | None, **env: str) -> None:
        pinned = [] if core is None else ["taskset", "-c", str(core)]
        self._lines: list[str] = []
        self._results: list[dict[str, Any]] = []
        self._changed = Condition()
        self._ended = False
        self._popen = subprocess.Popen(
            [*pinned, *command],
            cwd="/",  # not where the source is: what is installed is measured
            env={**os.environ, "PYTHONUNBUFFERED": "1", **env},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
        Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self._popen.stdout is not None
        for line in self._popen.stdout:
            with self._changed:
                if line.startswith("{"):
                    self._results.append(json.loads(line))
                self._lines.append(line)
                self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def wait_for(self, pattern: str) -> re.Match[str]:
        """Wait until a line matches *pattern*."""
        compiled = re.compile(pattern)
        end = monotonic() + PATIENCE
        seen = 0
        with self._changed:
            while True:
                for line in self._lines[seen:]:
                    found = compiled.search(line)
                    if found is not None:
                        return found
                seen = len(self._lines)
                self._wait(end, pattern)

    def result(self) -> dict[str, Any]:
        """Wait for the next result; an error in it is raised."""
        end = monotonic() + PATIENCE
        with self._changed:
            while not self._results:
                self._wait(end, "result")
            result = self._results.pop(0)
        if "error" in result:
            raise NodeFailed(f"{result['error']}\n{''.join(self._lines)}")
        return result

    def _wait(self, end: float, what: str) -> None:
        if self._ended or not self._changed.wait(end - monotonic()):
            raise NodeFailed(f"no {what!r} in:\n{''.join(self._lines)}")

    def stop(self) -> None:
        """Tell the process to end."""
        if self._popen.poll() is None:
            self._popen.terminate()

    def end(self) -> None:
        """Wait for the end of the process, which was told to, but not for ever."""
        try:
            self._popen.wait(10)
        except subprocess.TimeoutExpired:
            self._popen.kill()
            self._popen.wait()

    # What the system says of it

    def _tasks(self, file: str) -> list[str]:
        tasks = Path(f"/proc/{self._popen.pid}/task")
        return [(task / file).read_text() for task in tasks.iterdir()]

    def cpu_seconds(self) -> float:
        """CPU time of all its threads."""
        return sum(int(text.split()[0]) for text in self._tasks("schedstat")) / 1e9

    def wakeups(self) -> int:
        """How often its threads have gone to sleep."""
        found = re.findall(
            r"^voluntary_ctxt_switches:\s*(\d+)", "".join(self._tasks("status")), re.M
        )
        return sum(map(int, found))

    def resident_kb(self) -> int:
        """Its resident memory, in KB."""
        text = Path(f"/proc/{self._popen.pid}/status").read_text()
        found = re.search(r"^VmRSS:\s*(\d+)", text, re.M)
        return int(found[1]) if found else 0


class Network(ABC):
    """Nodes of one kind that find each other by the first one's port.

    What a node starts is told in the words of tests/real/services: ``echo NAME ...``
    or ``loadgen JOB ...``.
    """

    #: Which kind of node this is.
    kind: str
    #: What is in the line by which a node says that ``echo`` runs.
    ready: str

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        #: HOST:PORT that the first node binds: of its master, or of its cluster port.
        self.first = ""
        self._directory = tempfile.TemporaryDirectory()
        self._processes: list[Process] = []
        self._last_harbor = 0

    def __enter__(self) -> Network:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for process in self._processes:
            process.stop()
        for process in self._processes:
            process.end()
        self._directory.cleanup()

    def node(self, start: str, harbor: int | None = None) -> Process:
        """Start a node, on the next harbor if none is given."""
        if harbor is None:
            harbor = self._last_harbor = self._last_harbor + 1
        process = self._start(harbor, start)
        self._processes.append(process)
        return process

    def server(self, start: str = "echo ECHO") -> Process:
        """Start a node, and wait until it answers to its names."""
        process = self.node(start)
        process.wait_for(self.ready)
        return process

    def crowd(self, count: int, first: int) -> None:
        """Let *count* harbors of ours join that have nothing to do, from *first* on."""
        while count > 0:
            size = min(count, 32)
            script = str(ROOT / "benchmarks" / "crowd.py")
            command = [sys.executable, script, self.first, str(first), str(size)]
            process = Process(command, None)
            self._processes.append(process)
            # One process after the other: they would only queue for the processor.
            process.wait_for("crowd ready")
            first += size
            count -= size

    def _node_table(self) -> Path:
        """Write a node table which calls the first node ``server``.

        It is both TOML and Skynet's own clustername file.
        """
        table = Path(self._directory.name) / "nodes"
        table.write_text(f'server = "{self.first}"\n')
        return table

    @abstractmethod
    def _start(self, harbor: int, start: str) -> Process: ...


def end_in_order_on_sigterm() -> None:
    """Let SIGTERM end this process as Ctrl-C does, so that its nodes end, too."""

    def stop(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, stop)
