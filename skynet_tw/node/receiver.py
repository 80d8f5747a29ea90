# -*- test-case-name: tests.node.test_incoming,tests.node.test_outgoing -*-
"""What a remote layer tells a node, and who of the node takes it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from .. import seri
from ..errors import UnpackError
from ..handle import MAX_INDEX
from ..interfaces import Frame, IClient, ILink, Peer, Request
from ..message import PType
from .agents import Agents
from .cells import Cells
from .core import Core
from .delivery import Delivery
from .dispatch import ActorCell
from .incoming import Incoming
from .names import Names
from .outgoing import Outgoing
from .requests import Call, Stage

_ERROR = int(PType.ERROR)


class Receiver:
    """A node, as its remote layers see it: an `IRemoteReceiver`."""

    # Not declared by a decorator: compiled, the class would not be native.  A test
    # verifies the interface.

    def __init__(
        self,
        core: Core,
        outgoing: Outgoing,
        incoming: Incoming,
        names: Names,
        delivery: Delivery,
    ) -> None:
        self._core = core
        self._outgoing = outgoing
        self._incoming = incoming
        self._names = names
        self._delivery = delivery

    def frames_received(self, peer: Peer, frames: list[Frame]) -> None:
        """Take the messages of one read to their actors."""
        self._incoming.frames_received(frames)

    def link_ready(self, peer: Peer, link: ILink) -> None:
        """Send what waits, then straight on."""
        self._outgoing.channel(peer).ready(link)

    def link_busy(self, peer: Peer) -> None:
        """Let messages wait from now on."""
        self._outgoing.channel(peer).busy()

    def link_lost(self, peer: Peer, reason: str) -> None:
        """Fail the calls that were written to the link; those in waiting stay."""
        self._outgoing.channel(peer).lost(reason)
        self._core.scheduler.run()

    def peer_expected(self, peer: Peer) -> None:
        """Let messages wait for a peer which is on its way."""
        self._outgoing.channel(peer).expected()

    def peer_gone(self, peer: Peer, reason: str) -> None:
        """Refuse what waits for a peer, and what is sent to it from now on."""
        self._outgoing.channel(peer).gone(reason)
        if isinstance(peer, int):
            self._delivery.harbor_gone(peer)
        self._core.scheduler.run()

    def name_known(self, name: str, handle: int) -> None:
        """Take the master's word for a name."""
        self._names.announced(name, handle)


class ClusterReceiver(Receiver):
    """A node, as its cluster sees it: an `IClusterReceiver`."""

    def __init__(
        self,
        core: Core,
        outgoing: Outgoing,
        incoming: Incoming,
        names: Names,
        delivery: Delivery,
        cells: Cells,
        agents: Agents,
    ) -> None:
        super().__init__(core, outgoing, incoming, names, delivery)
        self._cells = cells.table
        self._agents = agents

    # Nodes that are called

    def frames_received(self, peer: Peer, frames: list[Frame]) -> None:
        """Take the answers of one read to those who wait for them."""
        if self._agents.one_codec:
            self._incoming.frames_received(frames)
            return
        for _source, destination, session, payload in frames:
            index = destination & MAX_INDEX
            call = self._call(self._core.harbor << 24 | index, session)
            if call is None:
                self._core.ledger.answer_late()
            elif destination >> 24 == _ERROR:
                # Text, which all read alike.
                call.caller.put_packed_answer(_ERROR, 0, session, payload)
            else:
                self._answer(call, payload)
        self._core.scheduler.run()

    def _answer(self, call: Call, payload: bytes) -> None:
        """Put the values of an answer into its caller's mailbox."""
        try:
            call.answer(0, seri.unpack(payload))
        except UnpackError as error:
            call.fail(error)

    def is_wanted(self, peer: Peer) -> bool:
        """Whether messages wait for the link to a node, or calls for its answers."""
        channel = self._outgoing.find(peer)
        return channel is not None and channel.is_used

    def peer_absent(self, peer: Peer, reason: str) -> None:
        """Refuse what waits for a node that was not reached."""
        self._outgoing.channel(peer).absent(reason)
        self._core.scheduler.run()

    def peer_forgotten(self, peer: Peer) -> None:
        """Keep nothing of a node any more."""
        self._outgoing.forget(peer)

    def call_held(
        self, peer: Peer, source: int, session: int, drop: Callable[[], object]
    ) -> None:
        """A call waits in its link for the rest of it to be written."""
        call = self._call(source, session)
        if call is not None:
            call.stage = Stage.LINK
            call.way = self._outgoing.channel(peer).name
            call.when_given_up(partial(self._given_up, call, drop))

    def _given_up(self, call: Call, drop: Callable[[], object]) -> None:
        """Nobody waits any more for the answer to a call that was held."""
        if call.stage is Stage.LINK:
            self._core.ledger.unwrite_call()
            self._core.ledger.expire_call()
        drop()

    def call_written(self, source: int, session: int) -> None:
        """From now on a call may run."""
        call = self._call(source, session)
        if call is not None:
            call.stage = Stage.SENT

    def calls_waiting(self, calls: list[tuple[int, int]]) -> list[bool]:
        """Whether somebody still waits for the answer to each call."""
        return [self._call(source, session) is not None for source, session in calls]

    def pushes_dropped(self, peer: Peer, count: int) -> None:
        """Pushes that were given to a link are lost, as it ends."""
        self._core.ledger.unwrite(str(peer), count)

    def _call(self, source: int, session: int) -> Call | None:
        cell = self._cells.get(source)
        return None if cell is None else cell.calls.get(session)

    # Nodes that call us

    def client_connected(self, client: IClient) -> ActorCell:
        """Make the agent of a client."""
        return self._agents.connected(client)

    def requests_received(self, agent: ActorCell, requests: list[Request]) -> None:
        """Take the requests of one read to their actors."""
        self._agents.received(agent, requests)

    def client_lost(self, agent: ActorCell, reason: str) -> None:
        """End the agent of a client."""
        self._agents.lost(agent, reason)
        self._core.scheduler.run()
