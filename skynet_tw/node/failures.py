# -*- test-case-name: tests.node.test_hostile -*-
"""How the failure of an actor's code is logged: once, under its class, in bounds."""

from __future__ import annotations

from traceback import format_tb

from twisted.logger import Logger, LogLevel
from twisted.python.failure import Failure

from ..errors import SkynetError
from ..handle import Handle
from ..text import error_text, printable, shown, traceback_of

#: Frames of a traceback that are logged, at its beginning and at its end.
_FRAMES = 20


class LoggedFailure(Failure):
    """A failure that is safe to write to a log, whatever was raised.

    Its error may be of any size and raise when it is shown, and its traceback may be as
    deep as Python's stack.
    """

    def getErrorMessage(self) -> str:  # noqa: N802
        """What was raised, in one line."""
        return error_text(self.value) if self.value is not None else "no error"

    def getTraceback(  # noqa: N802
        self,
        elideFrameworkCode: int = 0,  # noqa: N803
        detail: str = "default",
    ) -> str:
        """Where it was raised, and `getErrorMessage` in the last line."""
        frames = format_tb(self.getTracebackObject())
        if len(frames) > 2 * _FRAMES:
            cut = f"  ... {len(frames) - 2 * _FRAMES} more frames ...\n"
            frames[_FRAMES:-_FRAMES] = [cut]
        head = "Traceback (most recent call last):\n"
        return printable(head + "".join(frames)) + self.getErrorMessage()


def failure_of(error: BaseException, kind: type[Failure] = Failure) -> Failure:
    """A failure of whatever was raised.

    :param kind: the class of the failure.

    An error that raises when it is looked at would do so inside Twisted: what comes in
    its place says its name.
    """
    try:
        return kind(error, type(error), traceback_of(error))
    except BaseException:
        return Failure(SkynetError(f"not to be held: {error_text(error)}"))


def logger_of(cls: type) -> Logger:
    """The logger of an actor's class, named as its own ``Logger()`` would be."""
    names = vars(type)
    try:
        module = names["__module__"].__get__(cls)
        return Logger(namespace=f"{module}.{names['__qualname__'].__get__(cls)}")
    except BaseException:  # Even these may be anything.
        return Logger(namespace="skynet_tw.actor")


def log_failure(
    cls: type, actor: str, error: BaseException, source: int, request: object
) -> None:
    """Log what a handler or another part of an actor raised.

    :param actor: the actor, in words.
    :param source: who sent the message at work, 0 for nobody.
    :param request: the values of the message, or a word for what else was at work.
    """
    logger_of(cls).failure(
        "{actor} failed at {request} from {source}",
        failure_of(error, LoggedFailure),
        LogLevel.error,
        actor=actor,
        request=request if isinstance(request, str) else shown(request),
        source=Handle(source),
    )


def log_misuse(
    cls: type, actor: str, error: BaseException, source: int, request: object
) -> None:
    """Log that a caller's arguments are not those of the command that it names."""
    logger_of(cls).warn(
        "{actor} was asked for {request} by {source}: {error}",
        actor=actor,
        request=shown(request),
        source=Handle(source),
        error=error_text(error),
    )
