# -*- test-case-name: tests.node.test_context -*-
"""The node's side of an actor: its mailbox, its work under way, its answers.

A message in a mailbox is ``(ptype, source, session, body)``.  From an actor of the
same node the body is the tuple of values and the session is the caller's `Reply` or
0; from another node the body is bytes, still packed, and the session a number.

An actor's code is a stranger here.  Whatever it raises, returns or shows is met by one
of the guards below: ``except BaseException`` around each call of it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Coroutine
from contextvars import Context as Variables
from contextvars import copy_context
from inspect import isawaitable
from types import CoroutineType
from typing import TYPE_CHECKING, Any, cast

from twisted.internet.defer import CancelledError, Deferred
from twisted.python.failure import Failure

from ..errors import (
    CallTimeout,
    NoSuchActor,
    QueueFull,
    RemoteError,
    TooLarge,
    UnpackError,
)
from ..handle import Handle
from ..message import LOCAL_TYPES, MAX_SESSION, PACKED_TYPES, PType
from ..text import error_text, shown, traceback_of, type_name
from . import coroutines, debug
from .callers import Callers
from .deferred import NodeDeferred
from .ending import Ending
from .failures import log_failure, log_misuse, logger_of
from .reply import Reply
from .scheduler import Runnable
from .task import Task
from .work import AT_WORK, Work

if TYPE_CHECKING:
    from .actor import Actor
    from .node import Node

#: What a mailbox holds, see above.
Message = tuple[int, int, int | Reply, Any]

# Plain numbers: an attribute of an IntEnum costs more than the comparison itself.
_LUA = int(PType.LUA)
_RESPONSE = int(PType.RESPONSE)
_ERROR = int(PType.ERROR)
_DEBUG = int(PType.DEBUG)
_TRACE = int(PType.TRACE)

#: Results of which a handler's caller need not ask what they are.
_PLAIN = frozenset({tuple, int, str, list, dict, bool, float, bytes})

#: Characters of an error's text that its caller is told.
_TOLD = 1000

#: How the name of this file ends, compiled or not.
_OWN_FILE = "node/context.py"

_set_work = AT_WORK.set


class Redirected:
    """What a handler returns when somebody else answers in its place."""


REDIRECTED = Redirected()


class Context(Runnable):
    """What the node keeps for one actor."""

    __slots__ = (
        "_called",
        "_forked",
        "_last_session",
        "actor",
        "alive",
        "callers",
        "calls",
        "commands",
        "ending",
        "gated",
        "gone",
        "handle",
        "held_size",
        "kind",
        "mailbox",
        "name",
        "names",
        "node",
        "room",
        "scheduled",
        "tasks",
        "unhandled",
        "watchers",
    )

    def __init__(self, node: Node, handle: Handle, actor: Actor) -> None:
        self.node = node
        self.handle = handle
        self.actor = actor
        #: The actor's class.
        self.kind: type[Actor] = type(actor)
        self.name = f"{type_name(actor)}({handle})"
        #: The commands, by the attribute that handles each.
        self.commands: dict[object, str] = self.kind._commands
        self.mailbox: deque[Message] = deque()
        #: What it will not handle any more, until that is refused.
        self.unhandled: list[Message] = []
        #: How many messages the mailbox takes; none when the actor ends.
        self.room = node.limits.messages
        #: Before ``started`` is done: messages wait, answers to own calls do not.
        self.gated = True
        #: In the scheduler's queue, or not to be put there.
        self.scheduled = True
        #: Whether it takes messages; after `exit` only answers to its own calls.
        self.alive = True
        #: Whether it is over: nothing of it runs any more.
        self.gone = False
        self.ending: Ending | None = None
        #: Bytes that other nodes' messages hold while the gate is shut.
        self.held_size = 0
        #: Its calls that wait for an answer with a session.
        self.calls: dict[int, Reply] = {}
        self._last_session = 0
        #: Whether something was forked since the last message.
        self._forked = False
        #: The callees of the calls that were under way when it began to end.
        self._called: list[int] = []
        #: Its coroutines that wait.
        self.tasks: dict[Task, None] = {}
        self.names: list[str] = []
        #: Deferreds of local actors that watch this one.
        self.watchers: dict[NodeDeferred[str], None] = {}
        #: Who waits for it: for answers, and for its end.
        self.callers = Callers()

    def __repr__(self) -> str:
        return self.name

    # Taking messages

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
        self.node.ledger.queued += 1
        if not self.scheduled:
            self.scheduled = True
            self.node.scheduler.schedule(self)

    def put_answer(self, message: Message) -> None:
        """Take an answer to a call of this actor; a shut gate lets it through."""
        if self.gated:
            self.node.scheduler.enter(self._answered_early, message)
        elif not self.gone:
            self.mailbox.append(message)
            self.node.ledger.queued += 1
            if type(message[3]) is bytes:
                self.node.border.take_in(1)
            if not self.scheduled:
                self.scheduled = True
                self.node.scheduler.schedule(self)
        elif isinstance(message[2], Reply):
            message[2].abandon()
        else:
            self.node.late += 1

    def _answered_early(self, message: Message) -> None:
        ledger = self.node.ledger
        ledger.queued += 1
        ledger.handled += 1
        ptype, source, session, body = message
        self._take_answer(ptype, source, session, body)

    def open(self) -> None:
        """Deliver from now on; what waited goes first, in order."""
        self.gated = False
        self.held_size = 0
        self.scheduled = bool(self.mailbox)
        self.node.border.released(self)
        if self.scheduled:
            self.node.scheduler.schedule(self)

    def pending(self) -> bool:
        """Whether there is something to handle."""
        if self.mailbox and not self.gated:
            return True
        self.scheduled = self.gated
        return False

    # Handling messages

    def run(self, limit: int) -> None:
        """Handle up to *limit* messages."""
        mailbox = self.mailbox
        commands = self.commands
        actor = self.actor
        node = self.node
        ledger = node.ledger
        handled = packed = 0
        try:
            # What a handler forks runs before the next message.
            self._forked = False
            while mailbox and handled < limit and not self._forked:
                ptype, source, session, body = mailbox.popleft()
                handled += 1
                ledger.handled += 1
                if ptype == _LUA:
                    if type(body) is bytes:
                        packed += 1
                        try:
                            body = node.unpack(body)
                        except UnpackError as error:
                            self._unreadable(ptype, source, session, error)
                            continue
                    try:
                        name = commands[body[0]]
                    except BaseException:  # It may be any object, from a local caller.
                        self._dispatch(ptype, source, session, body)
                        continue
                    work = Work(self, source, session)
                    _set_work(work)
                    variables = copy_context()
                    try:
                        # Looked up each time: a handler may be replaced while it runs.
                        handler = getattr(actor, name)
                        size = len(body)
                        # Without a tuple of arguments; saves 0.1 us, and most
                        # messages are as short.
                        if size == 3:
                            result = variables.run(handler, body[1], body[2])
                        elif size == 2:
                            result = variables.run(handler, body[1])
                        elif size == 1:
                            result = variables.run(handler)
                        else:
                            result = variables.run(handler, *body[1:])
                        if result is None:
                            # Most one-way messages end here.
                            if session:
                                self._answer(work, None)
                        elif type(result) is CoroutineType:
                            self._start(result, variables, work, ptype, body)
                        elif type(result) in _PLAIN:
                            # Asking whether it is awaitable would cost 0.2 us.
                            if session:
                                self._answer(work, result)
                        else:
                            self._settle(result, variables, work, ptype, body)
                    except BaseException as error:
                        self._failed(work, body, error)
                elif ptype == _RESPONSE or ptype == _ERROR:  # noqa: SIM109, it is faster
                    if type(body) is bytes:
                        packed += 1
                    self._take_answer(ptype, source, session, body)
                else:
                    if type(body) is bytes:
                        packed += 1
                        if ptype in PACKED_TYPES:
                            try:
                                body = node.unpack(body)
                            except UnpackError as error:
                                self._unreadable(ptype, source, session, error)
                                continue
                        elif ptype in LOCAL_TYPES:
                            self.refuse(
                                source, session, f"type {ptype} is for one node"
                            )
                            continue
                        else:
                            body = (body,)
                    self._dispatch(ptype, source, session, body)
        finally:
            # Nobody works on the last message any more.
            _set_work(None)
            if packed:
                node.border.handled(packed)

    def _dispatch(
        self, ptype: int, source: int, session: int | Reply, body: tuple[Any, ...]
    ) -> None:
        """Handle a message that is no command: another type, or an unknown one."""
        name = self.kind._dispatchers.get(ptype)
        if name is None:
            if ptype == _DEBUG:
                debug.answer(self, source, session, body)
            elif ptype != _TRACE:
                self._unknown(ptype, source, session, body)
            return
        work = Work(self, source, session)
        _set_work(work)
        variables = copy_context()
        try:
            result = variables.run(getattr(self.actor, name), *body)
            self._settle(result, variables, work, ptype, body)
        except BaseException as error:
            self._failed(work, body, error)

    def _unknown(
        self, ptype: int, source: int, session: int | Reply, body: tuple[Any, ...]
    ) -> None:
        what = f"type {ptype}"
        if ptype == _LUA and body:
            what = f"command {shown(body[0], 80)}"
        logger_of(self.kind).warn(
            "{actor} does not know {what} from {source}",
            actor=self.name,
            what=what,
            source=Handle(source),
        )
        self.refuse(source, session, f"{self.name} does not know {what}")

    def _settle(
        self, result: Any, variables: Variables, work: Work, ptype: int, body: object
    ) -> None:
        """Answer with what a handler returned, once it is there."""
        if type(result) is CoroutineType:
            self._start(result, variables, work, ptype, body)
        elif result is REDIRECTED:
            return
        elif isinstance(result, Failure):
            assert result.value is not None
            self._failed(work, body, result.value)
        elif isawaitable(result):
            self._start(coroutines.wait(result), variables, work, ptype, body)
        elif work.session:
            self._answer_as(ptype, work, result)

    def _start(
        self,
        coroutine: Coroutine[Any, Any, Any],
        variables: Variables,
        work: Work,
        ptype: int,
        body: object,
    ) -> None:
        if len(self.tasks) >= self.node.limits.handlers:
            coroutine.close()
            raise QueueFull(f"{len(self.tasks)} handlers of {self.name} wait already")
        task = Task(self, coroutine, variables, work, ptype, body)
        task.advance(coroutine.send, None)

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
        self._forked = True
        self.node.scheduler.schedule(task)
        return task

    def keep(self, task: Task) -> None:
        """A coroutine waits, and is to be ended with the actor."""
        self.tasks[task] = None
        if task.work is not None:
            self.callers.keep(task.work.source, task)
        if not self.alive:
            task.end()

    # Answers

    def _answer(self, work: Work, result: Any) -> None:
        """Send a handler's result to who called."""
        if work.over or result is REDIRECTED:
            return
        work.over = True
        self.answer(work.source, work.session, result)

    def answer(self, source: int, session: int | Reply, result: Any) -> None:
        """Send a result to who called."""
        # The type of an int is asked, as to learn that it is no Reply costs 0.5 us: a
        # Deferred's class is abstract.
        if type(session) is int:
            values = (
                result
                if type(result) is tuple
                else (() if result is None else (result,))
            )
            border = self.node.border
            try:
                payload = border.pack(values)
                border.respond(source, self.handle, _RESPONSE, session, payload)
            except BaseException as error:  # Values may be of anybody's classes.
                self._unanswered(source, session, result, error)
        else:
            if type(result) is tuple and len(result) < 2:
                result = result[0] if result else None
            caller = cast(Reply, session).caller
            caller.put_answer((_RESPONSE, self.handle, session, result))

    def _answer_as(self, ptype: int, work: Work, result: Any) -> None:
        """Answer a message of this type: to a raw one, bytes are the whole answer."""
        raw = type(result) is bytes and ptype not in PACKED_TYPES
        session = work.session
        if not raw or isinstance(session, Reply):
            self._answer(work, result)
        elif not work.over:
            work.over = True
            self._respond(work.source, session, result)

    def _respond(self, source: int, session: int, payload: bytes) -> None:
        try:
            self.node.border.respond(source, self.handle, _RESPONSE, session, payload)
        except TooLarge as error:
            self._unanswered(source, session, f"{len(payload)} bytes", error)

    def _unanswered(
        self, source: int, session: int, result: Any, error: BaseException
    ) -> None:
        """An answer cannot leave: say so to the caller."""
        self.log_failure(error, source, shown(result))
        why = f"the answer of {self.name} cannot leave: {error_text(error, _TOLD)}"
        self.node.border.respond_error(source, self.handle, session, why)

    def refuse(self, source: int, session: int | Reply, reason: str) -> None:
        """Answer a call with an error; a one-way message gets no answer."""
        if isinstance(session, Reply):
            error = RemoteError(reason)
            session.caller.put_answer((_ERROR, self.handle, session, error))
        elif session:
            self.node.border.respond_error(source, self.handle, session, reason)

    def finished(self, task: Task, result: Any) -> None:
        """A coroutine returned."""
        self._leave(task)
        work = task.work
        if work is None:
            assert task.finished is not None
            task.finished(result, None)
        elif work.session:
            try:
                if isinstance(result, Failure):
                    assert result.value is not None
                    raise result.value
                self._answer_as(task.ptype, work, result)
            except BaseException as error:  # A result may be anybody's object.
                self._failed(work, task.request, error)
        self._check_idle()

    def broken(self, task: Task, error: BaseException) -> None:
        """A coroutine raised."""
        self._leave(task)
        work = task.work
        if work is None:
            assert task.finished is not None
            task.finished(None, error)
        elif self.alive or not issubclass(type(error), CancelledError):
            self._failed(work, task.request, error)
        else:
            self._refuse_work(work, f"{self.name} is gone: {self._why}")
        self._check_idle()

    def _leave(self, task: Task) -> None:
        if task.kept:
            self.tasks.pop(task, None)
            if task.work is not None:
                self.callers.leave(task.work.source, task)

    def _check_idle(self) -> None:
        if self.ending is not None and not self.tasks:
            self.ending.idle()

    # Calls of its own

    def add_call(self, reply: Reply) -> int:
        """Enter a call; its session, 1..0x7fffffff, is unique in this actor."""
        calls = self.calls
        session = self._last_session + 1
        while session in calls or session > MAX_SESSION:
            session = 1 if session > MAX_SESSION else session + 1
        self._last_session = session
        calls[session] = reply
        reply.session = session
        if self.gated:
            # Its start waits for what comes in over the links.
            self.node.border.check_reading()
        return session

    def _take_answer(
        self, ptype: int, source: int, session: int | Reply, body: Any
    ) -> None:
        """Resume who waits for this answer."""
        # What a Reply could do itself is done here: it is not compiled, and each call
        # of its methods costs 0.1 us.
        if type(session) is int:
            reply: Any = self.calls.pop(session, None)
            if reply is None:
                if ptype == _ERROR and session == 0:
                    self._caller_died(source)
                else:
                    self.node.late += 1
                return
            # What is in the table waits, and stands in a slot as well.
            del reply.slot[reply]
            if ptype == _ERROR:
                reply.fail(_remote_error(reply, body))
                return
            if reply.raw:
                result = body
            else:
                try:
                    values = self.node.unpack(body)
                except UnpackError as error:
                    reply.fail(error)
                    return
                result = values[0] if len(values) == 1 else values if values else None
        else:
            reply = session
            if reply.called or reply.decided:
                self.node.late += 1
                return
            if reply.session:
                reply.leave()
            if ptype == _ERROR:
                reply.fail(body)
                return
            result = body
        task = reply.task
        if task is None:
            reply.succeed(result)
        else:
            reply.called = True
            reply.result = result
            reply.task = None
            task.advance(task.coroutine.send, result)

    def _caller_died(self, source: int) -> None:
        """Another node says that an actor of it is dead (harbor-modern, section 6)."""
        self.forget_callers([source], lambda handle: handle == source)
        for reply in list(self.calls.values()):
            if reply.target == source:
                reply.fail(RemoteError(f"{reply.callee} is gone"))

    # What goes wrong

    def _unreadable(
        self, ptype: int, source: int, session: int | Reply, error: UnpackError
    ) -> None:
        logger_of(self.kind).error(
            "{actor} cannot read a message of type {ptype} from {source}: {error}",
            actor=self.name,
            ptype=ptype,
            source=Handle(source),
            error=error,
        )
        self.refuse(source, session, f"{self.name} cannot read the request: {error}")

    def _failed(self, work: Work, request: object, error: BaseException) -> None:
        if _never_entered(error):
            log_misuse(self.kind, self.name, error, work.source, request)
        else:
            self.log_failure(error, work.source, request)
        self._refuse_work(work, f"{self.name} raised {error_text(error, _TOLD)}")

    def _refuse_work(self, work: Work, reason: str) -> None:
        if not work.over:
            work.over = True
            self.refuse(work.source, work.session, reason)

    def log_failure(self, error: BaseException, source: int, request: object) -> None:
        """Log an error of this actor once, with the message that it was working on."""
        log_failure(self.kind, self.name, error, source, request)

    # The end

    @property
    def _why(self) -> str:
        return "it exited" if self.ending is None else self.ending.reason

    def exit(self, reason: str, grace: float) -> None:
        """End the actor; it has some seconds to finish what it does."""
        if self.alive:
            self.ending = Ending(self, reason, grace)
            self.alive = False
            self.room = 0
            self.unhandled = [
                m for m in self.mailbox if m[0] not in (_RESPONSE, _ERROR)
            ]
            answers = [m for m in self.mailbox if m[0] in (_RESPONSE, _ERROR)]
            counted = not self.gated  # in the border's backlog
            self.mailbox.clear()
            self.mailbox.extend(answers)
            self.node.forget_names(self)
            self.node.scheduler.enter(self._close, counted, reason)

    def _close(self, counted: bool, reason: str) -> None:
        """Refuse what it will not handle, and end what is under way."""
        node = self.node
        unhandled, self.unhandled = self.unhandled, []
        why = f"{self.name} is gone: {reason}"
        for ptype, source, session, _body in unhandled:
            if session:
                node.ledger.refused += 1
                self.refuse(source, session, why)
            else:
                node.ledger.refuse("the actor is gone", source, self.handle, ptype)
        if self.gated:
            self.open()
        if counted:
            node.border.handled(sum(type(m[3]) is bytes for m in unhandled))
        assert self.ending is not None
        self._called = self._written()
        self.ending.begin()

    def _written(self) -> list[int]:
        """The callees of its calls that were sent."""
        return [r.target for r in self.calls.values() if r.expiry is CallTimeout]

    def cancel_tasks(self) -> None:
        """Let all coroutines know that the actor ends."""
        for task in list(self.tasks):
            task.end()

    def close_tasks(self) -> None:
        """End all coroutines where they are; their callers get errors."""
        tasks = list(self.tasks)
        self.tasks.clear()
        # Detached first: what one of them frees while it ends must not wake another.
        waits = [task.awaited for task in tasks]
        for task in tasks:
            task.awaited = None
        for task in tasks:
            task.close()
            if task.work is not None:
                self._refuse_work(task.work, f"{self.name} is gone: {self._why}")
            elif task.finished is not None:
                task.finished(None, CancelledError())
        for wait in waits:
            if isinstance(wait, Reply):
                wait.task = None
                wait.abandon()
            elif wait is not None:
                self.cancel(wait)

    def cancel(self, wait: Deferred[Any]) -> None:
        """Cancel what one of its coroutines waited for."""
        try:
            wait.cancel()
        except BaseException as error:  # Its canceller is anybody's code.
            self.log_failure(error, 0, "what it waited for was cancelled")

    def bury(self, reason: str) -> None:
        """The actor is over: tell who waits for that, and whom it has called."""
        node = self.node
        why = f"{self.name} is gone: {reason}"
        self.gone = True
        node.caller_gone(self, [*self._called, *self._written()])
        for reply in list(self.calls.values()):
            reply.abandon()
        for source, sessions in self.callers.links.items():
            for session in sessions:
                self.refuse(source, session, why)
        self.callers = Callers()
        watchers, self.watchers = self.watchers, {}
        for watcher in watchers:
            watcher.fire(why)
        packed = 0
        for ptype, source, session, body in self.mailbox:
            packed += type(body) is bytes
            node.ledger.drop("the caller is gone", source, self.handle, ptype)
            if isinstance(session, Reply):
                session.abandon()
        self.mailbox.clear()
        node.border.handled(packed)

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


def _remote_error(reply: Reply, body: bytes) -> RemoteError:
    """The error of an answer from another node: nodes of ours say what was raised."""
    text = f"{reply.callee} answered with an error"
    said = body[: 4 * _TOLD].decode("utf-8", "backslashreplace")[: 2 * _TOLD]
    return RemoteError(f"{text}: {said}" if said else text)


def _never_entered(error: BaseException) -> bool:
    """Whether a handler was called with arguments that it does not take."""
    if type(error) is not TypeError:
        return False
    trace = traceback_of(error)
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return trace is None or trace.tb_frame.f_code.co_filename.endswith(_OWN_FILE)
