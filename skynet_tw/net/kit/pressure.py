# -*- test-case-name: tests.net.test_kit -*-
"""Knowing when a transport is full, and when it takes more."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

from twisted.internet.interfaces import IConsumer, IPushProducer, ITransport
from zope.interface import implementer


@implementer(IPushProducer)
class Pressure:
    """Stands for all that writes to one transport, as its producer.

    :param full: called when the transport is full.
    :param free: called when it has written what it had.
    """

    def __init__(
        self, transport: ITransport, full: Callable[[], None], free: Callable[[], None]
    ) -> None:
        self._transport: ITransport | None = transport
        self._full = full
        self._free = free
        self._times = 0
        #: Whether the transport is full.
        self.is_full = False
        cast(IConsumer, transport).registerProducer(self, True)

    @property
    def unread(self) -> int | None:
        """For `Progress`: how often it was full by now; None if it is not full."""
        return self._times if self.is_full else None

    def release(self) -> None:
        """Let the transport close: it does not while it has a producer on hold."""
        if self._transport is not None:
            transport, self._transport = self._transport, None
            cast(IConsumer, transport).unregisterProducer()

    def pauseProducing(self) -> None:
        """The transport is full."""
        if not self.is_full:
            self.is_full = True
            self._times += 1
            self._full()

    def resumeProducing(self) -> None:
        """The transport has written what it had."""
        if self.is_full:
            self.is_full = False
            self._free()

    def stopProducing(self) -> None:
        """The connection is about to be lost; `connectionLost` says so, too."""
