"""What the tests of the node layer share: a remote layer without a network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol, TypeVar, cast

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import Clock
from twisted.logger import LogEvent
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from skynet_tw import seri
from skynet_tw.handle import Handle
from skynet_tw.interfaces import (
    ILink,
    ILinkReceiver,
    IRemote,
    IRemoteReceiver,
    LinkInfo,
    Peer,
)
from skynet_tw.message import PType
from skynet_tw.node.actor import Actor, command
from skynet_tw.node.dispatch import ActorCell
from skynet_tw.node.limits import Limits
from skynet_tw.node.node import Node

_A = TypeVar("_A", bound=Actor)

#: The largest payload that the fake wire carries.
MAX_PAYLOAD = 1000


class Sent(NamedTuple):
    """A message that was written to a link."""

    destination: Any
    source: int
    ptype: int
    session: int
    payload: bytes

    @property
    def values(self) -> tuple[Any, ...]:
        """What the payload says; an error's is text."""
        if self.ptype == PType.ERROR:
            return ()
        return seri.unpack(self.payload)


class FakeLayer(Protocol):
    """What a fake link belongs to."""

    written: list[Sent]

    @property
    def receiver(self) -> ILinkReceiver: ...


@implementer(ILink)
class FakeLink:
    """Records what is written to one peer.

    :param room: how many flushes the transport takes until it says it is busy.
    """

    def __init__(self, remote: FakeLayer, peer: Peer, room: int | None) -> None:
        self.peer = peer
        self.room = room
        self.flushes = 0
        self._remote = remote
        self._collected: list[Sent] = []

    def send(
        self, destination: Any, source: int, ptype: int, session: int, payload: bytes
    ) -> None:
        self._collected.append(Sent(destination, source, ptype, session, payload))

    def flush(self) -> None:
        self.flushes += 1
        self._remote.written.extend(self._collected)
        self._collected.clear()
        if self.room is not None:
            self.room -= 1
            if self.room <= 0:
                self._remote.receiver.link_busy(self.peer)


