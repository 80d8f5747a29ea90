"""What leaves a node and comes in: order, fate, the gate, bounds, truth."""

from __future__ import annotations

from typing import Any, cast

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from zope.interface.verify import verifyObject

from skynet_tw.errors import (
    CallTimeout,
    LinkLost,
    NoSuchActor,
    NoSuchName,
    NotReady,
    PackError,
    PeerDown,
    QueueFull,
    RemoteError,
    TooLarge,
)
from skynet_tw.handle import Handle
from skynet_tw.interfaces import ILink, IRemote, IRemoteReceiver
from skynet_tw.message import LOCAL_TYPES, PType
from skynet_tw.node.actor import Actor, command, dispatch
from skynet_tw.node.limits import Limits
from skynet_tw.node.writes import FLUSH_SIZE

from .support import (
    MAX_PAYLOAD,
    Echo,
    FakeLink,
    NodeTestCase,
    Sent,
    World,
    cell_of,
)

FAR = Handle(0x0200000A)
FARTHER = Handle(0x0300000B)


def numbers(sent: list[Sent]) -> list[Any]:
    """The last value of each message."""
    return [one.values[-1] for one in sent]


class InterfaceTests(NodeTestCase):
    """The seam to the remote layer."""

    def test_verified(self) -> None:
        """The border and the tests' fakes are what they say."""
        one = self.world()
        verifyObject(IRemoteReceiver, one.remote.receiver, tentative=True)
        verifyObject(IRemote, one.remote)
        verifyObject(ILink, FakeLink(one.remote, 2, None))


