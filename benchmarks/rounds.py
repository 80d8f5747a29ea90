"""Rounds: each side does the same work in turn, and only ratios are compared."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import twisted

Result = dict[str, Any]

#: Numbers that only repeat what was asked for.
GIVEN = {"k", "size", "received", "names", "peers", "harbors"}


def spread(values: list[float]) -> dict[str, float]:
    """The median of some values, with the smallest and the largest."""
    low, high = min(values), max(values)
    return {"median": _short(median(values)), "min": _short(low), "max": _short(high)}


def compare(sides: dict[str, Callable[[], Result]], rounds: int) -> Result:
    """Run each side once a round, and tell the spread of each number.

    With two sides, ``ratio`` is the first side's number by the second's within each
    round: what disturbs the machine for longer than a round disturbs both.
    """
    runs: dict[str, list[Result]] = {name: [] for name in sides}
    for i in range(rounds):
        # Who comes first changes, so that neither always follows the other.
        order = list(sides) if i % 2 == 0 else list(reversed(sides))
        for name in order:
            runs[name].append(sides[name]())
    table: Result = {}
    for name, results in runs.items():
        table[name] = {
            key: spread([result[key] for result in results])
            for key in results[0]
            if key not in GIVEN and _is_number(results[0][key])
        }
    if len(runs) == 2:
        ours, theirs = runs.values()
        table["ratio"] = {
            key: spread([a[key] / b[key] for a, b in zip(ours, theirs, strict=True)])
            for key in ours[0]
            if key in table["real"] and all(b.get(key) for b in theirs)
        }
    return table


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _short(value: float) -> float:
    return float(f"{value:.4g}")


def machine() -> Result:
    """The machine, as far as it matters for the figures."""
    model = platform.processor()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                model = line.partition(":")[2].strip()
    find = "from importlib.util import find_spec as find;"
    found = subprocess.run(
        [sys.executable, "-c", f"{find} print(find('skynet_tw.seri').origin)"],
        cwd="/",  # not where the source is
        capture_output=True,
        check=True,
        text=True,
    )
    compiled = not found.stdout.strip().endswith(".py")
    return {
        "processor": model,
        "processors": os.cpu_count(),
        "system": f"{platform.system()} {platform.release()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "twisted": twisted.__version__,
        "skynet_tw": "compiled" if compiled else "pure Python",
    }
