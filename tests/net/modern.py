"""Masters and harbors of today on a network in memory."""

from __future__ import annotations

from typing import Any

from skynet_tw.link.master import Master
from skynet_tw.wire.control import Hello, encode
from skynet_tw.wire.harbor import FrameWriter

from .linkworld import LinkNode, Stranger
from .world import World


class ModernWorld(World):
    """A test with a network of current nodes."""

    wire = "modern"
    #: The master says who is gone.
    patience = 0.0
    first_read_passes = False
    dies_with_its_connection = True
    garbage = (b"\x03\x07\x07\x07", b"\0")
    half_a_packet = b"\x0c\x0c"
    raw_is_linked = True
    rough_delay = (0.0, 0.05)
    rough_seconds = (5.0, 10.0, 3.0)

    @property
    def table(self) -> Master:
        """The table of the master."""
        assert self.factory is not None
        assert isinstance(self.factory.master, Master)
        return self.factory.master

    def known_to_master(self) -> list[int]:
        return sorted(self.table.slaves)

    def newcomer_reports(self, older: int) -> list[tuple[Any, ...]]:
        # It is not told of older harbors, but dialed by them.
        return [("ready", older)]

    def rejoin_reports(self, other: int) -> list[tuple[Any, ...]]:
        return []

    def hello(self, harbor: int, address: str) -> bytes:
        return encode(Hello(harbor, address))

    def redialed_reports(self, other: int) -> list[tuple[Any, ...]]:
        return [("lost", other), ("ready", other)]

    def raw_peer(self, node: LinkNode) -> Stranger:
        peer = self.stranger(node.address, bytes([self.raw_name]))
        self.assertEqual(peer.heard, b"\x01")
        return peer

    def raw(self, payload: bytes) -> bytes:
        writer = FrameWriter()
        writer.send(0x01000007, self.raw_name << 24 | 1, 10, 0, payload)
        return writer.take()
