# -*- test-case-name: tests.link.test_master_client2013 -*-
"""How one harbor of 2013 is introduced to the others, and what outlives its master.

A harbor tells the master its address; the master dials it back, and says on that
connection where the others are, and to the others where it is (harbor-2013, section
3).  To be joined is to have been dialed back by the master.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from automat import TypeMachineBuilder, pep614

from ..errors import OtherWire
from ..wire.control import Hello, Name, Query, Register
from ..wire.harbor2013 import encode_request
from .client_core import ClientCore
from .effects import Close, Effect


class _Introduction(Protocol):
    """What happens between a harbor and its master."""

    def connected(self) -> None:
        """A connection to the master is up."""

    def dialed_back(self) -> None:
        """The master has dialed us."""

    def left_alone(self) -> None:
        """The connection that it dialed is gone."""

    def repeat(self) -> None:
        """Time has passed since, and it did not dial again."""

    def say(self, request: Register | Query) -> None:
        """There is something to tell the master."""

    def lost(self) -> None:
        """Our connection to it is gone."""


def _make_introduction() -> Callable[[MasterClientCore2013], _Introduction]:
    builder = TypeMachineBuilder(_Introduction, MasterClientCore2013)
    offline = builder.state("offline")
    registered = builder.state("registered")
    introduced = builder.state("introduced")
    alone = builder.state("alone")

    # What is said before the master has dialed us is said then: its answers come
    # on that connection, and would be lost.
    for state in (offline, registered, alone):
        state.upon(_Introduction.say).loop().returns(None)
    for state in (offline, registered, introduced):
        state.upon(_Introduction.repeat).loop().returns(None)
    for state in (offline, registered, alone):
        state.upon(_Introduction.left_alone).loop().returns(None)
    offline.upon(_Introduction.dialed_back).loop().returns(None)
    offline.upon(_Introduction.lost).loop().returns(None)
    registered.upon(_Introduction.lost).to(offline).returns(None)
    alone.upon(_Introduction.lost).to(offline).returns(None)

    def register(introduction: _Introduction, core: MasterClientCore2013) -> None:
        core._say(Hello(core.harbor, core.address))

    def tell_all(introduction: _Introduction, core: MasterClientCore2013) -> None:
        core.introduced = True
        core.confirmed.clear()
        core._repeat()

    offline.upon(_Introduction.connected).to(registered)(register)
    alone.upon(_Introduction.repeat).to(registered)(register)
    registered.upon(_Introduction.dialed_back).to(introduced)(tell_all)
    alone.upon(_Introduction.dialed_back).to(introduced)(tell_all)

    @pep614(introduced.upon(_Introduction.dialed_back).loop())
    def once_more(introduction: _Introduction, core: MasterClientCore2013) -> None:
        # A second one before the first is gone: what was said there may be lost.
        tell_all(introduction, core)

    @pep614(introduced.upon(_Introduction.say).loop())
    def say(
        introduction: _Introduction,
        core: MasterClientCore2013,
        request: Register | Query,
    ) -> None:
        core._say(request)

    @pep614(introduced.upon(_Introduction.left_alone).to(alone))
    def left_alone(introduction: _Introduction, core: MasterClientCore2013) -> None:
        core.introduced = False

    @pep614(introduced.upon(_Introduction.lost).to(offline))
    def lost(introduction: _Introduction, core: MasterClientCore2013) -> None:
        core.introduced = False

    return builder.build()


class MasterClientCore2013(ClientCore):
    """What one harbor tells the master, and what outlives its connection.

    :param harbor: our id.
    :param address: where others dial us, ``host:port``; may be set until `connected`.
    """

    def __init__(self, harbor: int, address: str) -> None:
        super().__init__(harbor, address)
        self._introduction = _introduction_machine(self)
        #: Whether the master has dialed us, and that connection is up.
        self.introduced = False

    def connected(self) -> list[Effect]:
        """Our connection to the master is up."""
        self._introduction.connected()
        return self._effects.take()

    def feed(self, data: bytes) -> list[Effect]:
        """The master said something on our own connection, which none of 2013 does."""
        return [Close(OtherWire(theirs="modern", ours="2013"))]

    @property
    def half_open(self) -> int | None:
        """None: nothing is ever half said on our own connection."""
        return None

    def lost(self) -> None:
        """Our connection to the master is gone."""
        self._introduction.lost()

    def dialed_back(self) -> list[Effect]:
        """The master has dialed us."""
        self._introduction.dialed_back()
        return self._effects.take()

    def left_alone(self) -> None:
        """The connection is gone that the master dialed."""
        self._introduction.left_alone()

    def repeat(self) -> list[Effect]:
        """Register again with a master that has not dialed back."""
        self._introduction.repeat()
        return self._effects.take()

    def heard(self, announced: Name) -> bool:
        """Take the master's word for a name; False if it is old news.

        The last who registers a name has it (section 3).  The master announces each
        registration, in its order, and answers to all what anybody asks.  So whatever
        comes before our own registration is announced was true before it.
        """
        name, handle = announced.name, announced.handle
        self.queries.pop(name, None)
        own = self.names.get(name)
        if own is None:
            return True
        if handle == own:
            self.confirmed.add(name)
        elif name not in self.confirmed:
            return False
        else:
            # It moved away; to say it again would take it back.
            del self.names[name]
            self.confirmed.discard(name)
        return True

    def _encode(self, request: Hello | Register | Query) -> bytes:
        return encode_request(request)

    def _ask(self, request: Register | Query) -> None:
        self._introduction.say(request)


_introduction_machine = _make_introduction()
