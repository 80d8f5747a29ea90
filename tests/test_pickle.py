"""Errors and values survive copies, pickles, and the way to another process."""

from __future__ import annotations

import copy
import multiprocessing
import pickle
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from skynet_tw import errors
from skynet_tw.errors import OtherWire, PackError, SkynetError, TooLarge, UnpackError
from skynet_tw.handle import Handle
from skynet_tw.message import PType
from skynet_tw.node.limits import Limits
from skynet_tw.seri import LightUserdata, OddKey, RemoteObject
from skynet_tw.status import DeadLetter

#: How those are made whose arguments are not a text.
MADE: dict[type[SkynetError], Callable[[], SkynetError]] = {
    TooLarge: lambda: TooLarge(70, 60),
    OtherWire: lambda: OtherWire("2013", "modern"),
    UnpackError: lambda: UnpackError(7, "no"),
    PackError: lambda: PackError("argument 1", "no"),
}

VALUES: list[Any] = [
    Handle.of(3, 7),
    PType.LUA,
    Limits(messages=3),
    LightUserdata(2**64 - 1),
    RemoteObject(-5),
    OddKey(True),
    DeadLetter("lost", Handle.of(1, 1), "NAME", 10),
]

#: Each way there and back.
WAYS: list[Callable[[Any], Any]] = [
    copy.copy,
    copy.deepcopy,
    *(
        lambda value, n=n: pickle.loads(pickle.dumps(value, n))
        for n in range(2, pickle.HIGHEST_PROTOCOL + 1)
    ),
]


def all_errors() -> list[SkynetError]:
    """One of each class of errors that there is."""
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type)]
    kinds = [kind for kind in kinds if issubclass(kind, SkynetError)]
    made = [MADE[kind]() if kind in MADE else kind("a text") for kind in kinds]
    vars(made[0])["note"] = "of a user"
    return made


def state(error: SkynetError) -> tuple[Any, ...]:
    """What of an error has to be there again."""
    return type(error), str(error), error.args, vars(error), error.retry_safe


def echo(value: Any) -> Any:
    """What the other process does."""
    return value


class PickleTests(SynchronousTestCase):
    """The vocabulary, on its way."""

    def test_errors(self) -> None:
        """Errors keep their class, text and fields."""
        for error in all_errors():
            for way in WAYS:
                self.assertEqual(state(way(error)), state(error))

    def test_values(self) -> None:
        """Values are equal afterwards, and of the same class."""
        for value in VALUES:
            for way in WAYS:
                got = way(value)
                self.assertEqual((type(got), got), (type(value), value))

    def test_process(self) -> None:
        """All of it goes to another process and comes back."""
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(1, mp_context=context) as pool:
            got = pool.submit(echo, (all_errors(), VALUES)).result()
        self.assertEqual([*map(state, got[0])], [*map(state, all_errors())])
        self.assertEqual(got[1], VALUES)
