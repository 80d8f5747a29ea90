# -*- test-case-name: tests.node.test_services -*-
"""SERVICE: the global actor where real nodes report, and ask for unique services.

A real slave does not finish its boot before SERVICE has answered ``REPORT``
(harbor-modern, sections 3 and 8).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet.defer import DeferredList

from ..errors import (
    LinkLost,
    NoSuchActor,
    PeerDown,
    QueueFull,
    RemoteError,
    SkynetError,
)
from ..handle import Handle
from ..message import PType
from .actor import Actor, command, dispatch
from .waits import Waits

#: The service that real nodes start in the place of any "snax" service.
_SNAXD = "snaxd"

#: What a snax service does at its start has this number in all of them.
_SNAX_INIT = 1

#: Names of more characters are refused.
MAX_NAME = 1024

#: Unique services that are remembered.
MAX_SERVICES = 65536

#: Seconds in which a manager tells what it has.
LIST_TIMEOUT = 5.0

#: Callers that a list names for each name that is waited for.
_SHOWN = 8


class LaunchFailed(Exception):
    """A unique service did not start; the text is for who wanted it."""


class UniqueServices(Actor):
    """SERVICE: where nodes report, and ask for services that exist once.

    This node runs no Lua.  A Python actor is the unique service *name* after
    ``("OFFER", "@name", handle)``; any other is launched by the manager of a real node
    which has reported: that of the node which asks, else the first that is there.

    Answers are those of a real manager: what fails is nil and a text.
    """

    async def started(self, *args: Any) -> None:
        #: Managers of unique services, by their harbors, in the order of reporting.
        self.reported: dict[int, int] = {}
        #: The unique services there are, and who waits for which.
        self.unique: dict[str, int] = {}
        self.waits: Waits[str] = Waits(self.node.limits)
        self._launching: set[str] = set()
        self._launches = 0
        await self.register("SERVICE")

    @command
    def REPORT(self, handle: int) -> tuple[None, str] | tuple[None]:  # noqa: N802
        """A node has booted this far; a nil lets it go on."""
        if not _is_handle(handle):
            return None, "a manager reports its handle"
        self.reported[Handle(handle).harbor] = handle
        return (None,)

    @command
    def OFFER(self, name: str, handle: int) -> int:  # noqa: N802
        """A Python actor is the unique service *name*."""
        key = _key(name)
        if not _is_handle(handle):
            raise ValueError(f"{handle!r} is no handle")
        if key not in self.unique and len(self.unique) >= MAX_SERVICES:
            raise QueueFull(f"there are {MAX_SERVICES} unique services already")
        self.unique[key] = handle
        self.waits.succeed(key, handle)
        return handle

    @command
    def LAUNCH(self, *request: Any) -> Any:  # noqa: N802
        """The handle of a unique service, once it is there; start it where it is not.

        A request is the service's name, "@" before it, and its arguments.  For a snax
        service the name is "@snaxd" and its own name the first argument.
        """
        return self._find(request, launch=True)

    @command
    def QUERY(self, *request: Any) -> Any:  # noqa: N802
        """The handle of a unique service, once it is there."""
        return self._find(request, launch=False)

    @command
    def GLAUNCH(self, name: str, *args: Any) -> Any:  # noqa: N802
        """LAUNCH, as the services of a manager's own node ask for it."""
        return self._find((f"@{name}", *args), launch=True)

    @command
    def GQUERY(self, name: str, *args: Any) -> Any:  # noqa: N802
        """QUERY, as the services of a manager's own node ask for it."""
        return self._find((f"@{name}", *args), launch=False)

    @command
    async def LIST(self) -> dict[str, str]:  # noqa: N802
        """All unique services, name to handle in text: global ones, and each node's."""
        harbors = list(self.reported)
        answers = await DeferredList(
            [
                self.call(self.reported[harbor], "LIST", timeout=LIST_TIMEOUT)
                for harbor in harbors
            ],
            consumeErrors=True,
        )
        found: dict[str, str] = {}
        for harbor, (_, listed) in zip(harbors, answers, strict=True):
            for name, text in listed.items() if isinstance(listed, dict) else ():
                if isinstance(name, str) and name == name.rstrip():
                    found[f"{name}@{harbor}"] = text
        for name in self.waits:
            callers = self.waits.callers(name)
            shown = ", ".join(map(str, callers[:_SHOWN]))
            more = ", ..." if len(callers) > _SHOWN else ""
            state = "launching, " if name in self._launching else ""
            found[name] = f"{state}waited for by {shown}{more}"
        for name in list(self.unique):
            handle = self._known(name)
            if handle is not None:
                found[name] = str(Handle(handle))
        return found

    @dispatch(PType.LUA)
    def unknown(self, *args: Any) -> Any:
        """Nodes of 2013 say the name alone; all else is answered as real nodes do."""
        name = args[0] if args else None
        known = self._known(f"@{name}") if isinstance(name, str) else None
        return (None, f"invalid command {name!r:.80}") if known is None else known

    def _callers_gone(self, is_gone: Callable[[int], bool]) -> None:
        """Forget who waits, and what ran or was managed, in places that are gone."""
        self.waits.callers_gone(is_gone)
        for harbor, handle in list(self.reported.items()):
            if self._has_ended(handle) or is_gone(handle):
                del self.reported[harbor]
        for name, handle in list(self.unique.items()):
            if self._has_ended(handle) or is_gone(handle):
                del self.unique[name]

    def _find(self, request: Sequence[Any], *, launch: bool) -> Any:
        """Answer with a handle, with nil and a text, or later."""
        try:
            key = _key(*request)
            known = self._known(key)
            if known is not None:
                return known
            if launch and not self.reported:
                return None, f"no node has reported that could launch {key!r}"
            if launch and len(self.unique) >= MAX_SERVICES:
                raise QueueFull(f"there are {MAX_SERVICES} unique services already")
            wait = self.waits.add(key, len(key), self.sender)
        except (ValueError, QueueFull) as error:
            return None, str(error)
        if launch and key not in self._launching:
            self._launching.add(key)
            self.fork(self._launch(key, request, self.sender.harbor))
        return wait

    def _known(self, key: str) -> int | None:
        """The handle of a service, unless it was an actor of ours that has ended."""
        handle = self.unique.get(key)
        if handle is not None and self._has_ended(handle):
            del self.unique[key]
            return None
        return handle

    def _has_ended(self, handle: int) -> bool:
        """Whether it was an actor of this node."""
        here = Handle(handle).harbor == self.handle.harbor
        return here and not self.node.has_actor(handle)

    async def _launch(self, key: str, request: Sequence[Any], harbor: int) -> None:
        """Have a service started, and answer all who wait for it.

        A failure is not kept, as in a real manager: the next who asks starts it anew.
        """
        try:
            handle = await self._launched(request, harbor)
        except LaunchFailed as error:
            self._launching.discard(key)
            self.waits.succeed(key, (None, str(error)))
        else:
            self._launching.discard(key)
            # If an actor has offered itself meanwhile, all know that one.
            self.waits.succeed(key, self.unique.setdefault(key, handle))

    async def _launched(self, request: Sequence[Any], harbor: int) -> int:
        """Ask one manager after the other, that of *harbor* first.

        :raises LaunchFailed: a manager says that it cannot, or all of them are gone.
        """
        reason = "no node is left"
        for one in sorted(self.reported, key=lambda one: one != harbor):
            manager = self.reported.get(one)
            if manager is None:
                continue
            try:
                return await self._launched_by(manager, request)
            except (RemoteError, LinkLost, PeerDown, NoSuchActor) as error:
                reason = str(error)
            except SkynetError as error:
                raise LaunchFailed(str(error)) from error
        raise LaunchFailed(f"no node can launch {_key(*request)!r}: {reason}")

    async def _launched_by(self, manager: int, request: Sequence[Any]) -> int:
        """Have a manager start a service.

        It must not know it by the name that was asked for: the node which asks waits
        for us under that very name, an error would stay with it for ever, and without
        the "@" it would be that node's own unique service.  So there is blank space
        behind the name, other than any time before, which a real node reads over.

        :raises LaunchFailed: the service does not start.
        """
        name, *args = request
        self._launches += 1
        unlike = f" {self._launches:b}".replace("0", " ").replace("1", "\t")
        is_snax = _bare(name) == _SNAXD
        given = args[:1] if is_snax else args
        answer = await self.call(manager, "LAUNCH", name + unlike, *given, timeout=None)
        if not _is_handle(answer):
            text = answer[1] if isinstance(answer, tuple) else answer
            raise LaunchFailed(str(text))
        handle: int = answer
        if is_snax:
            try:
                await self.call(
                    handle, _SNAX_INIT, *args[1:], timeout=None, ptype=PType.SNAX
                )
            except RemoteError as error:
                raise LaunchFailed(f"{args[0]!r} does not start: {error}") from error
        return handle


def _bare(name: str) -> str:
    """The service that a name stands for."""
    return name[1:] if name.startswith("@") else name


def _key(name: Any = None, first: Any = None, *args: Any) -> str:
    """What a unique service is known by: "@name", or "@snaxd.name".

    :raises ValueError: it is no request for a service.
    """
    if not isinstance(name, str) or not _bare(name).strip():
        raise ValueError("a unique service has a name")
    if _bare(name) == _SNAXD:
        if not isinstance(first, str):
            raise ValueError("a snax service has a name")
        name = f"{name}.{first}"
    if len(name) > MAX_NAME:
        raise ValueError(f"the name has {len(name)} characters; {MAX_NAME} are allowed")
    return name


def _is_handle(value: Any) -> bool:
    return (
        isinstance(value, int)
        and not isinstance(value, bool)
        and 0 < value <= 0xFFFFFFFF
    )
