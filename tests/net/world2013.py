"""Masters and harbors of 2013 on a network in memory."""

from __future__ import annotations

from typing import Any

from skynet_tw.interfaces import Frame, ILink, Peer
from skynet_tw.link.master2013 import Master2013
from skynet_tw.link.peer2013 import GONE_AFTER
from skynet_tw.net.harbor2013.links import HarborLinks2013
from skynet_tw.net.harbor2013.remote import HarborRemote2013
from skynet_tw.wire.control import Hello
from skynet_tw.wire.harbor2013 import MessageWriter, encode_request

from .linkworld import LinkNode, Stranger
from .world import Node, Recorder, World


class Recorder2013(Recorder):
    """Notes what a remote layer of 2013 reports.

    Messages come on other connections than those that are linked, and a link that is
    busy may be replaced by another.
    """

    def frames_received(self, harbor: Peer, frames: list[Frame]) -> None:
        assert frames
        assert all(frame[0] >> 24 == harbor for frame in frames)
        self.frames.setdefault(harbor, []).extend(frames)

    def link_ready(self, harbor: Peer, link: ILink) -> None:
        if harbor in self.busy and self.links[harbor] is not link:
            self.links[harbor] = link
        super().link_ready(harbor, link)


def links_of(node: Node) -> HarborLinks2013:
    """All connections of a harbor."""
    assert isinstance(node.remote, HarborRemote2013)
    return node.remote._harbors


class World2013(World):
    """A test with a network that speaks the wire of 2013."""

    wire = "2013"
    patience = GONE_AFTER
    #: Only a message says whose the link is.
    first_read_passes = True
    #: The one by which the master has dialed it counts, too.
    dies_with_its_connection = False
    garbage = (
        b"\0\0\0\x02xx",
        b"\0\0\xff\xff",
        b"\0\0\0\0" * 5 + b"\0\xff\0\0",
    )
    half_a_packet = b"\0\0"
    #: Its master has dialed it.
    other_connections = 1
    #: The master says so, too, and who is told of the node anew says it anew.
    lines_of_absence = 3
    #: It only calls, and is not called.
    raw_is_linked = False
    rough_delay = (0.0, 0.03)
    rough_seconds = (8.0, 30.0, 6.0)

    @property
    def table(self) -> Master2013:
        """The table of the master."""
        assert self.factory is not None
        assert isinstance(self.factory.master, Master2013)
        return self.factory.master

    def make_recorder(self, harbor: int) -> Recorder:
        return Recorder2013(harbor)

    def known_to_master(self) -> list[int]:
        return sorted(self.table.slaves)

    def newcomer_reports(self, older: int) -> list[tuple[Any, ...]]:
        return [("expected", older), ("ready", older)]

    def rejoin_reports(self, other: int) -> list[tuple[Any, ...]]:
        # The links are made anew, as by real nodes, but nothing is lost.
        return [("busy", other), ("free", other)]

    def hello(self, harbor: int, address: str) -> bytes:
        return encode_request(Hello(harbor, address))

    def redialed_reports(self, other: int) -> list[tuple[Any, ...]]:
        # Its own connection to the other one was not cut.
        return []

    def raw_peer(self, node: LinkNode) -> Stranger:
        peer = self.stranger(node.address, self.raw(b"who it is"))
        self.assertEqual(node.heard(self.raw_name), [(0, b"who it is")])
        return peer

    def raw(self, payload: bytes) -> bytes:
        writer = MessageWriter()
        writer.send(0x01000007, self.raw_name << 24 | 1, 10, 0, payload)
        return writer.take()
