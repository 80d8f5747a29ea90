"""DATACENTER, byte by byte as real nodes ask it."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from skynet_tw import seri
from skynet_tw.errors import RemoteError
from skynet_tw.handle import Handle
from skynet_tw.message import PType
from skynet_tw.node.datacenter import DataCenter
from skynet_tw.node.limits import Limits
from skynet_tw.seri import OddKey

from ..lua import form
from .support import NodeTestCase, Sent, World

FAR = Handle(0x0200000A)
OTHER = Handle(0x0300000B)
RECORDED = Path(__file__).parents[1] / "data" / "datacenter.json"


class DataCenterCase(NodeTestCase):
    """A node with a data center, and another node that asks it."""

    def start(self, **options: Any) -> None:
        self.one = self.world(**options)
        self.remote = self.one.remote
        self.remote.up(2)
        self.remote.up(3)
        spawned = self.one.node.spawn(DataCenter)
        self.remote.echo()
        self.handle = self.successResultOf(spawned)
        self.actor: DataCenter = self.one.actor(self.handle)

    def setUp(self) -> None:
        self.start()

    def sent(self, *values: Any, session: int = 7, source: int = FAR) -> list[Sent]:
        """What is sent to anybody when this is asked."""
        self.remote.receive(self.handle, *values, session=session, source=source)
        return self.remote.take()

    def ask(self, *values: Any) -> tuple[Any, ...]:
        """The answer's values."""
        [answer] = self.sent(*values)
        self.assertEqual(answer.ptype, PType.RESPONSE, values)
        return answer.values

    def refused(self, *values: Any) -> None:
        """It is answered with an error."""
        [answer] = self.sent(*values)
        self.assertEqual(answer.ptype, PType.ERROR, values)
        self.assertEqual(len(self.flushLoggedErrors()), 1)


class ValueTests(DataCenterCase):
    """Reading and writing (harbor-modern, section 8)."""

    def test_values(self) -> None:
        """UPDATE answers the old value or nothing, QUERY the value or nothing."""
        self.assertEqual(self.ask("UPDATE", "a", 1), ())
        self.assertEqual(self.ask("QUERY", "a"), (1,))
        self.assertEqual(self.ask("UPDATE", "a", 2), (1,))
        self.assertEqual(self.ask("QUERY", "b"), ())
        self.assertEqual(self.ask("QUERY"), ())

    def test_paths(self) -> None:
        """Paths make branches; a branch is a table; below it, nothing is a nil."""
        self.ask("UPDATE", "a", "b", "c", 1)
        self.assertEqual(self.ask("QUERY", "a", "b", "c"), (1,))
        self.assertEqual(self.ask("QUERY", "a"), ({"b": {"c": 1}},))
        self.assertEqual(self.ask("QUERY", "a", "x", "c"), (None,))
        self.assertEqual(self.ask("QUERY", "a", None, "c"), ({"b": {"c": 1}},))

    def test_nil(self) -> None:
        """A nil removes the value, and so does no value."""
        for nothing in [(None,), ()]:
            self.ask("UPDATE", "a", 1)
            self.assertEqual(self.ask("UPDATE", "a", *nothing), (1,))
            self.assertEqual(self.ask("QUERY", "a"), ())
            self.assertEqual(self.ask("UPDATE", "a", *nothing), (None,))

    def test_false(self) -> None:
        """A false value is a value."""
        self.ask("UPDATE", "a", False)
        self.assertEqual(self.ask("QUERY", "a"), (False,))
        self.assertEqual(self.ask("WAIT", "a"), (False,))
        self.assertEqual(self.ask("UPDATE", "a", 1), (False,))

    def test_list(self) -> None:
        """What was set as a list is read and changed by index."""
        self.ask("UPDATE", "list", [10, 20, 30])
        self.assertEqual(self.ask("QUERY", "list", 2), (20,))
        self.assertEqual(self.ask("UPDATE", "list", 4, 40), ())
        self.assertEqual(self.ask("QUERY", "list"), ([10, 20, 30, 40],))

    def test_booleans(self) -> None:
        """True is not 1 and false is not 0, in paths and in tables."""
        for key in (True, 1, False, 0, "1"):
            self.assertEqual(self.ask("UPDATE", "b", key, f"for {key!r}"), ())
        for key in (True, 1, False, 0, "1"):
            self.assertEqual(self.ask("QUERY", "b", key), (f"for {key!r}",))
        [whole] = self.sent("QUERY", "b")
        self.ask("UPDATE", "c", *whole.values)
        for key in (True, 1, False, 0, "1"):
            self.assertEqual(self.ask("QUERY", "c", key), (f"for {key!r}",))

    def test_mistakes(self) -> None:
        """A path through a value, or with a key that cannot be, is an error."""
        self.ask("UPDATE", "a", 1)
        for values in [
            ("UPDATE", "a", "b", 2),
            ("UPDATE", "a", "b", None),
            ("UPDATE",),
            ("UPDATE", None, 1),
            ("UPDATE", "x", math.nan, 1),
            ("QUERY", "a", "b"),
            ("WAIT", "a", "b"),
            ("WAIT",),
            ("WAIT", math.nan),
        ]:
            self.refused(*values)
        self.assertEqual(self.ask("QUERY", "a"), (1,))

    def test_local(self) -> None:
        """An actor of the same node is told of its mistake, and of nothing else."""
        client = self.one.node.client()
        for values, error in [(("a", 1), None), (("a", "b", 2), RemoteError)]:
            called = client.call(self.handle, "UPDATE", *values)
            self.one.turn()
            if error is None:
                self.assertIsNone(self.successResultOf(called))
            else:
                self.failureResultOf(called, error)
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)


