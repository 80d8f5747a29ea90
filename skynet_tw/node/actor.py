# -*- test-case-name: tests.node.test_actor -*-
"""What users write: actors and their commands."""

from __future__ import annotations

import sys
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar, overload

from twisted.internet.defer import Deferred, succeed

from ..errors import SkynetError
from ..handle import Handle
from ..message import PType
from ..text import shown, type_name
from .cluster_calls import ClusterAccess
from .forks import fork
from .section import CriticalSection
from .timeouts import DEFAULT, Default
from .work import at_work

if TYPE_CHECKING:
    from typing_extensions import Self

    from .delivery import Delivery
    from .dispatch import ActorCell
    from .node import Node
    from .work import Redirected

_LUA = int(PType.LUA)

_F = TypeVar("_F", bound=Callable[..., Any])


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
        return _mark(method, "__skynet_command__", name or _name(method))

    return (
        mark
        if function is None
        else _mark(function, "__skynet_command__", name or _name(function))
    )


def dispatch(ptype: PType) -> Callable[[_F], _F]:
    """Make a method take all messages of one type.

    Of the packed types (LUA, SNAX, DEBUG) it gets the values, of the others the raw
    bytes.  For LUA, messages whose first value is a command go to the command.
    """

    number = int(ptype)
    if not 0 <= number <= 255 or number in (PType.RESPONSE, PType.ERROR):
        raise ValueError(f"no messages of type {number} are handled: 0-255, not 1 or 7")

    def mark(method: _F) -> _F:
        return _mark(method, "__skynet_dispatch__", number)

    return mark


def _name(method: Any) -> str:
    name = getattr(method, "__name__", None)
    if not callable(method) or not isinstance(name, str):
        raise TypeError(f"a method handles a command, not {shown(method, 80)}")
    return name


def _mark(method: _F, mark: str, key: object) -> _F:
    """Mark a method with what it handles.

    :raises TypeError: the class has a marked method of that name already, of which
        Python would keep the second only.
    """
    namespace = sys._getframe(2).f_locals
    if hasattr(namespace.get(_name(method)), mark):
        raise TypeError(
            f"two methods are called {method.__name__}; both handle messages, and the"
            " second would hide the first"
        )
    setattr(method, mark, key)
    return method


class _NoNode:
    """Stands for an actor's place in a node until it has one."""

    def __init__(self, actor: Actor) -> None:
        self._actor = type_name(actor)

    def __repr__(self) -> str:
        return self._actor

    def __getattr__(self, name: str) -> Any:
        self.refuse()

    def refuse(self) -> NoReturn:
        """Say that the actor has no node."""
        raise SkynetError(
            f"{self._actor} has no node yet: it may use it from `started` on, not in"
            " `__init__`"
        )


