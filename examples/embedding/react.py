"""A program that does one thing in a network, and ends: ``python react.py HOST:PORT``.

HOST:PORT is where the master of the network is.
"""

import sys

from twisted.internet import task

from skynet_tw import make_node


async def main(reactor, master):
    service = make_node(
        {"harbor": 2, "master": master, "address": "127.0.0.1:0"}, reactor=reactor
    )
    service.startService()
    try:
        await service.when_ready()
        client = service.node.client()
        gold = await client.call("BANK", "DEPOSIT", "alice", 100)
        print(f"alice has {gold} now")
    finally:
        await service.stopService()


if __name__ == "__main__":
    task.react(main, sys.argv[1:])
