# -*- test-case-name: tests.node.test_calls -*-
"""Requests: what became of one so far, and whom its answer goes to.

A `Call` is the node's side of a request that an actor of this node makes; the `Reply`
is what the actor has of it.  A call is in up to three tables: among its caller's calls,
by session; in a slot of time, see `Calls`; and in the queue where it waits.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Any, Final

from ..errors import (
    CallTimeout,
    NoSuchName,
    NotReady,
    PeerDown,
    RemoteError,
    SkynetError,
)
from ..handle import Handle
from ..message import MAX_SESSION, PType
from ..status import CallStatus
from ..text import shown
from .deferred import Listened
from .failures import failure_of
from .ledger import Ledger
from .scheduler import Runnable, Scheduler

_RESPONSE = int(PType.RESPONSE)
_ERROR = int(PType.ERROR)


class Stage(Enum):
    """What a request waits for."""

    #: The owner of the name that it is sent to.
    NAME = "name"
    #: The boot of this node, before any link is up.
    BOOT = "boot"
    #: The link to its peer.
    LINK = "link"
    #: Its answer: it has left, and may have run.
    SENT = "sent"


_NAME: Final = Stage.NAME
_BOOT: Final = Stage.BOOT
_LINK: Final = Stage.LINK
_SENT: Final = Stage.SENT


class ReturnTo:
    """Whom the answer to a request goes to.

    A call of this node, or a session of a peer.  A one-way message has None in its
    place.
    """

    __slots__ = ("session",)

    #: The session on the wire, 0 for a call that has none.
    session: int

    def answer(self, source: int, values: tuple[Any, ...]) -> None:
        """Send the values of an answer.

        :param source: the handle of who answers.
        :raises PackError: a value cannot leave the node.
        :raises TooLarge: the answer does not fit the wire.
        """
        raise NotImplementedError

    def answer_raw(self, source: int, payload: bytes) -> None:
        """Send an answer of raw bytes, to a request that came as raw bytes."""
        raise NotImplementedError

    def refuse(self, source: int, reason: str) -> None:
        """Answer with an error, a `RemoteError` to the caller."""
        raise NotImplementedError

    def when_given_up(self, forget: Callable[[], object]) -> None:
        """Call *forget* when it is known that nobody waits for the answer any more."""

    def abandon(self) -> None:
        """Nobody will answer, and nobody is left who waits."""


#: What a mailbox holds: type, sender's handle, whom to answer, body.  From an actor of
#: the same node the body is the tuple of values, or the error of a failed call; from
#: another node it is bytes, still packed.
Message = tuple[int, int, ReturnTo | None, Any]


class Waiter(Runnable):
    """What waits for an answer, and is resumed without a Deferred's callbacks."""

    __slots__ = ()

    def resume(self, value: Any) -> None:
        """Run on with the answer, at once; in a turn."""
        raise NotImplementedError

    def wake(self, result: Any) -> Any:
        """Run on with the result of a Deferred, which may be a Failure, in its turn."""
        raise NotImplementedError

    def wake_with_error(self, error: BaseException) -> None:
        """Run on with an error, in its turn."""
        raise NotImplementedError


class Caller(Runnable):
    """Who makes calls: an actor, as its calls see it.

    :param name: the actor, in words.
    :param ledger: the books of the node.
    """

    __slots__ = (
        "_last_session",
        "calls",
        "gated",
        "handle",
        "ledger",
        "name",
        "scheduler",
    )

    def __init__(
        self, handle: Handle, name: str, scheduler: Scheduler, ledger: Ledger
    ) -> None:
        self.handle = handle
        self.name = name
        self.scheduler = scheduler
        self.ledger = ledger
        #: Before ``started`` is done: messages wait, answers to own calls do not.
        self.gated = True
        #: Its calls that wait for an answer with a session.
        self.calls: dict[int, Call] = {}
        self._last_session = 0

    def __repr__(self) -> str:
        return self.name

    def add_call(self, call: Call) -> int:
        """Enter a call; its session, 1..0x7fffffff, is unique in this actor."""
        calls = self.calls
        session = self._last_session + 1
        while session in calls or session > MAX_SESSION:
            session = 1 if session > MAX_SESSION else session + 1
        self._last_session = session
        calls[session] = call
        call.session = session
        return session

    def put_answer(self, message: Message) -> None:
        """Take an answer to one of its calls."""
        raise NotImplementedError

    def put_packed_answer(
        self, ptype: int, source: int, session: int, payload: bytes
    ) -> None:
        """Take an answer from another node, or its word that *source* is dead."""
        call = self.calls.get(session)
        if call is not None:
            call.leave()
        elif ptype != _ERROR or session:
            self.ledger.answer_late()
            return
        self.put_answer((ptype, source, call, payload))

    def log_failure(self, error: BaseException, source: int, request: object) -> None:
        """Log an error of this actor."""
        raise NotImplementedError


