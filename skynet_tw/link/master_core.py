# -*- test-case-name: tests.link -*-
"""A master of either wire: connections and their readers, slaves, names."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Generic, Protocol, TypeVar

from ..errors import OtherWire, ProtocolError
from ..handle import Handle
from ..wire.buffer import Remainder
from .effects import Close, Effect, Effects, Write

#: Names that one master keeps; a slave gone wild must not fill its memory.
MAX_NAMES = 65536

#: What is kept of a connection, and what its reader decodes.
_K = TypeVar("_K")
_R = TypeVar("_R")


class Reader(Protocol[_R]):
    """Decodes the bytes of one connection."""

    error: ProtocolError | None

    @property
    def rest(self) -> Remainder:
        """The packet that has begun and is not complete."""

    def feed(self, data: bytes) -> list[_R]:
        """Take one read, and return the packets that it completes."""


class MasterCore(Generic[_K, _R]):
    """The table of a master, fed by any number of connections.

    A connection is whatever its shell takes to stand for it.

    :param farewell: what is said to those who speak the other wire.
    """

    def __init__(self, farewell: bytes) -> None:
        self._farewell = farewell
        self._effects = Effects()
        self._connections: dict[Hashable, tuple[_K, Reader[_R]]] = {}
        #: The names and their owners.
        self.names: dict[str, int] = {}

    def connected(self, connection: Hashable, peer: str) -> None:
        """Somebody opened a connection.

        :param peer: the other end, for the log.
        """
        self._connections[connection] = self._open(connection, peer)

    def feed(self, connection: Hashable, data: bytes) -> list[Effect]:
        """Take what was read from a connection; a closed one is ignored."""
        entry = self._connections.get(connection)
        if entry is not None:
            kept, reader = entry
            for record in reader.feed(data):
                self._take(connection, kept, record)
            if reader.error is not None:
                self._break(connection, kept, reader.error)
        return self._effects.take()

    def half_open(self, connection: Hashable) -> int | None:
        """A number that grows as an incomplete packet does; None if there is none."""
        entry = self._connections.get(connection)
        if entry is None or not entry[1].rest.kept:
            return None
        return entry[1].rest.changes

    def lost(self, connection: Hashable, reason: str) -> list[Effect]:
        """A connection is gone; a closed one is ignored."""
        raise NotImplementedError

    def joined(self, connection: Hashable) -> bool:
        """Whether a connection is that of a slave."""
        raise NotImplementedError

    def _open(self, connection: Hashable, peer: str) -> tuple[_K, Reader[_R]]:
        """What to keep of a new connection, and what decodes it."""
        raise NotImplementedError

    def _take(self, connection: Hashable, kept: _K, record: _R) -> None:
        """A connection brought a packet."""
        raise NotImplementedError

    def _break(self, connection: Hashable, kept: _K, error: ProtocolError) -> None:
        """A connection brought what is no packet."""
        raise NotImplementedError

    def _write(self, data: bytes, to: Hashable) -> None:
        self._effects.add(Write(data, to))

    def _close(self, connection: Hashable, error: ProtocolError) -> None:
        farewell = self._farewell if isinstance(error, OtherWire) else b""
        self._effects.add(Close(error, connection, farewell))

    def _forget_names(self, harbor: int) -> None:
        """A new process will say its names again; what it does not say is no more."""
        self.names = {
            name: handle
            for name, handle in self.names.items()
            if Handle(handle).harbor != harbor
        }
