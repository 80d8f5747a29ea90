"""Tests of the form in which cores say what they want."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from skynet_tw.link.effects import Dial, Effects, Expected, LogLine


class EffectsTests(SynchronousTestCase):
    """What a core collects."""

    def test_take(self) -> None:
        """Effects are taken in their order, once."""
        effects = Effects()
        effects.add(Expected(1))
        effects.log("one of {count}", warn=True, count=2)
        effects.add(Dial(1, "host:1"))
        line = LogLine("one of {count}", {"count": 2}, True)
        taken = effects.take()
        self.assertEqual(taken, [Expected(1), line, Dial(1, "host:1")])
        self.assertEqual(effects.take(), [])
        effects.add(Expected(2))
        self.assertEqual(len(taken), 3, "what was taken does not grow")

    def test_line(self) -> None:
        """A line is shown with its fields in their places."""
        self.assertEqual(str(LogLine("{a} and {b!r}", {"a": 1, "b": "c"})), "1 and 'c'")
