"""What leaves a node: order, fate, bounds and truth; and its seam."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
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
    TooLarge,
)
from skynet_tw.handle import Handle
from skynet_tw.interfaces import ILink, IRemote, IRemoteReceiver
from skynet_tw.message import PType
from skynet_tw.node.actor import Actor, command
from skynet_tw.node.limits import Limits
from skynet_tw.node.writes import FLUSH_SIZE

from .support import (
    MAX_PAYLOAD,
    Echo,
    FakeLink,
    FakeRemote,
    NodeTestCase,
    Sent,
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
        """The receiver and the fakes of the tests are what they say."""
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

    def up_and_lost(self, back: bool) -> Deferred[Any]:
        """Break a link at its first flush, where a call waits that is then repeated.

        :param back: whether another link is up at once.
        """
        flush = FakeLink.flush

        def breaks(link: FakeLink) -> None:
            self.patch(FakeLink, "flush", flush)
            link.flush()
            self.remote.lost(2)
            if back:
                self.remote.up(2)

        def again(failure: Failure) -> Deferred[Any]:
            failure.trap(LinkLost)
            return self.client.call(FAR, 2, timeout=None)

        called = self.client.call(FAR, 1, timeout=None).addErrback(again)
        self.patch(FakeLink, "flush", breaks)
        self.remote.up(2)
        return called

    def answer_last(self) -> None:
        """Both calls were written once; answer the second."""
        sent = self.remote.take()
        self.assertEqual(numbers(sent), [1, 2])
        self.remote.answer(sent[-1], 3)

    def test_lost_while_draining(self) -> None:
        """A link that breaks while it takes what waited is not written to again."""
        called = self.up_and_lost(back=False)
        [status] = self.one.node.status().calls
        self.assertEqual(status.stage, "link")
        self.remote.up(2)
        self.answer_last()
        self.assertEqual(self.successResultOf(called), 3)

    def test_back_while_draining(self) -> None:
        """Nor is it when the next link is up at once: what waits goes there."""
        called = self.up_and_lost(back=True)
        [status] = self.one.node.status().calls
        self.assertEqual(status.stage, "sent")
        self.answer_last()
        self.assertEqual(self.successResultOf(called), 3)

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

    def test_answered_in_waiting(self) -> None:
        """A call that somebody answers before it has left does not leave any more."""
        called = self.client.call(FAR, "X", timeout=None)
        [status] = self.one.node.status().calls
        frame = self.remote.frame(
            self.client.handle, 1, session=status.session, ptype=PType.RESPONSE
        )
        scheduler = self.one.node._core.scheduler
        scheduler.running = True  # The answer stays in the mailbox.
        self.remote.receiver.frames_received(2, [frame])
        self.remote.up(2)
        scheduler.running = False
        scheduler.run()
        self.assertEqual(self.remote.take(), [])
        self.assertEqual(self.successResultOf(called), 1)
        self.assertEqual(self.one.node.status().calls, ())

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

    def test_busy_without_a_link(self) -> None:
        """A harbor that is gone stays so, whatever its last link says."""
        self.remote.up(2)
        self.remote.lost(2)
        self.remote.gone(2)
        self.remote.busy(2)
        self.failureResultOf(self.client.call(FAR, "X"), PeerDown)

    def test_comes_back(self) -> None:
        """A harbor that is expected again, or linked again, is no longer gone."""
        self.remote.gone(2)
        self.remote.receiver.peer_expected(2)
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
        self.assertEqual(self.one.node.status().ledger.waiting, 0)


class LayerTests(NodeTestCase):
    """A node with several remote layers."""

    def setUp(self) -> None:
        self.one = self.world()
        self.client = self.one.node.client()
        self.harbors = self.one.remote
        #: Another layer, whose peers have names.
        self.named = FakeRemote()
        self.one.node.attach(self.named)

    def to_named(self, name: str, *values: Any) -> list[Any]:
        """The end of a call to an actor of a named peer."""
        payload = self.harbors.pack(("X", *values))
        outgoing = self.one.node._outgoing
        cell = cell_of(self.client)
        reply = outgoing.call(name, cell, FAR, FAR, PType.LUA, payload, 30.0)
        return self.ends(reply)

    def test_own_ways(self) -> None:
        """Each peer has a queue and a link of its own, whatever layer it is of."""
        far = self.ends(self.client.call(FAR, "X", 1))
        named = self.to_named("db", 2)
        self.assertEqual(
            self.one.node.waits(),
            {"the link to harbor 2": 1, "the link to node db": 1},
        )
        self.named.up("db")
        self.assertEqual(numbers(self.named.take()), [2])
        self.assertEqual(self.harbors.take(), [])
        self.harbors.up(2)
        self.harbors.answer(self.harbors.one(), 3)
        self.one.turn()
        self.assertEqual((far, named), ([3], []))
        self.named.lost("db")

    def test_own_losses(self) -> None:
        """A link that is lost costs the calls that were written to it and no others."""
        self.harbors.up(2)
        self.named.up("db")
        far = self.ends(self.client.call(FAR, "X"))
        named = self.to_named("db")
        late = self.to_named("web")
        self.named.lost("db")
        self.assertEqual((len(far), len(named), len(late)), (0, 1, 0))
        named[0].trap(LinkLost)
        self.named.gone("web")
        late[0].trap(PeerDown)
        self.assertIn("node web is gone", late[0].getErrorMessage())
        self.harbors.answer(self.harbors.one(), 1)
        self.one.turn()
        self.assertEqual(far, [1])

    def test_own_time(self) -> None:
        """Whoever waits in vain for a peer is told its name."""
        late = self.to_named("db")
        self.one.later(31)
        late[0].trap(PeerDown)
        self.assertIn("no link to node db for :0200000a", late[0].getErrorMessage())

    def test_reading(self) -> None:
        """When too much waits for the processor, no layer is read."""
        one = self.world(limits=Limits(backlog=4))
        other = FakeRemote()
        one.node.attach(other)
        handle, _ = self.spawn(one, Echo)
        frames = [one.remote.frame(handle, "NOTE", n) for n in range(40)]
        seen: list[bool] = []
        resume = other.resume_reading
        other.resume_reading = lambda: (seen.append(one.remote.reading), resume())  # type: ignore[assignment, func-returns-value]
        one.remote.receiver.frames_received(2, frames)
        one.turn()
        self.assertEqual(len(seen), 1)
        self.assertTrue(other.reading and one.remote.reading)
