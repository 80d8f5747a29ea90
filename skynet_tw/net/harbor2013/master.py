# -*- test-case-name: tests.net.test_master2013 -*-
"""The master's port of 2013, and the connections by which it dials the harbors."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime, IStreamClientEndpoint
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure

from ...errors import OtherWire
from ...link.effects import Dial, StopDialing, Write
from ...link.master2013 import Master2013
from ..kit.connections import Connections
from ..kit.dialers import Dialers
from ..kit.greeting import GreetingConnection
from ..kit.limits import ConnectionLimits
from ..kit.master import MasterFactory
from ..kit.member import DEFAULT_RETRY_POLICY

#: Seconds for which a harbor is dialed that registered and cannot be reached.
GIVE_UP_AFTER = 60.0


class BackConnection(GreetingConnection):
    """A connection to a harbor that registered: everything is said on it.

    :param factory: what it belongs to.
    :param harbor: the id of the harbor.
    """

    def __init__(self, factory: HarborMasterFactory2013, harbor: int) -> None:
        super().__init__()
        self._factory = factory
        #: The id of the harbor.
        self.harbor = harbor

    def opened(self) -> None:
        self.watch_pressure()
        self._factory.reached(self)
        self.greeted()

    def dataReceived(self, data: bytes) -> None:
        """No harbor of 2013 says anything here."""
        self.abort(str(OtherWire(theirs="modern", ours="2013")))

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._factory.unreached(self, self.ended or reason.getErrorMessage())
        super().connectionLost(reason)


class HarborMasterFactory2013(MasterFactory):
    """A master of 2013.

    :param clock: tells the time, and when to look at the connections.
    :param dial: turns the address of a harbor into an endpoint; whatever it raises
        counts as a failed attempt.
    :param retry_policy: seconds to wait after so many failed attempts in a row.
    :param limits: limits on unidentified and stalled connections.
    """

    master: Master2013

    def __init__(
        self,
        clock: IReactorTime,
        dial: Callable[[str], IStreamClientEndpoint],
        retry_policy: Callable[[int], float] = DEFAULT_RETRY_POLICY,
        limits: ConnectionLimits | None = None,
    ) -> None:
        super().__init__(
            Master2013(),
            clock,
            limits or ConnectionLimits(),
            {Dial: self._dial, StopDialing: self._stop_dialing},
        )
        self._dialers = Dialers(dial, clock, retry_policy)
        self._backs: Connections[BackConnection] = Connections()
        #: Of these, the one to each harbor that counts.
        self._reached: dict[int, BackConnection] = {}
        #: The harbors that are dialed in vain, and since when.
        self._missing: dict[int, float] = {}
        self._errors: dict[int, str] = {}

    def closing(self) -> list[Deferred[None]]:
        closing = [*super().closing(), *self._dialers.stop_all()]
        for back in self._backs:
            back.close()
        return [*closing, self._backs.when_empty()]

    def abort(self) -> None:
        super().abort()
        for back in self._backs:
            back.abort("the master ends")

    # The connections to harbors

    def reached(self, back: BackConnection) -> None:
        """A harbor took our call."""
        self._backs.add(back)
        if self.is_closing:
            back.abort("the master ends")
            return
        self._reached[back.harbor] = back
        self._missing.pop(back.harbor, None)
        self._dialers.linked(back.harbor)
        self.do(self.master.reached(back.harbor))

    def unreached(self, back: BackConnection, reason: str) -> None:
        """A connection to a harbor is gone."""
        harbor = back.harbor
        if self._reached.get(harbor) is back:
            del self._reached[harbor]
            self._missing[harbor] = self.clock.seconds()
            self._errors[harbor] = reason
            self.do(self.master.unreached(harbor, reason))
        self._backs.discard(back)

    def write(self, effect: Write) -> None:
        """Write to the harbor that is meant, if it is reached."""
        assert isinstance(effect.to, int)
        back = self._reached.get(effect.to)
        if back is not None:
            back.write(effect.data)

    def _dial(self, effect: Dial) -> None:
        harbor = effect.harbor
        self._stop_dialing(effect)
        if self.is_closing:
            return

        def failed(error: str) -> None:
            self._errors[harbor] = error

        self._missing[harbor] = self.clock.seconds()
        self._dialers.start(
            harbor, effect.address, lambda: BackConnection(self, harbor), failed
        )

    def _stop_dialing(self, effect: Dial | StopDialing) -> None:
        harbor = effect.harbor
        self._missing.pop(harbor, None)
        self._errors.pop(harbor, None)
        back = self._reached.pop(harbor, None)
        if back is not None:
            back.close()
        self._dialers.stop(harbor)

    def sweep(self) -> None:
        """Close connections that keep us waiting, and give harbors up."""
        super().sweep()
        now = self.clock.seconds()
        stall = self.limits.stall
        for back in self._backs:
            if back.progress.stands(back.unread, now) >= stall:
                back.abort(f"it did not read for {stall:g} s")
        for harbor, since in list(self._missing.items()):
            if now - since >= GIVE_UP_AFTER:
                error = self._errors.get(harbor, "it does not answer")
                reason = f"{error}, for {GIVE_UP_AFTER:g} s"
                self.do(self.master.give_up(harbor, reason))
