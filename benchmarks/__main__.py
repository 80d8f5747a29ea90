"""``python -m benchmarks NAME [options]``: one JSON object for each run."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from . import flood, growth, members, messages, report
from .layers import LAYERS
from .nodes import Network, NodeFailed, Settings, end_in_order_on_sigterm
from .ours import Ours
from .rounds import compare, machine

#: What one side does in a round, and its options.
BENCHMARKS: dict[str, tuple[Callable[..., Any], Callable[..., None]]] = {
    "call": (messages.call, messages.call_options),
    "send": (messages.send, messages.send_options),
    "payload": (messages.payload, messages.payload_options),
    "spawn": (members.spawn, members.spawn_options),
    "boot": (members.boot, members.boot_options),
    "names": (members.names, members.names_options),
    "idle": (members.idle, members.idle_options),
    "flood": (flood.flood, flood.flood_options),
    "growth": (growth.growth, growth.growth_options),
}

#: What docs/performance.md shows.
STANDARD = """
    call --layer local --inflight 1
    call --layer local --inflight 64
    call --layer local --inflight 256
    call --inflight 1
    call --inflight 64
    call --inflight 256
    call --layer local --inflight 1 --pin
    call --layer local --inflight 64 --pin
    call --layer local --inflight 256 --pin
    call --inflight 1 --pin
    call --inflight 64 --pin
    call --inflight 256 --pin
    call --layer cluster --inflight 1
    call --layer cluster --inflight 64
    call --layer cluster --inflight 1 --pin
    call --layer cluster --inflight 64 --pin
    send
    send --pin
    send --layer cluster
    send --layer cluster --pin
    payload
    payload --pin
    payload --layer cluster
    payload --layer cluster --pin
    spawn
    boot --count 8
    boot --count 32
    names --count 1000
    names --count 10000
    idle --peers 1
    idle --peers 64
    flood --layer harbor
    flood --layer local
"""
#: The same, but too much for real Skynet on a small machine, or not for it.
STANDARD_OURS = """
    spawn --count 100000
    idle --peers 254
    growth
"""

#: Options that say how it is measured, not what.
HOW = {"name", "against", "skynet", "pin", "profile", "reactor", "threads", "rounds"}


def parse(argv: list[str]) -> argparse.Namespace:
    """Read the command line."""
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--rounds", type=int, default=5)
    common.add_argument("--against", choices=["real"], help="do it on real Skynet, too")
    common.add_argument(
        "--skynet", type=Path, metavar="TREE", help="a built Skynet, not pyskynet's"
    )
    common.add_argument("--threads", type=int, default=2, help="of each real node")
    common.add_argument("--pin", action="store_true", help="all nodes on one core")
    common.add_argument("--reactor", help="Twisted's name of it")
    common.add_argument(
        "--profile", type=Path, metavar="DIR", help="one more round, for flame graphs"
    )
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    names = parser.add_subparsers(dest="name", required=True, metavar="NAME")
    for name, (work, add_options) in BENCHMARKS.items():
        text = (work.__doc__ or "").partition("\n")[0]
        add_options(
            names.add_parser(name, parents=[common], help=text, description=text)
        )
    text = "all that docs/performance.md shows; it takes half an hour"
    whole = names.add_parser("standard", help=text, description=text)
    whole.add_argument("--rounds", type=int, default=5)
    text = "write docs/performance.md anew from the results in a file"
    report.report_options(names.add_parser("report", help=text, description=text))
    options = parser.parse_args(argv)
    if options.name == "growth" and (options.against or options.profile):
        parser.error("growth measures our own nodes only, and without a profile")
    return options


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Run one benchmark and return what is printed."""
    settings = Settings(
        core=max(os.sched_getaffinity(0)) if options.pin else None,
        reactor=options.reactor,
        skynet=options.skynet,
        threads=options.threads,
    )
    what = {
        key: value
        for key, value in vars(options).items()
        if key not in HOW and value is not None
    }
    result: dict[str, Any] = {
        "benchmark": options.name,
        "options": what,
        "pin": options.pin,
        "rounds": options.rounds,
        "machine": machine(),
    }
    if options.name == "growth":
        result["growth"] = growth.growth(partial(Ours, settings), options)
        return result
    work = BENCHMARKS[options.name][0]
    # What happens within one node is measured in a member of a harbor network.
    layer = LAYERS.get(what.get("layer", ""), LAYERS["harbor"])
    sides: dict[str, Callable[[], dict[str, Any]]] = {}
    sides["ours"] = partial(_once, layer.ours, settings, work, options)
    if options.against:
        sides["real"] = partial(_once, layer.real, settings, work, options)
        result["against"] = "pyskynet" if options.skynet is None else "current Skynet"
    result.update(compare(sides, options.rounds))
    if options.profile:
        _once(layer.ours, replace(settings, profile=options.profile), work, options)
        result["profile"] = report.flame_graphs(options.profile)
    return result


def _once(
    kind: type[Network],
    settings: Settings,
    work: Callable[[Network, argparse.Namespace], dict[str, Any]],
    options: argparse.Namespace,
) -> dict[str, Any]:
    with kind(settings) as network:
        return work(network, options)


def standard(options: argparse.Namespace) -> Iterator[list[str]]:
    """The command lines of what docs/performance.md shows."""
    rounds = ["--rounds", str(options.rounds)]
    for line in STANDARD.split("\n"):
        if line.strip():
            yield [*line.split(), *rounds, "--against", "real"]
    for line in STANDARD_OURS.split("\n"):
        if line.strip():
            yield [*line.split(), *rounds]


def main(argv: list[str]) -> int:
    """Run what the command line says."""
    options = parse(argv)
    end_in_order_on_sigterm()
    if options.name == "report":
        report.write(options.results)
        return 0
    lines = standard(options) if options.name == "standard" else [argv]
    status = 0
    for line in lines:
        try:
            print(json.dumps(run(parse(line))), flush=True)
        except NodeFailed as error:
            print(" ".join(line), error, sep="\n", file=sys.stderr)
            status = 1
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