class WaitTests(DataCenterCase):
    """Waiting for a value that nobody has set yet."""

    def answers(self, *values: Any) -> list[tuple[int, int, tuple[Any, ...]]]:
        """Ask with session 99; who is answered before, and how."""
        sent = [one for one in self.sent(*values, session=99) if one.session != 99]
        return [(one.session, one.ptype, one.values) for one in sent]

    def waits(self, session: int, *path: Any, source: int = FAR) -> None:
        """Wait for a path; there is no answer yet."""
        self.assertEqual(self.sent("WAIT", *path, session=session, source=source), [])

    def test_wait(self) -> None:
        """WAIT is answered when the value is set, for all who wait, in order."""
        for session in (1, 2):
            self.waits(session, "a", "b")
        self.assertEqual(self.answers("UPDATE", "a", "c", 0), [])
        woken = self.answers("UPDATE", "a", "b", 5)
        self.assertEqual(woken, [(1, 1, (5,)), (2, 1, (5,))])
        self.assertEqual(self.answers("UPDATE", "a", "b", 6), [])

    def test_set(self) -> None:
        """WAIT for what is set is answered at once, a table as well."""
        self.ask("UPDATE", "a", "b", 5)
        self.assertEqual(self.ask("WAIT", "a", "b"), (5,))
        self.assertEqual(self.ask("WAIT", "a"), ({"b": 5},))

    def test_inside(self) -> None:
        """WAIT inside a table, and in a list, is answered."""
        self.ask("UPDATE", "t", {"x": {}, "list": [1]})
        self.waits(1, "t", "x", "y")
        self.waits(2, "t", "list", 2)
        self.assertEqual(self.answers("UPDATE", "t", "x", "y", [7]), [(1, 1, ([7],))])
        self.assertEqual(self.answers("UPDATE", "t", "list", 2.0, 7), [(2, 1, (7,))])

    def test_keys(self) -> None:
        """Who waits for true is not woken by 1, nor by "1"."""
        for session, key in enumerate((True, 1, "1", False, 0), 1):
            self.waits(session, "a", key)
        for session, key in enumerate((True, 1, "1", False, 0), 1):
            woken = self.answers("UPDATE", "a", key, session)
            self.assertEqual(woken, [(session, 1, (session,))])

    def test_became_a_branch(self) -> None:
        """WAIT for what becomes a branch is an error, as in a real node."""
        self.waits(1, "a")
        self.assertEqual(self.answers("UPDATE", "a", "b", 5), [(1, 7, ())])
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)

    def test_on_a_branch(self) -> None:
        """WAIT below or above a path that others wait for is an error at once."""
        self.waits(1, "a", "b")
        self.refused("WAIT", "a")
        self.refused("WAIT", "a", "b", "c")
        self.waits(2, "a", "c")
        self.answers("UPDATE", "a", "b", 5)
        self.answers("UPDATE", "a", None)
        self.refused("WAIT", "a")
        # A real node answers this with an error for ever after; we forget the branch.
        self.answers("UPDATE", "a", "c", 5)
        self.answers("UPDATE", "a", None)
        self.waits(3, "a")

    def test_table_above(self) -> None:
        """A table that is set above does not wake who waits for something in it."""
        self.waits(1, "u", "v")
        self.assertEqual(self.answers("UPDATE", "u", {"v": 3}), [])
        self.assertEqual(self.ask("QUERY", "u", "v"), (3,))

    def test_callers_gone(self) -> None:
        """Waits of callers that are gone are forgotten, without answer or log."""
        self.waits(1, "a", "b")
        self.waits(2, "a", "b", source=OTHER)
        self.actor._callers_gone(lambda handle: handle >> 24 == 2)
        self.assertEqual(len(self.actor.waits), 1)
        self.assertEqual(self.answers("UPDATE", "a", "b", 5), [(2, 1, (5,))])

    def test_branch_forgotten(self) -> None:
        """With the last one who waits below it, a branch is forgotten."""
        self.waits(1, "a", "b", "c")
        self.actor._callers_gone(lambda handle: True)
        self.waits(2, "a")

    def test_bounds(self) -> None:
        """At the limit of what may wait, who comes is told so at once."""
        self.start(limits=Limits(messages=3))
        for session in (1, 2, 3):
            self.waits(session, "a")
        self.refused("WAIT", "b")
        self.answers("UPDATE", "a", 1)
        self.waits(4, "b")

    def test_end(self) -> None:
        """When the actor ends, all who wait are told, and nothing is kept."""
        self.waits(1, "a", "b")
        self.actor.exit()
        self.one.turn()
        self.assertEqual([one.ptype for one in self.remote.take()], [PType.ERROR])
        self.assertEqual(len(self.actor.waits), 0)