class OutgoingTests(NodeTestCase):
    """Messages on their way out."""

    def setUp(self) -> None:
        self.one = self.world()
        self.client = self.one.node.client()
        self.remote = self.one.remote

    def test_direct(self) -> None:
        """With the link up a message is written at once."""
        self.remote.up(2)
        self.client.send(FAR, "NOTE", 1)
        sent = self.remote.one()
        self.assertEqual(sent[:4], (FAR, self.client.handle, PType.LUA, 0))
        self.assertEqual(sent.values, ("NOTE", 1))

    def test_order_from_name_to_link(self) -> None:
        """Look-up, connecting and going direct keep the order, and write once."""
        for n in range(3):
            self.client.send("BANK", n)
        self.remote.known("BANK", FAR)
        for n in range(3, 6):
            self.client.send("BANK", n)
        self.client.send(FAR, 6)
        self.assertEqual(self.remote.take(), [])
        self.remote.up(2)
        for n in range(7, 9):
            self.client.send("BANK", n)
        self.assertEqual(numbers(self.remote.take()), list(range(9)))

    def test_order_with_link_first(self) -> None:
        """What waited for a name comes before what its announcement sets free."""
        self.remote.up(2)

        async def send_when_known() -> None:
            handle = await self.client.query("BANK")
            self.client.send(handle, "second")

        done = Deferred.fromCoroutine(send_when_known())
        self.client.send("BANK", "first")
        self.remote.known("BANK", FAR)
        self.successResultOf(done)
        self.assertEqual(numbers(self.remote.take()), ["first", "second"])

    def test_one_query(self) -> None:
        """Many messages for a name ask the master once."""
        for n in range(5):
            self.client.send("BANK", n)
        self.assertEqual(self.remote.queried, ["BANK"])

    def test_harbors_do_not_wait_for_each_other(self) -> None:
        """A harbor without a link holds up only what is for itself."""
        self.client.send(FAR, 1)
        self.remote.up(3)
        self.client.send(FARTHER, 2)
        self.assertEqual(numbers(self.remote.take()), [2])
        self.remote.up(2)
        self.assertEqual(numbers(self.remote.take()), [1])

    def test_busy(self) -> None:
        """While the transport is full, messages wait in order, then go on."""
        self.remote.up(2)
        self.client.send(FAR, 1)
        self.remote.busy(2)
        self.client.send(FAR, 2)
        self.client.send("BANK", 3)
        self.remote.known("BANK", FAR)
        self.assertEqual(numbers(self.remote.take()), [1])
        self.remote.free(2)
        self.client.send(FAR, 4)
        self.assertEqual(numbers(self.remote.take()), [2, 3, 4])

    def test_busy_while_draining(self) -> None:
        """A transport that fills up while it takes what waited keeps the order."""
        big = "x" * (MAX_PAYLOAD - 20)
        count = 3 * FLUSH_SIZE // MAX_PAYLOAD
        for n in range(count):
            self.client.send(FAR, big, n)
        self.remote.up(2, room=1)
        first = numbers(self.remote.take())
        self.assertLess(len(first), count)
        self.client.send(FAR, count)
        self.assertEqual(self.remote.take(), [])
        self.remote.free(2)
        self.client.send(FAR, count + 1)
        rest = numbers(self.remote.take())
        self.assertEqual(first + rest, list(range(count + 2)))

    def test_busy_at_last(self) -> None:
        """A transport that is full just when nothing waits any more is full."""
        self.client.send(FAR, 1)
        self.remote.up(2, room=1)
        self.client.send(FAR, 2)
        self.assertEqual(numbers(self.remote.take()), [1])
        self.remote.free(2)
        self.assertEqual(numbers(self.remote.take()), [2])

    def test_one_write_for_a_turn(self) -> None:
        """What one turn sends is written in one piece."""

        class Busy(Actor):
            @command
            def SEND(self, count: int) -> None:
                for n in range(count):
                    self.send(FAR, n)

        link = self.remote.up(2)
        handle, _ = self.spawn(self.one, Busy)
        self.client.send(handle, "SEND", 50)
        self.client.send(handle, "SEND", 50)
        self.one.turn()
        self.assertEqual(len(self.remote.take()), 100)
        self.assertEqual(link.flushes, 1)

    def test_bound_of_messages(self) -> None:
        """A queue takes its limit of messages; more is QueueFull, and safe to retry."""
        one = self.world(limits=Limits(messages=3))
        client = one.node.client()
        for dest in (FAR, "BANK"):
            for n in range(3):
                client.send(dest, n)
            with self.assertRaises(QueueFull):
                client.send(dest, 3)
            called = client.call(dest, 3)
            self.assertTrue(self.failureResultOf(called, QueueFull).value.retry_safe)
        self.assertEqual(len(one.node._core.calls), 0)
        client.send(FARTHER, "another queue")
        one.remote.up(2)
        self.assertEqual(numbers(one.remote.take()), [0, 1, 2])

    def test_bound_of_bytes(self) -> None:
        """A queue takes its limit of bytes, and has room again when it has drained."""
        one = self.world(limits=Limits(size=100))
        client = one.node.client()
        client.send(FAR, "x" * 60)
        with self.assertRaises(QueueFull):
            client.send(FAR, "x" * 60)
        one.remote.up(2)
        one.remote.busy(2)
        client.send(FAR, "y" * 60)
        one.remote.free(2)
        self.assertEqual(len(one.remote.take()), 2)

    def test_name_to_full_harbor(self) -> None:
        """What finds the harbor's queue full when its name is known is refused."""
        one = self.world(limits=Limits(messages=2))
        client = one.node.client()
        client.send(FAR, 1)
        client.send("BANK", 2)
        called = client.call("BANK", 3)
        one.remote.known("BANK", FAR)
        self.failureResultOf(called, QueueFull)
        one.remote.up(2)
        self.assertEqual(numbers(one.remote.take()), [1, 2])

    def test_expiry_of_messages(self) -> None:
        """A one-way message expires at the node's limit, as a dead letter."""
        self.client.send(FAR, 1)
        self.client.send("BANK", 2)
        self.one.later(31)
        ledger = self.one.node.ledger
        self.assertEqual(ledger.expired, 2)
        letters = {letter.destination for letter in ledger.dead_letters}
        self.assertEqual(letters, {FAR, "BANK"})
        self.remote.up(2)
        self.remote.known("BANK", FAR)
        self.assertEqual(self.remote.take(), [])

    def test_expiry_of_calls(self) -> None:
        """A call that never left names what it waited for, and is never sent."""
        by_handle, by_name = self.client.call(FAR, 1), self.client.call("BANK", 2)
        self.one.later(31)
        down = self.failureResultOf(by_handle, PeerDown).value
        self.assertIn("harbor 2", str(down))
        self.assertTrue(down.retry_safe)
        no_name = self.failureResultOf(by_name, NoSuchName).value
        self.assertIn("BANK", str(no_name))
        self.assertTrue(no_name.retry_safe)
        self.assertEqual(self.one.node.ledger.expired, 2)
        self.remote.up(2)
        self.remote.known("BANK", FAR)
        self.assertEqual(self.remote.take(), [])

    def test_expiry_after_name(self) -> None:
        """A call whose name was found, but no link, fails as PeerDown."""
        called = self.client.call("BANK", 1)
        self.remote.known("BANK", FAR)
        self.one.later(31)
        self.failureResultOf(called, PeerDown)

    def test_expiry_after_write(self) -> None:
        """A call that waited and was written fails as CallTimeout."""
        calls = [self.client.call(dest, 1) for dest in (FAR, "BANK")]
        self.remote.known("BANK", FAR)
        self.remote.up(2)
        self.assertEqual(len(self.remote.take()), 2)
        self.one.later(31)
        for called in calls:
            self.failureResultOf(called, CallTimeout)

    def test_expiry_before_ready(self) -> None:
        """A call that waited for the boot fails as NotReady."""
        one = self.world(ready=False)
        called = one.node.client().call(FAR, 1, timeout=1)
        one.later(2)
        self.assertTrue(self.failureResultOf(called, NotReady).value.retry_safe)
        one.open_gate()
        one.settle()

    def test_expiry_gate_opened(self) -> None:
        """Once the boot is past ``peers`` it is the peer that is missing."""
        one = self.world(ready=False)
        called = one.node.client().call(FAR, 1, timeout=3)
        one.later(1)
        one.open_gate()
        one.settle()
        one.later(3)
        self.failureResultOf(called, PeerDown)

    def test_cancelled_in_waiting(self) -> None:
        """A call that was cancelled while it waited is not sent."""
        called = self.client.call(FAR, 1)
        self.client.send(FAR, 2)
        called.cancel()
        self.failureResultOf(called)
        self.remote.up(2)
        self.assertEqual(numbers(self.remote.take()), [2])

    def test_too_large(self) -> None:
        """What the wire does not carry is refused; the link lives on."""
        self.remote.up(2)
        huge = "x" * MAX_PAYLOAD
        with self.assertRaises(TooLarge):
            self.client.send(FAR, huge)
        with self.assertRaises(TooLarge):
            self.client.send("BANK", huge)
        error = self.failureResultOf(self.client.call(FAR, huge), TooLarge).value
        self.assertTrue(error.retry_safe)
        self.assertEqual(error.limit, MAX_PAYLOAD)
        self.client.send(FAR, "small")
        self.assertEqual(numbers(self.remote.take()), ["small"])

    def test_largest(self) -> None:
        """The largest payload passes."""
        self.remote.up(2)
        self.client.send(FAR, b"x" * MAX_PAYLOAD, ptype=PType.TEXT)
        self.assertEqual(len(self.remote.one().payload), MAX_PAYLOAD)
        with self.assertRaises(TooLarge):
            self.client.send(FAR, b"x" * (MAX_PAYLOAD + 1), ptype=PType.TEXT)

    def test_not_packable(self) -> None:
        """Values that cannot be packed are refused, and nothing is sent."""
        self.remote.up(2)
        with self.assertRaises(PackError):
            self.client.send(FAR, object())
        self.failureResultOf(self.client.call(FAR, object()), PackError)
        self.failureResultOf(self.client.call("BANK", object()), PackError)
        with self.assertRaises(PackError):
            self.client.send(FAR, "no bytes", ptype=PType.TEXT)
        self.assertEqual(self.remote.take(), [])
        self.assertEqual(len(self.one.node._core.calls), 0)

    def test_gone(self) -> None:
        """What waits for a harbor that is gone is refused, and what comes later."""
        called = self.client.call(FAR, 1)
        self.client.send(FAR, 2)
        self.remote.gone(2, "it left")
        error = self.failureResultOf(called, PeerDown).value
        self.assertIn("it left", str(error))
        self.assertTrue(error.retry_safe)
        self.failureResultOf(self.client.call(FAR, 3), PeerDown)
        self.client.send(FAR, 4)
        self.assertEqual(len(self.one.node.ledger.dead_letters), 2)

    def test_name_of_gone(self) -> None:
        """What waits for a name whose owner's harbor is gone is refused."""
        self.remote.gone(2)
        called = self.client.call("BANK", 1)
        self.client.send("BANK", 2)
        self.remote.known("BANK", FAR)
        self.failureResultOf(called, PeerDown)
        self.assertEqual(len(self.one.node.ledger.dead_letters), 1)

    def test_comes_back(self) -> None:
        """A harbor that is expected again, or linked again, is no longer gone."""
        self.remote.gone(2)
        self.remote.receiver.harbor_expected(2)
        self.client.send(FAR, 1)
        self.remote.up(2)
        self.assertEqual(numbers(self.remote.take()), [1])
        self.remote.lost(2)
        self.remote.gone(2)
        self.remote.up(2)
        self.client.send(FAR, 2)
        self.assertEqual(numbers(self.remote.take()), [2])

    def test_lost(self) -> None:
        """A lost link fails the calls that were written, and no others."""
        self.remote.up(2)
        self.remote.up(3)
        written = self.client.call(FAR, 1)
        elsewhere = self.client.call(FARTHER, 2)
        self.remote.busy(2)
        waiting = self.client.call(FAR, 3)
        self.remote.take()
        self.remote.lost(2, "it was cut")
        error = self.failureResultOf(written, LinkLost).value
        self.assertFalse(error.retry_safe)
        self.assertIn("it was cut", str(error))
        self.assertNoResult(elsewhere)
        self.assertNoResult(waiting)
        self.remote.up(2)
        self.remote.answer(self.remote.one(), "answer")
        self.assertEqual(self.successResultOf(waiting), "answer")

    def test_lost_by_name(self) -> None:
        """A call by name which was written is lost with the link, too."""
        self.remote.up(2)
        waited = self.client.call("BANK", 1)
        self.remote.known("BANK", FAR)
        direct = self.client.call("BANK", 2)
        self.remote.lost(2)
        self.failureResultOf(waited, LinkLost)
        self.failureResultOf(direct, LinkLost)

    def test_lost_in_a_turn(self) -> None:
        """What is sent after the loss waits for the next link."""
        self.remote.up(2)
        self.remote.lost(2)
        self.client.send(FAR, 1)
        self.assertEqual(self.remote.take(), [])
        self.remote.up(2)
        self.assertEqual(numbers(self.remote.take()), [1])

    def test_retried_at_loss(self) -> None:
        """A caller that calls again when its link is lost waits for the next."""
        self.remote.up(2)

        async def insist() -> Any:
            try:
                return await self.client.call(FAR, "first")
            except LinkLost:
                return await self.client.call(FAR, "second")

        done = Deferred.fromCoroutine(insist())
        self.remote.take()
        self.remote.lost(2)
        self.remote.up(2)
        self.remote.answer(self.remote.one(), 5)
        self.assertEqual(self.successResultOf(done), 5)

    def test_own_name(self) -> None:
        """What waits for a name that an actor of this node takes goes to it."""
        self.client.send("ECHO", "NOTE", 1)
        self.client.send("ECHO", "NOTE", [2])
        called = self.client.call("ECHO", "ECHO", 3)
        _handle, echo = self.spawn(self.one, Echo)
        echo.register("ECHO")
        self.remote.echo()
        self.assertEqual(echo.got, [1, [2]])
        self.assertEqual(self.successResultOf(called), 3)

    def test_own_name_full(self) -> None:
        """A call which finds the actor's mailbox full then is refused."""
        one = self.world(limits=Limits(messages=2))
        client = one.node.client()
        handle, echo = self.spawn(one, Echo)
        client.send(handle, "NOTE", 1)
        client.send("ECHO", "NOTE", 2)
        called = client.call("ECHO", "NOTE", 3)
        echo.register("ECHO")
        one.remote.echo()
        self.failureResultOf(called, QueueFull)
        one.turn()
        self.assertEqual(echo.got, [1, 2])

    def test_name_of_dead(self) -> None:
        """A name that the master gives to nobody of this node fails the calls."""
        called = self.client.call("ECHO", 1)
        self.remote.known("ECHO", 0x01000077)
        self.failureResultOf(called, NoSuchActor)

    def test_out_of_reach(self) -> None:
        """Handles of harbor 0 lead nowhere; nor does any in a node without one."""
        self.failureResultOf(self.client.call(5, "X"), PeerDown)
        one = self.world(0)
        self.failureResultOf(one.node.client().call(FAR, "X"), PeerDown)
        one.node.client().send(FAR, "X")
        self.assertEqual(len(one.node.ledger.dead_letters), 1)

    def test_stop(self) -> None:
        """When the node stops, what waits is refused."""
        failed: list[Any] = []
        for dest in (FAR, "BANK"):
            self.client.call(dest, 1).addErrback(failed.append)
        self.client.send(FAR, 2)
        self.one.node.stop()
        self.assertEqual(len(failed), 2)
        self.assertEqual(self.one.node.waiting(), 0)


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
        flushes = self.remote.links[2].flushes
        self.one.node._incoming.frames_received(frames)
        sent = self.remote.take()
        self.assertEqual(numbers(sent), list(range(1, 101)))
        self.assertEqual([one.session for one in sent], list(range(1, 101)))
        self.assertEqual(self.remote.links[2].flushes, flushes + 1)

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


