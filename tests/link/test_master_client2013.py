"""Tests of what a harbor of 2013 says to its master, and when."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from skynet_tw.errors import OtherWire, TooLarge
from skynet_tw.link.effects import Effect
from skynet_tw.link.master_client2013 import MasterClientCore2013
from skynet_tw.wire.control import Hello, Name, Query, Register
from skynet_tw.wire.harbor2013 import RequestReader

from .effects import error, written


class MasterClient2013Tests(SynchronousTestCase):
    """What a harbor says to its master, and when."""

    def setUp(self) -> None:
        self.core = MasterClientCore2013(3, "host:3")

    def said(self, effects: list[Effect]) -> list[object]:
        """What is written to the master."""
        return list(RequestReader().feed(written(effects)))

    def test_order(self) -> None:
        """First the address; names and questions when the master has dialed us."""
        it = self.core
        self.assertEqual(written(it.register("A", 0x03000001)), b"")
        self.assertEqual(self.said(it.connected()), [Hello(3, "host:3")])
        self.assertEqual(written(it.query("B")), b"")
        self.assertFalse(it.introduced)
        self.assertEqual(
            self.said(it.dialed_back()),
            [Register("A", 0x03000001), Query("B")],
        )
        self.assertTrue(it.introduced)
        self.assertEqual(self.said(it.query("C")), [Query("C")])

    def test_again(self) -> None:
        """After the loss of the master, names and open questions are said again."""
        it = self.core
        it.connected()
        it.dialed_back()
        for name in "ABC":
            it.register(name, 0x03000001)
        it.query("D")
        it.query("E")
        it.heard(Name("D", 0x05000001))
        for name in "BC":
            self.assertTrue(it.heard(Name(name, 0x03000001)))
        self.assertTrue(it.heard(Name("B", 0x05000001)))
        it.lost()
        self.assertFalse(it.introduced)
        it.connected()
        self.assertEqual(
            self.said(it.dialed_back()),
            [Register("A", 0x03000001), Register("C", 0x03000001), Query("E")],
        )

    def test_old_news(self) -> None:
        """What the master says of a name before our registration of it is from before.

        It answers to all what anybody asks, so that the owner before us may be named
        until our own registration is announced.
        """
        it = self.core
        it.connected()
        it.dialed_back()
        ours, theirs = Name("X", 0x03000001), Name("X", 0x05000001)
        for _ in range(2):
            it.register("X", 0x03000001)
            self.assertFalse(it.heard(theirs))
            self.assertTrue(it.heard(ours))
            self.assertEqual(it.names, {"X": 0x03000001})
        self.assertTrue(it.heard(theirs))
        self.assertEqual(it.names, {})
        self.assertTrue(it.heard(theirs))
        # Two of our own actors, one after the other.
        it.register("X", 0x03000001)
        it.register("X", 0x03000002)
        self.assertFalse(it.heard(ours))
        self.assertTrue(it.heard(Name("X", 0x03000002)))
        self.assertEqual(it.names, {"X": 0x03000002})

    def test_left_alone(self) -> None:
        """A master that hung up is asked to dial again, unless it does so itself."""
        it = self.core
        it.left_alone()
        self.assertEqual(written(it.repeat()), b"")
        it.connected()
        it.dialed_back()
        it.left_alone()
        it.register("A", 0x03000001)
        self.assertEqual(self.said(it.dialed_back()), [Register("A", 0x03000001)])
        it.left_alone()
        self.assertEqual(self.said(it.repeat()), [Hello(3, "host:3")])
        self.assertEqual(written(it.repeat()), b"")
        self.assertEqual(self.said(it.dialed_back()), [Register("A", 0x03000001)])

    def test_long_name(self) -> None:
        """A name that cannot be said is not kept."""
        self.assertRaises(TooLarge, self.core.register, "x" * 17, 1)
        self.assertRaises(TooLarge, self.core.query, "x" * 17)
        self.assertEqual(self.core.names, {})
        self.assertEqual(self.core.queries, {})

    def test_master_speaks(self) -> None:
        """No master of 2013 says anything on the connection of the harbor."""
        self.assertIsInstance(error(self.core.feed(b"\xff")), OtherWire)
