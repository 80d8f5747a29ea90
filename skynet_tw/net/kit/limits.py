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
    #: Connections to the ports of a cluster; for a further one the oldest that has
    #: said nothing makes room, or it is closed at once.
    clients: int = 1024
    #: Seconds that a node of the cluster may owe us an answer and send nothing, before
    #: it is asked whether it lives; after as many again its link is cut.  0: for ever.
    silence: float = 5.0
    #: Seconds without traffic after which a link of the cluster is closed, until it is
    #: needed again; 0: never.
    idle: float = 60.0

    @property
    def sweep(self) -> float:
        """Seconds between two looks at all connections."""
        return min(self.handshake, self.stall) / 4
