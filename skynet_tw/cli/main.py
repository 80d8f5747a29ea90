# -*- test-case-name: tests.cli.test_main -*-
"""``skynet-tw``: a command that has a process of its own."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from twisted.internet import task
from twisted.internet.defer import Deferred
from twisted.logger import globalLogBeginner
from twisted.python import usage

from . import commands, failures, options


def main(words: Sequence[str] | None = None) -> NoReturn:
    """Run the command line, and end the process.

    :param words: the command line, by default that of the process.
    :raises SystemExit: always, with the exit status.
    """
    try:
        request = options.read(list(sys.argv[1:] if words is None else words))
    except usage.UsageError as error:
        commands.write(sys.stderr, failures.usage(error))
        sys.exit(failures.USAGE)
    # What the node logs is neither a result nor the reason of a failure.
    globalLogBeginner.beginLoggingTo([], redirectStandardIO=False, discardBuffer=True)

    def command(reactor: Any) -> Deferred[None]:
        running = Deferred.fromCoroutine(
            commands.run(reactor, request, sys.stdout, sys.stderr)
        )

        def interrupt() -> Deferred[int]:
            # A signal; or it is over, and this does nothing.
            running.cancel()
            return running

        reactor.addSystemEventTrigger("before", "shutdown", interrupt)
        return running.addCallback(sys.exit)

    task.react(command)
