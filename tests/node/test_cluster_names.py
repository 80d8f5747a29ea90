"""Tests of the names of a cluster node."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from skynet_tw.errors import BadAddress, NameTaken, NoSuchName
from skynet_tw.node.cluster_names import ClusterNames


class ClusterNamesTests(SynchronousTestCase):
    """Who has which name."""

    def setUp(self) -> None:
        self.names = ClusterNames()
        self.names.register("echo", 10)

    def test_one_owner(self) -> None:
        """A name is taken once; its owner may say it again."""
        self.assertRaises(NameTaken, self.names.register, "echo", 11)
        self.names.register("echo", 10)
        self.assertEqual(self.names.owner("echo"), 10)

    def test_one_name(self) -> None:
        """The second name of an actor takes the first one away."""
        self.names.register("other", 10)
        self.assertRaises(NoSuchName, self.names.owner, "echo")
        self.names.register("echo", 11)
        self.assertEqual(self.names.owner("echo"), 11)

    def test_unregister(self) -> None:
        """What is taken away is free, and to take it away again changes nothing."""
        self.assertEqual(self.names.unregister("echo"), 10)
        self.assertIsNone(self.names.unregister("echo"))
        self.names.forget(10)
        self.names.register("echo", 11)
        self.names.forget(11)
        self.assertRaises(NoSuchName, self.names.owner, "echo")

    def test_bad_names(self) -> None:
        """A name can be written behind an ``@`` in an address."""
        self.names.register("n" * 254, 12)
        for name in ("", "n" * 255, "\ud800"):
            self.assertRaises(BadAddress, self.names.register, name, 13)

    def test_resolve(self) -> None:
        """Text stands for a handle, or is looked up in the node."""
        good: dict[str, int | str] = {
            "@echo": 10,
            ":0000000a": 10,
            "10": 10,
            "4294967295": 0xFFFFFFFF,
            ".launcher": ".launcher",
            "ECHO": "ECHO",
            "no prefix": "no prefix",
        }
        for text, address in good.items():
            self.assertEqual(self.names.resolve(text), address)
        for text in ("@nope", "@", "@@echo"):
            self.assertRaises(NoSuchName, self.names.resolve, text)
        for text in ("", ":", ":x", ":123456789", "4294967296", "9" * 250):
            self.assertRaises(BadAddress, self.names.resolve, text)
