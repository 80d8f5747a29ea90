"""Tests of what does the effects of a core."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from skynet_tw.link.effects import Dial, Effect, Expected, Gone, StopDialing
from skynet_tw.net.kit.shell import Shell


class ShellTests(SynchronousTestCase):
    """One function for each kind of effect."""

    def setUp(self) -> None:
        self.done: list[object] = []
        self.shell = Shell(
            {
                Dial: self.dial,
                StopDialing: self.stop_dialing,
                Expected: self.done.append,
                Gone: self.done.append,
            }
        )

    def dial(self, effect: Dial) -> None:
        """Lead back to the core, which wants more."""
        self.done.append(effect)
        self.shell.do([Gone(effect.harbor, "nested")])
        self.done.append("dialed")

    def stop_dialing(self, effect: StopDialing) -> None:
        """Fail."""
        raise ValueError(effect.harbor)

    def test_order(self) -> None:
        """All are done in their order, each by the function of its kind."""
        effects: list[Effect] = [Expected(1), Gone(2, "why"), Expected(3)]
        self.shell.do(effects)
        self.assertEqual(self.done, effects)

    def test_nested(self) -> None:
        """What is wanted meanwhile comes behind what was wanted before."""
        self.shell.do([Dial(1, "host:1"), Expected(2)])
        nested = Gone(1, "nested")
        self.assertEqual(self.done, [Dial(1, "host:1"), "dialed", Expected(2), nested])

    def test_raises(self) -> None:
        """An error is the caller's; what is behind it is not lost."""
        effects: list[Effect] = [Expected(1), StopDialing(2), Expected(3)]
        self.assertRaises(ValueError, self.shell.do, effects)
        self.assertEqual(self.done, [Expected(1)])
        self.shell.do([Expected(4)])
        self.assertEqual(self.done, [Expected(1), Expected(3), Expected(4)])

    def test_closing(self) -> None:
        """Who closes does only what it still wants, of what waits as well."""
        self.shell = Shell(
            {
                Dial: lambda effect: self.shell.only(Gone),
                Expected: self.done.append,
                Gone: self.done.append,
            }
        )
        effects: list[Effect] = [Expected(1), Dial(1, ""), Expected(2), Gone(3, "")]
        self.shell.do(effects)
        self.assertEqual(self.done, [Expected(1), Gone(3, "")])