class RecordedTests(DataCenterCase):
    """What a real data center answered, see tests/data."""

    def test_recorded(self) -> None:
        """Each request has the answers of a real one.

        Among those of one request, ours to the requests that waited come last: who is
        woken runs when who wakes has gone on.
        """
        for sequence in json.loads(RECORDED.read_text()):
            for number, step in enumerate(sequence):
                payload = bytes.fromhex(step["request"])
                self.remote.receive(self.handle, payload=payload, session=number + 1)
                ours = [(a.session - 1, a.ptype, a.payload) for a in self.remote.take()]
                real = [(a, b, bytes.fromhex(c)) for a, b, c in step["answers"]]
                asked = seri.unpack(payload)
                self.assertEqual(_shown(ours), _shown(real), (asked, sequence[:number]))
        self.flushLoggedErrors()


def _shown(answers: list[tuple[int, int, bytes]]) -> list[tuple[int, int, str]]:
    # Hash keys stand in an order that differs from run to run; an error's text is ours.
    return sorted(
        (n, kind, "" if kind == PType.ERROR else form(seri.unpack(data)))
        for n, kind, data in answers
    )


#: Few keys, so that paths meet; equal ones of Python, and of Lua.
KEYS = st.sampled_from(["a", "b", 1, 2, True, False, 0, "1", 1.0, 2.5])
VALUES = st.recursive(
    st.sampled_from([None, 1, 2, "a", "b", True, False, 7.5]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["a", "b", 2]), inner, max_size=3)
    ),
    max_leaves=5,
)
PATHS = st.lists(KEYS, min_size=1, max_size=3)
STEPS = st.lists(
    st.tuples(st.sampled_from(["QUERY", "WAIT"]), PATHS)
    | st.tuples(st.just("UPDATE"), PATHS, VALUES),
    min_size=1,
    max_size=25,
)


def _first(answer: tuple[int, Any]) -> int:
    return answer[0]


class Failed(Exception):
    """A real data center raises an error."""


