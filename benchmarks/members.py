"""What members of a network cost: actors, harbors, names, and doing nothing."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from time import perf_counter, sleep
from typing import Any

from .nodes import Network

Result = dict[str, Any]


def spawn_options(parser: ArgumentParser) -> None:
    parser.add_argument("--count", type=int, default=10_000)


def spawn(network: Network, options: Namespace) -> Result:
    """Actors started one after the other: time and resident memory of each."""
    return network.node(f"loadgen spawn:n={options.count} quit").result()


def boot_options(parser: ArgumentParser) -> None:
    parser.add_argument("--count", type=int, default=8, help="harbors")


def boot(network: Network, options: Namespace) -> Result:
    """The first harbor of a network, then all others at once, until each is ready."""
    begun = perf_counter()
    processes = [network.server("echo BOOT0")]
    first = perf_counter()
    for i in range(1, options.count):
        processes.append(network.node(f"echo BOOT{i}"))
    for process in processes:
        process.wait_for(network.ready)
    ready = perf_counter()
    return {
        "harbors": options.count,
        "first_s": first - begun,
        "others_s": ready - first,
        "cpu_s": sum(process.cpu_seconds() for process in processes),
    }


def names_options(parser: ArgumentParser) -> None:
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--inflight", type=int, default=64, metavar="K")
    parser.add_argument("--seconds", type=float, default=1.0)


def names(network: Network, options: Namespace) -> Result:
    """Names registered in one node, found in another, and called in turn."""
    network.server()
    job = f"names:dest=ECHO,n={options.count},k={options.inflight}"
    return network.node(f"loadgen {job},s={options.seconds} quit").result()


def idle_options(parser: ArgumentParser) -> None:
    parser.add_argument("--peers", type=int, default=1, metavar="N")
    parser.add_argument("--seconds", type=float, default=2.0)


def idle(network: Network, options: Namespace) -> Result:
    """A node that does nothing; its peers are nodes of ours on both sides."""
    process = network.server()
    network.crowd(options.peers, 2)
    sleep(0.5)
    cpu, wakeups = process.cpu_seconds(), process.wakeups()
    begun = perf_counter()
    sleep(options.seconds)
    seconds = perf_counter() - begun
    return {
        "peers": options.peers,
        "seconds": seconds,
        "cpu_percent": (process.cpu_seconds() - cpu) / seconds * 100,
        "wakeups_per_s": (process.wakeups() - wakeups) / seconds,
        "resident_mb": process.resident_kb() / 1024,
    }
