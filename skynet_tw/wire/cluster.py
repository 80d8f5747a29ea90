# -*- test-case-name: tests.wire.test_cluster -*-
"""Packets between the nodes of a cluster (cluster, sections 2-4).

Each packet stands behind its length: two bytes, big endian.  Numbers inside of a
packet are little endian.  The side that connects sends requests:

=====================  ==========================================================
first byte             behind it
=====================  ==========================================================
``00``                 handle, session, body; session 0 is a push
``01``, ``41``         handle, session, total: a large request, a large push
``80``, ``81``, ``c1`` the same, with a name behind its length in place of the handle
``02``, ``03``         session, bytes: a part of a large message, its last part
``04``                 a tag that traces the next request
=====================  ==========================================================

The side that accepts sends answers: the session, then

=====================  ==========================================================
byte 4                 behind it
=====================  ==========================================================
``00``                 the text of an error
``01``                 the values of a result
``02``                 total: a large result begins
``03``, ``04``         a part of a large result, its last part
=====================  ==========================================================

Lengths of names are one byte; all other numbers are four.
"""

from __future__ import annotations

from dataclasses import dataclass
from struct import Struct

from ..cluster_address import MAX_TARGET
from ..errors import BadAddress, ProtocolError, TooLarge
from ..interfaces import Request
from ..text import printable, shown
from .buffer import Remainder

#: Bytes of a large message that one packet carries.
PART_SIZE = 0x8000
#: The largest bodies that go in one packet; those of results may be a byte longer.
MAX_SMALL_REQUEST = PART_SIZE - 1
MAX_SMALL_RESULT = PART_SIZE
#: The largest body at all, in bytes: its length is a number of four bytes.
MAX_BODY = 0xFFFFFFFF
#: Longest text of an error, which is cut, and longest trace tag, in bytes.
MAX_TEXT = PART_SIZE
#: Longest name, in bytes.
MAX_NAME = MAX_TARGET
#: The largest session that is sent; any of 32 bits is taken, and answered.
MAX_SESSION = 0x7FFFFFFF

#: Whom a request is for: a handle, 0 to ask for the owner of a name, or a name.
Address = int | str


