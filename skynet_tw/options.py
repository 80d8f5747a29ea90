# -*- test-case-name: tests.test_options -*-
"""The options of ``twistd skynet``: read from the command line and a TOML file."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass, fields
from importlib import import_module
from typing import Any, NoReturn

from twisted.python import usage

from .addresses import split
from .boot import Start
from .errors import BadAddress
from .node.actor import Actor

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


#: The harbor protocols that a node can speak.
WIRES = ("modern", "2013")


@dataclass
class Config:
    """What a node is told, checked; addresses are still text."""

    harbor: int = 1
    master: str = "127.0.0.1:2013"
    standalone: str | None = None
    address: str = "127.0.0.1:2526"
    listen: str | None = None
    wire: str = "modern"
    start: tuple[str, ...] = ()
    path: str | None = None
    boot_timeout: float = 30.0
    call_timeout: float = 30.0


class Options(usage.Options):
    """The command line; after parsing, `config` holds what it and the file say."""

    synopsis = "[options]"
    longdesc = (
        "A Skynet node with actors in Python. Without options it is a whole network"
        " of one: the master and harbor 1 on loopback."
    )
    optParameters = [  # noqa: N815, RUF012
        ["harbor", None, None, "1-255; 0: a node with no harbor (1)"],
        ["master", None, None, "HOST:PORT where the master is (127.0.0.1:2013)"],
        ["standalone", None, None, "HOST:PORT: run the master in this node, too"],
        ["address", None, None, "HOST:PORT that others dial (127.0.0.1:2526)"],
        ["listen", None, None, "HOST:PORT that is bound, where that differs"],
        ["wire", None, None, "the harbor protocol: modern or 2013 (modern)"],
        ["path", None, None, "a directory to put in front of the import path"],
        [
            "boot-timeout",
            None,
            None,
            "seconds that the boot may take; 0: no limit (30)",
        ],
        ["call-timeout", None, None, "seconds a remote call may take; 0: none (30)"],
        ["config", None, None, "a TOML file with the same keys"],
    ]

    def __init__(self) -> None:
        super().__init__()
        self.starts: list[str] = []
        self.config = Config()

    def opt_start(self, text: str) -> None:
        """Start an actor, "pkg.module:Class arg ..."; may be given again, in order."""
        self.starts.append(text)

    def parseOptions(self, options: Sequence[str] | None = None) -> None:  # noqa: N802
        """Read the command line; what it cannot mean ends the program with one line."""
        try:
            super().parseOptions(options)
        except usage.UsageError as error:
            # twistd would print its whole help instead, and exit with 0.
            _give_up(str(error))

    def postOptions(self) -> None:  # noqa: N802
        """Merge and check; a bad value ends the program with one line."""
        try:
            given: dict[str, Any] = {}
            if self["config"] is not None:
                given.update(_read(self["config"]))
            given.update(
                (key.replace("-", "_"), value)
                for key, value in self.items()
                if value is not None and key != "config"
            )
            if self.starts:
                given["start"] = self.starts
            self.config = check(given)
        except (BadAddress, ValueError, OSError) as error:
            _give_up(str(error))


def _give_up(reason: str) -> NoReturn:
    raise SystemExit(f"skynet: {reason}")


def _read(path: str) -> dict[str, Any]:
    with open(path, "rb") as file:
        try:
            table = tomllib.load(file)
        except tomllib.TOMLDecodeError as error:
            raise ValueError(f"--config {path}: {error}") from error
    return {key.replace("-", "_"): value for key, value in table.items()}


def check(given: dict[str, Any]) -> Config:
    """Turn given values into a configuration.

    :raises ValueError: a value or a key is wrong; the text says which and why.
    """
    known = {field.name for field in fields(Config)}
    for key in given:
        if key not in known:
            raise ValueError(f"there is no option {key.replace('_', '-')!r}")
    config = Config(**given)
    config.harbor = _number("harbor", config.harbor, int)
    if not 0 <= config.harbor <= 255:
        raise ValueError(f"--harbor {config.harbor} is not in 0..255")
    config.boot_timeout = _seconds("boot-timeout", config.boot_timeout)
    config.call_timeout = _seconds("call-timeout", config.call_timeout)
    config.wire = str(config.wire)  # TOML: wire = 2013
    if config.wire not in WIRES:
        raise ValueError(f"--wire {config.wire!r} is not one of: {', '.join(WIRES)}")
    if not isinstance(config.start, (list, tuple)) or not all(
        isinstance(start, str) for start in config.start
    ):
        raise ValueError("start: a list of texts is wanted")
    if config.path is not None and not isinstance(config.path, str):
        raise ValueError(f"--path: {config.path!r} is not text")
    config.start = tuple(config.start)
    for name in ("master", "standalone", "address", "listen"):
        value = getattr(config, name)
        if value is None:
            continue
        if not isinstance(value, str):
            raise ValueError(f"--{name}: {value!r} is not text")
        try:
            where = split(value)
        except BadAddress as error:
            raise ValueError(f"--{name}: {error}") from error
        if name == "address" and where is None:
            raise ValueError(f"--address {value!r}: others can dial HOST:PORT only")
    if config.harbor == 0 and config.standalone is not None:
        raise ValueError("--standalone needs a --harbor of 1-255")
    if not {"harbor", "master", "standalone"} & given.keys():
        # Nobody spoke of a network: this node is one of its own.
        config.standalone = config.master
    elif config.standalone is not None and "master" not in given:
        config.master = config.standalone
    return config


def _number(name: str, value: Any, kind: type[Any]) -> Any:
    # TOML has booleans and fractions, which are not what they would be turned into.
    if not isinstance(value, bool) and (kind is float or not isinstance(value, float)):
        try:
            return kind(value)
        except (TypeError, ValueError):
            pass
    raise ValueError(f"--{name} {value!r} is not a number")


def _seconds(name: str, value: Any) -> float:
    seconds: float = _number(name, value, float)
    if not 0 <= seconds < float("inf"):
        raise ValueError(f"--{name} {value!r} is not a number of seconds")
    return seconds


def load_start(text: str) -> Start:
    """Import what ``--start`` names.

    :param text: ``pkg.module:Class arg ...``, words as in a shell.
    :raises ValueError: nothing of that name can be imported, or it is no actor.
    """
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise ValueError(f"--start {text!r}: {error}") from error
    name, args = (words[0], words[1:]) if words else ("", [])
    module_name, colon, class_name = name.partition(":")
    if not colon or not module_name or not class_name:
        raise ValueError(f"--start {text!r}: 'pkg.module:Class' is wanted")
    try:
        found: Any = import_module(module_name)
    except Exception as error:
        kind = type(error).__name__
        raise ValueError(f"--start {text!r}: {kind}: {error}") from error
    for part in class_name.split("."):
        try:
            found = getattr(found, part)
        except AttributeError:
            raise ValueError(
                f"--start {text!r}: module {module_name} has no {class_name!r}"
            ) from None
    if not (isinstance(found, type) and issubclass(found, Actor)):
        raise ValueError(f"--start {text!r}: {class_name} is not an Actor")
    return Start(found, tuple(args))
