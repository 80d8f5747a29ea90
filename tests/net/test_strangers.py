"""Strangers at the port of a harbor, and peers that break the protocol.

The master's port is in `tests.net.master_contract`.
"""

from __future__ import annotations

import re

from skynet_tw.net.kit.limits import ConnectionLimits
from skynet_tw.wire.control import Hello, Name, Register, Wait, encode
from skynet_tw.wire.harbor import FrameWriter

from .linkworld import Stranger
from .modern import ModernWorld
from .noise import NOISE
from .world import MASTER

HOST = "host1:2526"


def frame(payload: bytes) -> bytes:
    """A message for actor 7."""
    writer = FrameWriter()
    writer.send(0x01000007, 0x09000001, 10, 0, payload)
    return writer.take()


class PortTests(ModernWorld):
    """Strangers at the port of a harbor."""

    limits = ConnectionLimits(strangers=16)

    def setUp(self) -> None:
        super().setUp()
        self.start_master()
        self.one, self.two = self.node(1), self.node(2)
        self.run_for()

    def lines(self) -> list[str]:
        return [line for line in self.log() if "dropped" in line]

    def test_noise(self) -> None:
        """Bytes of any other protocol hurt nobody, and are logged."""
        for name, noise in NOISE.items():
            stranger = self.stranger(HOST, noise)
            self.run_for(40)
            self.assertIsNotNone(stranger.lost, name)
            self.assertTrue(self.lines(), name)
            self.observer._events.clear()
        self.assert_full_mesh(self.one, self.two)

    def test_silence(self) -> None:
        """Who does not say who he is is dropped in time."""
        stranger = self.stranger(HOST)
        self.run_for(9)
        self.assertIsNone(stranger.lost)
        self.run_for(4)
        self.assertIsNotNone(stranger.lost)

    def test_a_thousand(self) -> None:
        """A thousand silent connections cost places, not memory nor a flood of log."""
        self.observer._events.clear()
        before = self.network.connections(HOST)
        first = self.stranger(HOST)
        strangers = [self.stranger(HOST) for _ in range(999)]
        self.assertLessEqual(self.network.connections(HOST) - before, 16)
        self.assertIsNotNone(first.lost)
        self.assertIsNone(strangers[-1].lost)
        # Nodes still get in, and the last stranger's place is free again.
        node = self.node(3)
        self.run_for(20)
        self.assert_full_mesh(self.one, self.two, node)
        self.assertEqual(self.network.connections(HOST), before)
        lines = self.lines()
        # One line each few seconds, of more than a hundred; none is forgotten.
        self.assertLess(len(lines), 60)
        counts = [re.search(r"dropped (\d+) more", line) for line in lines]
        self.assertEqual(sum(int(c[1]) if c else 1 for c in counts), 1000)


class LinkTests(ModernWorld):
    """A peer that is linked, and misbehaves."""

    def setUp(self) -> None:
        super().setUp()
        self.start_master()
        self.one = self.node(1)
        self.run_for()
        self.peer = self.stranger(HOST, b"\x09")
        self.assertEqual(self.peer.heard, b"\x01")
        self.observer._events.clear()

    def test_bad_length(self) -> None:
        """Good frames in front of a bad length arrive; then the link is dropped."""
        self.peer.say(frame(b"one") + frame(b"two") + b"\x01\0\0\0")
        self.run_for()
        self.assertEqual(self.one.receiver.got(9), [b"one", b"two"])
        self.assertEqual(self.one.receiver.events, [("ready", 9), ("lost", 9)])
        self.assertIsNotNone(self.peer.lost)
        (line,) = self.log()
        for part in ("harbor 9", "127.0.0.1:", "16777216"):
            self.assertIn(part, line)

    def test_frames_behind_the_first_byte(self) -> None:
        """Frames in the same read as the id arrive, after the link is ready."""
        peer = self.stranger(HOST, b"\x0a" + frame(b"one") + frame(b"two")[:5])
        self.assertEqual(self.one.receiver.got(10), [b"one"])
        peer.say(frame(b"two")[5:])
        self.run_for()
        self.assertEqual(self.one.receiver.got(10), [b"two"])

    def test_duplicate(self) -> None:
        """Nobody can kick a live link by its id; once it is lost, the id is free."""
        for harbor in (0, 1, 9):
            thief = self.stranger(HOST, bytes([harbor]))
            self.assertEqual((thief.heard, thief.lost is None), (b"", False))
        self.assertEqual(self.one.receiver.events, [("ready", 9)])
        self.assertIsNone(self.peer.lost)
        assert self.peer.transport is not None
        self.peer.transport.loseConnection()
        self.run_for()
        again = self.stranger(HOST, b"\x09")
        self.assertEqual(again.heard, b"\x01")


