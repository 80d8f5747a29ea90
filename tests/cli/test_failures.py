"""How failures become an exit status and a line."""

from __future__ import annotations

from twisted.internet.defer import CancelledError
from twisted.trial.unittest import SynchronousTestCase

from skynet_tw import errors
from skynet_tw.cli import failures


class FailureTests(SynchronousTestCase):
    """Each failure of a call."""

    def test_statuses(self) -> None:
        """The status says whether the request may have run, and whose mistake it is."""
        for error, status in (
            (errors.BadAddress("x"), failures.USAGE),
            (errors.PackError("argument 1", "x"), failures.USAGE),
            (errors.TooLarge(2, 1), failures.USAGE),
            (errors.PeerDown("x"), failures.UNREACHED),
            (errors.QueueFull("x"), failures.UNREACHED),
            (errors.NotReady("x"), failures.UNREACHED),
            (errors.CallTimeout("x"), failures.UNCERTAIN),
            (errors.LinkLost("x"), failures.UNCERTAIN),
            (errors.RemoteError("x"), failures.ANSWERED),
            (ValueError("x"), failures.FAILED),
            (CancelledError(), failures.INTERRUPTED),
        ):
            self.assertEqual(failures.status_of(error), status, error)

    def test_reasons(self) -> None:
        """A reason is one line; of a lost answer it says that the call may have run."""
        self.assertEqual(
            failures.reason(errors.CallTimeout("no answer\nin 5 s"), runs=True),
            "CallTimeout: no answer; in 5 s (it may have run)",
        )
        for error, runs in (
            (errors.PeerDown("x"), True),
            (errors.LinkLost("x"), False),
        ):
            said = f"{type(error).__name__}: x"
            self.assertEqual(failures.reason(error, runs), said)
        self.assertEqual(failures.reason(CancelledError(), runs=False), "interrupted")
        self.assertLess(len(failures.reason(ValueError("x" * 10_000), True)), 2100)
