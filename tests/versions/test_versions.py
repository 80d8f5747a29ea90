"""What the matrix of versions runs, and what it takes from setup.cfg."""

from __future__ import annotations

import re
import sys

from twisted.trial.unittest import SynchronousTestCase

from tests import memory

from . import floors, matrix
from .matrix import Interpreter, Row


def python(minor: int) -> Interpreter:
    """A Python of that minor number."""
    return Interpreter(minor, f"3.{minor}.1", f"/bin/python3.{minor}")


class FloorTests(SynchronousTestCase):
    """The lowest versions."""

    def test_pinned(self) -> None:
        """Each requirement has a lowest version, and keeps its condition."""
        for needed, lowest in zip(floors.requirements(), floors.floors(), strict=True):
            self.assertRegex(lowest, r"^[A-Za-z.]+==[0-9.]+(;.*)?$")
            self.assertEqual(lowest.replace("==", ">="), needed)

    def test_undeclared(self) -> None:
        """A requirement without a lowest version is an error, not the newest."""
        for text in ("Twisted", "Twisted>24", "Twisted>=24,<25", "Twisted~=24.10"):
            self.assertRaises(ValueError, floors._pinned, text)

    def test_tools(self) -> None:
        """What the tests need is taken from the extra, and must be in it."""
        [tool] = floors.tools("hypothesis")
        self.assertRegex(tool, "^hypothesis>=")
        self.assertRaises(ValueError, floors.tools, "no-such-tool")

    def test_build(self) -> None:
        """What a build needs of our requirements has no other floor."""
        text = (floors.ROOT / "pyproject.toml").read_text()
        needed = dict(re.findall(r'"([A-Za-z.]+)(>=[0-9.]+)"', text))
        for requirement in floors.requirements():
            name = re.split("[>;]", requirement)[0]
            if name in needed:
                self.assertEqual(name + needed[name], requirement)


class RowTests(SynchronousTestCase):
    """Which Pythons run what."""

    def test_all_there(self) -> None:
        """The lowest run on the oldest, this, and the newest; the newest elsewhere."""
        found = matrix.rows([python(n) for n in (10, 11, 12, 13)], 11)
        said = [(row.python.minor, row.versions) for row in found]
        newest = [(12, "newest"), (13, "lowest"), (13, "newest")]
        self.assertEqual(said, [(10, "lowest"), (11, "lowest"), *newest])

    def test_alone(self) -> None:
        """A machine with one Python runs the lowest versions on that."""
        self.assertEqual(matrix.rows([python(11)], 11), [Row(python(11), True)])

    def test_this_python(self) -> None:
        """The Python that runs the tests is always found."""
        found = matrix.interpreter(sys.version_info.minor)
        assert found is not None
        self.assertEqual(found.program, sys.executable)

    def test_no_such_python(self) -> None:
        """A Python that is not on the machine is none."""
        self.assertIsNone(matrix.interpreter(999))


class MemoryTests(SynchronousTestCase):
    """The choice of tests that need nothing but memory."""

    def test_outside(self) -> None:
        """Each module or folder that is left out is there."""
        everything = list(memory.all_modules())
        for name in memory.OUTSIDE:
            there = [it for it in everything if f"{it}.".startswith(f"{name}.")]
            self.assertNotEqual(there, [], name)

    def test_inside(self) -> None:
        """All others are in, this one too."""
        inside = memory.modules()
        self.assertIn(__name__, inside)
        self.assertNotIn("tests.test_sockets", inside)
        self.assertFalse([it for it in inside if it.startswith("tests.real.")])
