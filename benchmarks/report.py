"""docs/performance.md: its tables and plots, from results that were printed."""

from __future__ import annotations

import json
import re
from argparse import ArgumentParser
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from . import plots, sampler
from .nodes import ROOT

Result = dict[str, Any]

PAGE = ROOT / "docs" / "performance.md"
PLOTS = ROOT / "docs" / "performance"

#: What of a result is shown, in which words.
METRICS = {
    "call": {
        "calls_per_s": "calls/s",
        "cpu_us_per_call": "CPU µs a call, both nodes",
        "p50_us": "p50, µs",
        "p99_us": "p99, µs",
        "max_us": "longest, µs",
    },
    "send": {
        "messages_per_s": "messages/s",
        "cpu_us_per_message": "CPU µs a message, both nodes",
    },
    "payload": {"mb_per_s": "MB/s, both ways", "cpu_us_per_mb": "CPU µs a MB"},
    "spawn": {"us_per_actor": "µs an actor", "rss_kb_per_actor": "KB an actor"},
    "boot": {
        "first_s": "first node ready, s",
        "others_s": "all others ready, s",
        "cpu_s": "CPU s of all",
    },
    "names": {
        "known_us": "µs until a new name is known elsewhere",
        "query_us": "µs to look a known name up",
        "cpu_us_per_call": "CPU µs a call to names in turn",
    },
    "idle": {
        "cpu_percent": "CPU, %",
        "wakeups_per_s": "wake-ups/s",
        "resident_mb": "memory, MB",
    },
    "flood": {
        "alone_p99_us": "p99 of the quiet calls alone, µs",
        "beside_p50_us": "p50 beside the flood, µs",
        "beside_p99_us": "p99 beside the flood, µs",
        "beside_max_us": "longest beside the flood, µs",
        "beside_late_p99_us": "p99 of a timer's lateness, µs",
        "flood_per_s": "flood, messages/s",
    },
}

#: What is drawn besides.
DRAWN = {"call": "calls_per_s", "flood": "beside_p99_us"}


def report_options(parser: ArgumentParser) -> None:
    parser.add_argument("results", nargs="+", type=Path, help="lines of JSON")


def write(paths: Sequence[Path]) -> None:
    """Put the tables and plots of some results into the page."""
    results: dict[str, list[Result]] = {}
    for path in paths:
        for line in path.read_text().splitlines():
            result = json.loads(line)
            results.setdefault(result["benchmark"], []).append(result)
    text = PAGE.read_text()
    PLOTS.mkdir(exist_ok=True)
    for name, found in results.items():
        block = _growth(found) if name == "growth" else _table(name, found)
        if name in DRAWN:
            metric = DRAWN[name]
            groups = [(_label(r), _sides(r, metric)) for r in found]
            block += _plot(name, METRICS[name][metric], groups)
        text = _replace(text, name, block)
    every = [result for found in results.values() for result in found]
    text = _replace(text, "machine", _machine(every))
    PAGE.write_text(text)


def _replace(text: str, name: str, block: str) -> str:
    mark = f"<!-- {name} -->\n"
    if mark not in text:
        raise SystemExit(f"{PAGE} has no place {mark.strip()!r}")
    old = re.compile(re.escape(mark) + r".*?(?=<!-- end -->)", re.DOTALL)
    return old.sub(lambda _: mark + block, text)


def _machine(results: list[Result]) -> str:
    lines = dict.fromkeys(
        "{processors} x {processor}, {system}; {python}, Twisted {twisted}, "
        "skynet_tw {skynet_tw}.".format(**result["machine"])
        for result in results
    )
    return "\n".join(lines) + "\n"


def _label(result: Result) -> str:
    options = result["options"]
    words = []
    if "layer" in options:
        words.append(options["layer"])
    if "inflight" in options:
        words.append(f"{options['inflight']} in flight")
    if "peers" in options:
        words.append(f"{options['peers']} peers")
    if "count" in options:
        words.append(f"{options['count']:,}")
    if result["pin"]:
        words.append("one core")
    if result.get("against") not in (None, "pyskynet"):
        words.append(f"against {result['against']}")
    return ", ".join(words)


def _sides(result: Result, metric: str) -> dict[str, dict[str, float]]:
    return {
        side: result[side][metric]
        for side in ("ours", "real")
        if metric in result.get(side, {})
    }


def _table(name: str, results: list[Result]) -> str:
    lines = ["| what | run | ours | real | ratio |", "|---|---|---|---|---|"]
    for metric, words in METRICS[name].items():
        for result in results:
            cells = [
                _cell(result.get(side, {}).get(metric))
                for side in ("ours", "real", "ratio")
            ]
            lines.append(f"| {words} | {_label(result)} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _cell(spread: dict[str, float] | None) -> str:
    if spread is None:
        return "–"
    median, low, high = (plots.short(spread[key]) for key in ("median", "min", "max"))
    return f"{median} ({low}–{high})"


def _growth(results: list[Result]) -> str:
    lines = ["| what | how many | CPU µs a call | calls/s |", "|---|---|---|---|"]
    groups = []
    for result in results:
        for row in result["growth"]:
            what = {"inflight": "calls in flight"}.get(row["what"], row["what"])
            size = f"{row['size']:,}"
            cpu, rate = row["cpu_us_per_call"], row["calls_per_s"]
            lines.append(f"| {what} | {size} | {_cell(cpu)} | {_cell(rate)} |")
            groups.append((f"{size} {what}", {"ours": cpu}))
    return "\n".join(lines) + "\n" + _plot("growth", "CPU µs a call", groups)


def _plot(name: str, title: str, groups: Sequence[plots.Group]) -> str:
    (PLOTS / f"{name}.svg").write_text(plots.bars(title, groups))
    return f"\n![{title}](performance/{name}.svg)\n"


def flame_graphs(directory: Path) -> dict[str, dict[str, float]]:
    """Draw the profiles in *directory*; return the functions that are on top."""
    tops = {}
    for path in sorted(directory.glob("*.folded")):
        stacks = sampler.read(path)
        title = f"{path.stem}: CPU time by function"
        path.with_suffix(".svg").write_text(plots.flame(title, stacks))
        tops[path.stem] = sampler.top(stacks)
    return tops
