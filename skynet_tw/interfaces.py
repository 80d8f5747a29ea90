"""The seam between a node and the layers that carry its messages to other nodes.

A node works with no remote layer, one or several; each knows the other through
these interfaces only.  Handles and sessions are plain numbers here, names are text.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from zope.interface import Attribute, Interface

if TYPE_CHECKING:
    from twisted.internet.defer import Deferred

#: Who is at the other end of a link: a harbor by its id, a cluster node by its name.
Peer = int | str

#: A message that came in, as ``(source, destination, session, payload)``: the
#: destination's top byte is the message type, its low 24 bits are the index.
Frame = tuple[int, int, int, bytes]


@dataclass(frozen=True, slots=True)
class LinkInfo:
    """One link at one moment, as its remote layer knows it."""

    #: Who is at the other end.
    peer: Peer
    #: The other end's address, for people.
    address: str
    #: How many seconds it has been up.
    seconds: float
    #: Bytes that were read from it.
    bytes_in: int
    #: Bytes that were written to it.
    bytes_out: int
    #: Whether its transport is full.
    is_full: bool


class ILink(Interface):
    """One established way to one peer."""

    peer: Peer = Attribute("Who is at the other end.")

    def send(
        destination: int, source: int, ptype: int, session: int, payload: bytes
    ) -> None:
        """Collect one message; `flush` writes what was collected.

        The payload was checked against `IRemote.max_payload` before.
        """

    def flush() -> None:
        """Write what was collected since the last time, in one piece."""


class IRemote(Interface):
    """A remote layer: it joins a network of harbors and carries messages."""

    harbor: int = Attribute("Our own harbor id, 1-255.")
    max_payload: int = Attribute("Largest payload of a message, in bytes.")
    name_limit: int = Attribute("Longest global name, in bytes.")

    def pack(values: Sequence[Any]) -> bytes:
        """Encode values as this network's nodes read them.

        :raises PackError: a value cannot be encoded.
        """

    def unpack(payload: bytes) -> tuple[Any, ...]:
        """Decode what this network's nodes wrote.

        :raises UnpackError: the payload is malformed.
        """

    def attach(receiver: IRemoteReceiver) -> None:
        """Say, before anything else, who is told what happens."""

    def bind() -> Deferred[None]:
        """Bind every port, at once; it fails with `BootFailed`."""

    def join() -> Deferred[None]:
        """Connect to the master and be accepted, with retries.

        It fails with `BootFailed` when the master refuses us.
        """

    def when_linked() -> Deferred[None]:
        """Fire when each harbor that the master told of at `join` is linked."""

    def waiting_for() -> list[str]:
        """Say in words what `join` and `when_linked` still wait for, and why."""

    def linked() -> list[int]:
        """List the ids of the harbors that are linked now, in order."""

    def links() -> list[LinkInfo]:
        """Describe the links that are up now, in the order of their peers."""

    def register(name: str, handle: int) -> None:
        """Announce a global name; `IRemoteReceiver.name_known` echoes it.

        It is kept and said again whenever the master comes back.
        """

    def may_take(owner: int) -> bool:
        """Whether a name may be registered that the actor *owner* has.

        On the current wire the first owner keeps a name as long as its harbor is
        there; on that of 2013 the last who registers it has it.
        """

    def query(name: str) -> None:
        """Ask for a global name; `IRemoteReceiver.name_known` tells it if known.

        It is asked again whenever the master comes back, until it is known.
        """

    def pause_reading() -> None:
        """Read no link until `resume_reading`: the node has enough to do.

        What the other harbors send then waits with them.
        """

    def resume_reading() -> None:
        """Read all links again."""

    def leave() -> Deferred[None]:
        """Close every connection and port, and fire when all are closed."""


class IRemoteReceiver(Interface):
    """A node, as its remote layer sees it."""

    def frames_received(peer: Peer, frames: list[Frame]) -> None:
        """Take the messages that one read brought, in order."""

    def link_ready(peer: Peer, link: ILink) -> None:
        """A link is up, or can take more after `link_busy`."""

    def link_busy(peer: Peer) -> None:
        """The transport is full: send nothing until the next `link_ready`."""

    def link_lost(peer: Peer, reason: str) -> None:
        """The link broke; what was written may have run.  It may come back."""

    def peer_expected(peer: Peer) -> None:
        """The master told us of a peer which is being linked."""

    def peer_gone(peer: Peer, reason: str) -> None:
        """The peer has neither a link nor the master's word that it lives."""

    def name_known(name: str, handle: int) -> None:
        """The master announced who owns a global name."""
