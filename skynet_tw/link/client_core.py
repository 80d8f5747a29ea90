# -*- test-case-name: tests.link -*-
"""A harbor and its master on either wire: what it owns, and what it asks for."""

from __future__ import annotations

from ..wire.control import Hello, Query, Register
from .effects import Effect, Effects, Write


class ClientCore:
    """Says what a harbor wants of its master, and says it again to the next one.

    :param harbor: our id.
    :param address: where others dial us, ``host:port``; may be set until `connected`.
    """

    def __init__(self, harbor: int, address: str) -> None:
        self.harbor = harbor
        self.address = address
        self._effects = Effects()
        #: Names that we registered, and did not lose to somebody else.
        self.names: dict[str, int] = {}
        #: Those of them which the master confirmed since it accepted us.
        self.confirmed: set[str] = set()
        #: Names that were asked for and are not known yet, in the order of asking.
        self.queries: dict[str, None] = {}

    @property
    def half_open(self) -> int | None:
        """A number that grows as an incomplete packet does; None if there is none."""
        raise NotImplementedError

    def connected(self) -> list[Effect]:
        """A connection to the master is up."""
        raise NotImplementedError

    def feed(self, data: bytes) -> list[Effect]:
        """Take what was read from the master."""
        raise NotImplementedError

    def lost(self) -> None:
        """The connection to the master is gone."""
        raise NotImplementedError

    def register(self, name: str, handle: int) -> list[Effect]:
        """Own a name, on this connection and on all that follow.

        :raises TooLarge: the name is too long.
        """
        request = Register(name, handle)
        self._encode(request)  # Whatever cannot be said must not be kept.
        self.names[name] = handle
        self.confirmed.discard(name)
        self._ask(request)
        return self._effects.take()

    def query(self, name: str) -> list[Effect]:
        """Ask for a name, on this connection and on those that follow until known.

        :raises TooLarge: the name is too long.
        """
        request = Query(name)
        self._encode(request)
        self.queries[name] = None
        self._ask(request)
        return self._effects.take()

    def _encode(self, request: Hello | Register | Query) -> bytes:
        """Return the bytes of a request on this wire."""
        raise NotImplementedError

    def _ask(self, request: Register | Query) -> None:
        """Say it if the master has accepted us; if not, `_repeat` will."""
        raise NotImplementedError

    def _say(self, request: Hello | Register | Query) -> None:
        self._effects.add(Write(self._encode(request)))

    def _repeat(self) -> None:
        """Say all that a master which accepts us has to know."""
        for name, handle in self.names.items():
            self._say(Register(name, handle))
        for name in self.queries:
            self._say(Query(name))
