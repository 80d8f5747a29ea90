# -*- test-case-name: tests.net.test_harbor2013,tests.net.test_wires -*-
"""Connections between harbors of 2013: one that we dialed, one that dialed us."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from twisted.internet.error import ConnectionDone
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure

from ...errors import OtherWire, ProtocolError
from ...interfaces import Frame
from ...wire.control import Malformed
from ...wire.harbor2013 import NOTHING, Announcement, FrameReader, MessageWriter
from ..kit.connections import Connection
from ..kit.linking import LinkConnection

#: How far the first message of a connection has to come on within
#: `ConnectionLimits.stall`, in bytes.
SLOW = 65536


class CallerOwner(Protocol):
    """Keeps the connections that others dial."""

    def caller_opened(self, caller: CallerProtocol) -> None:
        """A connection is up."""

    @property
    def caller_frames(self) -> Callable[[int, list[Frame]], None]:
        """Called with a harbor and the messages of a read."""

    def caller_is(self, caller: CallerProtocol, harbor: int) -> None:
        """The first message of the connection is about to come, from *harbor*."""

    def caller_announces(
        self, caller: CallerProtocol, announcement: Announcement | Malformed
    ) -> None:
        """The connection brought a control frame."""

    def caller_refused(self, caller: CallerProtocol, reason: str) -> None:
        """The connection is dropped by us."""

    def caller_closed(self, caller: CallerProtocol) -> None:
        """The connection is closed; nothing follows."""


class CallerProtocol(Connection):
    """A connection that somebody dialed: a harbor, the master, or a stranger.

    Nothing is ever written to it, but to those who speak the other wire.

    :param owner: is told what happens.
    """

    def __init__(self, owner: CallerOwner) -> None:
        super().__init__()
        self._owner = owner
        # Nothing stands between a read and the node that takes its messages.
        self._deliver = owner.caller_frames
        self._reader = FrameReader()
        #: The harbor that its first message came from, 0 until there is one.
        self.harbor = 0
        #: Control frames of it that were ignored.
        self.ignored = 0

    def opened(self) -> None:
        self._owner.caller_opened(self)

    def dataReceived(self, data: bytes) -> None:
        """Take one read; the messages in it are handed on at once."""
        if self.ended is not None:
            return
        reader = self._reader
        for harbor, frames in reader.feed(data):
            if not self.harbor:
                self.harbor = harbor
                self._owner.caller_is(self, harbor)
            self._deliver(harbor, frames)
        if reader.announcements:
            announcements, reader.announcements = reader.announcements, []
            for it in announcements:
                self._owner.caller_announces(self, it)
        if reader.error is not None:
            self._break(reader.error)

    def _break(self, error: ProtocolError) -> None:
        if isinstance(error, OtherWire):
            self.refuse(str(error), NOTHING)
        else:
            self.abort(str(error))

    @property
    def bytes_read(self) -> int:
        """All bytes that were read so far."""
        return self._reader.bytes_read

    def half_open(self) -> int | None:
        rest = self._reader.rest
        if not rest.kept:
            return None
        # A caller must not identify itself byte by byte.
        return rest.changes if self.harbor else -(rest.missing // SLOW)

    def on_ended(self, reason: str) -> None:
        self._owner.caller_refused(self, reason)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._owner.caller_closed(self)


class LinkOwner2013(Protocol):
    """Keeps the links that we dial."""

    def link_connected(self, protocol: LinkProtocol2013) -> None:
        """A connection is up."""

    def link_busy(self, protocol: LinkProtocol2013) -> None:
        """The transport is full."""

    def link_free(self, protocol: LinkProtocol2013) -> None:
        """The transport can take more."""

    def link_down(self, protocol: LinkProtocol2013, reason: str, clean: bool) -> None:
        """A connection that was up is not any more.

        :param clean: we closed it, and the other side has read all of it.
        """

    def link_closed(self, protocol: LinkProtocol2013) -> None:
        """The connection is closed; nothing follows."""


class LinkProtocol2013(LinkConnection):
    """A connection that we dialed; everything goes out on it, nothing comes in.

    :param owner: is told what happens.
    :param harbor: the id of the harbor that is dialed.
    """

    def __init__(self, owner: LinkOwner2013, harbor: int) -> None:
        super().__init__()
        self._owner = owner
        self._up = False
        self._finishing = False
        #: The id of the harbor.
        self.harbor = harbor

    def opened(self) -> None:
        self._up = True
        self.open_link(
            self.harbor,
            MessageWriter(),
            lambda: self._owner.link_busy(self),
            lambda: self._owner.link_free(self),
        )
        self._owner.link_connected(self)

    def dataReceived(self, data: bytes) -> None:
        """No harbor of 2013 says anything here."""
        self.abort(str(OtherWire(theirs="modern", ours="2013")))

    def finish(self) -> None:
        """Write what there is, and wait until the other side has read and closes."""
        assert self.link is not None
        self._finishing = True
        self.link.flush()
        self.link.close()
        self.half_close()

    def on_ended(self, reason: str) -> None:
        self._unlink(reason, False)

    def _unlink(self, reason: str, clean: bool) -> None:
        if self._up:
            self._up = False
            self.close_link()
            self._owner.link_down(self, reason, clean)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        clean = self._finishing and reason.check(ConnectionDone) is not None
        self._unlink(reason.getErrorMessage(), clean)
        self._owner.link_closed(self)
        super().connectionLost(reason)
