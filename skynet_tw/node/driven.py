# -*- test-case-name: tests.node.test_driven -*-
"""Coroutines that Twisted drives, resumed without the callbacks of a Deferred.

``Deferred.fromCoroutine`` and ``inlineCallbacks`` wait for what a coroutine awaits by
one callback, always the same function.  When that is added to the reply of a call, the
answer can be sent into the coroutine directly, as a `Task` does: with many calls in
flight this saves a third of what a call costs.  Whatever else the coroutine awaits,
Twisted drives it on.

The names of that function and its companion are Twisted's own affair.  Where they are
not found, nothing here is used, and all works as before.
"""

from __future__ import annotations

from asyncio import iscoroutine
from collections.abc import Callable
from contextvars import Context as Variables
from contextvars import copy_context
from inspect import isgenerator
from typing import Any

from twisted.internet import defer
from twisted.python.failure import Failure

from .failures import failure_of
from .requests import Caller, Waiter

#: What Twisted adds to a Deferred that a coroutine awaits, with four arguments: whether
#: it waits, the coroutine, the status of its Deferred, and its context variables.
GOT_RESULT: Any = getattr(defer, "_gotResultInlineCallbacks", object())

#: What ``returnValue`` raises.
_RETURN: Any = getattr(defer, "_DefGen_Return", StopIteration)


class Driven(Waiter):
    """One coroutine of Twisted's that awaits the reply of a call.

    :param caller: the actor that made the call.
    :param kind: the class of replies, whose attribute ``call`` is theirs.
    :param coroutine: a coroutine, or a generator.
    :param status: its attribute ``deferred`` is what it returns to, ``waitingOn`` what
        to cancel with that.
    :param variables: its context variables.
    """

    __slots__ = (
        "_caller",
        "_coroutine",
        "_error",
        "_kind",
        "_outside",
        "_status",
        "_value",
        "_variables",
    )

    def __init__(
        self,
        caller: Caller,
        kind: type[Any],
        coroutine: Any,
        status: Any,
        variables: Variables,
    ) -> None:
        self._caller = caller
        self._kind = kind
        self._coroutine = coroutine
        self._status = status
        self._variables = variables
        #: Those of who awaits it, for the callbacks of its own Deferred.
        self._outside = copy_context()
        #: What it runs on with, from the scheduler's queue.
        self._value: Any = None
        self._error: BaseException | None = None

    def resume(self, value: Any) -> None:
        """Run on with the answer, at once; in a turn."""
        self._advance(self._coroutine.send, value)

    def wake(self, result: Any) -> Any:
        """Run on with the result of a Deferred, which may be a Failure, in its turn."""
        if isinstance(result, Failure):
            assert result.value is not None
            self.wake_with_error(result.value)
        else:
            self._value = result
            self._schedule()

    def wake_with_error(self, error: BaseException) -> None:
        """Run on with an error, in its turn."""
        self._error = error
        self._schedule()

    def _schedule(self) -> None:
        scheduler = self._caller.scheduler
        scheduler.schedule(self)
        scheduler.run()

    def run(self, limit: int) -> None:
        """Run on, from the queue."""
        value, error = self._value, self._error
        self._value = self._error = None
        if error is not None:
            self._advance(self._coroutine.throw, error)
        else:
            self._advance(self._coroutine.send, value)

    def _advance(self, resume: Callable[[Any], Any], value: Any) -> None:
        """Run on, until the coroutine awaits something or is over."""
        while True:
            try:
                awaited = self._variables.run(resume, value)
            except StopIteration as stop:
                self._let(self._status.deferred.callback, stop.value)
                return
            except _RETURN as returned:
                self._let(self._status.deferred.callback, returned.value)
                return
            except BaseException as error:
                self._let(self._status.deferred.errback, failure_of(error))
                return
            try:
                if self._wait_for(awaited):
                    return
            except BaseException as error:  # What is awaited is anybody's object.
                resume, value = self._coroutine.throw, error
                continue
            # Twisted gives back what it does not know, as a generator's plain value.
            resume, value = self._coroutine.send, awaited

    def _wait_for(self, awaited: Any) -> bool:
        """Wait for a reply as before, or let Twisted wait, and drive on.

        :returns: False if *awaited* is nothing that is waited for.
        """
        kind = type(awaited)
        if kind is self._kind:
            call = awaited.call
            if call.task is None and not call.shared and not call.over:
                self._status.waitingOn = awaited
                call.task = self
                return True
        elif not (
            issubclass(kind, defer.Deferred)
            or iscoroutine(awaited)
            or isgenerator(awaited)
        ):
            return False
        self._let(self._hand_back, awaited)
        return True

    def _hand_back(self, awaited: Any) -> None:
        if not issubclass(type(awaited), defer.Deferred):
            awaited = defer.Deferred.fromCoroutine(awaited)
        self._status.waitingOn = awaited
        # It waits: so the first of the arguments says.
        awaited.addBoth(
            GOT_RESULT, [False, None], self._coroutine, self._status, self._variables
        )

    def _let(self, tell: Callable[[Any], Any], result: Any) -> None:
        """Let others go on: the coroutine is over, or it awaits what Twisted knows."""
        try:
            self._outside.run(tell, result)
        except BaseException as error:  # Of anybody's code, or its Deferred was fired.
            self._caller.log_failure(error, 0, "a coroutine that Twisted drives")
