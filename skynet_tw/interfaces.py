"""The seam between a node and the layers that carry its messages to other nodes.

A node works with no remote layer, one or several; each knows the other through
these interfaces only.  Handles and sessions are plain numbers here, names are text.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from zope.interface import Attribute, Interface

if TYPE_CHECKING:
    from twisted.internet.defer import Deferred

#: Who is at the other end of a link: a harbor by its id, a cluster node by its name.
Peer = int | str


#: Where the nodes of a cluster are: the name of each, and its address, ``HOST:PORT`` or
#: an endpoint string; False for one that is said to be no more.  ``__nowaiting`` is no
#: node: whether what is for an absent node fails at once (cluster, section 7).
Addresses = Mapping[str, "str | bool"]


def peer_text(peer: Peer) -> str:
    """Name a peer, for people."""
    return f"harbor {peer}" if isinstance(peer, int) else f"node {peer}"


#: A message that came in, as ``(source, destination, session, payload)``: the
#: destination's top byte is the message type, its low 24 bits are the index.
Frame = tuple[int, int, int, bytes]

#: What a client of the cluster asks, as ``(address, session, body, push)``: a handle,
#: 0, or text; the session of the answer; the packed values; whether it wants none.
Request = tuple[int | str, int, bytes, bool]


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


#: For the owner of this name a node of a cluster asks that is to show that it lives.
#: Nobody has it; each answer will do.
ALIVE_NAME = "skynet_tw.alive"


class ILink(Interface):
    """One established way to one peer."""

    peer: Peer = Attribute("Who is at the other end.")

    def send(
        destination: Any, source: int, ptype: int, session: int, payload: bytes
    ) -> None:
        """Collect one message; `flush` writes what was collected.

        The payload was checked against `ILayer.max_payload` before.  The destination
        is a handle; in a cluster it may be text as well.
        """

    def flush() -> None:
        """Write what was collected since the last time, in one piece."""


class ILayer(Interface):
    """What every remote layer is to a node, whatever it speaks."""

    max_payload: int = Attribute("Largest payload of a message, in bytes.")

    def bind() -> Deferred[None]:
        """Bind every port, at once; it fails with `BootFailed`."""

    def waiting_for() -> list[str]:
        """Say in words what the boot still waits for here, and why."""

    def links() -> list[LinkInfo]:
        """Describe the links that are up now, in the order of their peers."""

    def pause_reading() -> None:
        """Read no link until `resume_reading`: the node has enough to do.

        What the other nodes send then waits with them.
        """

    def resume_reading() -> None:
        """Read all links again."""

    def leave() -> Deferred[None]:
        """Close every connection and port, and fire when all are closed."""


class IRemote(ILayer):
    """A network of harbors: it joins it, and carries messages."""

    harbor: int = Attribute("Our own harbor id, 1-255.")
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

    def join() -> Deferred[None]:
        """Connect to the master and be accepted, with retries.

        It fails with `BootFailed` when the master refuses us.
        """

    def when_linked() -> Deferred[None]:
        """Fire when each harbor that the master told of at `join` is linked."""

    def linked() -> list[int]:
        """List the ids of the harbors that are linked now, in order."""

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


class ICluster(ILayer):
    """A cluster: nodes that are found by name, each linked when it is needed."""

    def attach(receiver: IClusterReceiver) -> None:
        """Say, before anything else, who is told what happens."""

    def reach() -> Deferred[None]:
        """Find the nodes, and link those that the boot requires.

        It fails with `BootFailed` if they can never be found.
        """

    def linked() -> list[str]:
        """List the nodes that are linked now, in order."""

    def want(node: str) -> None:
        """A message is for a node to which there is no link: make one.

        :raises PeerDown: there is no such node, and none is waited for.
        """

    def serve() -> None:
        """Read what the clients ask, from now on."""

    def open(where: str) -> Deferred[str]:
        """Listen, too.

        :param where: HOST:PORT, an endpoint string, or the name of a node, which is
            listened on where the table has it.
        :returns: a Deferred of the address that was bound; it fails with
            `BootFailed`.
        """

    def reload(changes: Mapping[str, str | bool | None] | None) -> Deferred[None]:
        """Look again where the nodes are, or be told.

        :param changes: addresses by names; False for a node that is no more.
        :returns: fires when it has taken effect.
        """

    def nodes() -> dict[str, str]:
        """The nodes whose addresses are known now, by their names."""

    def nodes_other_than(known: Mapping[str, str]) -> Deferred[dict[str, str]]:
        """Wait until `nodes` is not *known*, which it may be already.

        :returns: fires with the nodes, when that has taken effect; it may be
            cancelled.  It fails with `NotReady` when this node leaves.
        """


class INodeDirectory(Interface):
    """Knows where the nodes of a cluster are."""

    publishes: bool = Attribute("Whether it says of this node where that is.")

    def start(
        changed: Callable[[Addresses], object], own: Mapping[str, str]
    ) -> Deferred[None]:
        """Begin to look; it is done once.

        An engine that cannot be reached yet is asked again, with growing pauses and
        without an end: the boot has a time limit of its own.

        :param changed: gets whole views: a name that is missing in the next one is
            gone.  The first comes before the Deferred fires, others whenever the view
            changes.
        :param own: the names and addresses to publish of this node, where the directory
            takes such (etcd); empty for none.
        :returns: fails with `BootFailed` when the directory is wrong for good: a file
            that cannot be read, a name that another living node has published.  Fails
            with `NotReady` when it is stopped before.
        """

    def refresh() -> Deferred[None]:
        """Look again now; fires when the view is fresh and ``changed`` was told.

        :returns: fails with `DirectoryFailed` when that is not possible; the last good
            view stays.
        """

    def waiting_for() -> str | None:
        """Say in a line why `start` has not fired yet; None when it has."""

    def stop() -> Deferred[None]:
        """Withdraw what was published, and close everything.

        Nothing is told any more.  It may be called at any time, also before `start`
        has fired, and again.
        """


class IClient(Interface):
    """A node that calls us over the cluster: one connection that it has made."""

    address: str = Attribute("Where it is, for people.")
    is_open: bool = Attribute("Whether its connection is there.")

    def answer(session: int, body: bytes) -> None:
        """Collect what a request returned; `flush` writes it.

        :raises TooLarge: it cannot be sent; nothing was collected.
        :raises QueueFull: the client does not read what waits for it already.
        """

    def fail(session: int, reason: str) -> None:
        """Collect why a request failed; `flush` writes it."""

    def flush() -> None:
        """Write what was collected, large answers part by part."""


class ILinkReceiver(Interface):
    """A node, as the links to other nodes see it."""

    def frames_received(peer: Peer, frames: list[Frame]) -> None:
        """Take the messages that one read brought, in order."""

    def link_ready(peer: Peer, link: ILink) -> None:
        """A link is up, or can take more after `link_busy`."""

    def link_busy(peer: Peer) -> None:
        """The transport is full: send nothing until the next `link_ready`."""

    def link_lost(peer: Peer, reason: str) -> None:
        """The link broke; what was written may have run.  It may come back."""

    def peer_expected(peer: Peer) -> None:
        """We were told of a peer: what is sent to it waits for its link."""

    def peer_gone(peer: Peer, reason: str) -> None:
        """The peer is no more: what is sent to it is refused."""


class IRemoteReceiver(ILinkReceiver):
    """A node, as its network of harbors sees it."""

    def name_known(name: str, handle: int) -> None:
        """The master announced who owns a global name."""


class IClusterReceiver(ILinkReceiver):
    """A node, as its cluster sees it."""

    def is_wanted(peer: Peer) -> bool:
        """Whether messages wait for the link to a node, or calls for its answers."""

    def peer_absent(peer: Peer, reason: str) -> None:
        """A node was not reached: what waits for it is refused."""

    def peer_forgotten(peer: Peer) -> None:
        """A node that no table has is not linked, and nothing waits for it."""

    def call_held(
        peer: Peer, source: int, session: int, drop: Callable[[], object]
    ) -> None:
        """A call that was given to a link is not wholly written.

        :param drop: tells the link that nobody waits for the answer any more.
        """

    def call_written(source: int, session: int) -> None:
        """It is: from now on it may run."""

    def calls_waiting(calls: list[tuple[int, int]]) -> list[bool]:
        """Whether somebody still waits for the answer, for each source and session."""

    def pushes_dropped(peer: Peer, count: int) -> None:
        """Pushes that were given to a link are lost, as it ends."""

    def client_connected(client: IClient) -> object:
        """A node has connected to us; returns what stands for it in this node."""

    def requests_received(agent: object, requests: list[Request]) -> None:
        """Take the requests that one read brought, in order.

        :param agent: what `client_connected` returned.
        """

    def client_lost(agent: object, reason: str) -> None:
        """The client's connection is closed."""
