"""
The same tests on every reactor of the platform: ``make test-reactors``.

``python -m tests.reactors.matrix [--require REACTOR] [--only REACTOR] [TESTS...]``
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from tests.reactors import kqueue_install
from tests.reactors.run import INSTALL, why_lacking

# What runs on each reactor when no tests are named.
MODULES = ("tests.reactors.test_contract", "tests.test_sockets")
REACTORS = tuple(name for name in INSTALL if not name.startswith("kqueue-"))

ROOT = Path(__file__).resolve().parents[2]
# Seconds after which the tests of one reactor count as hung.
TIME_LIMIT = 900


@dataclass(frozen=True, slots=True)
class Outcome:
    """
    What one reactor did with the tests.

    :ivar line: the closing line of the run, or what ended it instead.
    :ivar output: everything the run printed.
    """

    passed: bool
    line: str
    output: str


def run_on(name: str, tests: tuple[str, ...]) -> Outcome:
    """Run tests on one reactor in a process of their own."""
    command = [sys.executable, "-m", "tests.reactors.run", name, *tests]
    try:
        done = subprocess.run(
            command,
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=TIME_LIMIT,
        )
    except subprocess.TimeoutExpired as expired:
        output = expired.stdout or b""
        text = output if isinstance(output, str) else output.decode(errors="replace")
        line = f"reactor {name}: failed, no end after {TIME_LIMIT} s"
        return Outcome(False, line, text)
    last = done.stdout.rstrip().rpartition("\n")[2]
    if not last.startswith(f"reactor {name}: "):
        last = f"reactor {name}: failed, exit status {done.returncode} without a count"
        return Outcome(False, last, done.stdout)
    return Outcome(done.returncode == 0, last, done.stdout)


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.reactors.matrix")
    parser.add_argument("--only", action="append", choices=list(INSTALL))
    parser.add_argument(
        "--require",
        action="append",
        default=[],
        choices=list(INSTALL),
        help="fail when the platform lacks this reactor; repeatable",
    )
    parser.add_argument("tests", nargs="*", default=MODULES)
    options = parser.parse_args(arguments)
    ran: list[bool] = []
    lacking: list[str] = []
    for name in options.only or REACTORS:
        reason = why_lacking(name)
        if reason is not None:
            lacking.append(name)
            print(f"reactor {name}: not run: {reason}", flush=True)
            continue
        started = time.monotonic()
        outcome = run_on(name, tuple(options.tests))
        ran.append(outcome.passed)
        if not outcome.passed:
            print(outcome.output)
        note = f"{time.monotonic() - started:.1f} s"
        if name.startswith("kqueue") and not kqueue_install.kernel_has_kqueue():
            note += ", over the model of kqueue"
        print(f"{outcome.line} ({note})", flush=True)
    missing = [name for name in options.require if name in lacking]
    for name in missing:
        print(f"reactor {name} is required here")
    print(f"reactors: {sum(ran)} passed, {len(ran) - sum(ran)} failed", end="")
    print(f", {len(lacking)} not on this platform" if lacking else "")
    return 0 if ran and all(ran) and not missing else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
