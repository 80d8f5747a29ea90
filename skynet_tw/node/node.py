# -*- test-case-name: tests.node.test_actor -*-
"""The node: where actors live, find each other, and reach those of other nodes."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import copy_context
from math import inf, isnan
from threading import get_ident
from typing import Any, Protocol

from twisted.internet.defer import CancelledError, Deferred, fail, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorTime
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
from ..text import shown
from . import coroutines
from .actor import DEFAULT, Actor
from .border import Border
from .calls import Calls
from .context import REDIRECTED, Context, Redirected
from .deferred import NodeDeferred
from .failures import failure_of
from .forks import Fork
from .ledger import Ledger
from .limits import Limits
from .names import Names
from .reply import Reply
from .scheduler import Scheduler
from .work import at_work

_LUA = int(PType.LUA)
_DEBUG = int(PType.DEBUG)

#: Seconds that actors may take to stop, unless the node is told otherwise.
STOP_GRACE = 10.0

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
    :param stop_grace: how many seconds actors may take to stop.
    """

    def __init__(
        self,
        clock: IReactorTime,
        remote: IRemote | None = None,
        *,
        call_timeout: float = 30.0,
        limits: Limits | None = None,
        stop_grace: float = STOP_GRACE,
    ) -> None:
        self.clock = clock
        #: The id of this harbor, 0 without one.
        self.harbor = 0 if remote is None else remote.harbor
        self.call_timeout = call_timeout
        self.limits = limits or Limits()
        self.stop_grace = stop_grace
        #: Actors by handle, and by those names which actors of this node own.
        self.routes: dict[int | str, Context] = {}
        self.ledger = Ledger()
        #: Answers that came when nobody waited for them any more.
        self.late = 0
        self.unpack = seri.unpack if remote is None else remote.unpack
        self.scheduler = Scheduler(clock, self._flush)
        #: Calls that were not written to a link, and those within the node that have a
        #: time limit.
        self.calls = Calls(clock, self.expired)
        self.border = Border(self, remote)
        self.names = Names(self, remote)
        #: Global names whose owners live in other nodes.
        self._far: dict[int | str, Handle] = self.names.far
        self._last_index = 0
        self.stopping = False
        self._over: list[Deferred[None]] = []
        self._has_stopped = False
        self._sleeps: dict[NodeDeferred[None], IDelayedCall] = {}
        self._runs_in: object = get_ident()
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

    def enter_thread(self) -> None:
        """The node runs in the thread that calls this, and its actors with it."""
        self._runs_in = get_ident()

    def _check_thread(self) -> None:
        if get_ident() != self._runs_in:
            raise SkynetError(
                "this is not the reactor's thread; from another one, use"
                " reactor.callFromThread(...) or twisted.internet.threads"
                ".blockingCallFromThread(reactor, ...)"
            )

    # Actors

    def actors(self) -> list[Context]:
        """The actors of this node, in the order in which they were started."""
        return [c for key, c in self.routes.items() if key == c.handle]

    def spawn(self, actor_class: Any, *args: Any) -> Deferred[Handle]:
        """Start an actor, see `Actor.spawn`."""
        self._check_thread()
        if not isinstance(actor_class, type) or not issubclass(actor_class, Actor):
            what = shown(actor_class, 80)
            raise TypeError(f"a subclass of Actor is spawned, not {what}")
        if self.stopping:
            return fail(NotReady("the node stops"))
        try:
            actor = actor_class()
            context = Context(self, self._new_handle(), actor)
            actor._context = context
        except BaseException as error:
            return fail(failure_of(error))
        self.routes[context.handle] = context
        self.border.adopt(context)
        if actor_class.started is Actor.started:
            # Nothing to wait for: a coroutine saved for each plain actor.
            context.open()
            return succeed(context.handle)
        done: NodeDeferred[Handle] = NodeDeferred(self.scheduler)

        def finished(result: Any, error: BaseException | None) -> None:
            if error is None and context.alive:
                context.open()
                done.fire(context.handle)
                return
            if error is None or (
                not context.alive and issubclass(type(error), CancelledError)
            ):
                error = NotReady(f"{context!r} ended before it had started")
            if context.alive:
                context.exit("its start failed", 0.0)
            done.fail(error)

        variables = self.scheduler.clean.copy()
        context.fork(coroutines.start(context, args), "started", finished, variables)
        self.scheduler.run()
        return done

    def client(self) -> Actor:
        """A bare actor for code outside of any actor."""
        actor = Actor()
        context = actor._context = Context(self, self._new_handle(), actor)
        self.routes[context.handle] = context
        context.open()
        return actor

    def exit(self, context: Context) -> None:
        """End an actor, see `Actor.exit`."""
        self._check_thread()
        context.exit("it exited", self.stop_grace)

    def forget_names(self, context: Context) -> None:
        """An actor ends: others may take its names."""
        self.names.forget(context)

    def forget(self, context: Context) -> None:
        """Take an actor that is gone out of the tables."""
        self.routes.pop(context.handle, None)

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
        self, sender: Context, dest: Any, args: tuple[Any, ...], ptype: Any
    ) -> None:
        """Send a message one way, see `Actor.send`."""
        self._check_thread()
        if ptype != _LUA:
            _check_ptype(ptype)
        try:
            context = self.routes.get(dest)
        except TypeError:
            raise _bad_address(dest) from None
        try:
            if context is not None:
                context.put((ptype, sender.handle, 0, args))
                return
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
        timeout: Any,
        ptype: Any,
    ) -> Deferred[Any]:
        """Send a request and wait for its answer, see `Actor.call`."""
        if get_ident() != self._runs_in:  # Here, not in there: a call saves 30 ns.
            self._check_thread()
        if ptype != _LUA:
            _check_ptype(ptype)
        if timeout is not DEFAULT:
            timeout = _check_timeout(timeout)
        try:
            try:
                context = self.routes.get(dest)
            except TypeError:
                raise _bad_address(dest) from None
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
                if timeout is DEFAULT:
                    timeout = self.call_timeout or None
            context.put((ptype, caller.handle, reply, args))
            if timeout is not DEFAULT and timeout is not None:
                self.limit(reply, timeout)
            return reply
        except SkynetError as error:
            return fail(error)

    def _call_far(
        self,
        caller: Context,
        dest: int | str,
        target: int | str,
        args: tuple[Any, ...],
        timeout: Any,
        ptype: int,
    ) -> Deferred[Any]:
        payload = self.border.encode(ptype, args)
        limit = (self.call_timeout or None) if timeout is DEFAULT else timeout
        if isinstance(target, str):
            return self.border.call_name(caller, target, ptype, payload, limit)
        return self.border.call(caller, target, dest, ptype, payload, limit)

    def limit(self, reply: Reply, timeout: float | None) -> None:
        """Give a call a session, and a time limit in seconds."""
        if not reply.session:
            reply.caller.add_call(reply)
        deadline: float | None = None
        if timeout is not None:
            deadline = self.scheduler.seconds() + timeout
        self.calls.add(reply, deadline)

    def redirect(
        self, context: Context, dest: Any, args: tuple[Any, ...], ptype: Any
    ) -> Redirected:
        """Pass the message at work on, see `Actor.redirect`."""
        self._check_thread()
        if ptype != _LUA:
            _check_ptype(ptype)
        work = at_work(context)
        if work.over:
            raise SkynetError("the message at work has its answer already")
        source, session = work.source, work.session
        target = self._resolve(dest)
        if isinstance(target, Context):
            target.put((ptype, source, session, args))
        else:
            payload = self.border.encode(ptype, args)
            if isinstance(session, Reply):
                session.describe = dest
                session.raw = ptype not in PACKED_TYPES
                if not session.session:
                    self.limit(session, self.call_timeout or None)
            if isinstance(target, str):
                self.border.send_to_name(target, source, ptype, session, payload)
            else:
                self.border.pass_on(target, source, ptype, session, payload)
        work.over = True
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
                raise NoSuchName(f"no actor of this node is called {shown(dest, 80)}")
            if not dest.startswith(":"):
                return self._far.get(dest) or self.names.check(dest)
            else:
                dest = Handle.parse(dest)
        elif type(dest) is bool or not isinstance(dest, int):
            raise _bad_address(dest)
        context = self.routes.get(dest)
        if context is not None:
            return context
        if not 0 < dest <= 0xFFFFFFFF or not dest & MAX_INDEX:
            raise BadAddress(f"{shown(dest, 80)} is no handle of an actor")
        if dest >> 24 == self.harbor:
            raise NoSuchActor(f"no actor lives at {Handle(dest)}")
        return dest

    def expired(self, replies: list[Reply]) -> None:
        """The time of these calls is over."""
        self.scheduler.enter(self._expire, replies)

    def _expire(self, replies: list[Reply]) -> None:
        for reply in replies:
            what = f"{self.border.explain(reply)} within the time limit"
            reply.fail(reply.expiry(what))
            self.given_up(reply)

    def given_up(self, reply: Reply) -> None:
        """Nobody waits for the answer to a call any more: free what it keeps."""
        callee = self.routes.get(reply.target)
        if callee is not None:
            callee.callers.unlink(int(reply.caller.handle), reply)

    def caller_gone(self, context: Context, written: list[int]) -> None:
        """An actor is over: tell those whom it has called.

        :param written: the addresses of the callees, some perhaps more than once.
        """
        handle = int(context.handle)
        for target in dict.fromkeys(written):
            callee = self.routes.get(target)
            if callee is not None:
                callee.forget_callers([handle], lambda other: other == handle)
            elif target >> 24 != self.harbor:
                self.border.send_death(target, handle)

    # Names

    def register(self, context: Context, name: Any) -> Deferred[Handle]:
        """Give an actor a name, see `Actor.register`."""
        self._check_thread()
        _check_name(name)
        return self.names.register(context, name)

    def query(self, name: Any, timeout: Any) -> Deferred[Handle]:
        """Find the owner of a name, see `Actor.query`."""
        self._check_thread()
        _check_name(name)
        if timeout is not DEFAULT:
            timeout = _check_timeout(timeout)
        return self.names.query(name, timeout)

    # Time, death, and the end

    def sleep(self, seconds: Any) -> Deferred[None]:
        """A Deferred that fires after some seconds."""
        self._check_thread()
        delay = _check_seconds(seconds)
        sleep: NodeDeferred[None] = NodeDeferred(self.scheduler, self._not_woken)
        self._sleeps[sleep] = self.clock.callLater(delay, self._woken, sleep)
        return sleep

    def _woken(self, sleep: NodeDeferred[None]) -> None:
        del self._sleeps[sleep]
        sleep.fire(None)

    def _not_woken(self, sleep: NodeDeferred[None]) -> None:
        timer = self._sleeps.pop(sleep, None)
        if timer is not None:
            timer.cancel()

    def fork(self, context: Context, work: Any) -> Deferred[Any]:
        """Run something beside the handlers, see `Actor.fork`."""
        self._check_thread()
        coroutine = coroutines.to_fork(work)
        fork = Fork(context)
        if context.gone:
            coroutine.close()
            fork.refuse(NotReady(f"{context!r} has ended"))
            return fork
        task = context.fork(coroutine, "a fork", fork.finished, copy_context())
        fork.task = task
        return fork

    def watch(self, watcher: Context, handle: Any) -> Deferred[str]:
        """Wait for an actor's end, see `Actor.watch`."""
        self._check_thread()
        if isinstance(handle, bool) or not isinstance(handle, int):
            raise TypeError(f"a handle is watched, not {shown(handle, 80)}")
        context = self.routes.get(handle)
        if context is not None:
            watchers = context.watchers
            gone: NodeDeferred[str] = NodeDeferred(
                self.scheduler, lambda gone: watchers.pop(gone, None)
            )
            watchers[gone] = None
            return gone

        def over(failure: Failure) -> str:
            failure.trap(SkynetError)
            return failure.getErrorMessage()

        asked = self.call(watcher, handle, ("LINK",), None, _DEBUG)
        return asked.addCallbacks(lambda _: f"{Handle(handle)} ended its link", over)

    def waiting(self) -> int:
        """How many accepted messages have no fate yet."""
        contexts = self.actors()
        held = sum(len(c.mailbox) + len(c.unhandled) for c in contexts)
        return self.border.waiting() + held

    def stop(self, now: bool = False) -> Deferred[None]:
        """End all actors, the last started first; who waits for them is told.

        :param now: give them no time for it; also for a stop that is under way.
        :returns: a fresh Deferred, fired when it is done.
        """
        if not self.stopping:
            self.stopping = True
            grace = 0.0 if now else self.stop_grace
            stopping = Deferred.fromCoroutine(coroutines.stop_actors(self, grace))
            stopping.addCallback(lambda _: self._stop())
        if now:
            for context in reversed(self.actors()):
                context.exit("the node stops", 0.0)
                if context.ending is not None:
                    context.ending.cut()
        if self._has_stopped:
            return succeed(None)
        over: Deferred[None] = Deferred()
        self._over.append(over)
        return over

    def _stop(self) -> None:
        self.names.stop()
        self.border.stop()
        self.calls.stop()
        self.scheduler.stop()
        for sleep in list(self._sleeps):
            sleep.addErrback(lambda failure: failure.trap(CancelledError))
            sleep.cancel()
        self._has_stopped = True
        over, self._over = self._over, []
        for waiter in over:
            waiter.callback(None)

    def _flush(self) -> None:
        self.border.flush()


