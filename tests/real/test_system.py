"""SERVICE and DATACENTER of our master node, as real nodes use them."""

from __future__ import annotations

from typing import Any

from twisted.internet import reactor
from twisted.internet.task import deferLater

from skynet_tw import Handle, PType

from .world import Probe, RealCase, free_address, gatherResults

#: Methods of services/snax/counter.lua.
GET, ADD = 5, 6


class SystemCase(RealCase):
    """Our master and two real nodes, in harbors 2 and 3."""

    async def network(self) -> Probe:
        """Start it; a probe in the master node drives the real ones."""
        master = free_address()
        self.first = await self.ours(1, master, standalone=master)
        self.two = await self.real(2, master, "REAL2")
        self.three = await self.real(3, master, "REAL3")
        return self.probe(self.first)

    async def api(self, node: str, *call: Any) -> Any:
        """What a function of Skynet's own returns in a real node."""
        answer = await self.probe(self.first).call(node, "API", *call)
        ok, result = answer if isinstance(answer, tuple) else (answer, None)
        self.assertIs(ok, True, result)
        return result

    async def unique(self, node: str, *args: Any) -> Handle:
        """Call ``skynet.uniqueservice``."""
        return Handle(await self.api(node, "skynet", "uniqueservice", *args))


class UniqueServiceTests(SystemCase):
    """Services that exist once in the network."""

    async def test_unique(self) -> None:
        """A global service is one for all nodes; the local one of its name another."""
        ours = await self.network()
        wanted = self.api("REAL3", "skynet", "queryservice", True, "probe")
        found = await self.unique("REAL2", True, "probe", "NAMED")
        self.assertEqual(await wanted, found)
        self.assertEqual(await ours.call("NAMED", "ECHO", 1), 1)
        self.assertEqual(await self.unique("REAL3", True, "probe"), found)
        self.assertEqual(await ours.call("SERVICE", "LAUNCH", "@probe"), found)
        self.assertEqual(await ours.call("SERVICE", "QUERY", "@probe"), found)
        for node in ("REAL2", "REAL3"):
            local = await self.unique(node, "probe")
            self.assertNotEqual(local, found)
            self.assertEqual(
                await self.api(node, "skynet", "queryservice", "probe"), local
            )
        listed = await ours.call("SERVICE", "LIST")
        self.assertEqual(listed["@probe"], str(found))
        for harbor in (2, 3):
            self.assertEqual(listed[f"@probe@{harbor}"], str(found))
            self.assertIn(f"probe@{harbor}", listed)
        self.assertEqual(len(listed), 5)

    async def test_crowd(self) -> None:
        """Whoever asks at the same time gets the same one."""
        ours = await self.network()
        asked = [
            self.probe(self.first).call(
                node, "API", "skynet", "uniqueservice", True, "echo"
            )
            for node in ("REAL2", "REAL3") * 20
        ]
        asked += [ours.call("SERVICE", "LAUNCH", "@echo") for _ in range(20)]
        answers = await gatherResults(asked)
        found = {one[1] if isinstance(one, tuple) else one for one in answers}
        self.assertEqual(len(found), 1)

    async def test_failures(self) -> None:
        """A failure reaches the launcher with its text; the next launch tries again."""
        ours = await self.network()
        for _ in range(2):
            answer = await ours.call(
                "REAL2", "API", "skynet", "uniqueservice", True, "none"
            )
            self.assertIs(answer[0], False)
            nothing, text = await ours.call("SERVICE", "LAUNCH", "@none")
            self.assertIsNone(nothing)
            self.assertIn("call failed", text)
        answer = await ours.call(
            "REAL2", "API", "skynet", "uniqueservice", True, "moody"
        )
        self.assertIs(answer[0], False)
        found = await self.unique("REAL2", True, "moody")
        self.assertEqual(await self.unique("REAL3", True, "moody"), found)

    async def test_monitor(self) -> None:
        """One monitor learns of the services that end in all nodes."""
        ours = await self.network()
        monitor = await self.api("REAL2", "skynet", "monitor", "monitor")
        other = await self.api("REAL3", "skynet", "monitor", "monitor", True)
        self.assertEqual(monitor, other)
        for node in ("REAL2", "REAL3"):
            ours.send(await ours.call(node, "NEWSERVICE"), "EXIT")
        while await ours.call(monitor, "COUNT") < 2:
            await deferLater(reactor, 0)

    async def test_snax(self) -> None:
        """A global snax service is one for all, and initialised once."""
        ours = await self.network()
        snax = "skynet.snax"
        wanted = self.api("REAL3", snax, "queryglobal", "counter")
        found = (await self.api("REAL2", snax, "globalservice", "counter", 5))["handle"]
        self.assertEqual((await wanted)["handle"], found)
        again = await self.api("REAL3", snax, "globalservice", "counter", 50)
        self.assertEqual(again["handle"], found)
        ours.send(found, ADD, 2, ptype=PType.SNAX)
        self.assertEqual(await ours.call(found, GET, ptype=PType.SNAX), 7)
        local = await self.api("REAL2", snax, "uniqueservice", "counter", 1)
        self.assertNotEqual(local["handle"], found)
        answer = await ours.call("SERVICE", "LAUNCH", "@snaxd", "nowhere")
        self.assertIsNone(answer[0])

    async def test_snax_fails(self) -> None:
        """A snax service whose init fails is none, until one is launched that works."""
        ours = await self.network()
        nothing, text = await ours.call("SERVICE", "LAUNCH", "@snaxd", "counter")
        self.assertIsNone(nothing)
        self.assertIn("counter", text)
        found = await ours.call("SERVICE", "LAUNCH", "@snaxd", "counter", 1)
        self.assertEqual(await ours.call(found, GET, ptype=PType.SNAX), 1)

    async def test_offered(self) -> None:
        """A Python actor that offers itself is the unique service of that name."""
        ours = await self.network()
        waiting = self.api("REAL2", "skynet", "queryservice", True, "tool")
        await ours.call("SERVICE", "OFFER", "@tool", ours.handle)
        self.assertEqual(await waiting, ours.handle)
        self.assertEqual(await self.unique("REAL3", True, "tool", 1), ours.handle)

    async def test_next_node(self) -> None:
        """When the first node that reported is gone, the next one launches."""
        ours = await self.network()
        first = Handle(await ours.call("SERVICE", "LAUNCH", "@echo"))
        self.assertEqual(first.harbor, 2)
        await self.two.stop("KILL")
        second = Handle(await ours.call("SERVICE", "LAUNCH", "@probe"))
        self.assertEqual(second.harbor, 3)
        self.assertEqual(await self.unique("REAL3", True, "probe"), second)

    async def test_node_returns(self) -> None:
        """What a node ran is gone with it, and is launched anew once it is back."""
        master = free_address()
        ours = self.probe(await self.ours(1, master, standalone=master))
        node = await self.real(2, master, "REAL2")
        found = await ours.call("SERVICE", "LAUNCH", "@echo")
        self.assertEqual(await ours.call(found, "ECHO", 1), 1)
        await node.stop("KILL")
        await ours.watch(found)
        await self.real(2, master, "AGAIN")
        found = await ours.call("AGAIN", "API", "skynet", "uniqueservice", True, "echo")
        self.assertIs(found[0], True)
        self.assertEqual(await ours.call(found[1], "ECHO", 2), 2)
        self.assertEqual(await ours.call("SERVICE", "QUERY", "@echo"), found[1])


