"""Queues of a sender whose peer does not read."""

from __future__ import annotations

import tracemalloc

from skynet_tw import Limits, QueueFull

from .support import NetworkTestCase


class QueueTests(NetworkTestCase):
    """A peer that does not read."""

    def flood(self, limits: Limits, size: int, count: int) -> tuple[int, int]:
        """Send *count* messages to a node that does not read, then let it read.

        :returns: how many were taken, and by how many bytes the memory grew while
            the second half was refused.
        """
        with self.nodes() as nodes:
            _, two, three = self.three(nodes, limits=limits)
            client = two.node.client()
            handle = nodes.result(client.query("THREE"))
            nodes.network.silence(nodes.address(3))
            padding = "x" * size
            taken = grown = 0
            tracemalloc.start()
            for i in range(count):
                if i == count // 2:
                    grown = -tracemalloc.get_traced_memory()[0]
                try:
                    client.send(handle, "COUNT", taken, padding)
                except QueueFull as error:
                    self.assertTrue(error.retry_safe)
                    self.assertIn("harbor 3", str(error))
                else:
                    taken += 1
                if i % 100 == 0:
                    nodes.run(0.01)
            grown += tracemalloc.get_traced_memory()[0]
            tracemalloc.stop()
            self.balanced(nodes)
            self.failed(client.call(handle, "COUNT", 1, padding), QueueFull)
            # What was taken arrives, and then there is room again.
            nodes.network.mend(nodes.address(3))
            nodes.run(5)
            self.assertEqual(self.peer(nodes, three).seen, list(range(taken)))
            self.assertEqual(nodes.result(client.call(handle, "COUNT", taken)), taken)
        return taken, grown

    def test_messages(self) -> None:
        """At the limit of messages the sender is told, and memory stays flat."""
        taken, grown = self.flood(Limits(messages=500), 10, 20_000)
        # Some were written before the connection was full.
        self.assertGreater(taken, 500)
        self.assertLess(taken, 500 + 65536 // 30)
        self.assertLess(grown, 65536)

    def test_bytes(self) -> None:
        """At the limit of bytes the sender is told, and memory stays flat."""
        taken, grown = self.flood(Limits(size=200_000), 1000, 20_000)
        self.assertGreater(taken, 200)
        self.assertLess(taken, (200_000 + 65536) // 1000 + 1)
        self.assertLess(grown, 65536)
