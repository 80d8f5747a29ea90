"""What only the links of a cluster do; the rest is in `tests.net.link_contract`."""

from __future__ import annotations

import re

from skynet_tw.wire import cluster as wire

from .clusterworld import ClusterWorld


class LogTests(ClusterWorld):
    """The log, which nobody must be able to fill."""

    def log_of(self, what: str) -> list[str]:
        """The lines that have this in them."""
        return [line for line in self.log() if what in line]

    def test_absent_node(self) -> None:
        """A node that is not there is logged once, whoever asks for it how often."""
        one = self.node(1)
        for _ in range(100):
            one.receiver.wanted = {"node2"}
            one.remote.want("node2")
            self.run_for(1)
            one.receiver.wanted = set()
            self.run_for(4)
        self.assertEqual(len(self.log_of("cannot link to node node2")), 1)
        two = self.node(2)
        self.need(one, two)
        self.run_for(4)
        self.assertTrue(one.is_linked(two))
        self.network.refuse(two.address)
        self.network.cut(two.address)
        self.run_for(60)
        self.assertEqual(len(self.log_of("cannot link to node node2")), 2)

    def test_malformed_packets(self) -> None:
        """A thousand clients that send nonsense fill a few lines, with all counted."""
        one = self.node(1)
        for _ in range(1000):
            stranger = self.stranger(one.address, bytes(100))
            assert stranger.transport is not None
            stranger.transport.loseConnection()
        self.run_for(20)
        lines = self.log_of("ignored something of")
        self.assertLess(len(lines), 60)
        counts = [re.search(r"of (\d+) more", line) for line in lines]
        self.assertEqual(sum(int(it[1]) if it else 1 for it in counts), 1000)
        self.assertIn("an empty packet", lines[0])
        self.assertIn("127.0.0.1:", lines[0])

    def test_refused_large_requests(self) -> None:
        """So does one that begins thousands of large requests."""
        one = self.node(1)
        begun = (wire.large_request(1, n, 40_000, False) for n in range(1, 5001))
        self.stranger(one.address, b"".join(begun))
        self.run_for(20)
        self.assertLess(len(self.log_of("is refused")), 5)
