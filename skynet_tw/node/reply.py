# -*- test-case-name: tests.node.test_calls -*-
"""What a caller waits on.

A `Reply` is an ordinary Deferred for whoever wants one.  A handler that awaits it is
resumed directly, without the Deferred's callbacks: that is most of what a call
costs beyond its bytes.
"""

from __future__ import annotations

from collections.abc import Generator
from contextvars import Context as Variables
from contextvars import copy_context
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred

from .deferred import Listened
from .driven import GOT_RESULT, Driven
from .requests import Call


class Reply(Listened[Any]):
    """The answer to one call: ``None``, the value, or a tuple of several values."""

    #: The context variables of who first used it as a Deferred, for the callbacks.
    variables: Variables | None = None

    def __init__(self, call: Call) -> None:
        # What a Deferred needs is made when something needs it, see __getattr__.
        self.call = call

    def __getattr__(self, name: str) -> Any:
        """Become a whole Deferred at the first use as one.

        Most answers are awaited by a handler and need no callbacks; to prepare for
        them took a tenth of a call.
        """
        if "whole" in self.__dict__:
            raise AttributeError(name)
        self.whole = True
        # Of who first uses it as one: also a callback that returns it.
        self.variables = copy_context()
        # Deferred may have cleared its canceller.
        super().__init__(self.__dict__.get("_canceller", _cancelled))
        # Twisted puts callbacks in by itself, where a callback returns it.
        self._before_listener()
        return getattr(self, name)

    def __await__(self) -> Generator[Deferred[Any], Any, Any]:
        if self.called or self.paused:
            return (yield from super().__await__())
        # Whoever drives the coroutine, a Task or Twisted, sends the answer in.
        return (yield self)

    def succeed(self, result: Any) -> None:
        """Give a result to the callbacks; in a turn, with no code of an actor around.

        What an awaiting task gets, `Call.succeed` sends in by itself.
        """
        if not self.called:
            try:
                if self.variables is None:
                    Deferred.callback(self, result)
                else:
                    self.variables.run(Deferred.callback, self, result)
            except BaseException as error:  # Of what a callback returned.
                self.call.caller.log_failure(error, 0, "a callback of a call")

    # What somebody does who uses it as a Deferred

    def _before_listener(self) -> None:
        """Take the Deferred's own way from now on: somebody adds a callback."""
        call = self.call
        call.shared = True
        task = call.task
        if task is not None:
            call.task = None
            Deferred.addBoth(self, task.wake)

    if not TYPE_CHECKING:

        def addBoth(self, callback, *args, **kwargs):  # noqa: N802
            call = self.call
            if (
                callback is GOT_RESULT
                and call.task is None
                and not call.shared
                and not call.over
            ):
                # The answer is sent into the coroutine directly.
                _waits, coroutine, status, variables = args
                call.task = Driven(call.caller, Reply, coroutine, status, variables)
                return self
            return super().addBoth(callback, *args, **kwargs)

        def callback(self, result):
            """Somebody else than the node answers: its own answer will be late."""
            self._taken_over()
            super().callback(result)

        def errback(self, fail=None):
            self._taken_over()
            super().errback(fail)

        def _taken_over(self):
            self._before_listener()
            if not self.call.over:
                self.call.give_up(None)


def _cancelled(reply: Deferred[Any]) -> None:
    assert isinstance(reply, Reply)
    call = reply.call
    if not call.over:
        call.give_up(None)
