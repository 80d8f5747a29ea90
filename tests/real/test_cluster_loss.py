"""A node of ours and a real one in cluster mode, while nodes end and come back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

from twisted.internet import reactor
from twisted.internet.defer import Deferred

from skynet_tw import LinkLost, PeerDown, SkynetError
from skynet_tw.net.kit.limits import ConnectionLimits

from ..processes import ROOT, NodeProcess
from .clusters import ANY, ClusterCase, ClusterProbe, RealNode
from .world import free_address, gatherResults

#: Where the actors are that nodes of ours are started with.
ACTORS = str(ROOT / "tests" / "actors")


async def first_link_closed(real: RealNode) -> None:
    """Wait until the connection that a real node accepted first is closed."""
    agent = await real.process.wait_for(r"\[:(\w+)\] LAUNCH snlua clusteragent")
    await real.process.wait_for(rf"\[:{agent[1]}\] KILL self")


class Traffic:
    """Calls and pushes with numbers to a real node's ``@tally``, and their outcomes.

    Odd numbers are calls, even ones pushes.
    """

    #: Calls that are under way at a time.
    WORKERS = 100
    #: Every so many messages one is larger than a packet.
    LARGE = 21

    def __init__(self, ours: ClusterProbe, total: int) -> None:
        self._ours = ours
        self._left = iter(range(1, total + 1))
        self._padding = ours.BLOB(100_000)
        self.pushed: list[int] = []
        self.answered: list[int] = []
        self.failed: dict[int, SkynetError] = {}

    def run(self) -> Deferred[list[None]]:
        """Send all, and wait for the outcome of each."""
        return gatherResults(
            [self._ours.fork(self._work()) for _ in range(self.WORKERS)]
        )

    def has_answers(self, count: int) -> Callable[[], bool]:
        """A function that tells whether so many calls were answered."""
        return lambda: len(self.answered) >= count

    async def _work(self) -> None:
        for i in self._left:
            more = () if i % self.LARGE else (self._padding,)
            if i % 2 == 0:
                self._ours.cluster.send("real", "@tally", "RUN", i, *more)
                self.pushed.append(i)
                continue
            try:
                answer = await self._ours.cluster.call(
                    "real", "@tally", "RUN", i, *more
                )
            except SkynetError as error:
                self.failed[i] = error
            else:
                assert answer == i
                self.answered.append(i)


class RestartTests(ClusterCase):
    """A real node that is killed and started again on its port."""

    async def test_in_the_middle(self) -> None:
        """Each message ran or did not, none twice, and `retry_safe` tells the truth."""
        total, kills = 20_000, 3
        file = Path(self.mktemp()).resolve()
        real = await self.real_node(ANY, "tally", str(file))
        node = await self.our_node({"real": real.address})
        traffic = Traffic(self.cluster_probe(node), total)
        running = traffic.run()
        for kill in range(1, kills + 1):
            part = kill * total // 2 // (kills + 1)
            await self.until(traffic.has_answers(part))
            await real.process.stop("KILL")
            real = await self.real_node(real.address, "tally", str(file))
        await running
        # The last push is behind all others, and this call behind it.
        await self.cluster_probe(node).cluster.call("real", "@tally", "RUN", 0)
        ran = self.ran(file)
        self.assertEqual(len(traffic.answered) + len(traffic.failed), total // 2)
        self.assertLessEqual(set(traffic.answered), ran)
        safe = {i for i, error in traffic.failed.items() if error.retry_safe}
        self.assertFalse(safe & ran)
        lost = set(traffic.failed) - safe
        self.assertTrue(all(isinstance(traffic.failed[i], LinkLost) for i in lost))
        self.assertTrue(0 < len(lost) <= kills * Traffic.WORKERS)
        # Of the pushes the books tell how many were never written.
        dropped = node.node.ledger.dropped
        pushes = set(traffic.pushed) & ran
        self.assertLessEqual(len(pushes), len(traffic.pushed) - dropped)

    def ran(self, file: Path) -> set[int]:
        """The numbers that a tally wrote down; none is there twice."""
        ran = Counter(int(line) for line in file.read_text().splitlines())
        self.assertLessEqual(set(ran.values()), {1})
        return set(ran)

    async def test_ours_in_the_middle(self) -> None:
        """What a real node calls runs once at most, though ours is killed meanwhile."""
        total, workers = 5_000, 50
        file = Path(self.mktemp()).resolve()
        real = await self.real_node()
        driver = self.cluster_probe(await self.our_node({"real": real.address}))
        victim, address = await self.tally(file)
        await self.lua(driver, "reload", {"ours": address})
        way = ("CLUSTERRUN", "ours", "tally", total, workers)
        running = driver.cluster.call("real", "@probe", *way, timeout=60)
        await self.until(lambda: len(self.ran(file)) > total // 10)
        await victim.stop("KILL")
        victim, _ = await self.tally(file, address)
        answered, failed = await running
        self.assertEqual(len(answered) + failed, total)
        self.assertLessEqual(set(answered), self.ran(file))
        self.assertLessEqual(failed, workers)

    async def tally(self, file: Path, address: str = ANY) -> tuple[NodeProcess, str]:
        """Start a node of ours that can be killed, and read where it listens."""
        process = NodeProcess.node(
            reactor,
            *("--harbor", "0", "--cluster-listen", address),
            *("--path", ACTORS, "--start", f"actors:Tally {file}"),
        )
        self.addCleanup(process.stop, "KILL")
        found = await process.wait_for(r"cluster listens on (\S+)")
        await process.wait_for("node ready")
        return process, found[1]

    async def test_in_a_large_one(self) -> None:
        """A large request that is cut off begins again with the next link, and runs."""
        file = Path(self.mktemp()).resolve()
        real = await self.real_node(ANY, "tally", str(file))
        ours = self.cluster_probe(await self.our_node({"real": real.address}))
        await ours.cluster.call("real", "@tally", "RUN", 0)
        real.process.freeze()
        padding = ours.BLOB(15 * 1024**2)
        whole = ours.cluster.call("real", "@tally", "RUN", 1)
        large = ours.cluster.call("real", "@tally", "RUN", 2, padding)
        behind = ours.cluster.call("real", "@tally", "RUN", 3)
        await self.until(lambda: ours.node.status().peers[0].stage == "busy")
        await real.process.stop("KILL")
        await self.real_node(real.address, "tally", str(file))
        with self.assertRaises(LinkLost):
            await whole
        self.assertEqual(await gatherResults([large, behind]), [2, 3])
        self.assertEqual(self.ran(file), {0, 2, 3})

    async def test_not_there_yet(self) -> None:
        """What is sent to a node that is not there yet arrives in order once it is."""
        address = free_address()
        ours = self.cluster_probe(await self.our_node({"real": address}))
        count = 100_000
        for i in range(1, count + 1):
            ours.cluster.send("real", "@probe", "COUNT", i)
        result = ours.cluster.call("real", "@probe", "RESULT")
        await self.real_node(address)
        self.assertEqual(await result, (count, True, count))

    async def test_required(self) -> None:
        """The boot of ours waits for a required node, and says so."""
        address = free_address()
        booting = self.start_node({"real": address}, cluster_require=["real"])
        ready = booting.node.when_ready()

        def cluster_stage() -> str:
            stages = booting.node.boot_report()
            return next(s.state for s in stages if s.stage == "cluster")

        await self.until(lambda: cluster_stage() == "waiting")
        await self.real_node(address)
        await ready
        self.assertEqual(cluster_stage(), "done")

    async def test_caller_dies(self) -> None:
        """The sender of a real node's messages ends with its connection."""
        ours, real = await self.pair()
        await self.lua(ours, "call", "ours", "@probe", "WATCH")
        assert ours.watched is not None
        await real.process.stop("KILL")
        await ours.watched