class Model:
    """A real data center, as simple as can be; `RecordedTests` says what it does.

    Tables are dicts, with keys that are different in Python if they are in Lua.  Of
    waiting it knows only lists, and tries all of them.
    """

    def __init__(self) -> None:
        self.root: dict[Any, Any] = {}
        self.waiting: list[tuple[int, tuple[Any, ...]]] = []

    def step(self, number: int, kind: str, *given: Any) -> list[tuple[int, Any]]:
        """Who is answered by a request, and with what; None for an error."""
        try:
            return list(getattr(self, kind)(number, *given))
        except Failed:
            return [(number, None)]

    def QUERY(self, number: int, path: list[Any]) -> Any:
        yield number, self.find(path)

    def UPDATE(self, number: int, path: list[Any], value: Any) -> Any:
        *branches, leaf = map(_key, path)
        here = self.root
        for key in branches:
            here = here.setdefault(key, {})
            if not isinstance(here, dict):
                raise Failed
        before = here.pop(leaf, None)
        if value is not None:
            here[leaf] = _kept(value)
        if before is not None or value is None:
            yield number, (_form(before),)
            return
        way = (*branches, leaf)
        answers = [(n, w) for n, w in self.waiting if w in _starts(way, value)]
        self.waiting = [wait for wait in self.waiting if wait not in answers]
        for n, waited in answers:
            yield n, (_form(_kept(value)),) if waited == way else None
        yield number, ()

    def WAIT(self, number: int, path: list[Any]) -> Any:
        found = self.find(path)
        if found not in ((), ("None",)):
            yield number, found
            return
        way = tuple(map(_key, path))
        for _, other in self.waiting:
            short = min(len(way), len(other))
            if way[:short] == other[:short] and way != other:
                raise Failed
        self.waiting.append((number, way))

    def find(self, path: list[Any]) -> tuple[str, ...]:
        here: Any = self.root
        for depth, key in enumerate(path):
            if here is None:
                break
            if isinstance(here, str):
                here = None
            elif isinstance(here, dict):
                here = here.get(_key(key))
            else:
                raise Failed
            if depth == 0 and here is None:
                return ()
        return (_form(here),)


def _key(key: Any) -> str:
    key = key.value if isinstance(key, OddKey) else key
    return form(float(key)) if type(key) in (int, float) else form(key)


def _kept(value: Any) -> Any:
    """A value of an answer, as the model has it."""
    if isinstance(value, list):
        value = dict(enumerate(value, 1))
    if isinstance(value, dict):
        return {_key(k): _kept(v) for k, v in value.items() if v is not None}
    return value


def _form(value: Any) -> str:
    """Write a value of the model so that equal texts mean equal values."""
    if isinstance(value, dict):
        return str(sorted((key, _form(inner)) for key, inner in value.items()))
    return form(value)


def _starts(way: tuple[Any, ...], value: Any) -> list[tuple[Any, ...]]:
    """The paths on the way, itself, and the one on which the value is a key."""
    starts = [way[:length] for length in range(1, len(way) + 1)]
    return starts if isinstance(value, (list, dict)) else [*starts, (*way, _key(value))]


class ModelTests(DataCenterCase):
    """Random requests."""

    @given(STEPS)
    def test_model(self, steps: list[tuple[Any, ...]]) -> None:
        """Each request has the answers of the model."""
        world = World()
        world.remote.up(2)
        spawned = world.node.spawn(DataCenter)
        world.remote.echo()
        handle = self.successResultOf(spawned)
        model = Model()
        for number, (kind, path, *value) in enumerate(steps, 1):
            world.remote.receive(handle, kind, *path, *value, session=number)
            ours = [
                (
                    sent.session,
                    tuple(_form(_kept(one)) for one in sent.values)
                    if sent.ptype == PType.RESPONSE
                    else None,
                )
                for sent in world.remote.take()
            ]
            theirs = model.step(number, kind, path, *value)
            self.assertEqual(sorted(ours, key=_first), sorted(theirs, key=_first))
        waits = world.actor(handle).waits
        self.assertEqual(len(waits), len(model.waiting))
        waits.callers_gone(lambda caller: True)
        self.assertEqual((len(waits), waits._below), (0, {}))
        self.assertEqual(world.balance, 0)
        world.node.stop()
        self.flushLoggedErrors(ValueError)