class DialedTests(ModernWorld):
    """What answers when we dial."""

    def setUp(self) -> None:
        super().setUp()
        self.start_master()
        self.one = self.node(1)
        self.run_for()
        self.control = self.stranger(MASTER, encode(Hello(9, "host9:1")))
        self.assertEqual(self.control.heard, encode(Wait(1)))
        self.peers: list[Stranger] = []

    def listen(self, answer: bytes) -> None:
        """Let strangers listen as harbor 9, each with an answer to the first byte."""
        peers = self.peers

        class Answering(Stranger):
            def dataReceived(self, data: bytes) -> None:
                if not self.heard:
                    self.say(answer)
                super().dataReceived(data)

            def connectionMade(self) -> None:
                peers.append(self)

        listening = self.network.server("host9:1").listen(self.factory_of(Answering))
        port = self.successResultOf(listening)
        self.addCleanup(port.stopListening)

    def test_nothing_before_the_answer(self) -> None:
        """We say our id, and not a byte more until the other side said its own."""
        self.listen(b"")
        self.run_for(2)
        self.assertEqual(self.peers[0].heard, b"\x01")
        self.assertEqual(self.one.receiver.events, [("expected", 9)])
        self.peers[0].say(b"\x09")
        self.run_for()
        self.one.receiver.send(9, b"now")
        self.run_for()
        self.assertEqual(len(self.peers[0].heard), 1 + 16 + 3)

    def test_wrong_answer(self) -> None:
        """Another id than we dialed is refused; we try again, and log it once."""
        self.listen(b"\x08")
        self.run_for(60)
        self.assertGreater(len(self.peers), 5)
        self.assertTrue(all(peer.lost for peer in self.peers))
        self.assertEqual(self.one.receiver.events, [("expected", 9)])
        lines = [line for line in self.log() if "harbor 9 was dialed" in line]
        self.assertEqual(len(lines), 1)

    def test_no_answer(self) -> None:
        """Who accepts us and says nothing is dropped in time, and dialed again."""
        self.listen(b"")
        self.run_for(40)
        self.assertGreater(len(self.peers), 1)
        self.assertIsNotNone(self.peers[0].lost)

    def test_address_that_is_none(self) -> None:
        """An address that cannot be dialed is a failed attempt like any other."""
        self.stranger(MASTER, encode(Hello(8, "nonsense")))
        self.run_for(30)
        lines = [line for line in self.log() if "cannot link to harbor 8" in line]
        self.assertEqual(len(lines), 1)
        self.assertIn(("expected", 8), self.one.receiver.events)

    def test_death_ends_dialing(self) -> None:
        """A harbor that dies before it was linked is gone, and dialed no more."""
        self.run_for(1)
        assert self.control.transport is not None
        self.control.transport.loseConnection()
        self.run_for()
        self.assertEqual(self.one.receiver.events, [("expected", 9), ("gone", 9)])
        self.listen(b"\x09")
        self.run_for(60)
        self.assertEqual(self.peers, [])


class SlaveTests(ModernWorld):
    """Slaves that misbehave."""

    def setUp(self) -> None:
        super().setUp()
        self.start_master()
        self.one = self.node(1)
        self.run_for()
        self.slave = self.stranger(MASTER, encode(Hello(9, "host9:1")))

    def test_does_not_read(self) -> None:
        """A slave that does not read what all are told is dropped in the end."""
        assert self.slave.transport is not None
        self.slave.transport.pauseProducing()  # type: ignore[attr-defined]
        for index in range(10_000):
            self.one.remote.register("NAME", 0x01000001 + index % 5)
        self.run_for(45)
        self.assertIsNotNone(self.slave.lost)
        self.assertIsNotNone(self.one.receiver.names.get("NAME"))

    def test_reads_slowly(self) -> None:
        """A slave that reads all now and then stays, though it is full at each look."""
        assert self.slave.transport is not None
        for _ in range(6):
            self.slave.transport.pauseProducing()  # type: ignore[attr-defined]
            for index in range(10_000):
                self.one.remote.register("NAME", 0x01000001 + index % 5)
            self.run_for(7)
            self.slave.transport.resumeProducing()  # type: ignore[attr-defined]
            self.run_for(0.05)
        self.assertIsNone(self.slave.lost)

    def test_names_of_others(self) -> None:
        """A name that belongs to another harbor stays where it is, for all."""
        self.one.remote.register("X", 0x01000007)
        self.run_for()
        self.slave.heard = b""
        self.slave.say(encode(Register("X", 0x09000001)))
        self.run_for()
        self.assertEqual(self.slave.heard, encode(Name("X", 0x01000007)))
        self.assertEqual(self.one.receiver.names, {"X": 0x01000007})
