"""
Run tests on one reactor: ``python -m tests.reactors.run REACTOR TESTS...``.

TESTS are what ``trial`` takes: modules, classes, methods. The last line counts
them, ``reactor epoll: 14 tests passed``; the exit status is 0 when at least one
ran and none failed.
"""

from __future__ import annotations

import importlib.util
import operator
import select
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.application import reactors

from tests.reactors import kqueue_install


def _install_uvloop() -> None:
    import uvloop
    from twisted.internet import asyncioreactor

    asyncioreactor.install(uvloop.new_event_loop())


def _install_kqueue() -> None:
    kqueue_install.load_kqreactor()
    reactors.installReactor("kqueue")


def _install_2013(matches: Callable[[int, int], object]) -> None:
    from tests.reactors import kqueue_bitmask

    kqueue_bitmask.install(matches)


INSTALL: dict[str, Callable[[], object]] = {
    "epoll": lambda: reactors.installReactor("epoll"),
    "poll": lambda: reactors.installReactor("poll"),
    "select": lambda: reactors.installReactor("select"),
    "asyncio": lambda: reactors.installReactor("asyncio"),
    "asyncio+uvloop": _install_uvloop,
    "kqueue": _install_kqueue,
    # For the proof that the tests notice the back end of 2013, not for the matrix.
    "kqueue-bitmask": lambda: _install_2013(operator.and_),
    "kqueue-number": lambda: _install_2013(operator.eq),
}


def why_lacking(name: str) -> str | None:
    """:returns: why this platform cannot run a reactor, or None when it can."""
    if name in ("epoll", "poll") and not hasattr(select, name):
        return f"{sys.platform} has no {name}"
    if name == "asyncio+uvloop" and importlib.util.find_spec("uvloop") is None:
        return "uvloop is not installed"
    if (
        name.startswith("kqueue")
        and not kqueue_install.kernel_has_kqueue()
        and not sys.platform.startswith("linux")
    ):
        return f"{sys.platform} has no kqueue, and the model needs Linux"
    return None


def run_tests(name: str, tests: list[str]) -> bool:
    """
    Run tests with trial on the reactor installed before, and print the count.

    :returns: whether at least one test passed and none failed.
    """
    from twisted.trial.reporter import TextReporter
    from twisted.trial.runner import TestLoader, TrialRunner

    with tempfile.TemporaryDirectory() as scratch:
        runner = TrialRunner(
            TextReporter, workingDirectory=str(Path(scratch, "_trial_temp"))
        )
        result: Any = runner.run(TestLoader().loadByNames(tests))
    passed: int = result.successes
    skipped = len(result.skips)
    failed = result.testsRun - passed - skipped - len(result.expectedFailures)
    good = passed > 0 and result.wasSuccessful()
    line = f"{passed} tests passed" if good else f"{passed} passed, {failed} failed"
    if skipped:
        line += f", {skipped} skipped"
    print(f"reactor {name}: {line}", flush=True)
    return good


def main(arguments: list[str]) -> int:
    if len(arguments) < 2 or arguments[0] not in INSTALL:
        print(f"usage: python -m tests.reactors.run {'|'.join(INSTALL)} TESTS...")
        return 2
    name, *tests = arguments
    lacking = why_lacking(name)
    if lacking is not None:
        print(f"reactor {name}: not run: {lacking}")
        return 3
    INSTALL[name]()
    return 0 if run_tests(name, tests) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
