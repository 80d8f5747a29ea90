# -*- test-case-name: tests.node.test_at_work -*-
"""A Deferred that the node gives to an actor, and fires."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import copy_context
from typing import TYPE_CHECKING, Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.logger import Logger, LogLevel

from .failures import failure_of
from .scheduler import Scheduler

_T = TypeVar("_T")


class Listened(Deferred[_T]):
    """A Deferred that may hold an error back until somebody listens.

    It is not fired with that before: Twisted would log it when nobody ever does.
    """

    #: The error that is held back.
    unheard: BaseException | None = None

    def succeed(self, result: Any) -> None:
        """Give a result, or a `Failure`, to the callbacks."""
        raise NotImplementedError

    def _before_listener(self) -> None:
        """Somebody is about to listen."""

    def _heard(self) -> Any:
        error = self.unheard
        if error is not None:
            self.unheard = None
            if not self.called:
                Deferred.errback(self, failure_of(error))
        return self

    # By name, not by super(), which costs 0.1 us for each callback.
    if not TYPE_CHECKING:

        def addCallbacks(self, *args, **kwargs):  # noqa: N802
            self._before_listener()
            Deferred.addCallbacks(self, *args, **kwargs)
            return self._heard()

        def addCallback(self, *args, **kwargs):  # noqa: N802
            self._before_listener()
            Deferred.addCallback(self, *args, **kwargs)
            return self._heard()

        def addErrback(self, *args, **kwargs):  # noqa: N802
            self._before_listener()
            Deferred.addErrback(self, *args, **kwargs)
            return self._heard()

        def addBoth(self, *args, **kwargs):  # noqa: N802
            self._before_listener()
            Deferred.addBoth(self, *args, **kwargs)
            return self._heard()


class NodeDeferred(Deferred[_T]):
    """A Deferred whose callbacks run in the turn of a scheduler, not in the waker.

    They see the context variables of the code that got it from the node.  Whoever has
    it may cancel it, or even fire it: the node then has nothing to fire.

    :param cancelled: told when it is cancelled.
    """

    _log = Logger()

    #: What it waits for, in words.
    what = "a Deferred of the node"

    def __init__(
        self,
        scheduler: Scheduler,
        cancelled: Callable[[NodeDeferred[_T]], Any] | None = None,
    ) -> None:
        super().__init__(cancelled)  # type: ignore[arg-type]
        self._scheduler = scheduler
        self._variables = copy_context()

    def fire(self, result: _T) -> None:
        """Give the result to who waits, in its turn."""
        self._scheduler.in_turn(self._variables.run, self._fire, result)

    def fail(self, error: BaseException) -> None:
        """Raise an error where it is waited for, in its turn."""
        self._scheduler.in_turn(self._variables.run, self._fire, failure_of(error))

    def _fire(self, result: Any) -> None:
        if not self.called:
            try:
                self.callback(result)
            except BaseException as error:  # Of what a callback returned.
                failure = failure_of(error)
                self._log.failure("a callback went wrong", failure, LogLevel.error)
