"""What actors send to the nodes of a cluster, and ask of them."""

from __future__ import annotations

from functools import partial
from typing import Any

from twisted.internet.defer import CancelledError

from skynet_tw.cluster_address import ClusterAddress
from skynet_tw.errors import (
    BadAddress,
    CallTimeout,
    LinkLost,
    NameTaken,
    NotReady,
    PackError,
    PeerDown,
    QueueFull,
    RemoteError,
    SkynetError,
    TooLarge,
)
from skynet_tw.handle import Handle
from skynet_tw.message import PType
from skynet_tw.node.actor import Actor
from skynet_tw.node.limits import Limits

from .fake_cluster import FakeCluster
from .support import NodeTestCase, World


class ClusterTestCase(NodeTestCase):
    """A node with a cluster, and one actor that uses it."""

    harbor = 0

    def setUp(self) -> None:
        self.cluster = FakeCluster()
        self.one = self.cluster_world()
        self.client = self.one.node.client()

    def cluster_world(self, **options: Any) -> World:
        """A node whose boot is done."""
        one = self.world(self.harbor, cluster=self.cluster, **options)
        one.open_gate()
        one.settle()
        return one

    def call(self, *args: Any, **rest: Any) -> Any:
        return self.client.cluster.call(*args, **rest)


class CallTests(ClusterTestCase):
    """Requests, pushes, and questions for names."""

    def test_call(self) -> None:
        """A request is written as it is, and its answer comes as that of any call."""
        self.cluster.up("db")
        for values, expected in (
            ((), None),
            ((5,), 5),
            ((5, "ok"), (5, "ok")),
            ((None,), None),
        ):
            called = self.call("db", "@bank", "GET", {"a": [1]})
            (sent,) = self.cluster.take()
            self.assertEqual(
                sent[:3], ("@bank", self.client.handle, PType.LUA), msg=values
            )
            self.assertEqual(sent.values, ("GET", {"a": [1]}))
            self.cluster.answer(sent, *values)
            self.one.turn()
            self.assertEqual(self.successResultOf(called), expected)

    def test_targets(self) -> None:
        """A target is text, a handle of that node, or an address in it."""
        self.cluster.up("db")
        for target, expected in (
            ("@bank", "@bank"),
            (".launcher", ".launcher"),
            (":0000000a", ":0000000a"),
            ("BANK", "BANK"),
            (10, 10),
            (0xFFFFFFFF, 0xFFFFFFFF),
            (ClusterAddress("db", 10), 10),
            (ClusterAddress("db", "@bank"), "@bank"),
        ):
            self.client.cluster.send("db", target, "X")
            (sent,) = self.cluster.take()
            self.assertEqual(sent.destination, expected)

    def test_bad_targets(self) -> None:
        """What cannot be an address is refused at once, and nothing is written."""
        self.cluster.up("db")
        for node, target in (
            ("", "@bank"),
            ("db", ""),
            ("db", "@" + "x" * 255),
            ("db", "@\ud800"),
            ("db", 0),
            ("db", -1),
            ("db", 1 << 32),
            ("db", Handle(10)),
            ("db", ClusterAddress("other", 10)),
        ):
            self.failureResultOf(self.call(node, target, "X"), BadAddress)
            send = self.client.cluster.send
            self.assertRaises(BadAddress, send, node, target, "X")
        bad: list[Any] = [None, True, 1.0, b"@bank", [], object()]
        for value in bad:
            self.assertRaises(TypeError, self.call, "db", value, "X")
            self.assertRaises(TypeError, self.call, value, "@bank", "X")
        self.assertEqual(self.cluster.take(), [])

    def test_addresses_are_checked(self) -> None:
        """An address that somebody made is checked as what is in it."""
        bad: list[Any] = ["", "x" * 256, 0, -1, 1 << 32, Handle(10)]
        for target in bad:
            address = ClusterAddress("db", target)
            self.failureResultOf(self.call("db", address, "X"), BadAddress)
            self.assertRaises(BadAddress, self.client.cluster.send, "db", address)
        wrong: list[Any] = [None, 1.5, b"@bank", True]
        for target in wrong:
            address = ClusterAddress("db", target)
            self.assertRaises(TypeError, self.call, "db", address, "X")
        self.assertEqual(self.one.node.waits(), {})

    def test_classes_of_text(self) -> None:
        """Names and targets of any class of text or numbers are taken as they are."""

        def called(*args: Any) -> Any:
            raise AssertionError("a method of a stranger was called")

        method: Any = called

        class Text(str):
            __eq__ = __ne__ = __hash__ = method
            __str__ = __format__ = __len__ = __getitem__ = encode = startswith = method

        class Number(int):
            __lt__ = __le__ = __gt__ = __ge__ = __eq__ = __ne__ = __hash__ = method
            __index__ = __format__ = method

        self.cluster.up("db")
        cluster = self.client.cluster
        cluster.send(Text("db"), Text("@bank"), 1)
        cluster.send(Text("db"), Number(10), 1)
        cluster.query(Text("db"), Text("bank"))
        by_name, by_handle, query = self.cluster.take()
        self.assertEqual((by_name.destination, by_handle.destination), ("@bank", 10))
        self.assertEqual(query.values, ("bank",))
        self.cluster.answer(query, 10)
        self.one.turn()
        self.successResultOf(cluster.register(Text("me")))
        self.failureResultOf(self.one.node.client().cluster.register("me"), NameTaken)
        self.successResultOf(cluster.unregister(Text("me")))
        self.successResultOf(cluster.open(Text("host:1")))
        self.assertEqual(self.cluster.opened, ["host:1"])

    def test_no_mixing(self) -> None:
        """An address in another node is none for the calls of this node."""
        address = ClusterAddress("db", int(self.client.handle))
        anything: Any = address
        self.failureResultOf(self.client.call(anything, "X"), BadAddress)
        self.assertRaises(BadAddress, self.client.send, anything, "X")
        self.assertNotEqual(anything, self.client.handle)
        self.assertEqual(str(address), f"db{self.client.handle}")
        self.assertEqual(str(ClusterAddress("db", "@bank")), "db@bank")
        self.assertEqual(str(ClusterAddress("db", "BANK")), "db:BANK")

    def test_many_targets(self) -> None:
        """Any number of targets may be used; what equals one of them is not taken."""
        self.cluster.up("db")
        for index in range(1, 3000):
            self.client.cluster.send("db", index, "X")
        calls = self.client.node.cluster
        assert calls is not None
        self.assertLess(len(calls._addresses), 2000)
        wrong: list[Any] = [1.0, True]
        for target in wrong:
            self.assertRaises(TypeError, self.client.cluster.send, "db", target)
        self.failureResultOf(self.call("db", Handle(2999)), BadAddress)

    def test_query(self) -> None:
        """The owner of a name is asked for at address 0, and is an address there."""
        self.cluster.up("db")
        asked = self.client.cluster.query("db", "bank")
        (sent,) = self.cluster.take()
        self.assertEqual((sent.destination, sent.values), (0, ("bank",)))
        self.cluster.answer(sent, 10)
        self.one.turn()
        self.assertEqual(self.successResultOf(asked), ClusterAddress("db", 10))
        for values in ((), ("x",), (True,), (0,), (1 << 40,)):
            asked = self.client.cluster.query("db", "bank")
            (sent,) = self.cluster.take()
            self.cluster.answer(sent, *values)
            self.one.turn()
            self.failureResultOf(asked, RemoteError)
        asked = self.client.cluster.query("db", "bank")
        self.cluster.refuse(self.cluster.take()[0], "name not found")
        self.one.turn()
        error = self.failureResultOf(asked, RemoteError)
        self.assertIn("name not found", error.getErrorMessage())
        self.assertIn("db@bank", error.getErrorMessage())

    def test_proxy(self) -> None:
        """A proxy calls and sends to its actor."""
        self.cluster.up("db")
        proxy = self.client.cluster.proxy("db", "@bank")
        proxy.send("NOTE", 1)
        called = proxy.call("GET", timeout=5)
        note, get = self.cluster.take()
        self.assertEqual((note.values, note.session), (("NOTE", 1), 0))
        self.cluster.answer(get, 7)
        self.one.turn()
        self.assertEqual(self.successResultOf(called), 7)
        self.assertRaises(BadAddress, self.client.cluster.proxy, "db", "")

    def test_limits(self) -> None:
        """A call always has a time limit: the node's own, 30 seconds, or its own."""
        self.cluster.up("db")
        none: Any = None
        for timeout in (none, 0, -1, float("inf"), float("nan")):
            self.assertRaises(ValueError, self.call, "db", "@x", timeout=timeout)
        wrong: Any = "1"
        self.assertRaises(TypeError, self.call, "db", "@x", timeout=wrong)
        short, usual = self.call("db", "@x", timeout=1.0), self.call("db", "@x")
        self.one.later(2)
        error = self.failureResultOf(short, CallTimeout).value
        self.assertFalse(error.retry_safe)
        self.assertNoResult(usual)
        self.one.later(30)
        self.failureResultOf(usual, CallTimeout)
        self.cluster = FakeCluster()
        one = self.cluster_world(call_timeout=0.0)
        self.cluster.up("db")
        unlimited = one.node.client().cluster.call("db", "@x")
        one.later(29)
        self.assertNoResult(unlimited)
        one.later(2)
        self.failureResultOf(unlimited, CallTimeout)

    def test_values(self) -> None:
        """What cannot be packed, or is too large, is refused and not written."""
        self.cluster.up("db")
        self.failureResultOf(self.call("db", "@x", object()), PackError)
        self.failureResultOf(self.call("db", "@x", "x" * 100_001), TooLarge)
        send = self.client.cluster.send
        self.assertRaises(PackError, send, "db", "@x", object())
        self.assertRaises(TooLarge, send, "db", "@x", "x" * 100_001)
        self.assertEqual(self.cluster.take(), [])
        # The wire of the harbors carries less, and has no say here.
        self.call("db", "@x", "x" * 99_000).addErrback(lambda _: None)
        self.assertEqual(len(self.cluster.take()), 1)

    def test_no_cluster(self) -> None:
        """A node without a cluster says so."""
        client = self.world().node.client()
        self.assertRaises(SkynetError, getattr, client, "cluster")
        self.assertRaises(SkynetError, getattr, Actor(), "cluster")


