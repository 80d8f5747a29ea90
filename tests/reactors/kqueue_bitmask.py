# -*- test-case-name: tests.reactors.test_bitmask_proof -*-
"""
The back end of 2013, kept as a proof that the suite notices it.

Skynet's kqueue back end of September 2013 asked ``filter & EVFILT_WRITE`` and
``filter & EVFILT_READ``. The filters are -1 and -2, so both answers are true for
every event: a socket that can be written is read as well, and the other way.
The same dispatch with ``filter == EVFILT_...`` is right, so that the operator is
all that makes the difference.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from twisted.internet import main
from twisted.internet.main import installReactor

from tests.reactors.kqueue_install import load_kqreactor

kqreactor: Any = load_kqreactor()


class KQueueReactorOf2013(kqreactor.KQueueReactor):  # type: ignore[misc]
    """
    Twisted's kqueue reactor with the dispatch of 2013.

    :ivar matches: the test of an event's filter against EVFILT_READ or _WRITE.
    """

    matches: Callable[[int, int], object] = operator.and_

    def _doWriteOrRead(self, selectable: Any, fd: int, event: Any) -> None:
        if event.flags & kqreactor.KQ_EV_EOF and event.data and event.fflags:
            self._disconnectSelectable(selectable, main.CONNECTION_LOST, False)
            return
        writable = self.matches(event.filter, kqreactor.KQ_FILTER_WRITE)
        readable = self.matches(event.filter, kqreactor.KQ_FILTER_READ)
        for wanted, method in ((writable, "doWrite"), (readable, "doRead")):
            if not wanted or self._selectables.get(fd) is not selectable:
                continue
            try:
                why = getattr(selectable, method)()
            except BaseException as error:
                kqreactor.log.err()
                why = error
            if why:
                self._disconnectSelectable(selectable, why, method == "doRead")
                return


def install(matches: Callable[[int, int], object]) -> None:
    reactor = KQueueReactorOf2013()
    reactor.matches = matches
    installReactor(reactor)
