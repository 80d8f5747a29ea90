"""docs/command-line.md: each command that it shows, with what it prints."""

from __future__ import annotations

import re
import shlex
import types
from collections.abc import Iterator
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from skynet_tw.cli import arguments, results

from ..test_docs import ROOT, blocks
from .support import Ended, Shell

PAGE = ROOT / "docs" / "command-line.md"

#: What is another one each time.
_TIME = re.compile(r"\d+\.\d\d ms")


def shown() -> Iterator[tuple[str, str]]:
    """The command lines of the page, each with the lines that follow it."""
    for _, block in blocks(PAGE, "console"):
        for part in re.split(r"^\$ ", block, flags=re.M)[1:]:
            command, _, printed = part.partition("\n")
            yield command, printed


class PageTests(SynchronousTestCase):
    """The commands of the page."""

    def setUp(self) -> None:
        module: Any = types.ModuleType("command_line")
        for _, source in blocks(PAGE, "python"):
            exec(source, vars(module))
        self.shell = Shell(module.Bank)
        self.addCleanup(self.shell.stop)

    def test_commands(self) -> None:
        """In their order, the commands print what the page shows."""
        last = Ended(0, "", "")
        count = 0
        for command, printed in shown():
            program, *words = shlex.split(command)
            if program == "echo":
                self.assertEqual(f"{last.status}\n", printed)
                continue
            self.assertEqual(program, "skynet-tw")
            last = self.shell.run(*words)
            self.flushLoggedErrors(ValueError)
            self.assertEqual(bool(last.err), bool(last.status), last)
            said = _TIME.sub("0 ms", last.out + last.err)
            self.assertEqual(said, _TIME.sub("0 ms", printed), command)
            count += 1
        self.assertGreater(count, 10)


class WordTests(SynchronousTestCase):
    """The arguments of the page."""

    def test_words(self) -> None:
        """Each word of the table of arguments is one, and means what it means again."""
        table = PAGE.read_text().partition("| word | value |")[2].partition("\n\n")[0]
        words = [
            shlex.split(code)
            for row in table.splitlines()[2:]
            for code in re.findall(r"`([^`]+)`", row.split("|")[1])
        ]
        self.assertGreater(len(words), 10)
        for word in words:
            [text] = word
            value = arguments.from_lua(text)
            self.assertEqual(arguments.from_lua(results.line(value)), value)
