"""Something that is done again and again."""

from __future__ import annotations

import subprocess
import sys

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from skynet_tw.repeater import Repeater


class RepeaterTests(SynchronousTestCase):
    """A function that is called every two seconds."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.times: list[float] = []
        self.error: Exception | None = None
        self.repeater = Repeater(self.call, 2.0, self.clock)

    def call(self) -> None:
        self.times.append(self.clock.seconds())
        if self.error is not None:
            raise self.error

    def test_runs(self) -> None:
        """It is called every so many seconds from its start to its end."""
        self.repeater.start()
        self.repeater.start()
        self.clock.pump([1.0] * 7)
        self.assertEqual(self.times, [2, 4, 6])
        self.repeater.stop()
        self.repeater.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.repeater.start()
        self.clock.pump([1.0] * 2)
        self.assertEqual(self.times[3:], [9])
        self.repeater.stop()

    def test_stops_itself(self) -> None:
        """The function may be the one that ends it."""
        repeater = Repeater(lambda: repeater.stop(), 1.0, self.clock)
        repeater.start()
        self.clock.advance(1)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_failure(self) -> None:
        """What the function raises is logged, and does not end it."""
        self.error = ZeroDivisionError()
        self.repeater.start()
        self.clock.pump([2.0] * 2)
        self.assertEqual(len(self.times), 2)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 2)
        self.repeater.stop()

    def test_no_reactor(self) -> None:
        """It installs no reactor."""
        source = (
            "import sys; from twisted.internet.task import Clock;"
            "from skynet_tw.repeater import Repeater;"
            "Repeater(print, 1.0, Clock()).start();"
            "print('twisted.internet.reactor' in sys.modules)"
        )
        found = subprocess.run(
            [sys.executable, "-c", source], capture_output=True, text=True, check=True
        )
        self.assertEqual(found.stdout.strip(), "False")
