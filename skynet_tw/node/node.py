# -*- test-case-name: tests.node.test_actor -*-
"""The node: where actors live, find each other, and reach those of other nodes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Protocol, cast

from twisted.internet.defer import CancelledError, Deferred, fail, succeed
from twisted.internet.interfaces import IReactorTime

from ..errors import NotReady, SkynetError
from ..handle import Handle
from ..interfaces import ICluster, IRemote, IRemoteReceiver
from ..oneshot import OneShot
from ..status import NodeStatus, StageReport
from ..text import shown
from . import coroutines
from .actor import Actor
from .cells import Cells
from .cluster_calls import ClusterCalls
from .clustering import Clustering
from .core import Core
from .deferred import NodeDeferred
from .delivery import Delivery
from .dispatch import ActorCell
from .ending import Ending, end_in_order
from .failures import failure_of
from .incoming import Incoming
from .limits import Limits
from .names import Names
from .outgoing import Outgoing
from .receiver import Receiver
from .sleeps import Sleeps
from .snapshot import snapshot
from .timeouts import check_seconds, check_timeout

#: Seconds that actors may take to stop, unless the node is told otherwise.
STOP_GRACE = 10.0


class Readiness(Protocol):
    """What a node knows of its boot."""

    def when_ready(self) -> Deferred[None]: ...

    def report(self) -> list[StageReport]: ...


class Node:
    """A Skynet node without sockets and stages; `Boot` adds the stages.

    :param clock: gives the time to everything in the node.
    :param remote: the network of harbors, None for a node without one.
    :param cluster: the cluster, None for a node without one; what its nodes ask comes
        in once the gate is open.
    :param call_timeout: the time limit of remote calls, in seconds; 0 for none.
    :param limits: how much may wait in each queue.
    :param stop_grace: how many seconds actors may take to stop.
    """

    def __init__(
        self,
        clock: IReactorTime,
        remote: IRemote | None = None,
        *,
        cluster: ICluster | None = None,
        call_timeout: float = 30.0,
        limits: Limits | None = None,
        stop_grace: float = STOP_GRACE,
    ) -> None:
        self.clock = clock
        self.call_timeout = call_timeout
        self.limits = limits or Limits()
        self.stop_grace = stop_grace
        core = self._core = Core(clock, remote, call_timeout, self.limits)
        #: The id of this harbor, 0 without one.
        self.harbor = core.harbor
        #: What became of each message.
        self.ledger = core.ledger
        self._cells = Cells(core)
        table = self._cells.table
        self._outgoing = Outgoing(core, table)
        self._names = Names(core, table, self._outgoing, remote)
        self._incoming = Incoming(core, table, self._outgoing)
        self._delivery = Delivery(core, self._cells, self._outgoing, self._names)
        if remote is not None:
            self.attach(remote)
        self._clustering: Clustering | None = None
        #: How its actors use the nodes of a cluster, None in a node without one.
        self.cluster: ClusterCalls | None = None
        if cluster is not None:
            clustering = self._clustering = Clustering(
                core,
                self._cells,
                self._outgoing,
                self._incoming,
                self._names,
                self._delivery,
                cluster,
                lambda cell, reason: self._end(cell, reason, 0.0),
            )
            self.cluster = clustering.calls
        self._endings: dict[ActorCell, Ending] = {}
        self._stopped = OneShot()
        self._sleeps = Sleeps(core)
        #: Ends the process that the node lives in, see `shutdown`.
        self.on_shutdown: Callable[[], object] | None = None
        #: The boot of this node, where it has one.
        self.boot: Readiness | None = None

    def attach(self, remote: IRemote) -> None:
        """Carry messages by a remote layer; there may be several."""
        receiver = Receiver(
            self._core, self._outgoing, self._incoming, self._names, self._delivery
        )
        remote.attach(cast(IRemoteReceiver, receiver))
        self._core.backlog.watch(remote)

    def __repr__(self) -> str:
        where = f"harbor {self.harbor}" if self.harbor else "without a harbor"
        state = "stopping, " if self._core.stopping else ""
        return f"<Node {where}: {state}{len(self.actors())} actors>"

    # The boot

    def when_ready(self) -> Deferred[None]:
        """A fresh Deferred, fired when the boot is done; it fails as the boot fails."""
        return succeed(None) if self.boot is None else self.boot.when_ready()

    def boot_report(self) -> list[StageReport]:
        """What of the boot is done, what is waited for, since when and why."""
        return [] if self.boot is None else self.boot.report()

    def open_gate(self) -> None:
        """The boot is past the stage ``peers``: let messages in to their actors."""
        self._outgoing.open_gate()
        self._incoming.open_gate()
        if self._clustering is not None:
            self._clustering.open_gate()

    def boot_done(self) -> None:
        """All actors of the boot are there: refuse what came in for others."""
        if self._clustering is not None:
            self._clustering.boot_done()
        self._incoming.boot_done()

    def shutdown(self) -> None:
        """Ask whoever runs this node to stop it in order, as a signal would."""
        if self.on_shutdown is None:
            raise SkynetError("nothing runs this node that could stop it")
        self.on_shutdown()

    def enter_thread(self) -> None:
        """The node runs in the thread that calls this, and its actors with it."""
        self._core.enter_thread()

    # Actors

    def actors(self) -> list[ActorCell]:
        """The actors of this node, in the order in which they were started."""
        return self._cells.all()

    def has_actor(self, handle: int) -> bool:
        """Whether an actor of this node lives at a handle."""
        return handle in self._cells

    def spawn(self, actor_class: Any, *args: Any) -> Deferred[Handle]:
        """Start an actor, see `Actor.spawn`."""
        self._core.check_thread()
        if not isinstance(actor_class, type) or not issubclass(actor_class, Actor):
            what = shown(actor_class, 80)
            raise TypeError(f"a subclass of Actor is spawned, not {what}")
        if self._core.stopping:
            return fail(NotReady("the node stops"))
        try:
            cell = self._settle(actor_class())
        except BaseException as error:
            return fail(failure_of(error))
        self._incoming.adopt(cell)
        if actor_class.started is Actor.started:
            # Nothing to wait for: a coroutine saved for each plain actor.
            cell.open()
            return succeed(cell.handle)
        done: NodeDeferred[Handle] = NodeDeferred(self._core.scheduler)
        done.what = "an actor to have started"

        def finished(result: Any, error: BaseException | None) -> None:
            if error is None and cell.alive:
                cell.open()
                done.fire(cell.handle)
                return
            if error is None or (
                not cell.alive and issubclass(type(error), CancelledError)
            ):
                error = NotReady(f"{cell!r} ended before it had started")
            if cell.alive:
                self._end(cell, "its start failed", 0.0)
            done.fail(error)

        variables = self._core.scheduler.clean.copy()
        start = coroutines.call_method(cell.actor, "started", *args)
        cell.fork(start, "started", finished, variables)
        self._core.scheduler.run()
        return done

    def client(self) -> Actor:
        """A bare actor for code outside of any actor."""
        actor = Actor()
        self._settle(actor).open()
        return actor

    def _settle(self, actor: Actor) -> ActorCell:
        """Let an actor live here."""
        kind = type(actor)
        cell = self._cells.add(actor, kind._commands, kind._dispatchers)
        actor._cell = cell
        actor._node = self
        actor._delivery = self._delivery
        return cell

    def exit(self, cell: ActorCell) -> None:
        """End an actor, see `Actor.exit`."""
        self._core.check_thread()
        if cell.alive:
            self._end(cell, "it exited", self.stop_grace)

    def _end(self, cell: ActorCell, reason: str, grace: float) -> Ending | None:
        """Let an actor end, unless it does so already; None if it is over."""
        if cell.gone:
            return None
        ending = self._endings.get(cell)
        if ending is None:
            ending = self._endings[cell] = Ending(cell, reason, grace, self)
            ending.begin()
        return ending

    def forget_names(self, cell: ActorCell) -> None:
        """An actor ends: others may take its names."""
        self._names.forget(cell)
        if self._clustering is not None:
            self._clustering.forget(cell.handle)

    def forget(self, cell: ActorCell, called: Sequence[int]) -> None:
        """Take an actor that is over out of the tables, and tell whom it has called."""
        self._delivery.caller_gone(cell, called)
        self._cells.remove(cell)
        del self._endings[cell]

    # Names

    def register(self, cell: ActorCell, name: Any) -> Deferred[Handle]:
        """Give an actor a name, see `Actor.register`."""
        self._core.check_thread()
        _check_name(name)
        registered = self._names.register(cell, name)
        if self._clustering is not None:
            self._clustering.named()
        return registered

    def query(self, name: Any, timeout: Any) -> Deferred[Handle]:
        """Find the owner of a name, see `Actor.query`."""
        self._core.check_thread()
        _check_name(name)
        return self._names.query(name, check_timeout(timeout))

    # Time, and the end

    def sleep(self, seconds: Any) -> Deferred[None]:
        """A Deferred that fires after some seconds."""
        self._core.check_thread()
        return self._sleeps.sleep(check_seconds(seconds))

    def waits(self) -> dict[str, int]:
        """How many messages wait for what, in words; without those in mailboxes."""
        return {**self._core.outboxes.waits(), **self._incoming.waits()}

    def status(self) -> NodeStatus:
        """A snapshot of the whole node."""
        return snapshot(
            self._core,
            self._cells,
            self._outgoing,
            self._incoming,
            self._names,
            self.boot_report(),
            self._stopped.is_done,
        )

    def stop(self, now: bool = False) -> Deferred[None]:
        """End all actors, the last started first; who waits for them is told.

        :param now: give them no time for it; also for a stop that is under way.
        :returns: a fresh Deferred, fired when it is done.
        """
        why = "the node stops"
        if not self._core.stopping:
            self._core.stopping = True
            grace = 0.0 if now else self.stop_grace
            ends = [partial(self._end, cell, why) for cell in reversed(self.actors())]
            stopping = Deferred.fromCoroutine(end_in_order(ends, grace, self.clock))
            stopping.addCallback(lambda _: self._stop())
        if now:
            for cell in reversed(self.actors()):
                ending = self._end(cell, why, 0.0)
                if ending is not None:
                    ending.cut()
        return self._stopped.when()

    def _stop(self) -> None:
        self.boot_done()
        self._names.stop()
        self._outgoing.stop()
        core = self._core
        core.outboxes.stop()
        core.calls.stop()
        core.scheduler.stop()
        self._sleeps.stop()
        self._stopped.fire()


def _check_name(name: Any) -> None:
    if not isinstance(name, str):
        raise TypeError(f"a name is text, not {shown(name, 80)}")
