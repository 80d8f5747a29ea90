# -*- test-case-name: tests.link.test_effects -*-
"""What a core wants to be done: one form for all of them.

A core is fed with what happened, and returns its effects in the order in which they
are to be done.  It never does anything itself; its shell has one function for each
kind of effect.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field

from ..errors import ProtocolError
from ..wire.control import Connect, Dead, Name, Wait

#: What a master says to a harbor.
MasterEvent = Wait | Connect | Name | Dead


@dataclass(frozen=True, slots=True)
class Write:
    """Write bytes to a connection."""

    data: bytes
    #: Which connection; None where the core has only one.
    to: Hashable = None


@dataclass(frozen=True, slots=True)
class Close:
    """Close a connection; the core knows it no more."""

    error: ProtocolError
    #: Which connection; None where the core has only one.
    connection: Hashable = None
    #: What to write before, for those who speak the other wire.
    farewell: bytes = b""


@dataclass(frozen=True, slots=True)
class LogLine:
    """Log a line."""

    #: The line, with fields in braces as `twisted.logger` formats them.
    format: str
    #: The fields.
    fields: dict[str, object] = field(default_factory=dict)
    #: Whether somebody should look at it.
    warn: bool = False

    def __str__(self) -> str:
        return self.format.format(**self.fields)


@dataclass(frozen=True, slots=True)
class Heard:
    """The master has said something; nothing comes before its `Wait`."""

    event: MasterEvent


@dataclass(frozen=True, slots=True)
class Linked:
    """The handshake of a link is done; from here on there are only frames."""

    #: The id of the other side.
    harbor: int
    #: What was read behind the handshake: the beginning of the frames.
    rest: bytes


@dataclass(frozen=True, slots=True)
class Dial:
    """Keep dialing a harbor, in place of any other address of it."""

    #: Its id.
    harbor: int
    #: Where, ``host:port``.
    address: str


@dataclass(frozen=True, slots=True)
class StopDialing:
    """Dial a harbor no more.

    On the current wire a link that is up stays; on that of 2013 it ends, too.
    """

    #: Its id.
    harbor: int


@dataclass(frozen=True, slots=True)
class Expected:
    """The master told us of a harbor."""

    #: Its id.
    harbor: int


@dataclass(frozen=True, slots=True)
class Gone:
    """A harbor has neither a link nor the master's word that it lives."""

    #: Its id.
    harbor: int
    #: How that came, for people.
    reason: str


@dataclass(frozen=True, slots=True)
class Ready:
    """The harbor is linked: it may be written to."""

    #: Its id.
    harbor: int


@dataclass(frozen=True, slots=True)
class Finish:
    """Write nothing more; when all is read, the connection is to be closed."""

    #: The id of the harbor.
    harbor: int


@dataclass(frozen=True, slots=True)
class Lost:
    """The link is broken; what was written may not have arrived."""

    #: The id of the harbor.
    harbor: int
    #: How that came, for people.
    reason: str


@dataclass(frozen=True, slots=True)
class Await:
    """Call ``too_late`` of the core after a time, in place of any earlier wish."""

    #: The id of the harbor.
    harbor: int
    #: After how many seconds; None for never.
    seconds: float | None


@dataclass(frozen=True, slots=True)
class MasterFound:
    """One of those who dialed us is the master."""

    #: Its connection.
    connection: Hashable
    #: The one that counted as the master's before, None if there was none.
    before: Hashable


Effect = (
    Write
    | Close
    | LogLine
    | Heard
    | Linked
    | Dial
    | StopDialing
    | Expected
    | Gone
    | Ready
    | Finish
    | Lost
    | Await
    | MasterFound
)


class Effects:
    """Collects the effects of one core until its shell takes them."""

    def __init__(self) -> None:
        self._effects: list[Effect] = []

    def add(self, effect: Effect) -> None:
        """Want something to be done, behind all before it."""
        self._effects.append(effect)

    def log(self, format: str, /, *, warn: bool = False, **fields: object) -> None:
        """Want a line to be logged."""
        self._effects.append(LogLine(format, fields, warn))

    def take(self) -> list[Effect]:
        """All that was collected, once."""
        effects, self._effects = self._effects, []
        return effects
