# -*- test-case-name: tests.node.test_cell -*-
"""What happens to a message that leaves its actor's mailbox: handlers and answers.

An actor's code is a stranger here.  Whatever it raises, returns or shows is met by one
of the guards below: ``except BaseException`` around each call of it.
"""

from __future__ import annotations

from collections.abc import Coroutine
from contextvars import Context as Variables
from contextvars import copy_context
from inspect import isawaitable
from types import CoroutineType
from typing import Any, cast

from twisted.internet.defer import CancelledError
from twisted.python.failure import Failure

from ..errors import QueueFull, RemoteError, UnpackError
from ..handle import Handle
from ..message import LOCAL_TYPES, PACKED_TYPES, PType
from ..text import error_text, shown, traceback_of
from . import coroutines, debug
from .cell import Cell
from .core import Core
from .failures import log_misuse, logger_of
from .requests import Call, Message, ReturnTo
from .task import Task
from .work import AT_WORK, REDIRECTED, Work

# Plain numbers: an attribute of an IntEnum costs more than the comparison itself.
_LUA = int(PType.LUA)
_RESPONSE = int(PType.RESPONSE)
_ERROR = int(PType.ERROR)
_DEBUG = int(PType.DEBUG)
_TRACE = int(PType.TRACE)

#: Result types that are neither a coroutine nor a Deferred.
_PLAIN = frozenset({tuple, int, str, list, dict, bool, float, bytes})

#: Characters of an error's text that its caller is told.
_TOLD = 1000

#: How the name of this file ends, compiled or not.
_OWN_FILE = "node/dispatch.py"

_set_work = AT_WORK.set