class BacklogTests(NodeTestCase):
    """Reading stops while too much waits for the processor."""

    def setUp(self) -> None:
        # A clock that runs: each turn handles one batch.
        self.one = self.world(limits=Limits(backlog=40))
        self.one.node._core.scheduler._clock = cast(IReactorTime, _Slow(self.one))
        self.remote = self.one.remote
        self.remote.up(2)

    def receive(self, handle: int, count: int, *values: Any) -> None:
        frames = [self.remote.frame(handle, *values) for _ in range(count)]
        self.remote.receiver.frames_received(2, frames)

    def test_pause(self) -> None:
        """Above the limit no link is read until half of it is handled."""
        handle, echo = self.spawn(self.one, Echo)
        self.receive(handle, 40, "NOTE", 1)
        self.assertTrue(self.remote.reading)
        self.receive(handle, 40, "NOTE", 1)
        self.assertFalse(self.remote.reading)
        while not self.remote.reading:
            self.one.clock.advance(0)
        self.assertLess(len(cell_of(echo).mailbox), 20)
        self.one.turn()
        self.assertEqual(len(echo.got), 80)

    def test_actor_ends(self) -> None:
        """What waits for an actor that ends no longer counts."""
        for _ in range(5):
            handle, echo = self.spawn(self.one, Echo)
            self.receive(handle, 60, "NOTE", 1)
            self.assertFalse(self.remote.reading)
            echo.exit()
            self.assertTrue(self.remote.reading)

    def test_gated(self) -> None:
        """What waits for an actor to start counts from when it has started."""

        class Late(Echo):
            async def started(self, wait: Deferred[None]) -> None:
                await wait

        for payload in (b"", None):
            wait: Deferred[None] = Deferred()
            spawned = self.one.node.spawn(Late, wait)
            context = self.one.node.actors()[-1]
            frames = [
                self.remote.frame(context.handle, 1, payload=payload, session=0)
                for _ in range(60)
            ]
            self.remote.receiver.frames_received(2, frames)
            self.assertTrue(self.remote.reading)
            wait.callback(None)
            self.one.turn()
            self.successResultOf(spawned)
            self.assertEqual(self.one.node._core.backlog.count, 0)

    def test_crowd_at_gate(self) -> None:
        """Reading stops while too much waits for an actor that starts."""

        class Late(Echo):
            async def started(self, wait: Deferred[None], dest: int) -> None:
                if dest:
                    await self.call(dest, "X")
                await wait

        one = self.world(limits=Limits(messages=100))
        one.remote.up(2)
        wait: Deferred[None] = Deferred()
        spawned = one.node.spawn(Late, wait, 0)
        context = one.node.actors()[-1]
        frames = [one.remote.frame(context.handle, "NOTE", n) for n in range(60)]
        one.remote.receiver.frames_received(2, frames[:50])
        self.assertTrue(one.remote.reading)
        one.remote.receiver.frames_received(2, frames[50:])
        self.assertFalse(one.remote.reading)
        wait.callback(None)
        one.turn()
        self.successResultOf(spawned)
        self.assertTrue(one.remote.reading)
        self.assertEqual(len(context.actor.got), 60)  # type: ignore[attr-defined]
        # One whose start waits for an answer over a link gets that answer.
        wait = Deferred()
        spawned = one.node.spawn(Late, wait, FAR)
        sent = one.remote.one()
        context = one.node.actors()[-1]
        frames = [one.remote.frame(context.handle, "NOTE", n) for n in range(60)]
        one.remote.receiver.frames_received(2, frames)
        self.assertTrue(one.remote.reading)
        one.remote.answer(sent)
        self.assertFalse(one.remote.reading)
        wait.callback(None)
        one.turn()
        self.successResultOf(spawned)
        self.assertTrue(one.remote.reading)

    def test_answers_at_gate(self) -> None:
        """Answers that pass the gate do not count."""

        class Caller(Actor):
            async def started(self) -> None:
                await self.call(FAR, "X")

        for ends in (False, True):
            spawned = self.one.node.spawn(Caller)
            sent = self.remote.one()
            if ends:
                self.remote.receive(
                    sent.source, session=sent.session, ptype=PType.ERROR
                )
                self.one.turn()
                self.failureResultOf(spawned, RemoteError)
            else:
                self.remote.answer(sent, 1)
                self.one.turn()
                self.successResultOf(spawned)
            self.assertEqual(self.one.node._core.backlog.count, 0)


