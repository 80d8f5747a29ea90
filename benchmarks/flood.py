"""Latency under load: a quiet actor's calls beside a flood to another."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from typing import Any

from .nodes import Network


def flood_options(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--layer",
        choices=["local", "harbor"],
        default="harbor",
        help="whether the flood is made in the node itself or comes from another",
    )
    parser.add_argument("--seconds", type=float, default=3.0)


def flood(network: Network, options: Namespace) -> dict[str, Any]:
    """Call an actor every 10 ms, first alone, then beside a flood to its neighbour.

    The flood is one way, as fast as its receiver takes it: at most 10,000 messages
    are on their way.
    """
    services = ["QUIET", "SINK"] + ["FLOODER"] * (options.layer == "local")
    network.server("loadgen " + " ".join(f"echo:name={name}" for name in services))
    if options.layer == "harbor":
        network.server("echo FLOODER")
    quiet = f"quiet:dest=QUIET,s={options.seconds}"
    if network.kind == "ours":
        quiet += ",late=1"  # how late the reactor is for a timer
    client = network.node(f"loadgen {quiet} {quiet},flooder=FLOODER,sink=SINK quit")
    fields = {}
    for key, value in client.result().items():
        fields[f"alone_{key}"] = value
    for key, value in client.result().items():
        fields[key if key == "flood_per_s" else f"beside_{key}"] = value
    return fields
