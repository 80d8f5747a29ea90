# -*- test-case-name: tests.net.test_harbor2013,tests.net.test_wires -*-
"""Connections between harbors of 2013: one that we dialed, one that dialed us."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, cast

from twisted.internet import protocol
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IConsumer, IPushProducer
from twisted.internet.protocol import connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from ..errors import OtherWire, ProtocolError
from ..interfaces import Frame
from ..wire.harbor2013 import NOTHING, FrameReader, MessageWriter, Told
from ..wire.master import Malformed
from .greeting import GreetingProtocol
from .transport import address_text, drop_transport, tune
from .writer import Link, writer_for

#: How far the first message of a connection has to come on within
#: `ConnectionLimits.stall`, in bytes.
SLOW = 65536


class CallerOwner(Protocol):
    """Whoever keeps the connections that were dialed by others."""

    def caller_opened(self, caller: CallerProtocol) -> None:
        """A connection is up."""

    @property
    def caller_frames(self) -> Callable[[int, list[Frame]], None]:
        """Called with a harbor and the messages of a read."""

    def caller_is(self, caller: CallerProtocol, harbor: int) -> None:
        """The first message of the connection is about to come, from *harbor*."""

    def caller_told(self, caller: CallerProtocol, told: Told | Malformed) -> None:
        """The connection brought a control frame."""

    def caller_refused(self, caller: CallerProtocol, reason: str) -> None:
        """The connection is dropped by us."""

    def caller_closed(self, caller: CallerProtocol) -> None:
        """The connection is closed; nothing follows."""


class CallerProtocol(protocol.Protocol):
    """A connection that somebody dialed: a harbor, the master, or a stranger.

    Nothing is ever written to it, but to those who speak the other wire.

    :param owner: is told what happens.
    """

    def __init__(self, owner: CallerOwner) -> None:
        self._owner = owner
        # Nothing stands between a read and the node that takes its messages.
        self._deliver = owner.caller_frames
        self._reader = FrameReader()
        #: The harbor that its first message came from, 0 until there is one.
        self.harbor = 0
        #: Whether it may be the master that dials us back.
        self.may_be_master = False
        #: When it was opened, on the owner's clock.
        self.since = 0.0
        #: Control frames of it that were ignored.
        self.ignored = 0
        #: Why we dropped the connection, None while we did not.
        self.dropped: str | None = None
        #: For the owner's sweep: which half frame made its last progress when.
        self.stalled: tuple[int, float] | None = None

    @property
    def peer_text(self) -> str:
        """The other end, for the log."""
        return address_text(self.transport)

    def connectionMade(self) -> None:
        """Somebody dialed us."""
        assert self.transport is not None
        tune(self.transport)
        self._owner.caller_opened(self)

    def dataReceived(self, data: bytes) -> None:
        """Take one read; the messages in it are handed on at once."""
        if self.dropped is not None:
            return
        reader = self._reader
        for harbor, frames in reader.feed(data):
            if not self.harbor:
                self.harbor = harbor
                self._owner.caller_is(self, harbor)
            self._deliver(harbor, frames)
        if reader.told:
            told, reader.told = reader.told, []
            for it in told:
                self._owner.caller_told(self, it)
        if reader.error is not None:
            self._break(reader.error)

    def _break(self, error: ProtocolError) -> None:
        if isinstance(error, OtherWire) and self.dropped is None:
            self.dropped = str(error)
            self._owner.caller_refused(self, str(error))
            assert self.transport is not None
            self.transport.write(NOTHING)
            self.transport.loseConnection()
        else:
            self.drop(str(error))

    def half_open(self) -> int | None:
        """A number that grows as an incomplete frame does; None if there is none."""
        rest = self._reader.rest
        if not rest.kept:
            return None
        # Who did not say yet who he is may not do so byte by byte.
        return rest.changes if self.harbor else -(rest.missing // SLOW)

    def read(self, on: bool) -> None:
        """Read the connection, or leave with the other side what it sends."""
        transport = self.transport
        if IPushProducer.providedBy(transport):
            if on:
                transport.resumeProducing()
            else:
                transport.pauseProducing()

    def drop(self, reason: str) -> None:
        """Close the connection at once."""
        if self.dropped is None:
            self.dropped = reason
            self._owner.caller_refused(self, reason)
        drop_transport(self.transport)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The connection is closed, by whomever."""
        self._owner.caller_closed(self)


