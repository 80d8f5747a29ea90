"""What the nodes of a cluster ask of this one."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred

from skynet_tw import seri
from skynet_tw.errors import QueueFull, TooLarge
from skynet_tw.handle import Handle
from skynet_tw.message import PType
from skynet_tw.node.actor import Actor, command
from skynet_tw.node.limits import Limits
from skynet_tw.node.scheduler import BATCH

from .fake_cluster import FakeClient, FakeCluster
from .support import Echo, NodeTestCase, World, cell_of

FAR = 0x0200000A


class AgentTestCase(NodeTestCase):
    """A node with a cluster, an actor called ``@echo``, and a client."""

    harbor = 0

    def setUp(self) -> None:
        self.cluster = FakeCluster()
        self.one = self.world(self.harbor, cluster=self.cluster, ready=False)
        self.one.open_gate()
        self.one.settle()
        self.handle, self.echo = self.spawn(self.one, Echo)
        self.successResultOf(self.echo.cluster.register("echo"))
        self.client = self.cluster.client()

    def ask(self, address: int | str, *values: Any, session: int = 5) -> list[Any]:
        """What is answered to a request, after a turn."""
        self.client.ask(address, *values, session=session)
        self.one.turn()
        return self.client.take()


class RequestTests(AgentTestCase):
    """Requests and pushes to actors of the node."""

    def test_addresses(self) -> None:
        """An actor is found by its handle, its names, and its handle as text."""
        self.successResultOf(self.echo.register(".local"))
        handle = int(self.handle)
        for address in (handle, "@echo", ".local", str(self.handle), str(handle)):
            got = self.ask(address, "ECHO", 1, {"a": "b"})
            self.assertEqual(got, [(5, (1, {"a": "b"}))], address)
        self.assertEqual(self.ask("@echo", "ECHO"), [(5, ())])
        self.assertEqual(self.ask("@echo", "SAME", [1, 2]), [(5, ([1, 2],))])

    def test_nobody(self) -> None:
        """Who asks for nobody is told so, also by a push to a name."""
        nobody = self.one.node.harbor << 24 | 4095
        texts = ("@nope", "@", ".nope", ":x", "", "99999999999", f":{nobody:08x}")
        for address in (nobody, *texts):
            (answer,) = self.ask(address, "ECHO", 1)
            self.assertEqual(answer[0], 5, address)
            self.assertIsInstance(answer[1], str)
        self.assertEqual([it[0] for it in self.ask("@nope", "X", session=0)], [0])
        self.assertEqual(self.ask(nobody, "X", session=0), [])
        self.assertEqual(len(self.one.node.ledger.dead_letters), 10)

    def test_push(self) -> None:
        """A push is handled, and nobody is told what came of it."""
        self.assertEqual(self.ask("@echo", "NOTE", 1, session=0), [])
        self.assertEqual(self.ask("@echo", "FAIL", session=0), [])
        self.logged(ValueError)
        # A large push has a session that nobody waits for (cluster, section 3).
        self.client.ask_all(("@echo", 9, seri.pack("NOTE", 2), True))
        self.one.turn()
        self.assertEqual((self.echo.got, self.client.take()), ([1, 2], []))

    def test_order(self) -> None:
        """The requests of a client are handled in order, by whatever address."""
        name, handle = "@echo", int(self.handle)
        addresses: list[int | str] = [name, handle, str(handle), name, ".e", name]
        requests = [
            (address, 0, seri.pack("NOTE", n), True)
            for n, address in enumerate(addresses)
        ]
        self.successResultOf(self.echo.register(".e"))
        self.client.ask_all(*requests)
        self.one.turn()
        self.assertEqual(self.echo.got, list(range(6)))

    def test_answers_overtake(self) -> None:
        """A handler that waits holds up no other, not even of the same session."""
        self.client.ask("@echo", "WAIT", session=5)
        self.assertEqual(self.ask("@echo", "ECHO", 1, session=5), [(5, (1,))])
        self.echo.waits[0].callback("late")
        self.one.turn()
        self.assertEqual(self.client.take(), [(5, ("late",))])

    def test_errors(self) -> None:
        """An error of a handler, and an answer that cannot leave, are told in words."""
        (answer,) = self.ask("@echo", "FAIL", "it broke")
        self.assertIn("it broke", answer[1])
        self.logged(ValueError)
        (answer,) = self.ask("@echo", "WHAT")
        self.assertIn("WHAT", answer[1])

        class Odd(Actor):
            @command
            def ODD(self) -> Any:
                return object()

        odd, _ = self.spawn(self.one, Odd)
        (answer,) = self.ask(int(odd), "ODD")
        self.assertIn("cannot leave", answer[1])
        self.flushLoggedErrors()
        for error in (TooLarge(2, 1), QueueFull("it reads nothing")):
            self.client.error = error
            (answer,) = self.ask("@echo", "ECHO")
            self.assertIn("cannot leave", answer[1])
        self.flushLoggedErrors()

    def test_unreadable(self) -> None:
        """Values that cannot be read are answered with an error, and nothing stops."""
        self.client.ask_all(("@echo", 5, b"\x07\x07", False), (0, 6, b"\x07", False))
        self.one.turn()
        self.assertEqual(sorted(it[0] for it in self.client.take()), [5, 6])
        self.flushLoggedErrors()
        self.assertEqual(self.ask("@echo", "ECHO", 1), [(5, (1,))])

    def test_query(self) -> None:
        """A question for a name is answered with a handle, a push as well."""
        for session in (7, 0):
            self.client.ask_all((0, session, seri.pack("echo"), session == 0))
            self.assertEqual(self.client.take(), [(session, (int(self.handle),))])
        bad: list[tuple[Any, ...]] = [(), (5,), ({},), ("nope",), (None,)]
        for values in bad:
            (answer,) = self.ask(0, *values)
            self.assertIsInstance(answer[1], str)

    def test_names_change(self) -> None:
        """A name that has another owner has it for the next request."""
        _, actor = self.spawn(self.one, Echo)
        self.echo.cluster.unregister("echo")
        self.assertIsInstance(self.ask("@echo", "SENDER")[0][1], str)
        self.successResultOf(actor.cluster.register("echo"))
        self.client.ask("@echo", "NOTE", 1)
        self.one.turn()
        self.assertEqual((actor.got, self.echo.got), ([1], []))
        actor.exit()
        self.one.turn()
        self.client.take()
        self.assertIsInstance(self.ask("@echo", "NOTE")[0][1], str)

    def test_full(self) -> None:
        """A mailbox at its limit refuses a request, and the client is told."""
        self.cluster = FakeCluster()
        limits = Limits(messages=2)
        self.one = self.world(0, cluster=self.cluster, ready=False, limits=limits)
        self.one.open_gate()
        self.one.settle()
        self.handle, self.echo = self.spawn(self.one, Echo)
        self.client = self.cluster.client()
        requests = [
            (int(self.handle), n, seri.pack("NOTE", n), False) for n in (1, 2, 3)
        ]
        self.client.ask_all(*requests)
        self.one.turn()
        got = dict(self.client.take())
        self.assertEqual((got[1], got[2], self.echo.got), ((), (), [1, 2]))
        self.assertIsInstance(got[3], str)


class HarborRequestTests(RequestTests):
    """The same in a node that is a harbor, too."""

    harbor = 1


class CodecTests(RequestTests):
    """The same in a node whose harbor packs otherwise, as that of 2013."""

    harbor = 1

    def world(self, *args: Any, **rest: Any) -> World:
        world = super().world(*args, **rest)
        world.node._core.unpack = _refuse
        agents = world.node._clustering._agents  # type: ignore[union-attr]
        agents.one_codec = False
        return world

    def test_push(self) -> None:
        """A push is handled, and nobody is told what came of it."""
        super().test_push()


def _refuse(payload: bytes) -> Any:
    raise AssertionError("the codec of the harbor was used")


class SenderTests(AgentTestCase):
    """Each client has an agent."""

    def test_sender(self) -> None:
        """The sender is the client's agent: another one for each, and watched."""
        ((_, (one,)),) = self.ask("@echo", "SENDER")
        first, self.client = self.client, self.cluster.client()
        ((_, (two,)),) = self.ask("@echo", "SENDER")
        self.assertNotEqual(one, two)
        self.assertTrue(self.one.node.has_actor(one))
        gone = self.ends(self.echo.watch(Handle(one)))
        first.close()
        self.one.turn()
        self.assertIn("closed", gone[0])
        self.assertFalse(self.one.node.has_actor(one))

    def test_gone(self) -> None:
        """Who is gone gets no answer: handlers go on, and nothing is kept for him."""
        self.client.ask("@echo", "WAIT", session=5)
        self.one.turn()
        self.client.close()
        self.one.turn()
        self.assertEqual(self.client.take(), [])
        self.echo.waits[0].callback("late")
        self.one.turn()
        self.assertEqual(self.client.take(), [])
        self.assertEqual(cell_of(self.echo).tasks, {})
        self.assertEqual(self.one.node.ledger.dropped, 0)

    def test_gone_with_its_requests(self) -> None:
        """Requests of who is gone are handled; their answers are lost, and noted."""
        self.one.slow()
        pushes = [("@echo", 0, seri.pack("NOTE"), True)] * BATCH
        requests = [
            ("@echo", n, seri.pack(word, n), False)
            for n, word in enumerate(["NOTE", "NOTE", "FAIL"], 1)
        ]
        self.client.ask_all(*pushes, *requests)
        self.client.close()
        self.one.later(5)
        self.logged(ValueError)
        self.assertEqual((self.echo.got[BATCH:], self.client.take()), ([1, 2], []))
        letters = self.one.node.ledger.dead_letters
        found = {(it.reason, it.source, it.destination, it.ptype) for it in letters}
        lost = "the caller is gone", self.handle, self.client.address
        self.assertEqual(found, {(*lost, PType.RESPONSE), (*lost, PType.ERROR)})
        self.assertEqual(len(letters), self.one.node.ledger.dropped)

    def test_send_to_an_agent(self) -> None:
        """An agent answers nobody: a call to it fails."""
        ((_, (agent,)),) = self.ask("@echo", "SENDER")
        self.failureResultOf(self._call(agent))

    def _call(self, agent: int) -> Deferred[Any]:
        called = self.echo.call(agent, "X")
        self.one.turn()
        return called


