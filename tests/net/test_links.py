"""Tests of links that are up: writing, back-pressure, leaving."""

from __future__ import annotations

from .world import MASTER, World


class LinkTests(World):
    """Two harbors that are linked."""

    def setUp(self) -> None:
        super().setUp()
        self.start_master()
        self.one, self.two = self.node(1), self.node(2)
        self.run_for()
        for node in (self.one, self.two):
            node.receiver.events.clear()

    def test_frames(self) -> None:
        """What one sends the other gets: source, type, index, session, payload."""
        link = self.one.receiver.links[2]
        link.send(0x02ABCDEF, 0x01000009, 11, 0x7FFFFFFF, b"payload")
        link.flush()
        self.run_for()
        self.assertEqual(
            self.two.receiver.frames[1],
            [(0x01000009, 0x0BABCDEF, 0x7FFFFFFF, b"payload")],
        )

    def test_flush(self) -> None:
        """Nothing is written before `flush`, and then all, in order, as one piece."""
        link = self.one.receiver.links[2]
        for payload in (b"a", b"", b"b"):
            link.send(0x02000001, 0x01000001, 10, 0, payload)
        self.run_for()
        self.assertEqual(self.two.receiver.got(1), [])
        link.flush()
        link.flush()
        self.run_for()
        self.assertEqual(self.two.receiver.got(1), [b"a", b"", b"b"])

    def test_busy(self) -> None:
        """A full transport is told once, and once more when it is empty."""
        self.two.remote.pause_reading()
        for _ in range(10):
            self.one.receiver.send(2, bytes(50_000))
        self.assertEqual(self.one.receiver.events, [("busy", 2)])
        self.run_for(100)
        self.assertEqual(self.two.receiver.got(1), [])
        self.two.remote.resume_reading()
        self.run_for()
        self.assertEqual(self.one.receiver.events, [("busy", 2), ("free", 2)])
        self.assertEqual(len(self.two.receiver.got(1)), 10)

    def test_pause_covers_new_links(self) -> None:
        """A link that comes up while nothing is read is not read either."""
        self.two.remote.pause_reading()
        three = self.node(3)
        self.run_for()
        three.receiver.send(2, b"hello")
        self.run_for()
        self.assertEqual(self.two.receiver.got(3), [])
        self.two.remote.resume_reading()
        self.run_for()
        self.assertEqual(self.two.receiver.got(3), [b"hello"])

    def test_lost_link(self) -> None:
        """What is sent to a link that is lost goes nowhere, and raises nothing."""
        link = self.one.receiver.links[2]
        link.send(0x02000001, 0x01000001, 10, 0, b"not flushed")
        self.network.cut("host2:2526")
        self.run_for(1)
        link.flush()
        link.send(0x02000001, 0x01000001, 10, 0, b"too late")
        link.flush()
        self.run_for()
        self.assertEqual(self.two.receiver.got(1), [])

    def test_busy_link_is_lost(self) -> None:
        """A link that is lost while it is busy comes back as a new one."""
        self.two.remote.pause_reading()
        self.one.receiver.send(2, bytes(100_000))
        self.network.cut("host2:2526")
        self.run_for(1)
        events = [("busy", 2), ("lost", 2), ("ready", 2)]
        self.assertEqual(self.one.receiver.events, events)

    def test_last_words(self) -> None:
        """What was sent before a node leaves arrives, a full transport or not."""
        link = self.one.receiver.links[2]
        self.one.receiver.send(2, bytes(1 << 20))
        link.send(0x02000001, 0x01000001, 7, 5, b"last")
        left = self.one.remote.leave()
        self.run_for()
        self.successResultOf(left)
        self.assertEqual(self.two.receiver.got(1)[-1], b"last")
        self.assertEqual(self.two.receiver.events, [("lost", 1), ("gone", 1)])

    def test_leave_closes_all(self) -> None:
        """A node that left has no port, connection or attempt, and says so again."""
        stranger = self.stranger("host1:2526")
        first, second = self.one.remote.leave(), self.one.remote.leave()
        self.run_for()
        self.successResultOf(first)
        self.successResultOf(second)
        self.successResultOf(self.one.remote.leave())
        self.assertIsNotNone(stranger.lost)
        self.assertEqual(self.network.connections("host1:2526"), 0)
        self.assertEqual(self.network.connections(MASTER), 1)
        self.assertEqual(self.one.receiver.events, [("lost", 2)])

    def test_leave_while_dialing(self) -> None:
        """A node may leave at any moment of an attempt to link."""
        for address in ("host3:2526", "host4:2526"):
            self.network.silence(address)
        self.node(3)
        self.run_for()
        self.node(4)
        left = self.one.remote.leave()
        self.run_for()
        self.successResultOf(left)
        for address in ("host3:2526", "host4:2526"):
            self.network.mend(address)
