"""Limits on unidentified and stalled connections."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """Bounds of the connections of one node or of one master."""

    #: Seconds until a new connection must have said who it is.
    handshake: float = 10.0
    #: Connections to one port that have not said it yet; the oldest makes room.
    strangers: int = 128
    #: Seconds that half a frame, or a full transport of the master, may stand still.
    stall: float = 30.0
    #: Seconds to write what is left when a node leaves.
    close: float = 5.0

    @property
    def sweep(self) -> float:
        """Seconds between two looks at all connections."""
        return min(self.handshake, self.stall) / 4
