"""A cluster without a network, for the tests of the node layer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from twisted.internet.defer import Deferred, succeed
from zope.interface import implementer

from skynet_tw import seri
from skynet_tw.errors import PeerDown
from skynet_tw.interfaces import (
    IClient,
    ICluster,
    IClusterReceiver,
    LinkInfo,
    Peer,
    Request,
)
from skynet_tw.message import PType

from .support import FakeLink, Sent


@implementer(ICluster)
class FakeCluster:
    """A cluster which does what a test tells it."""

    max_payload = 100_000
    receiver: IClusterReceiver

    def __init__(self) -> None:
        #: All that was flushed, to whatever node, in order.
        self.written: list[Sent] = []
        #: The nodes to which a link was wanted, in order.
        self.wanted: list[str] = []
        #: Why no link can be wanted, if none can.
        self.absent = ""
        self.opened: list[str] = []
        self.told: list[Any] = []
        self.serving = False
        self.reading = True
        self.reaching: Deferred[None] = Deferred()
        self.fake_links: dict[str, FakeLink] = {}

    # ICluster

    def attach(self, receiver: IClusterReceiver) -> None:
        self.receiver = receiver

    def bind(self) -> Deferred[None]:
        return succeed(None)

    def reach(self) -> Deferred[None]:
        return self.reaching

    def waiting_for(self) -> list[str]:
        return []

    def linked(self) -> list[str]:
        return sorted(self.fake_links)

    def links(self) -> list[LinkInfo]:
        return []

    def want(self, node: str) -> None:
        if self.absent:
            raise PeerDown(self.absent)
        self.wanted.append(node)

    def serve(self) -> None:
        self.serving = True

    def open(self, where: str) -> Deferred[str]:
        self.opened.append(where)
        return succeed(where)

    def reload(self, changes: Mapping[str, str | bool | None] | None) -> Deferred[None]:
        self.told.append(changes)
        return succeed(None)

    def nodes(self) -> dict[str, str]:
        return {"db": "h:1"}

    def nodes_other_than(self, known: Mapping[str, str]) -> Deferred[dict[str, str]]:
        self.told.append(known)
        return succeed(self.nodes())

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    def leave(self) -> Deferred[None]:
        return succeed(None)

    # What a test does

    def up(self, node: str) -> FakeLink:
        """The link to a node is up."""
        link = self.fake_links[node] = FakeLink(self, node, None)
        self.receiver.link_ready(node, link)
        return link

    def lose(self, node: str) -> None:
        """The link to a node breaks."""
        del self.fake_links[node]
        self.receiver.link_lost(node, "it was reset")

    def take(self) -> list[Sent]:
        """What was written since the last time."""
        written, self.written = self.written, []
        return written

    def answer(self, sent: Sent, *values: Any) -> None:
        """A node answers a request."""
        self._frame(sent, PType.RESPONSE, seri.pack(*values))

    def refuse(self, sent: Sent, text: str) -> None:
        """A node answers a request with an error."""
        self._frame(sent, PType.ERROR, text.encode())

    def _frame(self, sent: Sent, ptype: int, payload: bytes) -> None:
        frame = (0, ptype << 24 | sent.source & 0xFFFFFF, sent.session, payload)
        node: Peer = "db"
        self.receiver.frames_received(node, [frame])

    def client(self) -> FakeClient:
        """A node connects."""
        client = FakeClient(self)
        client.agent = self.receiver.client_connected(client)
        return client


@implementer(IClient)
class FakeClient:
    """A node that calls ours.

    :param cluster: what it has connected to.
    """

    address = "10.0.0.9:1234"

    def __init__(self, cluster: FakeCluster) -> None:
        self._cluster = cluster
        self.is_open = True
        self.agent: Any = None
        self.flushes = 0
        self._collected: list[tuple[int, Any]] = []
        self._written: list[tuple[int, Any]] = []
        #: What `answer` raises, if anything.
        self.error: Exception | None = None

    # IClient

    def answer(self, session: int, body: bytes) -> None:
        if self.error is not None:
            raise self.error
        self._collected.append((session, seri.unpack(body)))

    def fail(self, session: int, reason: str) -> None:
        self._collected.append((session, reason))

    def flush(self) -> None:
        self.flushes += 1
        self._written += self._collected
        self._collected.clear()

    # What a test does

    def ask(self, address: int | str, *values: Any, session: int = 0) -> None:
        """Send a request, or a push if there is no session."""
        self.ask_all((address, session, seri.pack(*values), session == 0))

    def ask_all(self, *requests: Request) -> None:
        """Send these in one read."""
        self._cluster.receiver.requests_received(self.agent, list(requests))

    def take(self) -> list[tuple[int, Any]]:
        """What was answered since the last time: values, or the text of an error."""
        written, self._written = self._written, []
        return written

    def close(self) -> None:
        """Close the connection."""
        self.is_open = False
        self._cluster.receiver.client_lost(self.agent, "it was closed")
