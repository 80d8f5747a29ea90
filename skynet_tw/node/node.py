# -*- test-case-name: tests.node.test_actor -*-
"""The node: where actors live, find each other, and reach those of other nodes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from twisted.internet.defer import CancelledError, Deferred, fail, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.python.failure import Failure

from .. import seri
from ..errors import (
    BadAddress,
    NoSuchActor,
    NoSuchName,
    NotReady,
    PeerDown,
    SkynetError,
)
from ..handle import MAX_INDEX, Handle
from ..interfaces import IRemote
from ..message import PACKED_TYPES, PType
from .actor import DEFAULT, Actor, _Default
from .border import Border
from .calls import Calls
from .context import REDIRECTED, Context, Redirected
from .ledger import Ledger
from .limits import Limits
from .names import Names
from .reply import Reply
from .scheduler import Scheduler

_T = TypeVar("_T")

#: Why a one-way message is lost, when it is found out while it is sent.
_LOST: dict[type[BaseException], str] = {
    NoSuchActor: "no such actor",
    NoSuchName: "no such name",
    NotReady: "the node stops",
    PeerDown: "its harbor is out of reach",
}


class Readiness(Protocol):
    """What a node knows of its boot."""

    def when_ready(self) -> Deferred[None]: ...

    def report(self) -> list[Any]: ...


class Node:
    """A Skynet node without sockets and stages; `Boot` adds the stages.

    :param clock: gives the time to everything in the node.
    :param remote: the layer to other nodes, None for a node without one.
    :param call_timeout: the time limit of remote calls, in seconds; 0 for none.
    :param limits: how much may wait in each queue.
    """

    def __init__(
        self,
        clock: IReactorTime,
        remote: IRemote | None = None,
        *,
        call_timeout: float = 30.0,
        limits: Limits | None = None,
    ) -> None:
        self.clock = clock
        #: The id of this harbor, 0 without one.
        self.harbor = 0 if remote is None else remote.harbor
        self.call_timeout = call_timeout
        self.limits = limits or Limits()
        #: Actors by handle, and by those names which actors of this node own.
        self.routes: dict[int | str, Context] = {}
        self.ledger = Ledger()
        #: Answers that came when nobody waited for them any more.
        self.late = 0
        self.unpack = seri.unpack if remote is None else remote.unpack
        self.scheduler = Scheduler(clock, self._flush)
        self.calls = Calls(clock)
        self.border = Border(self, remote)
        self.names = Names(self, remote)
        #: Global names whose owners live in other nodes.
        self._far: dict[int | str, Handle] = self.names.far
        self.calls.explain = self.border.explain
        self._last_index = 0
        self.stopping = False
        self._sleeps: set[Deferred[None]] = set()
        #: Ends the process that the node lives in, see `shutdown`.
        self.on_shutdown: Callable[[], object] | None = None
        #: The boot of this node, where it has one.
        self.boot: Readiness | None = None

    # The boot

    def when_ready(self) -> Deferred[None]:
        """A fresh Deferred, fired when the boot is done; it fails as the boot fails."""
        return succeed(None) if self.boot is None else self.boot.when_ready()

    def boot_report(self) -> list[Any]:
        """What of the boot is done, what is waited for, since when and why."""
        return [] if self.boot is None else self.boot.report()

    def shutdown(self) -> None:
        """Ask whoever runs this node to stop it in order, as a signal would."""
        if self.on_shutdown is None:
            raise SkynetError("nothing runs this node that could stop it")
        self.on_shutdown()

    # Actors

    def actors(self) -> list[Context]:
        """The actors of this node, in the order of their handles."""
        return sorted(set(self.routes.values()), key=lambda context: context.handle)

    def spawn(self, actor_class: type[Actor], *args: Any) -> Deferred[Handle]:
        """Start an actor, see `Actor.spawn`."""
        if self.stopping:
            return fail(NotReady("the node stops"))
        try:
            actor = actor_class()
            context = Context(self, self._new_handle(), actor)
        except Exception:
            return fail(Failure())
        actor._context = context
        self.routes[context.handle] = context
        self.border.adopt(context)
        if actor_class.started is Actor.started:
            # Nothing to wait for: a coroutine saved for each plain actor.
            context.open()
            return succeed(context.handle)
        done: Deferred[Handle] = Deferred()
        context.fork(self._start(context, args, done))
        return done

    async def _start(
        self, context: Context, args: tuple[Any, ...], done: Deferred[Handle]
    ) -> None:
        try:
            await context.actor.started(*args)
        except GeneratorExit:
            done.errback(NotReady(f"{context!r} ended before it had started"))
            raise
        except Exception:
            failure = Failure()
            context.exit(f"its start failed: {failure.getErrorMessage()}")
            done.errback(failure)
        else:
            if context.alive:
                context.open()
            done.callback(context.handle)

    def client(self) -> Actor:
        """An actor without commands, for code that is none, to send and call with."""
        actor = Actor()
        context = actor._context = Context(self, self._new_handle(), actor)
        self.routes[context.handle] = context
        context.open()
        return actor

    def forget(self, context: Context) -> None:
        """Take an actor that ends out of the tables."""
        self.routes.pop(context.handle, None)
        self.names.forget(context)

    def _new_handle(self) -> Handle:
        # Indices are used again only after all others: peers keep handles.
        for _ in range(MAX_INDEX):
            self._last_index = self._last_index % MAX_INDEX + 1
            handle = Handle.of(self.harbor, self._last_index)
            if handle not in self.routes:
                return handle
        raise SkynetError(f"the node has {MAX_INDEX} actors; there are no more handles")

    # Messages of its actors

    def send(
        self, sender: Context, dest: Any, args: tuple[Any, ...], ptype: int
    ) -> None:
        """Send a message one way, see `Actor.send`."""
        try:
            context = self.routes.get(dest)
        except TypeError:
            raise BadAddress(f"{dest!r} is no address") from None
        if context is not None:
            context.put((ptype, sender.handle, 0, args))
            return
        try:
            target = self._far.get(dest) or self._resolve(dest)
            if isinstance(target, Context):
                target.put((ptype, sender.handle, 0, args))
                return
            payload = self.border.encode(ptype, args)
            if isinstance(target, str):
                self.border.send_to_name(target, sender.handle, ptype, 0, payload)
            else:
                self.border.send(target, sender.handle, ptype, 0, payload)
        except tuple(_LOST) as error:
            self.ledger.queued += 1
            self.ledger.drop(_LOST[type(error)], sender.handle, dest, ptype)

    def call(
        self,
        caller: Context,
        dest: Any,
        args: tuple[Any, ...],
        timeout: float | _Default | None,
        ptype: int,
    ) -> Deferred[Any]:
        """Send a request and wait for its answer, see `Actor.call`."""
        try:
            context = self.routes.get(dest)
        except TypeError:
            return fail(BadAddress(f"{dest!r} is no address"))
        try:
            if context is None:
                target = self._far.get(dest) or self._resolve(dest)
                if not isinstance(target, Context):
                    return self._call_far(caller, dest, target, args, timeout, ptype)
                context = target
            reply = Reply(caller, dest)
            reply.target = context.handle
            if caller.gated and context.gated:
                # Each may wait for the other for ever.
                if context is caller:
                    raise NotReady(f"{caller!r} answers nobody before it has started")
                if isinstance(timeout, _Default):
                    timeout = self.call_timeout
            context.put((ptype, caller.handle, reply, args))
            if timeout is not DEFAULT and timeout:
                assert not isinstance(timeout, _Default)
                self.calls.add(reply, timeout)
            return reply
        except SkynetError as error:
            return fail(error)

    def _call_far(
        self,
        caller: Context,
        dest: int | str,
        target: int | str,
        args: tuple[Any, ...],
        timeout: float | _Default | None,
        ptype: int,
    ) -> Deferred[Any]:
        payload = self.border.encode(ptype, args)
        limit = self.call_timeout if isinstance(timeout, _Default) else timeout
        if isinstance(target, str):
            return self.border.call_name(caller, target, ptype, payload, limit or None)
        return self.border.call(caller, target, dest, ptype, payload, limit or None)

    def redirect(
        self, context: Context, dest: Any, args: tuple[Any, ...], ptype: int
    ) -> Redirected:
        """Pass the message at work on, see `Actor.redirect`."""
        source, session = context.source, context.session
        target = self._resolve(dest)
        if isinstance(target, Context):
            target.put((ptype, source, session, args))
            return REDIRECTED
        payload = self.border.encode(ptype, args)
        if isinstance(session, Reply):
            session.describe = dest
            session.raw = ptype not in PACKED_TYPES
            if not session.session:
                self.calls.add(session, self.call_timeout or None)
        if isinstance(target, str):
            self.border.send_to_name(target, source, ptype, session, payload)
        else:
            self.border.pass_on(target, source, ptype, session, payload)
        return REDIRECTED

    def _resolve(self, dest: Any) -> Context | int | str:
        """Find an actor of ours, a handle of another node, or a name nobody has yet.

        :raises BadAddress: it is no address.
        :raises NoSuchActor: it is a handle of ours without an actor.
        :raises NoSuchName: it is a local name without an actor.
        """
        context = self.routes.get(dest)
        if context is not None:
            return context
        if isinstance(dest, str):
            if dest.startswith("."):
                raise NoSuchName(f"no actor of this node is called {dest!r}")
            if not dest.startswith(":"):
                return self._far.get(dest) or self.names.check(dest)
            else:
                dest = Handle.parse(dest)
        elif type(dest) is bool or not isinstance(dest, int):
            raise BadAddress(f"{dest!r} is no address")
        context = self.routes.get(dest)
        if context is not None:
            return context
        if not 0 < dest <= 0xFFFFFFFF or not dest & MAX_INDEX:
            raise BadAddress(f"{dest!r} is no handle of an actor")
        if dest >> 24 == self.harbor:
            raise NoSuchActor(f"no actor lives at {Handle(dest)}")
        return dest

    # Time, death, and the end

    def sleep(self, seconds: float) -> Deferred[None]:
        """A Deferred that fires after some seconds."""
        sleep: Deferred[None] = deferLater(self.clock, seconds)
        self._sleeps.add(sleep)

        def over(result: _T) -> _T:
            self._sleeps.discard(sleep)
            return result

        return sleep.addBoth(over)

    def watch(self, watcher: Context, handle: int) -> Deferred[str]:
        """Wait for an actor's end, see `Actor.watch`."""
        context = self.routes.get(handle)
        if context is not None:
            watchers = context.watchers
            gone: Deferred[str] = Deferred(watchers.remove)
            watchers.append(gone)
            return gone

        def over(failure: Failure) -> str:
            failure.trap(SkynetError)
            return failure.getErrorMessage()

        asked = self.call(watcher, handle, ("LINK",), None, PType.DEBUG)
        return asked.addCallbacks(lambda _: f"{Handle(handle)} ended its link", over)

    def waiting(self) -> int:
        """How many accepted messages have no fate yet."""
        contexts = set(self.routes.values())
        return self.border.waiting() + sum(len(c.mailbox) for c in contexts)

    def stop(self) -> None:
        """End all actors, last one first; who waits for them is told."""
        self.stopping = True
        for context in reversed(self.actors()):
            context.exit("the node stops")
        if self.scheduler.running:
            # An actor stops its own node: after the ends that wait for its batch.
            self.scheduler.afterwards.append(self._stop)
        else:
            self._stop()

    def _stop(self) -> None:
        self.names.stop()
        self.border.stop()
        self.calls.stop()
        self.scheduler.stop()
        for sleep in list(self._sleeps):
            sleep.addErrback(lambda failure: failure.trap(CancelledError))
            sleep.cancel()

    def _flush(self) -> None:
        self.border.flush()
