"""What comes in from other nodes, and what is refused."""

from __future__ import annotations

from typing import Any

from skynet_tw.errors import (
    PackError,
    RemoteError,
    TooLarge,
)
from skynet_tw.handle import Handle
from skynet_tw.message import LOCAL_TYPES, PType
from skynet_tw.node.actor import Actor, dispatch
from skynet_tw.node.limits import Limits

from .support import (
    MAX_PAYLOAD,
    Echo,
    NodeTestCase,
    Sent,
)

FAR = Handle(0x0200000A)


def numbers(sent: list[Sent]) -> list[Any]:
    """The last value of each message."""
    return [one.values[-1] for one in sent]


class IncomingTests(NodeTestCase):
    """Messages that come in to a node which is ready."""

    def setUp(self) -> None:
        self.one = self.world()
        self.remote = self.one.remote
        self.remote.up(2)
        self.handle, self.echo = self.spawn(self.one, Echo)

    def receive(self, *values: Any, **rest: Any) -> list[Sent]:
        """Let a message come in for the actor; what it sends back."""
        self.remote.receive(self.handle, *values, **rest)
        return self.remote.take()

    def test_one_way(self) -> None:
        """A one-way message is handled at once, and not answered."""
        self.assertEqual(self.receive("NOTE", {"a": 1}), [])
        self.assertEqual(self.echo.got, [{"a": 1}])

    def test_call(self) -> None:
        """A call is answered with its session, to its source."""
        [sent] = self.receive("ECHO", 1, 2, session=7)
        self.assertEqual(sent[:4], (FAR, self.handle, PType.RESPONSE, 7))
        self.assertEqual(sent.values, (1, 2))

    def test_no_values(self) -> None:
        """No value is an empty payload; one nil is a byte."""
        self.assertEqual(self.receive("NOTE", 1, session=7)[0].payload, b"")
        self.assertEqual(self.receive("SAME", None, session=7)[0].payload, b"")
        self.assertEqual(self.receive("ECHO", None, session=7)[0].payload, b"\0")

    def test_later(self) -> None:
        """A coroutine's answer goes out when it is there."""
        self.assertEqual(self.receive("WAIT", session=7), [])
        self.echo.waits[0].callback((1, 2))
        self.assertEqual(self.remote.one().values, (1, 2))

    def test_sender(self) -> None:
        """The sender is the address in the other node."""
        [sent] = self.receive("SENDER", session=7)
        self.assertEqual(sent.values, (FAR,))

    def test_many(self) -> None:
        """All frames of one read are handled in order, answers leave in one write."""
        frames = [
            self.remote.frame(self.handle, "ECHO", n, session=n) for n in range(1, 101)
        ]
        flushes = self.remote.fake_links[2].flushes
        self.one.node._incoming.frames_received(frames)
        sent = self.remote.take()
        self.assertEqual(numbers(sent), list(range(1, 101)))
        self.assertEqual([one.session for one in sent], list(range(1, 101)))
        self.assertEqual(self.remote.fake_links[2].flushes, flushes + 1)

    def test_raised(self) -> None:
        """A handler's error is a type ERROR; its payload says what was raised."""
        [sent] = self.receive("FAIL", session=7)
        self.assertEqual(sent[:4], (FAR, self.handle, PType.ERROR, 7))
        said = f"Echo({self.handle}) raised ValueError: no"
        self.assertEqual(sent.payload.decode(), said)
        self.assertEqual(self.receive("FAIL"), [])
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 2)

    def test_unknown_command(self) -> None:
        """An unknown command is an ERROR for a call, nothing for a message."""
        [sent] = self.receive("NEVER", session=7)
        self.assertEqual(sent[:4], (FAR, self.handle, PType.ERROR, 7))
        self.assertEqual(self.receive("NEVER"), [])

    def test_unsupported_type(self) -> None:
        """A type without a handler is an ERROR for a call, nothing for a message."""
        for ptype in (PType.TEXT, PType.CLIENT, PType.SNAX, PType.QUEUE, 13, 255):
            [sent] = self.receive("X", session=7, ptype=ptype)
            self.assertEqual(sent[:4], (FAR, self.handle, PType.ERROR, 7))
            self.assertEqual(self.receive("X", ptype=ptype), [])

    def test_local_types(self) -> None:
        """Types that are for one node only reach no actor from another."""

        class Open(Actor):
            got: list[bytes] = []  # noqa: RUF012

            @dispatch(PType.SYSTEM)
            def system(self, raw: bytes) -> None:
                self.got.append(raw)

            @dispatch(PType.HARBOR)
            def harbor(self, raw: bytes) -> None:
                self.got.append(raw)

        handle, actor = self.spawn(self.one, Open)
        for ptype in LOCAL_TYPES:
            self.remote.receive(handle, "X", session=7, ptype=ptype)
            self.assertEqual(self.remote.one().ptype, PType.ERROR)
        self.assertEqual(actor.got, [])

    def test_trace(self) -> None:
        """A trace tag is taken in silence."""
        self.assertEqual(self.receive(payload=b"tag", ptype=PType.TRACE), [])

    def test_raw(self) -> None:
        """A raw type's handler gets bytes, and answers with bytes."""

        class Raw(Actor):
            @dispatch(PType.TEXT)
            def text(self, raw: bytes) -> bytes:
                return raw[::-1]

            @dispatch(PType.CLIENT)
            async def client(self, raw: bytes) -> bytes:
                return raw + b"!"

        handle, _ = self.spawn(self.one, Raw)
        for ptype, expected in [(PType.TEXT, b"\xffa"), (PType.CLIENT, b"a\xff!")]:
            self.remote.receive(handle, payload=b"a\xff", session=7, ptype=ptype)
            self.assertEqual(self.remote.one().payload, expected)

    def test_unreadable(self) -> None:
        """A request that cannot be read is an ERROR; a message is only logged."""
        for ptype in (PType.LUA, PType.SNAX, PType.DEBUG):
            [sent] = self.receive(payload=b"\x0c", session=7, ptype=ptype)
            self.assertEqual(sent[:4], (FAR, self.handle, PType.ERROR, 7))
            self.assertEqual(self.receive(payload=b"\x0c", ptype=ptype), [])

    def test_bad_answers(self) -> None:
        """An answer that the wire does not carry is an ERROR, and is logged."""
        for value in (object(), "x" * MAX_PAYLOAD):
            self.assertEqual(self.receive("WAIT", session=7), [])
            self.echo.waits.pop().callback(value)
            self.assertEqual(self.remote.one().ptype, PType.ERROR)
        self.assertEqual(len(self.flushLoggedErrors(PackError, TooLarge)), 2)
        self.assertEqual(self.receive("ECHO", 1, session=8)[0].values, (1,))

    def test_unknown_handle(self) -> None:
        """A message for nobody is answered with an ERROR from there, as asked."""
        dead = 0x01000077
        for session in (0, 7):
            for ptype in (PType.LUA, PType.RESPONSE, PType.TEXT):
                self.remote.receive(dead, "X", session=session, ptype=ptype)
                error = (FAR, dead, PType.ERROR, session)
                self.assertEqual(self.remote.one()[:4], error)
            self.remote.receive(dead, session=session, ptype=PType.ERROR)
            self.assertEqual(self.remote.take(), [])
        self.remote.receive(0, "X", session=7)
        self.assertEqual(self.remote.one()[:4], (FAR, 0x01000000, PType.ERROR, 7))

    def test_bad_session(self) -> None:
        """Bit 31 of a session is refused: nothing runs, the caller gets an ERROR."""
        for session in (0x80000001, 0xFFFFFFFF):
            [sent] = self.receive("NOTE", 1, session=session)
            self.assertEqual(sent[:4], (FAR, self.handle, PType.ERROR, session))
            self.assertEqual(self.receive(session=session, ptype=PType.ERROR), [])
        self.assertEqual(self.echo.got, [])

    def test_bad_source(self) -> None:
        """Who cannot be answered gets no answer; the others go on."""
        for source in (0, 5, 0x01000077):
            self.assertEqual(self.receive("ECHO", 1, source=source, session=7), [])
            dead = 0x01000077
            self.remote.receive(dead, "ECHO", 1, source=source, session=7)
        self.assertEqual(self.one.node._core.outboxes.waiting(), 0)
        self.assertEqual(self.one.node.ledger.dropped, 6)
        self.assertEqual(self.receive("ECHO", 1, session=7)[0].values, (1,))

    def test_answer_to_gone(self) -> None:
        """An answer to a harbor that is gone is a dead letter; the actor goes on."""
        self.receive("WAIT", session=7)
        self.receive("WAIT", session=8)
        self.remote.lost(2)
        self.remote.gone(2)
        self.echo.waits[0].callback(1)
        self.echo.waits[1].errback(ValueError("no"))
        self.flushLoggedErrors(ValueError)
        # The callers are known to be gone, so that nothing is sent to them.
        self.assertEqual(self.one.node.ledger.dropped, 0)
        self.remote.receive(0x01000077, "X", session=7)
        self.assertEqual(self.one.node.ledger.dropped, 1)
        self.assertEqual(self.call(self.one, self.handle, "ECHO", 1), 1)

    def test_answer_to_full(self) -> None:
        """An answer that finds its queue full is a dead letter; the actor goes on."""
        one = self.world(limits=Limits(messages=1))
        handle, echo = self.spawn(one, Echo)
        for n in (1, 2):
            one.remote.receive(handle, "ECHO", n, session=n)
        self.assertEqual(one.node.ledger.dropped, 1)
        one.remote.up(2)
        self.assertEqual(numbers(one.remote.take()), [1])
        one.remote.receive(handle, "NOTE", 3)
        self.assertEqual(echo.got, [3])

    def test_full_mailbox(self) -> None:
        """A full mailbox refuses calls with an ERROR, and messages as dead letters."""
        one = self.world(limits=Limits(messages=2))
        one.remote.up(2)
        handle, echo = self.spawn(one, Echo)
        frames = [one.remote.frame(handle, "NOTE", n, session=n) for n in range(4)]
        one.remote.receiver.frames_received(2, frames)
        self.assertEqual(echo.got, [0, 1])
        kinds = [(sent.session, sent.ptype) for sent in one.remote.take()]
        self.assertEqual(kinds[0], (2, PType.ERROR))
        self.assertIn((3, PType.ERROR), kinds)

    def test_late_answers(self) -> None:
        """Answers that nobody waits for are counted."""
        self.receive(1, session=99, ptype=PType.RESPONSE)
        self.receive(session=99, ptype=PType.ERROR)
        self.assertEqual(self.one.node.ledger.late_answers, 2)

    def test_source_dead(self) -> None:
        """An ERROR without session fails this actor's calls to its source only."""
        other = self.one.node.client()
        mine = self.echo.call(FAR, "X")
        mine_elsewhere = self.echo.call(FAR + 1, "X")
        theirs = other.call(FAR, "X")
        self.remote.take()
        self.receive(ptype=PType.ERROR)
        self.assertFalse(self.failureResultOf(mine, RemoteError).value.retry_safe)
        self.assertNoResult(mine_elsewhere)
        self.assertNoResult(theirs)

    def test_caller_dead(self) -> None:
        """Who said it is dead gets no more answers."""
        self.receive("WAIT", session=7)
        self.receive("WAIT", session=8, source=FAR + 1)
        self.receive(ptype=PType.ERROR)
        for wait in self.echo.waits:
            wait.callback(1)
        sent = self.remote.one()
        self.assertEqual((sent.destination, sent.session), (FAR + 1, 8))
