"""The in-memory tests on each Python of this machine: ``make test-versions``.

The lowest versions that setup.cfg declares run on the oldest Python here, on this one,
and on the newest; the newest versions run on all others and on the newest.  What this
Python does with the newest is what ``make trial`` shows.  The table at the end also
names each Python that we claim and that is not here, as not tested.

``python -m tests.versions.matrix --directory DIRECTORY`` keeps its environments there.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests import memory
from tests.versions import floors

ROOT = Path(__file__).resolve().parents[2]

#: Seconds after which the tests of one row count as hung.
TIME_LIMIT = 900

#: Pythons newer than the newest one claimed are looked for, too: so many of them.
UNCLAIMED = 3

#: Lines that are shown of what failed.
TAIL = 200

_RAN = re.compile(r"^Ran (\d+) tests? in", re.M)


@dataclass(frozen=True, slots=True)
class Interpreter:
    """A Python of this machine."""

    minor: int
    #: The whole version, as ``3.10.13``.
    version: str
    program: str


@dataclass(frozen=True, slots=True)
class Row:
    """What is to run: the tests on a Python, with the lowest or the newest versions."""

    python: Interpreter
    lowest: bool

    @property
    def versions(self) -> str:
        """How the table names the versions."""
        return "lowest" if self.lowest else "newest"

    @property
    def requirements(self) -> list[str]:
        """What is installed for it, beside the source tree that it runs in."""
        needed = floors.floors() if self.lowest else floors.requirements()
        return [*needed, *floors.tools(*memory.TOOLS)]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a row."""

    passed: bool
    #: One line of the table.
    line: str
    #: Everything that was printed.
    output: str = ""


def candidates(minor: int) -> Iterator[str]:
    """The programs that may be that Python: on the path, then those of pyenv.

    pyenv puts a ``python3.X`` on the path that only says that it is not chosen.
    """
    found = shutil.which(f"python3.{minor}")
    if found is not None:
        yield found
    root = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    for path in sorted(root.glob(f"versions/3.{minor}.*/bin/python3.{minor}")):
        yield str(path)


def interpreter(minor: int) -> Interpreter | None:
    """The first of the candidates that runs and can make an environment."""
    if minor == sys.version_info.minor:
        return Interpreter(minor, sys.version.split()[0], sys.executable)
    source = "import ensurepip, sys, venv; print(sys.version.split()[0])"
    for program in candidates(minor):
        done = subprocess.run([program, "-c", source], capture_output=True, text=True)
        version = done.stdout.strip()
        if done.returncode == 0 and version.startswith(f"3.{minor}."):
            return Interpreter(minor, version, program)
    return None


def rows(pythons: list[Interpreter], current: int) -> list[Row]:
    """What to run, given the Pythons found, oldest first, and the minor of this one."""
    oldest, newest = pythons[0].minor, pythons[-1].minor
    found = []
    for python in pythons:
        lowest = python.minor in (oldest, current, newest)
        if lowest:
            found.append(Row(python, True))
        if python.minor != current and (python.minor == newest or not lowest):
            found.append(Row(python, False))
    return found


def environment(row: Row, directory: Path) -> Path:
    """The Python of an environment for a row, made anew where its needs have changed.

    :raises subprocess.CalledProcessError: with all output, when it cannot be made.
    """
    needs = "\n".join([row.python.version, *row.requirements])
    place = directory / f"3.{row.python.minor}-{row.versions}"
    stamp = place / hashlib.sha256(needs.encode()).hexdigest()[:16]
    python = place / "bin" / "python"
    if not stamp.exists():
        shutil.rmtree(place, ignore_errors=True)
        _checked([row.python.program, "-m", "venv", str(place)])
        install = [str(python), "-m", "pip", "install", "--quiet"]
        _checked([*install, "--disable-pip-version-check", *row.requirements])
        stamp.touch()
    return python


def _checked(command: list[str]) -> None:
    subprocess.run(
        command,
        check=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def run(row: Row, directory: Path) -> Outcome:
    """Run the tests of a row."""
    try:
        python = environment(row, directory)
        done = _trial(python, directory / f"trial-3.{row.python.minor}-{row.versions}")
    except subprocess.CalledProcessError as error:
        return Outcome(False, "FAILED: cannot be installed", str(error.stdout))
    except subprocess.TimeoutExpired as error:
        output = error.stdout or b""
        text = output if isinstance(output, str) else output.decode(errors="replace")
        return Outcome(False, f"FAILED: no end after {TIME_LIMIT} s", text)
    ran = _RAN.search(done.stdout)
    if ran is None or ran[1] == "0" or done.returncode:
        last = done.stdout.rstrip().rpartition("\n")[2]
        return Outcome(False, f"FAILED: {last}", done.stdout)
    skipped = re.search(r"skips=\d+", done.stdout)
    note = f", {skipped[0]}" if skipped else ""
    return Outcome(True, f"{ran[1]} tests passed{note}", done.stdout)


def _trial(python: Path, scratch: Path) -> subprocess.CompletedProcess[str]:
    cores = os.cpu_count() or 1
    several = [f"-j{cores}"] if cores > 1 else []
    command = [str(python), "-m", "twisted.trial", "--reporter=text"]
    command.append(f"--temp-directory={scratch}")
    return subprocess.run(
        [*command, *several, *memory.modules()],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        timeout=TIME_LIMIT,
        env={**os.environ, "SKYNET_TW_EXAMPLES": "100"},
    )


def main(arguments: list[str]) -> int:
    """Find the Pythons, run each row, print the table."""
    parser = argparse.ArgumentParser(prog="python -m tests.versions.matrix")
    parser.add_argument("--directory", type=Path, required=True)
    directory: Path = parser.parse_args(arguments).directory.resolve()
    claimed = floors.claimed()
    minors = range(claimed[0], claimed[-1] + 1 + UNCLAIMED)
    pythons = [found for minor in minors if (found := interpreter(minor))]
    print("pythons found:", *(f"{it.version} ({it.program})" for it in pythons))
    print("lowest versions:", *floors.floors(), flush=True)
    table = []
    good = True
    for row in rows(pythons, sys.version_info.minor):
        started = time.monotonic()
        outcome = run(row, directory)
        good = good and outcome.passed
        if not outcome.passed:
            print("\n".join(outcome.output.splitlines()[-TAIL:]))
        seconds = f"{time.monotonic() - started:.1f} s"
        line = f"{row.python.version:<9} {row.versions}  {outcome.line} ({seconds})"
        print(line, flush=True)
        table.append((row.python.minor, line))
    here = {it.minor for it in pythons}
    for minor in claimed:
        if minor not in here:
            table.append(
                (minor, f"{f'3.{minor}':<9} -       NOT TESTED: not found here")
            )
    print("\npython    versions")
    print(*(line for _, line in sorted(table, key=lambda entry: entry[0])), sep="\n")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
