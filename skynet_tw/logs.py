# -*- test-case-name: tests.test_logs -*-
"""The log of a node that has a process of its own: no event is lost for its text.

Twisted's observers write what they are given.  A file that cannot encode it raises, and
a publisher drops the event: one byte of a Lua string that is not UTF-8 is enough.  So
the format of an event is made here, such that it never fails and that the file in
question can take what it gives.

Nothing here changes Twisted or the process.  ``twistd`` takes its observer from the
application, and ``twist`` takes the maker of its observer from its options; each is
given ours, for the same output that its own options name.
"""

from __future__ import annotations

import os
import re
import signal
import sys
from collections.abc import Callable
from functools import partial
from typing import IO, Any

from twisted.application.service import IService, MultiService
from twisted.logger import (
    FileLogObserver,
    ILogObserver,
    LegacyLogObserverWrapper,
    LogEvent,
    LogLevel,
    eventAsJSON,
    eventAsText,
    formatEventAsClassicLogText,
    formatTime,
)
from twisted.python.components import Componentized
from twisted.python.failure import Failure
from twisted.python.logfile import LogFile

from .text import error_text, printable, shown

#: Writes an event as text; None where there is nothing to write.
Format = Callable[[LogEvent], "str | None"]

#: What a terminal obeys, and what ends a line for some reader: all but \t and \n.
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]")


def _escape(match: re.Match[str]) -> str:
    return match[0].encode("unicode_escape").decode("ascii")


def as_text(event: LogEvent) -> str | None:
    """Write an event as Twisted's usual line; further lines of it are indented."""
    text = formatEventAsClassicLogText(event)
    return None if text is None else _CONTROL.sub(_escape, text)


def as_json(event: LogEvent) -> str | None:
    """Write an event as a record of Twisted's JSON.

    The text of an error is not in that, so its traceback is put beside it.
    """
    # A copy, as this flattens the event for all who come after.
    record = dict(event)
    failure = record.get("log_failure")
    if isinstance(failure, Failure):
        record["log_traceback"] = failure.getTraceback()
    return f"\x1e{eventAsJSON(record)}\n"


#: How an event may be written, by the names that ``twist --log-format`` knows.
FORMATS: dict[str, Format] = {"text": as_text, "json": as_json}


def observer(file: IO[Any] | LogFile, form: Format = as_text) -> FileLogObserver:
    """Make an observer that writes each event to a file, whatever is in the event.

    :param file: takes text.
    """
    encoding = getattr(file, "encoding", None) or "utf-8"
    return FileLogObserver(file, partial(_write, form, encoding))  # type: ignore[arg-type]


def _write(form: Format, encoding: str, event: LogEvent) -> str | None:
    try:
        text = form(event)
    except BaseException as error:
        # Of an object's own methods, which may raise anything.
        text = form(_plain(event, error))
    if text is None:
        return None
    return text.encode(encoding, "backslashreplace").decode(encoding)


def _plain(event: LogEvent, error: BaseException) -> LogEvent:
    """Say the same as an event that cannot be written, without its values."""
    try:
        text = eventAsText(event, includeTimestamp=False, includeSystem=False)
    except BaseException:
        text = shown(event.get("log_format"))
    plain: LogEvent = {
        "log_format": "{text} (its values cannot be written: {reason})",
        "text": text,
        "reason": error_text(error, 200),
        "log_namespace": event.get("log_namespace"),
        "log_level": event.get("log_level"),
        "log_time": event.get("log_time"),
    }
    if not isinstance(plain["log_namespace"], str):
        plain["log_namespace"] = shown(plain["log_namespace"])
    if not any(plain["log_level"] is level for level in LogLevel.iterconstants()):
        plain["log_level"] = LogLevel.info
    try:
        formatTime(plain["log_time"])
    except Exception:
        plain["log_time"] = None
    return plain


class _LoggedService(MultiService):
    """Gives ``twistd`` the observer of its log, when it is put into an application."""

    def __init__(self, service: IService, make: Callable[[], Any]) -> None:
        super().__init__()
        service.setServiceParent(self)
        self._make = make

    def setServiceParent(self, parent: Any) -> None:  # noqa: N802
        """Become the service of an application; its own observer is left to it."""
        if (
            isinstance(parent, Componentized)
            and parent.getComponent(ILogObserver, None) is None
        ):
            parent.setComponent(ILogObserver, self._make())
        super().setServiceParent(parent)


def keep_every_event(service: IService, options: Any, reactor: Any) -> IService:
    """Let the log of ``twistd`` or ``twist`` keep each event.

    :param service: what is run.
    :param options: those of the program that runs it; None where it is another one,
        whose log is its own.
    :param reactor: asked to rotate a log file when ``SIGUSR1`` comes.
    :returns: what to run instead.
    """
    if options is None:
        return service
    if "fileLogObserverFactory" in options:  # twist
        form = FORMATS.get(options.get("logFormat"))
        if form is not None:
            options["fileLogObserverFactory"] = partial(observer, form=form)
        return service
    if os.name == "posix" and "logfile" in options:  # twistd
        if not options.get("nodaemon") and options["logfile"] == "-":
            # twistd ends with a word about that.
            return service
        return _LoggedService(service, partial(_of_twistd, options, reactor))
    return service


def _of_twistd(options: Any, reactor: Any) -> Any:
    """The observer that twistd's options ask for; ``--logger`` goes before it."""
    if options.get("syslog"):
        return _syslog(options.get("prefix", ""))
    name = options["logfile"]
    if name == "-" or (options.get("nodaemon") and not name):
        return observer(sys.stdout)
    file = LogFile.fromFullPath(name or "twistd.log")
    if not signal.getsignal(signal.SIGUSR1):
        signal.signal(
            signal.SIGUSR1,
            lambda number, frame: reactor.callFromThread(file.rotate),
        )
    return observer(file)


def _syslog(prefix: str) -> Any:
    # Not every system has it.
    from twisted.python.syslog import SyslogObserver

    made: Any = SyslogObserver(prefix)
    write = made.syslog
    made.syslog = lambda priority, line: write(
        priority, printable(_CONTROL.sub(_escape, line))
    )
    return LegacyLogObserverWrapper(made.emit)