@implementer(IRemote)
class FakeRemote:
    """A remote layer which does what a test tells it."""

    max_payload = MAX_PAYLOAD
    name_limit = 15
    receiver: IRemoteReceiver

    def __init__(self, harbor: int = 1) -> None:
        self.harbor = harbor
        #: All that was flushed, to whatever harbor, in order.
        self.written: list[Sent] = []
        self.registered: list[tuple[str, int]] = []
        self.queried: list[str] = []
        self.reading = True
        self.left = False
        #: Whether names go to the last who registers them, as in 2013.
        self.moves = False
        #: The harbors that are gone.
        self.departed: set[Peer] = set()
        self.fake_links: dict[Peer, FakeLink] = {}
        self.waits: list[str] = []
        # The boot's steps: what they answer, until a test fires it.
        self.binding: Deferred[None] = Deferred()
        self.joining: Deferred[None] = Deferred()
        self.linking: Deferred[None] = Deferred()

    # IRemote

    def pack(self, values: Sequence[Any]) -> bytes:
        return seri.pack_values(values)

    def unpack(self, payload: bytes) -> tuple[Any, ...]:
        return seri.unpack(payload)

    def attach(self, receiver: IRemoteReceiver) -> None:
        self.receiver = receiver

    def bind(self) -> Deferred[None]:
        return self.binding

    def join(self) -> Deferred[None]:
        return self.joining

    def when_linked(self) -> Deferred[None]:
        return self.linking

    def waiting_for(self) -> list[str]:
        return self.waits

    def linked(self) -> list[int]:
        return sorted(peer for peer in self.fake_links if isinstance(peer, int))

    def links(self) -> list[LinkInfo]:
        return [
            LinkInfo(peer, f"host:{peer}", 1.0, 2, link.flushes, False)
            for peer, link in self.fake_links.items()
        ]

    def register(self, name: str, handle: int) -> None:
        self.registered.append((name, handle))

    def may_take(self, owner: int) -> bool:
        return self.moves or owner >> 24 in self.departed

    def query(self, name: str) -> None:
        self.queried.append(name)

    def pause_reading(self) -> None:
        assert self.reading
        self.reading = False

    def resume_reading(self) -> None:
        assert not self.reading
        self.reading = True

    def leave(self) -> Deferred[None]:
        self.left = True
        done: Deferred[None] = Deferred()
        done.callback(None)
        return done

    # What a test lets happen

    def up(self, harbor: Peer, room: int | None = None) -> FakeLink:
        """A link is up."""
        self.departed.discard(harbor)
        link = self.fake_links[harbor] = FakeLink(self, harbor, room)
        self.receiver.link_ready(harbor, link)
        return link

    def busy(self, harbor: Peer) -> None:
        """The transport of a link is full."""
        self.receiver.link_busy(harbor)

    def free(self, harbor: Peer, room: int | None = None) -> None:
        """The transport of a link takes more."""
        self.fake_links[harbor].room = room
        self.receiver.link_ready(harbor, self.fake_links[harbor])

    def lost(self, harbor: Peer, reason: str = "it was cut") -> None:
        """A link breaks."""
        del self.fake_links[harbor]
        self.receiver.link_lost(harbor, reason)

    def gone(self, harbor: Peer, reason: str = "the master said so") -> None:
        """A harbor is gone."""
        self.departed.add(harbor)
        self.receiver.peer_gone(harbor, reason)

    def known(self, name: str, handle: int) -> None:
        """The master tells a name."""
        self.receiver.name_known(name, handle)

    def echo(self) -> None:
        """The master confirms all registrations."""
        registered, self.registered = self.registered, []
        for name, handle in registered:
            self.known(name, handle)

    def take(self) -> list[Sent]:
        """What was written since the last time."""
        written, self.written = self.written, []
        return written

    def one(self) -> Sent:
        """The one message that was written since the last time."""
        [sent] = self.take()
        return sent

    def frame(
        self,
        to: int,
        *values: Any,
        source: int = 0x0200000A,
        session: int = 0,
        ptype: int = PType.LUA,
        payload: bytes | None = None,
    ) -> tuple[int, int, int, bytes]:
        """A message from another node."""
        if payload is None:
            payload = seri.pack_values(values)
        return (source, ptype << 24 | to & 0xFFFFFF, session, payload)

    def receive(self, to: int, *values: Any, **rest: Any) -> None:
        """One message comes in, see `frame`."""
        frame = self.frame(to, *values, **rest)
        self.receiver.frames_received(frame[0] >> 24, [frame])

    def answer(self, sent: Sent, *values: Any, payload: bytes | None = None) -> None:
        """The callee answers a request."""
        self.receive(
            sent.source,
            *values,
            source=sent.destination,
            session=sent.session,
            ptype=PType.RESPONSE,
            payload=payload,
        )


class World:
    """A node with a clock and a fake remote layer.

    :param harbor: 0 for a node without a remote layer.
    :param ready: whether the boot is done.
    :param options: more of what the node takes.
    """

    def __init__(
        self,
        harbor: int = 1,
        *,
        limits: Limits | None = None,
        call_timeout: float = 30.0,
        ready: bool = True,
        **options: Any,
    ) -> None:
        self.clock = Clock()
        self.remote = FakeRemote(harbor)
        remote = self.remote if harbor else None
        options.update(call_timeout=call_timeout, limits=limits)
        self.node = Node(self.clock, remote, **options)
        if ready and harbor:
            self.open_gate()
            self.settle()

    def open_gate(self) -> None:
        """The boot is past the stage ``peers``."""
        self.node.open_gate()

    def slow(self) -> None:
        """From now on a batch takes a second: each turn handles one."""
        self.node._core.scheduler._clock = cast(IReactorTime, _Slow(self))

    def settle(self) -> None:
        """The boot is past the stage ``actors``."""
        self.node.boot_done()

    def turn(self, seconds: float = 0.0) -> None:
        """Let the actors run, and time pass."""
        self.clock.advance(0)
        if seconds:
            self.clock.advance(seconds)

    def later(self, seconds: int) -> None:
        """Let time pass second by second."""
        for _ in range(seconds):
            self.turn(1.0)

    def actor(self, handle: int) -> Any:
        """The actor at a handle."""
        return self.node._cells.table[handle].actor

    @property
    def balance(self) -> int:
        """What the ledger cannot account for."""
        return self.node.ledger.balance(self.node.status().ledger.waiting)

    @property
    def backlog(self) -> int:
        """How many messages from other nodes wait for the processor."""
        return self.node._core.backlog.count

    def stop(self, within: float = 11.0) -> None:
        """Stop the node, and let time pass until its actors have ended."""
        over: list[object] = []
        self.node.stop().addBoth(over.append)
        for _ in range(round(within * 10)):
            if not over:
                self.turn(0.1)
        assert over == [None], f"not stopped after {within:g} s: {over}"