@dataclass(frozen=True, slots=True)
class LargeRequest:
    """A request or a push whose body comes in parts."""

    #: Whom it is for.
    address: Address
    #: What its parts carry, and the answer; a push has one, too.
    session: int
    #: Length of the body, in bytes, as the other side says.
    total: int
    #: Whether no answer is wanted.
    push: bool


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a large request or of a large result."""

    #: The session of that.
    session: int
    #: Bytes of the body, of any number.
    data: bytes
    #: Whether the body ends here.
    last: bool


@dataclass(frozen=True, slots=True)
class Trace:
    """A tag for the next request of the connection."""

    #: What the caller says of itself.
    tag: bytes


@dataclass(frozen=True, slots=True)
class Malformed:
    """A packet that is no request: a real node logs it, and reads on."""

    #: What is wrong.
    reason: str


#: What a request returned, all of it: its session, and the packed values, empty for
#: none.  A plain tuple, as most answers are this.
Result = tuple[int, bytes]


@dataclass(frozen=True, slots=True)
class LargeResult:
    """What a request returned comes in parts."""

    #: The session of the request.
    session: int
    #: Length of the body, in bytes, as the other side says.
    total: int


@dataclass(frozen=True, slots=True)
class Failure:
    """A request failed; the session is 0 if it was a push."""

    #: The session of the request.
    session: int
    #: What happened, for people; no values.
    text: str


#: What the side that accepts reads; what comes in one packet as a plain tuple, as most
#: requests do.
RequestRecord = Request | LargeRequest | Part | Trace | Malformed
#: What the side that connects reads.
ResponseRecord = Result | LargeResult | Part | Failure

_length = Struct(">H").pack
_number = Struct("<I").pack
_number_at = Struct("<I").unpack_from
_two_at = Struct("<II").unpack_from
_three_at = Struct("<III").unpack_from
# With their length and their kind in front.
_request = Struct(">HB").pack
_response = Struct("<IB").pack


def _target(address: Address) -> tuple[int, bytes]:
    """What an address adds to the kind of a packet, and what stands behind that.

    :raises BadAddress: a name is empty, too long, or no text that has bytes.
    """
    if isinstance(address, int):
        return 0, _number(address & 0xFFFFFFFF)
    try:
        name = address.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        raise BadAddress(
            f"the name {shown(address, 80)} cannot be written as bytes"
        ) from None
    if not 1 <= len(name) <= MAX_NAME:
        raise BadAddress(
            f"the name {shown(address, 80)} has {len(name)} bytes, not 1..{MAX_NAME}"
        )
    return 0x80, bytes([len(name)]) + name


def _check_session(session: int, least: int) -> None:
    if not least <= session <= MAX_SESSION:
        raise ValueError(f"session {session} is not in {least}..{MAX_SESSION}")


def _check_size(size: int, limit: int) -> None:
    if size > limit:
        raise TooLarge(size, limit)


def request(address: Address, session: int, body: bytes) -> bytes:
    """Encode a request, or a push if the session is 0.

    :raises TooLarge: the body has more than `MAX_SMALL_REQUEST` bytes.
    :raises BadAddress: the name is empty, too long, or cannot be written.
    :raises ValueError: there is no such session.
    """
    _check_session(session, 0)
    _check_size(len(body), MAX_SMALL_REQUEST)
    kind, target = _target(address)
    size = len(target) + len(body) + 5
    return b"".join((_request(size, kind), target, _number(session), body))


def large_request(
    address: Address, session: int, total: int, push: bool = False
) -> bytes:
    """Encode the beginning of a large request; each `request_part` follows.

    :param session: not 0, also for a push.
    :param total: length of the body in bytes; real nodes send short ones in one packet.
    :raises TooLarge: the body has more than `MAX_BODY` bytes.
    :raises BadAddress: the name is empty, too long, or cannot be written.
    :raises ValueError: there is no such session.
    """
    _check_session(session, 1)
    _check_size(total, MAX_BODY)
    kind, target = _target(address)
    kind |= 0x41 if push else 0x01
    head = _request(len(target) + 9, kind)
    return head + target + _number(session) + _number(total)


def request_part(session: int, data: bytes, last: bool) -> bytes:
    """Encode a part of a large request, of at most `PART_SIZE` bytes."""
    _check_size(len(data), PART_SIZE)
    return _request(len(data) + 5, 3 if last else 2) + _number(session) + data


def trace(tag: bytes) -> bytes:
    """Encode a tag for the request that is written next.

    :raises TooLarge: it has more than `MAX_TEXT` bytes.
    """
    _check_size(len(tag), MAX_TEXT)
    return _request(len(tag) + 1, 4) + tag


def result(session: int, body: bytes) -> bytes:
    """Encode what a request returned.

    :raises TooLarge: the body has more than `MAX_SMALL_RESULT` bytes.
    """
    _check_size(len(body), MAX_SMALL_RESULT)
    return _length(len(body) + 5) + _response(session, 1) + body


def failure(session: int, text: str) -> bytes:
    """Encode why a request failed; what is longer than `MAX_TEXT` bytes is cut."""
    data = printable(text[:MAX_TEXT]).encode()[:MAX_TEXT]
    return _length(len(data) + 5) + _response(session, 0) + data


def large_result(session: int, total: int) -> bytes:
    """Encode the beginning of a large result; each `result_part` follows.

    :raises TooLarge: the body has more than `MAX_BODY` bytes.
    """
    _check_size(total, MAX_BODY)
    return _length(9) + _response(session, 2) + _number(total)


def result_part(session: int, data: bytes, last: bool) -> bytes:
    """Encode a part of a large result, of at most `PART_SIZE` bytes."""
    _check_size(len(data), PART_SIZE)
    return _length(len(data) + 5) + _response(session, 4 if last else 3) + data


def decode_request(packet: bytes) -> RequestRecord:
    """Decode a packet, without its length, of the side that connects."""
    size = len(packet)
    kind = packet[0] if size else -1
    if kind == 0x00 and size >= 9:
        handle, session = _two_at(packet, 1)
        return handle, session, packet[9:], session == 0
    if kind in (0x02, 0x03) and size >= 5:
        return Part(_number_at(packet, 1)[0], packet[5:], kind == 0x03)
    if kind == 0x04:
        return Trace(packet[1:])
    if kind in (0x01, 0x41) and size == 13:
        handle, session, total = _three_at(packet, 1)
        return LargeRequest(handle, session, total, kind == 0x41)
    if kind in (0x80, 0x81, 0xC1) and size >= 2:
        end = 2 + packet[1]
        name = packet[2:end].decode("utf-8", "surrogateescape")
        if kind == 0x80 and size >= end + 4:
            session = _number_at(packet, end)[0]
            return name, session, packet[end + 4 :], session == 0
        if kind != 0x80 and size >= end + 8:
            # What comes behind is ignored, as real nodes do.
            session, total = _two_at(packet, end)
            return LargeRequest(name, session, total, kind == 0xC1)
    if not size:
        return Malformed("an empty packet")
    return Malformed(f"a packet of {size} bytes that begins with {kind:#04x}")


def decode_response(packet: bytes) -> ResponseRecord:
    """Decode a packet, without its length, of the side that accepts.

    :raises ProtocolError: it is no answer.
    """
    size = len(packet)
    if size >= 5:
        session = _number_at(packet)[0]
        kind = packet[4]
        if kind == 1:
            return session, packet[5:]
        if kind == 0:
            return Failure(session, packet[5:].decode("utf-8", "backslashreplace"))
        if kind == 2 and size == 9:
            return LargeResult(session, _number_at(packet, 5)[0])
        if kind in (3, 4):
            return Part(session, packet[5:], kind == 4)
    raise ProtocolError(f"no answer: {shown(packet, 80)}")


class RequestReader:
    """Decodes what the side that connects has sent.

    Whatever it sends, the next packet can be found, so there is no `error`, and what
    is no request is a `Malformed` among the others.
    """

    __slots__ = ("bytes_read", "error", "rest")

    def __init__(self) -> None:
        #: All bytes that were fed so far.
        self.bytes_read = 0
        #: Never set: it is there because all readers have it.
        self.error: ProtocolError | None = None
        #: The packet that has begun and is not complete.
        self.rest = Remainder()

    def feed(self, data: bytes) -> list[RequestRecord]:
        """Take one read, and return the packets that it completes."""
        self.bytes_read += len(data)
        data = self.rest.whole(data)
        records: list[RequestRecord] = []
        start, end = 0, len(data)
        needed = 2
        while start + 2 <= end:
            body = start + 2
            stop = body + (data[start] << 8 | data[start + 1])
            if stop > end:
                needed = stop - start
                break
            if stop >= body + 9 and data[body] == 0:
                # As most requests to a handle: cut out of the read at once.
                handle, session = _two_at(data, body + 1)
                records.append((handle, session, data[body + 9 : stop], session == 0))
            elif stop >= body + 6 and data[body] == 0x80:
                # And as those to a name.
                at = body + 2 + data[body + 1]
                if at + 4 <= stop:
                    name = data[body + 2 : at].decode("utf-8", "surrogateescape")
                    session = _number_at(data, at)[0]
                    records.append((name, session, data[at + 4 : stop], session == 0))
                else:
                    records.append(decode_request(data[body:stop]))
            else:
                records.append(decode_request(data[body:stop]))
            start = stop
        if start < end:
            self.rest.keep(data[start:], needed)
        return records


class ResponseReader:
    """Decodes what the side that accepts has sent."""

    __slots__ = ("bytes_read", "error", "rest")

    def __init__(self) -> None:
        #: All bytes that were fed so far.
        self.bytes_read = 0
        #: Set once a packet is no answer: real nodes close such a connection.
        self.error: ProtocolError | None = None
        #: The packet that has begun and is not complete.
        self.rest = Remainder()

    def feed(self, data: bytes) -> list[ResponseRecord]:
        """Take one read, and return the packets that it completes.

        A packet that is no answer does not lose the good ones in front of it: they
        are returned, `error` is set, and whatever is fed later is ignored.
        """
        self.bytes_read += len(data)
        records: list[ResponseRecord] = []
        if self.error is not None:
            return records
        data = self.rest.whole(data)
        start, end = 0, len(data)
        needed = 2
        while start + 2 <= end:
            body = start + 2
            stop = body + (data[start] << 8 | data[start + 1])
            if stop > end:
                needed = stop - start
                break
            if stop >= body + 5 and data[body + 4] == 1:
                # As most answers: cut out of the read at once.
                records.append((_number_at(data, body)[0], data[body + 5 : stop]))
            else:
                try:
                    records.append(decode_response(data[body:stop]))
                except ProtocolError as error:
                    self.error = error
                    return records
            start = stop
        if start < end:
            self.rest.keep(data[start:], needed)
        return records
