# -*- test-case-name: tests.net.test_strangers -*-
"""Lines for the log: those of the cores, and those that others could multiply."""

from __future__ import annotations

from twisted.logger import Logger

from ...link.effects import LogLine


def emit(log: Logger, line: LogLine) -> None:
    """Log what a core wants to have logged."""
    write = log.warn if line.warn else log.info
    write(line.format, **line.fields)


class FailureLog:
    """Logs each way to fail once, until something succeeds.

    :param log: where to.
    :param format: the line, with ``{error}`` for what failed.
    :param fields: its other fields.
    """

    def __init__(self, log: Logger, format: str, **fields: object) -> None:
        self._log = log
        self._format = format
        self._fields = fields
        self._errors: set[str] = set()

    def failed(self, error: str) -> None:
        """Log that an attempt failed, unless that was logged already."""
        if error not in self._errors:
            self._errors.add(error)
            self._log.warn(self._format, error=error, **self._fields)

    def succeeded(self) -> None:
        """Log everything anew from now on."""
        self._errors.clear()


class FoldedLog:
    """Logs the first of many like lines, and counts the rest.

    Whoever opens a thousand connections must not be able to fill the log as well.

    :param what: where it happens, in words.
    :param did: what is done with a peer, in words.
    """

    _log = Logger()

    def __init__(self, what: str, did: str = "dropped") -> None:
        self._what = what
        self._did = did
        self._quiet = False
        self._more = 0
        self._last: tuple[str, str] = ("", "")

    def dropped(self, peer: str, reason: str) -> None:
        """Log, or count, that *peer* was dropped, or what else is done with it."""
        if self._quiet:
            self._more += 1
            self._last = (peer, reason)
            return
        self._quiet = True
        self._log.warn(
            "{what}: {did} {peer}: {reason}",
            what=self._what,
            did=self._did,
            peer=peer,
            reason=reason,
        )

    def sweep(self) -> None:
        """Log what was counted since the last time, in one line."""
        if self._more:
            self._log.warn(
                "{what}: {did} {count} more, the last was {peer}: {reason}",
                what=self._what,
                did=self._did,
                count=self._more,
                peer=self._last[0],
                reason=self._last[1],
            )
        self._quiet = self._more > 0
        self._more = 0
