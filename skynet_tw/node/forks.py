# -*- test-case-name: tests.node.test_arguments -*-
"""What an actor runs beside its handlers, and what it gets for it."""

from __future__ import annotations

from contextvars import copy_context
from typing import Any

from twisted.internet.defer import CancelledError

from ..errors import NotReady, SkynetError
from . import coroutines
from .cell import Cell
from .deferred import Listened, NodeDeferred
from .task import Task, TaskOwner


class Fork(Listened[Any], NodeDeferred[Any]):
    """The result of a fork.

    An error that nobody listens for is logged under the actor, at once.  Whoever
    listens later gets it all the same.
    """

    task: Task
    #: Whether anybody ever listened.
    _listened = False

    def __init__(self, owner: TaskOwner) -> None:
        super().__init__(owner.scheduler, _cancelled)
        self.what = "a fork"
        self._owner = owner

    def _before_listener(self) -> None:
        self._listened = True

    def finished(self, result: Any, error: BaseException | None) -> None:
        """The fork is over: it returned *result*, or raised *error*."""
        if error is None:
            self.fire(result)
        elif self._listened:
            self.fail(error)
        else:
            self.unheard = error
            if not issubclass(type(error), CancelledError):
                self._owner.log_failure(error, 0, "a fork")

    def refuse(self, error: SkynetError) -> None:
        """It will not run; to be told to who listens."""
        self.unheard = error


def fork(cell: Cell, work: Any) -> Fork:
    """Run something beside the handlers, see `Actor.fork`."""
    cell.core.check_thread()
    coroutine = coroutines.to_fork(work)
    result = Fork(cell)
    if cell.gone:
        coroutine.close()
        result.refuse(NotReady(f"{cell!r} has ended"))
    else:
        variables = copy_context()
        result.task = cell.fork(coroutine, "a fork", result.finished, variables)
    return result


def _cancelled(fork: NodeDeferred[Any]) -> None:
    assert isinstance(fork, Fork)
    fork.task.cancel()
