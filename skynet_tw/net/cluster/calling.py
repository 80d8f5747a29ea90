# -*- test-case-name: tests.network.test_cluster -*-
"""The link to one node of a cluster: made when it is needed, and made again."""

from __future__ import annotations

from functools import partial
from typing import Any, Protocol

from twisted.logger import Logger
from zope.interface import implementer

from ...interfaces import ALIVE_NAME, IClusterReceiver, ILink, LinkInfo
from ...link.cluster import ClusterClient
from ...link.effects import Close, LogLine
from ...message import PType
from ...seri import pack
from ..kit.logging import emit
from ..kit.progress import Progress
from ..kit.shell import Shell
from . import routing
from .protocol import ClusterConnection
from .routing import Route

#: Bytes of large messages that are written between two looks at the transport.
ROOM = 64 * 1024

#: More than there can be of them.
EVERYTHING = 1 << 62

#: Bytes of large messages in waiting; beyond that the node is to keep its own.
MAX_HELD = 16 * 1024 * 1024

#: What a node is asked to show that it lives: for the owner of a name.
PROBE = pack(ALIVE_NAME)

_RESPONSE = int(PType.RESPONSE) << 24
_ERROR = int(PType.ERROR) << 24


class Surroundings(routing.Surroundings, Protocol):
    """What all links of a node share."""

    @property
    def paused(self) -> bool:
        """Whether no link is read."""

    @property
    def receiver(self) -> IClusterReceiver: ...

    @property
    def waiting(self) -> bool:
        """Whether what is for an absent node waits for it."""

    def needs(self, node: str) -> bool:
        """Whether the boot waits for a link to a node."""

    def changed(self) -> None:
        """A link is up, or its node was not reached."""


