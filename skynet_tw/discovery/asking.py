# -*- test-case-name: tests.discovery.test_dns,tests.discovery.test_etcd_away -*-
"""What all who ask an engine over the network need: pauses, limits and reasons."""

from __future__ import annotations

from typing import Any, NoReturn, TypeVar

from twisted.application.internet import backoffPolicy
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from ..errors import SkynetError
from ..reasons import one_line
from ..text import error_text

_T = TypeVar("_T")

#: Seconds to wait after so many failed attempts in a row to ask an engine.
DEFAULT_RETRY_POLICY = backoffPolicy(initialDelay=0.5, maxDelay=10.0, factor=1.5)


class EngineError(SkynetError):
    """An engine did not answer, or answered with an error."""

    retry_safe = True


def limited(done: Deferred[_T], seconds: float, clock: IReactorTime) -> Deferred[_T]:
    """Cancel what is not done in time; it fails with `EngineError` then."""

    def late(result: Any, seconds: float) -> NoReturn:
        raise EngineError(f"no answer within {seconds:g} s")

    return done.addTimeout(seconds, clock, late)


def reason_of(error: BaseException) -> str:
    """Say in a line why an attempt failed."""
    # Twisted's HTTP client tells what happened in a list of failures.
    inner = getattr(error, "reasons", None)
    if isinstance(inner, list) and inner and isinstance(inner[0], Failure):
        error = inner[0].value or error
    text = str(error) if isinstance(error, SkynetError) else error_text(error, 200)
    return one_line(text)
