"""Harbors that join and do nothing: ``python crowd.py MASTER FIRST COUNT``.

They share a process, as 254 of them would be too many for a small machine.
"""

from __future__ import annotations

import os
import resource
import sys
import traceback
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults

from skynet_tw.tap import Options, makeService


def join(master: str, harbor: int) -> Any:
    """Start a node that joins a network, as ``twistd skynet`` does."""
    options = Options()
    where = ["--master", master, "--address", "127.0.0.1:0"]
    options.parseOptions(["--harbor", str(harbor), *where, "--boot-timeout", "0"])
    service: Any = makeService(options)
    service.privilegedStartService()
    service.startService()
    return service


async def run(master: str, first: int, count: int) -> None:
    """Let them all join, and say so."""
    try:
        services = [join(master, first + i) for i in range(count)]
        await gatherResults([service.node.when_ready() for service in services])
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
