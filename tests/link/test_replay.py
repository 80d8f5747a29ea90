"""Our cores in the place of each side of the recorded traffic of real nodes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable

from twisted.trial.unittest import SynchronousTestCase

from skynet_tw.link.effects import Close, Effect, Linked, Write
from skynet_tw.link.master import Master
from skynet_tw.link.master_client import MasterClientCore
from skynet_tw.link.peer import Peer
from skynet_tw.wire.control import Hello, Name, Query, Register, decode, encode
from skynet_tw.wire.harbor import FrameReader, FrameWriter

from .effects import error, heard, lines, of, written
from .recorded import Event, events

#: Where a part ends for the master: there its process was killed.
MASTER_DIES = {"main": 121, "edge": 139, "high_ids": 28}

#: Connections on which we differ on purpose: there a real master refuses a node
#: that comes back.
RETURNS = {("main", 7)}

#: Answers in which we differ on purpose: asked for a name that its owner had
#: registered again, a real master tells the first handle.
ANSWERS = {("edge", 53): encode(Name("PYNAME", 0x09000002))}


def control_events(part: str) -> list[Event]:
    """The events on connections with a real master."""
    return [
        event
        for event in events(part)
        if "master" in (event.source, event.target)
        and event.t < MASTER_DIES[part]
        and (part, event.conn) not in RETURNS
    ]


class MasterReplayTests(SynchronousTestCase):
    """Our master in the place of the real one."""

    def replay(self, part: str) -> None:
        master = Master(lambda: 0.0)
        written: defaultdict[Hashable, bytes] = defaultdict(bytes)
        closed: set[Hashable] = set()
        lost: set[int] = set()

        def apply(effects: list[Effect]) -> None:
            for write in of(Write, effects):
                assert isinstance(write.to, int)
                written[write.to] += write.data
            for close in of(Close, effects):
                assert isinstance(close.connection, int)
                closed.add(close.connection)

        for event in control_events(part):
            conn = event.conn
            if event.kind == "connect":
                master.connected(conn, event.source)
            elif event.source == "master" and event.kind == "data":
                expected = ANSWERS.get((part, event.t), event.data)
                self.assertEqual(written[conn][: len(expected)], expected, event)
                written[conn] = written[conn][len(expected) :]
            elif event.source == "master":
                self.assertIn(conn, closed | lost, event)
                closed.discard(conn)
            elif event.kind == "data":
                apply(master.feed(conn, event.data))
            else:
                lost.add(conn)
                apply(master.lost(conn, event.kind))
        self.assertEqual(b"".join(written.values()), b"")
        self.assertEqual(closed, set())

    def test_main(self) -> None:
        """Joins, names and deaths: the bytes are those of the real master."""
        self.replay("main")

    def test_edge(self) -> None:
        """Refusals, odd packets, names: the bytes are those of the real master."""
        self.replay("edge")

    def test_high_ids(self) -> None:
        """Ids and handles beyond 127: the bytes are those of the real master."""
        self.replay("high_ids")


class MasterClientReplayTests(SynchronousTestCase):
    """Our client of a master in the place of real ones."""

    def replay(self, part: str, conn: int) -> MasterClientCore:
        core: MasterClientCore | None = None
        said = b""
        for event in events(part):
            if event.conn != conn or event.kind != "data":
                continue
            if event.source == "master":
                assert core is not None
                effects = core.feed(event.data)
                self.assertIsNone(error(effects))
                self.assertEqual(lines(effects), [])
                self.assertEqual(heard(effects), [decode(event.data[1:])])
                said += written(effects)
                continue
            packet = decode(event.data[1:])
            if isinstance(packet, Hello):
                core = MasterClientCore(packet.harbor, packet.address)
                said += written(core.connected())
            elif isinstance(packet, Register):
                assert core is not None
                said += written(core.register(packet.name, packet.handle))
            elif isinstance(packet, Query):
                assert core is not None
                said += written(core.query(packet.name))
            self.assertEqual(said, event.data)
            said = b""
        self.assertEqual(said, b"")
        assert core is not None
        return core

    def test_all(self) -> None:
        """Each slave says what the real one said, and hears all it was told."""
        for part, conn in (
            ("main", 1),
            ("main", 2),
            ("main", 4),
            ("edge", 1),
            ("edge", 12),
            ("high_ids", 1),
            ("high_ids", 2),
        ):
            self.replay(part, conn)

    def test_unknown_names_stay_asked_for(self) -> None:
        """The name that nobody owned when it was asked for is not asked for again."""
        slave = self.replay("main", 2)
        self.assertEqual(slave.queries, {})


#: The links of each part; for each the ids of the side that dialed and the other.
LINKS = {
    "main": {3: (1, 2), 5: (1, 3), 6: (2, 3)},
    "edge": {7: (1, 9), 9: (1, 8), 13: (1, 2), 14: (2, 7)},
    "high_ids": {3: (200, 255)},
    "system": {5: (2, 9), 6: (1, 9)},
}


class LinkReplayTests(SynchronousTestCase):
    """Our links in the place of either side of real ones."""

    def test_handshakes(self) -> None:
        """Both sides say the byte that the real ones said, when they said it."""
        for part, links in LINKS.items():
            for conn, (own, other) in links.items():
                said = [e.data for e in events(part) if e.conn == conn and e.data]
                dialing = Peer(own, other, lambda _: None)
                accepting = Peer(other, None, lambda _: None)
                self.assertEqual(dialing.open(), [Write(said[0])])
                self.assertEqual(accepting.open(), [])
                self.assertEqual(
                    accepting.greet(said[0]), [Write(said[1]), Linked(own, b"")]
                )
                self.assertEqual(dialing.greet(said[1]), [Linked(other, b"")])

    def test_wrong_byte(self) -> None:
        """Like the real node, we close when another id answers than we dialed."""
        mine, answer = (e for e in events("edge") if e.conn == 11 and e.data)
        dialing = Peer(1, 7, lambda _: None)
        self.assertEqual(dialing.open(), [Write(mine.data)])
        self.assertIsNotNone(error(dialing.greet(answer.data)))
        self.assertFalse(dialing.ended())

    def test_frames(self) -> None:
        """Each recorded frame is read, and written again to the byte."""
        count = 0
        for part, links in LINKS.items():
            for conn in links:
                readers: dict[str, FrameReader] = {}
                for event in events(part):
                    if event.conn != conn or event.kind != "data":
                        continue
                    if event.source not in readers:
                        # The first byte of each side is its id.
                        readers[event.source] = FrameReader()
                        continue
                    reader = readers[event.source]
                    frames = reader.feed(event.data)
                    if event.data == b"\x01\0\0\0":
                        # Here the real node closed the link.
                        self.assertIsNotNone(reader.error)
                        continue
                    writer = FrameWriter()
                    for source, destination, session, payload in frames:
                        ptype = destination >> 24
                        writer.send(destination, source, ptype, session, payload)
                    self.assertEqual(writer.take(), event.data)
                    count += len(frames)
        self.assertGreater(count, 60)