class HarborTests(CallTests):
    """The same in a node that is a harbor, too."""

    harbor = 1


class AbsentTests(ClusterTestCase):
    """Nodes that are not linked."""

    def test_waits(self) -> None:
        """What is for a node that is not linked waits for that, in order."""
        for n in range(3):
            self.client.cluster.send("db", "@x", n)
        called = self.call("db", "@x", 3)
        self.assertEqual(self.cluster.wanted, ["db"] * 4)
        self.assertEqual(self.cluster.take(), [])
        self.assertTrue(self.cluster.receiver.is_wanted("db"))
        self.assertFalse(self.cluster.receiver.is_wanted("web"))
        self.cluster.up("db")
        sent = self.cluster.take()
        self.assertEqual([it.values for it in sent], [(n,) for n in range(4)])
        self.cluster.answer(sent[3])
        self.one.turn()
        self.assertIsNone(self.successResultOf(called))
        self.assertFalse(self.cluster.receiver.is_wanted("db"))

    def test_in_vain(self) -> None:
        """A call that waits for a link until its limit is safe to make again."""
        called = self.call("db", "@x", timeout=1.0)
        self.client.cluster.send("db", "@x")
        self.one.later(2)
        self.assertTrue(self.failureResultOf(called, PeerDown).value.retry_safe)
        self.assertTrue(self.cluster.receiver.is_wanted("db"))
        self.one.later(31)
        self.assertFalse(self.cluster.receiver.is_wanted("db"))
        self.assertEqual(self.one.node.ledger.expired, 2)
        self.assertEqual(self.one.balance, 0)

    def test_not_waited_for(self) -> None:
        """Where no link is waited for, calls fail and pushes are dead letters."""
        self.cluster.absent = "no node table has the node db"
        error = self.failureResultOf(self.call("db", "@x"), PeerDown).value
        self.assertTrue(error.retry_safe)
        self.client.cluster.send("db", "@x")
        (letter,) = self.one.node.ledger.dead_letters
        self.assertEqual((letter.reason, letter.destination), ("no such node", "db@x"))

    def test_letters(self) -> None:
        """A push that is lost after it has waited names its node, and its target."""
        letters = self.one.node.ledger.dead_letters
        targets: tuple[Any, ...] = (2, ":00000002", "@x", "BANK")
        texts = ["db:00000002", "db:00000002", "db@x", "db:BANK"]
        for end in ("absent", "late"):
            for target in targets:
                self.client.cluster.send("db", target)
            if end == "absent":
                self.cluster.receiver.peer_absent("db", "connection refused")
            self.one.later(31)
            self.assertEqual([letter.destination for letter in letters], texts)
            letters.clear()

    def test_absent(self) -> None:
        """What waits for a node that was not reached is refused; later may work."""
        called = self.call("db", "@x")
        self.client.cluster.send("db", "@x")
        self.cluster.receiver.peer_absent("db", "connection refused")
        error = self.failureResultOf(called, PeerDown).value
        self.assertTrue(error.retry_safe)
        self.assertIn("connection refused", str(error))
        self.assertEqual(self.one.node.ledger.refused, 2)
        self.call("db", "@x").addErrback(lambda _: None)
        self.cluster.up("db")
        self.assertEqual(len(self.cluster.take()), 1)
        self.assertEqual(self.one.balance, 0)

    def test_gone(self) -> None:
        """A node that was taken away is refused until it is expected again."""
        waiting = self.call("db", "@x")
        self.cluster.receiver.peer_gone("db", "it was taken out of the node table")
        self.failureResultOf(waiting, PeerDown)
        self.failureResultOf(self.call("db", "@x"), PeerDown)
        self.cluster.receiver.peer_expected("db")
        again = self.call("db", "@x")
        self.cluster.up("db")
        self.cluster.answer(*self.cluster.take())
        self.one.turn()
        self.successResultOf(again)

    def test_lost(self) -> None:
        """Written calls fail with a link, and may have run; the others wait on."""
        self.cluster.up("db")
        written = self.call("db", "@x")
        self.cluster.take()
        self.cluster.lose("db")
        waiting = self.call("db", "@y")
        self.assertFalse(self.failureResultOf(written, LinkLost).value.retry_safe)
        self.assertNoResult(waiting)
        self.cluster.up("db")
        (sent,) = self.cluster.take()
        self.assertEqual(sent.destination, "@y")

    def test_held(self) -> None:
        """A call that its link has not wholly written does not fail with that."""
        self.cluster.up("db")
        held, dropped = self.call("db", "@x", timeout=9.0), self.call("db", "@y")
        receiver, source = self.cluster.receiver, int(self.client.handle)
        drops: list[str] = []
        for sent in self.cluster.take():
            drop = partial(drops.append, sent.destination)
            receiver.call_held("db", source, sent.session, drop)
        self.cluster.lose("db")
        self.assertNoResult(held)
        dropped.cancel()
        self.failureResultOf(dropped, CancelledError)
        self.assertEqual(drops, ["@y"])
        self.one.later(10)
        self.assertTrue(self.failureResultOf(held, PeerDown).value.retry_safe)
        self.assertEqual(drops, ["@y", "@x"])
        books = self.one.node.ledger
        self.assertEqual((books.delivered, books.expired), (0, 2))
        # One that is written in the end may have run.
        self.cluster.up("db")
        third = self.call("db", "@z", timeout=5.0)
        (sent,) = self.cluster.take()
        receiver.call_held("db", source, sent.session, lambda: None)
        self.assertEqual(receiver.calls_waiting([(source, sent.session)]), [True])
        receiver.call_written(source, sent.session)
        self.cluster.lose("db")
        self.failureResultOf(third, LinkLost)
        self.assertEqual(receiver.calls_waiting([(source, sent.session)]), [False])
        self.assertEqual(receiver.calls_waiting([(99, 1)]), [False])

    def test_held_to_the_end(self) -> None:
        """What a link has not written when its node is no more has not run."""
        self.cluster.up("db")
        held = self.call("db", "@x")
        self.client.cluster.send("db", "@x", 1)
        receiver = self.cluster.receiver
        request = self.cluster.take()[0]
        receiver.call_held("db", int(self.client.handle), request.session, lambda: None)
        self.cluster.lose("db")
        receiver.pushes_dropped("db", 1)
        receiver.peer_gone("db", "it was taken out of the node table")
        self.assertTrue(self.failureResultOf(held, PeerDown).value.retry_safe)
        books = self.one.node.ledger
        self.assertEqual((books.delivered, books.dropped, books.refused), (0, 1, 1))
        self.assertEqual(self.one.balance, 0)

    def test_full(self) -> None:
        """What waits for one node is bounded."""
        self.cluster = FakeCluster()
        one = self.cluster_world(limits=Limits(messages=2))
        client = one.node.client()
        for _ in range(2):
            client.cluster.send("db", "@x")
        self.assertRaises(QueueFull, client.cluster.send, "db", "@x")
        self.failureResultOf(client.cluster.call("db", "@x"), QueueFull)
        client.cluster.send("web", "@x")

    def test_stop(self) -> None:
        """A node that stops refuses what waits for a node, and what is sent then."""
        waiting = self.call("db", "@x")
        self.client.cluster.send("db", "@x")
        self.one.stop()
        self.failureResultOf(waiting, SkynetError)
        self.failureResultOf(self.call("db", "@x"), NotReady)
        self.client.cluster.send("db", "@x")
        self.assertEqual(self.cluster.wanted, ["db"] * 2)
        self.assertEqual(self.one.balance, 0)


