"""Names that are published in etcd, and whose they are."""

from __future__ import annotations

from twisted.internet.defer import Deferred

from skynet_tw.discovery.etcd import TTL, EtcdDirectory
from skynet_tw.errors import BootFailed, NotReady

from .etcdcase import KEY, EtcdCase
from .support import Views


class NameTests(EtcdCase):
    """Names that are published already."""

    def begun(self, name: str, address: str) -> tuple[EtcdDirectory, Deferred[None]]:
        """A directory that publishes a name, and its start."""
        directory = self.directory()
        self.addCleanup(directory.stop)
        return directory, directory.start(self.views.take, {name: address})

    def test_earlier(self) -> None:
        """A name of our own earlier process is waited for until its lease ends."""
        self.put("db", "h:1", self.store.grant(5))
        directory, done = self.begun("db", "h:1")
        self.advance(2)
        self.assertNoResult(done)
        self.assertEqual(
            directory.waiting_for(),
            "etcd: the name 'db' is published at 'h:1'; its lease ends in 3 s",
        )
        self.advance(4)
        self.successResultOf(done)
        self.assertIsNone(directory.waiting_for())
        self.advance(2 * TTL)
        self.assertEqual(self.node("db"), "h:1")

    def test_earlier_elsewhere(self) -> None:
        """So is that of a process which died at another address."""
        self.put("db", "old:1", self.store.grant(5))
        _, done = self.begun("db", "new:1")
        self.advance(6.5)
        self.successResultOf(done)
        self.assertEqual(self.node("db"), "new:1")
        self.assertEqual(self.views[-1], {"db": "new:1"})

    def test_taken(self) -> None:
        """A name of another living node fails the start, in a line."""
        self.started({"db": "h:1"}, Views())
        directory, done = self.begun("db", "other:1")
        self.advance(TTL / 2)
        line = self.line_of(done, BootFailed)
        self.assertEqual(
            line,
            "etcd: the name 'db' is published at 'h:1', by another living node",
        )
        self.stop(directory)
        self.assertEqual(len(self.store.leases), 1)
        self.assertEqual(self.node("db"), "h:1")

    def test_same_address(self) -> None:
        """At our own address nobody else lives: such a name is always waited for."""
        first = self.started({"db": "h:1"}, Views())
        directory, done = self.begun("db", "h:1")
        self.advance(2 * TTL)
        self.assertNoResult(done)
        self.assertIn("is published at 'h:1'", str(directory.waiting_for()))
        self.net.down("a")
        self.server.cut()
        self.advance(TTL)
        self.assertIn("ConnectionRefusedError", str(directory.waiting_for()))
        self.net.down()
        self.stop(first)
        self.advance(TTL)
        self.successResultOf(done)

    def test_slow_end(self) -> None:
        """A lease whose time is over may stay for a while, and is no living node's."""
        self.put("db", "old:1", self.store.grant(2))
        expire = self.store.expire
        self.patch(self.store, "expire", lambda: None)
        _, done = self.begun("db", "new:1")
        self.advance(6)
        self.assertNoResult(done)
        self.patch(self.store, "expire", expire)
        self.advance(1)
        self.successResultOf(done)

    def test_lost_answer(self) -> None:
        """A name that was published, but whose answer was lost, is ours."""
        self.server.lossy.add("kv/txn")
        _, done = self.begun("db", "h:1")
        self.assertEqual(self.node("db"), "h:1")
        self.assertNoResult(done)
        self.advance(1)
        self.successResultOf(done)
        self.assertEqual(self.views, [{"db": "h:1"}])

    def test_by_hand(self) -> None:
        """A name without a lease never ends, and fails the start at once."""
        self.put("db", "h:1")
        _, done = self.begun("db", "h:1")
        line = self.line_of(done, BootFailed)
        self.assertIn("published at 'h:1', by somebody who gave it no lease", line)

    def test_stop_while_waiting(self) -> None:
        """While it waits for a name it may be stopped; the lease is given back."""
        self.put("db", "h:1", self.store.grant(5))
        directory, done = self.begun("db", "h:1")
        self.stop(directory)
        self.failureResultOf(done, NotReady)
        self.assertEqual(len(self.store.leases), 1)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_lost(self) -> None:
        """A name whose lease ran out while etcd was away is published again."""
        self.started({"db": "h:1"})
        self.net.down("a")
        self.server.cut()
        self.advance(TTL + 1)
        self.assertIsNone(self.node("db"))
        self.net.down()
        self.advance(TTL)
        self.assertEqual(self.node("db"), "h:1")
        self.assertEqual(self.views, [{"db": "h:1"}])

    def test_lost_for_good(self) -> None:
        """If another node took it meanwhile, ours goes on without it and says so."""
        self.started({"db": "h:1"})
        self.net.down("a")
        self.server.cut()
        self.advance(TTL + 1)
        self.net.down()
        self.started({"db": "other:1"}, Views())
        self.advance(2 * TTL)
        self.assertEqual(self.node("db"), "other:1")
        self.assertEqual(self.views[-1], {"db": "other:1"})
        self.assertIn(
            "etcd: the name 'db' is published at 'other:1', by another living node",
            self.warnings,
        )

    def test_deleted(self) -> None:
        """A key of ours that somebody deleted is published again."""
        self.started({"db": "h:1"})
        self.store.delete(KEY + b"db")
        self.net.flush()
        self.advance(TTL / 2)
        self.assertEqual(self.views, [{"db": "h:1"}, {}, {"db": "h:1"}])
