# -*- test-case-name: tests.cli.test_options -*-
"""The command line of ``skynet-tw``: what is asked for, before anything happens."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar, NoReturn

from twisted.python import usage

from .. import __version__, addresses
from . import arguments


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked for."""

    #: The command: "call", "send", "query" or "ping".
    command: str
    #: Where the node is: HOST:PORT, or an endpoint string.
    address: str
    #: Whom of that node it is for, or the name that is looked for; "" for nobody.
    target: str | int
    #: The values of the message.
    values: tuple[Any, ...]
    #: The most seconds that it may take.
    timeout: float
    #: Whether the answer is written as JSON.
    json: bool

    @property
    def runs(self) -> bool:
        """Whether something of the other node's runs that a second time matters to."""
        return self.command in ("call", "send")

    def __str__(self) -> str:
        return f"{self.command} {self.address} {self.target}".rstrip()


class _Command(usage.Options):
    """What the commands share: HOST:PORT, the time limit, and how to write."""

    #: The words that a command wants, as its synopsis names them.
    wanted: ClassVar[tuple[str, ...]] = ("HOST:PORT",)
    #: A word that may follow.
    optional: ClassVar[tuple[str, ...]] = ()
    #: Any number of words that may follow.
    rest: ClassVar[tuple[str, ...]] = ()
    optParameters = [  # noqa: N815, RUF012
        ["timeout", "t", "5", "seconds that it may take"],
    ]
    optFlags = [  # noqa: N815, RUF012
        ["json", "j", "write results, and read arguments, as JSON"],
    ]

    def __init__(self) -> None:
        super().__init__()
        self.words: tuple[str, ...] = ()

    def getSynopsis(self) -> str:  # noqa: N802
        """One line: how the command is written."""
        optional = [f"[{word}]" for word in self.optional]
        assert self.parent is not None
        words = " ".join([*self.wanted, *optional, *self.rest])
        return f"Usage: skynet-tw {self.parent.subCommand} [options] {words}"

    def opt_version(self) -> NoReturn:
        """Print the version, and end."""
        _print_version()

    def parseArgs(self, *words: str) -> None:  # noqa: N802
        """Take the words behind the options.

        :raises usage.UsageError: there are too few or too many.
        """
        named = words[: len(self.wanted) + len(self.optional)]
        for word in named:
            if word.startswith("-"):
                raise usage.UsageError(f"{word}: options go before HOST:PORT")
        missing = self.wanted[len(words) :]
        if missing:
            raise usage.UsageError(f"{missing[0]} is missing")
        if len(words) > len(named) and not self.rest:
            raise usage.UsageError(f"{words[len(named)]!r} is too much")
        self.words = words

    def request(self, command: str) -> Request:
        """What is asked for.

        :raises ValueError: a word, or the time limit, means nothing.
        """
        address, *words = self.words
        addresses.split(address)
        return Request(
            command,
            address,
            self.target(words),
            self.values_of(words),
            _seconds(self["timeout"]),
            bool(self["json"]),
        )

    def target(self, words: list[str]) -> str | int:
        """Whom it is for: a number, or a name or handle as it stands."""
        text = words[0]
        # The number 10 and the handle :0000000a are the same service.
        return int(text) if text.isascii() and text.isdigit() else text

    def values_of(self, words: list[str]) -> tuple[Any, ...]:
        """The values of the message."""
        return ()


class _Message(_Command):
    """A message with arguments."""

    wanted = ("HOST:PORT", "TARGET")
    rest = ("[ARG ...]",)
    longdesc = (
        "TARGET is @name (registered with the cluster), .name (local to that node),"
        " :0000000a or 10 (a handle), or a global name. Each ARG is a number, true,"
        ' false, nil, "quoted text", a Lua table such as {1, x = "y"}, or any other'
        " word, which is text."
    )
    optFlags = [  # noqa: N815, RUF012
        ["string", "s", "take each argument as text"],
    ]

    def values_of(self, words: list[str]) -> tuple[Any, ...]:
        if self["json"] and self["string"]:
            raise ValueError("--json and --string: arguments have one form")
        form = "json" if self["json"] else "string" if self["string"] else "lua"
        return tuple(arguments.read(form, words[1:]))


class _Call(_Message):
    """Ask, and print the answer."""


class _Send(_Message):
    """Send a message that nobody answers."""


class _Query(_Command):
    """Print the handle of a name."""

    wanted = ("HOST:PORT", "NAME")
    longdesc = "NAME is one that was registered with the cluster, with or without @."

    def target(self, words: list[str]) -> str:
        return words[0].removeprefix("@")


class _Ping(_Command):
    """Measure how long a node takes to answer."""

    optional = ("NAME",)
    longdesc = "The node is asked for NAME; that it is not found is an answer as well."

    def target(self, words: list[str]) -> str:
        return words[0].removeprefix("@") if words else ""


class Options(usage.Options):
    """The whole command line; after parsing, `request` is what is asked for."""

    synopsis = "Usage: skynet-tw COMMAND [options] HOST:PORT ..."
    longdesc = (
        "Calls the actors and services of a node that listens for a cluster: ours, or a"
        " Skynet node in Lua. `skynet-tw COMMAND --help` has the options. Exit status:"
        " 0; 2 the command line is wrong; 3 not reached, nothing ran; 4 no answer, it"
        " may have run; 5 the other side answered with an error; 1 all else."
    )
    subCommands = [  # noqa: N815, RUF012
        ["call", None, _Call, "ask, and print the answer"],
        ["send", None, _Send, "send a message that nobody answers"],
        ["query", None, _Query, "print the handle of a name"],
        ["ping", None, _Ping, "measure how long a node takes to answer"],
    ]

    def opt_version(self) -> NoReturn:
        """Print the version, and end."""
        _print_version()

    def request(self) -> Request:
        """What is asked for.

        :raises usage.UsageError: nothing, or something that means nothing.
        """
        if self.subCommand is None:
            raise usage.UsageError("a command is missing: call, send, query or ping")
        command: _Command = self.subOptions
        try:
            return command.request(self.subCommand)
        except ValueError as error:
            raise usage.UsageError(str(error)) from error


def read(words: list[str]) -> Request:
    """Read a command line, without the name of the program.

    :raises usage.UsageError: it means nothing; the text says why in one line.
    :raises SystemExit: it asked for help or the version, which is printed.
    """
    options = Options()
    options.parseOptions(words)
    return options.request()


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds < math.inf:
        raise ValueError(f"--timeout: {text!r} is no number of seconds above 0")
    return seconds


def _print_version() -> NoReturn:
    print(f"skynet-tw {__version__}")
    raise SystemExit(0)
