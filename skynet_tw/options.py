# -*- test-case-name: tests.test_options -*-
"""The command line of ``twistd skynet``, and what its ``--start`` names."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from importlib import import_module
from typing import Any, NoReturn

from twisted.logger import Logger
from twisted.python import usage

from .boot import Start
from .config import WIRES, Config, check, dashed, read, where
from .node.actor import Actor
from .reasons import import_failed, one_line
from .text import shown

__all__ = ["WIRES", "Config", "Options", "check", "load_start"]

_log = Logger()


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
        [
            "boot-timeout",
            None,
            None,
            "seconds that the boot may take; 0: no limit (30)",
        ],
        ["call-timeout", None, None, "seconds a remote call may take; 0: none (30)"],
        ["stop-grace", None, None, "seconds that actors may take to stop (10)"],
        ["config", None, None, "a TOML file with the same keys"],
    ]

    def __init__(self) -> None:
        super().__init__()
        self.starts: list[str] = []
        self.paths: list[str] = []
        self.config = Config()

    def opt_start(self, text: str) -> None:
        """Start an actor, "pkg.module:Class arg ..."; may be given again, in order."""
        self.starts.append(text)

    def opt_path(self, directory: str) -> None:
        """Put a directory in front of the import path; may be given again, in order."""
        self.paths.append(directory)

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
            given = {
                key.replace("-", "_"): value
                for key, value in self.items()
                if value is not None and key != "config"
            }
            if self.starts:
                given["start"] = self.starts
            if self.paths:
                given["path"] = self.paths
            file: str | None = self["config"]
            if file is None:
                self.config = check(given)
                return
            named = {key: f"--{dashed(key)}" for key in given}
            self.config = check(
                {**read(file), **given},
                lambda key: named.get(key) or f"{where(file)} {dashed(key)}",
            )
        except ValueError as error:
            _give_up(str(error))


def _give_up(reason: str) -> NoReturn:
    raise SystemExit(f"skynet: {one_line(reason)}")


def load_start(text: str) -> Start:
    """Import what ``--start`` names.

    :param text: ``pkg.module:Class arg ...``, words as in a shell.
    :raises ValueError: nothing of that name can be imported, or it is no actor.
    """
    named = f"--start {shown(text)}"
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise ValueError(f"{named}: {error}") from error
    name, args = (words[0], words[1:]) if words else ("", [])
    module_name, colon, class_name = name.partition(":")
    if not colon or not module_name or not class_name:
        raise ValueError(f"{named}: 'pkg.module:Class' is wanted")
    try:
        found = _find(module_name, class_name)
    except _NotFoundError as error:
        raise ValueError(f"{named}: {error}") from None
    except BaseException as error:
        # Code of the user's: it may as well call sys.exit().
        _log.failure("{named}: the import failed", where=where)
        reason = import_failed(error, module_name)
        raise ValueError(f"{named}: {reason}") from error
    return Start(found, tuple(args))


class _NotFoundError(Exception):
    """No module, or no class, has that name."""


def _find(module_name: str, class_name: str) -> type[Actor]:
    try:
        found: Any = import_module(module_name)
    except ModuleNotFoundError as error:
        # Not one that a module of the user's looked for.
        if error.name and f"{module_name}.".startswith(f"{error.name}."):
            raise _NotFoundError(f"ModuleNotFoundError: {error}") from None
        raise
    for part in class_name.split("."):
        try:
            found = getattr(found, part)
        except AttributeError:
            raise _NotFoundError(
                f"module {module_name} has no {class_name!r}"
            ) from None
    if not (isinstance(found, type) and issubclass(found, Actor)):
        raise _NotFoundError(f"{class_name} is not an Actor")
    return found
