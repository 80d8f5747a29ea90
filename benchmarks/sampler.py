"""A profile by samples: where the CPU time of this process goes.

A signal notes the stack at every tick of the CPU time that the process uses, some
hundred times a second.  That slows all its functions alike, and little, where a
tracing profiler would make small functions look expensive.
"""

from __future__ import annotations

import signal
from collections import Counter
from pathlib import Path
from types import CodeType, FrameType

#: Seconds; the system's own tick is longer on most machines.
INTERVAL = 0.001


class Sampler:
    """Counts stacks until it is stopped."""

    def __init__(self) -> None:
        #: How often each stack was seen, outermost function first.
        self.samples: Counter[tuple[CodeType, ...]] = Counter()

    def start(self) -> None:
        """Sample from now on."""
        signal.signal(signal.SIGPROF, self._sample)
        signal.setitimer(signal.ITIMER_PROF, INTERVAL, INTERVAL)

    def _sample(self, number: int, frame: FrameType | None) -> None:
        stack = []
        while frame is not None:
            stack.append(frame.f_code)
            frame = frame.f_back
        self.samples[tuple(reversed(stack))] += 1

    def stop(self, path: Path) -> None:
        """Write the stacks, ``outermost;...;innermost count`` a line."""
        signal.setitimer(signal.ITIMER_PROF, 0)
        folded: Counter[str] = Counter()
        for stack, count in self.samples.items():
            folded[";".join(map(_describe, stack))] += count
        lines = [f"{stack} {count}\n" for stack, count in sorted(folded.items())]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(lines))


def _describe(code: CodeType) -> str:
    path = Path(code.co_filename)
    name: str = getattr(code, "co_qualname", code.co_name)
    return f"{path.parent.name}/{path.stem}:{name}"


def read(path: Path) -> list[tuple[list[str], int]]:
    """The stacks in a file, with how often each was seen."""
    stacks = []
    for line in path.read_text().splitlines():
        text, _, count = line.rpartition(" ")
        stacks.append((text.split(";"), int(count)))
    return stacks


def top(stacks: list[tuple[list[str], int]], most: int = 12) -> dict[str, float]:
    """The functions that the CPU was in most often, with their share."""
    total = sum(count for _, count in stacks) or 1
    inside: Counter[str] = Counter()
    for stack, count in stacks:
        inside[stack[-1]] += count
    return {name: round(count / total, 3) for name, count in inside.most_common(most)}
