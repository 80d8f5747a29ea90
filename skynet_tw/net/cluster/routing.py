# -*- test-case-name: tests.network.test_cluster -*-
"""How a node of a cluster is reached: where it is, and one attempt at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import (
    IDelayedCall,
    IReactorTime,
    IStreamClientEndpoint,
)

from ...oneshot import OneShot
from ..kit.closing import close_within
from ..kit.dialers import Dialer, failures_to_link
from ..kit.limits import ConnectionLimits
from .protocol import ClusterConnection

#: Seconds in which a node is to read what was written, before its link is closed.  Ours
#: close it themselves then; a real one leaves its end open until we do.
LINGER = 1.0


class Surroundings(Protocol):
    """What all routes of a node share."""

    @property
    def clock(self) -> IReactorTime: ...

    @property
    def limits(self) -> ConnectionLimits: ...

    @property
    def retry_policy(self) -> Callable[[int], float]:
        """Seconds to wait after so many failed attempts in a row."""

    @property
    def dial(self) -> Callable[[str], IStreamClientEndpoint]:
        """Turns an address into an endpoint; what it raises fails the attempt."""


class Route:
    """Where one node is, and the dialer that is under way to it.

    :param name: the node's.
    :param build: makes the protocol of an attempt.
    :param failed: told why an attempt failed, each time.
    :param closed: told when a connection is closed that `stop` left.
    """

    def __init__(
        self,
        name: str,
        around: Surroundings,
        build: Callable[[], ClusterConnection],
        failed: Callable[[str], None],
        closed: Callable[[], None],
    ) -> None:
        self._name = name
        self._around = around
        self._build = build
        self._failed = failed
        self._closed = closed
        #: Where the node is, None if nobody knows.
        self.address: str | None = None
        #: Why the last attempt failed, empty if it did not.
        self.why_absent = ""
        #: Where it was dialed last, and what logs that it was not reached there: once,
        #: however often somebody wants to have it dialed.
        self._dialed = ""
        self._failures = failures_to_link(name, "")
        self._dialer: Dialer | None = None
        #: The last attempt, which may have become a connection.
        self._connection: ClusterConnection | None = None
        #: Tells that the last attempt failed.
        self._telling: IDelayedCall | None = None
        self._closing = OneShot()
        self._closing.fire()

    @property
    def is_used(self) -> bool:
        """Whether a connection is there, or is being made."""
        return self._dialer is not None

    @property
    def is_idle(self) -> bool:
        """Whether there is no connection, not even one that is made or closed."""
        return self._dialer is None and self._closing.is_done

    def reach(self) -> None:
        """Make a connection, unless there is one or it is being made.

        While an old one is being closed nothing is made: what was written to that
        must not be overtaken.
        """
        address, around = self.address, self._around
        if self._dialer is None and self._closing.is_done and address is not None:
            if address != self._dialed:
                self._dialed = address
                self._failures = failures_to_link(self._name, address)
            self._dialer = Dialer(
                self._name,
                address,
                lambda: around.dial(address),
                self._attempt,
                around.clock,
                around.retry_policy,
                self._attempt_failed,
                self._failures,
            )
            self._dialer.start()

    def linked(self) -> None:
        """The attempt succeeded."""
        self.why_absent = ""
        if self._dialer is not None:
            self._dialer.linked()

    def _attempt_failed(self, error: str) -> None:
        self.why_absent = error
        # Not at once: an attempt may fail while it is begun.  The dialer cannot be
        # stopped then, and what the node is reached for may not be there yet.
        self._telling = self._around.clock.callLater(0, self._tell, error)

    def _tell(self, error: str) -> None:
        self._telling = None
        self._failed(error)

    def _attempt(self) -> ClusterConnection:
        self._connection = self._build()
        return self._connection

    def stop(
        self, reason: str = "it is not needed any more", owing: bool = False
    ) -> None:
        """Dial no more, and close the connection that this led to.

        That is done by force, if it takes more than `ConnectionLimits.close` seconds.

        :param reason: why, for whom the connection belongs to.
        :param owing: whether the node may not have read all that was written: it is
            given `LINGER` seconds for that.
        """
        dialer, self._dialer = self._dialer, None
        if self._telling is not None:
            self._telling.cancel()
            self._telling = None
        if dialer is None:
            return
        closing = self._closing = OneShot()
        connection, self._connection = self._connection, None
        gone: Deferred[None] = succeed(None)
        clock = self._around.clock
        if connection is not None:
            connection.refuse(reason)
        if connection is not None and owing:
            gone = connection.when_gone()
            # Not at once, as the dialer does: what is not read then may be lost.
            linger = clock.callLater(LINGER, connection.finish)

            def cancel(_: object) -> None:
                if linger.active():
                    linger.cancel()

            gone.addCallback(cancel)
        gone.addCallback(lambda _: dialer.stop())

        def abort() -> None:
            if connection is not None:
                connection.abort("it took too long to close")

        def closed(_: object) -> None:
            closing.fire()
            self._closed()

        limit = self._around.limits.close
        close_within(limit, clock, [gone], abort).addCallback(closed)

    def when_closed(self) -> Deferred[None]:
        """Fire when no connection is being closed."""
        return self._closing.when()
