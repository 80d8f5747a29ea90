"""Tests of a link's handshake; recorded ones are in `tests.link.test_replay`."""

from __future__ import annotations

from automat import NoTransition
from twisted.trial.unittest import SynchronousTestCase

from skynet_tw.link.effects import Linked
from skynet_tw.link.peer import Peer

from .effects import error, written


def anybody(harbor: int) -> str | None:
    """Admit everybody."""
    return None


class PeerTests(SynchronousTestCase):
    """The first bytes of a link."""

    def test_back_to_back(self) -> None:
        """Two cores link, for small and for large ids."""
        for one, other in ((1, 2), (127, 128), (255, 1)):
            dialing, accepting = Peer(one, other, anybody), Peer(other, None, anybody)
            self.assertEqual(accepting.open(), [])
            accepted = accepting.greet(written(dialing.open()))
            self.assertEqual(accepted[-1], Linked(one, b""))
            self.assertEqual(
                dialing.greet(written(accepted) + b"rest"), [Linked(other, b"rest")]
            )
            self.assertEqual((dialing.harbor, accepting.harbor), (other, one))

    def test_refused(self) -> None:
        """Whoever is not admitted gets no answer, and was never linked."""
        accepting = Peer(1, None, lambda harbor: f"no {harbor}")
        accepting.open()
        refused = accepting.greet(b"\x07")
        self.assertEqual((str(error(refused)), written(refused)), ("no 7", b""))
        self.assertFalse(accepting.ended())

    def test_nothing_yet(self) -> None:
        """An empty read is not an answer."""
        peer = Peer(1, 2, anybody)
        peer.open()
        self.assertEqual(peer.greet(b""), [])

    def test_ends_once(self) -> None:
        """That a link is lost is told once."""
        peer = Peer(1, 2, anybody)
        peer.open()
        peer.greet(b"\x02")
        self.assertTrue(peer.ended())
        self.assertFalse(peer.ended())

    def test_stages(self) -> None:
        """What was not opened does not link."""
        self.assertRaises(NoTransition, Peer(1, 2, anybody).greet, b"\x02")
        self.assertFalse(Peer(1, 2, anybody).ended())
