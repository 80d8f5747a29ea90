"""What every master's port does, whatever its wire.

A wire is put under the contract by one class in `tests.net.test_master`: this contract,
and the wire's own `World`.  This module is no module of tests itself.
"""

from __future__ import annotations

import re
from functools import partial

from twisted.internet.defer import maybeDeferred
from twisted.internet.protocol import Protocol

from skynet_tw.net.kit.limits import ConnectionLimits

from .linkworld import Stranger
from .noise import NOISE
from .world import MASTER, Node, World


class Greeter(Stranger):
    """Says something as soon as it is connected."""

    def __init__(self, says: bytes) -> None:
        super().__init__()
        self._says = says

    def connectionMade(self) -> None:
        self.say(self._says)


class MasterContract(World):
    """Strangers at a master's port, and a stranger in its place."""

    limits = ConnectionLimits(strangers=16)

    def setUp(self) -> None:
        super().setUp()
        self.one, self.two = self.pair()

    def dropped_lines(self) -> list[str]:
        """What was logged of those who were dropped."""
        return [line for line in self.log() if "dropped" in line]

    def test_noise(self) -> None:
        """Bytes of any other protocol hurt nobody, and are logged."""
        for name, noise in NOISE.items():
            stranger = self.stranger(MASTER, noise)
            self.run_for(40)
            self.assertIsNotNone(stranger.lost, name)
            self.assertTrue(self.dropped_lines(), name)
            self.observer._events.clear()
        self.assert_full_mesh(self.one, self.two)

    def test_garbage(self) -> None:
        """Who says what is no packet is dropped at once."""
        for garbage in self.garbage:
            self.assertIsNotNone(self.stranger(MASTER, garbage).lost, garbage)

    def test_silence(self) -> None:
        """Who does not say who he is is dropped in time."""
        stranger = self.stranger(MASTER)
        self.run_for(9)
        self.assertIsNone(stranger.lost)
        self.run_for(4)
        self.assertIsNotNone(stranger.lost)

    def test_byte_by_byte(self) -> None:
        """Who says who he is byte by byte has no more time for it than others."""
        hello = self.hello(9, "host9:" + "1" * 200)
        slow = [self.stranger(MASTER) for _ in range(5)]
        for byte in range(7):
            for stranger in slow:
                self.assertIsNone(stranger.lost)
                stranger.say(hello[byte : byte + 1])
            self.run_for(1)
        self.run_for(6)
        for stranger in slow:
            self.assertIsNotNone(stranger.lost)

    def test_a_thousand(self) -> None:
        """A thousand silent connections cost places, not memory nor a flood of log."""
        self.observer._events.clear()
        before = self.network.connections(MASTER)
        first = self.stranger(MASTER)
        strangers = [self.stranger(MASTER) for _ in range(999)]
        self.assertLessEqual(self.network.connections(MASTER) - before, 16)
        self.assertIsNotNone(first.lost)
        self.assertIsNone(strangers[-1].lost)
        # Nodes still get in, and the last stranger's place is free again.
        node = self.node(3)
        self.run_for(20)
        self.assert_full_mesh(self.one, self.two, node)
        self.assertEqual(self.network.connections(MASTER), before + 1)
        self.assert_all_counted(1000)

    def assert_all_counted(self, number: int) -> None:
        """Check that few lines tell of all who were dropped."""
        lines = self.dropped_lines()
        # One line each few seconds, of more than a hundred; none is forgotten.
        self.assertLess(len(lines), 60)
        counts = [re.search(r"dropped (\d+) more", line) for line in lines]
        self.assertEqual(sum(int(it[1]) if it else 1 for it in counts), number)

    def test_half_a_packet(self) -> None:
        """Half a packet that stands still ends a slave's connection."""
        listening = self.network.server("host9:1").listen(self.factory_of(Protocol))
        self.addCleanup(self.successResultOf(listening).stopListening)
        slave = self.stranger(MASTER, self.hello(9, "host9:1"))
        self.run_for()
        self.assertIn(9, self.known_to_master())
        slave.say(self.half_a_packet)
        self.run_for(25)
        self.assertIsNone(slave.lost)
        self.run_for(20)
        self.assertIsNotNone(slave.lost)
        dead = self.dies_with_its_connection
        self.assertEqual(9 in self.known_to_master(), not dead)
        self.assertEqual(("gone", 9) in self.one.receiver.events, dead)

    def test_noise_in_its_place(self) -> None:
        """A node does not take anything else for a master, and goes on trying."""
        for node in (self.one, self.two):
            self.leave(node)
        self.stop_master()
        for noise in NOISE.values():
            listening = self.network.server(MASTER).listen(
                self.factory_of(partial(Greeter, noise))
            )
            port = self.successResultOf(listening)
            node = Node(self, 1)
            node.start()
            self.run_for(20)
            self.assertNoResult(node.joined)
            self.successResultOf(maybeDeferred(port.stopListening))
            self.start_master()
            self.run_for(20)
            self.successResultOf(node.joined)
            left = node.remote.leave()
            self.run_for()
            self.successResultOf(left)
            self.stop_master()