class _Slow:
    """A world's clock, as if each look at it had taken a second."""

    def __init__(self, world: World) -> None:
        self.callLater = world.clock.callLater
        self._now = 0.0

    def seconds(self) -> float:
        self._now += 1.0
        return self._now


class Slow(Echo):
    """Starts when a test says so."""

    async def started(self, wait: Deferred[None], dest: int = 0) -> None:
        if dest:
            self.got.append(await self.call(dest, "X"))
        await wait
        self.got.append("started")


class GateTests(NodeTestCase):
    """No remote message reaches an actor too early."""

    def setUp(self) -> None:
        self.one = self.world(ready=False)
        self.remote = self.one.remote
        self.remote.up(2)

    def finish(self) -> None:
        self.one.open_gate()
        self.one.settle()
        self.one.turn()

    def test_before_peers(self) -> None:
        """Before ``peers`` even an actor that has started gets nothing."""
        handle, echo = self.spawn(self.one, Echo)
        for n in range(3):
            self.remote.receive(handle, "NOTE", n)
        self.one.turn()
        self.assertEqual(echo.got, [])
        self.one.open_gate()
        self.remote.receive(handle, "NOTE", 3)
        self.one.turn()
        self.assertEqual(echo.got, [0, 1, 2, 3])
        self.one.settle()
        self.assertEqual(self.one.node._core.backlog.count, 0)

    def test_actor_made_before_peers(self) -> None:
        """A message that came before its actor waits for ``peers`` as well."""
        self.remote.receive(1, "NOTE", 1)
        handle, echo = self.spawn(self.one, Echo)
        self.assertEqual(handle.index, 1)
        self.assertEqual(echo.got, [])
        self.one.open_gate()
        self.one.turn()
        self.assertEqual(echo.got, [1])
        self.one.settle()

    def test_before_started(self) -> None:
        """Before ``started`` is done messages wait, from here and from there."""
        self.one.open_gate()
        wait: Deferred[None] = Deferred()
        spawned = self.one.node.spawn(Slow, wait)
        [context] = self.one.node.actors()
        client = self.one.node.client()
        self.remote.receive(context.handle, "NOTE", 1)
        client.send(context.handle, "NOTE", 2)
        self.remote.receive(context.handle, "NOTE", 3)
        self.one.turn()
        self.assertEqual(self.one.actor(context.handle).got, [])
        wait.callback(None)
        self.one.turn()
        self.successResultOf(spawned)
        self.assertEqual(self.one.actor(context.handle).got, ["started", 1, 2, 3])
        self.one.settle()

    def test_answers_pass(self) -> None:
        """The answers to what ``started`` asks pass both gates."""
        wait: Deferred[None] = Deferred()
        spawned = self.one.node.spawn(Slow, wait, FAR)
        [context] = self.one.node.actors()
        self.remote.receive(context.handle, "NOTE", 1)
        self.remote.answer(self.remote.one(), "answer")
        self.assertEqual(self.one.actor(context.handle).got, ["answer"])
        wait.callback(None)
        self.successResultOf(spawned)
        self.assertEqual(self.one.actor(context.handle).got, ["answer", "started"])
        self.finish()
        self.assertEqual(self.one.actor(context.handle).got, ["answer", "started", 1])

    def test_not_there_yet(self) -> None:
        """During the boot a message waits for an actor that does not exist yet."""
        self.remote.receive(1, "NOTE", 1)
        self.one.open_gate()
        self.remote.receive(1, "NOTE", 2)
        self.assertEqual(self.remote.take(), [])
        handle, echo = self.spawn(self.one, Echo)
        self.assertEqual(handle.index, 1)
        self.assertEqual(echo.got, [1, 2])
        self.one.settle()

    def test_never_there(self) -> None:
        """What waited for an actor that the boot did not bring is refused."""
        self.remote.receive(9, "NOTE", 1)
        self.remote.receive(9, "NOTE", 1, session=7)
        self.remote.receive(9, session=7, ptype=PType.ERROR)
        self.one.open_gate()
        self.assertEqual(self.remote.take(), [])
        self.one.settle()
        errors = [(sent.source, sent.session) for sent in self.remote.take()]
        self.assertEqual(errors, [(0x01000009, 0), (0x01000009, 7)])

    def test_no_index(self) -> None:
        """Index 0 is nobody's, ever."""
        self.remote.receive(0, "NOTE", 1, session=7)
        self.assertEqual(self.remote.one().ptype, PType.ERROR)
        self.finish()

    def test_bounds(self) -> None:
        """What waits at the gate is bounded in messages and bytes."""
        for limits in (Limits(messages=5), Limits(size=5 * 10)):
            one = self.world(limits=limits, ready=False)
            one.remote.up(2)
            for index in range(1, 11):
                one.remote.receive(index, session=7, payload=b"x" * 10)
            self.assertEqual(one.node._incoming.waiting(), 5)
            self.assertEqual(len(one.remote.take()), 5)
            one.open_gate()
            one.settle()
            self.assertEqual(one.node._core.outboxes.waiting(), 0)

    def test_bounds_at_actor(self) -> None:
        """What waits for an actor's ``started`` is bounded in messages and bytes."""
        for limits in (Limits(messages=5), Limits(size=5 * 10)):
            one = self.world(limits=limits)
            one.remote.up(2)
            wait: Deferred[None] = Deferred()
            spawned = one.node.spawn(Slow, wait)
            [context] = one.node.actors()
            for _ in range(10):
                one.remote.receive(context.handle, session=7, payload=b"x" * 10)
            self.assertEqual(len(context.mailbox), 5)
            self.assertEqual(len(one.remote.take()), 5)
            wait.callback(None)
            self.successResultOf(spawned)
            one.turn()

    def test_stop_in_boot(self) -> None:
        """A node that stops in its boot refuses what waits at the gate."""
        one = self.world(ready=False)
        one.remote.up(2)
        one.remote.receive(1, "NOTE", 1, session=7)
        one.node.stop()
        self.assertEqual(one.node.waiting(), 0)
        self.assertEqual(one.remote.one().ptype, PType.ERROR)
        self.finish()


