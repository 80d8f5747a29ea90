"""The documentation: what it shows is run, parsed and looked up."""

from __future__ import annotations

import re
import shlex
import tempfile
import types
import unittest
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from twisted.trial import reporter
from twisted.trial.unittest import SynchronousTestCase, TestCase

from skynet_tw.options import Options

ROOT = Path(__file__).resolve().parent.parent

#: The pages that people read.
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.M | re.S)
_COMMAND = re.compile(r"^(?:\$ )?twistd? .*?\bskynet(?: (?P<options>.*))?$")
_TARGET = re.compile(r"(?:^|`)make ([a-z][a-z-]*)")


def blocks(page: Path, language: str) -> Iterator[tuple[int, str]]:
    """The fenced blocks of a page in a language, each with the number of its line."""
    text = page.read_text()
    for match in _FENCE.finditer(text):
        if match[1] == language:
            yield text.count("\n", 0, match.start(2)) + 1, match[2]


def code_lines(page: Path) -> Iterator[str]:
    """The lines of code that are no Python, and the code within the text.

    Lines that a backslash continues are joined.
    """
    text = page.read_text()
    rest = text
    for match in _FENCE.finditer(text):
        rest = rest.replace(match[0], "")
        if match[1] in ("", "sh", "shell", "console", "text"):
            yield from match[2].replace("\\\n", " ").splitlines()
    # An inline piece of code may go over the end of a line.
    for piece in re.findall(r"(?<!`)`([^`]+)`(?!`)", rest):
        yield " ".join(piece.split())
    for line in rest.replace("\\\n", " ").splitlines():
        if line.startswith("    "):
            yield line.strip()


class DocsTests(SynchronousTestCase):
    """Every page."""

    def test_python(self) -> None:
        """The Python blocks of a page run, in order, and the tests in them pass."""
        ran = tested = 0
        for page in PAGES:
            module = types.ModuleType(f"{page.stem}_md")
            for line, source in blocks(page, "python"):
                code = compile("\n" * (line - 1) + source, str(page), "exec")
                exec(code, vars(module))
                ran += 1
            for kind in self.cases(module):
                tested += self.run_tests(kind)
        self.assertGreater(ran, 2)
        self.assertGreater(tested, 1)

    def cases(self, module: types.ModuleType) -> list[Any]:
        """The test cases that a module defines."""
        found = [it for it in vars(module).values() if isinstance(it, type)]
        cases = [it for it in found if issubclass(it, (SynchronousTestCase, TestCase))]
        return [it for it in cases if it.__module__ == module.__name__]

    def run_tests(self, kind: Any) -> int:
        """Run the tests of a test case, and return how many there were."""
        names = [name for name in dir(kind) if name.startswith("test")]
        result = reporter.TestResult()
        unittest.TestSuite(map(kind, names)).run(result)
        wrong = [str(what) for what in (*result.errors, *result.failures)]
        self.assertEqual(wrong, [])
        self.assertEqual(result.successes, len(names))
        return len(names)

    def test_commands(self) -> None:
        """Each command line of a node means something."""
        count = 0
        for page in PAGES:
            for line in code_lines(page):
                match = _COMMAND.match(line)
                if match is None:
                    continue
                words = shlex.split(match["options"] or "", comments=True)
                if "--config" in words:
                    # The file is the reader's own.
                    del words[words.index("--config") : words.index("--config") + 2]
                if "..." in words or "[options]" in words:
                    continue
                try:
                    Options().parseOptions(words)
                except SystemExit as error:
                    self.fail(f"{page.name}: {line}: {error}")
                count += 1
        self.assertGreater(count, 3)

    def test_config(self) -> None:
        """Each TOML block is a configuration."""
        count = 0
        for page in PAGES:
            for line, source in blocks(page, "toml"):
                with tempfile.NamedTemporaryFile("w", suffix=".toml") as file:
                    file.write(source)
                    file.flush()
                    try:
                        Options().parseOptions(["--config", file.name])
                    except SystemExit as error:
                        self.fail(f"{page.name}, line {line}: {error}")
                count += 1
        self.assertGreater(count, 0)

    def test_options(self) -> None:
        """Each option that a page names is one, and the pages name each."""
        known = {f"--{name}" for name in Options().longOpt}
        known = {name.rstrip("=") for name in known}
        text = (ROOT / "docs" / "operations.md").read_text()
        # Those are the own options of twistd and twist.
        logs = {"--logfile", "--logger", "--syslog", "--log-file", "--log-format"}
        named = set(re.findall(r"--[a-z][a-z-]+", text)) - {"--reactor"} - logs
        self.assertEqual(named - known, set())
        self.assertEqual(known - named - {"--help", "--version"}, set())

    def test_make(self) -> None:
        """Each target of make that a page names is in the Makefile."""
        makefile = (ROOT / "Makefile").read_text()
        known = set(re.findall(r"^([a-z][a-z-]*):(?!=)", makefile, re.M))
        count = 0
        for page in PAGES:
            for line in code_lines(page):
                for target in _TARGET.findall(line):
                    self.assertIn(target, known, f"{page.name}: {line}")
                    count += 1
        self.assertGreater(count, 1)
