# -*- test-case-name: tests.node.test_backlog -*-
"""How much from other nodes waits for the processor, and when to read no more of it."""

from __future__ import annotations

from ..interfaces import ILayer, LinkInfo, Peer
from .limits import Limits
from .requests import Caller


class Backlog:
    """Counts messages from other nodes, and stops the reading of links in time.

    An actor that starts and has called another node needs its answer, which may be
    behind what it does not need yet: then the links are read on.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._layers: list[ILayer] = []
        #: Messages in the mailboxes of actors that have started.
        self.count = 0
        self._reading = True
        #: Actors that start.
        self._starting: dict[Caller, None] = {}
        #: Of those, the ones for which so much waits that no more should be read.
        self._crowded: dict[Caller, None] = {}
        #: Whether as much waits for actors that are not there yet.
        self._gate_crowded = False

    def watch(self, layer: ILayer) -> None:
        """Stop and resume the reading of another layer's links."""
        self._layers.append(layer)
        if not self._reading:
            layer.pause_reading()

    @property
    def reading(self) -> bool:
        """Whether the links are read."""
        return self._reading

    def links(self) -> dict[Peer, LinkInfo]:
        """The links that are up, of all layers."""
        infos = [info for layer in self._layers for info in layer.links()]
        return {info.peer: info for info in infos}

    def add(self, count: int) -> None:
        """Messages wait for the processor."""
        self.count += count

    def handled(self, count: int) -> None:
        """So many of them were handled."""
        self.count -= count
        if not self._reading:
            self.check()

    # Actors that start

    def begins(self, caller: Caller) -> None:
        """An actor starts; what comes in for it waits."""
        self._starting[caller] = None

    def crowd(self, caller: Caller) -> None:
        """Much waits for an actor that starts."""
        self._crowded[caller] = None

    def called(self, caller: Caller) -> None:
        """An actor that makes a call and starts may wait for what comes in."""
        if caller in self._starting:
            self.check()

    def started(self, caller: Caller, count: int) -> None:
        """An actor has started: so many messages wait for the processor now."""
        self._starting.pop(caller, None)
        self._crowded.pop(caller, None)
        self.count += count
        self.check()

    def crowd_gate(self, crowded: bool) -> None:
        """Whether much waits for actors that are not there yet."""
        self._gate_crowded = crowded

    def check(self) -> None:
        """Read the links, or leave what others send with them."""
        limit = self._limits.backlog if self._reading else self._limits.backlog // 2
        reading = self.count <= limit
        if reading and (self._crowded or self._gate_crowded):
            reading = any(caller.calls for caller in self._starting)
        if reading != self._reading and self._layers:
            self._reading = reading
            for layer in self._layers:
                if reading:
                    layer.resume_reading()
                else:
                    layer.pause_reading()

    def check_starts(self) -> None:
        """The answer that a start waited for may have come."""
        if self._crowded:
            self.check()
