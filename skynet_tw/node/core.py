# -*- test-case-name: tests.node.test_actor -*-
"""What all parts of a node share: its time, its turns, its books and its limits."""

from __future__ import annotations

from threading import get_ident
from typing import Any

from twisted.internet.interfaces import IReactorTime

from .. import seri
from ..errors import SkynetError
from ..interfaces import IRemote
from .backlog import Backlog
from .calls import Calls
from .ledger import Ledger
from .limits import Limits
from .outbox import Outboxes
from .scheduler import Scheduler
from .writes import Writes


class Core:
    """The ground that the parts of a node stand on.

    :param clock: gives the time to everything in the node.
    :param remote: the network of harbors, None for a node without one.
    :param call_timeout: the time limit of remote calls, in seconds; 0 for none.
    :param limits: how much may wait in each queue.
    """

    def __init__(
        self,
        clock: IReactorTime,
        remote: IRemote | None,
        call_timeout: float,
        limits: Limits,
    ) -> None:
        self.clock = clock
        self.call_timeout = call_timeout
        self.limits = limits
        #: The id of this harbor, 0 without one.
        self.harbor = 0 if remote is None else remote.harbor
        # How values are packed here, and how many bytes a message may have.
        self.pack: Any = seri.pack_values if remote is None else remote.pack
        self.unpack: Any = seri.unpack if remote is None else remote.unpack
        self.max_payload = seri.PACK_SIZE if remote is None else remote.max_payload
        #: Whether the node stops: nothing new begins.
        self.stopping = False
        self._runs_in: object = get_ident()
        self.ledger = Ledger()
        self.writes = Writes()
        self.scheduler = Scheduler(clock, self.writes.flush)
        self.backlog = Backlog(limits)
        self.outboxes = Outboxes(clock, self.ledger, limits, call_timeout)
        #: Calls within the node that have a time limit, and those that wait for the
        #: owner of a name; all others are in the channels of their peers.
        self.calls = Calls(clock, self.scheduler)

    def took(self, count: int) -> None:
        """So many messages of other nodes were put into mailboxes by one read."""
        self.ledger.queue(count)
        self.backlog.add(count)

    def let_run(self) -> None:
        """Let those run whom a read has brought something."""
        self.backlog.check()
        self.scheduler.run()
        self.backlog.check_starts()

    def wrote(self, link: Any, size: int) -> None:
        """A link has collected *size* bytes: it is flushed when that is due."""
        full = self.writes.add(link, size)
        if full or not self.scheduler.running:
            self.writes.flush()

    def enter_thread(self) -> None:
        """The node runs in the thread that calls this, and its actors with it."""
        self._runs_in = get_ident()

    def check_thread(self) -> None:
        """Refuse to work in any other thread.

        :raises SkynetError: it is another one.
        """
        if get_ident() != self._runs_in:
            raise SkynetError(
                "this is not the reactor's thread; from another one, use"
                " reactor.callFromThread(...) or twisted.internet.threads"
                ".blockingCallFromThread(reactor, ...)"
            )
