"""pytest finds exactly the tests that trial finds: ``python -m tests.collected``.

So ``make test`` need not run all of them with both.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from twisted.trial.runner import ErrorHolder, TestLoader

ROOT = Path(__file__).resolve().parent.parent


def _cases(suite: Any) -> Iterator[Any]:
    try:
        inner = iter(suite)
    except TypeError:
        yield suite
        return
    for case in inner:
        yield from _cases(case)


def of_trial() -> set[str]:
    """The ids of the tests that trial finds, as ``tests.test_text.Tests.test_one``.

    :raises RuntimeError: when a module of tests cannot be loaded.
    """
    found = set()
    for case in _cases(TestLoader().loadByName("tests", recurse=True)):
        if isinstance(case, ErrorHolder):
            raise RuntimeError(f"trial cannot load {case.description}: {case.error}")
        found.add(case.id())
    return found


def of_pytest() -> set[str]:
    """The ids of the tests that pytest finds, written in the same way.

    :raises RuntimeError: when pytest cannot collect.
    """
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "tests"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"pytest cannot collect: {done.stdout}{done.stderr}")
    lines = (line for line in done.stdout.splitlines() if "::" in line)
    return {
        line.replace(".py::", ".").replace("::", ".").replace("/", ".")
        for line in lines
    }


def main() -> int:
    """Compare, and name what only one of them finds."""
    trial, pytest = of_trial(), of_pytest()
    for name in sorted(trial - pytest):
        print(f"only trial finds {name}")
    for name in sorted(pytest - trial):
        print(f"only pytest finds {name}")
    print(f"collected: trial {len(trial)} tests, pytest {len(pytest)}")
    return 0 if trial == pytest and trial else 1


if __name__ == "__main__":
    sys.exit(main())
