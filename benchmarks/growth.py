"""Growth: what one call costs as there is more of everything."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Callable
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

    The rounds of one size are runs in the same nodes.
    """
    table = []
    for what in options.of or SIZES:
        sizes = SIZES[what][:1] if options.smallest else SIZES[what]
        for size in sizes:
            with start() as network:
                runs = _measure(network, what, size, options)
            chosen = ("cpu_us_per_call", "calls_per_s", "p99_us")
            fields = {key: spread([run[key] for run in runs]) for key in chosen}
            table.append({"what": what, "size": size, **fields})
    return table


def _measure(
    network: Network, what: str, size: int, options: Namespace
) -> list[dict[str, Any]]:
    network.server()
    if what == "peers":
        network.crowd(size - 1)  # the server is a peer, too
    s = options.seconds
    job = {
        "peers": f"calls:dest=ECHO,k=64,s={s}",
        "names": f"names:dest=ECHO,n={size},s={s}",
        "actors": f"actors:dest=ECHO,n={size},s={s}",
        "inflight": f"calls:dest=ECHO,k={size},s={s}",
    }[what]
    client = network.node(f"loadgen {' '.join([job] * options.rounds)} quit")
    return [client.result() for _ in range(options.rounds)]
