"""Actors that tests start by ``--start``."""

import sys
import time

from twisted.logger import Logger
from twisted.python import log as legacy

from skynet_tw import Actor, command

NOT_AN_ACTOR = object()


class Greeter(Actor):
    """Greets."""

    @command
    def HELLO(self, who):
        return f"hello {who}"


class Broken(Actor):
    """Does not start."""

    async def started(self, *args):
        raise ValueError(" ".join(args))


class Named(Actor):
    """Takes the name that it is given."""

    async def started(self, name):
        await self.register(name)


class Host(Greeter):
    """A greeter with a name."""

    async def started(self, name):
        await self.register(name)


class Guest(Actor):
    """Prints how it is greeted."""

    async def started(self, host):
        print("greeted:", await self.call(host, "HELLO", f"harbor {self.node.harbor}"))


class Unprintable:
    """A value without a text."""

    def __repr__(self):
        raise ValueError("no text")


class Noisy(Actor):
    """Logs what is hard to write, each event with a mark, and ends the node."""

    log = Logger()

    async def started(self):
        binary = b"\xff\x1b".decode("utf-8", "surrogateescape")
        loop = []
        loop.append(loop)
        self.log.info("mark-own {text}", text=binary)
        self.log.error("mark-format " + binary)
        self.log.warn("mark-chinese \u4f60\u597d")
        self.log.info("mark-value {value}", value=Unprintable())
        self.log.info("mark-loop", value=loop)
        print("mark-print", binary)
        print("mark-stderr", binary, file=sys.stderr)
        legacy.msg("mark-legacy", binary)
        try:
            raise ValueError("mark-error " + binary)
        except ValueError:
            self.log.failure("mark-failure {text}", text=binary)
        self.log.info("mark-end")
        self.node.clock.callLater(0, self.node.shutdown)


class Died(Actor):
    """Does not start, for a reason that no file takes."""

    async def started(self):
        raise ValueError("binary \udcff\nline")


class Saver(Greeter):
    """Saves something at its end, which takes a call."""

    async def started(self, store):
        self.store = store

    async def stopped(self):
        print("saved:", await self.call(self.store, "HELLO", "store"))


class Exiting(Actor):
    """Its end is not what it should be."""

    def stopped(self):
        sys.exit(3)


class Hanging(Actor):
    """Does not come to its end."""

    async def stopped(self):
        print("hangs")
        await self.sleep(1000)


class Blocking(Actor):
    """Lets nobody else come to an end, either."""

    def stopped(self):
        print("hangs")
        time.sleep(1000)


class Tally(Actor):
    """Writes down what it has run, where the death of its node does not undo it."""

    async def started(self, path):
        self.file = open(path, "a", buffering=1)  # noqa: SIM115
        await self.cluster.register("tally")

    def stopped(self):
        self.file.close()

    @command
    def RUN(self, i, *padding):
        self.file.write(f"{i}\n")
        return i
