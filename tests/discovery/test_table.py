"""A directory that the program fills, and what all directories tell."""

from __future__ import annotations

from skynet_tw.discovery.table import TableDirectory
from skynet_tw.interfaces import Addresses

from .support import DirectoryCase


class TableTests(DirectoryCase):
    """Views are whole, and each is told once."""

    def test_views(self) -> None:
        """The first view comes with the start, others as the table is updated."""
        directory = TableDirectory({"db": "h:1"})
        self.successResultOf(self.begin(directory))
        self.assertEqual(self.views, [{"db": "h:1"}])
        directory.update({"db": "h:1", "web": "h:2"})
        directory.update({"web": "h:2"})
        self.assertEqual(self.views[1:], [{"db": "h:1", "web": "h:2"}, {"web": "h:2"}])
        self.assertIsNone(directory.waiting_for())

    def test_same(self) -> None:
        """A view that is as the last one is not told again."""
        directory = TableDirectory()
        self.successResultOf(self.begin(directory))
        directory.update({})
        self.successResultOf(directory.refresh())
        self.assertEqual(self.views, [{}])

    def test_before_start(self) -> None:
        """What the table has at the start is all that is told of what was before."""
        directory = TableDirectory({"db": "h:1"})
        directory.update({"web": "h:2"})
        self.successResultOf(self.begin(directory))
        self.assertEqual(self.views, [{"web": "h:2"}])

    def test_stop(self) -> None:
        """After the stop nothing is told; it may be stopped twice, and before all."""
        directory = TableDirectory()
        self.successResultOf(directory.stop())
        self.successResultOf(self.begin(directory))
        self.successResultOf(directory.stop())
        directory.update({"db": "h:1"})
        self.assertEqual(self.views, [{}])

    def test_own_copy(self) -> None:
        """Neither side sees what the other does to its dict."""
        given = {"db": "h:1"}
        directory = TableDirectory(given)
        told: list[Addresses] = []
        self.addCleanup(directory.stop)
        self.successResultOf(directory.start(told.append, {}))
        given["web"] = "h:2"
        told[0].clear()  # type: ignore[attr-defined]
        directory.update({"db": "h:1"})
        self.assertEqual(len(told), 1)

    def test_broken_listener(self) -> None:
        """An error of who is told is logged, and the next view is told as well."""
        directory = TableDirectory()
        told: list[Addresses] = []

        def changed(addresses: Addresses) -> None:
            told.append(addresses)
            raise RuntimeError("not now")

        self.addCleanup(directory.stop)
        self.successResultOf(directory.start(changed, {}))
        directory.update({"db": "h:1"})
        self.assertEqual(told, [{}, {"db": "h:1"}])
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 2)
