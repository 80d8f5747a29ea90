"""What the examples of Skynet's cluster mode do, with ours in the place of either.

The services shop and customer make the calls that the examples make.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from skynet_tw import Actor, PeerDown, PType, Start, command, dispatch

from .clusters import ClusterCase
from .world import free_address

#: A method of services/snax/counter.lua, and one that has no answer.
GET, ADD = 5, 6


class Store(Actor):
    """The store of shop.lua."""

    async def started(self) -> None:
        self.values: dict[str, Any] = {"a": "apple", "b": "banana"}
        self.pings: list[int] = []
        await self.cluster.register("other")
        await self.cluster.unregister("other")
        await self.cluster.register("store")

    @command
    def GET(self, key: str) -> Any:
        return self.values.get(key)

    @command
    def SET(self, key: str, value: Any) -> Any:
        before = self.values.get(key)
        self.values[key] = value
        return before

    @command
    def PING(self, text: str) -> None:
        self.pings.append(len(text))


class Counter(Actor):
    """What a real node takes for the snax service counter of shop.lua."""

    async def started(self) -> None:
        self.count = 41
        await self.register(".service")

    @command
    def QUERY(self, kind: str, name: str) -> int:
        """How a real node finds a unique snax service of another node."""
        assert (kind, name) == ("snaxd", "counter")
        return int(self.handle)

    @dispatch(PType.LUA)
    def method(self, number: int, *args: int) -> Any:
        if number == ADD:
            self.count += args[0]
            return None
        assert number == GET
        return self.count


class Customer(Actor):
    """Makes the calls of customer.lua."""

    async def started(self, second: str) -> None:
        self.got: list[Any] = []
        cluster = self.cluster
        key, value = "k" * 128 * 1024, "v" * 100 * 1024
        store = cluster.proxy("shop", "@store")
        assert await store.call("SET", key, value) is None
        assert await store.call("GET", key) == value
        store.send("PING", "hello")
        self.got.append(await cluster.call("shop", "@store", "GET", "a"))
        self.got.append(await cluster.call("shop2", "@store", "GET", "b"))
        cluster.send("shop2", "@store", "PING", value)
        await cluster.reload({"shop": False, "shop3": second})
        for call in (
            cluster.call("shop", "@store", "GET", "a"),
            store.call("GET", "a"),
        ):
            try:
                await call
            except PeerDown as error:
                self.got.append(error.retry_safe)
        found = await cluster.call("shop3", ".service", "QUERY", "snaxd", "counter")
        counter = cluster.proxy("shop3", found)
        counter.send(ADD, 1)
        self.got.append(await counter.call(GET))


class ExampleTests(ClusterCase):
    """A shop and its customer, one of them a node of ours."""

    def table(self) -> tuple[Path, str, str]:
        """A file of nodes in Skynet's form, and the two addresses in it."""
        first, second = free_address(), free_address()
        file = Path(self.mktemp()).resolve()
        file.write_text(
            "__nowaiting = true  -- do not wait for nodes with no address\n\n"
            f'shop = "{first}"\nshop2 = "{second}"\n'
        )
        return file, first, second

    async def test_our_shop(self) -> None:
        """A real customer buys, through both ports, in a shop of ours."""
        file, _, second = self.table()
        node = await self.our_node(
            str(file),
            actors=[Start(Store, ()), Start(Counter, ())],
            cluster_listen=["shop", "shop2"],
        )
        customer = self.run_real(
            *("--harbor", "0", "--arg", f"cluster={file}"),
            *("--start", f"customer {second}"),
        )
        bought = await customer.wait_for("customer bought (.*)\n")
        self.assertEqual(bought[1], "apple banana false")
        counted = await customer.wait_for("customer counted (.*)\n")
        self.assertEqual(counted[1], "42")
        store = next(c.actor for c in node.node.actors() if isinstance(c.actor, Store))
        await self.until(lambda: len(store.pings) == 2)
        self.assertEqual(store.pings, [5, 100 * 1024])

    async def test_our_customer(self) -> None:
        """A customer of ours buys, through both ports, in a real shop."""
        file, first, second = self.table()
        shop = self.run_real("--harbor", "0", "--start", f"shop {first} {second}")
        await shop.wait_for("shop ready")
        node = await self.our_node(
            str(file), actors=[Start(Customer, (second,))], cluster_listen=[]
        )
        customer = next(c.actor for c in node.node.actors())
        assert isinstance(customer, Customer)
        self.assertEqual(customer.got, ["apple", "banana", True, True, 42])
        await shop.wait_for("shop ping 5 bytes")
        await shop.wait_for(f"shop ping {100 * 1024} bytes")
