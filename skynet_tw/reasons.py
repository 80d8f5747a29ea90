# -*- test-case-name: tests.test_reasons -*-
"""Why something of the user's failed: one line, with its file and its line number."""

from __future__ import annotations

import os
import sysconfig
from collections.abc import Iterator
from typing import NamedTuple

from .text import error_text, escaped, traceback_of

#: The most characters of an error's own text: the log has the traceback as well.
_LIMIT = 500

#: Code in these directories is nobody's actor.
_LIBRARIES = (
    "<frozen ",
    sysconfig.get_path("stdlib") + os.sep,
    sysconfig.get_path("platstdlib") + os.sep,
    os.path.dirname(os.path.abspath(__file__)) + os.sep,
)
_PACKAGES = (f"{os.sep}site-packages{os.sep}", f"{os.sep}dist-packages{os.sep}")


class _Spot(NamedTuple):
    """One level of a traceback."""

    file: str
    line: int
    module: str


def one_line(text: str) -> str:
    """Put a text of several lines into one, without control characters."""
    lines = (line.strip() for line in text.splitlines())
    return escaped("; ".join(line for line in lines if line))


def import_failed(error: BaseException, module: str) -> str:
    """Say why an import failed, and where in the user's files that was.

    :param module: what was imported, which may have imported the culprit.
    """
    spots = list(_spots(error))
    if (
        isinstance(error, SyntaxError)
        and isinstance(error.filename, str)
        and os.path.isfile(error.filename)
    ):
        # The compiler has no frame in the file that it cannot read.
        spots.append(_Spot(error.filename, error.lineno or 0, module))
    return _told(error, [spot for spot in spots if not _is_library(spot, module)])


def start_failed(error: BaseException, module: str) -> str:
    """Say why an actor did not start, and where: in its own module, if it was there.

    :param module: the module of the actor's class.
    """
    spots = list(_spots(error))
    own = [spot for spot in spots if spot.module == module]
    theirs = [spot for spot in spots if not _is_library(spot, module)]
    return _told(error, own or theirs or spots)


def _told(error: BaseException, spots: list[_Spot]) -> str:
    reason = one_line(error_text(error, _LIMIT))
    if not spots:
        return reason
    return f"{reason} ({one_line(spots[-1].file)}:{spots[-1].line})"


def _spots(error: BaseException) -> Iterator[_Spot]:
    """Walk down a traceback, outermost level first."""
    level = traceback_of(error)
    while level is not None:
        frame = level.tb_frame
        module = str(frame.f_globals.get("__name__", ""))
        yield _Spot(frame.f_code.co_filename, level.tb_lineno, module)
        level = level.tb_next


def _is_library(spot: _Spot, module: str) -> bool:
    """Whether code is none of the package that *module* is in, nor beside it."""
    if spot.module.partition(".")[0] == module.partition(".")[0]:
        return False
    return spot.file.startswith(_LIBRARIES) or any(p in spot.file for p in _PACKAGES)
