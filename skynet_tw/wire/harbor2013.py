# -*- test-case-name: tests.wire.test_harbor2013 -*-
"""Frames of Skynet's harbor protocol of September 2013 (harbor-2013, section 2).

All connections carry frames behind a length of four bytes, big endian, and each of
them in one direction only.  A frame of length 0 means nothing.

To the master:

======================  =======  ==============================================
offset                  size     content
======================  =======  ==============================================
0                       4        L, the text's length + 4
4                       4        0: query; 1-255: a harbor's id; else a handle
8                       L - 4    a name, an address, a name
======================  =======  ==============================================

To a harbor, from the master and from all other harbors, the same as the frames of
`skynet_tw.wire.harbor`.  What has the source 0 is control: a destination of 1-255 is
a harbor whose address is the payload; a larger one owns the name that is the payload.

What is said is what the current protocol says with other bytes, so the records are
those of `skynet_tw.wire.control`.
"""

from __future__ import annotations

from struct import Struct

from ..errors import OtherWire, ProtocolError, TooLarge
from ..message import PType
from .buffer import Remainder
from .control import NOT_MODERN, Connect, Hello, Malformed, Name, Query, Register
from .framing import PacketReader
from .harbor import MAX_PAYLOAD, Frame, FrameWriter

#: Length of a name on its way to a harbor, in bytes; shorter ones are filled up with
#: zero bytes, and the master cuts longer ones.
NAME_SIZE = 16

#: Longest address or name, in bytes; real nodes set no limit.
MAX_TEXT = 1024

#: An empty frame, which means nothing.  It is also sent to peers on the modern wire,
#: who read it as an empty control packet, or as the harbor id 0.
NOTHING = NOT_MODERN

#: What a harbor says to a master.
Request = Hello | Register | Query
#: What a master says to a harbor.
Announcement = Connect | Name

#: Messages that came from one harbor, in order, with its id in front.
Batch = tuple[int, list[Frame]]

_ERROR = int(PType.ERROR)
_RESPONSE = int(PType.RESPONSE)

#: More bytes than this are never decoded at once, see `skynet_tw.wire.harbor`.
_AT_ONCE = 0x100000

_length = Struct(">I").pack
_request = Struct(">II").pack
_trailer = Struct(">III").pack
_empty = Struct(">IIII").pack
_length_at = Struct(">I").unpack_from
_trailer_at = Struct(">III").unpack_from
_trailer_and_length_at = Struct(">IIII").unpack_from


def _to_bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _to_text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def encode_request(request: Request) -> bytes:
    """Return the frame that tells a master something.

    :raises TooLarge: a name has more than `NAME_SIZE` bytes.
    """
    if isinstance(request, Hello):
        key, text = request.harbor, _to_bytes(request.address)
    else:
        key = request.handle if isinstance(request, Register) else 0
        text = _to_bytes(request.name)
        if len(text) > NAME_SIZE:
            raise TooLarge(len(text), NAME_SIZE)
    return _request(len(text) + 4, key) + text


def decode_request(body: bytes) -> Request | Malformed:
    """Read what a master is told, given without its length.

    :raises ProtocolError: it is too short or too long for any request.
    """
    if not 4 <= len(body) <= MAX_TEXT + 4:
        raise _bad_length(len(body))
    (key,) = _length_at(body)
    text = _to_text(body[4:])
    if key == 0:
        return Query(text)
    if key > 255:
        return Register(text, key)
    if ":" not in text:
        return Malformed("H", f"{text!r:.40} for the address of harbor {key}")
    return Hello(key, text)


def encode_announcement(announcement: Announcement) -> bytes:
    """Return the frame that tells a harbor something; long names are cut."""
    if isinstance(announcement, Connect):
        data, key = _to_bytes(announcement.address), announcement.harbor
    else:
        data = _to_bytes(announcement.name)[:NAME_SIZE].ljust(NAME_SIZE, b"\0")
        key = announcement.handle
    return _length(len(data) + 12) + data + _trailer(0, key, 0)


def decode_announcement(destination: int, payload: bytes) -> Announcement | Malformed:
    """Read what a harbor is told: the frame's destination and payload."""
    if destination > 255:
        name = payload[:NAME_SIZE].partition(b"\0")[0]
        return Name(_to_text(name), destination)
    if destination == 0 or not 0 < len(payload) <= MAX_TEXT:
        return Malformed("C", f"{payload!r:.40} for the address of {destination}")
    return Connect(destination, _to_text(payload))


def _other_wire() -> OtherWire:
    return OtherWire(theirs="modern", ours="2013")


class RequestReader:
    """Decodes what one harbor tells the master."""

    __slots__ = ("_fresh", "_packets", "error")

    def __init__(self) -> None:
        self._packets = PacketReader(4)
        self._fresh = True
        #: Set once a frame is malformed: from there on nothing is decoded.
        self.error: ProtocolError | None = None

    @property
    def rest(self) -> Remainder:
        """The frame that has begun and is not complete."""
        return self._packets.rest

    def feed(self, data: bytes) -> list[Request | Malformed]:
        """Take one read, and return the requests that it completes.

        A malformed frame does not lose the good ones in front of it: they are
        returned, `error` is set, and whatever is fed later is ignored.
        """
        requests: list[Request | Malformed] = []
        if self.error is not None or not data:
            return requests
        if self._fresh and not self.rest.kept and data[0]:
            self.error = _other_wire()
            return requests
        try:
            for body in self._packets.feed(data):
                self._fresh = False
                if body:
                    requests.append(decode_request(body))
            # Whatever is too long is seen by its length, before it is kept.
            announced = self._packets.announced
            if announced is not None and announced > MAX_TEXT + 4:
                raise _bad_length(announced)
        except ProtocolError as error:
            self.error = error
            self.rest.kept = b""
        return requests


