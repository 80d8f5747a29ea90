"""A node of ours and a real one, in cluster mode: what both can say to each other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from skynet_tw import Actor, BadAddress, PeerDown, RemoteError, Start

from .clusters import ANY, ClusterCase, ClusterProbe, body
from .test_modern import NESTED
from .world import free_address

#: What a call can carry, and what it is answered by a probe.
VALUES: tuple[tuple[Any, ...], ...] = (
    (),
    (None,),
    (7,),
    (None, 7, None),
    (NESTED, None, "text", 2.5, True, {}),
)

#: Sizes around the largest message in one packet, and what needs many.
SIZES = (32_767, 32_768, 32_769, 1024**2, 20 * 1024**2)


def answered(*values: Any) -> Any:
    """The form that `call` gives to an answer of these values."""
    return None if not values else values[0] if len(values) == 1 else values


class CallTests(ClusterCase):
    """Requests and their answers, each way."""

    async def test_addresses_to_real(self) -> None:
        """A real service is called by its number, and by each form of its name."""
        ours, real = await self.pair()
        found = await ours.cluster.query("real", "probe")
        self.assertEqual((found.node, found.target), ("real", real.probe))
        text = f":{real.probe:08x}"
        forms: Sequence[Any] = ("@probe", ".probe", real.probe, text, str(real.probe))
        targets = (*forms, found)
        for n, target in enumerate(targets, 1):
            self.assertEqual(await ours.cluster.call("real", target, "ECHO", n), n)
            ours.cluster.send("real", target, "COUNT", n)
        counted = await ours.cluster.call("real", "@probe", "RESULT")
        self.assertEqual(counted, (len(targets), True, len(targets)))
        proxy = ours.cluster.proxy("real", "@probe")
        self.assertEqual(await proxy.call("ECHO", 2), 2)

    async def test_addresses_to_ours(self) -> None:
        """An actor is called by its number, and by each form of its name."""
        ours, _ = await self.pair()
        handle = int(ours.handle)
        self.assertEqual(await self.lua(ours, "query", "ours", "probe"), handle)
        targets = ("@probe", ".probe", handle, f":{handle:08x}", str(handle))
        for n, target in enumerate(targets, 1):
            echoed = await self.lua(ours, "call", "ours", target, "ECHO", n)
            self.assertEqual(echoed, n, target)
            await self.lua(ours, "send", "ours", target, "COUNT", n)
        counted = await self.lua(ours, "call", "ours", "@probe", "RESULT")
        self.assertEqual(counted, (len(targets), True, len(targets)))

    async def test_open(self) -> None:
        """An actor may open one more port, and is called there."""
        ours, _ = await self.pair()
        address = await ours.cluster.open(ANY)
        await self.lua(ours, "reload", {"also_ours": address})
        echoed = await self.lua(ours, "call", "also_ours", "@probe", "ECHO", 1)
        self.assertEqual(echoed, 1)

    async def test_values(self) -> None:
        """No values, several, nil and nested tables go there and back, each way."""
        ours, _ = await self.pair()
        for values in VALUES:
            there = await ours.cluster.call("real", "@probe", "ECHO", *values)
            self.assertEqual(there, answered(*values))
            back = await self.lua(ours, "call", "ours", "@probe", "ECHO", *values)
            self.assertEqual(back, answered(*values))

    async def test_sizes_to_real(self) -> None:
        """Requests and answers of each size arrive whole; ours calls."""
        ours, _ = await self.pair()
        for size in SIZES:
            n = body(size, len("LEN"))
            length = ours.cluster.call("real", "@probe", "LEN", ours.BLOB(n))
            self.assertEqual(await length, n)
            n = body(size)
            blob = await ours.cluster.call("real", "@probe", "BLOB", n)
            self.assertTrue(blob == ours.BLOB(n), size)

    async def test_sizes_to_ours(self) -> None:
        """Requests and answers of each size arrive whole; the real one calls."""
        ours, _ = await self.pair()
        for size in SIZES:
            n = body(size, len("LEN"))
            way = ("real", "@probe", "CLUSTERLEN", "ours", "@probe", n)
            self.assertEqual(await ours.cluster.call(*way), n)
            n = body(size)
            way = ("real", "@probe", "CLUSTERBLOB", "ours", "@probe", n)
            self.assertIs(await ours.cluster.call(*way), True)

    async def test_proxy_to_ours(self) -> None:
        """What a real node's services send to a cluster.proxy reaches the actor."""
        ours, _ = await self.pair()
        for name in ("@probe", int(ours.handle)):
            proxy = await self.lua(ours, "proxy", "ours", name)
            way = ("real", "@probe", "CALL", proxy, "ECHO", NESTED, None, 7)
            self.assertEqual(await ours.cluster.call(*way), (True, NESTED, None, 7))
            ours.RESET()
            flood = ("real", "@probe", "FLOOD", proxy, 1000)
            self.assertEqual(await ours.cluster.call(*flood), 1000)
            await self.until(lambda: ours.RESULT() == (1000, True, 1000))

    async def test_beside_harbors(self) -> None:
        """A node of ours in a network of harbors takes what is for the others in it."""
        master = free_address()
        await self.real(1, master, "REAL", standalone=True)
        real = await self.real_node()
        node = await self.our_node(
            {"real": real.address}, harbor=2, master=master, address=ANY
        )
        ours = self.cluster_probe(node)
        await self.introduce(ours, node)
        there = int(await ours.query("REAL"))
        for target in ("REAL", there, f":{there:08x}", "@probe", int(ours.handle)):
            echoed = await self.lua(ours, "call", "ours", target, "ECHO", NESTED)
            self.assertEqual(echoed, NESTED)


