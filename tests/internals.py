"""The parts of docs/internals.md that are made of the code.

``python -m tests.internals`` writes them: the list of modules, from the first sentences
of their docstrings, and the tables of the state machines, from the machines themselves.
A test holds that the page has what the code gives.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from importlib import import_module
from itertools import groupby
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "skynet_tw"
PAGE = ROOT / "docs" / "internals.md"

#: A state, what comes in, the next state, and the names of what is done then.
Transition = tuple[str, str, str, str]


def summary(path: Path) -> str:
    """The first sentence of a module's docstring, with the backticks of Markdown.

    :raises ValueError: for a module without one.
    """
    docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    if not docstring:
        raise ValueError(f"{path} has no docstring")
    text = " ".join(docstring.partition("\n\n")[0].split()).replace("``", "`")
    return re.split(r"(?<=\.)\s+(?=[A-Z])", text)[0]


def modules() -> Iterator[str]:
    """The list of the modules, a table for each folder."""
    paths = sorted(PACKAGE.rglob("*.py"), key=lambda path: (path.parent, path.name))
    for folder, members in groupby(paths, key=lambda path: path.parent):
        name = folder.relative_to(ROOT).as_posix()
        yield f"\n### `{name}/`\n"
        yield "| module | |\n|---|---|"
        for path in members:
            text = summary(path).replace("|", "\\|")
            yield f"| `{path.name}` | {text} |"


def machines() -> Iterator[tuple[str, Any]]:
    """Each state machine of the package, with the name of its module."""
    for path in sorted(PACKAGE.rglob("*.py")):
        if "TypeMachineBuilder" not in path.read_text(encoding="utf-8"):
            continue
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for value in vars(import_module(name)).values():
            if hasattr(value, "__automat_automaton__"):
                yield name, value


def transitions(machine: Any) -> list[Transition]:
    """All transitions of a machine, from its first state on, as they are reached."""
    automaton = machine.__automat_automaton__
    found = sorted(
        (old.name, given, new.name, ", ".join(_named(outputs)))
        for old, given, new, outputs in automaton.allTransitions()
    )
    reached = [automaton.initialState.name]
    for state in reached:
        new = (it[2] for it in found if it[0] == state)
        reached.extend(dict.fromkeys(it for it in new if it not in reached))
    return sorted(found, key=lambda it: (reached.index(it[0]), it[1]))


def _named(outputs: Iterable[Any]) -> Iterator[str]:
    """The functions that outputs are, without those that only return a constant."""
    for output in outputs:
        if not output.name.startswith("returns("):
            # A function that makes a state's data has that in front of its name.
            yield output.name.removeprefix("data:")


def table(found: Iterable[Transition]) -> Iterator[str]:
    """A machine as a table; states that do the same upon the same share a row."""
    rows: dict[tuple[str, str, str], list[str]] = {}
    for old, given, new, done in found:
        target = "" if old == new else new
        rows.setdefault((given, target, done), []).append(old)
    yield "| in | upon | goes to | does |\n|---|---|---|---|"
    for (given, target, done), states in rows.items():
        does = f"`{done}`" if done else "nothing"
        yield f"| {', '.join(states)} | `{given}` | {target or 'stays'} | {does} |"


def drawn() -> Iterator[str]:
    """All machines, each under the name of its module."""
    for name, machine in machines():
        found = transitions(machine)
        yield f"\n### `{name}`\n"
        yield f"It begins in *{found[0][0]}*.\n"
        yield from table(found)


#: What stands between the marks of each name.
PARTS = {"modules": modules, "machines": drawn}


def page(text: str) -> str:
    """The text of the page with all that is made of the code anew.

    :raises ValueError: where a mark is missing.
    """
    for name, make in PARTS.items():
        begin, end = f"<!-- begin {name} -->\n", f"<!-- end {name} -->"
        head, _, rest = text.partition(begin)
        _, mark, tail = rest.partition(end)
        if not mark:
            raise ValueError(f"no part {name!r} in {PAGE}")
        text = "\n".join([head + begin.rstrip(), *make(), end]) + tail
    return text


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
