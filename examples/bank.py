"""A bank, and a client that may live in another node: the README's first actors."""

from twisted.internet import defer
from twisted.logger import Logger

from skynet_tw import Actor, SkynetError, command


class Bank(Actor):
    """Keeps gold; other nodes find it by the global name BANK."""

    async def started(self, *args):
        self.gold = {}
        await self.register("BANK")

    @command
    def DEPOSIT(self, who, amount):  # noqa: N802
        if amount < 0:
            raise ValueError(f"{amount} is no deposit")
        self.gold[who] = self.gold.get(who, 0) + amount
        return self.gold[who], "ok"

    @command
    def AUDIT(self):  # noqa: N802
        return self.gold


class Client(Actor):
    """Puts some gold into the bank, and stops its node when told to."""

    log = Logger()

    async def started(self, *args):
        # The bank may be in a node which starts later: the call waits for its name.
        self.stop_after = "stop" in args
        self.fork(self.visit())

    async def visit(self):
        for who, amount in [("alice", 100), ("bob", 40), ("alice", 20)]:
            gold, word = await self.call("BANK", "DEPOSIT", who, amount)
            self.log.info("{who} has {gold} now: {word}", who=who, gold=gold, word=word)
        try:
            await self.call("BANK", "DEPOSIT", "eve", -5)
        except SkynetError as error:
            self.log.info(
                "the bank refused: {error} (retry safe: {safe})",
                error=error,
                safe=error.retry_safe,
            )
        answers = await defer.gatherResults(
            [self.call("BANK", "DEPOSIT", "carol", 1) for _ in range(1000)]
        )
        self.log.info("1000 calls at once, the last says {last}", last=answers[-1])
        self.log.info("audit: {gold}", gold=await self.call("BANK", "AUDIT"))
        if self.stop_after:
            self.node.shutdown()
