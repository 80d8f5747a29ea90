# -*- test-case-name: tests.node.test_actor -*-
"""What users write: actors and their commands."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, TypeVar, overload

from twisted.internet.defer import Deferred, DeferredLock

from ..errors import SkynetError
from ..handle import Handle
from ..message import PType

if TYPE_CHECKING:
    from .context import Context, Redirected
    from .node import Node

_F = TypeVar("_F", bound=Callable[..., Any])


class _Default:
    """The node's own time limit."""

    def __repr__(self) -> str:
        return "the node's call timeout"


DEFAULT = _Default()


@overload
def command(function: _F) -> _F: ...
@overload
def command(*, name: str) -> Callable[[_F], _F]: ...
def command(
    function: Callable[..., Any] | None = None, *, name: str | None = None
) -> Callable[..., Any]:
    """Make a method answer messages of type LUA whose first value is its name.

    :param name: the command, where it is not the method's own name.
    """

    def mark(method: _F) -> _F:
        method.__skynet_command__ = name or method.__name__  # type: ignore[attr-defined]
        return method

    return mark if function is None else mark(function)


def dispatch(ptype: PType) -> Callable[[_F], _F]:
    """Make a method take all messages of one type.

    Of the packed types (LUA, SNAX, DEBUG) it gets the values, of the others the raw
    bytes.  For LUA, messages whose first value is a command go to the command.
    """

    def mark(method: _F) -> _F:
        method.__skynet_dispatch__ = int(ptype)  # type: ignore[attr-defined]
        return method

    return mark


class Actor:
    """One unit of execution: a state of its own, and messages handled in order.

    Subclass it, mark handlers with `command`, and start it with ``--start`` or
    `spawn`.  At an ``await`` the next message may be handled.
    """

    _context: Context
    _commands: dict[object, Callable[..., Any]] = {}  # noqa: RUF012
    _dispatchers: dict[int, Callable[..., Any]] = {}  # noqa: RUF012

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        commands: dict[object, Callable[..., Any]] = {}
        dispatchers: dict[int, Callable[..., Any]] = {}
        for base in reversed(cls.__mro__):
            for attribute, value in vars(base).items():
                # An override answers as what it overrides, marked or not.
                if (name := getattr(value, "__skynet_command__", None)) is not None:
                    commands[name] = getattr(cls, attribute)
                if (ptype := getattr(value, "__skynet_dispatch__", None)) is not None:
                    dispatchers[ptype] = getattr(cls, attribute)
        cls._commands = commands
        cls._dispatchers = dispatchers

    # For subclasses to fill in

    async def started(self, *args: Any) -> None:
        """Prepare; no message is delivered before this has finished."""

    def stopped(self) -> None:
        """Clean up; the actor is gone, nothing it sends arrives any more."""

    # What an actor knows

    @property
    def handle(self) -> Handle:
        """The actor's own address."""
        return self._context.handle

    @property
    def node(self) -> Node:
        """The node that the actor lives in."""
        return self._context.node

    @property
    def sender(self) -> Handle:
        """Who sent the message at work; after an ``await`` still the same one."""
        return Handle(self._context.source)

    # Messages

    def send(self, dest: int | str, *args: Any, ptype: int = PType.LUA) -> None:
        """Send a message one way.

        :raises BadAddress: *dest* is no address.
        :raises PackError: a value cannot leave the node.
        :raises TooLarge: the message does not fit the wire.
        :raises QueueFull: too much waits for *dest* already.

        What fails later, or has no receiver, is found in the dead-letter record.
        """
        self._context.node.send(self._context, dest, args, ptype)

    def call(
        self,
        dest: int | str,
        *args: Any,
        timeout: float | _Default | None = DEFAULT,
        ptype: int = PType.LUA,
    ) -> Deferred[Any]:
        """Send a request and wait for its answer.

        :param timeout: seconds; by default the node's own limit for remote calls,
            and none for a call to an actor of the same node; None or 0 for none.
        :returns: a Deferred of None, the value, or a tuple of several values.  It
            fails with a `SkynetError`, whose ``retry_safe`` tells whether the
            request may have run.
        """
        return self._context.node.call(self._context, dest, args, timeout, ptype)

    def redirect(
        self, dest: int | str, *args: Any, ptype: int = PType.LUA
    ) -> Redirected:
        """Let *dest* answer the message at work: ``return self.redirect(...)``.

        To *dest* the message comes from the first sender, whom its answer reaches.
        """
        return self._context.node.redirect(self._context, dest, args, ptype)

    # Names and other actors

    def register(self, name: str) -> Deferred[Handle]:
        """Own a name: ``.local`` to the node, any other in the whole network.

        :returns: a Deferred of the own handle, fired when the name is known to the
            node, and for a global one to the master.
        """
        return self._context.node.names.register(self._context, name)

    def query(
        self, name: str, timeout: float | _Default | None = DEFAULT
    ) -> Deferred[Handle]:
        """Find who owns a name.

        :returns: a Deferred of the handle; it fails with `NoSuchName` when nobody
            owned the name until the time limit, in seconds.
        """
        return self._context.node.names.query(name, timeout)

    def spawn(self, actor_class: type[Actor], *args: Any) -> Deferred[Handle]:
        """Start another actor in this node.

        :returns: a Deferred of its handle, fired once its ``started`` has finished;
            it fails with what ``started`` raised.
        """
        return self._context.node.spawn(actor_class, *args)

    def watch(self, handle: int) -> Deferred[str]:
        """Wait for the end of an actor, here or in another node.

        :returns: a Deferred of the reason in words; cancel it to watch no longer.
        """
        return self._context.node.watch(self._context, handle)

    # Time and concurrency

    def sleep(self, seconds: float) -> Deferred[None]:
        """Wait; messages are handled meanwhile."""
        return self._context.node.sleep(seconds)

    def fork(self, coroutine: Coroutine[Any, Any, Any]) -> None:
        """Run a coroutine beside the handlers; an error in it is logged."""
        self._context.fork(coroutine)

    def queue(self) -> CriticalSection:
        """Make a critical section: ``async with section:``, one after the other."""
        return CriticalSection(self._context)

    def exit(self) -> None:
        """End this actor; who waits for it gets an error, unless this handler answers.

        A plain handler's answer still leaves; a coroutine ends at its next await.
        """
        self._context.exit()


class CriticalSection:
    """Lets one coroutine of an actor in at a time, in the order of their coming.

    A coroutine that is inside may enter again, as with ``skynet.queue``.
    """

    def __init__(self, context: Context) -> None:
        self._scheduler = context.node.scheduler
        self._lock = DeferredLock()
        self._inside: object | None = None
        self._depth = 0

    async def __aenter__(self) -> None:
        task = self._scheduler.current
        if task is None:
            raise SkynetError("a critical section is entered by an actor's coroutine")
        if self._inside is not task:
            await self._lock.acquire()
            self._inside = task
        self._depth += 1

    async def __aexit__(self, *exc_info: object) -> None:
        self._depth -= 1
        if self._depth == 0:
            self._inside = None
            self._lock.release()

    async def run(self, function: Callable[..., Any], *args: Any) -> Any:
        """Call a function, or await a coroutine function, inside the section."""
        async with self:
            result = function(*args)
            return await result if hasattr(result, "__await__") else result
