# -*- test-case-name: tests.node.test_actor -*-
"""A coroutine that runs for an actor.

It is driven without a Deferred until it really waits, and then resumed by what it
waits for, from the scheduler's queue.  It has context variables of its own, the
message at work among them.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from contextvars import Context as Variables
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.python.failure import Failure

from ..handle import Handle
from ..status import TaskStatus
from ..text import printable, shown, type_name
from .deferred import NodeDeferred
from .reply import Reply
from .requests import Caller, Waiter
from .work import Work


class TaskOwner(Caller):
    """Who has tasks: an actor, as its tasks see it."""

    __slots__ = ("gone",)

    #: Whether it is over: nothing of it runs any more.
    gone: bool

    def finished(self, task: Task, result: Any) -> None:
        """A coroutine returned."""
        raise NotImplementedError

    def broken(self, task: Task, error: BaseException) -> None:
        """A coroutine raised."""
        raise NotImplementedError

    def keep(self, task: Task) -> None:
        """A coroutine waits, and is to be ended with the actor."""
        raise NotImplementedError

    def cancel(self, wait: Deferred[Any]) -> None:
        """Cancel what one of its coroutines waited for."""
        raise NotImplementedError


class Task(Waiter):
    """One handler at work on one message, or one forked coroutine.

    :param owner: the actor that it runs for.
    :param coroutine: what is run.
    :param variables: its context variables.
    :param work: the message that it has to answer; None for a fork.
    :param ptype: the message's type.
    :param request: the message's values, or a word, for the log.
    """

    __slots__ = (
        "_cancelled",
        "_error",
        "_started",
        "_told",
        "_value",
        "awaited",
        "coroutine",
        "finished",
        "kept",
        "owner",
        "ptype",
        "request",
        "since",
        "variables",
        "work",
    )

    def __init__(
        self,
        owner: TaskOwner,
        coroutine: Coroutine[Any, Any, Any],
        variables: Variables,
        work: Work | None,
        ptype: int,
        request: object,
    ) -> None:
        self.owner = owner
        self.coroutine = coroutine
        self.variables = variables
        self.work = work
        self.ptype = ptype
        self.request = request
        #: What it waits for, None while it runs or stands in the queue.
        self.awaited: Deferred[Any] | None = None
        #: Since when it waits, on the node's clock.
        self.since = 0.0
        #: Called with the result, or the error, of a task that answers no message.
        self.finished: Callable[[Any, BaseException | None], None] | None = None
        #: Whether the actor keeps it, as it does once it has waited.
        self.kept = False
        #: What it runs on with.
        self._value: Any = None
        self._error: BaseException | None = None
        #: It is to end, and was not told yet.
        self._cancelled = False
        self._started = False
        #: Whether it was told that its actor ends.
        self._told = False

    def run(self, limit: int) -> None:
        """Run on, from the queue."""
        value, error = self._value, self._error
        self._value = self._error = None
        if error is not None:
            self.advance(self.coroutine.throw, error)
        else:
            self.advance(self.coroutine.send, value)

    def advance(self, resume: Callable[[Any], Any], value: Any) -> None:
        """Run on by calling *resume*, the coroutine's ``send`` or ``throw``.

        In a turn, with no code of an actor around.
        """
        owner = self.owner
        if owner.gone:
            return
        self.awaited = None
        self._started = True
        try:
            awaited = self.variables.run(resume, value)
        except StopIteration as stop:
            owner.finished(self, stop.value)
        except BaseException as error:
            owner.broken(self, error)
        else:
            try:
                self._wait_for(awaited)
            except BaseException as error:  # What is awaited is anybody's object.
                self._wake(None, error)

    def _wait_for(self, awaited: object) -> None:
        """Arrange to be run on when *awaited* has a result."""
        self.since = self.owner.scheduler.seconds()
        if not self.kept:
            self.kept = True
            self.owner.keep(self)
        if type(awaited) is Reply:
            self.awaited = awaited
            call = awaited.call
            if (
                call.task is None
                and not call.shared
                and not call.over
                and call.caller is self.owner
            ):
                call.task = self
            else:
                awaited.addBoth(self.wake)
        elif isinstance(awaited, Deferred):
            self.awaited = awaited
            awaited.addBoth(self.wake)
        else:
            raise TypeError(f"an actor can await a Deferred, not {shown(awaited)}")
        if self._cancelled:
            self.cancel()

    def resume(self, value: Any) -> None:
        """Run on with the answer to a call, at once; in a turn."""
        self.advance(self.coroutine.send, value)

    def wake(self, result: Any) -> Any:
        """Run on with the result of a Deferred, which may be a Failure, in its turn."""
        awaited = self.awaited
        if awaited is None:
            return None  # It was cancelled, and waits no more.
        if isinstance(result, Failure):
            assert result.value is not None
            self.wake_with_error(result.value)
            return None
        self._wake(result, None)
        # A coroutine takes the result out of the Deferred, when it runs on.
        return None if type(awaited) is Reply else result

    def wake_with_error(self, error: BaseException) -> None:
        """Run on with an error, in its turn."""
        self._wake(None, error)

    def _wake(self, value: Any, error: BaseException | None) -> None:
        self.awaited = None
        self._value = value
        self._error = error
        scheduler = self.owner.scheduler
        scheduler.schedule(self)
        scheduler.run()

    def status(self, now: float) -> TaskStatus:
        """The task as it is."""
        request = self.request
        awaited = self.awaited
        seconds = 0.0
        if awaited is None:
            waits_for = "its turn"
        else:
            seconds = max(now - self.since, 0.0)
            waits_for = _in_words(awaited)
        return TaskStatus(
            request if isinstance(request, str) else shown(request, 200),
            None if self.work is None else Handle(self.work.source),
            waits_for,
            seconds,
        )

    def end(self) -> None:
        """The actor ends: raise CancelledError as `cancel` does, but only once."""
        if not self._told:
            self._told = True
            self.cancel()

    def cancel(self) -> None:
        """Raise CancelledError where it waits; if it runs now, at its next await."""
        awaited = self.awaited
        if not self._started:
            # Nothing of it runs; it ends in its turn.
            self._error = CancelledError()
            return
        if awaited is None:
            self._cancelled = True
            return
        self._cancelled = False
        self.awaited = None
        self._error = CancelledError()
        self.owner.scheduler.schedule(self)
        if type(awaited) is Reply and awaited.call.task is self:
            awaited.call.task = None
            awaited.call.abandon()
        else:
            self.owner.cancel(awaited)

    def detach(self) -> Deferred[Any] | None:
        """Wait no more; returns what it waited for."""
        awaited, self.awaited = self.awaited, None
        if type(awaited) is Reply and awaited.call.task is self:
            awaited.call.task = None
        return awaited

    def close(self) -> None:
        """End the coroutine where it is, for good."""
        self.awaited = None
        try:
            self.variables.run(self.coroutine.close)
        except BaseException as error:
            self.owner.log_failure(error, 0, self.request)


def _in_words(awaited: Deferred[Any]) -> str:
    """What a Deferred waits for, as far as the node knows."""
    if type(awaited) is Reply:
        call = awaited.call
        return f"the answer of {printable(call.callee_text)[:80]} ({call.stage.value})"
    if isinstance(awaited, NodeDeferred):
        return awaited.what
    return f"a {type_name(awaited)}"
