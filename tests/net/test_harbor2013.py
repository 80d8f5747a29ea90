"""What only nodes of 2013 do; the rest is in `tests.net.remote_contract`."""

from __future__ import annotations

from twisted.internet.protocol import Factory, Protocol

from skynet_tw.errors import PackError
from skynet_tw.net.harbor2013.callers import QUIET
from skynet_tw.net.harbor2013.remote import MAX_STRING
from skynet_tw.wire.control import Connect, Hello, Name
from skynet_tw.wire.harbor2013 import encode_announcement, encode_request

from .linkworld import Stranger
from .world import MASTER
from .world2013 import World2013, links_of


class Played:
    """A master that does what a real one does, and no more, to harbor 1."""

    def __init__(self, world: World2013) -> None:
        self._world = world
        self._calls: list[Stranger] = []
        self.registered = 0
        listening = world.network.server(MASTER).listen(
            Factory.forProtocol(lambda: Requests(self))
        )
        self._port = world.successResultOf(listening)

    def request(self, data: bytes) -> None:
        """The harbor said something; if it registered, dial it and speak."""
        if data != encode_request(Hello(1, "host1:2526")):
            return
        self.registered += 1
        caller = Stranger()
        self._calls.append(caller)
        self._world.network.client("host1:2526").connect(
            Factory.forProtocol(lambda: caller)
        ).addCallback(lambda _: caller.say(encode_announcement(Name("X", 0x05000001))))

    def hang_up(self) -> None:
        """Close the connections that were dialed."""
        for caller in self._calls:
            if caller.lost is None and caller.transport is not None:
                caller.transport.loseConnection()

    def close(self) -> None:
        """Listen no more."""
        self._port.stopListening()


class Requests(Protocol):
    """The connection by which a harbor speaks with its master."""

    def __init__(self, played: Played) -> None:
        self._played = played

    def dataReceived(self, data: bytes) -> None:
        self._played.request(data)


class JoinTests(World2013):
    """The way into a network."""

    def test_alone(self) -> None:
        """The first node is joined when the master dialed back and says nothing."""
        self.start_master()
        node = self.node(1)
        linked = node.remote.when_linked()
        self.run_for(QUIET - 0.02)
        self.assertNoResult(node.joined)
        self.assertNoResult(linked)
        self.run_for()
        self.successResultOf(node.joined)
        self.successResultOf(linked)

    def test_master_that_does_not_dial(self) -> None:
        """A master that cannot dial us is asked again; what is waited for is said."""
        self.start_master()
        self.network.refuse("host1:2526")
        node = self.node(1)
        self.run_for(5)
        self.assertNoResult(node.joined)
        (text,) = node.remote.waiting_for()
        self.assertIn("to dial us at host1:2526", text)
        self.run_for(20)
        self.assertIn("it did not dial us for 10 s", node.remote.waiting_for()[0])
        self.network.mend("host1:2526")
        self.run_for(20)
        self.successResultOf(node.joined)

    def test_unreachable_harbor(self) -> None:
        """A harbor that cannot be reached is named, and not waited for any more."""
        self.start_master()
        self.node(1)
        self.run_for()
        self.network.refuse("host1:2526")
        two = self.node(2)
        self.run_for(2)
        self.successResultOf(two.joined)
        linked = two.remote.when_linked()
        self.assertNoResult(linked)
        self.assertIn("harbor 1 at host1:2526", two.remote.waiting_for()[0])
        self.run_for(5)
        self.successResultOf(linked)
        self.assertEqual(two.receiver.events, [("expected", 1), ("gone", 1)])
        self.network.mend("host1:2526")
        self.run_for(5)
        self.assertEqual(two.remote.linked(), [1])

    def test_harbor_that_never_dials(self) -> None:
        """A harbor that cannot dial us is linked all the same, a little later."""
        self.start_master()
        one = self.node(1)
        self.run_for()
        other = self.node(9)
        self.network.refuse("host1:2526")
        self.run_for(0.5)
        self.assertEqual(one.remote.linked(), [])
        self.assertIn(9, dict(links_of(one)._members.pending()))
        self.run_for(1)
        self.assertEqual(one.remote.linked(), [9])
        one.receiver.send(9, b"one way")
        self.run_for()
        self.assertEqual(other.receiver.got(1), [b"one way"])


class ValueTests(World2013):
    """What is packed."""

    def test_numbers(self) -> None:
        """Numbers are those of 2013, both ways."""
        node = self.node(1)
        payload = node.remote.pack((1, 2**40, 1.0))
        self.assertEqual(payload.hex(), "0a01" + "420000000000007042" + "0a01")
        self.assertEqual(node.remote.unpack(payload), (1, 2**40, 1))

    def test_long_strings(self) -> None:
        """A string that would kill a real node is refused, wherever it is."""
        pack = self.node(1).remote.pack
        long = "x" * (MAX_STRING + 1)
        for values in ((long,), ({"a": [long]},), ([{long: 1}],), (long.encode(),)):
            self.assertRaises(PackError, pack, values)
        pack((long[1:], "y" * 1000))


class NameTests(World2013):
    """Names through the master."""

    def test_names_move(self) -> None:
        """The last to register a name has it, and the first does not take it back."""
        self.start_master()
        one, two = self.node(1), self.node(2)
        self.run_for()
        one.remote.register("N", 0x01000007)
        self.run_for()
        two.remote.register("N", 0x02000007)
        self.run_for()
        self.assertEqual(one.receiver.names, {"N": 0x02000007})
        self.network.cut(MASTER)
        self.run_for(5)
        self.assertEqual(one.receiver.names, {"N": 0x02000007})