class ActorCell(Cell):
    """Handles the messages of one actor.

    :param commands: the commands, by the attribute that handles each.
    :param dispatchers: the message types, by the attribute that handles each.
    """

    __slots__ = ("commands", "dispatchers")

    def __init__(
        self,
        core: Core,
        handle: Handle,
        actor: object,
        commands: dict[object, str],
        dispatchers: dict[int, str],
    ) -> None:
        super().__init__(core, handle, actor)
        self.commands = commands
        self.dispatchers = dispatchers

    def run(self, limit: int) -> None:
        """Handle up to *limit* messages."""
        mailbox = self.mailbox
        commands = self.commands
        actor = self.actor
        core = self.core
        ledger = self.ledger
        handled = packed = 0
        try:
            # What a handler forks runs before the next message.
            self.forked = False
            while mailbox and handled < limit and not self.forked:
                message = mailbox.popleft()
                ptype, source, return_to, body = message
                handled += 1
                ledger.deliver()
                if ptype == _LUA:
                    if type(body) is bytes:
                        packed += 1
                        try:
                            body = core.unpack(body)
                        except UnpackError as error:
                            self._unreadable(ptype, source, return_to, error)
                            continue
                    try:
                        name = commands[body[0]]
                    except BaseException:  # It may be any object, from a local caller.
                        self._dispatch(ptype, source, return_to, body)
                        continue
                    work = Work(self, source, return_to)
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
                            if return_to is not None:
                                self._answer(work, None)
                        elif type(result) is CoroutineType:
                            self._start(result, variables, work, ptype, body)
                        elif type(result) in _PLAIN:
                            # Asking whether it is awaitable would cost 0.2 us.
                            if return_to is not None:
                                self._answer(work, result)
                        else:
                            self._answer_result(result, variables, work, ptype, body)
                    except BaseException as error:
                        self._failed(work, body, error)
                elif ptype == _RESPONSE or ptype == _ERROR:  # noqa: SIM109, it is faster
                    if type(body) is bytes:
                        packed += 1
                    self.take_answer(message)
                else:
                    if type(body) is bytes:
                        packed += 1
                        if ptype in PACKED_TYPES:
                            try:
                                body = core.unpack(body)
                            except UnpackError as error:
                                self._unreadable(ptype, source, return_to, error)
                                continue
                        elif ptype in LOCAL_TYPES:
                            if return_to is not None:
                                why = f"type {ptype} is for one node"
                                return_to.refuse(self.handle, why)
                            continue
                        else:
                            body = (body,)
                    self._dispatch(ptype, source, return_to, body)
        finally:
            # Nobody works on the last message any more.
            _set_work(None)
            self.handled += handled
            if packed:
                core.backlog.handled(packed)

    def _dispatch(
        self, ptype: int, source: int, return_to: ReturnTo | None, body: tuple[Any, ...]
    ) -> None:
        """Handle a message that is no command: another type, or an unknown one."""
        name = self.dispatchers.get(ptype)
        if name is None:
            if ptype == _DEBUG:
                if return_to is not None:
                    values = debug.answer(self, source, return_to, body)
                    if values is not None:
                        self._answer(Work(self, source, return_to), values)
            elif ptype != _TRACE:
                self._unknown(ptype, source, return_to, body)
            return
        work = Work(self, source, return_to)
        _set_work(work)
        variables = copy_context()
        try:
            result = variables.run(getattr(self.actor, name), *body)
            self._answer_result(result, variables, work, ptype, body)
        except BaseException as error:
            self._failed(work, body, error)

    def _unknown(
        self, ptype: int, source: int, return_to: ReturnTo | None, body: tuple[Any, ...]
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
        if return_to is not None:
            return_to.refuse(self.handle, f"{self.name} does not know {what}")

    # Handlers

    def _start(
        self,
        coroutine: Coroutine[Any, Any, Any],
        variables: Variables,
        work: Work,
        ptype: int,
        body: object,
    ) -> None:
        if len(self.tasks) >= self.core.limits.handlers:
            coroutine.close()
            raise QueueFull(f"{len(self.tasks)} handlers of {self.name} wait already")
        task = Task(self, coroutine, variables, work, ptype, body)
        task.advance(coroutine.send, None)

    def finished(self, task: Task, result: Any) -> None:
        """A coroutine returned."""
        self.leave(task)
        work = task.work
        if work is None:
            assert task.finished is not None
            task.finished(result, None)
        elif work.return_to is not None:
            try:
                if isinstance(result, Failure):
                    assert result.value is not None
                    raise result.value
                self._answer_as(task.ptype, work, result)
            except BaseException as error:  # A result may be anybody's object.
                self._failed(work, task.request, error)
        self.check_idle()

    def broken(self, task: Task, error: BaseException) -> None:
        """A coroutine raised."""
        self.leave(task)
        work = task.work
        if work is None:
            assert task.finished is not None
            task.finished(None, error)
        elif self.alive or not issubclass(type(error), CancelledError):
            self._failed(work, task.request, error)
        else:
            work.refuse(self.handle, f"{self.name} is gone: {self.why}")
        self.check_idle()

    # Answers to others

    def _answer_result(
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
        elif work.return_to is not None:
            self._answer_as(ptype, work, result)

    def _answer(self, work: Work, result: Any) -> None:
        """Send a handler's result to who called."""
        if work.over or result is REDIRECTED:
            return
        work.over = True
        return_to = work.return_to
        assert return_to is not None
        if type(result) is tuple:
            values = result
        else:
            values = () if result is None else (result,)
        try:
            return_to.answer(self.handle, values)
        except BaseException as error:  # Values may be of anybody's classes.
            self._unanswered(work, error, shown(result))

    def _answer_as(self, ptype: int, work: Work, result: Any) -> None:
        """Answer a message of this type: to a raw one, bytes are the whole answer."""
        if type(result) is not bytes or ptype in PACKED_TYPES:
            self._answer(work, result)
        elif not work.over:
            work.over = True
            assert work.return_to is not None
            try:
                work.return_to.answer_raw(self.handle, result)
            except BaseException as error:
                self._unanswered(work, error, f"{len(result)} bytes")

    def _unanswered(self, work: Work, error: BaseException, result: str) -> None:
        """An answer cannot leave: say so to the caller."""
        self.log_failure(error, work.source, result)
        why = f"the answer of {self.name} cannot leave: {error_text(error, _TOLD)}"
        assert work.return_to is not None
        work.return_to.refuse(self.handle, why)

    # Answers to its own calls

    def take_answer(self, message: Message) -> None:
        """Resume who waits for this answer."""
        ptype, source, return_to, body = message
        if return_to is None:
            self._caller_died(source)
            return
        call = cast(Call, return_to)
        if call.over:
            self.ledger.answer_late()
            return
        if ptype == _ERROR:
            call.fail(_remote_error(call, body) if type(body) is bytes else body)
            return
        if type(body) is bytes:
            if call.raw:
                call.succeed(body)
                return
            try:
                body = self.core.unpack(body)
            except UnpackError as error:
                call.fail(error)
                return
        size = len(body)
        call.succeed(body[0] if size == 1 else body if size else None)

    def _caller_died(self, source: int) -> None:
        """Another node says that an actor of it is dead (harbor-modern, section 6)."""
        self.forget_callers([source], lambda handle: handle == source)
        for call in list(self.calls.values()):
            if call.target == source:
                call.fail(RemoteError(f"{call.callee_text} is gone"))

    # What goes wrong

    def _unreadable(
        self, ptype: int, source: int, return_to: ReturnTo | None, error: UnpackError
    ) -> None:
        logger_of(self.kind).error(
            "{actor} cannot read a message of type {ptype} from {source}: {error}",
            actor=self.name,
            ptype=ptype,
            source=Handle(source),
            error=error,
        )
        if return_to is not None:
            why = f"{self.name} cannot read the request: {error}"
            return_to.refuse(self.handle, why)

    def _failed(self, work: Work, request: object, error: BaseException) -> None:
        if _never_entered(error):
            log_misuse(self.kind, self.name, error, work.source, request)
        else:
            self.log_failure(error, work.source, request)
        work.refuse(self.handle, f"{self.name} raised {error_text(error, _TOLD)}")


def _remote_error(call: Call, body: bytes) -> RemoteError:
    """The error of an answer from another node: nodes of ours say what was raised."""
    text = f"{call.callee_text} answered with an error"
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
