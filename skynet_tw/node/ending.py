# -*- test-case-name: tests.node.test_ending -*-
"""The end of an actor: nothing that it has to save is lost.

Its coroutines see ``CancelledError`` at their awaits, and may clean up for half of the
grace that the actor has; then ``stopped`` runs, for the rest of it.  What still runs at
the end of the grace is closed where it is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from automat import TypeMachineBuilder
from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.interfaces import IDelayedCall

from . import coroutines

if TYPE_CHECKING:
    from .context import Context


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

    context: Context
    reason: str
    limits: list[IDelayedCall] = field(default_factory=list)
    waiters: list[Deferred[None]] = field(default_factory=list)
    gone: bool = False


def _run_stopped(core: _Core, done: Callable[[], None]) -> None:
    """Let ``stopped`` run, as a coroutine of the actor."""
    context = core.context

    def finished(result: Any, error: BaseException | None) -> None:
        if error is not None and not issubclass(type(error), CancelledError):
            context.log_failure(error, int(context.handle), "stopped")
        done()

    variables = context.node.scheduler.clean.copy()
    context.fork(coroutines.stop(context), "stopped", finished, variables)


def _bury(core: _Core) -> None:
    core.gone = True
    for limit in core.limits:
        if limit.active():
            limit.cancel()
    core.context.bury(core.reason)
    core.context.node.forget(core.context)
    waiters, core.waiters = core.waiters, []
    for waiter in waiters:
        waiter.callback(None)


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
        core.context.close_tasks()
        _run_stopped(core, inputs.stopped)

    @cleaning.upon(_Inputs.cut).to(last)
    def stop_at_once(inputs: _Inputs, core: _Core) -> None:
        core.context.close_tasks()
        _run_stopped(core, inputs.stopped)
        core.context.node.scheduler.enter(inputs.cut)

    def bury(inputs: _Inputs, core: _Core) -> None:
        # Whatever ``stopped`` left behind ends with it.
        core.context.close_tasks()
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

    :param context: the actor.
    :param reason: why it ends, in words.
    :param grace: how many seconds it may take.
    """

    def __init__(self, context: Context, reason: str, grace: float) -> None:
        self.reason = reason
        self._grace = grace
        self._core = _Core(context, reason)
        self._machine = _machine(self._core)
        self._begun = False

    def begin(self) -> None:
        """Tell its coroutines; in a turn, with no code of an actor around."""
        core, context = self._core, self._core.context
        self._begun = True
        context.cancel_tasks()
        scheduler, clock = context.node.scheduler, context.node.clock
        if not context.tasks:
            self._machine.idle()
        if self._grace > 0:
            core.limits = [
                clock.callLater(self._grace / 2, scheduler.enter, self._machine.half),
                clock.callLater(self._grace, scheduler.enter, self._machine.cut),
            ]
        else:
            # Behind those that were just told, and behind ``stopped``.
            scheduler.enter(self._machine.cut)

    def idle(self) -> None:
        """No coroutine of the actor waits any more."""
        if self._begun:
            self._machine.idle()

    def cut(self) -> None:
        """End it at once."""
        self._core.context.node.scheduler.enter(self._machine.cut)

    def when_gone(self) -> Deferred[None]:
        """A fresh Deferred, fired when the actor is over."""
        if self._core.gone:
            return succeed(None)
        waiter: Deferred[None] = Deferred()
        self._core.waiters.append(waiter)
        return waiter