class FailureTests(ClusterCase):
    """Requests that nobody answers with a result."""

    async def test_from_real(self) -> None:
        """What goes wrong in a real node fails the call, and the link goes on."""
        ours, _ = await self.pair()
        for target, *args in (
            ("@probe", "ERROR", "on purpose"),
            ("@nobody", "ECHO"),
            (".nobody", "ECHO"),
            (0xFFFFF, "ECHO"),
        ):
            with self.assertRaises(RemoteError) as caught:
                await ours.cluster.call("real", target, *args)
            self.assertFalse(caught.exception.retry_safe)
        with self.assertRaises(RemoteError):
            await ours.cluster.query("real", "nobody")
        self.assertEqual(await ours.cluster.call("real", "@probe", "ECHO", 1), 1)

    async def test_to_real(self) -> None:
        """What goes wrong in our node fails the call of a real one, and all goes on."""
        ours, _ = await self.pair()
        for target, *args in (
            ("@probe", "ERROR", "on purpose"),
            ("@nobody", "ECHO"),
            (".nobody", "ECHO"),
            (0xFFFFF, "ECHO"),
        ):
            await self.lua_fails(ours, "call", "ours", target, *args)
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)
        await self.lua_fails(ours, "query", "ours", "nobody")
        self.assertEqual(await self.lua(ours, "call", "ours", "@probe", "ECHO", 1), 1)

    async def test_pushes_to_nobody(self) -> None:
        """One-way messages to nobody leave the link as it is, each way."""
        ours, _ = await self.pair()
        for target in ("@nobody", ".nobody", 0xFFFFF):
            ours.cluster.send("real", target, "ECHO")
            await self.lua(ours, "send", "ours", target, "ECHO")
        self.assertEqual(await ours.cluster.call("real", "@probe", "ECHO", 1), 1)
        self.assertEqual(await self.lua(ours, "call", "ours", "@probe", "ECHO", 1), 1)

    async def test_names_come_and_go(self) -> None:
        """A name that is given back is unknown at once, also to a link that used it."""
        ours, _ = await self.pair()
        way = ("call", "ours", "@shared", "ECHO", 1)
        await ours.cluster.register("shared")
        self.assertEqual(await self.lua(ours, *way), 1)
        await ours.cluster.unregister("shared")
        await self.lua_fails(ours, *way)

    async def test_absent_waits(self) -> None:
        """A call waits for an unknown node until its deadline, and may be retried."""
        ours, real = await self.pair()
        with self.assertRaises(PeerDown) as caught:
            await ours.cluster.call("later", "@probe", "ECHO", timeout=0.2)
        self.assertTrue(caught.exception.retry_safe)
        waiting = ours.cluster.call("later", "@probe", "ECHO", 5)
        await ours.cluster.reload({"later": real.address})
        self.assertEqual(await waiting, 5)

    async def test_absent_fails(self) -> None:
        """With the policy `fail` it fails at once, and so does one to a closed port."""
        ours, real = await self.pair(cluster_absent="fail")
        with self.assertRaises(PeerDown):
            await ours.cluster.call("later", "@probe", "ECHO")
        await real.process.stop("KILL")
        await ours.cluster.reload({"dead": real.address})
        with self.assertRaises(PeerDown) as caught:
            await ours.cluster.call("dead", "@probe", "ECHO")
        self.assertTrue(caught.exception.retry_safe)

    async def test_a_handle_is_no_target(self) -> None:
        """A cluster address and a handle are not mixed up."""
        ours, _ = await self.pair()
        with self.assertRaises(BadAddress):
            await ours.cluster.call("real", ours.handle, "ECHO")
        found = await ours.cluster.query("real", "probe")
        with self.assertRaises((BadAddress, TypeError)):
            await ours.call(found, "ECHO")  # type: ignore[arg-type]


