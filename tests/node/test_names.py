"""Names: of the node, and of the network."""

from __future__ import annotations

from twisted.internet.defer import CancelledError
from twisted.internet.testing import EventLoggingObserver
from twisted.logger import formatEvent, globalLogPublisher

from skynet_tw.errors import (
    BadAddress,
    LinkLost,
    NameTaken,
    NoSuchName,
    NotReady,
    PeerDown,
    QueueFull,
)
from skynet_tw.handle import Handle
from skynet_tw.node import names
from skynet_tw.node.limits import Limits

from .support import Echo, NodeTestCase, cell_of

FAR = Handle(0x0200000A)


class LocalNameTests(NodeTestCase):
    """Names that begin with a dot."""

    def setUp(self) -> None:
        self.one = self.world()
        self.handle, self.echo = self.spawn(self.one, Echo)
        self.client = self.one.node.client()

    def test_register(self) -> None:
        """A local name is known at once, and only here."""
        registered = self.echo.register(".echo")
        self.assertEqual(self.successResultOf(registered), self.handle)
        self.assertEqual(self.successResultOf(self.client.query(".echo")), self.handle)
        self.assertEqual(self.one.remote.registered, [])
        self.assertEqual(self.call(self.one, ".echo", "ECHO", 1), 1)

    def test_twice(self) -> None:
        """The owner may register again, nobody else may."""
        self.successResultOf(self.echo.register(".echo"))
        self.successResultOf(self.echo.register(".echo"))
        error = self.failureResultOf(self.client.register(".echo"), NameTaken).value
        self.assertIn("Echo(:01000001)", str(error))

    def test_unknown(self) -> None:
        """An unknown local name fails at once, if nobody wants to wait."""
        self.failureResultOf(self.client.query(".echo"), NoSuchName)

    def test_wait(self) -> None:
        """A query with a time limit waits for the name."""
        query = self.client.query(".echo", timeout=5)
        self.one.later(4)
        self.assertNoResult(query)
        self.successResultOf(self.echo.register(".echo"))
        self.assertEqual(self.successResultOf(query), self.handle)

    def test_wait_in_vain(self) -> None:
        """A query fails at its time limit."""
        query = self.client.query(".echo", timeout=5)
        self.one.later(5)
        self.failureResultOf(query, NoSuchName)

    def test_freed(self) -> None:
        """A name is free when its owner has ended."""
        self.successResultOf(self.echo.register(".echo"))
        self.echo.exit()
        self.failureResultOf(self.client.query(".echo"), NoSuchName)
        self.successResultOf(self.client.register(".echo"))

    def test_malformed(self) -> None:
        """Malformed names are refused."""
        for name in ("", ".", ":1", "12", "sixteen bytes!!!", "\0", "\ud800"):
            self.failureResultOf(self.client.register(name), BadAddress)
            if name != ".":
                self.failureResultOf(self.client.query(name), BadAddress)

    def test_dead(self) -> None:
        """An actor that has ended registers nothing."""
        self.echo.exit()
        self.failureResultOf(self.echo.register(".echo"), NotReady)
        self.failureResultOf(self.echo.register("ECHO"), NotReady)
        self.assertEqual(self.one.remote.registered, [])


