"""Masters and harbors of 2013 on a network in memory."""

from __future__ import annotations

from twisted.internet.defer import Deferred

from skynet_tw.interfaces import Frame, ILink
from skynet_tw.net.harbor2013.master import HarborMasterFactory2013
from skynet_tw.net.harbor2013.remote import HarborRemote2013

from .world import MASTER, Node, Recorder, World


class Recorder2013(Recorder):
    """Notes what a remote layer of 2013 reports.

    Messages come on other connections than those that are linked, and a link that is
    busy may be replaced by another.
    """

    def frames_received(self, harbor: int, frames: list[Frame]) -> None:
        assert frames
        assert all(frame[0] >> 24 == harbor for frame in frames)
        self.frames.setdefault(harbor, []).extend(frames)

    def link_ready(self, harbor: int, link: ILink) -> None:
        if harbor in self.busy and self.links[harbor] is not link:
            self.links[harbor] = link
        super().link_ready(harbor, link)


class Node2013(Node):
    """One harbor of 2013."""

    remote: HarborRemote2013  # type: ignore[assignment]

    def __init__(self, world: World, harbor: int, address: str | None = None) -> None:
        self.address = address or f"host{harbor}:2526"
        self.receiver = Recorder2013(harbor)
        self.remote = HarborRemote2013(
            harbor,
            self.address,
            world.network.server(self.address),
            world.network.client(MASTER),
            world.network.client,
            world.clock,
            master_address=MASTER,
            retry_policy=world.retry_policy,
            limits=world.limits,
        )
        self.remote.attach(self.receiver)
        self.joined: Deferred[None] = Deferred()


class World2013(World):
    """A test with a network that speaks the wire of 2013."""

    factory: HarborMasterFactory2013 | None  # type: ignore[assignment]

    def start_master(self) -> HarborMasterFactory2013:  # type: ignore[override]
        """Let a master listen."""
        self.factory = HarborMasterFactory2013(
            self.clock, self.network.client, self.retry_policy, self.limits
        )
        listening = self.network.server(MASTER).listen(self.factory)
        self.port = self.successResultOf(listening)
        return self.factory

    def node(self, harbor: int, address: str | None = None) -> Node2013:
        """Start a harbor."""
        node = Node2013(self, harbor, address)
        self.nodes.append(node)
        node.start()
        return node
