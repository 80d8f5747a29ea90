"""Names: of the node, and of the network."""

from __future__ import annotations

from twisted.internet.defer import CancelledError

from skynet_tw.errors import BadAddress, NameTaken, NoSuchName, NotReady
from skynet_tw.handle import Handle

from .support import Echo, NodeTestCase

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

    def test_stolen(self) -> None:
        """A name that is ours stays ours here, whatever the master says later."""
        self.echo.register("ECHO")
        self.one.remote.echo()
        self.one.remote.known("ECHO", FAR)
        self.assertEqual(self.successResultOf(self.client.query("ECHO")), self.handle)

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
