"""Harbors that join and do nothing: ``python -m benchmarks.crowd MASTER FIRST COUNT``.

They share a process, as 254 of them would be too many for a small machine.
"""

from __future__ import annotations

import resource
import sys

from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults

from skynet_tw.options import check
from skynet_tw.service import NodeService
from skynet_tw.tap import build


def join(master: str, harbor: int) -> NodeService:
    """Start a node that joins a network."""
    options = {"harbor": harbor, "master": master, "address": "127.0.0.1:0"}
    config = check({**options, "boot_timeout": 0})
    service = build(config, [], reactor, lambda error: sys.exit(str(error)))
    service.startService()
    return service


async def run(master: str, first: int, count: int) -> None:
    """Let them all join, and say so."""
    services = [join(master, first + i) for i in range(count)]
    await gatherResults([service.node.when_ready() for service in services])
    print("crowd ready", flush=True)


if __name__ == "__main__":
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    joining = Deferred.fromCoroutine(
        run(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
    )
    reactor.run()
