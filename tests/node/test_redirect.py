"""Messages that are passed on, near and far."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError

from skynet_tw.errors import (
    LinkLost,
    NoSuchName,
    PeerDown,
    RemoteError,
)
from skynet_tw.handle import Handle
from skynet_tw.message import PType
from skynet_tw.node.actor import Actor, command

from .support import (
    Echo,
    NodeTestCase,
)

FAR = Handle(0x0200000A)
FARTHER = Handle(0x0300000B)


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

    def test_outwards_cancelled(self) -> None:
        """A call of which nobody awaits the answer is passed on as a message."""
        one = self.world(call_timeout=0.0)
        one.remote.up(2)
        client = one.node.client()

        class Later(Actor):
            @command
            async def PASS(self, dest: int) -> Any:
                await self.sleep(1)
                return self.redirect(dest, "X")

        handle, _ = self.spawn(one, Later)
        called = client.call(handle, "PASS", FAR)
        one.turn()
        called.cancel()
        self.failureResultOf(called, CancelledError)
        one.turn(1)
        self.assertEqual(one.remote.one().session, 0)
        self.assertEqual(one.node.status().calls, ())

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
