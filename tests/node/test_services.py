"""SERVICE, byte by byte as real nodes ask it, and what it asks of their managers."""

from __future__ import annotations

from typing import Any

from skynet_tw import seri
from skynet_tw.errors import RemoteError
from skynet_tw.handle import Handle
from skynet_tw.message import PType
from skynet_tw.node.actor import Actor
from skynet_tw.node.limits import Limits
from skynet_tw.node.services import MAX_NAME, UniqueServices

from .support import NodeTestCase, Sent

FAR = Handle(0x0200000A)
#: The managers of two real nodes, and services that they start.
ONE, TWO = Handle(0x02000005), Handle(0x03000005)
STARTED, ANOTHER = Handle(0x02000020), Handle(0x03000020)


class ServiceCase(NodeTestCase):
    """A node with SERVICE, and two others which are real ones as far as it can see."""

    def start(self, **options: Any) -> None:
        self.one = self.world(**options)
        self.remote = self.one.remote
        self.remote.up(2)
        self.remote.up(3)
        spawned = self.one.node.spawn(UniqueServices)
        self.assertNoResult(spawned)
        self.remote.echo()
        self.handle = self.successResultOf(spawned)
        self.actor: UniqueServices = self.one.actor(self.handle)

    def setUp(self) -> None:
        self.start()

    def sent(self, *values: Any, session: int = 7, source: int = FAR) -> list[Sent]:
        """What is sent to anybody when this is asked."""
        self.remote.receive(self.handle, *values, session=session, source=source)
        return self.remote.take()

    def ask(self, *values: Any, **rest: Any) -> tuple[Any, ...]:
        """The answer's values."""
        [answer] = self.sent(*values, **rest)
        self.assertEqual(answer.ptype, PType.RESPONSE, values)
        return answer.values

    def report(self, *managers: int) -> None:
        """These have booted so far."""
        for manager in managers:
            self.assertEqual(self.ask("REPORT", manager, source=manager), (None,))

    def launch(self, *values: Any, to: int = ONE, **rest: Any) -> tuple[Sent, Any]:
        """Ask for a launch: what is asked of a manager, and its values."""
        [asked] = self.sent("LAUNCH", *values, **rest)
        self.assertEqual((asked.destination, asked.ptype), (to, PType.LUA))
        return asked, asked.values

    def answered(self, asked: Sent, *values: Any) -> list[tuple[int, tuple[Any, ...]]]:
        """A manager answers: who of the others is answered then, and how."""
        self.remote.answer(asked, *values)
        return [(one.session, one.values) for one in self.remote.take()]


class RequestTests(ServiceCase):
    """What another node's bootstrap and its manager ask (harbor-modern, section 8)."""

    def test_named(self) -> None:
        """Its global name is SERVICE."""
        query = self.one.node.client().query("SERVICE")
        self.assertEqual(self.successResultOf(query), self.handle)

    def test_report(self) -> None:
        """REPORT is answered with one nil: a payload of one zero byte."""
        self.assertEqual(
            self.sent("REPORT", ONE),
            [Sent(FAR, self.handle, PType.RESPONSE, 7, b"\0")],
        )
        self.assertEqual(self.actor.reported, {2: ONE})

    def test_nobody_launches(self) -> None:
        """LAUNCH where no node has reported is nil and a text."""
        nothing, text = self.ask("LAUNCH", "@cluster", 1)
        self.assertIsNone(nothing)
        self.assertIn("@cluster", text)

    def test_anything_else(self) -> None:
        """Anything else is nil and a text, as in a real node."""
        for values in [
            *(("NEVER",), (), (1, 2), ("LAUNCH",), ("QUERY", 5), ("LAUNCH", "@")),
            *(("LAUNCH", "@snaxd"), ("QUERY", "@snaxd", 5), ("REPORT", "x")),
            *(("REPORT", 0), ("REPORT", True), ("QUERY", "@" + "x" * MAX_NAME)),
        ]:
            nothing, text = self.ask(*values)
            self.assertIsNone(nothing)
            self.assertIsInstance(text, str)
        self.assertEqual(self.actor.reported, {})