class PassedOnTests(AgentTestCase):
    """Requests that end in another node of the network of harbors."""

    harbor = 1

    def setUp(self) -> None:
        super().setUp()

        class Pass(Actor):
            @command
            def PASS(self, dest: int | str, *values: Any) -> Any:
                return self.redirect(dest, *values)

        passing, _ = self.spawn(self.one, Pass)
        self.passing = int(passing)
        self.remote = self.one.remote
        self.remote.up(2)

    def test_near(self) -> None:
        """A request that is passed on within the node is answered by the other."""
        got = self.ask(self.passing, "PASS", int(self.handle), "ECHO", 1)
        self.assertEqual(got, [(5, (1,))])

    def test_far(self) -> None:
        """One that is passed on to another harbor is answered by that."""
        for values, expected in (((), ()), ((1,), (1,)), ((1, 2), (1, 2))):
            self.assertEqual(self.ask(self.passing, "PASS", FAR, "X", 7), [])
            sent = self.remote.one()
            self.assertEqual((sent.destination, sent.values), (FAR, ("X", 7)))
            self.remote.answer(sent, *values)
            self.one.turn()
            self.assertEqual(self.client.take(), [(5, expected)])

    def test_far_lost(self) -> None:
        """One whose harbor is lost is answered with an error."""
        self.ask(self.passing, "PASS", FAR, "X", 7)
        self.remote.take()
        self.remote.lost(2)
        self.one.turn()
        ((session, error),) = self.client.take()
        self.assertIsInstance(error, str)
        self.assertEqual(session, 5)

    def test_addressed(self) -> None:
        """A client may ask for an actor of another harbor, by handle and by name."""
        self.assertEqual(self.ask(FAR, "X", 1), [])
        self.remote.answer(self.remote.one(), "far")
        self.one.turn()
        self.assertEqual(self.client.take(), [(5, ("far",))])
        self.remote.known("FAR", FAR)
        self.assertEqual(self.ask("FAR", "X", 2), [])
        self.remote.answer(self.remote.one(), "named")
        self.one.turn()
        self.assertEqual(self.client.take(), [(5, ("named",))])
        self.ask("FAR", "Y", session=0)
        self.assertEqual(self.remote.one().values, ("Y",))
        self.ask("NOBODY", "X")
        self.one.later(31)
        self.assertIsInstance(self.client.take()[0][1], str)

    def test_gone(self) -> None:
        """A client that is gone does not get what comes then."""
        self.ask(self.passing, "PASS", FAR, "X", 7)
        sent = self.remote.one()
        self.client.close()
        self.one.turn()
        self.remote.take()
        self.remote.answer(sent, 1)
        self.one.turn()
        self.assertEqual(self.client.take(), [])