class _Slow:
    """A world's clock, as if each look at it had taken a second."""

    def __init__(self, world: World) -> None:
        self.callLater = world.clock.callLater
        self._now = 0.0

    def seconds(self) -> float:
        self._now += 1.0
        return self._now


class Echo(Actor):
    """Answers in every way, and records the messages of which nobody waits."""

    def __init__(self) -> None:
        self.got: list[Any] = []
        self.waits: list[Deferred[Any]] = []

    @command
    def NOTE(self, *values: Any) -> None:
        self.got.append(values[0] if len(values) == 1 else values)

    @command
    def ECHO(self, *values: Any) -> tuple[Any, ...]:
        return values

    @command
    def SAME(self, value: Any) -> Any:
        return value

    @command
    def FAIL(self, text: str = "no") -> None:
        raise ValueError(text)

    @command
    async def WAIT(self, *values: Any) -> Any:
        wait: Deferred[Any] = Deferred()
        self.waits.append(wait)
        return await wait

    @command
    def SENDER(self) -> int:
        return self.sender

    @command
    def EXIT(self) -> str:
        self.exit()
        return "bye"


class NodeTestCase(SynchronousTestCase):
    """A test with a world, which balances and leaves nothing behind."""

    def world(self, *args: Any, **kwargs: Any) -> World:
        """Make a world that is checked at the end of the test."""
        world = World(*args, **kwargs)
        self.addCleanup(self.over, world)
        return world

    def over(self, world: World) -> None:
        """Stop a world: it balances, and leaves nothing behind."""
        world.turn()
        self.assertEqual(world.balance, 0, "before the stop")
        world.stop()
        self.assertEqual(world.balance, 0, "after the stop")
        self.assertEqual(world.clock.getDelayedCalls(), [])
        self.assertEqual(len(world.node._core.calls), 0)
        self.assertEqual(world.node.actors(), [])

    def stop(self, node: Node, clock: Clock) -> None:
        """Stop a node whose actors have nothing to wait for; it may take turns."""
        stopped = node.stop()
        for _ in range(1000):
            if stopped.called:
                break
            clock.advance(0)
        self.successResultOf(stopped)

    def spawn(self, world: World, kind: type[_A], *args: Any) -> tuple[Handle, _A]:
        """Start an actor which does not wait for anything."""
        spawned = world.node.spawn(kind, *args)
        world.turn()
        handle = self.successResultOf(spawned)
        return handle, world.actor(handle)

    def call(self, world: World, *args: Any, **rest: Any) -> Any:
        """The answer to a call from a client to an actor of the same node."""
        client = world.node.client()
        called = client.call(*args, **rest)
        world.turn()
        answer = self.successResultOf(called)
        client.exit()
        return answer

    def from_far(
        self, world: World, to: int, *values: Any, session: int = 7, wait: float = 0
    ) -> list[Sent]:
        """What leaves for harbor 2 after a request from there, and some seconds."""
        world.remote.take()
        world.remote.receive(to, *values, session=session)
        world.turn(wait)
        return world.remote.take()

    def ends(self, waiting: Deferred[Any]) -> list[Any]:
        """A list to which a Deferred adds its result or its `Failure` when it fires."""
        ends: list[Any] = []
        waiting.addBoth(ends.append)
        return ends

    def logged(self, error: type[BaseException]) -> list[LogEvent]:
        """Take the logged errors of a kind."""
        return list(self.flushLoggedErrors(error))


def cell_of(actor: Actor) -> ActorCell:
    """What the node keeps for an actor."""
    return actor._cell
