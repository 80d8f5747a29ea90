"""SERVICE and DATACENTER, byte by byte as real nodes ask them."""

from __future__ import annotations

from typing import Any

from skynet_tw.errors import RemoteError
from skynet_tw.handle import Handle
from skynet_tw.message import PType
from skynet_tw.node.system import DataCenter, UniqueServices

from .support import NodeTestCase, Sent

FAR = Handle(0x0200000A)


class ServiceTests(NodeTestCase):
    """What another node's bootstrap asks (harbor-modern, section 8)."""

    def setUp(self) -> None:
        self.one = self.world()
        self.remote = self.one.remote
        self.remote.up(2)
        spawned = self.one.node.spawn(UniqueServices)
        self.assertNoResult(spawned)
        self.remote.echo()
        self.handle = self.successResultOf(spawned)

    def ask(self, *values: Any) -> list[Sent]:
        self.remote.receive(self.handle, *values, session=7)
        return self.remote.take()

    def test_named(self) -> None:
        """Its global name is SERVICE."""
        query = self.one.node.client().query("SERVICE")
        self.assertEqual(self.successResultOf(query), self.handle)

    def test_report(self) -> None:
        """REPORT is answered with one nil: a payload of one zero byte."""
        self.assertEqual(
            self.ask("REPORT", 0x02000005),
            [Sent(FAR, self.handle, PType.RESPONSE, 7, b"\0")],
        )
        self.assertEqual(self.one.actor(self.handle).reported, {2: 0x02000005})

    def test_launch_unknown(self) -> None:
        """LAUNCH of what is not there is nil and a text."""
        [sent] = self.ask("LAUNCH", "@cluster", 1)
        nothing, text = sent.values
        self.assertIsNone(nothing)
        self.assertIn("@cluster", text)

    def test_offered(self) -> None:
        """What an actor offers is found by LAUNCH, QUERY and LIST."""
        self.assertEqual(self.ask("LIST")[0].values, ({},))
        self.assertEqual(self.ask("QUERY", "@tool"), [])
        client = self.one.node.client()
        self.assertEqual(
            self.call(self.one, "SERVICE", "OFFER", "@tool", client.handle),
            client.handle,
        )
        self.assertEqual(self.remote.one().values, (client.handle,))
        self.assertEqual(self.ask("QUERY", "@tool")[0].values, (client.handle,))
        self.assertEqual(self.ask("LAUNCH", "@tool")[0].values, (client.handle,))
        listed = {"@tool": str(client.handle)}
        self.assertEqual(self.ask("LIST")[0].values, (listed,))

    def test_anything_else(self) -> None:
        """Anything else is nil and a text."""
        for values in [("NEVER",), (), (1, 2)]:
            nothing, text = self.ask(*values)[0].values
            self.assertIsNone(nothing)
            self.assertIsInstance(text, str)


class DataCenterTests(NodeTestCase):
    """The shared tree (harbor-modern, section 8)."""

    def setUp(self) -> None:
        self.one = self.world()
        self.remote = self.one.remote
        self.remote.up(2)
        spawned = self.one.node.spawn(DataCenter)
        self.remote.echo()
        self.handle = self.successResultOf(spawned)

    def ask(self, *values: Any) -> tuple[Any, ...]:
        self.remote.receive(self.handle, *values, session=7)
        return self.remote.one().values

    def test_values(self) -> None:
        """UPDATE answers the old value or nothing, QUERY the value or nothing."""
        self.assertEqual(self.ask("UPDATE", "a", 1), ())
        self.assertEqual(self.ask("QUERY", "a"), (1,))
        self.assertEqual(self.ask("UPDATE", "a", 2), (1,))
        self.assertEqual(self.ask("QUERY", "b"), ())

    def test_paths(self) -> None:
        """Paths make branches; a branch is a table."""
        self.ask("UPDATE", "a", "b", "c", 1)
        self.assertEqual(self.ask("QUERY", "a", "b", "c"), (1,))
        self.assertEqual(self.ask("QUERY", "a"), ({"b": {"c": 1}},))
        self.assertEqual(self.ask("QUERY", "a", "x", "c"), ())
        self.assertEqual(self.ask("QUERY", "a", "b", "c", "d"), ())

    def test_nil(self) -> None:
        """A nil removes the value."""
        self.ask("UPDATE", "a", 1)
        self.assertEqual(self.ask("UPDATE", "a", None), (1,))
        self.assertEqual(self.ask("QUERY", "a"), ())

    def test_false(self) -> None:
        """A false value is a value."""
        self.ask("UPDATE", "a", False)
        self.assertEqual(self.ask("QUERY", "a"), (False,))
        self.assertEqual(self.ask("WAIT", "a"), (False,))

    def test_wait(self) -> None:
        """WAIT is answered when the value is set, for all who wait."""
        for session in (1, 2):
            self.remote.receive(self.handle, "WAIT", "a", "b", session=session)
        self.remote.receive(self.handle, "UPDATE", "a", "c", 0)
        self.assertEqual(self.remote.take(), [])
        self.remote.receive(self.handle, "UPDATE", "a", "b", 5)
        answers = [(sent.session, sent.values) for sent in self.remote.take()]
        self.assertEqual(answers, [(1, (5,)), (2, (5,))])

    def test_wait_for_set(self) -> None:
        """WAIT for what is set is answered at once, a table as well."""
        self.ask("UPDATE", "a", "b", 5)
        self.assertEqual(self.ask("WAIT", "a", "b"), (5,))
        self.assertEqual(self.ask("WAIT", "a"), ({"b": 5},))

    def test_wait_for_branch(self) -> None:
        """WAIT for what becomes a branch is an error, as in a real node."""
        self.remote.receive(self.handle, "WAIT", "a", session=1)
        self.remote.receive(self.handle, "UPDATE", "a", "b", 5)
        sent = self.remote.one()
        self.assertEqual((sent.ptype, sent.session), (PType.ERROR, 1))
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)

    def test_mistakes(self) -> None:
        """A path through a value, and an UPDATE without one, are errors."""
        self.ask("UPDATE", "a", 1)
        client = self.one.node.client()
        for values in [("UPDATE", "a", "b", 2), ("UPDATE", "a"), ("UPDATE",)]:
            called = client.call(self.handle, *values)
            self.one.turn()
            self.failureResultOf(called, RemoteError)
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 3)
        self.assertEqual(self.ask("QUERY", "a"), (1,))
