"""The master's port of 2013: harbors that cannot be reached, and strangers."""

from __future__ import annotations

from skynet_tw.net.harbor2013.master import GIVE_UP_AFTER
from skynet_tw.wire.control import Hello, Register
from skynet_tw.wire.harbor2013 import encode_request

from .world import MASTER
from .world2013 import World2013, links_of


class MasterTests(World2013):
    """A master, and those who connect to it."""

    def setUp(self) -> None:
        super().setUp()
        self.start_master()

    def test_unreachable(self) -> None:
        """A harbor that cannot be dialed is dialed again, for a while."""
        stranger = self.stranger(MASTER, encode_request(Hello(5, "host5:2526")))
        self.run_for(GIVE_UP_AFTER - 5)
        self.assertIn(5, self.table.slaves)
        self.assertIsNone(stranger.lost)
        self.run_for(10)
        self.assertEqual(self.table.slaves, {})
        lines = [line for line in self.log() if "cannot dial harbor 5" in line]
        self.assertEqual(len(lines), 1)
        self.assertIn("Connection was refused", lines[0])

    def test_reached_late(self) -> None:
        """It is introduced as soon as it can be dialed, by the same registration."""
        self.network.refuse("host1:2526")
        node = self.node(1)
        self.run_for(4)
        self.assertNoResult(node.joined)
        self.network.mend("host1:2526")
        self.run_for(4)
        self.successResultOf(node.joined)

    def test_address_that_is_none(self) -> None:
        """An address that nobody can dial is tried as any other."""
        self.stranger(MASTER, encode_request(Hello(5, "no port:")))
        self.run_for(GIVE_UP_AFTER + 5)
        self.assertEqual(self.table.slaves, {})

    def test_does_not_read(self) -> None:
        """A harbor that does not read what it is told is dropped, and dialed again."""
        one, two = self.node(1), self.node(2)
        self.run_for(1)
        caller = links_of(two).callers.master
        assert caller is not None
        caller.read(False)
        for i in range(3000):
            one.remote.register(f"NAME{i}", 0x01000001)
        self.run_for(60)
        self.assertTrue(any("dialed harbor 2" in line for line in self.log()))
        self.assertEqual(len(one.receiver.names), 3000)
        # What it missed while it was away came then, what was under way did not.
        one.remote.register("LAST", 0x01000001)
        self.run_for(1)
        self.assertIn("LAST", two.receiver.names)

    def test_speaks_on_the_wrong_connection(self) -> None:
        """A harbor that answers the master's call is none of 2013."""
        node = self.node(1)
        self.run_for(1)
        caller = links_of(node).callers.master
        assert caller is not None and caller.transport is not None
        caller.transport.write(b"\x01")
        self.run_for(0.05)
        self.assertIsNot(links_of(node).callers.master, caller)
        self.run_for(5)
        self.assertIsNotNone(links_of(node).callers.master)

    def test_two_with_one_id(self) -> None:
        """Two nodes with one id: the later has it, and they do not fight for it."""
        first, second = self.node(7), self.node(7, "host8:2526")
        self.run_for(3)
        self.successResultOf(second.joined)
        self.assertEqual(self.table.slaves[7].address, "host8:2526")
        lines = [line for line in self.log() if "takes over as harbor 7" in line]
        self.assertEqual(len(lines), 1)
        self.run_for(600)
        lines = [line for line in self.log() if "takes over as harbor 7" in line]
        self.assertLess(len(lines), 12)
        self.assertTrue(any("may have our" in line for line in self.log()))
        self.assertEqual(first.receiver.names, {})

    def test_names_of_others(self) -> None:
        """Anybody may register a name for anybody, as in 2013."""
        one = self.node(1)
        self.run_for(1)
        self.stranger(MASTER, encode_request(Register("N", 0x09000001)))
        self.assertEqual(one.receiver.names, {"N": 0x09000001})
