"""Where the nodes of a cluster are, as far as a node has been told."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from skynet_tw.errors import BadAddress, NotReady
from skynet_tw.net.cluster.table import NodeTable, checked


class NodeTableTests(SynchronousTestCase):
    """What a directory finds, and what a program says."""

    def setUp(self) -> None:
        self.table = NodeTable()
        self.table.find({"db": "h:1", "web": "h:2"})

    def test_views_replace(self) -> None:
        """The view of a directory replaces its last one."""
        self.table.find({"db": "h:3"})
        self.assertEqual(self.table.address("db"), "h:3")
        self.assertIsNone(self.table.address("web"))
        self.assertFalse(self.table.is_removed("web"))

    def test_told_counts_more(self) -> None:
        """What a program says is merged, and counts more than what is found."""
        self.table.tell({"db": "t:1"})
        self.table.tell({"old": False})
        self.table.find({"db": "h:9", "old": "h:8"})
        self.assertEqual(self.table.address("db"), "t:1")
        self.assertIsNone(self.table.address("old"))
        self.assertTrue(self.table.is_removed("old"))
        self.table.tell({"db": None, "old": None, "nobody": None})
        self.assertEqual(self.table.address("db"), "h:9")
        self.assertEqual(self.table.address("old"), "h:8")

    def test_waiting(self) -> None:
        """A table says whether absent nodes are waited for; else the node does."""
        for waiting in (True, False):
            table = NodeTable(waiting)
            self.assertIs(table.waiting, waiting)
            table.find({"__nowaiting": True})
            self.assertFalse(table.waiting)
            table.tell({"__nowaiting": False})
            self.assertTrue(table.waiting)
            table.tell({"__nowaiting": None})
            table.find({})
            self.assertIs(table.waiting, waiting)

    def test_classes_of_text(self) -> None:
        """Names and addresses of any class of text are kept as plain text."""

        class Text(str):
            pass

        entries = checked({Text("db"): Text("h:9"), Text("__nowaiting"): True})
        self.assertEqual(entries, {"db": "h:9", "__nowaiting": True})
        self.assertEqual({type(key) for key in entries}, {str})
        self.assertIs(type(entries["db"]), str)

    def test_nonsense(self) -> None:
        """What means nothing is refused as a whole, and changes nothing."""
        bad: list[Any] = [
            {"db": "h:9", "x": 1},
            {"db": "h:9", "x": True},
            {"db": "h:9", "": "h:1"},
            {"db": "h:9", 3: "h:1"},
            {"db": "h:9", "x": ""},
            {"db": "h:9", "x": b"h:1"},
        ]
        for entries in bad:
            self.assertRaises(BadAddress, self.table.find, entries)
            self.assertRaises(BadAddress, self.table.tell, entries)
            self.assertEqual(self.table.address("db"), "h:1")

    def test_nodes(self) -> None:
        """The nodes with an address are listed, and nothing else."""
        self.table.tell({"old": False, "bank": "t:1", "__nowaiting": True})
        nodes = self.table.nodes()
        self.assertEqual(nodes, {"db": "h:1", "web": "h:2", "bank": "t:1"})

    def test_other_nodes(self) -> None:
        """Who knows other nodes is told at once, who knows these at a real change."""
        known = self.table.nodes()
        self.assertEqual(
            self.successResultOf(self.table.nodes_other_than({"db": "h:1"})), known
        )
        change = self.table.nodes_other_than(known)
        self.table.announce()
        self.table.find({"web": "h:3"})
        self.assertNoResult(change)
        self.table.announce()
        self.assertEqual(self.successResultOf(change), {"web": "h:3"})

    def test_no_more_changes(self) -> None:
        """When the node leaves, who waits for a change is told, now and later."""
        known = self.table.nodes()
        waiting = self.table.nodes_other_than(known)
        self.table.close()
        self.failureResultOf(waiting, NotReady)
        self.table.announce()
        self.failureResultOf(self.table.nodes_other_than(known), NotReady)
