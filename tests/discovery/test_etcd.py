"""Nodes that find each other through an etcd in memory."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial import util

from skynet_tw.discovery.etcd import PREFIX, TTL, EtcdDirectory
from skynet_tw.discovery.interfaces import Addresses
from skynet_tw.errors import BootFailed, DirectoryFailed, NotReady

from .fakeetcd import FakeEtcd, Network, Store
from .support import DirectoryCase, Views

KEY = PREFIX.encode()


class EtcdCase(DirectoryCase):
    """A test with an etcd of one server at the host "a"."""

    # Twisted's table of headers has names of both kinds.
    suppress: ClassVar = [util.suppress(category=BytesWarning)]

    def setUp(self) -> None:
        super().setUp()
        self.clock = Clock()
        # After the directories were stopped: what they still have to do.
        self.addCleanup(self.clock.advance, 5)
        self.store = Store(self.clock)
        self.server = FakeEtcd(self.store)
        self.net = Network()
        self.net.add("a", self.server)

    def directory(self, *urls: str) -> EtcdDirectory:
        """A directory, which tries again after 1 s, 2 s and so on."""
        given = urls or ("http://a:2379",)
        return EtcdDirectory(given, self.net, self.clock, retry_policy=float)

    def started(
        self, own: Mapping[str, str] | None = None, views: Views | None = None
    ) -> EtcdDirectory:
        """A directory that has started; *views* gets what it tells."""
        directory = self.directory()
        told = self.views if views is None else views
        self.addCleanup(directory.stop)
        done = directory.start(told.take, own or {})
        self.successResultOf(done)
        return directory

    def stop(self, directory: EtcdDirectory) -> None:
        """Stop a directory, and wait for that."""
        done = directory.stop()
        self.clock.advance(0)
        self.net.flush()
        self.successResultOf(done)

    def put(self, name: str, address: str, lease: int = 0) -> None:
        """Write a key beside the directories."""
        self.store.put(KEY + name.encode(), address.encode(), lease)
        self.net.flush()

    def advance(self, seconds: float) -> None:
        """Let time go by, in small steps."""
        for _ in range(round(seconds * 8)):
            self.clock.advance(1 / 8)
            self.store.expire()
            self.net.flush()

    def node(self, name: str) -> str | None:
        """Where a node is published."""
        key = self.store.keys.get(KEY + name.encode())
        return key.value.decode() if key else None


class ViewTests(EtcdCase):
    """What is told of what etcd has."""

    def test_views(self) -> None:
        """The first view is a list of all, changes come at once by the watch."""
        self.put("db", "h:1")
        self.started()
        self.assertEqual(self.views, [{"db": "h:1"}])
        self.put("web", "h:2")
        self.put("db", "h:3")
        self.store.delete(KEY + b"web")
        self.net.flush()
        self.assertEqual(
            self.views[1:],
            [{"db": "h:1", "web": "h:2"}, {"db": "h:3", "web": "h:2"}, {"db": "h:3"}],
        )
        self.assertEqual(self.warnings, [])

    def test_nobody(self) -> None:
        """An etcd without nodes is a view as well."""
        self.started()
        self.assertEqual(self.views, [{}])

    def test_others(self) -> None:
        """Keys that do not begin with the prefix concern nobody."""
        self.store.put(b"/skynet/other", b"h:1")
        self.store.put(b"/skynet/nodes0", b"h:1")
        self.started()
        self.store.put(b"/skynet/nodes", b"h:1")
        self.net.flush()
        self.assertEqual(self.views, [{}])

    def test_odd(self) -> None:
        """What is no node is left out, and logged once."""
        self.put("db", "nowhere")
        self.put("", "h:1")
        self.put("web", "")
        self.store.put(KEY + b"\xff", b"\xff")
        self.started()
        self.put("log", "h:2")
        self.assertEqual(self.views, [{}, {"log": "h:2"}])
        self.assertEqual(len(set(self.warnings)), 4)
        self.assertEqual(len(self.warnings), 4)
        self.assertIn(
            "etcd: '/skynet/nodes/db' is no node: 'nowhere' is neither HOST:PORT nor an"
            " endpoint string",
            self.warnings,
        )

    def test_find_each_other(self) -> None:
        """Directories publish their own nodes, and see those of the others."""
        other = Views()
        self.started({"db": "h:1"})
        self.started({"web": "h:2", "log": "h:3"}, other)
        self.net.flush()
        everybody = {"db": "h:1", "web": "h:2", "log": "h:3"}
        self.assertEqual((self.views[-1], other[-1]), (everybody, everybody))

    def test_farewell(self) -> None:
        """A directory that is stopped takes its names away at once."""
        other = Views()
        directory = self.started({"db": "h:1"})
        self.started(views=other)
        self.stop(directory)
        self.net.flush()
        self.assertEqual(other[-1], {})
        self.assertEqual(self.store.leases, {})

    def test_alive(self) -> None:
        """A node that lives stays published for longer than its lease."""
        self.started({"db": "h:1"})
        self.advance(5 * TTL)
        self.assertEqual(self.views[-1], {"db": "h:1"})
        [revision] = {key.revision for key in self.store.keys.values()}
        self.assertEqual(revision, 2, "it was published once")

    def test_dead(self) -> None:
        """A node that died is gone when its lease has run out."""
        lease = self.store.grant(TTL)
        self.put("db", "h:1", lease)
        self.started()
        self.advance(TTL - 1)
        self.assertEqual(self.views, [{"db": "h:1"}])
        self.advance(1.2)
        self.assertEqual(self.views, [{"db": "h:1"}, {}])

    def test_refresh(self) -> None:
        """To refresh lists again, whatever the watch did."""
        directory = self.started()
        self.store.watches.clear()
        self.put("db", "h:1")
        self.assertEqual(self.views, [{}])
        self.successResultOf(directory.refresh())
        self.assertEqual(self.views, [{}, {"db": "h:1"}])

    def test_refresh_late(self) -> None:
        """A list that is older than what the watch told changes nothing."""
        directory = self.started()
        self.put("db", "h:1")
        old = b'{"header": {"revision": "1"}}'
        self.server.instead["kv/range"] = (200, old)
        self.successResultOf(directory.refresh())
        self.assertEqual(self.views, [{}, {"db": "h:1"}])

    def test_watch_late(self) -> None:
        """Nor does a change that is older than the list."""
        self.put("db", "h:1")
        directory = self.started()
        [watch] = self.store.watches
        self.store.watches.clear()
        self.put("db", "h:2")
        self.successResultOf(directory.refresh())
        _, first, _ = self.store.history[0]
        self.store.tell(watch, {"events": [first]})
        self.net.flush()
        self.assertEqual(self.views, [{"db": "h:1"}, {"db": "h:2"}])


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


class AwayTests(EtcdCase):
    """What happens while etcd is away, or half away."""

    def test_away_at_start(self) -> None:
        """The start waits for etcd, says why, and is logged once."""
        self.net.down("a")
        directory = self.directory()
        done = self.begin(directory, {"db": "h:1"})
        self.advance(5)
        self.assertNoResult(done)
        self.assertEqual(
            directory.waiting_for(),
            "etcd at http://a:2379: ConnectionRefusedError: Connection was refused by"
            " other side.",
        )
        self.assertEqual(len(self.warnings), 1)
        self.net.down()
        self.advance(5)
        self.successResultOf(done)
        self.assertEqual(self.views[-1], {"db": "h:1"})

    def test_back_off(self) -> None:
        """Attempts are made with the pauses that were passed in."""
        self.net.down("a")
        self.begin(self.directory())
        times = []
        for _ in range(80):
            before = len(self.net.dialed)
            self.advance(1 / 8)
            if len(self.net.dialed) > before:
                times.append(self.clock.seconds())
        self.assertEqual(times, [1.0, 3.0, 6.0, 10.0])

    def test_back_off_again(self) -> None:
        """Once etcd was back, the pauses are short again."""
        self.net.down("a")
        self.begin(self.directory())
        self.advance(8)
        self.net.down()
        self.advance(4)
        self.assertEqual(self.views, [{}])
        self.net.down("a")
        self.server.cut()
        self.advance(TTL / 3)
        self.net.dialed.clear()
        self.net.down()
        self.advance(3)
        self.assertNotEqual(self.net.dialed, [])

    def test_view_stays(self) -> None:
        """While etcd is away the view stays; then what has changed is seen."""
        self.put("db", "h:1")
        directory = self.started()
        self.net.down("a")
        self.server.cut()
        self.advance(1)
        line = self.line_of(directory.refresh(), DirectoryFailed)
        self.assertTrue(line.startswith("etcd at http://a:2379: Connection"), line)
        self.put("web", "h:2")
        self.store.delete(KEY + b"db")
        self.advance(3 * TTL)
        self.assertEqual(self.views, [{"db": "h:1"}])
        self.net.down()
        self.advance(2 * TTL)
        self.assertEqual(self.views, [{"db": "h:1"}, {"web": "h:2"}])
        self.put("db", "h:3")
        self.assertEqual(self.views[-1], {"web": "h:2", "db": "h:3"})

    def test_new_store(self) -> None:
        """An etcd that was set up anew, with lower revisions, is the truth as well."""
        for number in range(10):
            self.put("db", f"h:{number + 1}")
        self.started()
        self.server.cut()
        self.server.store = self.store = Store(self.clock)
        self.put("web", "h:2")
        self.advance(2)
        self.assertEqual(self.views[-1], {"web": "h:2"})

    def test_compacted(self) -> None:
        """A watch whose revision is not kept any more lists again; all is well."""
        self.started()
        [watch] = self.store.watches
        self.store.tell(watch, {"canceled": True, "compact_revision": "5"})
        self.store.watches.clear()
        self.put("db", "h:1")
        self.advance(1.25)
        self.assertEqual(self.views, [{}, {"db": "h:1"}])
        self.assertEqual(len(self.server.watches), 1)
        self.assertEqual(self.warnings, [])

    def test_cancelled(self) -> None:
        """A watch that etcd ends for another reason is begun again; that is logged."""
        self.started()
        [watch] = self.store.watches
        self.store.tell(watch, {"canceled": True, "cancel_reason": "no leader"})
        self.net.flush()
        self.advance(1.25)
        [line] = self.warnings
        self.assertIn("etcd ended the watch: 'no leader'; trying again", line)
        self.put("db", "h:1")
        self.assertEqual(self.views[-1], {"db": "h:1"})

    def test_silent_break(self) -> None:
        """A watch that broke without a word is found out after a third of the ttl.

        Whatever it missed: a node that is new, one that has moved, one that is gone.
        """
        self.started()
        steps = (
            lambda: self.put("db", "h:1"),
            lambda: self.put("db", "h:2"),
            lambda: self.store.delete(KEY + b"db"),
        )
        for number, step in enumerate(steps, start=1):
            self.store.watches.clear()
            step()
            self.advance(TTL / 3 + 1.25)
            self.assertEqual(len(self.views), 1 + number)
        self.assertEqual(self.views, [{}, {"db": "h:1"}, {"db": "h:2"}, {}])
        self.put("web", "h:2")
        self.assertEqual(self.views[-1], {"web": "h:2"})
        self.assertEqual(self.warnings, [])

    def test_frozen(self) -> None:
        """A server that accepts connections and says nothing counts as away."""
        self.started({"db": "h:1"})
        self.server.silent.update({"lease/keepalive", "kv/range", "kv/txn"})
        self.advance(TTL)
        [line] = self.warnings
        self.assertEqual(
            line,
            "etcd at http://a:2379: no answer within 3.33333 s; trying again, the nodes"
            " stay as they were",
        )
        self.assertEqual(self.views, [{"db": "h:1"}])

    def test_silent_watch(self) -> None:
        """So does one that never begins a watch."""
        self.server.silent.add("watch")
        self.started()
        self.advance(TTL / 2)
        self.assertIn("no answer within", self.warnings[0])
        self.server.silent.clear()
        self.advance(TTL)
        self.put("db", "h:1")
        self.assertEqual(self.views[-1], {"db": "h:1"})

    def test_nonsense(self) -> None:
        """Whatever else answers in place of etcd counts as away, and is shown."""
        for status, body, shown in (
            (200, b"<html>", "an answer that is none: b'<html>'"),
            (200, b"[]", "an answer that is none: b'[]'"),
            (200, b"", "0 answers to kv/range"),
            (502, b"<html>", "HTTP status 502: b'<html>'"),
            (503, b'{"error":"no leader","code":14}', "no leader"),
        ):
            self.server.instead["kv/range"] = (status, body)
            directory = self.directory()
            self.begin(directory)
            self.assertEqual(
                directory.waiting_for(), f"etcd at http://a:2379: {shown}", body
            )

    def test_other_server(self) -> None:
        """Of several servers the next is asked at once when one is away."""
        self.net.add("b", FakeEtcd(self.store))
        self.net.down("a")
        directory = self.directory("http://a:2379", "http://b:2379")
        self.successResultOf(self.begin(directory, {"db": "h:1"}))
        self.net.down("b")
        self.advance(TTL)
        self.net.dialed.clear()
        self.advance(TTL)
        self.assertEqual(set(self.net.dialed), {"a"})
        self.assertEqual(self.views, [{"db": "h:1"}])
        self.assertEqual(self.node("db"), "h:1")

    def test_stop_at_once(self) -> None:
        """It may be stopped before it has begun, and twice."""
        directory = self.directory()
        self.stop(directory)
        self.stop(directory)
        self.assertEqual(self.net.dialed, [])

    def test_stop_while_away(self) -> None:
        """While etcd is away it is stopped all the same, and nothing is left."""
        directory = self.started({"db": "h:1"})
        self.net.down("a")
        self.server.cut()
        self.advance(1)
        self.stop(directory)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.failureResultOf(directory.refresh(), DirectoryFailed)

    def test_stop_within(self) -> None:
        """Who is told a view may stop the directory; it tells nothing more."""
        directory = self.directory()
        told: list[Addresses] = []

        def changed(addresses: Addresses) -> None:
            told.append(addresses)
            directory.stop()

        done = directory.start(changed, {})
        self.failureResultOf(done, NotReady)
        self.advance(1)
        self.put("db", "h:1")
        self.assertEqual(told, [{}])
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertEqual(self.server.watches, [])
