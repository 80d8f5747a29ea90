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

from twisted.internet.defer import CancelledError, Deferred

from ..errors import CallTimeout, SkynetError
from ..handle import Handle
from .deferred import Listened
from .failures import failure_of

if TYPE_CHECKING:
    from .context import Context
    from .task import Task


class Reply(Listened[Any]):
    """The answer to one call: ``None``, the value, or a tuple of several values."""

    #: The task that awaits the answer and nothing else does, if there is one.
    task: Task | None = None
    #: The session among its caller's calls, 0 for a call that is not there.
    session = 0
    #: The callee's address, 0 while only a name is known.
    target = 0
    #: The time limit on the node's clock, None without one.
    deadline: float | None = None
    #: Where it stands among the calls that wait for the same, see `Calls`.
    slot: dict[Reply, None] | None = None
    #: What the caller gets at the time limit; another class until the request leaves.
    expiry: type[SkynetError] = CallTimeout
    #: Whether the answer is raw bytes instead of packed values.
    raw = False
    #: Whether it has callbacks, so that the answer takes the Deferred's own way.
    shared = False
    #: What was decided is on its way to the callbacks.
    decided = False
    #: The context variables of who first used it as a Deferred, for the callbacks.
    variables: Variables | None = None

    def __init__(self, caller: Context, describe: int | str) -> None:
        # What a Deferred needs is made when something needs it, see __getattr__.
        self.caller = caller
        #: The address as the caller gave it, for error texts.
        self.describe = describe

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
        # Deferred may have set that it has no canceller any more.
        super().__init__(self.__dict__.get("_canceller", _cancelled))
        return getattr(self, name)

    def __await__(self) -> Generator[Deferred[Any], Any, Any]:
        if self.called or self.paused:
            return (yield from super().__await__())
        # Whoever drives the coroutine, a Task or Twisted, sends the answer in.
        return (yield self)

    @property
    def over(self) -> bool:
        """Whether nobody waits for the answer any more."""
        return self.decided or self.called

    @property
    def callee(self) -> str:
        """Who was called, in words."""
        called = self.describe
        return str(Handle(called)) if isinstance(called, int) else str(called)

    # The node says what became of it

    def fail(self, error: BaseException) -> None:
        """Raise *error* where the answer is awaited, in its turn.

        Nothing happens if it was answered before.
        """
        if self.over:
            return
        self.leave()
        task, self.task = self.task, None
        if task is not None:
            self.called = True
            self.result = None
            task.wake_with_error(error)
        else:
            self.decided = True
            self.caller.node.scheduler.enter(self.succeed, failure_of(error))

    def abandon(self) -> None:
        """The caller is gone; an error that nobody hears of is not logged."""
        if self.over:
            return
        error = SkynetError("the caller ended before the answer came")
        if self.shared or self.task is not None:
            self.addErrback(lambda failure: failure.trap(SkynetError))
            self.fail(error)
        else:
            self.leave()
            self.decided = True
            self.unheard = error

    def leave(self) -> None:
        """Leave all tables; an answer that comes now is late."""
        slot = self.slot
        if slot is not None:
            self.slot = None
            slot.pop(self, None)
        if self.session:
            self.caller.calls.pop(self.session, None)

    def succeed(self, result: Any) -> None:
        """Give a result to the callbacks; in a turn, with no code of an actor around.

        What an awaiting handler gets, its actor's record sends in by itself.
        """
        if not self.called:
            try:
                if self.variables is None:
                    Deferred.callback(self, result)
                else:
                    self.variables.run(Deferred.callback, self, result)
            except BaseException as error:  # Of what a callback returned.
                self.caller.log_failure(error, 0, "a callback of a call")

    # What somebody does who uses it as a Deferred

    def _before_listener(self) -> None:
        """Take the Deferred's own way from now on: somebody adds a callback."""
        self.shared = True
        task = self.task
        if task is not None:
            self.task = None
            Deferred.addBoth(self, task.wake)

    if not TYPE_CHECKING:

        def callback(self, result):
            """Somebody else than the node answers: its own answer will be late."""
            self.leave()
            self._before_listener()
            super().callback(result)

        def errback(self, fail=None):
            self.leave()
            self._before_listener()
            super().errback(fail)


def _cancelled(reply: Deferred[Any]) -> None:
    assert isinstance(reply, Reply)
    if reply.task is not None:
        reply.fail(CancelledError())
    else:
        reply.leave()
    reply.caller.node.given_up(reply)
