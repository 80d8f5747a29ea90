"""What the tests of cores look for among the effects."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

from skynet_tw.errors import ProtocolError
from skynet_tw.link.effects import Close, Effect, Heard, LogLine, MasterEvent, Write

_E = TypeVar("_E")


def of(kind: type[_E], effects: Iterable[Effect]) -> list[_E]:
    """Those of one kind, in order."""
    return [effect for effect in effects if isinstance(effect, kind)]


def written(effects: Iterable[Effect]) -> bytes:
    """What a core with one connection writes."""
    return b"".join(effect.data for effect in of(Write, effects))


def heard(effects: Iterable[Effect]) -> list[MasterEvent]:
    """What the master said."""
    return [effect.event for effect in of(Heard, effects)]


def lines(effects: Iterable[Effect]) -> list[LogLine]:
    """What is to be logged."""
    return of(LogLine, effects)


def error(effects: Iterable[Effect]) -> ProtocolError | None:
    """Why a connection is to be closed, None if it is not."""
    closes = of(Close, effects)
    return closes[0].error if closes else None
