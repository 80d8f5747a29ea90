"""Tests of an actor without sockets and without real time: ``trial test_bank``."""

from bank import Bank
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from skynet_tw import LinkLost, RemoteError, make_node
from skynet_tw.testing import MemoryNodes


class AloneTests(SynchronousTestCase):
    """One node, with nobody around it."""

    def setUp(self):
        self.clock = Clock()
        service = make_node({"harbor": 0}, reactor=self.clock, actors=[Bank])
        service.startService()
        self.addCleanup(service.stopService)
        self.successResultOf(service.when_ready())
        self.client = service.node.client()

    def deposit(self, who, amount):
        deposited = self.client.call("BANK", "DEPOSIT", who, amount)
        self.clock.advance(0)
        return deposited

    def test_deposit(self):
        """Gold adds up."""
        self.successResultOf(self.deposit("alice", 100))
        self.assertEqual(self.successResultOf(self.deposit("alice", 20)), 120)

    def test_refused(self):
        """What is no deposit is refused."""
        self.failureResultOf(self.deposit("eve", -5), RemoteError)
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)


class NetworkTests(SynchronousTestCase):
    """Two nodes on a network that can be made to fail."""

    def setUp(self):
        self.nodes = MemoryNodes()
        self.addCleanup(self.nodes.stop)
        self.nodes.start(1, standalone=True, actors=[Bank])
        self.client = self.nodes.start(2).node.client()
        self.nodes.ready()

    def test_deposit(self):
        """The bank is found from another node."""
        deposited = self.client.call("BANK", "DEPOSIT", "alice", 100)
        self.assertEqual(self.nodes.result(deposited), 100)

    def test_link_lost(self):
        """Who cannot know whether the bank has the gold is told so."""
        self.nodes.result(self.client.query("BANK"))
        deposited = self.client.call("BANK", "DEPOSIT", "alice", 100)
        for harbor in (1, 2):
            self.nodes.network.cut(self.nodes.address(harbor))
        with self.assertRaises(LinkLost) as caught:
            self.nodes.result(deposited)
        self.assertFalse(caught.exception.retry_safe)
