"""Plots as SVG, written by hand: bars with their spread, and flame graphs."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape

COLOURS = {"ours": "#3776ab", "real": "#c9a227"}
FONT = 'font-family="sans-serif" font-size="12"'

#: A label, and for each side its median, minimum and maximum.
Group = tuple[str, dict[str, dict[str, float]]]


def short(value: float) -> str:
    """A number in few characters: ``12.3k``."""
    for size, letter in ((1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.3g}{letter}"
    return f"{value:.3g}"


def bars(title: str, groups: Sequence[Group]) -> str:
    """Horizontal bars; a thin line goes from the minimum to the maximum."""
    left, width, height = 220, 480, 16
    top = max(side["max"] for _, sides in groups for side in sides.values()) or 1.0
    parts = [f'<text x="8" y="18" font-weight="bold">{escape(title)}</text>']
    y = 32
    for label, sides in groups:
        middle = y + height * len(sides) / 2 + 4
        parts.append(
            f'<text x="{left - 8}" y="{middle}" text-anchor="end">'
            f"{escape(label)}</text>"
        )
        for name, side in sides.items():
            long, low, high = (
                side[key] / top * width for key in ("median", "min", "max")
            )
            parts.append(
                f'<rect x="{left}" y="{y}" width="{long:.1f}" height="{height - 3}"'
                f' fill="{COLOURS[name]}"/>'
                f'<path d="M{left + low:.1f} {y + 6.5}H{left + high:.1f}"'
                ' stroke="#222"/>'
                f'<text x="{left + high + 6:.1f}" y="{y + 11}">'
                f"{name} {short(side['median'])}</text>"
            )
            y += height
        y += 8
    return _svg(left + width + 100, y, parts)


@dataclass
class _Frame:
    count: int = 0
    inner: dict[str, _Frame] = field(default_factory=dict)


def flame(title: str, stacks: Sequence[tuple[Sequence[str], int]]) -> str:
    """A flame graph, the outermost functions on top; hover to read the narrow ones."""
    root = _Frame()
    for stack, count in stacks:
        frame = root
        root.count += count
        for name in stack:
            frame = frame.inner.setdefault(name, _Frame())
            frame.count += count
    total = root.count or 1
    width, height = 1200, 17
    parts = [f'<text x="8" y="18" font-weight="bold">{escape(title)}</text>']
    deepest = 0

    def draw(frame: _Frame, x: float, depth: int) -> None:
        nonlocal deepest
        deepest = max(deepest, depth)
        for name, inner in sorted(frame.inner.items()):
            wide = inner.count / total * width
            if wide >= 1:
                hue = zlib.crc32(name.partition(":")[0].encode()) % 360
                y = 30 + depth * height
                text = name.partition(":")[2][: int(wide / 7)]
                parts.append(
                    f"<g><title>{escape(name)}: {inner.count / total:.1%}</title>"
                    f'<rect x="{x:.1f}" y="{y}" width="{wide:.1f}"'
                    f' height="{height - 1}"'
                    f' fill="hsl({hue},60%,75%)"/>'
                    f'<text x="{x + 2:.1f}" y="{y + 12}" font-size="11">'
                    f"{escape(text) if wide > 30 else ''}</text></g>"
                )
                draw(inner, x, depth + 1)
            x += wide

    def draw_inner(frame: _Frame) -> None:
        # What all stacks have in common says nothing.
        while len(frame.inner) == 1 and _only(frame).count == frame.count:
            frame = _only(frame)
        draw(frame, 0, 0)

    draw_inner(root)
    return _svg(width, 40 + (deepest + 1) * height, parts)


def _only(frame: _Frame) -> _Frame:
    return next(iter(frame.inner.values()))


def _svg(width: int, height: int, parts: Sequence[str]) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}"'
        f' {FONT}>\n<rect width="100%" height="100%" fill="white"/>\n'
        + "\n".join(parts)
        + "\n</svg>\n"
    )
