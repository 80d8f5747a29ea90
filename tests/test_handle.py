"""Addresses, and the rules of names."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from skynet_tw.errors import BadAddress
from skynet_tw.handle import MAX_INDEX, Handle, check_global_name


class HandleTests(SynchronousTestCase):
    """Handles."""

    def test_parts(self) -> None:
        """A handle is the harbor's byte above the index."""
        handle = Handle.of(2, 10)
        self.assertEqual(handle, 0x0200000A)
        self.assertEqual((handle.harbor, handle.index), (2, 10))
        highest = Handle.of(255, MAX_INDEX)
        self.assertEqual((highest.harbor, highest.index), (255, MAX_INDEX))
        self.assertEqual(highest, 0xFFFFFFFF)

    def test_text(self) -> None:
        """It prints as Skynet prints it, and is read back."""
        handle = Handle(0x0100000A)
        self.assertEqual(str(handle), ":0100000a")
        self.assertEqual(f"{handle}", ":0100000a")
        self.assertEqual(repr(handle), "<Handle :0100000a>")
        self.assertEqual(Handle.parse(":0100000a"), handle)
        self.assertEqual(Handle.parse(":0100000A"), handle)
        self.assertEqual(Handle.parse(":a"), 10)

    def test_is_a_number(self) -> None:
        """It equals its number, also as a key."""
        named: dict[int, str] = {Handle(5): "five"}
        self.assertEqual(named[5], "five")

    def test_ranges(self) -> None:
        """Out of range is refused."""
        for harbor, index in [(-1, 1), (256, 1), (1, 0), (1, MAX_INDEX + 1)]:
            with self.assertRaises(BadAddress):
                Handle.of(harbor, index)

    def test_malformed(self) -> None:
        """Other texts are refused."""
        for text in ["", ":", "a", ":g", ":123456789", ":1\n", ": 1", ":0x1"]:
            with self.assertRaises(BadAddress):
                Handle.parse(text)


class NameTests(SynchronousTestCase):
    """Global names."""

    def test_good(self) -> None:
        """Names of 1 to 15 bytes are names; 16 where the wire carries them."""
        for name in ["A", "BANK", "x" * 15, "ö" * 7, "1a", "a.b:c"]:
            self.assertEqual(check_global_name(name), name)
        self.assertEqual(check_global_name("x" * 16, 16), "x" * 16)

    def test_bad(self) -> None:
        """What other nodes would not take is refused, with its reason."""
        for name, reason in [
            ("", "empty"),
            ("x" * 16, "16 bytes"),
            ("ö" * 8, "16 bytes"),
            (".local", "begin"),
            (":0100000a", "begin"),
            ("42", "number"),
            ("a\0b", "zero byte"),
            ("\ud800", "bytes"),
        ]:
            with self.assertRaises(BadAddress) as caught:
                check_global_name(name)
            self.assertIn(reason, str(caught.exception))