def _bad_length(length: int) -> ProtocolError:
    return ProtocolError(f"a request of length {length}")


class FrameReader:
    """Decodes what comes in on one connection, from whomever.

    The loop is that of `skynet_tw.wire.harbor.FrameReader`; besides, it tells by the
    source of each frame whom it is from, and skips empty ones.
    """

    __slots__ = ("_fresh", "announcements", "bytes_read", "error", "rest")

    def __init__(self) -> None:
        #: All bytes that were fed so far.
        self.bytes_read = 0
        #: The frame that has begun and is not complete.
        self.rest = Remainder()
        #: What control frames said; to be taken out after each `feed`.
        self.announcements: list[Announcement | Malformed] = []
        #: Set once a frame is malformed: from there on nothing can be decoded.
        self.error: ProtocolError | None = None
        self._fresh = True

    def feed(self, data: bytes) -> list[Batch]:
        """Take one read, and return all messages that it completes.

        A malformed length does not lose the good frames in front of it: they are
        returned, `error` is set, and whatever is fed later is ignored.
        """
        if len(data) > _AT_ONCE:
            batches: list[Batch] = []
            for start in range(0, len(data), _AT_ONCE):
                batches += self.feed(data[start : start + _AT_ONCE])
            return batches
        self.bytes_read += len(data)
        data = self.rest.whole(data)
        size = len(data)
        if size < 4 or self.error is not None:
            if size and self.error is None:
                if self._fresh and data[0]:
                    self.error = _other_wire()
                else:
                    self.rest.keep(data, 4)
            return []
        batches = []
        frames: list[Frame] = []
        append = frames.append
        harbor = -1
        # `start` and `tail` are where payload and trailer of a frame begin; `last` is
        # where the last trailer may begin that has another length behind it.
        last = size - 16
        start = 4
        tail = _length_at(data)[0] - 8
        while True:
            while start <= tail <= last:
                source, destination, session, length = _trailer_and_length_at(
                    data, tail
                )
                if source >> 24 == harbor:
                    append((source, destination, session, data[start:tail]))
                elif source:
                    # For those without a harbor, the next source is looked at again.
                    harbor = source >> 24 or -1
                    frames = [(source, destination, session, data[start:tail])]
                    append = frames.append
                    batches.append((source >> 24, frames))
                else:
                    self.announcements.append(
                        decode_announcement(destination, data[start:tail])
                    )
                start = tail + 16
                tail += length + 4
            if tail != start - 12 or start > size - 4:
                break
            # An empty frame: the next length is where its payload would begin.
            tail = start + _length_at(data, start)[0] - 8
            start += 4
        self._finish(data, start, tail, batches)
        return batches

    def _finish(self, data: bytes, start: int, tail: int, batches: list[Batch]) -> None:
        """Decode the last frame if it is complete, and keep what is not."""
        if tail == start - 12:
            if start < len(data):
                self.rest.keep(data[start:], 4)
        elif not 0 <= tail - start <= MAX_PAYLOAD:
            if self._fresh and start == 4 and data[0]:
                self.error = _other_wire()
            else:
                self.error = ProtocolError(f"a frame of length {tail - start + 12}")
        elif tail <= len(data) - 12:
            source, destination, session = _trailer_at(data, tail)
            payload = data[start:tail]
            if not source:
                self.announcements.append(decode_announcement(destination, payload))
            elif batches and batches[-1][0] == source >> 24:
                batches[-1][1].append((source, destination, session, payload))
            else:
                frame = (source, destination, session, payload)
                batches.append((source >> 24, [frame]))
            if tail < len(data) - 12:
                self.rest.keep(data[tail + 12 :], 4)
        else:
            self.rest.keep(data[start - 4 :], tail - start + 16)
        self._fresh = False


class MessageWriter(FrameWriter):
    """Collects messages for one harbor.

    In 2013 there is no message type for errors: a real node logs one, and its caller
    waits on.  Only an answer releases it, so an error is written twice: as an error,
    for our own nodes, which read its text, and as an answer without values, which these
    take for late.  An error which answers no call has nothing to say to a real node and
    is not written; our own nodes learn from the errors of the calls what there is to
    learn.
    """

    __slots__ = ()

    def send(
        self, destination: int, source: int, ptype: int, session: int, payload: bytes
    ) -> None:
        """Append a message.

        :param destination: a handle, of which only the index is written.
        :param payload: at most `MAX_PAYLOAD` bytes, which is not checked here.
        """
        index = destination & 0xFFFFFF
        if ptype == _ERROR:
            if session:
                self._pieces += (
                    _length(len(payload) + 12),
                    payload,
                    _trailer(source, _ERROR << 24 | index, session),
                    _empty(12, source, _RESPONSE << 24 | index, session),
                )
            return
        self._pieces += (
            _length(len(payload) + 12),
            payload,
            _trailer(source, ptype << 24 | index, session),
        )
