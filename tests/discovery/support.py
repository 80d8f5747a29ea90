"""What the tests of all directories use."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from typing import cast

from twisted.internet.defer import Deferred
from twisted.logger import (
    ILogObserver,
    LogEvent,
    LogLevel,
    formatEvent,
    globalLogPublisher,
)
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from skynet_tw.errors import NotReady
from skynet_tw.interfaces import Addresses, INodeDirectory


class Views(list[dict[str, str | bool]]):
    """The views that a directory told, in their order."""

    def take(self, addresses: Addresses) -> None:
        self.append(dict(addresses))


class DirectoryCase(SynchronousTestCase):
    """A test of directories: it has the views of one, and the warnings of the log."""

    def setUp(self) -> None:
        self.views = Views()
        self._events: list[LogEvent] = []
        observer = cast(ILogObserver, self._events.append)
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)

    def scratch(self, name: str) -> str:
        """The path of a file in a directory that is removed after the test."""
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        return os.path.join(directory.name, name)

    @property
    def warnings(self) -> list[str]:
        """The warnings that the package has logged, in their order."""
        return [
            formatEvent(event)
            for event in self._events
            if event["log_namespace"].startswith("skynet_tw.")
            and event["log_level"] is LogLevel.warn
        ]

    def begin(
        self, directory: INodeDirectory, own: Mapping[str, str] | None = None
    ) -> Deferred[None]:
        """Start a directory whose views the test has, and stop it at the end."""
        verifyObject(INodeDirectory, directory)
        done = directory.start(self.views.take, own or {})
        # One that still waits then is told that the directory was stopped.
        self.addCleanup(done.addErrback, lambda failure: failure.trap(NotReady))
        self.addCleanup(directory.stop)
        return done

    def line_of(self, done: Deferred[None], kind: type[Exception]) -> str:
        """The one line with which something failed."""
        text = str(self.failureResultOf(done, kind).value)
        self.assertNotIn("\n", text)
        return text