class DataCenterTests(SystemCase):
    """The tree that all nodes share."""

    async def test_keys(self) -> None:
        """Lua's keys are told apart, and lists read and changed by index."""
        await self.network()
        center = ("REAL2", "skynet.datacenter")
        await self.api(*center, "set", "list", [10, 20, 30])
        self.assertEqual(await self.api(*center, "get", "list", 2), 20)
        await self.api(*center, "set", "list", 4, 40)
        self.assertEqual(await self.api(*center, "get", "list"), [10, 20, 30, 40])
        for key in (True, 1, "1", False, 0):
            await self.api(*center, "set", "keys", key, f"for {key!r}")
        for key in (True, 1, "1", False, 0):
            self.assertEqual(
                await self.api(*center, "get", "keys", key), f"for {key!r}"
            )

    async def test_wait(self) -> None:
        """A wait ends when another node sets the value; one for a branch fails."""
        ours = await self.network()
        waiting = self.api("REAL2", "skynet.datacenter", "wait", "t", "x", 1)
        branch = ours.call("REAL2", "API", "skynet.datacenter", "wait", "b")
        await ours.call("REAL2", "ECHO")
        await self.api("REAL3", "skynet.datacenter", "set", "t", "x", 1, "here")
        self.assertEqual(await waiting, "here")
        await self.api("REAL3", "skynet.datacenter", "set", "b", "leaf", 1)
        self.assertIs((await branch)[0], False)
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)