class OfferTests(ServiceCase):
    """Unique services that Python actors are."""

    def offer(self, name: str) -> Actor:
        """An actor of this node offers itself."""
        client = self.one.node.client()
        answer = self.call(self.one, "SERVICE", "OFFER", name, client.handle)
        self.assertEqual(answer, client.handle)
        return client

    def test_offered(self) -> None:
        """What an actor offers is found by LAUNCH, QUERY and LIST."""
        self.assertEqual(self.ask("LIST"), ({},))
        self.assertEqual(self.sent("QUERY", "@tool"), [])
        tool = self.offer("@tool").handle
        self.assertEqual(self.remote.one().values, (tool,))
        self.assertEqual(self.ask("QUERY", "@tool"), (tool,))
        self.assertEqual(self.ask("LAUNCH", "@tool", 1), (tool,))
        self.assertEqual(self.ask("GLAUNCH", "tool"), (tool,))
        self.assertEqual(self.ask("GQUERY", "tool"), (tool,))
        self.assertEqual(self.ask("LIST"), ({"@tool": str(tool)},))

    def test_snax(self) -> None:
        """A snax service is offered as "@snaxd.name"."""
        tool = self.offer("@snaxd.chat").handle
        self.assertEqual(self.ask("LAUNCH", "@snaxd", "chat", 1), (tool,))
        self.assertEqual(self.ask("QUERY", "@snaxd", "chat"), (tool,))
        self.assertEqual(self.ask("GQUERY", "snaxd", "chat"), (tool,))

    def test_2013(self) -> None:
        """A node of 2013, which says no more than the name, finds it as well."""
        tool = self.offer("@tool").handle
        self.assertEqual(self.ask("tool", 1), (tool,))

    def test_ended(self) -> None:
        """When the actor has ended, the service is there no more."""
        self.offer("@tool").exit()
        self.one.turn()
        self.assertEqual(self.sent("QUERY", "@tool"), [])
        self.assertIsNone(self.ask("LAUNCH", "@tool")[0])
        again = self.offer("@tool").handle
        self.assertEqual(self.remote.one().values, (again,))

    def test_mistakes(self) -> None:
        """An OFFER without a name or a handle is an error to who made it."""
        client = self.one.node.client()
        for values in [("@", 5), ("@tool", "x"), (None, 5)]:
            called = client.call(self.handle, "OFFER", *values)
            self.one.turn()
            self.failureResultOf(called, RemoteError)
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 3)

    def test_offered_while_launching(self) -> None:
        """An actor that offers itself while a launch is under way is the one."""
        self.report(ONE)
        asked, _ = self.launch("@tool")
        tool = self.offer("@tool").handle
        self.assertEqual(self.remote.one().values, (tool,))
        self.assertEqual(self.answered(asked, STARTED), [])
        self.assertEqual(self.ask("QUERY", "@tool"), (tool,))


