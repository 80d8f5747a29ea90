# -*- test-case-name: tests.wire.test_harbor -*-
"""Message frames on a link between two harbors (harbor-modern, section 5).

======================  =======  ==============================================
offset                  size     content, all numbers big endian
======================  =======  ==============================================
0                       4        L, the payload's length + 12
4                       L - 12   payload
L - 8                   4        source handle
L - 4                   4        message type << 24 | index of the destination
L                       4        session
======================  =======  ==============================================

The trailer of one frame and the length of the next lie side by side: when many
frames come in one read, reading both at once saves a third of the time.
"""

from __future__ import annotations

from struct import Struct

from ..errors import ProtocolError
from .buffer import Remainder

#: Largest payload, in bytes: the first byte of L must be 0.
MAX_PAYLOAD = 0xFFFFFF - 12

#: A message as ``(source, destination, session, payload)``; the destination's top
#: byte is the message type.  The same as `skynet_tw.interfaces.Frame`.
Frame = tuple[int, int, int, bytes]

#: More bytes than this are never decoded at once, see `FrameReader.feed`.
_AT_ONCE = 0x100000

_length = Struct(">I").pack
_trailer = Struct(">III").pack
_length_at = Struct(">I").unpack_from
_trailer_at = Struct(">III").unpack_from
_trailer_and_length_at = Struct(">IIII").unpack_from


class FrameReader:
    """Decodes the frames of one link."""

    __slots__ = ("bytes_read", "error", "rest")

    def __init__(self) -> None:
        #: All bytes that were fed so far.
        self.bytes_read = 0
        #: The frame that has begun and is not complete.
        self.rest = Remainder()
        #: Set once a frame is malformed: from there on nothing can be decoded.
        self.error: ProtocolError | None = None

    def feed(self, data: bytes) -> list[Frame]:
        """Take one read, and return all frames that it completes.

        A malformed length does not lose the good frames in front of it: they are
        returned, `error` is set, and whatever is fed later is ignored.
        """
        if len(data) > _AT_ONCE:
            # No real read is that large.  In pieces, a frame beyond the limit cannot
            # come whole, so that the loop below need not check each length for it.
            frames: list[Frame] = []
            for start in range(0, len(data), _AT_ONCE):
                frames += self.feed(data[start : start + _AT_ONCE])
            return frames
        self.bytes_read += len(data)
        data = self.rest.whole(data)
        size = len(data)
        if size < 4 or self.error is not None:
            if size and self.error is None:
                self.rest.keep(data, 4)
            return []
        frames = []
        append = frames.append
        # `start` and `tail` are where payload and trailer of a frame begin; `last` is
        # where the last trailer may begin that has another length behind it.
        last = size - 16
        start = 4
        tail = _length_at(data)[0] - 8
        while start <= tail <= last:
            source, destination, session, length = _trailer_and_length_at(data, tail)
            append((source, destination, session, data[start:tail]))
            start = tail + 16
            tail += length + 4
        if not 0 <= tail - start <= MAX_PAYLOAD:
            self.error = ProtocolError(f"a frame of length {tail - start + 12}")
        elif tail <= size - 12:
            source, destination, session = _trailer_at(data, tail)
            append((source, destination, session, data[start:tail]))
            if tail < size - 12:
                self.rest.keep(data[tail + 12 :], 4)
        else:
            self.rest.keep(data[start - 4 :], tail - start + 16)
        return frames


class FrameWriter:
    """Collects frames, so that many of them become one write."""

    __slots__ = ("_pieces", "bytes_written")

    def __init__(self) -> None:
        #: All bytes that were taken so far.
        self.bytes_written = 0
        self._pieces: list[bytes] = []

    def send(
        self, destination: int, source: int, ptype: int, session: int, payload: bytes
    ) -> None:
        """Append a frame.

        :param destination: a handle, of which only the index is written.
        :param payload: at most `MAX_PAYLOAD` bytes, which is not checked here.
        """
        self._pieces += (
            _length(len(payload) + 12),
            payload,
            _trailer(source, ptype << 24 | destination & 0xFFFFFF, session),
        )

    def take(self) -> bytes:
        """Return all frames that were collected since the last time, joined."""
        data = b"".join(self._pieces)
        self._pieces.clear()
        self.bytes_written += len(data)
        return data
