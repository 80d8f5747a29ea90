# -*- test-case-name: tests.net.test_remote -*-
"""All links of one node: what does not depend on the wire."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.interfaces import IReactorTime, IStreamClientEndpoint
from twisted.internet.protocol import Protocol
from twisted.logger import Logger

from ...errors import BootFailed
from ...interfaces import IRemoteReceiver, LinkInfo
from ...link.effects import Expected, Gone
from ...oneshot import OneShot
from .dialers import Dialers
from .limits import ConnectionLimits
from .logging import FoldedLog


class AllLinks:
    """Opens, accepts, watches and closes the links of a node.

    :param own: our own harbor id.
    :param dial: turns the address of another harbor into an endpoint; whatever it
        raises counts as a failed attempt.
    :param clock: schedules attempts, and tells the time.
    :param retry_policy: seconds to wait after so many failed attempts in a row.
    :param limits: limits on unidentified and stalled connections.
    """

    _log: ClassVar[Logger] = Logger()

    def __init__(
        self,
        own: int,
        dial: Callable[[str], IStreamClientEndpoint],
        clock: IReactorTime,
        retry_policy: Callable[[int], float],
        limits: ConnectionLimits,
    ) -> None:
        self.own = own
        self.clock = clock
        self.limits = limits
        self.dialers = Dialers(dial, clock, retry_policy)
        self.strangers = FoldedLog(f"port of harbor {own}")
        #: Fires when every harbor that the master announced at first has linked.
        self.complete = OneShot()
        #: Whether no link is read.
        self.paused = False
        #: Whether the node leaves.
        self.closing = False
        self._receiver: IRemoteReceiver | None = None

    # The node

    def attach(self, receiver: IRemoteReceiver) -> None:
        """Say who is told what happens."""
        self._receiver = receiver

    @property
    def receiver(self) -> IRemoteReceiver:
        """Who is told what happens."""
        assert self._receiver is not None, "attach a receiver first"
        return self._receiver

    def expected(self, effect: Expected) -> None:
        """The master told us of a harbor."""
        self.receiver.peer_expected(effect.harbor)

    def gone(self, effect: Gone) -> None:
        """There is no such harbor any more."""
        self._log.info(
            "harbor {harbor} is gone: {reason}",
            harbor=effect.harbor,
            reason=effect.reason,
        )
        self.receiver.peer_gone(effect.harbor, effect.reason)

    def when_complete(self) -> Deferred[None]:
        """Fire when every harbor that the master announced at first has linked.

        It fails with `BootFailed` if we leave before.
        """
        return self.complete.when()

    def pause_reading(self) -> None:
        """Read no harbor until `resume_reading`."""
        if not self.paused:
            self.paused = True
            self.read(False)

    def resume_reading(self) -> None:
        """Read all harbors again."""
        if self.paused:
            self.paused = False
            self.read(True)

    def close(self) -> Deferred[None]:
        """Write what is left, close all, and open nothing any more.

        :returns: fires when all is closed.
        """
        self.closing = True
        self.complete.fail(lambda: BootFailed("this node left before it was linked"))
        closing = self.close_connections()
        closing += self.dialers.stop_all()
        return gatherResults(closing).addCallback(lambda _: None)

    # What each wire does in its own way

    def accept(self) -> Protocol:
        """Make the protocol of a connection that somebody opened."""
        raise NotImplementedError

    def linked(self) -> list[int]:
        """The harbors that are linked now, in order."""
        raise NotImplementedError

    def infos(self) -> list[LinkInfo]:
        """Describe the links that are up, in the order of their harbors."""
        raise NotImplementedError

    def waiting_for(self, address: str) -> str | None:
        """Which links are waited for, in words, or None.

        :param address: where we are dialed.
        """
        raise NotImplementedError

    def sweep(self) -> None:
        """Close connections that keep us waiting."""
        raise NotImplementedError

    def read(self, on: bool) -> None:
        """Read all harbors, or leave with them what they send."""
        raise NotImplementedError

    def close_connections(self) -> list[Deferred[None]]:
        """Write what is left, and close; each fires when a part is closed."""
        raise NotImplementedError

    def abort(self) -> None:
        """Close at once what is not closed yet."""
        raise NotImplementedError