@implementer(ILink)
class NodeLink:
    """Calls one node, over one connection at a time.

    What waits for the connection waits in the node; here wait only the rest of large
    messages and what must not overtake them, which go on with the next connection.

    :param name: the node's.
    """

    _log = Logger()

    def __init__(self, name: str, around: Surroundings) -> None:
        self.peer = name
        self._around = around
        self._core = ClusterClient()
        #: How it is reached.
        self.route = Route(
            name,
            around,
            lambda: ClusterConnection(self),
            self._not_reached,
            self._closed,
        )
        self._connection: ClusterConnection | None = None
        self._full = False
        self._up_at = 0.0
        self._bytes_out = 0
        #: How much was written when bytes came the last time.
        self._heard_at = 0
        #: How often the transport was full, and has written all it had.
        self._drained = 0
        self._silence = Progress()
        self._idle = Progress()
        self._stall = Progress()
        self._probed = False
        self._shell = Shell(
            {
                LogLine: lambda line: emit(self._log, line),
                Close: lambda it: self._drop(str(it.error)),
            }
        )

    # Messages: ILink

    def send(
        self,
        destination: Any,
        source: int,
        ptype: int,
        session: int,
        payload: bytes,
    ) -> None:
        """Collect one request or push; `flush` writes it."""
        core = self._core
        if session:
            number = core.call(destination, payload, (source, session), source)
            if core.waiting and core.holds(number):
                drop = partial(self._forget, number)
                self._around.receiver.call_held(self.peer, source, session, drop)
        else:
            core.push(destination, payload, source)
        if core.waiting:
            self._check_room()

    def flush(self) -> None:
        """Write what was collected, and of large messages what the transport takes."""
        connection, core = self._connection, self._core
        if connection is None:
            return
        data = core.take(0 if self._full else ROOM)
        if data:
            self._bytes_out += len(data)
            connection.write_out(data)
        if core.has_large or self._full:
            self._flush_large(connection)

    def _flush_large(self, connection: ClusterConnection) -> None:
        """Go on with large messages: for as long as the transport takes them."""
        core = self._core
        while connection is self._connection:
            for source, session in core.sent():
                self._around.receiver.call_written(source, session)
            if not core.busy or connection.is_full:
                break
            data = core.take(ROOM)
            self._bytes_out += len(data)
            connection.write_out(data)
        self._check_room()

    def _check_room(self) -> None:
        """Say whether more may be given to the link."""
        connection = self._connection
        if connection is None:
            return
        full = connection.is_full or self._core.waiting > MAX_HELD
        if full != self._full:
            self._full = full
            if full:
                self._around.receiver.link_busy(self.peer)
            else:
                self._around.receiver.link_ready(self.peer, self)

    def _forget(self, number: int) -> None:
        """Nobody waits for an answer any more."""
        if number in self._core.calls:
            self._core.cancel(number)

    # The connection: its owner

    def opened(self, connection: ClusterConnection) -> None:
        """The node is reached."""
        self.route.linked()
        # What somebody sent to a link that was lost is not for this connection.
        self._core.lost()
        self._connection = connection
        self._up_at = self._around.clock.seconds()
        self._bytes_out = self._heard_at = 0
        self._full = self._probed = False
        if self._around.paused:
            connection.read(False)
        self._around.receiver.link_ready(self.peer, self)
        self.flush()
        # Last: who reads the log may use the cluster.
        self._log.info(
            "linked with node {node}, dialed at {peer}",
            node=self.peer,
            peer=connection.peer_text,
        )
        self._around.changed()

    def received(self, data: bytes) -> None:
        """Take one read; all answers in it are handed on at once."""
        core = self._core
        frames = core.feed(data)
        self._heard_at = self._bytes_out
        self._probed = False
        if frames:
            self._around.receiver.frames_received(self.peer, frames)
        if core.effects:
            self._shell.do(core.take_effects())

    def full(self) -> None:
        """The transport is full."""
        self._check_room()

    def free(self) -> None:
        """The transport can take more."""
        self._drained += 1
        # First of what waits in the node: a large message would fill all again.
        self._check_room()
        self.flush()

    def closed(self, connection: ClusterConnection, reason: str) -> None:
        """The connection is lost, or we closed it."""
        if connection is not self._connection:
            return
        self._connection = None
        # The node itself fails the calls that were written.
        self._core.lost()
        if connection.ended is None:
            self._log.info(
                "lost the link to node {node} at {peer}: {reason}",
                node=self.peer,
                peer=connection.peer_text,
                reason=reason,
            )
        self._around.receiver.link_lost(self.peer, reason)
        if not self.is_wanted:
            self.route.stop()

    # What becomes of it

    @property
    def is_linked(self) -> bool:
        """Whether there is a connection."""
        return self._connection is not None

    @property
    def _is_owing(self) -> bool:
        """Whether the node has not answered all that was written to it."""
        return bool(self._core.calls) or self._heard_at != self._bytes_out

    @property
    def is_wanted(self) -> bool:
        """Whether anything is for the node, or waits for it, or the boot does."""
        around, name = self._around, self.peer
        return self._core.busy or around.receiver.is_wanted(name) or around.needs(name)

    def close(self, reason: str) -> None:
        """Close the connection; what is not written waits for another one."""
        # What was sent in this turn is still here.
        self.flush()
        connection, owing = self._connection, self._is_owing
        if connection is not None:
            self._log.info(
                "the link to node {node} is closed: {reason}",
                node=self.peer,
                reason=reason,
            )
        self.route.stop(reason, owing)

    def leave(self, reason: str) -> None:
        """Write all that is left, and close for good."""
        if self._connection is not None:
            data = self._core.take(EVERYTHING)
            self._bytes_out += len(data)
            self._connection.write_out(data)
        self.route.address = None
        self.close(reason)
        self.end()

    def end(self) -> None:
        """Nothing waits for the node any more; the node itself fails the calls."""
        dropped = self._core.end()
        if dropped:
            self._around.receiver.pushes_dropped(self.peer, dropped)

    def _not_reached(self, error: str) -> None:
        """An attempt to reach the node failed."""
        around = self._around
        if not around.waiting:
            self.end()
            around.receiver.peer_absent(self.peer, error)
            if not around.needs(self.peer):
                # What somebody sent who heard of that has an attempt of its own.
                self.route.stop()
        elif not self.is_wanted:
            self.route.stop()
        around.changed()

    def _closed(self) -> None:
        """An old connection is closed for good."""
        if self.is_wanted:
            self.route.reach()

    def _drop(self, reason: str) -> None:
        if self._connection is not None:
            self._log.warn(
                "dropped the link to node {node} at {peer}: {reason}",
                node=self.peer,
                peer=self._connection.peer_text,
                reason=reason,
            )
            self._connection.abort(reason)

    # Watching

    def info(self) -> LinkInfo | None:
        """The link as it is, None if there is none."""
        connection = self._connection
        if connection is None:
            return None
        return LinkInfo(
            self.peer,
            connection.peer_text,
            self._around.clock.seconds() - self._up_at,
            self._core.bytes_read,
            self._bytes_out,
            connection.is_full,
        )

    def read(self, on: bool) -> None:
        """Read the node, or leave with it what it sends."""
        if self._connection is not None:
            # What did not move meanwhile did so because of us.
            self._silence.forget()
            self._stall.forget()
            self._connection.read(on)

    def sweep(self) -> None:
        """Notice a node that is silent, or not needed; forget what nobody awaits."""
        self._forget_given_up()
        connection, limits = self._connection, self._around.limits
        if connection is None or self._around.paused:
            return
        now = self._around.clock.seconds()
        owing = self._is_owing
        # Whoever takes what is written lives, and may have an answer only after that.
        signs = self._core.bytes_read + self._drained
        silent = self._silence.stands(signs if owing else None, now)
        if limits.silence and silent >= 2 * limits.silence and self._probed:
            self._drop(f"it sent nothing for {silent:.1f} s, though it was asked")
        elif limits.silence and silent >= limits.silence and not self._probed:
            self._probe()
        elif self._stall.stands(self._core.half_open, now) >= limits.stall:
            self._drop(f"half an answer stood still for {limits.stall:g} s")
        idle = not owing and not self.is_wanted
        moved = self._core.bytes_read + self._bytes_out
        stood = self._idle.stands(moved if idle else None, now)
        if limits.idle and stood >= limits.idle:
            self.close(f"nothing passed for {limits.idle:g} s")

    def _probe(self) -> None:
        """Ask for a name: any answer shows that the node lives (cluster, section 3)."""
        self._probed = True
        self._core.call(0, PROBE, None)
        self.flush()

    def _forget_given_up(self) -> None:
        """Take out the calls that nobody waits for: they may never be answered."""
        calls = [(number, call) for number, call in self._core.calls.items() if call]
        waiting = self._around.receiver.calls_waiting([call for _, call in calls])
        for (number, _), is_waiting in zip(calls, waiting, strict=True):
            if not is_waiting:
                self._forget(number)
