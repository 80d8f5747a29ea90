# -*- test-case-name: tests.node.test_context -*-
"""The node's side of an actor: its mailbox, its work under way, its end.

A message in a mailbox is ``(ptype, source, session, body)``.  From an actor of the
same node the body is the tuple of values and the session is the caller's `Reply` or
0; from another node the body is bytes, still packed, and the session a number.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Coroutine
from types import CoroutineType
from typing import TYPE_CHECKING, Any, ClassVar

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from ..errors import (
    PackError,
    QueueFull,
    RemoteError,
    SkynetError,
    TooLarge,
    UnpackError,
)
from ..handle import Handle
from ..message import LOCAL_TYPES, PACKED_TYPES, PType
from . import debug
from .reply import Reply
from .task import Task

if TYPE_CHECKING:
    from .actor import Actor
    from .node import Node

#: What a mailbox holds, see above.
Message = tuple[int, int, int | Reply, Any]

# Plain numbers: an attribute of an IntEnum costs more than the comparison itself.
_LUA = int(PType.LUA)
_RESPONSE = int(PType.RESPONSE)
_ERROR = int(PType.ERROR)


#: Results of which a handler's caller need not ask what they are.
_PLAIN = frozenset({tuple, int, str, list, dict, bool, float, bytes})


class Redirected:
    """What a handler returns when somebody else answers in its place."""


REDIRECTED = Redirected()


class Context:
    """What the node keeps for one actor."""

    _log: ClassVar[Logger] = Logger(namespace="skynet_tw.actor")

    __slots__ = (
        "actor",
        "alive",
        "commands",
        "gated",
        "handle",
        "held_size",
        "linked",
        "mailbox",
        "names",
        "node",
        "scheduled",
        "session",
        "source",
        "tasks",
        "watchers",
    )

    def __init__(self, node: Node, handle: Handle, actor: Actor) -> None:
        self.node = node
        self.handle = handle
        self.actor = actor
        self.commands = type(actor)._commands
        self.mailbox: deque[Message] = deque()
        #: Before ``started`` is done: messages wait, answers to own calls do not.
        self.gated = True
        #: In the scheduler's queue, or not to be put there.
        self.scheduled = True
        self.alive = True
        #: Bytes that other nodes' messages hold while the gate is shut.
        self.held_size = 0
        #: Sender and session of the message at work.
        self.source = 0
        self.session: int | Reply = 0
        self.tasks: set[Task] = set()
        self.names: list[str] = []
        #: Deferreds of local actors that watch this one.
        self.watchers: list[Deferred[str]] = []
        #: ``(address, session)`` of others that want an error when this actor is gone.
        self.linked: list[tuple[int, int | Reply]] = []

    def __repr__(self) -> str:
        return f"{type(self.actor).__name__}({self.handle})"

    # Taking messages

    def put(self, message: Message) -> None:
        """Take a message into the mailbox.

        :raises QueueFull: the mailbox is at its limit; the message was not taken.
        """
        mailbox = self.mailbox
        if len(mailbox) >= self.node.limits.messages:
            raise QueueFull(f"{len(mailbox)} messages wait for {self!r} already")
        mailbox.append(message)
        self.node.ledger.queued += 1
        if not self.scheduled:
            self.scheduled = True
            self.node.scheduler.schedule(self)

    def put_answer(self, message: Message) -> None:
        """Take an answer to a call of this actor; a shut gate lets it through."""
        if self.gated:
            self.node.ledger.queued += 1
            self.node.scheduler.enter(self._answered_early, message)
        elif self.alive:
            self.mailbox.append(message)
            self.node.ledger.queued += 1
            if not self.scheduled:
                self.scheduled = True
                self.node.scheduler.schedule(self)
        elif isinstance(message[2], Reply):
            message[2].abandon()

    def _answered_early(self, message: Message) -> None:
        self.node.ledger.handled += 1
        self._take_answer(*message)

    def open(self) -> None:
        """Deliver from now on; what waited goes first, in order."""
        self.gated = False
        self.held_size = 0
        self.scheduled = bool(self.mailbox)
        if self.scheduled:
            self.node.border.released(self.mailbox)
            self.node.scheduler.schedule(self)

    # Handling messages

    def run(self, limit: int) -> None:
        """Handle up to *limit* messages."""
        mailbox = self.mailbox
        commands = self.commands
        actor = self.actor
        node = self.node
        ledger = node.ledger
        handled = packed = 0
        while mailbox and handled < limit:
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
                self.source = source
                self.session = session
                try:
                    handler = commands[body[0]]
                except (KeyError, IndexError, TypeError):
                    self._dispatch(ptype, source, session, body)
                    continue
                try:
                    result = handler(actor, *body[1:])
                except Exception as error:
                    self._failed(ptype, source, session, body, error)
                    continue
                if result is None:
                    # Most one-way messages end here.
                    if session:
                        self.answer(source, session, None)
                elif type(result) is CoroutineType:
                    self._start(result, ptype, source, session, body)
                elif type(result) in _PLAIN:
                    # Asking whether it is a Deferred would cost 0.2 us.
                    if session:
                        self.answer(source, session, result)
                else:
                    self._settle(result, ptype, source, session, body)
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
                        self.refuse(source, session, f"type {ptype} is for one node")
                        continue
                    else:
                        body = (body,)
                self._dispatch(ptype, source, session, body)
        if packed:
            node.border.handled(packed)

    def _dispatch(
        self, ptype: int, source: int, session: int | Reply, body: tuple[Any, ...]
    ) -> None:
        """Handle a message that is no command: another type, or an unknown one."""
        self.source = source
        self.session = session
        handler: Callable[..., Any] | None = type(self.actor)._dispatchers.get(ptype)
        if handler is None and ptype == PType.DEBUG:
            debug.answer(self, source, session, body)
            return
        if handler is None and ptype == PType.TRACE:
            return
        if handler is None:
            kind = f"type {ptype}"
            if ptype == _LUA and body:
                kind = f"command {repr(body[0])[:80]}"
            self._log.warn(
                "{actor} does not know {kind} from {source}",
                actor=self,
                kind=kind,
                source=Handle(source),
            )
            self.refuse(source, session, f"{self!r} does not know {kind}")
            return
        try:
            result = handler(self.actor, *body)
        except Exception as error:
            self._failed(ptype, source, session, body, error)
        else:
            if type(result) is CoroutineType:
                self._start(result, ptype, source, session, body)
            else:
                self._settle(result, ptype, source, session, body)

    def _settle(
        self, result: Any, ptype: int, source: int, session: int | Reply, body: object
    ) -> None:
        """Answer with a plain function's result, which may be a Deferred."""
        if isinstance(result, Deferred):
            self._start(_wait(result), ptype, source, session, body)
        elif session:
            self._answer_as(ptype, source, session, result)

    def _start(
        self,
        coroutine: Coroutine[Any, Any, Any],
        ptype: int,
        source: int,
        session: int | Reply,
        body: object,
    ) -> Task:
        task = Task(self, coroutine, ptype, source, session, body)
        self.tasks.add(task)
        task.step()
        return task

    def fork(self, coroutine: Coroutine[Any, Any, Any]) -> None:
        """Run a coroutine beside the handlers; its errors are logged."""
        if not self.alive:
            coroutine.close()
            return
        task = Task(self, coroutine, _LUA, int(self.handle), 0, "fork")
        self.tasks.add(task)
        source, session = self.source, self.session
        self.node.scheduler.enter(task.step)
        self.source, self.session = source, session

    # Answers

    def answer(self, source: int, session: int | Reply, result: Any) -> None:
        """Send a handler's result to who called."""
        # The type of an int is asked, as to learn that it is no Reply costs 0.5 us: a
        # Deferred's class is abstract.
        if type(session) is int:
            if result is REDIRECTED:
                return
            values = (
                result
                if type(result) is tuple
                else (() if result is None else (result,))
            )
            border = self.node.border
            try:
                border.send(
                    source, self.handle, _RESPONSE, session, border.pack(values)
                )
            except SkynetError as error:
                self._unanswered(source, session, result, error)
        elif result is not REDIRECTED:
            assert isinstance(session, Reply)
            if type(result) is tuple and len(result) < 2:
                result = result[0] if result else None
            session.caller.put_answer((_RESPONSE, self.handle, session, result))

    def _answer_as(
        self, ptype: int, source: int, session: int | Reply, result: Any
    ) -> None:
        """Answer a message of this type: to a raw one, bytes are the whole answer."""
        raw = type(result) is bytes and ptype not in PACKED_TYPES
        if not raw or isinstance(session, Reply):
            self.answer(source, session, result)
            return
        try:
            self.node.border.send(source, self.handle, _RESPONSE, session, result)
        except SkynetError as error:
            self._unanswered(source, session, result, error)

    def _unanswered(
        self, source: int, session: int, result: Any, error: SkynetError
    ) -> None:
        """An answer cannot leave: say so to the caller, where that can be reached."""
        if isinstance(error, (PackError, TooLarge)):
            self.log_failure(error, None, source, result)
            self.node.border.send_error(source, self.handle, session)
        else:
            ledger = self.node.ledger
            ledger.queued += 1
            ledger.drop("an answer cannot leave", self.handle, source, _RESPONSE)

    def refuse(self, source: int, session: int | Reply, reason: str) -> None:
        """Answer a call with an error; a one-way message gets no answer."""
        if isinstance(session, Reply):
            error = RemoteError(reason)
            session.caller.put_answer((_ERROR, self.handle, session, error))
        elif session:
            self.node.border.send_error(source, self.handle, session)

    def finished(self, task: Task, result: Any) -> None:
        """A coroutine returned."""
        self.tasks.discard(task)
        if task.session:
            if type(result) is bytes:
                self._answer_as(task.ptype, task.source, task.session, result)
            else:
                self.answer(task.source, task.session, result)

    def broken(self, task: Task, error: BaseException) -> None:
        """A coroutine raised."""
        self.tasks.discard(task)
        self._failed(task.ptype, task.source, task.session, task.request, error)
        if not isinstance(error, Exception):
            raise error

    def _take_answer(
        self, ptype: int, source: int, session: int | Reply, body: Any
    ) -> None:
        """Resume who waits for this answer."""
        if type(session) is int:
            self.node.border.take_answer(self, ptype, source, session, body)
            return
        assert isinstance(session, Reply)
        if session.called:
            self.node.late += 1
            return
        self.node.calls.forget(session)
        if ptype == _RESPONSE:
            session.succeed(body)
        else:
            session.fail(body)

    def _unreadable(
        self, ptype: int, source: int, session: int | Reply, error: UnpackError
    ) -> None:
        self._log.error(
            "{actor} cannot read a message of type {ptype} from {source}: {error}",
            actor=self,
            ptype=ptype,
            source=Handle(source),
            error=error,
        )
        self.refuse(source, session, f"{self!r} cannot read the request: {error}")

    def _failed(
        self,
        ptype: int,
        source: int,
        session: int | Reply,
        request: object,
        error: BaseException,
    ) -> None:
        self.log_failure(error, None, source, request)
        self.refuse(source, session, f"{self!r} raised {type(error).__name__}: {error}")

    def log_failure(
        self,
        error: BaseException,
        task: Task | None,
        source: int = 0,
        request: object = None,
    ) -> None:
        """Log an error of this actor once, with the message that it was working on."""
        if task is not None:
            source, request = task.source, task.request
        text = repr(request)
        self._log.failure(
            "{actor} failed at {request} from {source}",
            Failure(error, type(error), error.__traceback__),
            actor=self,
            request=text if len(text) <= 200 else text[:200] + "...",
            source=Handle(source),
        )

    # The end

    def exit(self, reason: str = "it exited") -> None:
        """End the actor; whoever waits for it is told, now or after this batch."""
        if not self.alive:
            return
        self.alive = False
        counted = not self.gated  # in the border's backlog
        self.gated = False
        self.scheduled = True
        self.node.forget(self)
        unhandled = list(self.mailbox)
        self.mailbox.clear()
        scheduler = self.node.scheduler
        if scheduler.running:
            scheduler.afterwards.append(lambda: self._close(unhandled, counted, reason))
        else:
            scheduler.enter(self._close, unhandled, counted, reason)

    def _close(self, unhandled: list[Message], counted: bool, reason: str) -> None:
        node = self.node
        why = f"{self!r} is gone: {reason}"
        for ptype, source, session, _body in unhandled:
            if ptype in (_RESPONSE, _ERROR):
                node.ledger.drop("the caller is gone", source, self.handle, ptype)
                if isinstance(session, Reply):
                    session.abandon()
            elif session:
                node.ledger.refused += 1
                self.refuse(source, session, why)
            else:
                node.ledger.refuse("the actor is gone", source, self.handle, ptype)
        if counted:
            packed = sum(1 for message in unhandled if type(message[3]) is bytes)
            node.border.handled(packed)
        replies = node.border.caller_gone(self)
        tasks = list(self.tasks)
        self.tasks.clear()
        # What one of them frees while it ends must not wake another.
        awaited = [task.detach() for task in tasks]
        for task in tasks:
            self.refuse(task.source, task.session, why)
            task.close()
        for wait in awaited:
            if isinstance(wait, Reply):
                wait.abandon()
            elif wait is not None:
                wait.cancel()
        for reply in replies:
            reply.abandon()
        for source, session in self.linked:
            self.refuse(source, session, why)
        while self.watchers:
            self.watchers.pop(0).callback(why)
        try:
            self.actor.stopped()
        except Exception as error:
            self.log_failure(error, None, int(self.handle), "stopped")

    def drop_work_for(self, source: int) -> None:
        """The caller is gone: its pending work gets no answer."""
        for task in self.tasks:
            if task.source == source:
                task.session = 0
        self.linked = [link for link in self.linked if link[0] != source]


async def _wait(result: Deferred[Any]) -> Any:
    return await result
