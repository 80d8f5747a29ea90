# -*- test-case-name: tests.test_boot -*-
"""The stages in which a node boots: bound, master, peers, cluster, actors, ready.

Every port is bound before any connection is made, so that a node which runs the
master finds it in its own process.  Messages come in to actors only past ``peers``.
Each stage is a step that fires a Deferred; one machine holds their order.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from automat import TypeMachineBuilder
from twisted.internet.defer import (
    Deferred,
    FirstError,
    gatherResults,
    maybeDeferred,
    succeed,
)
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from .errors import BootFailed, NotReady, SkynetError
from .interfaces import ICluster, ILayer, IRemote
from .node.actor import Actor
from .node.failures import LoggedFailure, failure_of, logger_of
from .node.node import Node
from .oneshot import OneShot
from .reasons import one_line, start_failed
from .starts import Start
from .status import StageReport
from .text import error_text

#: The stages in their order.
STAGES = ("bound", "master", "peers", "cluster", "actors", "ready")


class _Inputs(Protocol):
    """What drives a boot."""

    def bind(self) -> None:
        """Bind every port."""

    def begin(self) -> None:
        """Connect to the others."""

    def done(self) -> None:
        """The step of the current stage has succeeded."""

    def fail(self, error: Failure) -> None:
        """The step of the current stage has failed, or its time is over."""

    def halt(self) -> None:
        """Stop, at whatever stage."""


@dataclass
class _Core:
    """What the machine acts on."""

    boot: Boot
    stage: str = ""
    stopped: Deferred[None] | None = None
    entered: dict[str, float] = field(default_factory=dict)
    left: dict[str, float] = field(default_factory=dict)
    error: Failure | None = None
    steps: dict[str, Callable[[], Deferred[Any]]] = field(default_factory=dict)


def _enter(core: _Core, stage: str, machine: _Inputs) -> None:
    """Take a stage's step, and let its end drive the machine."""
    boot = core.boot
    core.stage = stage
    core.entered[stage] = boot.clock.seconds()
    step = maybeDeferred(core.steps[stage])
    step.addCallbacks(lambda _: machine.done(), machine.fail)


def _leave(core: _Core) -> None:
    boot = core.boot
    core.left[core.stage] = boot.clock.seconds()
    boot.log_stage(core.stage)


def _build() -> Callable[[_Core], _Inputs]:
    machine = TypeMachineBuilder(_Inputs, _Core)
    new = machine.state("new")
    binding = machine.state("binding")
    bound = machine.state("bound")
    joining = machine.state("joining the master's network")
    linking = machine.state("linking to the peers")
    reaching = machine.state("reaching the cluster")
    starting = machine.state("starting the actors")
    ready = machine.state("ready")
    failed = machine.state("failed")
    halted = machine.state("halted")

    @new.upon(_Inputs.bind).to(binding)
    def bind(inputs: _Inputs, core: _Core) -> None:
        _enter(core, "bound", inputs)

    @binding.upon(_Inputs.done).to(bound)
    def have_bound(inputs: _Inputs, core: _Core) -> None:
        _leave(core)

    @bound.upon(_Inputs.begin).to(joining)
    def begin(inputs: _Inputs, core: _Core) -> None:
        _enter(core, "master", inputs)

    @joining.upon(_Inputs.done).to(linking)
    def joined(inputs: _Inputs, core: _Core) -> None:
        _leave(core)
        _enter(core, "peers", inputs)

    @linking.upon(_Inputs.done).to(reaching)
    def linked(inputs: _Inputs, core: _Core) -> None:
        _leave(core)
        core.boot.node.open_gate()
        _enter(core, "cluster", inputs)

    @reaching.upon(_Inputs.done).to(starting)
    def reached(inputs: _Inputs, core: _Core) -> None:
        _leave(core)
        _enter(core, "actors", inputs)

    @starting.upon(_Inputs.done).to(ready)
    def started(inputs: _Inputs, core: _Core) -> None:
        _leave(core)
        core.boot.node.boot_done()
        core.stage = "ready"
        core.entered["ready"] = core.left["ready"] = core.boot.clock.seconds()
        core.boot.on_ready()

    def failing(inputs: _Inputs, core: _Core, error: Failure) -> None:
        core.error = error
        core.boot.on_failed(error)

    def halting(inputs: _Inputs, core: _Core) -> None:
        core.boot.on_halted()

    for state in (binding, bound, joining, linking, reaching, starting):
        state.upon(_Inputs.fail).to(failed)(failing)
    before = (new, binding, bound, joining, linking, reaching, starting)
    for state in (*before, ready, failed):
        state.upon(_Inputs.halt).to(halted)(halting)
    for state in (failed, halted):
        # A step that was under way when the boot ended.
        state.upon(_Inputs.done).loop().returns(None)
        state.upon(_Inputs.fail).loop().returns(None)
    halted.upon(_Inputs.halt).loop().returns(None)
    return machine.build()


