"""What happens while etcd is away, or half away."""

from __future__ import annotations

from skynet_tw.discovery.etcd import TTL
from skynet_tw.errors import DirectoryFailed, NotReady
from skynet_tw.interfaces import Addresses

from .etcdcase import KEY, EtcdCase
from .fakeetcd import FakeEtcd, Store


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
        self.net.dialed.clear()
        self.advance(1.25)
        self.assertEqual(self.net.dialed, ["a"])

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
