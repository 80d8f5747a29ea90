"""Growth: what one call costs as there is more of everything."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from .nodes import Network
from .rounds import spread

#: What grows, and to what.
SIZES = {
    "peers": (1, 16, 254),
    "names": (10, 10_000),
    "actors": (10, 100_000),
    "inflight": (1, 64, 10_000),
}

#: The harbor of the node that calls; the server is 1, a crowd begins at 3.
CLIENT = 2


def growth_options(parser: ArgumentParser) -> None:
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument(
        "--of",
        choices=list(SIZES),
        action="append",
        help="what grows; all if not given",
    )
    parser.add_argument(
        "--smallest", action="store_true", help="only the first size of each"
    )


def growth(start: Callable[[], Network], options: Namespace) -> list[dict[str, Any]]:
    """CPU time of both nodes for each call, for each size of each thing.

    The networks of all sizes are there at the same time, and take turns.
    """
    table = []
    for what in options.of or SIZES:
        sizes = SIZES[what][:1] if options.smallest else SIZES[what]
        with ExitStack() as stack:
            networks = [stack.enter_context(start()) for _ in sizes]
            for network, size in zip(networks, sizes, strict=True):
                _prepare(network, what, size)
            runs: list[list[dict[str, Any]]] = [[] for _ in sizes]
            for _ in range(options.rounds):
                for network, size, results in zip(networks, sizes, runs, strict=True):
                    results.append(_measure(network, what, size, options.seconds))
        for size, results in zip(sizes, runs, strict=True):
            chosen = ("cpu_us_per_call", "calls_per_s", "p99_us")
            fields = {key: spread([run[key] for run in results]) for key in chosen}
            table.append({"what": what, "size": size, **fields})
    return table


def _prepare(network: Network, what: str, size: int) -> None:
    network.server()
    if what == "peers":
        network.crowd(size - 1, CLIENT + 1)  # the server is a peer, too


def _measure(network: Network, what: str, size: int, s: float) -> dict[str, Any]:
    job = {
        "peers": f"calls:dest=ECHO,k=64,s={s}",
        "names": f"names:dest=ECHO,n={size},s={s}",
        "actors": f"actors:dest=ECHO,n={size},s={s}",
        "inflight": f"calls:dest=ECHO,k={size},s={s}",
    }[what]
    client = network.node(f"loadgen {job} quit", CLIENT)
    result = client.result()
    client.end()  # the next one needs its harbor id
    return result
