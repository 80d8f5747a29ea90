"""How much may wait in a node before senders are told `QueueFull`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of each single queue of a node."""

    #: Messages in one queue: a mailbox, or what waits for one harbor or one name.
    messages: int = 250_000
    #: Bytes of payload in one queue of packed messages.
    size: int = 64 * 1024 * 1024
    #: Handlers of one actor that wait at their awaits.
    handlers: int = 250_000
    #: Messages from other nodes that wait for the processor; above this the links
    #: are not read until half of them are handled.
    backlog: int = 8192
