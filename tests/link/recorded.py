"""The recorded traffic of real nodes (tests/data/README.md)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

DATA = Path(__file__).parent.parent / "data"

_RUNS = re.compile(r"([0-9a-f]+)|\(([0-9a-f]{2})\*(\d+)\)")


@dataclass(frozen=True)
class Event:
    """One event on one connection."""

    #: The order of events within their part.
    t: int
    #: The number of the connection.
    conn: int
    #: Who did it, and to whom.
    source: str
    target: str
    #: ``connect``, ``data``, ``close`` or ``reset``.
    kind: str
    #: The bytes of ``data``.
    data: bytes


def _bytes_of(entry: dict[str, Any]) -> bytes:
    text = entry.get("hexrle", entry.get("hex", ""))
    return b"".join(
        bytes.fromhex(plain) if plain else bytes.fromhex(byte) * int(count)
        for plain, byte, count in _RUNS.findall(text)
    )


def events(part: str, wire: str = "modern") -> Iterator[Event]:
    """Read one part of the record of a wire, without its steps."""
    for entry in json.loads((DATA / f"harbor_{wire}.json").read_text())[part]:
        if "step" not in entry:
            yield Event(
                entry["t"],
                entry["conn"],
                entry["from"],
                entry["to"],
                entry["event"],
                _bytes_of(entry),
            )
