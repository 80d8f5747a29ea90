# -*- test-case-name: tests.node.test_actor -*-
"""A coroutine that runs for an actor.

It is driven without a Deferred until it really waits, and then resumed by what it
waits for.  While it runs, its actor's ``sender`` is the message's that started it.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from .reply import Reply

if TYPE_CHECKING:
    from .context import Context


class Task:
    """One handler at work on one message, or one forked coroutine.

    :param context: the actor that it runs for.
    :param coroutine: what is run.
    :param ptype: the message's type, for the log.
    :param source: the address that asked, 0 for nobody.
    :param session: what the answer is sent to: a session, a `Reply`, or 0.
    """

    __slots__ = (
        "awaited",
        "context",
        "coroutine",
        "ptype",
        "request",
        "session",
        "source",
    )

    def __init__(
        self,
        context: Context,
        coroutine: Coroutine[Any, Any, Any],
        ptype: int,
        source: int,
        session: int | Reply,
        request: object,
    ) -> None:
        self.context = context
        self.coroutine = coroutine
        self.ptype = ptype
        self.source = source
        self.session = session
        #: The message's values, for the log.
        self.request = request
        self.awaited: Deferred[Any] | None = None

    def step(self, value: Any = None) -> None:
        """Run on with *value* as what was awaited."""
        self.advance(self.coroutine.send, value)

    def throw(self, error: BaseException) -> None:
        """Run on with *error* raised where the coroutine waits."""
        self.advance(self.coroutine.throw, error)

    def advance(self, resume: Callable[[Any], Any], value: Any) -> None:
        """Run on by calling *resume*, the coroutine's ``send`` or ``throw``."""
        context = self.context
        scheduler = context.node.scheduler
        if not scheduler.running:
            scheduler.enter(self.advance, resume, value)
            return
        self.awaited = None
        context.source = self.source
        context.session = self.session
        outer, scheduler.current = scheduler.current, self
        try:
            awaited = resume(value)
        except StopIteration as stop:
            context.finished(self, stop.value)
        except BaseException as error:
            context.broken(self, error)
        else:
            self._wait_for(awaited)
        finally:
            scheduler.current = outer

    def _wait_for(self, awaited: object) -> None:
        """Arrange to be run on when *awaited* has a result."""
        if (
            type(awaited) is Reply
            and awaited.task is None
            and not awaited.called
            and not awaited.shared
            and awaited.caller is self.context
        ):
            awaited.task = self
            self.awaited = awaited
        elif isinstance(awaited, Deferred):
            self.awaited = awaited
            awaited.addBoth(self.resume)
        else:
            self.throw(TypeError(f"an actor can await a Deferred, not {awaited!r}"))

    def resume(self, result: Any) -> None:
        """Run on with the result of a Deferred, which may be a Failure."""
        if self.awaited is None:
            return  # The actor is gone, see detach().
        # A handler of the same actor may have fired the Deferred.
        context = self.context
        source, session = context.source, context.session
        if isinstance(result, Failure):
            assert result.value is not None
            self.throw(result.value)
        else:
            self.step(result)
        context.source, context.session = source, session

    def detach(self) -> Deferred[Any] | None:
        """Wait no longer, and return what was waited for."""
        awaited, self.awaited = self.awaited, None
        if isinstance(awaited, Reply) and awaited.task is self:
            awaited.task = None
        return awaited

    def close(self) -> None:
        """End the coroutine where it is; it waits for nothing any more."""
        try:
            self.coroutine.close()
        except Exception as error:
            self.context.log_failure(error, self)
