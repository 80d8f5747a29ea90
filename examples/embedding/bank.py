"""The actor of these examples."""

from skynet_tw import Actor, command


class Bank(Actor):
    """Keeps gold; every node of the network finds it by the name BANK."""

    async def started(self):
        self.gold = {}
        await self.register("BANK")

    @command
    def DEPOSIT(self, who, amount):  # noqa: N802
        if amount < 0:
            raise ValueError(f"{amount} is no deposit")
        self.gold[who] = self.gold.get(who, 0) + amount
        return self.gold[who]
