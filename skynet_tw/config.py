# -*- test-case-name: tests.test_options -*-
"""What a node is told, read from a file and checked.

Each text of an error says where the value was given, what it is, and what is wrong.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from difflib import get_close_matches
from typing import Any

from . import addresses
from .discovery.nodetable import check_name
from .errors import BadAddress
from .interfaces import INodeDirectory
from .net.wires import DEFAULT_WIRE, WIRES
from .reasons import one_line
from .text import shown

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


#: What becomes of messages for a node of the cluster that is absent: they wait until
#: their time limit, or fail at once.
ABSENT = ("wait", "fail")


@dataclass
class Config:
    """What a node is told, checked; addresses are still text."""

    harbor: int = 1
    master: str = "127.0.0.1:2013"
    standalone: str | None = None
    address: str = "127.0.0.1:2526"
    listen: str | None = None
    wire: str = DEFAULT_WIRE
    start: tuple[str, ...] = ()
    path: tuple[str, ...] = ()
    cluster_listen: tuple[str, ...] = ()
    cluster_nodes: str | Mapping[str, Any] | None = None
    cluster_directory: str | INodeDirectory | None = None
    cluster_name: str = ""
    cluster_address: str | None = None
    cluster_require: tuple[str, ...] = ()
    cluster_absent: str = "wait"
    boot_timeout: float = 30.0
    call_timeout: float = 30.0
    stop_grace: float = 10.0


def dashed(key: str) -> str:
    """Name a key as people write it."""
    return key.replace("_", "-")


def where(path: str) -> str:
    """Name a file, for the text of an error."""
    return f"--config {one_line(path)}:"


def read(path: str) -> dict[str, Any]:
    """Read a TOML file; its keys are those of `Config`.

    A byte-order mark of UTF-8, which some editors write, is no part of the text.

    :raises ValueError: it cannot be read or understood; the text names it and says why.
    """
    named = where(path)
    try:
        with open(path, "rb") as file:
            data = file.read()
    except (OSError, ValueError) as error:
        raise ValueError(f"{named} {_strerror(error)}") from error
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise ValueError(f"{named} it is UTF-16, by its byte-order mark, and not UTF-8")
    try:
        table = tomllib.loads(data.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        byte = error.object[error.start]
        text = f"it is not UTF-8: byte 0x{byte:02x} in line {line}"
        raise ValueError(f"{named} {text}") from error
    except RecursionError as error:
        raise ValueError(f"{named} its values are nested too deep") from error
    except ValueError as error:
        raise ValueError(f"{named} {error}") from error
    return keys_of(table, named)


def keys_of(table: Mapping[str, Any], named: str) -> dict[str, Any]:
    """Name the values of a table by the keys of `Config`, however they are spelled.

    :param named: names the table, for the text of an error.
    :raises ValueError: it has a key that means nothing, or one twice.
    """
    given: dict[str, Any] = {}
    spellings: dict[str, str] = {}
    for spelling, value in table.items():
        key = str(spelling).replace("-", "_")
        if key in spellings:
            both = f"{spellings[key]!r} and {spelling!r} are one key"
            raise ValueError(f"{named} {both}, given twice")
        _check_known(key, spelling, f"{named} ")
        spellings[key] = spelling
        given[key] = value
    return given


def _strerror(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)


def _check_known(key: str, spelling: str, named: str = "") -> None:
    keys = [field.name for field in fields(Config)]
    if key in keys:
        return
    near = get_close_matches(key.lower(), keys, 1, 0.5)
    hint = "the nearest is" if near else "there are"
    options = ", ".join(map(dashed, near or keys))
    raise ValueError(f"{named}there is no option {shown(spelling)}; {hint} {options}")


def check(given: dict[str, Any], named: Callable[[str], str] | None = None) -> Config:
    """Turn given values into a configuration.

    :param named: says where a key was given, by default on the command line.
    :raises ValueError: a value or a key is wrong; the text says where, which and why.
    """
    named = named or (lambda key: f"--{dashed(key)}")
    for key in given:
        _check_known(key, dashed(key))
    config = Config(**given)
    _check_values(config, named)
    _check_cluster(config, named)
    _check_addresses(config, given, named)
    return config


def _check_values(config: Config, named: Callable[[str], str]) -> None:
    """Check what is no address, and give it its type."""
    harbor = _number(named("harbor"), config.harbor, int)
    if not 0 <= harbor <= 255:
        raise ValueError(f"{named('harbor')} {shown(config.harbor)} is not in 0..255")
    config.harbor = harbor
    for name in ("boot_timeout", "call_timeout", "stop_grace"):
        setattr(config, name, _seconds(named(name), getattr(config, name)))
    if not isinstance(config.wire, str):
        config.wire = shown(config.wire)  # TOML: wire = 2013
    if config.wire not in WIRES:
        wires = ", ".join(WIRES)
        raise ValueError(f"{named('wire')} {shown(config.wire)} is not one of: {wires}")
    if config.cluster_absent not in ABSENT:
        wrong = shown(config.cluster_absent)
        ways = ", ".join(ABSENT)
        raise ValueError(f"{named('cluster_absent')} {wrong} is not one of: {ways}")
    if isinstance(config.path, str):
        config.path = (config.path,)
    for name in ("start", "path", "cluster_listen", "cluster_require"):
        texts = getattr(config, name)
        if not isinstance(texts, (list, tuple)) or not all(
            isinstance(text, str) for text in texts
        ):
            wrong = f"a list of texts is wanted, not {shown(texts)}"
            raise ValueError(f"{named(name)}: {wrong}")
        setattr(config, name, tuple(texts))


def _check_addresses(
    config: Config, given: dict[str, Any], named: Callable[[str], str]
) -> None:
    """Check the addresses, and that each can be dialed by whom it is told."""
    split = {
        name: _split(named(name), getattr(config, name))
        for name in ("master", "standalone", "address", "listen")
    }
    if split["address"] is None:
        wrong = f"{shown(config.address)}: others can dial HOST:PORT only"
        raise ValueError(f"{named('address')} {wrong}")
    if config.harbor == 0 and config.standalone is not None:
        raise ValueError(f"{named('standalone')} needs a --harbor of 1-255")
    if not {"harbor", "master", "standalone"} & given.keys():
        # Nobody spoke of a network: this node is one of its own.
        config.standalone = config.master
    elif config.standalone is not None and "master" not in given:
        config.master = config.standalone
    if config.harbor == 0:
        return  # It listens nowhere, and dials nobody.
    if config.master != config.standalone:
        if split["master"] is not None:
            _check_dialed(named("master"), config.master, *split["master"])
    elif config.master.partition(":")[0] in addresses.WRAPPED_KINDS:
        raise ValueError(
            f"{named('standalone')} {shown(config.master)}: how the node itself reaches"
            " that is not known; say it with --master"
        )
    _check_told(config, split["address"], split["listen"], given, named)


def _check_cluster(config: Config, named: Callable[[str], str]) -> None:
    """Check where the cluster listens, and what it says of itself."""
    for where in config.cluster_listen:
        # What has no colon is the name of a node.
        if ":" in where:
            _split(named("cluster_listen"), where)
        elif not where:
            raise ValueError(f"{named('cluster_listen')}: it is empty")
    for key in ("cluster_directory", "cluster_name", "cluster_address"):
        value = getattr(config, key)
        if not (value is None or isinstance(value, str) or _is_directory(key, value)):
            raise ValueError(f"{named(key)}: {shown(value)} is not text")
    nodes = config.cluster_nodes
    if nodes is not None and not isinstance(nodes, str | Mapping):
        wrong = f"{shown(nodes)} is no file and no table of nodes"
        raise ValueError(f"{named('cluster_nodes')}: {wrong}")
    if nodes is not None and config.cluster_directory is not None:
        both = f"{named('cluster_nodes')} and {named('cluster_directory')}"
        raise ValueError(f"{both} both say where the nodes are; give one of them")
    if config.cluster_name:
        _check_published(config, named)
    elif config.cluster_address is not None:
        wrong = f"{shown(config.cluster_address)}: a directory says it of a name; give"
        raise ValueError(f"{named('cluster_address')} {wrong} --cluster-name, too")


def _is_directory(key: str, value: Any) -> bool:
    """Whether this is the directory itself, as programs may give it."""
    return key == "cluster_directory" and INodeDirectory.providedBy(value)


def _check_published(config: Config, named: Callable[[str], str]) -> None:
    """Decide where a directory says that this node is: ``config.cluster_address``.

    A port 0 in that is the one that the system chooses.
    """
    try:
        check_name(config.cluster_name)
    except ValueError as error:
        raise ValueError(f"{named('cluster_name')}: {error}") from None
    listen = next((where for where in config.cluster_listen if ":" in where), None)
    if listen is None:
        wrong = f"{shown(config.cluster_name)}: it has no port that others can dial"
        advice = "give one with --cluster-listen HOST:PORT"
        raise ValueError(f"{named('cluster_name')} {wrong}; {advice}")
    key, text = named("cluster_listen"), listen
    host, port = _split(key, text) or addresses.bound(text)
    if config.cluster_address is not None:
        key, text = named("cluster_address"), config.cluster_address
        told = _split(key, text)
        if told is None:
            raise ValueError(f"{key} {shown(text)}: others can dial HOST:PORT only")
        host, port = told[0], told[1] or port
    if port is None:
        wrong = f"{shown(listen)} has no port for others to dial"
    elif addresses.is_everywhere(host):
        wrong = "others are told to dial it, and nobody can dial all interfaces"
    else:
        config.cluster_address = addresses.join(host, port)
        return
    advice = "give the HOST:PORT that they reach with --cluster-address"
    raise ValueError(f"{key} {shown(text)}: {wrong}; {advice}")


def _check_told(
    config: Config,
    address: tuple[str, int],
    listen: tuple[str, int] | None,
    given: dict[str, Any],
    named: Callable[[str], str],
) -> None:
    """Decide what others are told to dial: it is ``config.address``."""
    host, port = address
    if addresses.is_everywhere(host):
        wrong = "others are told to dial it, and nobody can dial all interfaces"
        advice = "give the host that they reach, and what is bound with --listen"
        raise ValueError(
            f"{named('address')} {shown(config.address)}: {wrong}; {advice}"
        )
    config.address = addresses.join(host, port)
    if config.listen is None:
        return
    if config.listen.startswith("unix:") and (port == 0 or "address" not in given):
        wrong = "that has no port for others to dial; give what they dial with"
        raise ValueError(f"{named('listen')} {shown(config.listen)}: {wrong} --address")
    bound, bound_port = listen or addresses.bound(config.listen)
    if "address" not in given:
        host = host if addresses.is_everywhere(bound) else bound
        config.address = addresses.join(host, bound_port or 0)
    elif bound_port == 0:
        # The system chooses the port: no other can be the one to dial.
        config.address = addresses.join(host, 0)


def _split(name: str, value: Any) -> tuple[str, int] | None:
    if value is None:
        return None
    if not isinstance(value, str):
        raise ValueError(f"{name}: {shown(value)} is not text")
    try:
        return addresses.split(value)
    except BadAddress as error:
        raise ValueError(f"{name}: {error}") from error


def _check_dialed(name: str, text: str, host: str, port: int) -> None:
    if addresses.is_everywhere(host) or port == 0:
        what = "port 0" if port == 0 else "all interfaces"
        raise ValueError(f"{name} {shown(text)}: nobody can dial {what}")


def _number(name: str, value: Any, kind: type[Any]) -> Any:
    # TOML has booleans and fractions, which are not what they would be turned into.
    if not isinstance(value, bool) and (kind is float or not isinstance(value, float)):
        try:
            return kind(value)
        except (TypeError, ValueError, OverflowError):
            pass
    raise ValueError(f"{name} {shown(value)} is not a number")


def _seconds(name: str, value: Any) -> float:
    seconds: float = _number(name, value, float)
    if not 0 <= seconds < float("inf"):
        raise ValueError(f"{name} {shown(value)} is not a number of seconds")
    return seconds
