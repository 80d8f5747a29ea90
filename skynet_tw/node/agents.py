# -*- test-case-name: tests.node.test_agents -*-
"""What the nodes of a cluster ask of this one.

Each client has an agent, which is the sender of its requests, as in a real node: it has
a handle, and is over when the connection is.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, ClassVar

from twisted.logger import Logger

from .. import seri
from ..errors import (
    BadAddress,
    NoSuchActor,
    NoSuchName,
    QueueFull,
    SkynetError,
    UnpackError,
)
from ..handle import MAX_INDEX, Handle
from ..interfaces import ALIVE_NAME, IClient, Request
from ..message import PType
from ..text import error_text, printable, shown
from .cells import Cells
from .cluster_names import ClusterNames
from .core import Core
from .delivery import Delivery
from .dispatch import ActorCell
from .incoming import Incoming
from .requests import Call
from .timeouts import DEFAULT

_LUA = int(PType.LUA)
_RESPONSE = int(PType.RESPONSE)
_ERROR = int(PType.ERROR)

#: Characters of an error's text that a client is told.
_TOLD = 1000


class ClusterAgent:
    """Stands for a node that calls this one, as the sender of its requests."""

    def __init__(self, client: IClient) -> None:
        #: The connection.
        self.client = client

    def stopped(self) -> None:
        """There is nothing to clean up."""

    def _callers_gone(self, is_gone: Callable[[int], bool]) -> None:
        """Nobody calls an agent."""


class ClusterRequest(Call):
    """A request of a client: a call of its agent, whose answer goes to the client."""

    __slots__ = ("_agents", "_client", "_number")

    def __init__(
        self, agents: Agents, agent: ActorCell, client: IClient, number: int
    ) -> None:
        super().__init__(agent, "an actor of this node")
        self._agents = agents
        self._client = client
        #: The session on the client's connection.
        self._number = number

    def answer(self, source: int, values: tuple[Any, ...]) -> None:
        """Pack the values of an answer, and send them."""
        body = seri.pack_values(values, max_size=self._agents.max_payload)
        self.answer_raw(source, body)

    def answer_raw(self, source: int, payload: bytes) -> None:
        """Send an answer that is packed."""
        if self.slot is not None:
            self.leave()
        self._agents.answer(self._client, self._number, source, payload)
        self.over = True

    def refuse(self, source: int, reason: str) -> None:
        """Send an error."""
        if self.slot is not None:
            self.leave()
        if not self.over:
            self.over = True
            self._agents.fail(self._client, self._number, source, reason)

    # What becomes of it once it was passed on to another node.

    def succeed(self, result: Any) -> None:
        """Send the result of whoever it was passed on to."""
        values = result if type(result) is tuple else (result,)
        try:
            self.answer(self.target, () if result is None else values)
        except SkynetError as error:
            self.fail(error)

    def fail(self, error: BaseException) -> None:
        """Send why it failed."""
        self.refuse(self.target, error_text(error, _TOLD))

    def abandon(self) -> None:
        """The client is gone."""
        self.leave()
        self.over = True

    def give_up(self, error: BaseException | None) -> None:
        """Its time is over."""
        if error is not None:
            self.fail(error)
        self.abandon()


class Agents:
    """Takes the requests of clients to the actors of this node.

    :param cells: the actors of this node.
    :param names: the names that clients use.
    :param end: ends an actor at once, for a reason in words.
    :param max_payload: largest body of an answer, in bytes.
    """

    _log: ClassVar[Logger] = Logger()

    def __init__(
        self,
        core: Core,
        cells: Cells,
        incoming: Incoming,
        delivery: Delivery,
        names: ClusterNames,
        end: Callable[[ActorCell, str], object],
        max_payload: int,
    ) -> None:
        self._core = core
        self._all = cells
        self._cells = cells.table
        self._incoming = incoming
        self._delivery = delivery
        self._names = names
        self._end = end
        self.max_payload = max_payload
        #: Whether messages of a cluster are unpacked as all others of this node are.
        self.one_codec = core.unpack is seri.unpack
        #: Requests for names that nobody has while the node boots, by those.
        self._early: dict[int | str, deque[tuple[ActorCell, Request]]] = {}
        self._boot_done = False

    # Clients

    def connected(self, client: IClient) -> ActorCell:
        """Make the agent of a client."""
        cell = self._all.add(ClusterAgent(client), {}, {})
        cell.open()
        self._log.info(
            "{agent} stands for the node at {address}, which calls this one",
            agent=cell,
            address=client.address,
        )
        return cell

    def lost(self, agent: ActorCell, reason: str) -> None:
        """A client is gone: nobody waits for its answers any more."""
        why = f"the connection is closed: {reason}"
        handle = int(agent.handle)
        for cell in self._all.all():
            cell.forget_callers([handle], lambda caller: caller == handle)
        self._end(agent, why)

    # Requests

    def received(self, agent: ActorCell, requests: list[Request]) -> None:
        """Take the requests of one read to their actors, and let these run."""
        core = self._core
        cells = self._cells
        targets = self._names.targets
        scheduler = core.scheduler
        client = agent.actor.client
        handle = int(agent.handle)
        running = scheduler.running
        # schedule() need not wake anybody meanwhile.
        scheduler.running = True
        taken = 0
        try:
            for request in requests:
                address, session, body, push = request
                if type(address) is str:
                    owner = targets.get(address)
                    cell = None if owner is None else cells.get(owner)
                else:
                    cell = cells.get(address)
                if (
                    cell is None
                    or cell.gated
                    or not self.one_codec
                    or len(cell.mailbox) >= cell.room
                    or self._early
                ):
                    self._take_slowly(agent, request)
                    continue
                return_to = (
                    None if push else ClusterRequest(self, agent, client, session)
                )
                cell.mailbox.append((_LUA, handle, return_to, body))
                taken += 1
                if not cell.scheduled:
                    cell.scheduled = True
                    scheduler.schedule(cell)
        finally:
            scheduler.running = running
            core.took(taken)
        core.let_run()

    def _take_slowly(self, agent: ActorCell, request: Request) -> None:
        """Take a request that is for a name, or for nobody, or has to wait."""
        address, session, body, _push = request
        awaited = address
        name = ""
        try:
            if address == 0:
                name = _name_in(body)
                awaited = f"@{name}"
            if awaited in self._early:
                # What was asked of it before waits as well.
                self._wait(agent, awaited, request)
            elif address == 0:
                owner = self._names.owner(name)
                self._core.ledger.queue()
                self._core.ledger.deliver()
                client = agent.actor.client
                self.answer(client, session, int(agent.handle), seri.pack(owner))
            elif isinstance(address, str):
                self._deliver(agent, self._names.resolve(address), request)
            else:
                self._deliver(agent, address, request)
        except NoSuchName as error:
            if self._boot_done or awaited == f"@{ALIVE_NAME}":
                self._refuse(agent, request, error)
            else:
                self._wait(agent, awaited, request)
        except SkynetError as error:
            self._refuse(agent, request, error)

    def _deliver(self, agent: ActorCell, target: int | str, request: Request) -> None:
        """Take a request to its actor, wherever that lives.

        :raises SkynetError: it cannot be taken there.
        """
        _address, session, body, push = request
        cell = self._cells.get(target)
        if cell is None and isinstance(target, str) and self._is_own(target):
            what = shown(target, 80)
            raise NoSuchName(f"no actor of this node is called {what}")
        source = int(agent.handle)
        return_to: ClusterRequest | None = None
        if not push:
            return_to = ClusterRequest(self, agent, agent.actor.client, session)
        if cell is not None and not self.one_codec:
            cell.put((_LUA, source, return_to, seri.unpack(body)))
        elif cell is not None and not cell.gated:
            cell.put((_LUA, source, return_to, body))
            self._core.backlog.add(1)
        elif cell is not None or self._is_near(target):
            index = int(cell.handle if cell is not None else target) & MAX_INDEX
            self._core.ledger.queue()
            self._incoming.admit(index, (_LUA, source, return_to, body), cell)
        elif return_to is None:
            self._delivery.send(agent, target, seri.unpack(body), _LUA)
        else:
            values = seri.unpack(body)
            asked = self._delivery.call(agent, target, values, DEFAULT, _LUA)
            asked.addCallbacks(
                return_to.succeed, lambda failure: return_to.fail(failure.value)
            )

    def _is_own(self, name: str) -> bool:
        """Whether only an actor of this node can have a name."""
        return name.startswith(".") or self._core.harbor == 0

    def _is_near(self, target: int | str) -> bool:
        return isinstance(target, int) and target >> 24 == self._core.harbor

    def _refuse(self, agent: ActorCell, request: Request, error: SkynetError) -> None:
        """Answer with an error."""
        address, session, _body, push = request
        self._core.ledger.queue()
        to = address if isinstance(address, str) else Handle(address)
        self._core.ledger.refuse(
            _REASONS.get(type(error), "bad request"), int(agent.handle), to, _LUA
        )
        # Real nodes tell it even those who push to a name that nobody has, or ask for
        # one without a session (cluster, sections 3 and 4).
        if not push or address == 0 or isinstance(error, NoSuchName):
            self.fail(agent.actor.client, session, int(agent.handle), str(error))

    # While the node boots

    def _wait(self, agent: ActorCell, awaited: int | str, request: Request) -> None:
        """Let a request wait for an actor that may still come.

        :param awaited: its address, for a question as well.
        """
        size = len(request[2])
        if not self._incoming.has_room(size):
            self._refuse(agent, request, QueueFull("too much waits for the boot"))
            return
        self._core.ledger.queue()
        self._incoming.count_early(1, size)
        self._early.setdefault(awaited, deque()).append((agent, request))

    def retry(self) -> None:
        """Somebody has a name now: take what waits for one again, in order."""
        early, self._early = self._early, {}
        for requests in early.values():
            for agent, request in requests:
                self._incoming.count_early(-1, -len(request[2]))
                self._core.ledger.move()
                self._take_slowly(agent, request)
        self._core.backlog.check()

    def boot_done(self) -> None:
        """All actors of the boot are there: refuse what is for others."""
        self._boot_done = True
        self.retry()

    # Answers

    def answer(self, client: IClient, session: int, source: int, body: bytes) -> None:
        """Send an answer that is packed.

        :param source: the handle of who answers.
        :raises TooLarge: it cannot be sent.
        :raises QueueFull: the client does not read what waits for it already.
        """
        if not client.is_open:
            self._lose(client, source, _RESPONSE)
            return
        client.answer(session, body)
        self._core.ledger.write()
        self._core.wrote(client, len(body))

    def fail(self, client: IClient, session: int, source: int, reason: str) -> None:
        """Send an error."""
        if not client.is_open:
            self._lose(client, source, _ERROR)
            return
        client.fail(session, printable(reason))
        self._core.ledger.write()
        self._core.wrote(client, len(reason))

    def _lose(self, client: IClient, source: int, ptype: int) -> None:
        self._core.ledger.lose("the caller is gone", source, client.address, ptype)


#: Why a request is refused, for the record.
_REASONS: dict[type[BaseException], str] = {
    NoSuchName: "no such name",
    NoSuchActor: "no such actor",
    QueueFull: "the queue is full",
}


def _name_in(body: bytes) -> str:
    """The name that is asked for.

    :raises BadAddress: the values are no name.
    """
    try:
        values = seri.unpack(body)
    except UnpackError as error:
        raise BadAddress(f"the name that is asked for: {error}") from None
    if not values or not isinstance(values[0], str):
        raise BadAddress("what is asked for is no name")
    return values[0]