class LinkOwner(Protocol):
    """Whoever keeps the links that we dial."""

    def link_connected(self, protocol: LinkProtocol) -> None:
        """A connection is up."""

    def link_busy(self, protocol: LinkProtocol) -> None:
        """The transport is full."""

    def link_free(self, protocol: LinkProtocol) -> None:
        """The transport can take more."""

    def link_down(self, protocol: LinkProtocol, reason: str, clean: bool) -> None:
        """A connection that was up is not any more.

        :param clean: we closed it, and the other side has read all of it.
        """

    def link_closed(self, protocol: LinkProtocol) -> None:
        """The connection is closed; nothing follows."""


@implementer(IPushProducer)
class LinkProtocol(GreetingProtocol):
    """A connection that we dialed; everything goes out on it, nothing comes in.

    :param owner: is told what happens.
    :param harbor: the id of the harbor that is dialed.
    """

    _log = Logger()

    def __init__(self, owner: LinkOwner, harbor: int) -> None:
        super().__init__()
        self._owner = owner
        self._up = False
        self._finishing = False
        #: The id of the harbor.
        self.harbor = harbor
        #: What messages are written to, None before the connection is up.
        self.link: Link | None = None
        #: Whether the transport is full.
        self.busy = False

    def connectionMade(self) -> None:
        """The harbor took our call."""
        transport = self.transport
        assert transport is not None
        tune(transport)
        self.link = Link(self.harbor, MessageWriter(), writer_for(transport))
        self._up = True
        cast(IConsumer, transport).registerProducer(self, True)
        self._owner.link_connected(self)

    def dataReceived(self, data: bytes) -> None:
        """No harbor of 2013 says anything here."""
        self.drop(str(OtherWire(theirs="modern", ours="2013")))

    def finish(self) -> None:
        """Write what there is, and wait until the other side has read and closes."""
        transport = self.transport
        assert self.link is not None and transport is not None
        self._finishing = True
        self.link.flush()
        self.link.close()
        # A transport does not close as long as it has a producer that it paused.
        cast(IConsumer, transport).unregisterProducer()
        half_close = getattr(transport, "loseWriteConnection", None)
        if half_close is None:
            transport.loseConnection()
        else:
            half_close()

    def close(self) -> None:
        """Write what is collected and buffered, and close the connection then."""
        transport = self.transport
        if self.link is None or transport is None:
            self.drop("this node leaves")
            return
        self.link.flush()
        cast(IConsumer, transport).unregisterProducer()
        transport.loseConnection()

    def drop(self, reason: str) -> None:
        """Close the connection at once; what is buffered for it is lost."""
        if self.dropped is None:
            self.dropped = reason
            self._end(reason, False)
            drop_transport(self.transport)

    def _end(self, reason: str, clean: bool) -> None:
        if not self._up:
            return
        self._up = False
        assert self.link is not None
        self.link.close()
        if self.transport is not None:
            cast(IConsumer, self.transport).unregisterProducer()
        self._owner.link_down(self, reason, clean)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The connection is closed, by whomever."""
        clean = self._finishing and reason.check(ConnectionDone) is not None
        self._end(reason.getErrorMessage(), clean)
        self._owner.link_closed(self)
        super().connectionLost(reason)

    def pauseProducing(self) -> None:
        """The transport is full."""
        if not self.busy:
            self.busy = True
            self._owner.link_busy(self)

    def resumeProducing(self) -> None:
        """The transport has written what it had."""
        if self.busy:
            self.busy = False
            self._owner.link_free(self)

    def stopProducing(self) -> None:
        """The connection is about to be lost; `connectionLost` says so, too."""
