"""The demo: a bank in one node, its client in another, each a process of its own.

Node 1 runs the master as well, on a port that the system chooses; node 2 is told it.
"""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from pathlib import Path
from threading import Thread

HERE = Path(__file__).resolve().parent
TWISTD = [str(Path(sys.executable).with_name("twistd")), "--pidfile=", "-n", "skynet"]


class Node:
    """One ``twistd skynet``, whose output is shown under its name."""

    def __init__(self, name: str, *options: str) -> None:
        print(f"{name:7}$ twistd -n skynet {' '.join(options)}", flush=True)
        self.name = name
        self.lines: list[str] = []
        self.process = subprocess.Popen(
            [*TWISTD, *options],
            cwd=HERE,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    def show(self, until: str = "") -> str:
        """Show lines until one matches, or the process ends; return what matched."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            text = re.sub(r"^\S+ \[([^]]*)\] ", "", line.rstrip())
            print(f"{self.name:7}| {text}", flush=True)
            found = re.search(until, line) if until else None
            if found is not None:
                return found[found.lastindex or 0]
        return ""

    def end(self) -> int:
        """Wait for the end of the process; return its exit status."""
        status = self.process.wait()
        print(f"{self.name:7}exit status {status}", flush=True)
        return status


def main() -> int:
    """Run both nodes; the client stops its own, then the bank is told to stop."""
    bank = Node(
        *("bank", "--harbor", "1", "--standalone", "127.0.0.1:0"),
        *("--address", "127.0.0.1:0", "--start", "bank:Bank", "--path", "."),
    )
    master = bank.show(until=r"master listens on (\S+)")
    if not master:
        return bank.end() or 1
    rest = Thread(target=bank.show)
    rest.start()
    client = Node(
        *("client", "--harbor", "2", "--master", master, "--address", "127.0.0.1:0"),
        *("--start", "bank:Client stop", "--path", "."),
    )
    client.show()
    status = client.end()
    bank.process.send_signal(signal.SIGTERM)
    rest.join()
    return status or bank.end()


if __name__ == "__main__":
    sys.exit(main())