class ReloadTests(ClusterCase):
    """A table of nodes that changes while there is traffic."""

    async def test_changed(self) -> None:
        """A new address takes effect with `reload`; the old connection is closed."""
        first = await self.real_node()
        second = await self.real_node(ANY, "echo")
        ours = self.cluster_probe(await self.our_node({"real": first.address}))
        hanging = ours.cluster.call("real", "@probe", "HANG")
        with self.assertRaises(SkynetError):
            await ours.cluster.query("real", "echo")
        await ours.cluster.reload({"real": second.address})
        echo = await ours.cluster.query("real", "echo")
        self.assertEqual(await ours.cluster.call("real", echo, "ECHO", 1), 1)
        with self.assertRaises(LinkLost):
            await hanging
        await first_link_closed(first)

    async def test_removed(self) -> None:
        """A removed node is refused at once, until the table has it again."""
        real = await self.real_node()
        node = await self.our_node({"real": real.address})
        ours = self.cluster_probe(node)
        hanging = ours.cluster.call("real", "@probe", "HANG")
        await ours.cluster.call("real", "@probe", "ECHO")
        await ours.cluster.reload({"real": False})
        with self.assertRaises(LinkLost):
            await hanging
        with self.assertRaises(PeerDown) as caught:
            await ours.cluster.call("real", "@probe", "ECHO")
        self.assertTrue(caught.exception.retry_safe)
        dropped = node.node.ledger.dropped
        ours.cluster.send("real", "@probe", "ECHO")
        self.assertEqual(node.node.ledger.dropped, dropped + 1)
        await first_link_closed(real)
        await ours.cluster.reload({"real": real.address})
        self.assertEqual(await ours.cluster.call("real", "@probe", "ECHO", 1), 1)

    async def test_file(self) -> None:
        """Skynet's own file of nodes is read, by both kinds of node, and read again."""
        table = Path(self.mktemp()).resolve()
        first = await self.real_node()
        second = await self.real_node(ANY, "echo")
        table.write_text(f'__nowaiting = true\nreal = "{first.address}"\n')
        ours = self.cluster_probe(await self.our_node(str(table)))
        self.assertEqual(await ours.cluster.call("real", "@probe", "ECHO", 1), 1)
        with self.assertRaises(PeerDown):
            await ours.cluster.call("second", "@probe", "ECHO")
        table.write_text(f'real = false\nsecond = "{second.address}"\n')
        await ours.cluster.reload()
        self.assertEqual(await ours.cluster.call("second", "@echo", "ECHO", 1), 1)
        with self.assertRaises(PeerDown):
            await ours.cluster.call("real", "@probe", "ECHO")


class QuietTests(ClusterCase):
    """Links on which nothing passes."""

    async def test_idle(self) -> None:
        """A link that nobody uses is closed, and comes back unseen."""
        limits = ConnectionLimits(idle=0.5, stall=1.0)
        ours, real = await self.pair(connections=limits)
        await first_link_closed(real)
        for i in range(1, 1001):
            ours.cluster.send("real", "@probe", "COUNT", i)
        counted = await ours.cluster.call("real", "@probe", "RESULT")
        self.assertEqual(counted, (1000, True, 1000))

    async def test_named_and_back(self) -> None:
        """A node that stands still is named within seconds; then all goes on."""
        limits = ConnectionLimits(silence=1.0, stall=4.0)
        ours, real = await self.pair(connections=limits)
        real.process.freeze()
        with self.assertRaises(LinkLost) as caught:
            await ours.cluster.call("real", "@probe", "ECHO")
        self.assertIn("sent nothing for", str(caught.exception))
        # The system takes connections for it, and keeps what is sent.
        late = ours.cluster.call("real", "@probe", "ECHO", 1)
        real.process.thaw()
        self.assertEqual(await late, 1)
        for _ in range(3):
            self.assertEqual(await ours.cluster.call("real", "@probe", "ECHO", 2), 2)
