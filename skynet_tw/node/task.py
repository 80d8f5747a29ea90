# -*- test-case-name: tests.node.test_actor -*-
"""A coroutine that runs for an actor.

It is driven without a Deferred until it really waits, and then resumed by what it
waits for, from the scheduler's queue.  It has context variables of its own, the
message at work among them.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from contextvars import Context as Variables
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.python.failure import Failure

from ..text import shown
from .reply import Reply
from .scheduler import Runnable
from .work import Work

if TYPE_CHECKING:
    from .context import Context


class Task(Runnable):
    """One handler at work on one message, or one forked coroutine.

    :param context: the actor that it runs for.
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
        "context",
        "coroutine",
        "finished",
        "kept",
        "ptype",
        "request",
        "variables",
        "work",
    )

    def __init__(
        self,
        context: Context,
        coroutine: Coroutine[Any, Any, Any],
        variables: Variables,
        work: Work | None,
        ptype: int,
        request: object,
    ) -> None:
        self.context = context
        self.coroutine = coroutine
        self.variables = variables
        self.work = work
        self.ptype = ptype
        self.request = request
        #: What it waits for, None while it runs or stands in the queue.
        self.awaited: Deferred[Any] | None = None
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
        context = self.context
        if context.gone:
            return
        self.awaited = None
        self._started = True
        try:
            awaited = self.variables.run(resume, value)
        except StopIteration as stop:
            context.finished(self, stop.value)
        except BaseException as error:
            context.broken(self, error)
        else:
            try:
                self._wait_for(awaited)
            except BaseException as error:  # What is awaited is anybody's object.
                self._wake(None, error)

    def _wait_for(self, awaited: object) -> None:
        """Arrange to be run on when *awaited* has a result."""
        if not self.kept:
            self.kept = True
            self.context.keep(self)
        if type(awaited) is Reply:
            self.awaited = awaited
            if (
                awaited.task is None
                and not awaited.shared
                and not awaited.called
                and not awaited.decided
                and awaited.caller is self.context
            ):
                awaited.task = self
            else:
                awaited.addBoth(self.wake)
        elif isinstance(awaited, Deferred):
            self.awaited = awaited
            awaited.addBoth(self.wake)
        else:
            raise TypeError(f"an actor can await a Deferred, not {shown(awaited)}")
        if self._cancelled:
            self.cancel()

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
        scheduler = self.context.node.scheduler
        scheduler.schedule(self)
        scheduler.run()

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
        self.context.node.scheduler.schedule(self)
        if isinstance(awaited, Reply) and awaited.task is self:
            awaited.task = None
            awaited.abandon()
        else:
            self.context.cancel(awaited)

    def close(self) -> None:
        """End the coroutine where it is, for good."""
        self.awaited = None
        try:
            self.variables.run(self.coroutine.close)
        except BaseException as error:
            self.context.log_failure(error, 0, self.request)
