# -*- test-case-name: tests.test_options -*-
"""The actors that a node starts, and the texts that name them."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from twisted.logger import Logger

from .node.actor import Actor
from .reasons import import_failed
from .text import shown

_log = Logger()


@dataclass(frozen=True, slots=True)
class Start:
    """An actor to start when a node boots."""

    #: Its class.
    actor_class: type[Actor]
    #: What its ``started`` gets.
    args: tuple[Any, ...] = ()


def load_start(text: str, where: str = "--start") -> Start:
    """Import the actor that a text names.

    :param text: ``pkg.module:Class arg ...``, words as in a shell.
    :param where: names the place of the text, for the text of an error.
    :raises ValueError: nothing of that name can be imported, or it is no actor.
    """
    named = f"{where} {shown(text)}"
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
        _log.failure("{named}: the import failed", named=named)
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
