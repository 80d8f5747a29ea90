"""Our cores in the place of each side of the recorded traffic of 2013."""

from __future__ import annotations

from collections import defaultdict

from twisted.trial.unittest import SynchronousTestCase

from skynet_tw.link.effects import Dial, Effect, LogLine, StopDialing, Write
from skynet_tw.link.master2013 import Master2013
from skynet_tw.link.master_client2013 import MasterClientCore2013
from skynet_tw.link.membership2013 import Membership2013
from skynet_tw.wire.control import Connect, Hello, Name, Query, Register
from skynet_tw.wire.harbor2013 import FrameReader, MessageWriter, decode_request

from .effects import written as bytes_to
from .recorded import Event, events

#: Where a part ends for the real master: there its process was killed.
MASTER_DIES = {"main": 126, "edge": 75}


def harbor_of(end: str) -> int:
    """The id of one end of a connection."""
    return 9 if end == "tester" else int(end.removeprefix("harbor"))


class MasterReplayTests(SynchronousTestCase):
    """Our master in the place of the real one."""

    def replay(self, part: str) -> None:
        master = Master2013()
        written: defaultdict[int, bytes] = defaultdict(bytes)
        dials: list[int] = []
        # The connections that the master dialed, and that it closes.
        backs: dict[int, int] = {}
        closing: set[int] = set()

        def apply(effects: list[Effect]) -> None:
            for effect in effects:
                if isinstance(effect, Dial | StopDialing):
                    if isinstance(effect, Dial):
                        dials.append(effect.harbor)
                    closing.add(effect.harbor)
                elif isinstance(effect, Write):
                    assert isinstance(effect.to, int)
                    written[effect.to] += effect.data
                else:
                    self.assertIsInstance(effect, LogLine)

        for event in events(part, "2013"):
            if event.t >= MASTER_DIES[part]:
                break
            conn = event.conn
            if event.source == "master" and event.kind == "connect":
                harbor = harbor_of(event.target)
                self.assertIn(harbor, dials)
                dials.remove(harbor)
                closing.discard(harbor)
                backs[conn] = harbor
                apply(master.reached(harbor))
            elif event.source == "master" and event.kind == "data":
                harbor = backs[conn]
                size = len(event.data)
                self.assertEqual(written[harbor][:size], event.data, event)
                written[harbor] = written[harbor][size:]
            elif event.source == "master" and conn in backs:
                self.assertIn(backs[conn], closing)
            elif event.target == "master" and event.kind == "connect":
                master.connected(conn, event.source)
            elif event.target == "master" and event.kind == "data":
                apply(master.feed(conn, event.data))
            elif event.target == "master" and conn in backs:
                if max(c for c, h in backs.items() if h == backs[conn]) == conn:
                    closing.add(backs[conn])
                    apply(master.unreached(backs[conn], event.kind))
            elif event.target == "master":
                apply(master.lost(conn, event.kind))
        self.assertEqual(b"".join(written.values()), b"")
        self.assertEqual(dials, [])
        self.assertEqual(master.slaves.keys(), {1, 3} if part == "main" else {1})

    def test_main(self) -> None:
        """Joins, names, death, and the same id again: as the real master."""
        self.replay("main")

    def test_edge(self) -> None:
        """Names that move and are cut, an address that moves: as the real master."""
        self.replay("edge")


class HarborReplayTests(SynchronousTestCase):
    """Our harbor in the place of real ones."""

    def replay(self, part: str, own: str, first: int, last: int) -> None:
        """Take the part of *own* in the events from *first* to *last*."""
        harbor = harbor_of(own)
        registration = MasterClientCore2013(harbor, "")
        members = Membership2013(harbor)
        readers: defaultdict[int, FrameReader] = defaultdict(FrameReader)
        dials: list[int] = []
        control = back = 0

        def say(event: Event) -> bytes:
            """What our harbor says when the real one said this."""
            request = decode_request(event.data[4:])
            if isinstance(request, Hello):
                registration.address = request.address
                return bytes_to(registration.connected())
            if isinstance(request, Register):
                return bytes_to(registration.register(request.name, request.handle))
            assert isinstance(request, Query)
            return bytes_to(registration.query(request.name))

        for event in events(part, "2013"):
            if own not in (event.source, event.target):
                continue
            if not first <= event.t <= last:
                continue
            if event.kind == "connect" and event.target == "master":
                control = event.conn
            elif event.kind == "connect" and event.source == own:
                self.assertIn(harbor_of(event.target), dials, event)
                dials.remove(harbor_of(event.target))
                members.connected(harbor_of(event.target))
            elif event.kind == "connect":
                members.called(event.conn)
                if not back:
                    # The first who calls is the master, also where a script plays it.
                    back = event.conn
                    members.caller_is_master(back, True)
                    self.assertEqual(bytes_to(registration.dialed_back()), b"")
            elif event.kind == "data" and event.conn == control:
                self.assertEqual(say(event), event.data, event)
            elif event.kind == "data" and event.target == own:
                batches = readers[event.conn].feed(event.data)
                reader = readers[event.conn]
                news, reader.announcements = reader.announcements, []
                self.assertEqual(len(batches) + len(news), event.data != bytes(4))
                for it in news:
                    if isinstance(it, Name):
                        registration.heard(it)
                        continue
                    assert isinstance(it, Connect)
                    effects = members.announce(it.harbor, it.address, "own")
                    dials += [a.harbor for a in effects if isinstance(a, Dial)]
        self.assertEqual(dials, [])

    def test_all(self) -> None:
        """Each harbor says what the real one said, and dials whom that dialed."""
        # Up to where harbor 3 dies; there we dial again, and real ones do not.
        self.replay("main", "harbor1", 1, 69)
        self.replay("main", "harbor2", 1, 69)
        self.replay("main", "harbor3", 1, 69)
        self.replay("main", "harbor3", 88, 112)
        self.replay("edge", "harbor1", 1, 55)
        self.replay("edge", "harbor2", 80, 97)

    def test_frames(self) -> None:
        """Each recorded message is read, and written again to the byte."""
        count = 0
        for part in ("main", "edge"):
            readers: defaultdict[tuple[int, str], FrameReader]
            readers = defaultdict(FrameReader)
            for event in events(part, "2013"):
                to_master = event.target == "master"
                if to_master or event.kind != "data" or event.conn in (9,):
                    continue
                reader = readers[event.conn, event.source]
                for _, frames in reader.feed(event.data):
                    writer = MessageWriter()
                    for source, destination, session, payload in frames:
                        ptype = destination >> 24
                        writer.send(destination, source, ptype, session, payload)
                    self.assertEqual(writer.take(), event.data)
                    count += 1
                self.assertIsNone(reader.error)
        self.assertGreater(count, 30)
