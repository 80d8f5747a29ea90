"""Harbors that join and do nothing: ``python crowd.py MASTER FIRST COUNT``.

They share a process, as 254 of them would be too many for a small machine.
"""

from __future__ import annotations

import os
import resource
import sys
import traceback

from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults

from skynet_tw import make_node
from skynet_tw.service import NodeService


def join(master: str, harbor: int) -> NodeService:
    """Start a node that joins a network."""
    config = {"harbor": harbor, "master": master, "address": "127.0.0.1:0"}
    service = make_node({**config, "boot_timeout": 0}, reactor=reactor)
    service.startService()
    return service


async def run(master: str, first: int, count: int) -> None:
    """Let them all join, and say so."""
    try:
        services = [join(master, first + i) for i in range(count)]
        await gatherResults([service.when_ready() for service in services])
    except Exception:
        traceback.print_exc()
        os._exit(1)
    print("crowd ready", flush=True)


if __name__ == "__main__":
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    joining = Deferred.fromCoroutine(
        run(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
    )
    reactor.run()
