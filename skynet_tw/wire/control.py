# -*- test-case-name: tests.wire.test_control -*-
"""Control packets between slaves and the master (harbor-modern, section 2).

A packet is one byte for the length of what follows, and Skynet values: a letter and
what belongs to it.  Ids are 1-255; names and addresses are text.  Real nodes read
past whatever is behind that: there our nodes can tell each other that they are ours, by
a ``true`` behind ``H`` and, to a slave that said it, behind ``W``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..errors import OtherWire, ProtocolError, TooLarge, UnpackError
from ..seri import pack, unpack
from .buffer import Remainder
from .framing import PacketReader

#: Longest packet, in bytes behind its length.
MAX_PACKET = 255

#: How our nodes take leave of one that speaks the other wire.  A master of 2013 would
#: say nothing at all, and no current one would say an empty packet.
NOT_2013 = b"\xff"
NOT_MODERN = bytes(4)


@dataclass(frozen=True, slots=True)
class Hello:
    """``H``, slave to master: the first packet, once."""

    #: The id of the slave.
    harbor: int
    #: Where other nodes can dial it, ``host:port``.
    address: str
    #: Whether it is ours, and so dials an id that it saw die; no real slave does.
    redials: bool = False


@dataclass(frozen=True, slots=True)
class Register:
    """``R``, slave to master: register a global name."""

    #: The name, at most 15 bytes for real nodes.
    name: str
    #: Its owner.
    handle: int


@dataclass(frozen=True, slots=True)
class Query:
    """``Q``, slave to master: ask who owns a name."""

    #: The name.
    name: str


@dataclass(frozen=True, slots=True)
class Wait:
    """``W``, master to slave: the answer to ``H``."""

    #: How many older nodes will open a link to the slave.
    count: int
    #: Whether it is ours, and so answers with a name's last owner, not with its first.
    follows: bool = False


@dataclass(frozen=True, slots=True)
class Connect:
    """``C``, master to slave: there is a new slave; connect to it."""

    #: The id of the new slave.
    harbor: int
    #: Where to dial it, ``host:port``.
    address: str


@dataclass(frozen=True, slots=True)
class Name:
    """``N``, master to slave: who owns a name; on each ``R``, and on ``Q``."""

    #: The name.
    name: str
    #: Its owner.
    handle: int


@dataclass(frozen=True, slots=True)
class Dead:
    """``D``, master to slave: a slave's control connection is gone."""

    #: The id of that slave.
    harbor: int


@dataclass(frozen=True, slots=True)
class Unknown:
    """A packet of a letter that nobody knows; it is ignored."""

    #: What stood in the place of the letter.
    letter: Any


@dataclass(frozen=True, slots=True)
class Malformed:
    """A packet of a known letter with the wrong values behind it.

    A real master passes on almost anything: it lets slaves join under the ids 300 or
    ``"x"``, and tells all others.  So this is no `ProtocolError`; it is for the
    reader to say what may be ignored.
    """

    #: The letter.
    letter: str
    #: What is wrong.
    reason: str


#: What is sent.
Packet = Hello | Register | Query | Wait | Connect | Name | Dead
#: What is received.
Record = Packet | Unknown | Malformed

_LETTERS: dict[type[Packet], str] = {
    Hello: "H",
    Register: "R",
    Query: "Q",
    Wait: "W",
    Connect: "C",
    Name: "N",
    Dead: "D",
}


def _is_id(value: Any) -> bool:
    return type(value) is int and 1 <= value <= 255


def _is_text(value: Any) -> bool:
    return type(value) is str


def _is_handle(value: Any) -> bool:
    return type(value) is int and 0 <= value <= 0xFFFFFFFF


def _is_count(value: Any) -> bool:
    return type(value) is int and value >= 0


_Check = tuple[str, Callable[[Any], bool]]
_ID: _Check = ("an id of 1-255", _is_id)
_ADDRESS: _Check = ("an address", _is_text)
_NAME: _Check = ("a name", _is_text)
_HANDLE: _Check = ("a handle", _is_handle)
_COUNT: _Check = ("a count", _is_count)

_SHAPES: dict[str, tuple[Callable[..., Packet], tuple[_Check, ...]]] = {
    "H": (Hello, (_ID, _ADDRESS)),
    "R": (Register, (_NAME, _HANDLE)),
    "Q": (Query, (_NAME,)),
    "W": (Wait, (_COUNT,)),
    "C": (Connect, (_ID, _ADDRESS)),
    "N": (Name, (_NAME, _HANDLE)),
    "D": (Dead, (_ID,)),
}


def encode(packet: Packet) -> bytes:
    """Return the bytes of a packet, its length in front.

    :raises TooLarge: a name or an address is too long for a packet.
    """
    fields = [getattr(packet, name) for name in packet.__slots__]
    if isinstance(packet, Hello | Wait) and not fields[-1]:
        del fields[-1]
    body = pack(_LETTERS[type(packet)], *fields)
    if len(body) > MAX_PACKET:
        raise TooLarge(len(body), MAX_PACKET)
    return bytes([len(body)]) + body


def decode(body: bytes) -> Record:
    """Read a packet, given without its length.

    Values behind those that a packet needs are ignored, as real nodes do.

    :raises ProtocolError: it is no packet at all.
    """
    if not body:
        # The length of whatever nodes of 2013 say to a master begins with a zero byte.
        raise OtherWire(theirs="2013", ours="modern")
    try:
        letter, *values = unpack(body)
    except UnpackError as error:
        raise ProtocolError(f"a control packet that is malformed {error}") from error
    shape = _SHAPES.get(letter) if isinstance(letter, str) else None
    if shape is None:
        return Unknown(letter)
    make, checks = shape
    if len(values) < len(checks):
        return Malformed(letter, f"{letter} with {len(values)} values")
    for value, (what, check) in zip(values, checks, strict=False):
        if not check(value):
            return Malformed(letter, f"{letter} with {value!r:.40} for {what}")
    known = len(checks)
    if make in (Hello, Wait) and len(values) > known and values[known] is True:
        known += 1
    return make(*values[:known])


class ControlReader:
    """Decodes the packets of one control connection."""

    __slots__ = ("_packets", "error")

    def __init__(self) -> None:
        self._packets = PacketReader(1)
        #: Set once a packet is malformed: from there on nothing is decoded.
        self.error: ProtocolError | None = None

    @property
    def rest(self) -> Remainder:
        """The packet that has begun and is not complete."""
        return self._packets.rest

    def feed(self, data: bytes) -> list[Record]:
        """Take one read, and return the packets that it completes.

        A malformed packet does not lose the good ones in front of it: they are
        returned, `error` is set, and whatever is fed later is ignored.
        """
        records: list[Record] = []
        if self.error is None:
            try:
                for body in self._packets.feed(data):
                    records.append(decode(body))
            except ProtocolError as error:
                self.error = error
        return records
