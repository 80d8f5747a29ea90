"""Nodes that find each other through an etcd in memory."""

from __future__ import annotations

from skynet_tw.discovery.etcd import TTL

from .etcdcase import KEY, EtcdCase
from .support import Views


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
        """What is no node is left out, and logged once for each connection to etcd."""
        self.put("db", "nowhere")
        self.put("", "h:1")
        self.put("web", "")
        self.put("__nowaiting", "h:1")
        self.store.put(KEY + b"\xff", b"\xff")
        self.started()
        self.put("log", "h:2")
        self.assertEqual(self.views, [{}, {"log": "h:2"}])
        self.assertEqual(len(set(self.warnings)), 5)
        self.assertEqual(len(self.warnings), 5)
        self.server.cut()
        self.advance(2)
        self.assertEqual(len(self.warnings), 5 + 1 + 5)
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