def _bad_address(dest: object) -> BadAddress:
    return BadAddress(f"{shown(dest, 80)} is no address")


def _check_ptype(ptype: Any) -> None:
    """Refuse what is no message type that is sent.

    :raises TypeError: it is no number.
    :raises ValueError: it is out of range, or one of an answer.
    """
    if isinstance(ptype, bool) or not isinstance(ptype, int):
        raise TypeError(f"a message type is a number of 0-255, not {shown(ptype, 80)}")
    if not 0 <= ptype <= 255:
        raise ValueError(f"a message type is a number of 0-255, not {shown(ptype, 80)}")
    if ptype in (PType.RESPONSE, PType.ERROR):
        raise ValueError(f"type {int(ptype)} is an answer's; a handler returns it")


def _check_name(name: Any) -> None:
    if not isinstance(name, str):
        raise TypeError(f"a name is text, not {shown(name, 80)}")


def _check_seconds(seconds: Any) -> float:
    """Return a number of seconds.

    :raises TypeError: it is no number.
    :raises ValueError: it is less than 0, or not finite.
    """
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)):
        raise TypeError(f"a number of seconds is wanted, not {shown(seconds, 80)}")
    if isnan(seconds) or not 0 <= seconds < inf:
        raise ValueError(f"{shown(seconds, 80)} is not a time in seconds")
    return float(seconds)


def _check_timeout(timeout: Any) -> float | None:
    """Return a time limit in seconds, None for no limit."""
    if timeout is None or timeout == inf:
        return None
    return _check_seconds(timeout) or None
