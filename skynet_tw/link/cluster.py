# -*- test-case-name: tests.link.test_cluster -*-
"""Both ends of a cluster connection: one calls, the other one answers.

There is no handshake: the first bytes are a request (cluster, section 1).
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Generic, TypeVar

from ..errors import LinkLost, PeerDown, RemoteError, SkynetError
from ..text import shown
from ..wire import cluster as wire
from .effects import Answered, Asked, Close, Effect, Effects, Failed, Sent, Write
from .parts import Assembler, PartLimits, PartWriter

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
        self._effects = Effects()
        self._reader: _Reader = reader
        self._writer = writer
        self._incoming: Assembler[_X] = Assembler(limits or PartLimits())

    @property
    def busy(self) -> bool:
        """Whether parts of large messages wait for the next ``flush``."""
        return self._writer.busy

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


class ClusterClient(_End[wire.ResponseReader, None]):
    """The end that calls: requests out, answers in.

    It outlives its connections, as its sessions do.  What one turn of the node calls
    and pushes is written by one `flush`, while there is a connection.

    :param limits: of the large answers.
    """

    def __init__(self, limits: PartLimits | None = None) -> None:
        super().__init__(wire.ResponseReader(), PartWriter(wire.request_part), limits)
        #: The sessions of calls that are not answered.
        self._calls: set[int] = set()
        #: The session that was given last.
        self.session = 0
        #: Answers that came when nobody waited for them any more.
        self.late = 0
        #: Pushes that `end` found not written.
        self.dropped = 0

    def call(
        self,
        address: wire.Address,
        body: bytes,
        *,
        lane: Hashable = None,
        tag: bytes = b"",
    ) -> int:
        """Send a request; `Answered` or `Failed` comes for it, once.

        :param address: a handle, 0 to ask for the handle behind a name, or a name.
        :param lane: who sends it, if what he sends is to arrive in order.  Without a
            lane, what is small may arrive before what is large.
        :param tag: what traces it, if anything.
        :returns: its session.
        :raises BadAddress: the name is empty or too long; nothing was sent.
        :raises TooLarge: the body or the tag is too long; nothing was sent.
        """
        session = self._next_session()
        self._send(address, session, body, False, lane, tag)
        self._calls.add(session)
        return session

    def push(
        self,
        address: wire.Address,
        body: bytes,
        *,
        lane: Hashable = None,
        tag: bytes = b"",
    ) -> None:
        """Send what nobody answers; parameters and errors are those of `call`."""
        small = len(body) <= wire.MAX_SMALL_REQUEST
        session = 0 if small else self._next_session()
        self._send(address, session, body, True, lane, tag)

    def flush(self, room: int) -> list[Effect]:
        """Write what was sent since the last time, and some of the large messages.

        :param room: how many bytes of those are wanted, 0 while the connection takes
            no more.
        """
        data = self._writer.take(room)
        effects: list[Effect] = [Write(data)] if data else []
        effects += [Sent(s) for s in self._writer.sent if s in self._calls]
        return effects

    def holds(self, session: int) -> bool:
        """Whether a call is not wholly written; `Sent` comes once it is."""
        return session in self._writer

    def feed(self, data: bytes) -> list[Effect]:
        """Take what was read."""
        for record in self._reader.feed(data):
            if isinstance(record, wire.Result):
                self._result(record.session, record.body)
            elif isinstance(record, wire.Part):
                self._part(record)
            elif isinstance(record, wire.Failure):
                self._failure(record.session, record.text)
            elif record.session in self._calls:
                reason = self._incoming.begin(record.session, record.total, None)
                if reason is not None:
                    self._incoming.drop(record.session)
                    self._fail(record.session, RemoteError(f"the answer: {reason}"))
        if self._reader.error is not None:
            self._effects.add(Close(self._reader.error))
        return self._effects.take()

    def cancel(self, session: int) -> bool:
        """Nobody waits for a call any more.

        :returns: True if it certainly does not run: not all of it was written.
        """
        self._calls.discard(session)
        self._incoming.drop(session)
        return self._writer.drop(session)

    def lost(self, reason: str) -> list[Effect]:
        """The connection is gone: calls that were written fail, they may have run.

        What is not written, or not all of it, waits for the next connection.
        """
        self._reader = wire.ResponseReader()
        self._incoming.clear()
        self._writer.restart()
        for session in sorted(self._calls):
            if session not in self._writer:
                self._fail(session, LinkLost(reason))
        return self._effects.take()

    def end(self, reason: str) -> list[Effect]:
        """There will be no other connection: what is not written fails as well."""
        effects = self.lost(reason)
        for message in self._writer.clear():
            if message.session in self._calls:
                self._fail(message.session, PeerDown(reason))
            else:
                self.dropped += 1
        return effects + self._effects.take()

    def _next_session(self) -> int:
        """The next session that nothing unfinished has."""
        session = self.session
        while True:
            session = session % wire.MAX_SESSION + 1
            if session not in self._calls and session not in self._writer:
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
        # One piece with its request: nothing may come in between.
        head = wire.trace(tag) if tag else b""
        if len(body) <= wire.MAX_SMALL_REQUEST:
            packet = head + wire.request(address, session, body)
            self._writer.small(session, packet, lane)
        else:
            first = head + wire.large_request(address, session, len(body), push)
            self._writer.large(session, first, body, lane)

    def _result(self, session: int, body: bytes) -> None:
        if session in self._calls:
            self._calls.remove(session)
            self._incoming.drop(session)
            self._effects.add(Answered(session, body))
        else:
            self.late += 1

    def _part(self, part: wire.Part) -> None:
        if not part.last:
            self._incoming.add(part.session, part.data)
            return
        answer = self._incoming.finish(part.session, part.data)
        if answer is not None and answer.reason is None:
            self._result(part.session, answer.body())
        elif part.session in self._calls:
            reason = "it has no beginning" if answer is None else answer.reason
            self._fail(part.session, RemoteError(f"the answer: {reason}"))
        else:
            self.late += 1

    def _failure(self, session: int, text: str) -> None:
        if session in self._calls:
            self._incoming.drop(session)
            self._fail(session, RemoteError(text))
            return
        if session:
            self.late += 1
        # Session 0 is that of a push, for example to a name that nobody has.
        self._effects.log(
            "the node answers what no call waits for, with an error: {text}",
            text=shown(text),
            warn=session == 0,
        )

    def _fail(self, session: int, error: SkynetError) -> None:
        self._calls.discard(session)
        self._effects.add(Failed(session, error))


class ClusterServer(_End[wire.RequestReader, tuple[wire.LargeRequest, bytes]]):
    """The end that answers: requests in, answers out, in the order they are ready.

    It lives as long as its connection.

    :param limits: of the large requests.
    """

    def __init__(self, limits: PartLimits | None = None) -> None:
        super().__init__(wire.RequestReader(), PartWriter(wire.result_part), limits)
        #: The tag of the next request.
        self._tag = b""
        #: Packets that were no requests.
        self.malformed = 0

    def feed(self, data: bytes) -> list[Effect]:
        """Take what was read.

        :returns: `Asked` for each request and each push that is complete.
        """
        for record in self._reader.feed(data):
            if isinstance(record, wire.Request):
                session = record.session
                tag, self._tag = self._tag, b""
                asked = Asked(record.address, session, record.body, session == 0, tag)
                self._effects.add(asked)
            elif isinstance(record, wire.Part):
                self._part(record)
            elif isinstance(record, wire.LargeRequest):
                tag, self._tag = self._tag, b""
                self._begin(record, tag)
            elif isinstance(record, wire.Trace):
                self._tag = record.tag
            else:
                self.malformed += 1
                if self.malformed == 1:
                    # Real nodes read on; one line is enough for a whole connection.
                    self._effects.log(
                        "a node of the cluster sent {what}; it is ignored, as all "
                        "others of its kind",
                        what=record.reason,
                        warn=True,
                    )
        return self._effects.take()

    def answer(self, session: int, body: bytes) -> None:
        """Send what a request returned; `flush` writes it.

        :raises TooLarge: no length of the protocol is large enough; nothing was sent.
        """
        # Two requests may have one session: their parts must not be mixed.
        if len(body) <= wire.MAX_SMALL_RESULT:
            self._writer.small(0, wire.result(session, body), session)
        else:
            first = wire.large_result(session, len(body))
            self._writer.large(session, first, body, session)

    def fail(self, session: int, text: str) -> None:
        """Send why a request failed; `flush` writes it.

        :param text: for people; what is longer than a packet is cut.
        """
        self._writer.small(0, wire.failure(session, text), session)

    def flush(self, room: int) -> list[Effect]:
        """Write all small answers, and some of the large ones.

        :param room: how many bytes of those are wanted, 0 while the connection takes
            no more.
        """
        data = self._writer.take(room)
        return [Write(data)] if data else []

    def _begin(self, request: wire.LargeRequest, tag: bytes) -> None:
        reason = self._incoming.begin(request.session, request.total, (request, tag))
        if reason is not None:
            self._effects.log(
                "a large request of a node of the cluster is refused: {reason}",
                reason=reason,
                warn=True,
            )

    def _part(self, part: wire.Part) -> None:
        if not part.last:
            self._incoming.add(part.session, part.data)
            return
        whole = self._incoming.finish(part.session, part.data)
        if whole is None:
            self.fail(part.session, "no beginning of this large request is known")
        elif whole.reason is not None:
            self.fail(part.session, f"the large request: {whole.reason}")
        else:
            request, tag = whole.head
            self._effects.add(
                Asked(request.address, request.session, whole.body(), request.push, tag)
            )