class RedirectTests(NodeTestCase):
    """Messages that an actor of another node answers, or asked."""

    def setUp(self) -> None:
        self.one = self.world()
        self.remote = self.one.remote
        self.client = self.one.node.client()

        class Pass(Actor):
            @command
            def PASS(self, dest: int | str, *args: Any, **rest: Any) -> Any:
                return self.redirect(dest, *args, **rest)

            @command
            def TEXT(self, dest: int, raw: bytes) -> Any:
                return self.redirect(dest, raw, ptype=PType.TEXT)

        self.handle, _ = self.spawn(self.one, Pass)

    def test_outwards(self) -> None:
        """A local call is answered by an actor of another node."""
        self.remote.up(2)
        called = self.client.call(self.handle, "PASS", FAR, "X", 1)
        self.one.turn()
        sent = self.remote.one()
        self.assertEqual(sent[:3], (FAR, self.client.handle, PType.LUA))
        self.assertEqual(sent.values, ("X", 1))
        self.remote.answer(sent, "answer")
        self.assertEqual(self.successResultOf(called), "answer")

    def test_outwards_raw(self) -> None:
        """A redirect as a raw type gets the raw answer."""
        self.remote.up(2)
        called = self.client.call(self.handle, "TEXT", FAR, b"ask")
        self.one.turn()
        self.remote.answer(self.remote.one(), payload=b"\x0c")
        self.assertEqual(self.successResultOf(called), b"\x0c")

    def test_outwards_waits(self) -> None:
        """It waits for a name and a link, and has the node's time limit."""
        calls = [self.client.call(self.handle, "PASS", d, 1) for d in (FAR, "BANK")]
        calls.append(self.client.call(self.handle, "PASS", "NEVER", 1))
        self.one.turn()
        self.remote.known("BANK", FAR)
        self.remote.up(2)
        for sent, called in zip(self.remote.take(), calls, strict=False):
            self.remote.answer(sent, "answer")
            self.assertEqual(self.successResultOf(called), "answer")
        self.one.later(31)
        error = self.failureResultOf(calls[-1], NoSuchName).value
        self.assertIn("NEVER", str(error))

    def test_outwards_lost(self) -> None:
        """It is lost with the link that it was written to."""
        self.remote.up(2)
        called = self.client.call(self.handle, "PASS", FAR, 1)
        self.one.turn()
        self.remote.lost(2)
        self.failureResultOf(called, LinkLost)

    def test_outwards_gone(self) -> None:
        """To a harbor that is gone it is an error of the handler."""
        self.remote.gone(2)
        called = self.client.call(self.handle, "PASS", FAR, 1)
        self.one.turn()
        self.failureResultOf(called, RemoteError)
        self.assertEqual(len(self.flushLoggedErrors(PeerDown)), 1)
        self.assertEqual(len(self.one.node._core.calls), 0)

    def test_gone_while_waiting(self) -> None:
        """When the harbor goes while it waits, the caller hears of it."""
        called = self.client.call(self.handle, "PASS", FAR, 1)
        self.one.turn()
        self.remote.gone(2)
        self.failureResultOf(called, PeerDown)

    def test_inwards(self) -> None:
        """A remote call is answered by another actor of this node."""
        self.remote.up(2)
        echo, _ = self.spawn(self.one, Echo)
        self.remote.receive(self.handle, "PASS", echo, "ECHO", 5, session=7)
        sent = self.remote.one()
        self.assertEqual(sent[:4], (FAR, echo, PType.RESPONSE, 7))
        self.assertEqual(sent.values, (5,))

    def test_through(self) -> None:
        """A remote call goes on to another node in its caller's name."""
        self.remote.up(2)
        self.remote.up(3)
        self.remote.receive(self.handle, "PASS", FARTHER, "X", session=7)
        sent = self.remote.one()
        self.assertEqual(sent[:4], (FARTHER, FAR, PType.LUA, 7))
