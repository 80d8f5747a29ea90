# -*- test-case-name: tests.node.test_cell -*-
"""Who waits for an actor: by caller, so that one who is gone costs his own share."""

from __future__ import annotations

from .requests import ReturnTo
from .task import Task


class Callers:
    """The handlers of an actor that wait, and the links to it, of each caller."""

    __slots__ = ("_tasks", "count", "links")

    def __init__(self) -> None:
        self._tasks: dict[int, dict[Task, None]] = {}
        #: Of each address, the requests that want an error when the actor is gone.
        self.links: dict[int, dict[ReturnTo, None]] = {}
        #: How many such requests there are.
        self.count = 0

    def keep(self, source: int, task: Task) -> None:
        """A handler that works for *source* waits."""
        tasks = self._tasks.get(source)
        if tasks is None:
            tasks = self._tasks[source] = {}
        tasks[task] = None

    def leave(self, source: int, task: Task) -> None:
        """It is over."""
        tasks = self._tasks.get(source)
        if tasks is not None:
            tasks.pop(task, None)
            if not tasks:
                del self._tasks[source]

    def link(self, source: int, return_to: ReturnTo) -> None:
        """Somebody wants an error when the actor is gone."""
        self.links.setdefault(source, {})[return_to] = None
        self.count += 1
        return_to.when_given_up(lambda: self._unlink(source, return_to))

    def _unlink(self, source: int, return_to: ReturnTo) -> None:
        """He does not want it any more."""
        links = self.links.get(source, {})
        if return_to in links:
            del links[return_to]
            self.count -= 1
            if not links:
                del self.links[source]

    def of_harbor(self, harbor: int) -> list[int]:
        """All callers that live in a harbor."""
        return [s for s in {**self._tasks, **self.links} if s >> 24 == harbor]

    def forget(self, source: int) -> None:
        """A caller is gone: what waits for it gets no answer."""
        for task in self._tasks.pop(source, {}):
            if task.work is not None:
                task.work.over = True
        self.count -= len(self.links.pop(source, {}))