class Actor:
    """One unit of execution: a state of its own, and messages handled in order.

    Subclass it, mark handlers with `command`, and start it with ``--start`` or
    `spawn`.  At an ``await`` the next message may be handled.

    Arguments of a wrong type or value are refused at once, by a ``TypeError`` or
    ``ValueError``; what else goes wrong comes with the Deferred, where there is one.
    All is for the reactor's thread; in another one it raises `SkynetError`.
    """

    _cell: ActorCell
    _node: Node
    _delivery: Delivery
    _commands: dict[object, str] = {}  # noqa: RUF012
    _dispatchers: dict[int, str] = {}  # noqa: RUF012

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        commands: dict[object, str] = {}
        dispatchers: dict[int, str] = {}
        # An override answers as what it overrides, marked or not.
        for base in reversed(cls.__mro__):
            for attribute, value in vars(base).items():
                if (name := _mark_of(value, "__skynet_command__")) is not None:
                    _claim(cls, commands, name, attribute, f"command {name!r}")
                if (ptype := _mark_of(value, "__skynet_dispatch__")) is not None:
                    _claim(cls, dispatchers, ptype, attribute, f"type {ptype}")
        cls._commands = commands
        cls._dispatchers = dispatchers

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        """Make an actor, which has no node yet."""
        actor = super().__new__(cls)
        nowhere: Any = _NoNode(actor)
        actor._cell = actor._node = actor._delivery = nowhere
        return actor

    # For subclasses to fill in

    def started(self, *args: Any, **kwargs: Any) -> Any:
        """Prepare; no message is delivered before this has finished.

        A plain function, a coroutine function, or one that returns a Deferred.
        """
        return succeed(None)

    def stopped(self) -> Any:
        """Clean up; it may send and call, and the actor takes no message any more.

        A plain function, a coroutine function, or one that returns a Deferred; the
        node waits for it within ``--stop-grace``.
        """
        return succeed(None)

    # What an actor knows

    @property
    def handle(self) -> Handle:
        """The actor's own address."""
        return self._cell.handle

    @property
    def node(self) -> Node:
        """The node that the actor lives in."""
        if isinstance(self._node, _NoNode):
            self._node.refuse()
        return self._node

    @property
    def sender(self) -> Handle:
        """Who sent the message at work, in all that its handler started.

        :raises SkynetError: there is no message at work here.
        """
        return Handle(at_work(self._cell).source)

    # Messages

    def send(self, dest: int | str, *args: Any, ptype: int = _LUA) -> None:
        """Send a message one way.

        :raises BadAddress: *dest* is no address.
        :raises PackError: a value cannot leave the node.
        :raises TooLarge: the message does not fit the wire.
        :raises QueueFull: too much waits for *dest* already.

        What fails later, or has no receiver, is found in the dead-letter record.
        """
        self._delivery.send(self._cell, dest, args, ptype)

    def call(
        self,
        dest: int | str,
        *args: Any,
        timeout: float | Default | None = DEFAULT,
        ptype: int = _LUA,
    ) -> Deferred[Any]:
        """Send a request and wait for its answer.

        :param timeout: seconds; by default the node's own limit for remote calls,
            and none for a call to an actor of the same node; None or 0 for none.
        :returns: a Deferred of None, the value, or a tuple of several values.  It
            fails with a `SkynetError`, whose ``retry_safe`` tells whether the
            request may have run.
        """
        return self._delivery.call(self._cell, dest, args, timeout, ptype)

    def redirect(self, dest: int | str, *args: Any, ptype: int = _LUA) -> Redirected:
        """Let *dest* answer the message at work: ``return self.redirect(...)``.

        *dest* sees the original sender and answers it directly.

        :raises SkynetError: there is no message at work here, or it was answered.
        """
        return self._delivery.redirect(self._cell, dest, args, ptype)

    @property
    def cluster(self) -> ClusterAccess:
        """The other nodes of a cluster, which are called by their names.

        :raises SkynetError: the node has no cluster.
        """
        cluster = self.node.cluster
        if cluster is None:
            raise SkynetError("this node has no cluster")
        return ClusterAccess(cluster, self._cell)

    # Names and other actors

    def register(self, name: str) -> Deferred[Handle]:
        """Own a name: ``.local`` to the node, any other in the whole network.

        :returns: a Deferred of the own handle, fired when the name is known to the
            node, and for a global one to the master.
        """
        return self._node.register(self._cell, name)

    def query(
        self, name: str, timeout: float | Default | None = DEFAULT
    ) -> Deferred[Handle]:
        """Find who owns a name.

        :returns: a Deferred of the handle; it fails with `NoSuchName` when nobody
            owned the name until the time limit, in seconds.
        """
        return self._node.query(name, timeout)

    def spawn(self, actor_class: type[Actor], *args: Any) -> Deferred[Handle]:
        """Start another actor in this node.

        :returns: a Deferred of its handle, fired once its ``started`` has finished;
            it fails with what ``started`` raised.
        """
        return self._node.spawn(actor_class, *args)

    def watch(self, handle: int) -> Deferred[str]:
        """Wait for the end of an actor, here or in another node.

        :returns: a Deferred of the reason in words; cancel it to watch no longer.
        """
        return self._delivery.watch(self._cell, handle)

    # Time and concurrency

    def sleep(self, seconds: float) -> Deferred[None]:
        """Wait; messages are handled meanwhile."""
        return self._node.sleep(seconds)

    def fork(self, work: Coroutine[Any, Any, Any] | Callable[[], Any]) -> Deferred[Any]:
        """Run a coroutine beside the handlers, or a function with no arguments.

        It first runs when the code that forks it gives way: at its end or its next
        ``await``; several run in the order in which they were forked.

        :returns: a Deferred of its result; cancel it to end it.  An error that nobody
            waits for is logged.
        """
        return fork(self._cell, work)

    def queue(self) -> CriticalSection:
        """Make a critical section: ``async with section:``, one after the other."""
        return CriticalSection(self._cell.scheduler)

    def exit(self) -> None:
        """End this actor.  Who waits for it gets an error; a plain handler answers.

        Its coroutines see ``CancelledError`` at their next await and may clean up, then
        `stopped` runs.  A plain handler's answer still leaves.
        """
        self._node.exit(self._cell)

    def _callers_gone(self, is_gone: Callable[[int], bool]) -> None:
        """Some callers are gone; *is_gone* tells by the handle."""


def _mark_of(value: object, mark: str) -> Any:
    """What an attribute of a class is marked with; it may be any object."""
    try:
        return getattr(value, mark, None)
    except Exception:
        return None


def _claim(
    cls: type[Actor], table: dict[Any, str], key: Any, attribute: str, what: str
) -> None:
    """Let an attribute of a class handle a command or a message type.

    :raises TypeError: another attribute does, or it hides what all actors have.
    """
    if attribute in vars(Actor):
        raise TypeError(
            f"{cls.__qualname__}.{attribute} handles {what} and hides"
            f" Actor.{attribute}; call it otherwise, and give the command its name by"
            f" @command(name={attribute!r})"
        )
    other = table.setdefault(key, attribute)
    if other != attribute:
        raise TypeError(
            f"{cls.__qualname__}: both {other} and {attribute} handle {what}"
        )
