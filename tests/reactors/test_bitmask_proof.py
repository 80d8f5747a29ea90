"""The proof that the suite notices a back end which takes filters for bit masks."""

from __future__ import annotations

import re

from twisted.trial.unittest import SynchronousTestCase

from tests.reactors.matrix import run_on
from tests.reactors.run import why_lacking

SUITE = ("tests.reactors.test_contract",)


class BitmaskProofTests(SynchronousTestCase):
    """One suite on the right dispatch and on the one of September 2013."""

    if why_lacking("kqueue"):
        skip = why_lacking("kqueue")

    def test_right_dispatch_passes(self) -> None:
        """On Twisted's kqueue reactor every test of the suite passes."""
        outcome = run_on("kqueue", SUITE)
        self.assertTrue(outcome.passed, outcome.output)
        self.assertRegex(outcome.line, r"^reactor kqueue: [1-9]\d* tests passed$")

    def test_one_operator(self) -> None:
        """The dispatch of 2013 passes when it compares filters as numbers."""
        outcome = run_on("kqueue-number", SUITE)
        self.assertTrue(outcome.passed, outcome.output)

    def test_bitmask_dispatch_fails(self) -> None:
        """On the back end of 2013 the suite runs to its end and fails."""
        outcome = run_on("kqueue-bitmask", SUITE)
        self.assertFalse(outcome.passed, outcome.output)
        counts = re.fullmatch(
            r"reactor kqueue-bitmask: (\d+) passed, (\d+) failed", outcome.line
        )
        assert counts is not None, outcome.output
        self.assertGreater(int(counts[2]), 0)
        for name in ("test_only_read", "test_only_write", "test_paused_does_not_read"):
            self.assertIn(f"ContractTests.{name}\n", outcome.output)