class Call(ReturnTo):
    """One request of an actor of this node that waits for its answer.

    :param callee: a handle or a name, as the caller gave it.
    """

    __slots__ = (
        "_forget",
        "callee",
        "caller",
        "deadline",
        "over",
        "raw",
        "reply",
        "shared",
        "since",
        "slot",
        "stage",
        "target",
        "task",
        "way",
    )

    def __init__(self, caller: Caller, callee: int | str) -> None:
        self.caller = caller
        self.callee = callee
        #: What the caller has of it; None as soon as it is over.
        self.reply: Listened[Any] | None = None
        #: What awaits the reply and nothing else does, if there is such a task.
        self.task: Waiter | None = None
        #: Whether the reply has callbacks, so that the answer takes the Deferred's way.
        self.shared = False
        #: Whether nobody waits for the answer any more.
        self.over = False
        #: The session among its caller's calls, 0 for a call that is not there.
        self.session = 0
        #: The callee's address, 0 while only a name is known.
        self.target = 0
        #: The time limit on the node's clock, None without one.
        self.deadline: float | None = None
        #: Where it stands among the calls of its channel or of the node.
        self.slot: dict[Call, None] | None = None
        #: When it was made, on the node's clock.
        self.since = caller.scheduler.seconds()
        #: What it waits for.
        self.stage = _SENT
        #: The peer whose link it waits for, in words.
        self.way = ""
        #: Whether the answer is raw bytes instead of packed values.
        self.raw = False
        self._forget: Callable[[], object] | None = None

    @property
    def callee_text(self) -> str:
        """Who was called, in words."""
        callee = self.callee
        return str(Handle(callee)) if isinstance(callee, int) else str(callee)

    def status(self, now: float) -> CallStatus:
        """The call as it is."""
        return CallStatus(
            self.caller.handle,
            self.callee_text,
            self.session,
            self.stage.value,
            max(now - self.since, 0.0),
            None if self.deadline is None else self.deadline - now,
        )

    # Whom to answer

    def answer(self, source: int, values: tuple[Any, ...]) -> None:
        """Put the values of an answer into the caller's mailbox."""
        if self.slot is not None:
            self.leave()
        self.caller.put_answer((_RESPONSE, source, self, values))

    def answer_raw(self, source: int, payload: bytes) -> None:
        """Put an answer of raw bytes into the caller's mailbox."""
        self.answer(source, (payload,))

    def refuse(self, source: int, reason: str) -> None:
        """Put an error into the caller's mailbox."""
        self.leave()
        self.caller.put_answer((_ERROR, source, self, RemoteError(reason)))

    def when_given_up(self, forget: Callable[[], object]) -> None:
        """Call *forget* when nobody waits for the answer any more."""
        self._forget = forget

    # What became of it

    def leave(self) -> None:
        """Leave all tables; an answer that comes now is late."""
        slot = self.slot
        if slot is not None:
            self.slot = None
            slot.pop(self, None)
        session = self.session
        if session and self.caller.calls.get(session) is self:
            del self.caller.calls[session]

    def succeed(self, result: Any) -> None:
        """Give the caller its result; in a turn, with no code of an actor around."""
        reply = self.reply
        assert reply is not None
        self.over = True
        self.reply = None
        task = self.task
        if task is None:
            reply.succeed(result)
        else:
            self.task = None
            reply.called = True
            reply.result = result
            task.resume(result)

    def fail(self, error: BaseException) -> None:
        """Raise *error* where the answer is awaited, in its turn.

        Nothing happens if the call is over.
        """
        if self.over:
            return
        self.leave()
        self.over = True
        reply, self.reply = self.reply, None
        assert reply is not None
        task, self.task = self.task, None
        if task is not None:
            reply.called = True
            reply.result = None
            task.wake_with_error(error)
        else:
            self.caller.scheduler.in_turn(reply.succeed, failure_of(error))

    def abandon(self) -> None:
        """The caller is gone; an unhandled failure is not logged."""
        if self.over:
            return
        error = SkynetError("the caller ended before the answer came")
        reply = self.reply
        assert reply is not None
        if self.shared or self.task is not None:
            reply.addErrback(_ignore)
            self.fail(error)
        else:
            self.leave()
            self.over = True
            self.reply = None
            reply.unheard = error

    def give_up(self, error: BaseException | None) -> None:
        """The caller does not wait any more, or its time is over.

        :param error: raised where the answer is awaited; None if nobody awaits it.
        """
        if error is not None:
            self.fail(error)
        else:
            self.leave()
            self.over = True
            self.task = self.reply = None
        if self._forget is not None:
            self._forget()

    def late(self) -> SkynetError:
        """The error of a call whose time limit is over: what it waited for in vain."""
        stage = self.stage
        if stage is _NAME:
            what = f"nobody registered the name {shown(self.callee, 80)}"
            return NoSuchName(f"{what} within the time limit")
        callee = self.callee_text
        if stage is _LINK:
            what = f"no link to {self.way} for {callee} within the time limit"
            return PeerDown(what)
        if stage is _BOOT:
            what = f"the node was not ready to call {callee} within the time limit"
            return NotReady(what)
        return CallTimeout(f"no answer from {callee} within the time limit")


def _ignore(failure: Any) -> None:
    failure.trap(SkynetError)
