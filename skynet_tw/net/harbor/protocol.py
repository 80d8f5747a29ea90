# -*- test-case-name: tests.net.test_remote,tests.net.test_strangers -*-
"""A link as Twisted sees it: the protocol, and what a node writes messages to."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, Protocol

from twisted.internet.interfaces import IReactorTime
from twisted.internet.protocol import connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure

from ...interfaces import Frame, LinkInfo
from ...link.effects import Close, Linked, Write
from ...link.peer import Peer
from ...wire.harbor import FrameWriter
from ..kit.linking import LinkConnection
from ..kit.shell import Shell
from ..kit.writer import Link

#: What a transport of Twisted reads at once by itself, and the most we ask for, in
#: bytes.
READ_SIZE = 65536
WIDE_READ_SIZE = 1024 * 1024


class LinkOwner(Protocol):
    """Keeps the links of a node."""

    #: Tells the time.
    clock: IReactorTime

    def link_opened(self, protocol: LinkProtocol) -> None:
        """A connection is up, its handshake is not done."""

    def link_up(self, protocol: LinkProtocol, link: Link) -> None:
        """The handshake is done."""

    @property
    def link_frames(self) -> Callable[[int, list[Frame]], None]:
        """Called with a harbor and the messages of a read, while it is linked."""

    def link_busy(self, harbor: int) -> None:
        """The transport is full."""

    def link_free(self, harbor: int, link: Link) -> None:
        """The transport can take more."""

    def link_down(self, protocol: LinkProtocol, reason: str) -> None:
        """A link that was up is not any more."""

    def link_refused(self, protocol: LinkProtocol, reason: str) -> None:
        """A connection is dropped before its handshake was done."""

    def link_closed(self, protocol: LinkProtocol) -> None:
        """The connection is closed; nothing follows."""


class LinkProtocol(LinkConnection):
    """One connection between two harbors, dialed or accepted.

    :param owner: is told what happens.
    :param peer: the core that greets and decodes.
    """

    _log: ClassVar[Logger] = Logger()

    def __init__(self, owner: LinkOwner, peer: Peer) -> None:
        super().__init__()
        self._owner = owner
        self._harbor = 0
        self._wide = False
        self._reader = peer.reader
        # Nothing stands between a read and the node that takes its messages.
        self._deliver = owner.link_frames
        #: The core of this link.
        self.peer = peer
        #: When the handshake was done, on the owner's clock.
        self.up_at = 0.0
        self._shell = Shell(
            {
                Write: lambda it: self.write(it.data),
                Close: self._refuse,
                Linked: self._up,
            }
        )

    def opened(self) -> None:
        """Greet, if we dialed."""
        greeting = self.peer.open()
        self._owner.link_opened(self)
        self._shell.do(greeting)

    def dataReceived(self, data: bytes) -> None:
        """Take one read; all messages in it are handed on at once."""
        if self.link is None:
            self._greet(data)
            return
        frames = self._reader.feed(data)
        if frames:
            self._deliver(self._harbor, frames)
        if self._reader.error is not None:
            self.blame(str(self._reader.error))
        elif self._reader.rest.kept or self._wide:
            self._widen(self._reader.rest.missing)

    def _widen(self, missing: int) -> None:
        """Read more at once while a large message comes in: fewer turns for it."""
        self._wide = missing > READ_SIZE
        # Always reading that much would cost small messages a large buffer each time.
        size = min(missing, WIDE_READ_SIZE) if self._wide else READ_SIZE
        self.transport.bufferSize = size  # type: ignore[union-attr]

    def _greet(self, data: bytes) -> None:
        if self.ended is None:
            self._shell.do(self.peer.greet(data))

    def _refuse(self, effect: Close) -> None:
        self.abort(str(effect.error))

    def _up(self, linked: Linked) -> None:
        """The handshake is done."""
        self._harbor = harbor = linked.harbor
        self.up_at = self._owner.clock.seconds()
        link = self.open_link(
            harbor,
            FrameWriter(),
            lambda: self._owner.link_busy(harbor),
            lambda: self._owner.link_free(harbor, link),
        )
        self._owner.link_up(self, link)
        self.greeted()
        if linked.rest:
            self.dataReceived(linked.rest)

    def blame(self, reason: str) -> None:
        """Abort a link for what its peer does, and log that."""
        if self.ended is None:
            self._log.warn(
                "dropped the link to harbor {harbor} at {peer}: {reason}",
                harbor=self._harbor,
                peer=self.peer_text,
                reason=reason,
            )
            self.abort(reason)

    @property
    def is_linked(self) -> bool:
        """Whether the handshake is done."""
        return self.link is not None

    def info(self, now: float) -> LinkInfo:
        """The link as it is."""
        assert self.link is not None
        return LinkInfo(
            self._harbor,
            self.peer_text,
            now - self.up_at,
            self._reader.bytes_read,
            self.link.bytes_written,
            self.is_full,
        )

    def half_open(self) -> int | None:
        rest = self._reader.rest
        return rest.changes if rest.kept else None

    def on_ended(self, reason: str) -> None:
        if self.peer.ended():
            self._unlink(reason)
        else:
            self._owner.link_refused(self, reason)

    def _unlink(self, reason: str) -> None:
        self.close_link()
        self._owner.link_down(self, reason)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self.peer.ended():
            self._unlink(reason.getErrorMessage())
        self._owner.link_closed(self)
        super().connectionLost(reason)