class OrderTests(ClusterCase):
    """Numbered messages of one sender."""

    COUNT = 100_000

    async def test_pushes(self) -> None:
        """100,000 arrive in order each way, the real node's from its first on."""
        ours, _ = await self.pair()
        flood = ("real", "@probe", "CLUSTERFLOOD", "ours", "@probe", self.COUNT)
        flooded = ours.cluster.call(*flood)
        await self.count_to_real(ours)
        self.assertEqual(await flooded, self.COUNT)
        result = (self.COUNT, True, self.COUNT)
        await self.until(lambda: len(ours.seen) >= self.COUNT)
        self.assertEqual(ours.RESULT(), result)

    async def count_to_real(self, ours: ClusterProbe) -> None:
        for i in range(1, self.COUNT + 1):
            ours.cluster.send("real", "@probe", "COUNT", i)
        there = await ours.cluster.call("real", "@probe", "RESULT", timeout=60)
        self.assertEqual(there, (self.COUNT, True, self.COUNT))

    async def test_from_the_first_on(self) -> None:
        """Ours keep their order while the link comes up, with large ones among them."""
        real = await self.real_node()
        ours = self.cluster_probe(await self.our_node({"real": real.address}))
        await self.mixed(ours, 2_000, large=50, size=100_000)

    async def test_large_between_small(self) -> None:
        """Small ones do not overtake large ones that fill the connection."""
        ours, _ = await self.pair()
        await self.mixed(ours, 400, large=50, size=4 * 1024**2)

    async def mixed(
        self, ours: ClusterProbe, count: int, *, large: int, size: int
    ) -> None:
        """Send numbered pushes and requests, each *large*th with *size* bytes."""
        padding = ours.BLOB(size)
        calls = []
        for i in range(1, count + 1):
            more = [padding] if i % large == 0 else []
            if i % 3:
                ours.cluster.send("real", "@probe", "COUNT", i, *more)
            else:
                calls.append(ours.cluster.call("real", "@probe", "COUNT", i, *more))
        for call in calls:
            await call
        there = await ours.cluster.call("real", "@probe", "RESULT")
        self.assertEqual(there, (count, True, count))


class LargeTests(ClusterCase):
    """Small messages beside large ones of others."""

    #: More bytes than the system's buffers hold.
    SIZE = 15 * 1024**2

    async def test_others_pass(self) -> None:
        """A large request of one actor does not hold up the small ones of another."""
        real = await self.real_node()
        actors = [Start(ClusterProbe), Start(Actor)]
        node = await self.our_node({"real": real.address}, actors=actors)
        ours, other = (cell.actor for cell in node.node.actors())
        assert isinstance(ours, ClusterProbe)
        await ours.cluster.call("real", "@probe", "ECHO")
        real.process.freeze()
        # It tells how many numbers came before it.
        padding = ours.BLOB(self.SIZE)
        large = ours.cluster.call("real", "@probe", "RESULT", None, padding)
        for i in range(1, 1001):
            other.cluster.send("real", "@probe", "COUNT", i)
        real.process.thaw()
        self.assertEqual(await large, (1000, True, 1000))