class GlobalNameTests(NodeTestCase):
    """Names of the network."""

    def setUp(self) -> None:
        self.one = self.world()
        self.handle, self.echo = self.spawn(self.one, Echo)
        self.client = self.one.node.client()

    def test_register(self) -> None:
        """A name is used here at once, and registered when the master has said so."""
        registered = self.echo.register("ECHO")
        self.assertEqual(self.one.remote.registered, [("ECHO", self.handle)])
        self.assertEqual(self.call(self.one, "ECHO", "ECHO", 1), 1)
        self.assertNoResult(registered)
        self.one.remote.echo()
        self.assertEqual(self.successResultOf(registered), self.handle)

    def test_no_echo(self) -> None:
        """Without the master's word the registration fails at the time limit."""
        registered = self.echo.register("ECHO")
        self.one.later(30)
        self.failureResultOf(registered, NotReady)

    def test_taken_here(self) -> None:
        """A name of another actor of this node is taken."""
        self.echo.register("ECHO")
        self.one.remote.echo()
        self.failureResultOf(self.client.register("ECHO"), NameTaken)
        self.assertEqual(self.one.remote.registered, [])

    def test_taken_there(self) -> None:
        """A name of another node's actor is taken."""
        self.one.remote.known("ECHO", FAR)
        self.failureResultOf(self.echo.register("ECHO"), NameTaken)
        self.assertEqual(self.one.remote.registered, [])

    def test_taken_meanwhile(self) -> None:
        """Who hears of another owner instead of the echo has lost the race."""
        registered = self.echo.register("ECHO")
        self.one.remote.known("ECHO", FAR)
        self.failureResultOf(registered, NameTaken)

    def test_lost(self) -> None:
        """An actor whose name is another's now is told in the log, and calls go there.

        Whether it is another's, the remote layer judges by the rules of its wire.
        """
        events = EventLoggingObserver.createWithCleanup(
            self,  # type: ignore[arg-type]
            globalLogPublisher,
        )
        self.one.remote.up(2)
        for confirmed in (True, False):
            registered = self.echo.register("ECHO")
            if confirmed:
                self.one.remote.echo()
                self.successResultOf(registered)
            self.one.remote.known("ECHO", FAR)
            if not confirmed:
                self.failureResultOf(registered, NameTaken)
            self.assertEqual(self.successResultOf(self.client.query("ECHO")), FAR)
            self.client.send("ECHO", "NOTE", 1)
            self.assertEqual(self.one.remote.one().destination, FAR)
            self.assertEqual(cell_of(self.echo).names, ())
            lines = [str(formatEvent(event)) for event in events]
            lost = [line for line in lines if "of Echo(:01000001)" in line]
            self.assertEqual(len(lost), 1, lines)
            self.assertIn(":0200000a, who has it now", lost[0])
            events._events.clear()
            # Its end frees nothing that is not its own; and it may try again.
            self.one.remote.moves = True
        self.echo.exit()
        self.assertEqual(self.successResultOf(self.client.query("ECHO")), FAR)

    def test_late_echo(self) -> None:
        """The master's word about an owner of ours that ended moves nothing."""
        self.echo.register("ECHO")
        self.echo.exit()
        other, actor = self.spawn(self.one, Echo)
        registered = actor.register("ECHO")
        self.one.remote.echo()
        self.assertEqual(self.successResultOf(registered), other)
        self.one.remote.known("ECHO", self.handle)
        self.assertEqual(self.successResultOf(self.client.query("ECHO")), other)
        self.assertEqual(self.call(self.one, "ECHO", "ECHO", 1), 1)

    def test_last_registration(self) -> None:
        """Where names move to the last who registers, ours do so, far and near."""
        remote = self.one.remote
        remote.moves = True
        remote.known("ECHO", FAR)
        registered = self.echo.register("ECHO")
        remote.echo()
        self.assertEqual(self.successResultOf(registered), self.handle)
        self.assertEqual(self.call(self.one, "ECHO", "SAME", 1), 1)
        other, actor = self.spawn(self.one, Echo)
        registered = actor.register("ECHO")
        self.assertEqual(remote.registered, [("ECHO", other)])
        remote.echo()
        self.assertEqual(self.successResultOf(registered), other)
        self.client.send("ECHO", "NOTE", 2)
        self.one.turn()
        self.assertEqual((self.echo.got, actor.got), ([], [2]))
        # The one that lost it does not take it away when it ends.
        self.echo.exit()
        self.assertEqual(self.successResultOf(self.client.query("ECHO")), other)

    def test_last_of_two_that_wait(self) -> None:
        """Of two registrations that both wait for the master, the later one wins."""
        self.one.remote.moves = True
        first = self.echo.register("ECHO")
        other, actor = self.spawn(self.one, Echo)
        second = actor.register("ECHO")
        self.failureResultOf(first, NameTaken)
        self.one.remote.known("ECHO", other)
        self.assertEqual(self.successResultOf(second), other)

    def test_owner_gone(self) -> None:
        """A name whose owner's harbor is gone may be taken by an actor of ours."""
        remote = self.one.remote
        remote.up(2)
        remote.known("BANK", FAR)
        remote.lost(2)
        self.failureResultOf(self.echo.register("BANK"), NameTaken)
        remote.gone(2)
        registered = self.echo.register("BANK")
        remote.echo()
        self.assertEqual(self.successResultOf(registered), self.handle)
        self.assertEqual(self.call(self.one, "BANK", "SAME", 1), 1)

    def test_gone_and_taken(self) -> None:
        """Nobody keeps what he knew of an owner that is gone, once there is another."""
        remote = self.one.remote
        remote.up(2)
        remote.known("BANK", FAR)
        remote.lost(2)
        remote.gone(2)
        self.failureResultOf(self.client.call("BANK", "X"), PeerDown)
        query, vain = self.client.query("BANK"), self.client.query("BANK", timeout=1)
        self.assertEqual(remote.queried, ["BANK"])
        remote.known("BANK", FAR)  # The master knows of no other yet.
        self.assertNoResult(query)
        self.one.later(1)
        error = self.failureResultOf(vain, NoSuchName).value
        self.assertIn(":0200000a, which had the name 'BANK', is gone", str(error))
        remote.up(3)
        new = Handle(0x0300000B)
        remote.known("BANK", new)
        self.assertEqual(self.successResultOf(query), new)
        self.client.send("BANK", "X")
        self.assertEqual(remote.one().destination, new)
        # The answer to a question which was asked before that comes late.
        remote.known("BANK", FAR)
        self.client.send("BANK", "X")
        self.assertEqual(remote.one().destination, new)

    def test_asked_after_the_past(self) -> None:
        """A word that is of no use is an answer: the next who waits asks again."""
        remote = self.one.remote
        remote.up(2)
        remote.known("BANK", FAR)
        remote.lost(2)
        remote.gone(2)
        remote.gone(3)
        first = self.client.query("BANK")
        remote.known("BANK", 0x0300000B)
        self.assertNoResult(first)
        second = self.client.query("BANK")
        self.assertEqual(remote.queried, ["BANK", "BANK"])
        remote.up(2)
        remote.known("BANK", FAR)
        self.assertEqual(self.successResultOf(first), FAR)
        self.assertEqual(self.successResultOf(second), FAR)

    def test_answered_at_once(self) -> None:
        """A master may answer while it is asked: the call is on its link then."""
        remote = self.one.remote
        remote.up(2)
        self.patch(remote, "query", lambda name: remote.known(name, FAR))
        called = self.client.call("BANK", "X", timeout=None)
        calls = self.one.node.status().calls
        self.assertEqual([call.stage for call in calls], ["sent"])
        self.assertEqual(len(self.one.node._core.calls), 0)
        remote.lost(2)
        self.failureResultOf(called, LinkLost)
        self.assertEqual(self.one.node.status().calls, ())
        [peer] = self.one.node.status().peers
        self.assertEqual(peer.calls, 0)

    def test_too_much_for_a_name(self) -> None:
        """What no queue takes leaves none behind."""
        one = self.world(limits=Limits(size=100))
        client = one.node.client()
        for n in range(3):
            with self.assertRaises(QueueFull):
                client.send(f"N{n}", "X", "x" * 200)
            self.failureResultOf(client.call(f"N{n}", "X", "x" * 200), QueueFull)
        self.assertEqual(len(one.node._names.boxes), 0)
        self.assertEqual(one.node.status().calls, ())

    def test_gone_and_back(self) -> None:
        """An owner whose harbor comes back is found again."""
        remote = self.one.remote
        remote.up(2)
        remote.known("BANK", FAR)
        remote.lost(2)
        remote.gone(2)
        query = self.client.query("BANK")
        remote.up(2)
        remote.known("BANK", FAR)
        self.assertEqual(self.successResultOf(query), FAR)

    def test_many(self) -> None:
        """A master that tells names without end fills no memory; ours are not lost."""
        self.patch(names, "MAX_REMOTE", 10)
        self.echo.register("ECHO")
        self.one.remote.echo()
        for i in range(100):
            self.one.remote.known(f"N{i}", FAR)
        self.assertEqual(
            list(self.one.node._names.remote), [f"N{i}" for i in range(90, 100)]
        )
        self.assertEqual(self.successResultOf(self.client.query("ECHO")), self.handle)
        query = self.client.query("N0")
        self.assertEqual(self.one.remote.queried, ["N0"])
        self.one.remote.known("N0", FAR)
        self.assertEqual(self.successResultOf(query), FAR)

    def test_query(self) -> None:
        """A query asks the master, and waits for its word."""
        query = self.client.query("BANK")
        self.assertEqual(self.one.remote.queried, ["BANK"])
        self.assertNoResult(query)
        self.one.remote.known("BANK", FAR)
        self.assertEqual(self.successResultOf(query), FAR)
        self.assertEqual(self.successResultOf(self.client.query("BANK")), FAR)
        self.assertEqual(self.one.remote.queried, ["BANK"])

    def test_query_in_vain(self) -> None:
        """A query fails at the time limit, by default that of remote calls."""
        default, short = self.client.query("BANK"), self.client.query("BANK", timeout=1)
        self.one.later(1)
        self.failureResultOf(short, NoSuchName)
        self.assertNoResult(default)
        self.one.later(29)
        error = self.failureResultOf(default, NoSuchName).value
        self.assertTrue(error.retry_safe)

    def test_query_cancelled(self) -> None:
        """One waiter less does not disturb the others."""
        first, second = self.client.query("BANK"), self.client.query("BANK")
        first.cancel()
        self.failureResultOf(first)
        self.one.remote.known("BANK", FAR)
        self.assertEqual(self.successResultOf(second), FAR)

    def test_cancelled_by_another(self) -> None:
        """A waiter that is woken may cancel another."""
        first, second = self.client.query("BANK"), self.client.query("BANK")
        first.addCallback(lambda _: second.cancel())
        self.one.remote.known("BANK", FAR)
        self.failureResultOf(second, CancelledError)

    def test_query_at_stop(self) -> None:
        """Who waits for a name hears that the node stops."""
        query = self.client.query("BANK")
        self.one.node.stop()
        self.failureResultOf(query, NotReady)
        self.failureResultOf(self.client.query("BANK"), NotReady)

    def test_owner_ended(self) -> None:
        """The name of an actor that ended may be taken by another of this node."""
        self.echo.register("ECHO")
        self.one.remote.echo()
        self.echo.exit()
        other, actor = self.spawn(self.one, Echo)
        registered = actor.register("ECHO")
        self.one.remote.echo()
        self.assertEqual(self.successResultOf(registered), other)
        self.assertEqual(self.call(self.one, "ECHO", "ECHO", 1), 1)

    def test_moved(self) -> None:
        """A name which the master gives to another owner is followed."""
        self.one.remote.up(2)
        self.one.remote.known("BANK", FAR)
        self.one.remote.known("BANK", FAR + 1)
        self.client.send("BANK", "X")
        self.assertEqual(self.one.remote.one().destination, FAR + 1)

    def test_no_remote(self) -> None:
        """In a node without a harbor a global name is the node's own."""
        one = self.world(0)
        handle, echo = self.spawn(one, Echo)
        client = one.node.client()
        called = client.call("ECHO", "ECHO", 1)
        query = client.query("ECHO")
        one.turn()
        self.assertEqual(self.successResultOf(echo.register("ECHO")), handle)
        one.turn()
        self.assertEqual(self.successResultOf(called), 1)
        self.assertEqual(self.successResultOf(query), handle)
