"""Exchange rates in one node of a cluster, and a guest in another, for the demo."""

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from skynet_tw import Actor, SkynetError, command


class Rates(Actor):
    """Knows what gold is worth; the nodes of the cluster find it as ``@rates``."""

    log = Logger()

    async def started(self, name="rates"):
        self.name = name
        self.worth = {"euro": 1.5, "yen": 240}
        await self.cluster.register("rates")

    @command
    def WORTH(self, gold, currency):  # noqa: N802
        return gold * self.worth[currency], self.name

    @command
    async def THINK(self):  # noqa: N802
        self.log.info("{name} thinks about it", name=self.name)
        await Deferred()


class Guest(Actor):
    """Visits the shop, a Lua service, and the rates when it is told to."""

    log = Logger()

    async def started(self, *args):
        await self.cluster.register("guest")

    @command
    async def VISIT(self):  # noqa: N802
        shop = await self.cluster.query("shop", "shop")
        self.log.info("the shop is {shop}", shop=shop)
        try:
            await self.cluster.query("shop", "smithy")
        except SkynetError as error:
            self.log.info("there is no smithy: {error}", error=error)
        # The shop asks the rates in its turn, from Lua.
        price, who = await self.cluster.call("shop", "@shop", "PRICE", "sword", "euro")
        self.log.info("a sword is {price} euro, says {who}", price=price, who=who)

    @command
    async def ASK(self, gold):  # noqa: N802
        # The node may be away: the call waits until it is there, or the time is over.
        self.log.info("asks for the rates")
        rates = self.cluster.proxy("rates", "@rates")
        return await rates.call("WORTH", gold, "yen", timeout=30.0)
