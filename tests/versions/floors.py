"""What setup.cfg declares: the lowest versions of what we need, and our Pythons.

``python -m tests.versions.floors`` prints the lowest versions as pip's constraints.
"""

from __future__ import annotations

import configparser
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

_PYTHON = re.compile(r"Programming Language :: Python :: 3\.(\d+)")
_FLOOR = re.compile(r"(?P<name>[A-Za-z0-9._-]+)>=(?P<version>[0-9.]+)(?P<marker>;.*)?")


def _setup() -> configparser.ConfigParser:
    parser = configparser.ConfigParser(inline_comment_prefixes=None)
    parser.read(ROOT / "setup.cfg")
    return parser


def requirements() -> list[str]:
    """What the package needs, as setup.cfg says it."""
    return _entries(_setup()["options"]["install_requires"])


def floors() -> list[str]:
    """The same with the lowest version of each in place of all from it on.

    :raises ValueError: for a requirement that declares no lowest version.
    """
    return [_pinned(requirement) for requirement in requirements()]


def tools(*names: str) -> list[str]:
    """What the extra ``test`` says of some of its packages.

    :raises ValueError: when it does not have one of them.
    """
    entries = _entries(_setup()["options.extras_require"]["test"])
    found = [it for it in entries if re.split(r"[<>=!;~ ]", it)[0] in names]
    if len(found) != len(names):
        raise ValueError(f"the extra 'test' has only {found} of {names}")
    return found


def claimed() -> list[int]:
    """The minor numbers of the Pythons that the classifiers name, in order."""
    classifiers = _setup()["metadata"]["classifiers"]
    return sorted(int(minor) for minor in _PYTHON.findall(classifiers))


def _entries(text: str) -> list[str]:
    lines = (line.strip() for line in text.splitlines())
    return [line for line in lines if line and not line.startswith("#")]


def _pinned(requirement: str) -> str:
    match = _FLOOR.fullmatch(requirement)
    if match is None:
        raise ValueError(f"{requirement!r} declares no lowest version")
    return f"{match['name']}=={match['version']}{match['marker'] or ''}"


if __name__ == "__main__":
    print(*floors(), sep="\n")