class MasterLossTests(World2013):
    """A master that goes and comes back."""

    def test_the_call_of_the_master_is_cut(self) -> None:
        """Our own master dials again, and says what was missed meanwhile."""
        self.start_master()
        one = self.node(1)
        self.run_for()
        two = self.node(2)
        self.run_for()
        master = links_of(two).callers.master
        assert master is not None
        master.abort("as if it broke")
        self.run_for(0.05)
        one.remote.register("N", 0x01000007)
        self.run_for(1)
        self.assertEqual(two.receiver.names, {"N": 0x01000007})
        self.assertEqual(two.receiver.events[2:], [("name", "N", 0x01000007)])

    def test_a_master_that_does_not_dial_again(self) -> None:
        """A real master does not: then we register again, but not over and over."""
        played = Played(self)
        node = self.node(1)
        self.run_for(1)
        self.assertEqual(played.registered, 1)
        self.successResultOf(node.joined)
        self.run_for(1)
        played.hang_up()
        self.run_for(10)
        self.assertEqual(played.registered, 2)
        for _ in range(3):
            self.run_for(1)
            played.hang_up()
        self.run_for(40)
        self.assertEqual(played.registered, 2)
        lines = [line for line in self.log() if "may have our" in line]
        self.assertEqual(len(lines), 1)
        self.run_for(60)
        self.assertEqual(played.registered, 3)
        played.close()


class DeathTests(World2013):
    """Nodes that go, and come back."""

    def setUp(self) -> None:
        super().setUp()
        self.one, self.two = self.pair()

    def test_return_elsewhere(self) -> None:
        """It may come back at another address, with its old one in other hands."""
        self.leave(self.two)
        three = self.node(3, self.two.address)
        self.run_for(2)
        self.assertNotIn(2, self.one.remote.linked())
        two = self.node(2, "elsewhere:2526")
        self.run_for(2)
        self.assert_full_mesh(self.one, two, three)

    def test_messages_keep_their_order(self) -> None:
        """A harbor announced anew loses no message and mixes none up."""
        assert self.factory is not None
        sent = []
        for i in range(300):
            if 2 not in self.one.receiver.busy:
                sent.append(b"%d" % i)
                self.one.receiver.send(2, sent[-1])
            if i % 60 == 30:
                self.stranger(MASTER, encode_request(Hello(2, self.two.address)))
            self.run_for(0.01)
        self.assertGreater(len(sent), 200)
        self.assertEqual(self.two.receiver.got(1), sent)
        self.assertNotIn(("lost", 2), self.one.receiver.events)
        self.assertIn(("busy", 2), self.one.receiver.events)


class MovedNameTests(World2013):
    """Names that are registered again."""

    def test_last(self) -> None:
        """The last who registers a name has it, whoever asks for it meanwhile."""
        self.start_master()
        nodes = [self.node(harbor) for harbor in (1, 2, 3)]
        self.run_for(1)
        for round in range(1, 5):
            for node in nodes:
                handle = node.harbor << 24 | round
                self.assertTrue(node.remote.may_take(handle))
                for other in nodes:
                    other.remote.query("X")
                node.remote.register("X", handle)
                self.run_for()
                for other in nodes:
                    self.assertEqual(other.receiver.names, {"X": handle})
        # Only the last one says it again.
        self.stop_master()
        self.run_for(1)
        self.start_master()
        self.run_for(10)
        self.assertEqual(self.names_of_master(), {"X": 0x03000004})


class StrangerTests(World2013):
    """Those who dial a harbor and are none."""

    def test_garbage(self) -> None:
        """It is dropped with one line, and the node goes on."""
        self.start_master()
        one, two = self.node(1), self.node(2)
        self.run_for()
        before = len(self.log())
        for _ in range(5):
            stranger = self.stranger("host1:2526", b"\0\0\0\x05hello")
            self.assertIsNotNone(stranger.lost)
        self.assertEqual(len(self.log()), before + 1)
        self.assert_full_mesh(one, two)

    def test_too_many(self) -> None:
        """Any number of strangers leaves the links, and the master, alone."""
        self.start_master()
        nodes = [self.node(harbor) for harbor in (1, 2, 3)]
        self.run_for(1)
        strangers = [self.stranger("host1:2526") for _ in range(200)]
        self.assertGreaterEqual(sum(s.lost is not None for s in strangers), 72)
        self.assert_full_mesh(*nodes)
        nodes[1].remote.register("N", 0x02000001)
        self.run_for()
        self.assertEqual(nodes[0].receiver.names, {"N": 0x02000001})

    def test_harbors_are_no_masters(self) -> None:
        """What a harbor says about addresses and names is ignored, in one line."""
        self.start_master()
        one = self.node(1)
        self.run_for()
        message = bytes.fromhex("0000000d78050000010a00000700000000")
        told = encode_announcement(Connect(7, "host7:1")) + encode_announcement(
            Name("N", 0x05000001)
        )
        stranger = self.stranger("host1:2526", message + told)
        self.assertIsNone(stranger.lost)
        self.assertEqual(one.receiver.got(5), [b"x"])
        self.assertEqual(one.receiver.events, [])
        self.assertEqual(sum("ignored what" in line for line in self.log()), 1)

    def test_many_connections_of_one_harbor(self) -> None:
        """The newest connections of a harbor are kept, the oldest are not."""
        self.start_master()
        self.node(1)
        self.run_for()
        message = bytes.fromhex("0000000d78050000010a00000700000000")
        strangers = [self.stranger("host1:2526", message) for _ in range(6)]
        self.assertEqual(
            [stranger.lost is not None for stranger in strangers],
            [True, True, False, False, False, False],
        )
