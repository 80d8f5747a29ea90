"""The tests that need nothing but memory.

``python -m tests.memory`` prints their modules, ``make quick`` runs them, and
``tests.versions.matrix`` does so on each Python.  A new module of tests is among them
unless it is named here.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

#: What starts processes, opens sockets, or asks a tool: modules, and folders with all
#: that is in them.
OUTSIDE = {
    "tests.discovery.test_dns_server": "sockets of loopback",
    "tests.discovery.test_etcd_server": "etcd",
    "tests.discovery.test_nodes_dns": "sockets of loopback",
    "tests.discovery.test_nodes_etcd": "etcd, and processes",
    "tests.discovery.test_nodes_table": "processes",
    "tests.cli.test_main": "processes",
    "tests.reactors": "runs on each reactor, `make test-reactors`",
    "tests.real": "real Skynet",
    "tests.test_benchmarks": "processes",
    "tests.test_cli": "processes",
    "tests.test_cluster_sockets": "sockets of loopback",
    "tests.test_descriptors": "processes, with few descriptors",
    "tests.test_embedding": "processes, and sockets of loopback",
    "tests.test_logs": "processes that log",
    "tests.test_packaging": "virtual environments",
    "tests.test_sockets": "sockets of loopback",
    "tests.test_story": "sockets of loopback, and a process",
    "tests.test_typing": "mypy",
}

#: What they use of the extra ``test``.
TOOLS = ("hypothesis", "klein", "treq")


def all_modules() -> Iterator[str]:
    """The dotted names of all modules of tests, in the order of their paths."""
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        yield ".".join(path.relative_to(ROOT).with_suffix("").parts)


def modules() -> list[str]:
    """The dotted names of those that need nothing but memory."""
    return [name for name in all_modules() if not _outside(name)]


def _outside(module: str) -> bool:
    parts = module.split(".")
    return any(".".join(parts[:n]) in OUTSIDE for n in range(1, len(parts) + 1))


if __name__ == "__main__":
    print(*modules(), sep="\n")
