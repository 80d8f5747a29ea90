# -*- test-case-name: tests.cli.test_failures -*-
"""How a command ends that failed: its exit status, and one line that says why."""

from __future__ import annotations

from twisted.internet.defer import CancelledError

from ..errors import BadAddress, PackError, RemoteError, SkynetError, TooLarge
from ..reasons import one_line
from ..text import error_text

#: Something else failed.
FAILED = 1

#: The command line means nothing: a word of it, or a value that no message carries.
USAGE = 2

#: The node was not reached; nothing ran, and it is safe to try again.
UNREACHED = 3

#: No answer came, in time or at all; it may have run.
UNCERTAIN = 4

#: The other side answered with an error.
ANSWERED = 5

#: The user stopped it, as a shell says it of a program that SIGINT ended.
INTERRUPTED = 130

#: The most characters of an error's own text.
_LIMIT = 2000


def status_of(error: BaseException) -> int:
    """The exit status of a command that failed with *error*."""
    if isinstance(error, (BadAddress, PackError, TooLarge)):
        return USAGE
    if isinstance(error, RemoteError):
        return ANSWERED
    if isinstance(error, SkynetError):
        return UNREACHED if error.retry_safe else UNCERTAIN
    return INTERRUPTED if isinstance(error, CancelledError) else FAILED


def usage(error: BaseException) -> str:
    """The line about a command line that means nothing."""
    return f"skynet-tw: {one_line(str(error))}"


def reason(error: BaseException, runs: bool) -> str:
    """Why a command failed, in one line.

    :param runs: whether it matters if the request ran.
    """
    status = status_of(error)
    said = one_line(error_text(error, _LIMIT))
    if status == INTERRUPTED:
        said = "interrupted"
    uncertain = runs and status in (UNCERTAIN, INTERRUPTED)
    return f"{said} (it may have run)" if uncertain else said
