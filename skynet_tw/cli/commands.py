# -*- test-case-name: tests.cli.test_commands -*-
"""What each command of ``skynet-tw`` does, by a node that lives as long as it takes.

The node has no harbor and listens nowhere: to call into a cluster takes no membership.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple, TextIO

from twisted.internet.interfaces import IReactorTime

from .. import Actor, addresses, make_node
from ..errors import RemoteError
from ..handle import Handle
from . import failures, results
from .options import Request

#: A name that is asked for where any answer will do.
ANY_NAME = "skynet-tw"


class Answer(NamedTuple):
    """What a command found out."""

    #: As results of a call.
    values: list[Any]
    #: As lines for people, where the values alone would not do.
    lines: list[str] | None = None


class There:
    """A node of the cluster, as the commands see it.

    :param actor: one of our node.
    :param request: what is asked for.
    :param clock: says how late it is.
    """

    def __init__(self, actor: Actor, request: Request, clock: IReactorTime) -> None:
        self._cluster = actor.cluster
        self._request = request
        self._clock = clock
        self._end = clock.seconds() + request.timeout

    def _left(self) -> float:
        """Seconds until the time is over; a little above 0 where it is."""
        return max(self._end - self._clock.seconds(), 0.001)

    async def call(self) -> Answer:
        """Ask an actor."""
        asked = self._request
        found = await self._cluster.call(
            asked.address, asked.target, *asked.values, timeout=self._left()
        )
        if isinstance(found, tuple):
            return Answer(list(found))
        # No value and one that is nil are the same here.
        return Answer([] if found is None else [found])

    async def send(self) -> Answer:
        """Send a message, and wait until the node has read something behind it."""
        asked = self._request
        self._cluster.send(asked.address, asked.target, *asked.values)
        await self._find(ANY_NAME)
        return Answer([])

    async def query(self) -> Answer:
        """Find the handle of a name."""
        asked = self._request
        found = await self._cluster.query(
            asked.address, str(asked.target), timeout=self._left()
        )
        handle = int(found.target)
        return Answer([handle], [str(Handle(handle))])

    async def ping(self) -> Answer:
        """Measure the time of a question and its answer, on a connection that is up."""
        name = str(self._request.target)
        await self._find(ANY_NAME)
        begin = self._clock.seconds()
        handle = await self._find(name or ANY_NAME)
        took = self._clock.seconds() - begin
        said = f"{self._request.address} answers in {took * 1000:.2f} ms"
        if not name:
            return Answer([took], [said])
        owner = "nobody" if handle is None else str(Handle(handle))
        return Answer([took, handle], [f"{said}, {name} is {owner}"])

    async def _find(self, name: str) -> int | None:
        """The handle of a name; None if the node answers that nobody has it."""
        try:
            found = await self._cluster.query(
                self._request.address, name, timeout=self._left()
            )
        except RemoteError:
            return None
        return int(found.target)


async def run(
    reactor: Any,
    request: Request,
    out: TextIO,
    err: TextIO,
    *,
    server: Callable[[str], Any] | None = None,
    client: Callable[[str], Any] | None = None,
) -> int:
    """Do what is asked for.

    :param reactor: runs the node.
    :param out: where results are written.
    :param err: where one line says why it failed.
    :param server: as of `make_node`.
    :param client: as of `make_node`.
    :returns: the exit status.
    """
    try:
        answer = await _ask(reactor, request, server, client)
    except Exception as error:
        write(err, f"skynet-tw: {request}: {failures.reason(error, request.runs)}")
        return failures.status_of(error)
    lines = None if request.json else answer.lines
    for line in lines or results.lines(answer.values, request.json):
        write(out, line)
    return 0


async def _ask(reactor: Any, request: Request, server: Any, client: Any) -> Answer:
    """Start a node, let it ask, and stop it."""
    dial = client or partial(addresses.client, reactor)
    # What cannot be dialed at all is no absent node.
    dial(request.address)
    service = make_node(
        {
            "harbor": 0,
            # Its errors name the node as the user does.
            "cluster_nodes": {request.address: request.address},
            # One attempt: a shell wants to know.
            "cluster_absent": "fail",
        },
        reactor,
        server=server,
        client=dial,
    )
    service.startService()
    try:
        await service.when_ready()
        there = There(service.node.client(), request, reactor)
        commands = {
            "call": there.call,
            "send": there.send,
            "query": there.query,
            "ping": there.ping,
        }
        return await commands[request.command]()
    finally:
        await service.stopService()


def write(file: TextIO, line: str) -> None:
    """Write a line; what the file's encoding has not is written as an escape."""
    encoding = getattr(file, "encoding", None) or "utf-8"
    file.write(line.encode(encoding, "backslashreplace").decode(encoding) + "\n")
    file.flush()
