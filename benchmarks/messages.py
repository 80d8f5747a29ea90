"""What messages cost: calls, one-way messages, and large ones."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from typing import Any

from .layers import LAYERS
from .nodes import Network

Result = dict[str, Any]


def call_options(parser: ArgumentParser) -> None:
    parser.add_argument("--layer", choices=["local", *LAYERS], default="harbor")
    parser.add_argument("--inflight", type=int, default=64, metavar="K")
    parser.add_argument("--seconds", type=float, default=1.5)
    parser.add_argument("--count", type=int, help="calls at most")
    parser.add_argument(
        "--style",
        choices=["fork", "gather", "inline"],
        default="fork",
        help="how our actor has K in flight: forked coroutines, gatherResults of"
        " Deferred.fromCoroutine, or inlineCallbacks (default: fork)",
    )


def call(network: Network, options: Namespace) -> Result:
    """Calls with K in flight, within a node or from node to node."""
    bounds = f"k={options.inflight},s={options.seconds}"
    if options.count:
        bounds += f",n={options.count}"
    bounds += f",style={options.style}"
    if options.layer == "local":
        return network.node(f"loadgen local:{bounds} quit").result()
    return _between(network, options, "calls", bounds)


def send_options(parser: ArgumentParser) -> None:
    parser.add_argument("--layer", choices=LAYERS, default="harbor")
    parser.add_argument("--count", type=int, default=200_000)


def send(network: Network, options: Namespace) -> Result:
    """One-way messages from node to node, until the receiver has counted all."""
    result = _between(network, options, "oneway", f"n={options.count}")
    if result["received"] != options.count or not result["in_order"]:
        raise AssertionError(f"messages were lost or overtaken: {result}")
    return result


def payload_options(parser: ArgumentParser) -> None:
    parser.add_argument("--layer", choices=LAYERS, default="harbor")
    parser.add_argument("--size", type=int, default=1024 * 1024, help="bytes")
    parser.add_argument("--inflight", type=int, default=4, metavar="K")
    parser.add_argument("--count", type=int, default=256)


def payload(network: Network, options: Namespace) -> Result:
    """Large strings from node to node and back."""
    work = f"size={options.size},n={options.count},k={options.inflight}"
    return _between(network, options, "payload", work)


def _between(network: Network, options: Namespace, job: str, work: str) -> Result:
    """Have one node do a job of ``loadgen`` with the echo of another."""
    layer = LAYERS[options.layer]
    network.server(f"echo {layer.name}")
    return network.node(f"loadgen {job}:dest={layer.dest},{work} quit").result()