class LaunchTests(ServiceCase):
    """Unique services that real nodes start for the network."""

    def setUp(self) -> None:
        super().setUp()
        self.report(ONE, TWO)

    def test_launch(self) -> None:
        """A LAUNCH is passed on to the manager of the node that asks, and kept."""
        for source, manager in ((FAR, ONE), (ANOTHER, TWO)):
            name = f"@chat{manager}"
            asked, values = self.launch(name, 1, None, "x", to=manager, source=source)
            self.assertEqual(values[0], "LAUNCH")
            # A real node's launcher reads over the blank space, its table does not.
            self.assertEqual(values[1].split(), [name])
            self.assertNotEqual(values[1], name)
            self.assertEqual(values[2:], (1, None, "x"))
            self.assertEqual(self.answered(asked, STARTED), [(7, (STARTED,))])
            for kind in ("LAUNCH", "QUERY"):
                self.assertEqual(self.ask(kind, name), (STARTED,))

    def test_for_others(self) -> None:
        """A LAUNCH of a node that has no manager goes to the first that reported."""
        called = self.one.node.client().call(self.handle, "LAUNCH", "@chat")
        self.one.turn()
        asked = self.remote.one()
        self.assertEqual(asked.destination, ONE)
        self.remote.answer(asked, STARTED)
        self.assertEqual(self.successResultOf(called), STARTED)

    def test_once(self) -> None:
        """Who else wants it meanwhile waits for the same launch."""
        self.assertEqual(self.sent("QUERY", "@chat", session=1), [])
        asked, _ = self.launch("@chat", session=2)
        self.assertEqual(self.sent("LAUNCH", "@chat", session=3, source=ANOTHER), [])
        self.assertEqual(self.sent("QUERY", "@chat", session=4), [])
        self.assertEqual(self.sent("QUERY", "@other", session=5), [])
        answers = self.answered(asked, STARTED)
        self.assertEqual(sorted(answers), [(n, (STARTED,)) for n in (1, 2, 3, 4)])

    def test_time(self) -> None:
        """A launch may take its time, as in a real node."""
        asked, _ = self.launch("@chat")
        self.one.later(300)
        self.assertEqual(self.answered(asked, STARTED), [(7, (STARTED,))])

    def test_fails(self) -> None:
        """A failure reaches all who wait, as the manager said it, and is not kept.

        A real manager never starts again what failed once under a name: each attempt
        has another.
        """
        self.assertEqual(self.sent("QUERY", "@chat", session=1), [])
        names = set()
        for waiting in ((1, 7), (7,)):
            asked, values = self.launch("@chat")
            names.add(values[1])
            answers = self.answered(asked, None, "chat.lua:1: no")
            self.assertEqual(answers, [(n, (None, "chat.lua:1: no")) for n in waiting])
        self.assertEqual(len(names), 2)
        self.assertEqual(self.sent("QUERY", "@chat", session=1), [])
        asked, _ = self.launch("@chat")
        answers = self.answered(asked, STARTED)
        self.assertEqual(answers, [(1, (STARTED,)), (7, (STARTED,))])

    def test_odd_answers(self) -> None:
        """A manager that answers with no handle has not launched anything."""
        for values in [(), ("x",), (0,), (True,), (2**40,), ({},), (None,), (1, 2)]:
            asked, _ = self.launch("@chat")
            [(_, answer)] = self.answered(asked, *values)
            self.assertIsNone(answer[0], values)
            self.assertIsInstance(answer[1], str)

    def test_next(self) -> None:
        """If a manager is gone, the next is asked; if all are, that is the answer."""
        for gone in ("it exited", "link", "harbor"):
            with self.subTest(gone):
                self.start()
                self.report(ONE, TWO)
                asked, _ = self.launch("@chat")
                if gone == "it exited":
                    self.refuse(asked)
                elif gone == "link":
                    self.remote.lost(2)
                else:
                    self.remote.lost(2)
                    self.remote.gone(2)
                asked = self.remote.one()
                self.assertEqual(asked.destination, TWO)
                self.refuse(asked)
                if gone == "it exited":
                    [sent] = self.remote.take()
                    self.assertIsNone(sent.values[0])
                    self.assertIn("@chat", sent.values[1])

    def refuse(self, asked: Sent) -> None:
        """Nobody is there any more to ask."""
        self.remote.receive(
            asked.source,
            source=asked.destination,
            session=asked.session,
            ptype=PType.ERROR,
            payload=b"",
        )

    def test_snax(self) -> None:
        """For a snax service a manager starts "snaxd", which is then initialised."""
        asked, values = self.launch("@snaxd", "chat", 1, "x")
        self.assertEqual(values[1].split(), ["@snaxd"])
        self.assertEqual(values[2:], ("chat",))
        self.assertEqual(self.sent("QUERY", "@snaxd", "chat", session=1), [])
        self.remote.answer(asked, STARTED)
        init = self.remote.one()
        self.assertEqual((init.destination, init.ptype), (STARTED, PType.SNAX))
        self.assertEqual(init.values, (1, 1, "x"))
        answers = self.answered(init)
        self.assertEqual(answers, [(7, (STARTED,)), (1, (STARTED,))])

    def test_snax_fails(self) -> None:
        """A snax service whose init fails is none; the next LAUNCH tries again."""
        asked, _ = self.launch("@snaxd", "chat")
        self.remote.answer(asked, STARTED)
        self.refuse(self.remote.one())
        nothing, text = self.remote.one().values
        self.assertIsNone(nothing)
        self.assertIn("chat", text)
        self.launch("@snaxd", "chat")

    def test_unpackable(self) -> None:
        """Arguments that cannot be passed on are a failure, not a node that is gone."""
        deep: Any = 1
        for _ in range(40):
            deep = [deep]
        payload = seri.pack("LAUNCH", "@chat", deep, max_depth=60)
        self.remote.receive(self.handle, payload=payload, session=7)
        self.assertIn("deep", self.remote.one().values[1])

    def test_manager_comes_back(self) -> None:
        """A node that is gone and reports again launches again, also what it had."""
        asked, _ = self.launch("@chat")
        self.answered(asked, STARTED)
        asked, _ = self.launch("@other", to=TWO, source=ANOTHER)
        self.answered(asked, ANOTHER)
        self.actor._callers_gone(lambda handle: handle >> 24 == 2)
        self.assertEqual(self.actor.reported, {3: TWO})
        self.assertEqual(self.ask("QUERY", "@other"), (ANOTHER,))
        asked, _ = self.launch("@chat", to=TWO)
        self.answered(asked, None, "no")
        self.report(ONE)
        asked, _ = self.launch("@chat")
        self.assertEqual(self.answered(asked, STARTED), [(7, (STARTED,))])

    def test_callers_gone(self) -> None:
        """Who waits in a place that is gone is forgotten; a launch goes on."""
        self.assertEqual(self.sent("QUERY", "@never"), [])
        asked, _ = self.launch("@chat", source=ANOTHER, to=TWO)
        self.assertEqual(self.sent("QUERY", "@chat", session=2), [])
        self.actor._callers_gone(lambda handle: handle in (FAR, ANOTHER))
        self.assertEqual(len(self.actor.waits), 0)
        self.assertEqual(self.answered(asked, STARTED), [])
        self.assertEqual(self.ask("QUERY", "@chat"), (STARTED,))

    def test_own_actors_stay(self) -> None:
        """A manager or a service in this node is gone when it has ended, not before."""
        client = self.one.node.client()
        for values in [("OFFER", "@tool", client.handle), ("REPORT", client.handle)]:
            self.call(self.one, "SERVICE", *values)
        self.actor._callers_gone(lambda handle: False)
        self.assertEqual(self.actor.reported[1], client.handle)
        self.assertEqual(self.ask("QUERY", "@tool"), (client.handle,))
        client.exit()
        self.one.turn()
        self.actor._callers_gone(lambda handle: False)
        self.assertNotIn(1, self.actor.reported)
        self.assertEqual(self.actor.unique, {})

    def test_bounds(self) -> None:
        """At the limit of what may wait, who comes is told so at once."""
        self.start(limits=Limits(messages=2))
        self.report(ONE)
        self.assertEqual(self.sent("QUERY", "@never", session=1), [])
        asked, _ = self.launch("@chat", session=2)
        for kind in ("QUERY", "LAUNCH"):
            self.assertIsNone(self.ask(kind, "@chat")[0])
        self.answered(asked, STARTED)
        self.assertEqual(self.sent("QUERY", "@never", session=3), [])

    def test_end(self) -> None:
        """When SERVICE ends during a launch, all who wait are told."""
        self.launch("@chat", session=1)
        self.assertEqual(self.sent("QUERY", "@never", session=2), [])
        self.actor.exit()
        self.one.turn()
        ends = [one for one in self.remote.take() if one.session]
        self.assertEqual([one.ptype for one in ends], [PType.ERROR] * 2)
        self.assertEqual(len(self.actor.waits), 0)


