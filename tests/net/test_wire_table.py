"""The table of wires."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from skynet_tw.config import check
from skynet_tw.interfaces import IRemote
from skynet_tw.net.wires import DEFAULT_WIRE, WIRES
from skynet_tw.testing import MemoryNetwork


class WireTests(SynchronousTestCase):
    """Each row."""

    def test_keys(self) -> None:
        """A row is found by its own name, and a node that is told nothing has one."""
        self.assertEqual([wire.key for wire in WIRES.values()], list(WIRES))
        self.assertEqual(check({}).wire, DEFAULT_WIRE)

    def test_member(self) -> None:
        """What a row says of a wire without loading it is what its members say."""
        network = MemoryNetwork(Clock())
        for wire in WIRES.values():
            member = wire.load().member(
                *(1, "host:1", network.server("host:1"), network.client("master:1")),
                *(network.client, network.clock),
                master_address="master:1",
                retry_policy=lambda attempt: 1.0,
                limits=None,
            )
            verifyObject(IRemote, member)
            said = (member.max_payload, member.name_limit)
            self.assertEqual(said, (wire.max_payload, wire.name_limit), wire.key)
