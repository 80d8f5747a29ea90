# -*- test-case-name: tests.node.test_cell -*-
"""What the node keeps for an actor: its mailbox, its calls, its coroutines, its life.

`ActorCell` adds what happens to a message that leaves the mailbox.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Coroutine, Iterable
from contextvars import Context as Variables
from typing import Any

from twisted.internet.defer import CancelledError, Deferred

from ..errors import NoSuchActor, QueueFull
from ..handle import Handle
from ..message import PType
from ..status import ActorStatus
from ..text import type_name
from .callers import Callers
from .core import Core
from .deferred import NodeDeferred
from .failures import log_failure
from .reply import Reply
from .requests import Message
from .task import Task, TaskOwner

_LUA = int(PType.LUA)
_RESPONSE = int(PType.RESPONSE)
_ERROR = int(PType.ERROR)


class Cell(TaskOwner):
    """What the node keeps for one actor.

    :param actor: the actor, whose code is a stranger here.
    """

    __slots__ = (
        "actor",
        "alive",
        "callers",
        "core",
        "forked",
        "handled",
        "held_size",
        "idle",
        "kind",
        "mailbox",
        "names",
        "room",
        "scheduled",
        "tasks",
        "unhandled",
        "watchers",
        "why",
    )

    def __init__(self, core: Core, handle: Handle, actor: object) -> None:
        name = f"{type_name(actor)}({handle})"
        super().__init__(handle, name, core.scheduler, core.ledger)
        self.core = core
        self.actor: Any = actor
        #: The actor's class.
        self.kind = type(actor)
        self.mailbox: deque[Message] = deque()
        #: How many messages the mailbox takes; none when the actor ends.
        self.room = core.limits.messages
        #: What it will not handle any more, until that is refused.
        self.unhandled: tuple[Message, ...] = ()
        #: In the scheduler's queue, or not to be put there.
        self.scheduled = True
        #: Whether it takes messages; when it ends only answers to its own calls.
        self.alive = True
        #: Whether it is over: nothing of it runs any more.
        self.gone = False
        #: Why it ends, in words.
        self.why = "it exited"
        #: Told when no coroutine of it waits any more, while it ends.
        self.idle: Callable[[], None] | None = None
        #: How many messages it has handled.
        self.handled = 0
        #: Bytes that other nodes' messages hold while the gate is shut.
        self.held_size = 0
        #: Whether something was forked since the last message.
        self.forked = False
        #: Its coroutines that wait.
        self.tasks: dict[Task, None] = {}
        #: The names that it owns.
        self.names: tuple[str, ...] = ()
        #: Deferreds of local actors that watch this one.
        self.watchers: dict[NodeDeferred[str], None] = {}
        #: Who waits for it: for answers, and for its end.
        self.callers = Callers()
        core.backlog.begins(self)

    def status(self, now: float) -> ActorStatus:
        """The actor as it is."""
        state = "starting" if self.gated else "running"
        return ActorStatus(
            self.handle,
            type_name(self.actor),
            self.names,
            state if self.alive else "ending",
            len(self.mailbox) + len(self.unhandled),
            self.handled,
            tuple([task.status(now) for task in self.tasks]),
            len(self.calls),
        )

    # Messages

    def put(self, message: Message) -> None:
        """Take a message into the mailbox.

        :raises QueueFull: the mailbox is at its limit; the message was not taken.
        :raises NoSuchActor: the actor has ended.
        """
        mailbox = self.mailbox
        if len(mailbox) >= self.room:
            if not self.alive:
                raise NoSuchActor(f"{self.name} is gone")
            raise QueueFull(f"{len(mailbox)} messages wait for {self.name} already")
        mailbox.append(message)
        self.ledger.queue()
        if not self.scheduled:
            self.scheduled = True
            self.scheduler.schedule(self)

    def move_in(self, message: Message) -> None:
        """Take a message that stands in the ledger as queued from before.

        :raises QueueFull: the mailbox is at its limit; the message was not taken.
        :raises NoSuchActor: the actor has ended.
        """
        self.put(message)
        self.ledger.move()

    def put_answer(self, message: Message) -> None:
        """Take an answer to a call of this actor; a shut gate lets it through."""
        if self.gated:
            self.scheduler.in_turn(self._answered_early, message)
        elif not self.gone:
            self.mailbox.append(message)
            self.ledger.queue()
            if type(message[3]) is bytes:
                self.core.backlog.add(1)
            if not self.scheduled:
                self.scheduled = True
                self.scheduler.schedule(self)
        else:
            call = message[2]
            if call is not None:
                call.abandon()

    def _answered_early(self, message: Message) -> None:
        self.ledger.queue()
        self.ledger.deliver()
        self.take_answer(message)

    def take_answer(self, message: Message) -> None:
        """Resume who waits for this answer."""
        raise NotImplementedError

    def open(self) -> None:
        """Deliver from now on; what waited goes first, in order."""
        self.gated = False
        self.held_size = 0
        self.scheduled = bool(self.mailbox)
        self.core.backlog.started(self, packed(self.mailbox))
        if self.scheduled:
            self.scheduler.schedule(self)

    def pending(self) -> bool:
        """Whether there is something to handle."""
        if self.mailbox and not self.gated:
            return True
        self.scheduled = self.gated
        return False

    def take_no_more(self) -> int:
        """Take no message any more, only answers.

        :returns: how many of those in `unhandled` were in the backlog.
        """
        self.alive = False
        self.room = 0
        answers = [m for m in self.mailbox if m[0] in (_RESPONSE, _ERROR)]
        self.unhandled = tuple(
            [m for m in self.mailbox if m[0] not in (_RESPONSE, _ERROR)]
        )
        self.mailbox.clear()
        self.mailbox.extend(answers)
        return 0 if self.gated else packed(self.unhandled)

    # Coroutines

    def fork(
        self,
        coroutine: Coroutine[Any, Any, Any],
        request: str,
        finished: Callable[[Any, BaseException | None], None],
        variables: Variables,
    ) -> Task:
        """Run a coroutine beside the handlers, from the scheduler's queue.

        :param finished: called with its result, or with what it raised.
        """
        task = Task(self, coroutine, variables, None, _LUA, request)
        task.finished = finished
        task.kept = True
        self.tasks[task] = None
        self.forked = True
        self.scheduler.schedule(task)
        return task

    def keep(self, task: Task) -> None:
        """A coroutine waits, and is to be ended with the actor."""
        self.tasks[task] = None
        if task.work is not None:
            self.callers.keep(task.work.source, task)
        if not self.alive:
            task.end()

    def leave(self, task: Task) -> None:
        """A coroutine is over."""
        if task.kept:
            self.tasks.pop(task, None)
            if task.work is not None:
                self.callers.leave(task.work.source, task)

    def check_idle(self) -> None:
        """Tell when no coroutine waits any more, if the actor ends."""
        if self.idle is not None and not self.tasks:
            self.idle()

    def cancel_tasks(self) -> None:
        """Let all coroutines know that the actor ends."""
        for task in list(self.tasks):
            task.end()

    def close_tasks(self) -> None:
        """End all coroutines where they are; their callers get errors."""
        tasks = list(self.tasks)
        self.tasks.clear()
        # Detach all first: closing one may fire a Deferred that another awaits.
        waits = [task.detach() for task in tasks]
        for task in tasks:
            task.close()
            if task.work is not None:
                task.work.refuse(self.handle, f"{self.name} is gone: {self.why}")
            elif task.finished is not None:
                task.finished(None, CancelledError())
        for wait in waits:
            if type(wait) is Reply:
                wait.call.abandon()
            elif wait is not None:
                self.cancel(wait)

    def cancel(self, wait: Deferred[Any]) -> None:
        """Cancel what one of its coroutines waited for."""
        try:
            wait.cancel()
        except BaseException as error:  # Its canceller is anybody's code.
            self.log_failure(error, 0, "what it waited for was cancelled")

    # Its callers

    def forget_callers(
        self, callers: list[int], is_gone: Callable[[int], bool]
    ) -> None:
        """Some callers are gone: what waits for them here gets no answer.

        :param is_gone: tells it of any handle.
        """
        for caller in callers:
            self.callers.forget(caller)
        try:
            self.actor._callers_gone(is_gone)
        except BaseException as error:
            self.log_failure(error, 0, "callers that are gone")

    def log_failure(self, error: BaseException, source: int, request: object) -> None:
        """Log an error of this actor once, with the message that it was working on."""
        log_failure(self.kind, self.name, error, source, request)


def packed(messages: Iterable[Message]) -> int:
    """How many of these came from other nodes."""
    return sum(type(message[3]) is bytes for message in messages)
