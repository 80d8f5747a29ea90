# -*- test-case-name: tests.link.test_cluster -*-
"""Both ends of a cluster connection: one calls, the other one answers.

There is no handshake: the first bytes are a request (cluster, section 1).  What most
messages need is returned as it is, without an effect for each: the answers as frames,
the requests as tuples, and the bytes to write.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Generic, TypeVar

from ..handle import MAX_INDEX
from ..interfaces import Frame, Request
from ..message import PType
from ..text import shown
from ..wire import cluster as wire
from .effects import Close, Effect, LogLine
from .parts import Assembler, PartLimits, PartWriter

_RESPONSE = int(PType.RESPONSE) << 24
_ERROR = int(PType.ERROR) << 24

#: Who waits for an answer: the handle of an actor, and its session.
Caller = tuple[int, int]

_Reader = TypeVar("_Reader", wire.RequestReader, wire.ResponseReader)
_X = TypeVar("_X")


class _End(Generic[_Reader, _X]):
    """What both ends have: what they read, and what of large messages is under way.

    :param reader: decodes what comes in.
    :param writer: collects what goes out.
    :param limits: of the large messages that come in.
    """

    def __init__(
        self, reader: _Reader, writer: PartWriter, limits: PartLimits | None
    ) -> None:
        #: What is to be done besides; there seldom is anything.
        self.effects: list[Effect] = []
        self._reader: _Reader = reader
        self._writer = writer
        self._incoming: Assembler[_X] = Assembler(limits or PartLimits())

    @property
    def busy(self) -> bool:
        """Whether parts of large messages wait for the next ``take``."""
        return self._writer.busy

    @property
    def has_more(self) -> bool:
        """Whether there is anything for the next ``take``."""
        return self._writer.has_more

    @property
    def has_large(self) -> bool:
        """Whether large messages are under way, or the last ``take`` has ended one."""
        return self._writer.busy or bool(self._writer.sent)

    @property
    def under_way(self) -> int:
        """How many large messages are not wholly written, of each lane one at most."""
        return self._writer.under_way

    @property
    def waiting(self) -> int:
        """Bytes of what waits: large messages, and what must not overtake them."""
        return self._writer.size

    @property
    def half_open(self) -> int | None:
        """A number that grows as an incomplete message does; None if there is none."""
        rest = self._reader.rest
        if not rest.kept and not len(self._incoming):
            return None
        return rest.changes + self._incoming.changes

    @property
    def bytes_read(self) -> int:
        """All bytes that were fed so far."""
        return self._reader.bytes_read

    def take(self, room: int) -> bytes:
        """What is to be written now: all small messages, and some of the large ones.

        :param room: how many bytes of those are wanted, 0 while the connection takes
            no more.
        """
        return self._writer.take(room)

    def take_effects(self) -> list[Effect]:
        """What is to be done besides, once."""
        effects, self.effects = self.effects, []
        return effects

    def _log(self, format: str, warn: bool, **fields: object) -> None:
        self.effects.append(LogLine(format, fields, warn))


class ClusterClient(_End[wire.ResponseReader, None]):
    """The end that calls: requests out, answers in.

    It outlives its connections, as its sessions do.  What one turn of the node calls
    and pushes is written at once, while there is a connection.

    :param limits: of the large answers.
    """

    def __init__(self, limits: PartLimits | None = None) -> None:
        super().__init__(wire.ResponseReader(), PartWriter(wire.request_part), limits)
        #: Who waits for which answer; None for a call whose answer means nothing.
        self.calls: dict[int, Caller | None] = {}
        #: The session that was given last.
        self.session = 0
        #: Answers that came when nobody waited for them any more.
        self.late = 0

    def call(
        self,
        address: wire.Address,
        body: bytes,
        caller: Caller | None,
        lane: Hashable = None,
        tag: bytes = b"",
    ) -> int:
        """Send a request.

        :param address: a handle, 0 to ask for the handle behind a name, or a name.
        :param caller: who gets the answer.
        :param lane: who sends it, if what he sends is to arrive in order.  Without a
            lane, what is small may arrive before what is large.
        :param tag: what traces it, if anything.
        :returns: its session on this connection.
        :raises BadAddress: the name is empty or too long; nothing was sent.
        :raises TooLarge: the body or the tag is too long; nothing was sent.
        """
        session = self._next_session()
        self._send(address, session, body, False, lane, tag)
        self.calls[session] = caller
        return session

    def push(
        self,
        address: wire.Address,
        body: bytes,
        lane: Hashable = None,
        tag: bytes = b"",
    ) -> None:
        """Send what nobody answers; parameters and errors are those of `call`."""
        small = len(body) <= wire.MAX_SMALL_REQUEST
        session = 0 if small else self._next_session()
        self._send(address, session, body, True, lane, tag)

    def holds(self, session: int) -> bool:
        """Whether a call is not wholly written; `sent` tells once it is."""
        return session in self._writer

    def sent(self) -> list[Caller]:
        """Whose calls were held up, and were wholly written by the last `take`."""
        if not self._writer.sent:
            return []
        calls = [self.calls.get(session) for session in self._writer.sent]
        return [call for call in calls if call is not None]

    def feed(self, data: bytes) -> list[Frame]:
        """Take what was read.

        :returns: the answers, as frames of no source; errors as text.
        """
        frames: list[Frame] = []
        calls = self.calls
        for record in self._reader.feed(data):
            if type(record) is tuple:
                session, body = record
                if session in calls:
                    call = calls.pop(session)
                    if len(self._incoming):
                        self._incoming.drop(session)
                    if call is not None:
                        to = _RESPONSE | call[0] & MAX_INDEX
                        frames.append((0, to, call[1], body))
                else:
                    self.late += 1
            elif isinstance(record, wire.Part):
                self._part(record, frames)
            elif isinstance(record, wire.Failure):
                self._failure(record.session, record.text, frames)
            elif isinstance(record, wire.LargeResult) and record.session in calls:
                reason = self._incoming.begin(record.session, record.total, None)
                if reason is not None:
                    self._fail(record.session, f"the answer: {reason}", frames)
        if self._reader.error is not None:
            self.effects.append(Close(self._reader.error))
        return frames

    def cancel(self, session: int) -> bool:
        """Nobody waits for a call any more.

        :returns: True if it certainly does not run: not all of it was written.
        """
        self.calls.pop(session, None)
        self._incoming.drop(session)
        return self._writer.drop(session)

    def lost(self) -> None:
        """The connection is gone, and with it the calls that were written.

        What is not written, or not all of it, waits for the next connection.
        """
        self._reader = wire.ResponseReader()
        self._incoming.clear()
        self._writer.restart()
        writer = self._writer
        self.calls = {s: call for s, call in self.calls.items() if s in writer}

    def end(self) -> int:
        """There will be no other connection, and no answer.

        :returns: how many pushes are lost, as they were not wholly written.
        """
        unwritten = [message.session for message in self._writer.clear()]
        dropped = sum(session not in self.calls for session in unwritten)
        self.lost()
        return dropped

    def _next_session(self) -> int:
        """The next session that nothing unfinished has."""
        session = self.session
        while True:
            session = session % wire.MAX_SESSION + 1
            if session not in self.calls and session not in self._writer:
                self.session = session
                return session

    def _send(
        self,
        address: wire.Address,
        session: int,
        body: bytes,
        push: bool,
        lane: Hashable,
        tag: bytes,
    ) -> None:
        if len(body) <= wire.MAX_SMALL_REQUEST:
            packet = wire.request(address, session, body)
            if tag:
                # One piece with its request: nothing may come in between.
                packet = wire.trace(tag) + packet
            self._writer.small(session, packet, lane)
        else:
            first = wire.large_request(address, session, len(body), push)
            if tag:
                first = wire.trace(tag) + first
            self._writer.large(session, first, body, lane)

    def _part(self, part: wire.Part, frames: list[Frame]) -> None:
        session = part.session
        if not part.last:
            self._incoming.add(session, part.data)
            return
        answer = self._incoming.finish(session, part.data)
        if session not in self.calls:
            self.late += 1
        elif answer is None:
            self._fail(session, "the answer: it has no beginning", frames)
        elif answer.reason is not None:
            self._fail(session, f"the answer: {answer.reason}", frames)
        else:
            call = self.calls.pop(session)
            if call is not None:
                to = _RESPONSE | call[0] & MAX_INDEX
                frames.append((0, to, call[1], answer.body()))

    def _failure(self, session: int, text: str, frames: list[Frame]) -> None:
        if session in self.calls:
            self._fail(session, text, frames)
            return
        if session:
            self.late += 1
        # Session 0 is that of a push, for example to a name that nobody has.
        self._log(
            "the node answers what no call waits for, with an error: {text}",
            session == 0,
            text=shown(text),
        )

    def _fail(self, session: int, text: str, frames: list[Frame]) -> None:
        self._incoming.drop(session)
        call = self.calls.pop(session)
        if call is not None:
            to = _ERROR | call[0] & MAX_INDEX
            frames.append((0, to, call[1], text.encode()))


class ClusterServer(_End[wire.RequestReader, wire.LargeRequest]):
    """The end that answers: requests in, answers out, in the order they are ready.

    It lives as long as its connection.  Tags that trace requests are not read.

    :param limits: of the large requests.
    """

    def __init__(self, limits: PartLimits | None = None) -> None:
        super().__init__(wire.RequestReader(), PartWriter(wire.result_part), limits)
        #: Packets that were no requests.
        self.malformed = 0

    def feed(self, data: bytes) -> list[Request]:
        """Take what was read.

        :returns: the requests and pushes that are complete.
        """
        requests: list[Request] = []
        for record in self._reader.feed(data):
            if type(record) is tuple:
                requests.append(record)
            elif isinstance(record, wire.Part):
                self._part(record, requests)
            elif isinstance(record, wire.LargeRequest):
                self._begin(record)
            elif isinstance(record, wire.Malformed):
                self._ignore(record)
        return requests

    def answer(self, session: int, body: bytes) -> None:
        """Send what a request returned.

        :raises TooLarge: no length of the protocol is large enough; nothing was sent.
        """
        # Two requests may have one session: their parts must not be mixed.
        if len(body) <= wire.MAX_SMALL_RESULT:
            self._writer.small(0, wire.result(session, body), session)
        else:
            first = wire.large_result(session, len(body))
            self._writer.large(session, first, body, session)

    def fail(self, session: int, text: str) -> None:
        """Send why a request failed.

        :param text: for people; what is longer than a packet is cut.
        """
        self._writer.small(0, wire.failure(session, text), session)

    def _begin(self, request: wire.LargeRequest) -> None:
        reason = self._incoming.begin(request.session, request.total, request)
        if reason is not None:
            self._log(
                "a large request is refused: {reason}",
                True,
                reason=reason,
            )

    def _part(self, part: wire.Part, requests: list[Request]) -> None:
        if not part.last:
            self._incoming.add(part.session, part.data)
            return
        whole = self._incoming.finish(part.session, part.data)
        if whole is None:
            self.fail(part.session, "no beginning of this large request is known")
        elif whole.reason is not None:
            self.fail(part.session, f"the large request: {whole.reason}")
        else:
            request = whole.head
            requests.append(
                (request.address, request.session, whole.body(), request.push)
            )

    def _ignore(self, record: wire.Malformed) -> None:
        self.malformed += 1
        if self.malformed == 1:
            # Real nodes read on; one line is enough for a whole connection.
            self._log("{what}, and maybe more of that kind", True, what=record.reason)
