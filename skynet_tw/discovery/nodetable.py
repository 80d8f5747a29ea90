# -*- test-case-name: tests.discovery.test_nodetable -*-
"""Node tables: the nodes of a cluster and their addresses, written down by people.

Two forms are read, with the same meaning::

    db = "10.0.0.1:2528"         # TOML
    old = false                  # known to be away

    db = "10.0.0.1:2528"         -- Skynet's own file, which is Lua
    old = false

A name that begins with ``__`` is an option (cluster, section 7).
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from .. import addresses, luafile
from ..errors import BadAddress
from ..interfaces import Addresses
from ..reasons import one_line
from ..text import shown

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

#: Tables of more bytes are refused: something else was named by mistake.
MAX_SIZE = 1 << 20


@dataclass(frozen=True)
class NodeTable:
    """What a table says."""

    #: The names of the nodes, and where each is dialed.
    addresses: dict[str, str] = field(default_factory=dict)
    #: Nodes that are known to be away: their value is false.
    removed: frozenset[str] = frozenset()
    #: ``__nowaiting``: whether a call to an unknown node fails at once; None if unsaid.
    nowaiting: bool | None = None
    #: Options that mean nothing here, by their names, in order.
    unknown: tuple[str, ...] = ()

    @property
    def view(self) -> dict[str, str | bool]:
        """All of it, as a directory tells it."""
        view: dict[str, str | bool] = {**self.addresses}
        view.update(dict.fromkeys(self.removed, False))
        if self.nowaiting is not None:
            view["__nowaiting"] = self.nowaiting
        return view


def load(path: str) -> NodeTable:
    """Read the table in a file.

    :raises ValueError: it cannot be read or understood; one line names the file, the
        line where that is known, and what was found.
    """
    named = one_line(path)
    try:
        with open(path, "rb") as file:
            data = file.read(MAX_SIZE + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ValueError(f"{named}: {one_line(reason)}") from error
    return parse(data, path)


def parse(data: bytes, path: str) -> NodeTable:
    """Read a table.

    :param path: the name of its file, for errors; ``.lua`` and ``.toml`` say what it
        is, with any other suffix both are tried.
    :raises ValueError: as `load`.
    """
    named = one_line(path)
    if len(data) > MAX_SIZE:
        raise ValueError(f"{named}: more than {MAX_SIZE} bytes, and no node table")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        byte = error.object[error.start]
        reason = f"line {line}: byte 0x{byte:02x}, which is not UTF-8"
        raise ValueError(f"{named}: {reason}") from error
    try:
        return _table(_settings(text, path))
    except ValueError as error:
        raise ValueError(f"{named}: {one_line(str(error))}") from error


def lua_table(nodes: Addresses, gone: Iterable[str] = ()) -> dict[str, str | bool]:
    """What ``cluster.reload`` of a Lua node takes: it merges that into its own table.

    A Lua node dials ``host:port`` only.  A node that has an endpoint string in place
    of it is left out.

    :param nodes: a view, as a directory tells it.
    :param gone: the names of those that were in earlier views; they become false,
        unless they are back among *nodes*.
    """
    table: dict[str, str | bool] = dict.fromkeys(gone, False)
    for name, address in nodes.items():
        if isinstance(address, bool) or _dialed_by_lua(address):
            table[name] = address
    return table


def _dialed_by_lua(address: str) -> bool:
    try:
        return addresses.split(address) is not None
    except BadAddress:
        return False


def check_address(text: str) -> str:
    """Return an address that can be dialed, HOST:PORT or an endpoint string.

    :raises ValueError: it is none.
    """
    where = addresses.split(text)
    if where is not None:
        host, port = where
        if not host:
            raise ValueError(f"{shown(text)} names no host")
        if port == 0:
            raise ValueError(f"{shown(text)}: port 0 is not in 1..65535")
    return text


def check_name(name: str) -> str:
    """Return a name that a node can have.

    :raises ValueError: it is empty, cannot be shown in a line, or is that of an option.
    """
    if not name or not name.isprintable() or name.startswith("__"):
        raise ValueError(f"{shown(name)} cannot be the name of a node")
    return name


#: A name, what stands for it, and the number of its line, 0 if that is not known.
_Entry = tuple[str, Any, int]


def _settings(text: str, path: str) -> list[_Entry]:
    if path.endswith(".lua"):
        return _lua(text)
    try:
        return _toml(text)
    except ValueError as toml:
        if path.endswith(".toml"):
            raise
        try:
            return _lua(text)
        except ValueError as lua:
            raise ValueError(f"neither TOML ({toml}) nor Lua ({lua})") from lua


def _lua(text: str) -> list[_Entry]:
    # The last of several has it, as in a real node, where they run one by one.
    found = {it.name: (it.name, it.value, it.line) for it in luafile.read(text)}
    return list(found.values())


def _toml(text: str) -> list[_Entry]:
    try:
        table = tomllib.loads(text)
    except RecursionError as error:
        raise ValueError("its values are nested too deep") from error
    return [(name, value, _line_of(name, text)) for name, value in table.items()]


def _line_of(name: str, text: str) -> int:
    """Where a key of TOML is; the parser does not say."""
    key = rf"(?:{re.escape(name)}|(['\"]){re.escape(name)}\1)"
    match = re.search(rf"^[ \t]*\[?[ \t]*{key}[ \t]*[=.\]]", text, re.M)
    return text.count("\n", 0, match.start()) + 1 if match else 0


def _table(entries: list[_Entry]) -> NodeTable:
    found: dict[str, str] = {}
    removed: set[str] = set()
    unknown: list[str] = []
    nowaiting: bool | None = None
    for name, value, line in entries:
        at = f"line {line}: " if line else ""
        if name == "__nowaiting":
            if not isinstance(value, bool):
                wanted = f"{name} is true or false, not {shown(value)}"
                raise ValueError(at + wanted)
            nowaiting = value
        elif name.startswith("__"):
            unknown.append(name)
        elif value is False:
            removed.add(name)
        elif not isinstance(value, str):
            wanted = "HOST:PORT as a text, or false, is wanted"
            raise ValueError(f"{at}{shown(name)}: {wanted}, not {shown(value)}")
        else:
            try:
                found[check_name(name)] = check_address(value)
            except ValueError as error:
                raise ValueError(f"{at}{shown(name)}: {error}") from error
    return NodeTable(found, frozenset(removed), nowaiting, tuple(unknown))
