# -*- test-case-name: tests.net.test_kit -*-
"""Closing in order, within a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

from twisted.internet.defer import Deferred, gatherResults, maybeDeferred
from twisted.internet.interfaces import IListeningPort, IReactorTime
from twisted.logger import Logger

_log = Logger()


def stop_listening(port: IListeningPort) -> Deferred[Any]:
    """Close a port; fires when that is done."""
    return maybeDeferred(cast(Callable[[], object], port.stopListening))


def close_within(
    seconds: float,
    clock: IReactorTime,
    closing: Sequence[Deferred[Any]],
    abort: Callable[[], None],
) -> Deferred[None]:
    """Wait until all is closed, and close by force what is open after a time.

    :param closing: fire when each part is closed.
    :param abort: closes at once what is not closed yet.
    :returns: fires when all is closed.
    """
    deadline = clock.callLater(seconds, abort)

    def closed(_: object) -> None:
        if deadline.active():
            deadline.cancel()

    return (
        gatherResults(closing, consumeErrors=True)
        .addErrback(lambda failure: _log.failure("while closing", failure))
        .addCallback(closed)
    )
