"""The documentation: what it shows is run, parsed and looked up."""

from __future__ import annotations

import ast
import os
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

from . import internals

ROOT = Path(__file__).resolve().parent.parent

#: The pages that people read.
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md"))]

#: The wire protocols, which the code cites.
PAPERS = {page.stem: page for page in (ROOT / "docs" / "wire").glob("*.md")}

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.M | re.S)
_COMMAND = re.compile(r"^(?:\$ )?twistd? .*?\bskynet(?: (?P<options>.*))?$")
_CITED = re.compile(
    r"(?:(?P<paper>[a-z]+(?:-[a-z0-9]+)+|cluster), )?"
    r"sections? (?P<numbers>\d+(?:(?:, | and )\d+)*)"
)
#: The first line of a block that is a file: a comment with nothing but its name.
_FILE = re.compile(r"^(?:#|--) (\S+\.\w+)\n")
_TARGET = re.compile(r"(?:^|`)make ([a-z][a-z-]*)")


def blocks(page: Path, language: str) -> Iterator[tuple[int, str]]:
    """The fenced blocks of a page in a language, each with the number of its line."""
    text = page.read_text()
    for match in _FENCE.finditer(text):
        if match[1] == language:
            yield text.count("\n", 0, match.start(2)) + 1, match[2]


def files(page: Path) -> Iterator[tuple[str, str]]:
    """The blocks of a page that are files, in any language: name and text."""
    for match in _FENCE.finditer(page.read_text()):
        if name := _FILE.match(match[2]):
            yield name[1], match[2]


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

    def beside_files_of(self, page: Path) -> None:
        """Go to a directory where the files are that a page shows, for this test."""
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.addCleanup(os.chdir, Path.cwd())
        os.chdir(directory.name)
        for name, text in files(page):
            Path(name).write_text(text)

    def test_commands(self) -> None:
        """Each command line of a node means something."""
        count = 0
        for page in PAGES:
            self.beside_files_of(page)
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
            self.beside_files_of(page)
            tables = dict(files(page)).values()
            for line, source in blocks(page, "toml"):
                if source in tables:
                    continue
                with tempfile.NamedTemporaryFile("w", suffix=".toml") as file:
                    file.write(source)
                    file.flush()
                    try:
                        Options().parseOptions(["--config", file.name])
                    except SystemExit as error:
                        self.fail(f"{page.name}, line {line}: {error}")
                count += 1
        self.assertGreater(count, 0)

    def test_node_tables(self) -> None:
        """Each file that a page shows is a node table, TOML and Lua alike."""
        count = 0
        for page in PAGES:
            self.beside_files_of(page)
            for name, _ in files(page):
                Options().parseOptions(["--harbor", "0", "--cluster-nodes", name])
                count += 1
        self.assertGreater(count, 1)

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


def sources() -> Iterator[Path]:
    """The modules of the package."""
    yield from sorted((ROOT / "skynet_tw").rglob("*.py"))


def citations(text: str) -> Iterator[tuple[str | None, int]]:
    """The papers and sections that a module names; None for one named without paper."""
    joined = " ".join(text.replace("#:", " ").replace("# ", " ").split())
    for match in _CITED.finditer(joined):
        for number in re.findall(r"\d+", match["numbers"]):
            yield match["paper"], int(number)


class PaperTests(SynchronousTestCase):
    """What the code says about papers, and the papers about the code."""

    def test_citations(self) -> None:
        """Each section of a wire protocol that the code cites is there."""
        count = 0
        for path in sources():
            cited = list(citations(path.read_text()))
            for paper, number in cited:
                # One without a paper is of the paper that the module cites elsewhere.
                papers = {paper} if paper else {name for name, _ in cited if name}
                self.assertEqual(len(papers), 1, f"{path}: section {number} of what?")
                [name] = papers
                self.assertIn(name, PAPERS, path)
                heading = re.compile(rf"^## {number}\. ", re.M)
                self.assertRegex(PAPERS[name].read_text(), heading, f"{path}: {name}")
                count += 1
        self.assertGreater(count, 10)

    def test_every_form(self) -> None:
        """Citations are found in comments and docstrings, over the ends of lines."""
        text = """
        (harbor-modern,
        sections 2 and 3)  #: (harbor-2013, section 1).
        # (lua-seri, section
        # 7) and (section 4)
        """
        modern = [("harbor-modern", 2), ("harbor-modern", 3)]
        others = [("harbor-2013", 1), ("lua-seri", 7), (None, 4)]
        self.assertEqual(list(citations(text)), [*modern, *others])

    def test_internals(self) -> None:
        """The modules and the machines of docs/internals.md are those of the code."""
        text = internals.PAGE.read_text()
        self.assertEqual(text, internals.page(text), "`make internals` writes it anew")

    def test_modules(self) -> None:
        """docs/internals.md has one line for each module."""
        folder = ""
        listed = []
        for line in internals.PAGE.read_text().splitlines():
            if match := re.match(r"### `(skynet_tw/.*)`", line):
                folder = match[1]
            elif match := re.match(r"\| `(\w+\.py)` \| \S", line):
                listed.append(folder + match[1])
        there = [path.relative_to(ROOT).as_posix() for path in sources()]
        self.assertEqual(sorted(listed), sorted(there))

    def test_names(self) -> None:
        """Each method that docs/internals.md names is one."""
        methods = set()
        for path in sources():
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.ClassDef):
                    inner = [it for it in node.body if isinstance(it, ast.FunctionDef)]
                    methods |= {f"{node.name}.{it.name}" for it in inner}
        named = set(re.findall(r"`([A-Z]\w+\.\w+)`", internals.PAGE.read_text()))
        self.assertGreater(len(named), 20)
        self.assertEqual(named - methods, set())

    def test_test_case_names(self) -> None:
        """Each file of tests that a first line names is there."""
        count = 0
        for path in [*sources(), *sorted((ROOT / "tests").rglob("*.py"))]:
            first = path.read_text().partition("\n")[0]
            match = re.match(r"# -\*- test-case-name: (\S+) -\*-", first)
            for name in match[1].split(",") if match else ():
                module = ROOT / (name.replace(".", "/") + ".py")
                folder = ROOT / name.replace(".", "/") / "__init__.py"
                self.assertTrue(module.exists() or folder.exists(), f"{path}: {name}")
                count += 1
        self.assertGreater(count, 50)