class ListTests(ServiceCase):
    """What there is, for people who look."""

    def listing(self, *answers: Any) -> Any:
        """LIST, and each manager's answer to it, None for none."""
        asked = self.sent("LIST")
        self.assertEqual([one.values for one in asked], [("LIST",)] * len(answers))
        for one, answer in zip(asked, answers, strict=True):
            if answer is not None:
                self.remote.answer(one, answer)
        self.one.later(6)
        return self.remote.one().values[0]

    def test_managers(self) -> None:
        """Each manager's own services stand in it, with its harbor's number."""
        self.report(ONE, TWO)
        first = {"@chat": ":02000020", "tool": ":02000021"}
        self.assertEqual(
            self.listing(first, {"@chat": ":02000020"}),
            {"@chat@2": ":02000020", "tool@2": ":02000021", "@chat@3": ":02000020"},
        )

    def test_silent(self) -> None:
        """A manager that does not answer, or with no list, is left out."""
        self.report(ONE, TWO)
        self.assertEqual(self.listing(None, {"a": "b"}), {"a@3": "b"})
        self.assertEqual(self.listing([1, 2], {5: "b"}), {})

    def test_own(self) -> None:
        """What was launched, and what is waited for; not our names for launches."""
        self.report(ONE)
        asked, values = self.launch("@chat")
        self.remote.receive(self.handle, "QUERY", "@never", source=TWO, session=2)
        listed = self.listing({})
        self.assertIn("launching", listed["@chat"])
        self.assertIn(str(FAR), listed["@chat"])
        self.assertIn(str(TWO), listed["@never"])
        self.assertEqual(self.answered(asked, STARTED), [(7, (STARTED,))])
        listed = self.listing({"@chat": str(STARTED), values[1]: str(STARTED)})
        del listed["@never"]
        self.assertEqual(listed, {"@chat": str(STARTED), "@chat@2": str(STARTED)})

    def test_crowd(self) -> None:
        """Of a crowd that waits for one name, a few are named."""
        for n in range(1000):
            self.remote.receive(self.handle, "QUERY", "@never", session=n + 10)
        [listed] = self.ask("LIST")
        self.assertLess(len(listed["@never"]), 200)
