"""Nodes that boot only when the nodes of the cluster that they need are linked."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from skynet_tw import Actor, command
from skynet_tw.service import NodeService
from skynet_tw.testing import MemoryNodes

ADDRESS = "needed:7000"


class Echo(Actor):
    """Answers, by the name of ``@echo``."""

    async def started(self) -> None:
        await self.cluster.register("echo")

    @command
    def ECHO(self, value: int) -> int:
        return value


class RequiredTests(SynchronousTestCase):
    """One node needs another one, which is not there yet."""

    def setUp(self) -> None:
        self.nodes = MemoryNodes()
        self.addCleanup(self.nodes.stop)

    def start(self, **options: Any) -> NodeService:
        """Start the node that needs another one."""
        return self.nodes.start(0, cluster_require=["needed"], **options)

    def check(self, node: NodeService) -> None:
        """It waits, and says for whom, until the other one is started long after it."""
        ready = node.node.when_ready()
        self.nodes.run(10)
        self.assertNoResult(ready)
        stages = {stage.stage: stage for stage in node.node.boot_report()}
        (missing,) = stages["cluster"].waiting_for
        self.assertIn(f"node needed at {ADDRESS}", missing)
        self.nodes.start(0, actors=[Echo], cluster_listen=[ADDRESS])
        self.nodes.result(ready)
        called = node.node.client().cluster.call("needed", "@echo", "ECHO", 1)
        self.assertEqual(self.nodes.result(called), 1)

    def test_late(self) -> None:
        """It is dialed until it is there."""
        self.check(self.start(cluster_nodes={"needed": ADDRESS}))

    def test_late_and_failing(self) -> None:
        """So it is where messages for absent nodes do not wait for them."""
        table = {"needed": ADDRESS}
        self.check(self.start(cluster_nodes=table, cluster_absent="fail"))

    def test_unknown(self) -> None:
        """Its address may become known while the boot waits."""
        node = self.start()
        self.nodes.run(1)
        node.cluster.reload({"needed": ADDRESS})
        self.check(node)