_machine = _build()


class Boot:
    """The boot of one node.

    :param node: the node.
    :param remotes: its remote layers, none for a node without a harbor.
    :param clock: gives the time.
    :param starts: the actors of the stage ``actors``, in order.
    :param binders: what else binds a port: the master, where this node runs it.
    :param timeout: the most seconds that the boot may take; 0 for no limit.
    :param cluster: its cluster, where it has one.
    """

    _log = Logger(namespace="skynet_tw.boot")

    def __init__(
        self,
        node: Node,
        remotes: Sequence[IRemote],
        clock: IReactorTime,
        starts: Sequence[Start] = (),
        binders: Sequence[Callable[[], Deferred[Any]]] = (),
        timeout: float = 30.0,
        cluster: ICluster | None = None,
    ) -> None:
        self.node = node
        self.clock = clock
        self._remotes = remotes
        self._cluster = cluster
        self._layers: list[ILayer] = (
            [*remotes] if cluster is None else [*remotes, cluster]
        )
        self._starts = starts
        self._starting = ""
        self._binders = binders
        self._timeout = timeout
        self._limit: IDelayedCall | None = None
        self._began = clock.seconds()
        self._halted = False
        self._ready = OneShot()
        self._core = _Core(self)
        self._core.steps = {
            "bound": self._bind,
            "master": self._join,
            "peers": self._link,
            "cluster": self._reach,
            "actors": self._start,
        }
        self._machine = _machine(self._core)
        node.boot = self

    # What drives it

    def bind(self) -> None:
        """Bind every port; `error` says at once if that failed."""
        self._began = self.clock.seconds()
        self._machine.bind()

    def begin(self) -> None:
        """Take the stages after ``bound``, within the time limit."""
        if self._timeout:
            self._limit = self.clock.callLater(self._timeout, self._too_late)
        self._machine.begin()

    def halt(self) -> None:
        """End the boot, or the node that it booted; nothing is undone here."""
        self._machine.halt()

    # What is known of it

    @property
    def error(self) -> Failure | None:
        """Why the boot failed, None if it did not."""
        return self._core.error

    def when_ready(self) -> Deferred[None]:
        """A fresh Deferred, fired when the boot is done; it fails as the boot fails."""
        return self._ready.when()

    def report(self) -> list[StageReport]:
        """How far each stage is, in order."""
        core, now = self._core, self.clock.seconds()
        reports = []
        for stage in STAGES:
            begun = core.entered.get(stage)
            left = core.left.get(stage)
            if begun is None:
                reports.append(StageReport(stage, "to come", None, None))
                continue
            state = "waiting" if left is None else "done"
            waiting_for = self._waiting_for(stage) if left is None else ()
            if state == "waiting" and core.error is not None:
                state = "failed"
            since = begun - self._began
            took = (now if left is None else left) - begun
            reports.append(StageReport(stage, state, since, took, waiting_for))
        return reports

    def _waiting_for(self, stage: str) -> tuple[str, ...]:
        if stage == "actors":
            waits = self.node.waits()
            for cell in self.node.actors():
                if cell.gated and cell.mailbox:
                    waits[f"{cell!r} to have started"] = len(cell.mailbox)
            queued = [
                f"{count} messages wait for {what}" for what, count in waits.items()
            ]
            return (f"{self._starting} to have started", *queued)
        return tuple(what for layer in self._layers for what in layer.waiting_for())

    # The steps

    def _bind(self) -> Deferred[None]:
        bind = [layer.bind for layer in self._layers]
        return _all([binder() for binder in (*self._binders, *bind)])

    def _join(self) -> Deferred[None]:
        return _all([remote.join() for remote in self._remotes])

    def _link(self) -> Deferred[None]:
        return _all([remote.when_linked() for remote in self._remotes])

    def _reach(self) -> Deferred[None]:
        return succeed(None) if self._cluster is None else self._cluster.reach()

    def _start(self) -> Deferred[None]:
        return Deferred.fromCoroutine(self._start_all())

    async def _start_all(self) -> None:
        for start in self._starts:
            self._starting = start.actor_class.__name__
            try:
                await self.node.spawn(start.actor_class, *start.args)
            except GeneratorExit:
                raise  # Nobody waits for this any more.
            except BaseException as error:
                # Whatever code of the user's raised: it ends the boot, in order.
                self._log_start_failed(start.actor_class, error)
                reason = start_failed(error, start.actor_class.__module__)
                raise BootFailed(f"{self._starting} did not start: {reason}") from error

    def _log_start_failed(self, actor_class: type[Actor], error: BaseException) -> None:
        """Give the traceback, under the actor's own name."""
        if self._halted or self._core.error is not None:
            return  # It did not start because the node stops.
        failure = failure_of(error, LoggedFailure)
        logger_of(actor_class).failure("the actor did not start", failure)

    # What becomes of it

    def _too_late(self) -> None:
        self._limit = None
        waiting = "; ".join(self._waiting_for(self._core.stage))
        error = BootFailed(f"not done after {self._timeout:g} s: {waiting}")
        self._machine.fail(Failure(error))

    def log_stage(self, stage: str) -> None:
        """Say once that a stage is done."""
        detail = ""
        if stage in ("master", "peers") and self._remotes:
            detail = f", linked harbors: {_listed(self._linked())}"
        elif stage == "cluster" and self._cluster is not None:
            detail = f", linked nodes: {_listed(self._linked_nodes())}"
        self._log.info(
            "boot stage {stage} done, {seconds:.3f} s{detail}",
            stage=stage,
            seconds=self._core.left[stage] - self._began,
            detail=detail,
        )

    def on_ready(self) -> None:
        """The last stage is reached."""
        self._cancel_limit()
        self._log.info(
            "node ready: harbor {harbor}, {peers} peers, {actors} actors, {took:.3f} s",
            harbor=self.node.harbor,
            peers=len(self._linked()) + len(self._linked_nodes()),
            actors=sum(isinstance(cell.actor, Actor) for cell in self.node.actors()),
            took=self.clock.seconds() - self._began,
        )
        self._ready.fire()

    def on_failed(self, error: Failure) -> None:
        """A stage has failed; who waits for the node is told."""
        self._cancel_limit()
        value = error.value
        assert value is not None
        reason = str(value) if isinstance(value, SkynetError) else error_text(value)
        text = f"boot failed at stage {self._core.stage}: {one_line(reason)}"
        failure = Failure(BootFailed(text))
        self._core.error = failure
        self._ready.fail(lambda: failure)

    def on_halted(self) -> None:
        """The node stops before or after it was ready."""
        self._cancel_limit()
        self._halted = True
        self._ready.fail(lambda: NotReady("the node stops"))

    def _linked(self) -> list[int]:
        return [harbor for remote in self._remotes for harbor in remote.linked()]

    def _linked_nodes(self) -> list[str]:
        return [] if self._cluster is None else self._cluster.linked()

    def _cancel_limit(self) -> None:
        if self._limit is not None:
            self._limit.cancel()
            self._limit = None


def _listed(peers: Sequence[object]) -> str:
    return ", ".join(map(str, peers)) or "none"


def _all(steps: Sequence[Deferred[Any]]) -> Deferred[None]:
    """Wait for each; it fails as the first that fails, and the rest are heard."""

    def unwrap(failure: Failure) -> Failure:
        first = failure.value
        assert isinstance(first, FirstError)
        return first.subFailure

    done = gatherResults(steps, consumeErrors=True)
    return done.addCallbacks(lambda _: None, unwrap)
