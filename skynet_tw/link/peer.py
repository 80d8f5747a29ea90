# -*- test-case-name: tests.link.test_peer -*-
"""One link between two harbors, from its first byte to its end.

The side that dialed sends one byte, its own id; the side that accepted reads it and
answers with one byte, its own id (harbor-modern, section 4).  The dialing side must
not send a frame before it has that byte: a real node loses it without a trace.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from automat import TypeMachineBuilder, pep614

from ..errors import OtherWire, ProtocolError
from ..wire.harbor import FrameReader
from .effects import Close, Effect, Linked, Write


class _Stages(Protocol):
    """What happens to one link."""

    def open(self) -> bytes:
        """The connection is up; return what to write."""

    def agree(self, harbor: int) -> bytes:
        """The other side's byte is in order; return what to write."""

    def end(self) -> bool:
        """The connection is gone or to be closed; return whether it was linked."""


def _make_stages() -> Callable[[Peer], _Stages]:
    builder = TypeMachineBuilder(_Stages, Peer)
    created = builder.state("created")
    greeting = builder.state("greeting")
    linked = builder.state("linked")
    closed = builder.state("closed")

    created.upon(_Stages.end).to(closed).returns(False)
    greeting.upon(_Stages.end).to(closed).returns(False)
    linked.upon(_Stages.end).to(closed).returns(True)
    closed.upon(_Stages.end).loop().returns(False)

    @pep614(created.upon(_Stages.open).to(greeting))
    def greet(stages: _Stages, peer: Peer) -> bytes:
        return b"" if peer.expected is None else bytes([peer.own])

    @pep614(greeting.upon(_Stages.agree).to(linked))
    def link(stages: _Stages, peer: Peer, harbor: int) -> bytes:
        peer.harbor = harbor
        return bytes([peer.own]) if peer.expected is None else b""

    return builder.build()


class Peer:
    """The other end of a link.

    :param own: our own harbor id.
    :param expected: the id that we dialed, None on the side that accepted.
    :param admit: says why the harbor of an id may not link now, None if it may.
    """

    def __init__(
        self,
        own: int,
        expected: int | None,
        admit: Callable[[int], str | None],
    ) -> None:
        self.own = own
        self.expected = expected
        self._admit = admit
        self._stages = _stages_machine(self)
        #: The id of the other side; what it is expected to be until it is known.
        self.harbor = expected
        #: Decodes what comes after the handshake.
        self.reader = FrameReader()

    def open(self) -> list[Effect]:
        """The connection is up."""
        greeting = self._stages.open()
        return [Write(greeting)] if greeting else []

    def greet(self, data: bytes) -> list[Effect]:
        """Take what was read before the link was up.

        :returns: `Linked` once it is; `Close` if the other side may not link, or is
            not who it should be.
        """
        if not data:
            return []
        harbor = data[0]
        if harbor == 0:
            # No id, but the length of the first frame of a node of 2013.
            return [Close(OtherWire(theirs="2013", ours="modern"))]
        reason = self._admit(harbor)
        if self.expected is not None and harbor != self.expected:
            reason = f"harbor {self.expected} was dialed, and {harbor} answered"
        if reason is not None:
            return [Close(ProtocolError(reason))]
        answer = self._stages.agree(harbor)
        linked = Linked(harbor, data[1:])
        return [Write(answer), linked] if answer else [linked]

    def ended(self) -> bool:
        """The connection is gone; True, once, if it was linked until now."""
        return self._stages.end()


_stages_machine = _make_stages()
