# -*- test-case-name: tests.node.test_ending -*-
"""The end of an actor: nothing that it has to save is lost.

Its coroutines see ``CancelledError`` at their awaits, and may clean up for half of the
grace that the actor has; then ``stopped`` runs, for the rest of it.  What still runs at
the end of the grace is closed where it is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from automat import TypeMachineBuilder
from twisted.internet.defer import CancelledError, Deferred, gatherResults
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from ..oneshot import OneShot
from . import coroutines
from .callers import Callers
from .cell import Cell, packed
from .requests import Stage


class Home(Protocol):
    """Where an actor lives, as its end sees it."""

    def forget_names(self, cell: Any) -> None:
        """An actor ends: others may take its names."""

    def forget(self, cell: Any, called: Sequence[int]) -> None:
        """An actor is over.

        :param called: the handles of those whom it has called, some perhaps twice.
        """


class _Inputs(Protocol):
    """What drives the end of an actor."""

    def idle(self) -> None:
        """No coroutine of it waits any more."""

    def half(self) -> None:
        """Half of its time is over."""

    def cut(self) -> None:
        """All of its time is over."""

    def stopped(self) -> None:
        """Its ``stopped`` is done."""


@dataclass
class _Core:
    """What the machine acts on."""

    cell: Cell
    home: Home
    #: The callees of the calls that were under way when it began to end.
    called: list[int] = field(default_factory=list)
    limits: list[IDelayedCall] = field(default_factory=list)
    gone: OneShot = field(default_factory=OneShot)


def _run_stopped(core: _Core, done: Callable[[], None]) -> None:
    """Let ``stopped`` run, as a coroutine of the actor."""
    cell = core.cell

    def finished(result: Any, error: BaseException | None) -> None:
        if error is not None and not issubclass(type(error), CancelledError):
            cell.log_failure(error, int(cell.handle), "stopped")
        done()

    variables = cell.scheduler.clean.copy()
    coroutine = coroutines.call_method(cell.actor, "stopped")
    cell.fork(coroutine, "stopped", finished, variables)


def _written(cell: Cell) -> list[int]:
    """The callees of its calls that were sent."""
    return [c.target for c in cell.calls.values() if c.stage is Stage.SENT]


def _bury(core: _Core) -> None:
    """The actor is over: tell who waits for that, and whom it has called."""
    cell = core.cell
    cell.gone = True
    for limit in core.limits:
        if limit.active():
            limit.cancel()
    why = f"{cell.name} is gone: {cell.why}"
    core.home.forget(cell, [*core.called, *_written(cell)])
    for call in list(cell.calls.values()):
        call.abandon()
    callers, cell.callers = cell.callers, Callers()
    for requests in callers.links.values():
        for request in requests:
            request.refuse(cell.handle, why)
    watchers, cell.watchers = cell.watchers, {}
    for watcher in watchers:
        watcher.fire(why)
    answers = list(cell.mailbox)
    cell.mailbox.clear()
    for ptype, source, return_to, _body in answers:
        cell.ledger.drop("the caller is gone", source, cell.handle, ptype)
        if return_to is not None:
            return_to.abandon()
    cell.core.backlog.handled(packed(answers))
    core.gone.fire()


def _build() -> Callable[[_Core], _Inputs]:
    machine = TypeMachineBuilder(_Inputs, _Core)
    cleaning = machine.state("its coroutines clean up")
    stopping = machine.state("stopped runs")
    last = machine.state("stopped runs without time to wait")
    gone = machine.state("gone")

    @cleaning.upon(_Inputs.idle).to(stopping)
    def stop(inputs: _Inputs, core: _Core) -> None:
        _run_stopped(core, inputs.stopped)

    @cleaning.upon(_Inputs.half).to(stopping)
    def stop_all_the_same(inputs: _Inputs, core: _Core) -> None:
        core.cell.close_tasks()
        _run_stopped(core, inputs.stopped)

    @cleaning.upon(_Inputs.cut).to(last)
    def stop_at_once(inputs: _Inputs, core: _Core) -> None:
        core.cell.close_tasks()
        _run_stopped(core, inputs.stopped)
        core.cell.scheduler.in_turn(inputs.cut)

    def bury(inputs: _Inputs, core: _Core) -> None:
        # Whatever ``stopped`` left behind ends with it.
        core.cell.close_tasks()
        _bury(core)

    stopping.upon(_Inputs.cut).to(gone)(bury)
    last.upon(_Inputs.cut).to(gone)(bury)
    stopping.upon(_Inputs.stopped).to(gone)(bury)
    last.upon(_Inputs.stopped).to(gone)(bury)
    for state in (stopping, last):
        # Of a coroutine that answered no message, or that stopped itself started.
        state.upon(_Inputs.idle).loop().returns(None)
        state.upon(_Inputs.half).loop().returns(None)
    for ignored in (_Inputs.idle, _Inputs.half, _Inputs.cut, _Inputs.stopped):
        gone.upon(ignored).loop().returns(None)
    return machine.build()


_machine = _build()


class Ending:
    """The end of one actor.

    :param cell: the actor's.
    :param reason: why it ends, in words.
    :param grace: how many seconds it may take.
    :param home: where it lives.
    """

    def __init__(self, cell: Cell, reason: str, grace: float, home: Home) -> None:
        self._grace = grace
        self._core = _Core(cell, home)
        self._machine = _machine(self._core)
        self._begun = False
        cell.why = reason
        cell.idle = self._idle

    def begin(self) -> None:
        """Let the actor take no message any more, and end it in its turn."""
        cell = self._core.cell
        counted = cell.take_no_more()
        self._core.home.forget_names(cell)
        cell.scheduler.in_turn(self._begin, counted)

    def _begin(self, counted: int) -> None:
        """Refuse what it will not handle, and tell its coroutines."""
        cell = self._core.cell
        why = f"{cell.name} is gone: {cell.why}"
        unhandled, cell.unhandled = cell.unhandled, ()
        for ptype, source, return_to, _body in unhandled:
            if return_to is not None:
                cell.ledger.refuse_call()
                return_to.refuse(cell.handle, why)
            else:
                cell.ledger.refuse("the actor is gone", source, cell.handle, ptype)
        if cell.gated:
            cell.open()
        cell.core.backlog.handled(counted)
        self._core.called = _written(cell)
        self._begun = True
        cell.cancel_tasks()
        if not cell.tasks:
            self._machine.idle()
        scheduler, later = cell.scheduler, cell.core.clock.callLater
        if self._grace > 0:
            self._core.limits = [
                later(self._grace / 2, scheduler.in_turn, self._machine.half),
                later(self._grace, scheduler.in_turn, self._machine.cut),
            ]
        else:
            # Behind those that were just told, and behind ``stopped``.
            scheduler.in_turn(self._machine.cut)

    def _idle(self) -> None:
        """No coroutine of the actor waits any more."""
        if self._begun:
            self._machine.idle()

    def cut(self) -> None:
        """End it at once."""
        self._core.cell.scheduler.in_turn(self._machine.cut)

    def when_gone(self) -> Deferred[None]:
        """A fresh Deferred, fired when the actor is over."""
        return self._core.gone.when()


async def end_in_order(
    endings: Sequence[Callable[[float], Ending | None]],
    grace: float,
    clock: IReactorTime,
) -> None:
    """End actors one after the other, all within *grace* seconds.

    Each is over before the next one ends, which it may need to the last; one that
    hangs leaves half of the time to the others.

    :param endings: end each in so many seconds; None where it is over already.
    """
    end = clock.seconds() + grace
    waits: list[Deferred[None]] = []
    for begin in endings:
        left = max(end - clock.seconds(), 0.0)
        ending = begin(left)
        if ending is None:
            continue
        waits.append(ending.when_gone())
        if left > 0:
            over = ending.when_gone().addTimeout(left / 2, clock)
            await over.addErrback(lambda failure: None)
    await gatherResults(waits)
