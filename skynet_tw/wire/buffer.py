# -*- test-case-name: tests.wire.test_framing -*-
"""What is left of a read when its last packet is not complete."""

from __future__ import annotations


class Remainder:
    """The beginning of one packet, until the rest of it has come.

    Whoever reads packets decodes all complete ones of a read, keeps what is left
    here, and joins it with the next read.  A long packet that comes in many reads is
    copied a constant number of times, and never takes more memory than its own
    length and one read, however small the pieces are.
    """

    __slots__ = ("_needed", "changes", "kept")

    def __init__(self) -> None:
        #: What there is of the packet, nothing if none has begun.
        self.kept: bytes | bytearray = b""
        self._needed = 0
        #: Grows whenever bytes are added; a stalled packet is one that stands still.
        self.changes = 0

    def keep(self, data: bytes, needed: int) -> None:
        """Keep the beginning of a packet.

        :param needed: with how many bytes in all, at least, there is more to decode;
            more than there are in *data*.
        """
        self.kept = data
        self._needed = needed
        self.changes += 1

    def join(self, data: bytes) -> bytes | None:
        """Add a read to what was kept.

        :returns: all of it, which then is kept no longer, or None if it is still too
            little to decode anything.
        """
        kept = self.kept
        if len(kept) + len(data) >= self._needed:
            self.kept = b""
            return b"".join((kept, data))
        if type(kept) is not bytearray:
            # It grows in place from here on, whatever the size of the reads.
            self.kept = kept = bytearray(kept)
        kept += data
        self.changes += 1
        return None
