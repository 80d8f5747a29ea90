# -*- test-case-name: tests.discovery.test_file -*-
"""A node table in a file, which is read again when it changes."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from zope.interface import implementer

from ..errors import BootFailed, DirectoryFailed
from ..interfaces import Addresses, INodeDirectory
from ..repeater import Repeater
from .nodetable import NodeTable, load
from .view import View

#: What tells one version of a file from another; None where there is no file.
_Version = tuple[int, int, int] | None


@implementer(INodeDirectory)
class FileDirectory:
    """The nodes of a table in a file, see `nodetable`.

    Whoever writes the file may replace it by renaming another one.  A version that
    cannot be read is logged once, and the last good view stays.  Tables are small: to
    read one blocks for less than a millisecond.

    :param path: the file.
    :param clock: says when to look at it.
    :param interval: seconds between looks at whether it has changed; 0: it is read at
        the start and upon `refresh` only.
    """

    publishes = False

    _log = Logger()

    def __init__(self, path: str, clock: IReactorTime, interval: float = 1.0) -> None:
        self._path = path
        self._interval = interval
        self._version: _Version = None
        self._view: View | None = None
        self._watch = Repeater(self._look, interval, clock)
        #: The table that was read last, with its options.
        self.table = NodeTable()

    def start(
        self, changed: Callable[[Addresses], object], own: Mapping[str, str]
    ) -> Deferred[None]:
        """Read the file; it fails with `BootFailed` if that is no table."""
        self._view = View(changed)
        try:
            self._read()
        except ValueError as error:
            return fail(BootFailed(f"node table {error}"))
        if self._interval:
            self._watch.start()
        return succeed(None)

    def refresh(self) -> Deferred[None]:
        """Read the file again, whether it has changed or not."""
        try:
            self._read()
        except ValueError as error:
            return fail(DirectoryFailed(f"node table {error}"))
        return succeed(None)

    def waiting_for(self) -> str | None:
        """Nothing: a file is there, or it is not."""
        return None

    def stop(self) -> Deferred[None]:
        """Look at the file no more."""
        self._watch.stop()
        if self._view is not None:
            self._view.close()
        return succeed(None)

    def _look(self) -> None:
        """Read the file if it is not as it was."""
        if self._stat() == self._version:
            return
        try:
            self._read()
        except ValueError as error:
            self._log.warn(
                "node table {error}; the nodes stay as they were", error=str(error)
            )

    def _read(self) -> None:
        """Read the file and tell what it says.

        :raises ValueError: it is no table.
        """
        # Looked at before it is read: a change in between is seen at the next look.
        self._version = self._stat()
        table = load(self._path)
        if table.unknown and table.unknown != self.table.unknown:
            self._log.warn(
                "node table {path}: no option here: {names}",
                path=self._path,
                names=", ".join(table.unknown),
            )
        self.table = table
        if self._view is not None:
            self._view.tell(table.view)

    def _stat(self) -> _Version:
        try:
            found = os.stat(self._path)
        except (OSError, ValueError):
            return None
        return found.st_mtime_ns, found.st_size, found.st_ino