class NameTests(ClusterTestCase):
    """The names of this node's actors, its ports, and where the others are."""

    def test_register(self) -> None:
        """A name has one owner, an actor one name, and both end with the actor."""
        other = self.one.node.client()
        self.assertIsNone(self.successResultOf(self.client.cluster.register("bank")))
        self.failureResultOf(other.cluster.register("bank"), NameTaken)
        self.failureResultOf(other.cluster.register(""), BadAddress)
        wrong: Any = None
        self.assertRaises(TypeError, other.cluster.register, wrong)
        self.successResultOf(self.client.cluster.unregister("bank"))
        self.successResultOf(other.cluster.register("bank"))
        other.exit()
        self.one.turn()
        self.successResultOf(self.client.cluster.register("bank"))

    def test_open_and_reload(self) -> None:
        """Ports and tables are the layer's; wrong types are refused at once."""
        opened = self.client.cluster.open("127.0.0.1:7000")
        self.assertEqual(self.successResultOf(opened), "127.0.0.1:7000")
        self.successResultOf(self.client.cluster.reload())
        self.successResultOf(self.client.cluster.reload({"db": "10.0.0.1:7000"}))
        self.assertEqual(self.cluster.opened, ["127.0.0.1:7000"])
        self.assertEqual(self.cluster.told, [None, {"db": "10.0.0.1:7000"}])
        wrong: Any = 7000
        self.assertRaises(TypeError, self.client.cluster.open, wrong)
        self.assertRaises(TypeError, self.client.cluster.reload, wrong)

    def test_nodes(self) -> None:
        """The nodes are those of the layer; wrong types are refused at once."""
        self.assertEqual(self.client.cluster.nodes(), {"db": "h:1"})
        changed = self.client.cluster.nodes_other_than({"db": "h:2"})
        self.assertEqual(self.successResultOf(changed), {"db": "h:1"})
        self.assertEqual(self.cluster.told, [{"db": "h:2"}])
        wrong: Any = ["db"]
        self.assertRaises(TypeError, self.client.cluster.nodes_other_than, wrong)
