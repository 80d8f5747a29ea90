"""Actors that tests start by ``--start``."""

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