class BootTests(NodeTestCase):
    """What is asked while the node boots."""

    def setUp(self) -> None:
        self.cluster = FakeCluster()
        self.one = self.world(0, cluster=self.cluster, ready=False)
        self.client = self.cluster.client()

    def test_not_read(self) -> None:
        """Clients are read once the node is past the stage ``peers``."""
        self.assertFalse(self.cluster.serving)
        self.one.open_gate()
        self.assertTrue(self.cluster.serving)

    def test_before_it_has_started(self) -> None:
        """A request waits for the start of its actor, and for its name, in order."""
        self.one.open_gate()
        wait: Deferred[None] = Deferred()

        class Late(Echo):
            async def started(self) -> None:
                await wait
                await self.cluster.register("late")

        for n in (1, 2):
            self.client.ask("@late", "NOTE", n, session=n)
        self.client.ask(0, "late", session=3)
        late, actor = self.start(Late)
        self.client.ask("@late", "NOTE", 3, session=4)
        self.client.ask(int(late), "NOTE", 0, session=5)
        self.one.turn()
        self.assertEqual((self.client.take(), actor.got), ([], []))
        self.assertEqual(self.one.node.waits(), {"the end of the boot": 4})
        self.assertEqual(self.one.balance, 0)
        wait.callback(None)
        self.one.turn()
        self.assertEqual(actor.got, [0, 1, 2, 3])
        answers = dict(self.client.take())
        self.assertEqual(answers, {1: (), 2: (), 3: (int(late),), 4: (), 5: ()})

    def test_questions(self) -> None:
        """A question for a name that nobody has yet holds up no other question."""
        self.one.open_gate()
        _, actor = self.spawn(self.one, Echo)
        self.successResultOf(actor.cluster.register("echo"))
        handle = int(actor.handle)
        self.client.ask(0, "late", session=1)
        other: FakeClient = self.cluster.client()
        other.ask(0, "echo", session=1)
        self.assertEqual(other.take(), [(1, (handle,))])
        self.client.ask("@late", "ECHO", 2, session=2)
        self.assertEqual(self.client.take(), [])
        self.successResultOf(actor.cluster.register("late"))
        self.one.turn()
        self.assertEqual(self.client.take(), [(1, (handle,)), (2, (2,))])

    def start(self, kind: type[Echo]) -> tuple[int, Any]:
        """Start an actor that is not started at once."""
        self.one.node.spawn(kind).addErrback(lambda _: None)
        self.one.turn()
        (handle,) = (c.handle for c in self.one.node.actors() if c.kind is kind)
        return handle, self.one.actor(handle)

    def test_nobody(self) -> None:
        """What nobody has come for is refused at the end of the boot."""
        self.one.open_gate()
        addresses: list[int | str] = ["@nope", ".nope", 77]
        for n, address in enumerate(addresses, 1):
            self.client.ask(address, "NOTE", session=n)
        self.assertEqual(self.client.take(), [])
        self.one.settle()
        answers = dict(self.client.take())
        self.assertEqual(sorted(answers), [1, 2, 3])
        self.assertTrue(all(isinstance(text, str) for text in answers.values()))
        self.assertEqual(self.one.node.waits(), {})

    def test_full(self) -> None:
        """What waits for the end of the boot is bounded."""
        self.cluster = FakeCluster()
        limits = Limits(messages=2)
        self.one = self.world(0, cluster=self.cluster, ready=False, limits=limits)
        self.client = self.cluster.client()
        self.one.open_gate()
        addresses: list[int | str] = ["@a", 77, "@b", 78]
        for n, address in enumerate(addresses, 1):
            self.client.ask(address, "NOTE", session=n)
        self.assertEqual(sorted(dict(self.client.take())), [3, 4])
        self.one.settle()
        self.assertEqual(sorted(dict(self.client.take())), [1, 2])

    def test_full_of_bytes(self) -> None:
        """So are its bytes, by whatever addresses they came."""
        self.cluster = FakeCluster()
        limits = Limits(size=1000)
        self.one = self.world(0, cluster=self.cluster, ready=False, limits=limits)
        self.client = self.cluster.client()
        self.one.open_gate()
        addresses: list[int | str] = [77, "@a", "@b", 78]
        for n, address in enumerate(addresses, 1):
            self.client.ask(address, "NOTE", "x" * 400, session=n)
        self.assertEqual(sorted(dict(self.client.take())), [3, 4])
        self.one.settle()
        self.assertEqual(sorted(dict(self.client.take())), [1, 2])

    def test_client_gone(self) -> None:
        """What a client asked that is gone is dropped with it."""
        self.one.open_gate()
        other: FakeClient = self.cluster.client()
        self.client.ask("@late", "NOTE", 1)
        other.ask("@late", "NOTE", 2)
        self.client.close()
        self.one.turn()
        _, actor = self.spawn(self.one, Echo)
        self.successResultOf(actor.cluster.register("late"))
        self.one.turn()
        self.assertEqual(actor.got, [1, 2])
