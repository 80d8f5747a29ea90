# -*- test-case-name: tests.wire.test_framing -*-
"""What is left of a read when its last packet is not complete."""

from __future__ import annotations

#: Pieces of fewer bytes are put together, up to pieces of that many.
_SMALL, _LARGE = 4096, 65536


class Remainder:
    """The beginning of one packet, until the rest of it has come.

    Whoever reads packets decodes all complete ones of a read, keeps what is left
    here, and joins it with the next read.  A long packet that comes in many reads is
    copied a constant number of times, and never takes more memory than its own
    length and one read, however small the pieces are.
    """

    __slots__ = ("_more", "_needed", "_size", "_small", "changes", "kept")

    def __init__(self) -> None:
        #: How the packet begins; empty when none has begun.
        self.kept = b""
        self._more: list[bytes] = []
        self._small = bytearray()
        self._size = 0
        self._needed = 0
        #: Grows whenever bytes are added; a stalled packet is one that stands still.
        self.changes = 0

    @property
    def missing(self) -> int:
        """How many more bytes, at least, it takes to decode something."""
        return self._needed - self._size if self.kept else 0

    def whole(self, data: bytes) -> bytes:
        """What can be decoded now: a read, behind what was kept of those before it.

        :returns: nothing as long as it is too little; it is kept then.
        """
        if not self.kept:
            return data
        joined = self.join(data)
        return b"" if joined is None else joined

    def keep(self, data: bytes, needed: int) -> None:
        """Keep the beginning of a packet.

        :param needed: with how many bytes in all, at least, there is more to decode;
            more than there are in *data*.
        """
        self.kept = data
        self._more = []
        self._small = bytearray()
        self._size = len(data)
        self._needed = needed
        self.changes += 1

    def join(self, data: bytes) -> bytes | None:
        """Add a read to what was kept.

        :returns: all of it, which then is kept no longer, or None if it is still too
            little to decode anything.
        """
        self._size += len(data)
        if self._size >= self._needed:
            whole = b"".join((self.kept, *self._more, self._small, data))
            self.kept = b""
            self._more = []
            self._small = bytearray()
            return whole
        self.changes += 1
        # Large pieces are copied once, in the end: a buffer that grows in place took
        # ten times as long.  Small ones must not cost an object each.
        if len(data) < _SMALL:
            self._small += data
            if len(self._small) < _LARGE:
                return None
            data = b""
        if self._small:
            self._more.append(bytes(self._small))
            self._small = bytearray()
        if data:
            self._more.append(data)
        return None
