# -*- test-case-name: tests.net.test_remote,tests.net.test_harbor2013 -*-
"""The half of a link's connection that writes."""

from __future__ import annotations

from collections.abc import Callable

from ...wire.harbor import FrameWriter
from .greeting import GreetingConnection
from .writer import Link, writer_for


class LinkConnection(GreetingConnection):
    """A connection on which messages are written once it is linked."""

    def __init__(self) -> None:
        super().__init__()
        #: What messages are written to, None before the connection is linked.
        self.link: Link | None = None

    def open_link(
        self,
        harbor: int,
        frames: FrameWriter,
        full: Callable[[], None],
        free: Callable[[], None],
    ) -> Link:
        """Begin to take messages.

        :param harbor: the id of the other side.
        :param frames: puts messages into the form of the wire.
        :param full: called when the transport is full.
        :param free: called when the transport can take more.
        """
        assert self.transport is not None
        self.link = Link(harbor, frames, writer_for(self.transport))
        self.watch_pressure(full, free)
        return self.link

    def close_link(self) -> None:
        """Take no messages any more, whoever still holds the link."""
        assert self.link is not None
        self.link.close()
        self.release()

    def close(self) -> None:
        """Write what is collected and buffered, and close the connection then."""
        if self.link is None:
            self.abort("this node leaves")
        else:
            self.link.flush()
            super().close()
