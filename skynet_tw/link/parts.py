# -*- test-case-name: tests.link.test_parts -*-
"""Large messages of a cluster connection: cut into parts, and put together again."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

from ..wire.cluster import PART_SIZE

#: What is known of a large message from its beginning.
_H = TypeVar("_H")

#: Pieces of fewer bytes are put together, or many tiny ones would cost an object each.
_SMALL = 4096

#: How many large messages one side sends in turns; further ones wait.
AT_ONCE = 8


@dataclass(frozen=True, slots=True)
class PartLimits:
    """Bounds of what one connection may leave unfinished."""

    #: Large messages that have begun.  Our own side never has more than `AT_ONCE`.
    unfinished: int = 64
    #: Bytes of all of them, as their beginnings announce them.
    size: int = 64 * 1024 * 1024


class Unfinished(Generic[_H]):
    """A large message that comes in parts.

    :param total: its length in bytes, as its beginning says.
    """

    def __init__(self, head: _H, total: int) -> None:
        #: What its beginning says.
        self.head = head
        self.total = total
        #: Why it is worth nothing, None if it is whole.
        self.reason: str | None = None
        self.size = 0
        self._pieces: list[bytes] = []
        self._small = bytearray()

    def add(self, data: bytes) -> None:
        """Take one part."""
        self.size += len(data)
        if len(data) < _SMALL:
            self._small += data
            if len(self._small) < _SMALL:
                return
            data = b""
        if self._small:
            self._pieces.append(bytes(self._small))
            self._small.clear()
        if data:
            self._pieces.append(data)

    def spoil(self, reason: str) -> None:
        """Keep nothing of it, but that it has begun, and why it is worth nothing."""
        self.reason = reason
        self._pieces.clear()
        self._small.clear()

    def body(self) -> bytes:
        """All that has come."""
        return b"".join((*self._pieces, self._small))


class Assembler(Generic[_H]):
    """Puts the large messages of one connection together."""

    def __init__(self, limits: PartLimits) -> None:
        self._limits = limits
        self._open: dict[int, Unfinished[_H]] = {}
        #: Bytes that the messages at work may come to.
        self.size = 0
        #: Grows whenever something comes; a stalled message is one that stands still.
        self.changes = 0

    def __len__(self) -> int:
        """How many messages have begun."""
        return len(self._open)

    def begin(self, session: int, total: int, head: _H) -> str | None:
        """A message begins, in place of any unfinished one of its session.

        :returns: why it is refused, None if it is not.  Its parts are awaited all the
            same, so that whoever sends it can be told once it is done; only of one
            beyond `PartLimits.unfinished` nothing is kept.
        """
        self.changes += 1
        self.drop(session)
        if len(self._open) >= self._limits.unfinished:
            return f"{len(self._open)} large messages are unfinished already"
        entry = self._open[session] = Unfinished(head, total)
        free = self._limits.size - self.size
        if total > free:
            entry.spoil(f"a large message of {total} bytes; there is room for {free}")
        else:
            self.size += total
        return entry.reason

    def add(self, session: int, data: bytes) -> Unfinished[_H] | None:
        """Take a part; a message that has not begun is ignored.

        :returns: the message that it belongs to.
        """
        entry = self._open.get(session)
        if entry is None:
            return None
        self.changes += 1
        if entry.reason is None:
            if entry.size + len(data) > entry.total:
                self.size -= entry.total
                entry.spoil(f"more than the {entry.total} bytes that were announced")
            else:
                entry.add(data)
        return entry

    def finish(self, session: int, data: bytes) -> Unfinished[_H] | None:
        """Take the last part.

        :returns: the message, None if it has not begun.  It is good if it has no
            `Unfinished.reason`.
        """
        entry = self.add(session, data)
        if entry is not None:
            self.drop(session)
            if entry.reason is None and entry.size < entry.total:
                entry.spoil(f"{entry.size} bytes, where {entry.total} were announced")
        return entry

    def drop(self, session: int) -> None:
        """Forget a message, if it has begun."""
        entry = self._open.pop(session, None)
        if entry is not None and entry.reason is None:
            self.size -= entry.total

    def clear(self) -> None:
        """Forget all."""
        self._open.clear()
        self.size = 0


class Outgoing:
    """A message that is not written yet, or not all of it.

    :param session: what its parts carry.
    :param first: its first packet; the only one of a small message.
    :param body: what comes in parts behind that, None for a small message.
    """

    __slots__ = ("at", "body", "dropped", "first", "lane", "session", "size")

    def __init__(
        self, session: int, first: bytes, body: bytes | None, lane: Hashable
    ) -> None:
        self.session = session
        self.first = first
        self.body = body
        self.lane = lane
        #: Bytes that it keeps.
        self.size = len(first) + len(body or b"")
        #: How much of the body is written; 0 if it has not begun.
        self.at = 0
        #: Whether nobody wants it any more.
        self.dropped = False


#: Messages in order, from which any can be taken out at once.
_Queue = OrderedDict[Outgoing, None]


class PartWriter:
    """What one side of a connection writes: small messages, and large ones in parts.

    Small messages are not held up by large ones: they go between their parts.  But
    messages of one lane keep their order, so that what follows a large one of its own
    lane waits until that is written.

    :param part: encodes one part of a body: its session, its bytes, whether it is last.
    """

    def __init__(self, part: Callable[[int, bytes, bool], bytes]) -> None:
        self._part = part
        self._packets: list[bytes] = []
        #: Large messages that send parts in turns, at most `AT_ONCE`.
        self._begun: deque[Outgoing] = deque()
        #: Those that come after them.
        self._next: _Queue = OrderedDict()
        #: The lanes with a large message, and what waits behind it there.
        self._lanes: dict[Hashable, _Queue] = {}
        #: All of these by their sessions, but for small pushes, which have none.
        self._unwritten: dict[int, Outgoing] = {}
        #: Bytes of what `take` does not give without room.
        self.size = 0
        #: The sessions of what was held up, and was wholly written by the last `take`.
        self.sent: list[int] = []

    def __contains__(self, session: int) -> bool:
        """Whether a message of this session waits, or some part of it does."""
        return session in self._unwritten

    @property
    def under_way(self) -> int:
        """How many large messages are not wholly written, of each lane one at most."""
        return len(self._begun) + len(self._next)

    @property
    def has_more(self) -> bool:
        """Whether there is anything for `take`."""
        return bool(self._packets) or self.busy

    @property
    def busy(self) -> bool:
        """Whether there is more than `take` gives without room."""
        return bool(self._begun or self._next)

    def small(self, session: int, packet: bytes, lane: Hashable = None) -> None:
        """Write a small message.

        :param session: 0 for one that is never dropped.
        """
        if self._lanes and lane in self._lanes:
            self._hold(Outgoing(session, packet, None, lane))
        else:
            self._packets.append(packet)

    def large(
        self, session: int, first: bytes, body: bytes, lane: Hashable = None
    ) -> None:
        """Write a large message.

        :param session: of no other message that is not written.
        :param first: the packet that begins it.
        """
        message = Outgoing(session, first, body, lane)
        if lane in self._lanes:
            self._hold(message)
            return
        if lane is not None:
            self._lanes[lane] = OrderedDict()
        self._unwritten[session] = message
        self._next[message] = None
        self.size += message.size

    def take(self, room: int) -> bytes:
        """Return what is to be written now; from here on it counts as written.

        :param room: how many bytes of large messages are wanted; the last part may go
            beyond that.  Small ones are returned in any case.
        """
        pieces, self._packets = self._packets, []
        if self.sent:
            self.sent = []
        while room > 0 and (self._begun or self._next):
            room -= self._turn(pieces)
        return b"".join(pieces)

    def drop(self, session: int) -> bool:
        """Do not write a message, or no more of it.

        One that has begun is ended at once: the other side finds less than was
        announced, and does not run it.

        :returns: False if it is written already.
        """
        message = self._unwritten.pop(session, None)
        if message is None:
            return False
        self.size -= message.size
        message.size = 0
        message.dropped = True
        message.first = b""
        if message.body is not None:
            message.body = b""
        behind = self._lanes.get(message.lane)
        if message in self._next:
            # What waits behind it keeps its place by it.
            if not behind:
                del self._next[message]
                self._lanes.pop(message.lane, None)
        elif behind:
            behind.pop(message, None)
        return True

    def restart(self) -> None:
        """There is a new connection: what is not all written begins again.

        What `small` gave, and `take` has not fetched, is lost as if it were written.
        """
        self._packets.clear()
        for message in reversed(self._begun):
            message.at = 0
            self._next[message] = None
            self._next.move_to_end(message, last=False)
        self._begun.clear()

    def clear(self) -> list[Outgoing]:
        """Forget everything; returns what is not written, or not all of it."""
        messages = [*self._begun, *self._next]
        for queue in self._lanes.values():
            messages += queue
        self._packets.clear()
        self._begun.clear()
        self._next.clear()
        self._lanes.clear()
        self._unwritten.clear()
        self.size = 0
        return [message for message in messages if not message.dropped]

    def _hold(self, message: Outgoing) -> None:
        self._lanes[message.lane][message] = None
        self.size += message.size
        if message.session:
            self._unwritten[message.session] = message

    def _turn(self, pieces: list[bytes]) -> int:
        """Write one part of the message whose turn it is; returns how many bytes."""
        if self._next and len(self._begun) < AT_ONCE:
            message, _ = self._next.popitem(last=False)
            if message.dropped:
                self._release(message, pieces)
                return 0
            pieces.append(message.first)
        else:
            message = self._begun.popleft()
        body = message.body
        assert body is not None  # Small messages are never here.
        start = message.at
        message.at = stop = start + PART_SIZE
        last = stop >= len(body)
        packet = self._part(message.session, body[start:stop], last)
        pieces.append(packet)
        if last:
            self._release(message, pieces)
        else:
            self._begun.append(message)
        return len(packet)

    def _release(self, message: Outgoing, pieces: list[bytes]) -> None:
        """A large message is done: let go what waits behind it."""
        self._written(message)
        queue = self._lanes.get(message.lane)
        if queue is None:
            return
        while queue:
            follower, _ = queue.popitem(last=False)
            if follower.body is not None:
                self._next[follower] = None
                return
            self._written(follower)
            pieces.append(follower.first)
        del self._lanes[message.lane]

    def _written(self, message: Outgoing) -> None:
        self.size -= message.size
        if message.session and not message.dropped:
            self.sent.append(message.session)
        # Two answers may have one session.
        if self._unwritten.get(message.session) is message:
            del self._unwritten[message.session]
