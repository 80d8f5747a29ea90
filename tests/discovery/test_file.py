"""A node table in a file that changes."""

from __future__ import annotations

import os

from twisted.internet.task import Clock

from skynet_tw.discovery.file import FileDirectory
from skynet_tw.errors import BootFailed, DirectoryFailed

from .support import DirectoryCase


class FileTests(DirectoryCase):
    """The file is read at the start, when it changes, and when that is asked for."""

    def setUp(self) -> None:
        super().setUp()
        self.clock = Clock()
        self.path = self.scratch("nodes")
        self.times = 0
        self.write('db = "h:1"')

    def write(self, text: str) -> None:
        """Replace the file, in one step, by one that is certainly of another time."""
        with open(self.path + ".new", "w") as file:
            file.write(text)
        self.times += 1
        os.utime(self.path + ".new", (self.times, self.times))
        os.rename(self.path + ".new", self.path)

    def started(self, interval: float = 1.0) -> FileDirectory:
        """A directory that has started over the file."""
        directory = FileDirectory(self.path, self.clock, interval)
        self.successResultOf(self.begin(directory))
        return directory

    def test_change(self) -> None:
        """A change is seen within a second."""
        self.started()
        self.assertEqual(self.views, [{"db": "h:1"}])
        self.write('web = "h:2"')
        self.clock.advance(1)
        self.assertEqual(self.views[1:], [{"web": "h:2"}])

    def test_in_place(self) -> None:
        """A file that is written in place is seen as well."""
        self.started()
        with open(self.path, "w") as file:
            file.write('web = "h:2"')
        self.clock.advance(1)
        self.assertEqual(self.views[1:], [{"web": "h:2"}])

    def test_same(self) -> None:
        """A new file with the same nodes is no change."""
        self.started()
        self.write('db = "h:1"  # as before')
        self.clock.advance(1)
        self.assertEqual(len(self.views), 1)

    def test_removed(self) -> None:
        """A node that is known to be away is False in the view; options are told."""
        directory = self.started()
        self.write('db = false\nweb = "h:2"\n__nowaiting = true')
        self.clock.advance(1)
        view = {"web": "h:2", "db": False, "__nowaiting": True}
        self.assertEqual(self.views[-1], view)
        self.assertEqual(directory.table.removed, {"db"})
        self.assertIs(directory.table.nowaiting, True)

    def test_broken(self) -> None:
        """A broken version is logged once, and the last good view stays."""
        self.started()
        for _ in range(2):
            self.write("db = 3")
            self.clock.pump([1, 1, 1])
        self.assertEqual(len(self.views), 1)
        self.assertEqual(len(self.warnings), 2)
        self.assertEqual(
            self.warnings[0],
            f"node table {self.path}: line 1: 'db': HOST:PORT as a text, or false, is"
            " wanted, not 3; the nodes stay as they were",
        )
        self.write('web = "h:2"')
        self.clock.advance(1)
        self.assertEqual(self.views[-1], {"web": "h:2"})

    def test_gone(self) -> None:
        """A file that is gone is logged once; it is read again when it is back."""
        self.started()
        os.remove(self.path)
        self.clock.pump([1, 1, 1])
        self.assertEqual(len(self.warnings), 1)
        self.assertIn("No such file", self.warnings[0])
        self.write('web = "h:2"')
        self.clock.advance(1)
        self.assertEqual(self.views, [{"db": "h:1"}, {"web": "h:2"}])

    def test_options(self) -> None:
        """Options that mean nothing are logged, and not again at each look."""
        self.write("__x = 1\n__y = true")
        self.started()
        self.write("__x = 2\n__y = true")
        self.clock.advance(1)
        self.assertEqual(
            self.warnings, [f"node table {self.path}: no option here: __x, __y"]
        )

    def test_refresh(self) -> None:
        """To refresh reads the file at once, and says if that is not possible."""
        directory = self.started(interval=0)
        self.write('web = "h:2"')
        self.clock.advance(5)
        self.assertEqual(len(self.views), 1)
        self.successResultOf(directory.refresh())
        self.assertEqual(self.views[1:], [{"web": "h:2"}])
        os.remove(self.path)
        line = self.line_of(directory.refresh(), DirectoryFailed)
        self.assertEqual(line, f"node table {self.path}: No such file or directory")
        self.assertEqual(len(self.views), 2)

    def test_start_fails(self) -> None:
        """A file that is no table at the start fails it, and is watched no more."""
        self.write("?")
        directory = FileDirectory(self.path, self.clock)
        line = self.line_of(self.begin(directory), BootFailed)
        self.assertTrue(line.startswith(f"node table {self.path}: neither TOML"), line)
        self.assertEqual(self.views, [])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_stop(self) -> None:
        """After the stop nothing is read and nothing is told."""
        directory = self.started()
        self.successResultOf(directory.stop())
        self.successResultOf(directory.stop())
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.write('web = "h:2"')
        self.successResultOf(directory.refresh())
        self.assertEqual(len(self.views), 1)
