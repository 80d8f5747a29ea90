"""What real nodes of a cluster packed and said (tests/data/README.md)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from skynet_tw.wire import cluster as wire

_FILE = Path(__file__).parent / "data" / "cluster.json"
_RUNS = re.compile(r"([0-9a-f]+)|\(([0-9a-f]{2})\*(\d+)\)")

#: The file: ``packets``, ``stream`` and ``edge``.
VECTORS: dict[str, list[dict[str, Any]]] = json.loads(_FILE.read_text())


def unfolded(text: str) -> bytes:
    """Read hexadecimal digits, with ``(xx*n)`` for n times the byte xx."""
    return b"".join(
        bytes.fromhex(plain) if plain else bytes.fromhex(byte) * int(count)
        for plain, byte, count in _RUNS.findall(text)
    )


def bytes_of(entry: dict[str, Any], field: str = "hex") -> bytes:
    """The bytes of one field, whether it is written at length or with runs."""
    return unfolded(entry.get(f"{field}rle", entry.get(field, "")))


def packed(*functions: str) -> Iterator[dict[str, Any]]:
    """The calls of real nodes' functions of some names."""
    return (case for case in VECTORS["packets"] if case["fn"] in functions)


def parts_of(case: dict[str, Any]) -> list[bytes]:
    """The packets behind the first one."""
    return [unfolded(part) for part in case.get("parts_hexrle", [])]


def request_parts(session: int, body: bytes) -> Iterator[bytes]:
    """The body of a large request, one part after the other."""
    for data, last in _cut(body):
        yield wire.request_part(session, data, last)


def result_parts(session: int, body: bytes) -> Iterator[bytes]:
    """The body of a large result, one part after the other."""
    for data, last in _cut(body):
        yield wire.result_part(session, data, last)


def _cut(body: bytes) -> Iterator[tuple[bytes, bool]]:
    """A body in parts; the last one, which is marked, is not empty."""
    size = len(body)
    for start in range(0, size, wire.PART_SIZE):
        stop = start + wire.PART_SIZE
        yield body[start:stop], stop >= size
