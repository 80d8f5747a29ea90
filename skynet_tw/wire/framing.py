# -*- test-case-name: tests.wire.test_framing -*-
"""Packets behind a big-endian length.

One byte: the control packets of the harbor protocol.  Four: those of 2013.
"""

from __future__ import annotations

from .buffer import Remainder


class PacketReader:
    """Cuts a stream of bytes into the packets that it consists of.

    :param width: how many bytes the length in front of a packet has.
    """

    __slots__ = ("_width", "announced", "rest")

    def __init__(self, width: int) -> None:
        self._width = width
        #: Length of the packet that has begun, in bytes; None before all of its length
        #: has come, however that is cut.
        self.announced: int | None = None
        #: The packet that has begun and is not complete.
        self.rest = Remainder()

    def feed(self, data: bytes) -> list[bytes]:
        """Take one read, and return the packets that it completes, without lengths."""
        data = self.rest.whole(data)
        if not data:
            return []
        width = self._width
        packets: list[bytes] = []
        start, end = 0, len(data)
        needed = width
        while start + width <= end:
            body = start + width
            stop = body + int.from_bytes(data[start:body], "big")
            if stop > end:
                needed = stop - start
                break
            packets.append(data[body:stop])
            start = stop
        self.announced = needed - width if needed > width else None
        if start < end:
            self.rest.keep(data[start:], needed)
        return packets
