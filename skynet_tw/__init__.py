"""A Skynet node in Python, run by Twisted: ``twistd skynet``."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .cluster_address import ClusterAddress
    from .compose import make_node
    from .errors import (
        BadAddress,
        BootFailed,
        CallTimeout,
        DirectoryFailed,
        LinkLost,
        NameTaken,
        NoSuchActor,
        NoSuchName,
        NotReady,
        PackError,
        PeerDown,
        ProtocolError,
        QueueFull,
        RemoteError,
        SkynetError,
        TooLarge,
        UnpackError,
    )
    from .handle import Handle
    from .message import PType
    from .node.actor import Actor, command, dispatch
    from .node.limits import Limits
    from .node.node import Node
    from .starts import Start

#: The one place where the version stands; the build and towncrier read it here.
__version__ = "0.1.0"

__all__ = [
    "Actor",
    "BadAddress",
    "BootFailed",
    "CallTimeout",
    "ClusterAddress",
    "DirectoryFailed",
    "Handle",
    "Limits",
    "LinkLost",
    "NameTaken",
    "NoSuchActor",
    "NoSuchName",
    "Node",
    "NotReady",
    "PType",
    "PackError",
    "PeerDown",
    "ProtocolError",
    "QueueFull",
    "RemoteError",
    "SkynetError",
    "Start",
    "TooLarge",
    "UnpackError",
    "command",
    "dispatch",
    "make_node",
]

# Loaded on first use: whoever wants `skynet_tw.seri` alone does not load Twisted.
_HOMES = {
    ".cluster_address": ["ClusterAddress"],
    ".compose": ["make_node"],
    ".handle": ["Handle"],
    ".message": ["PType"],
    ".node.actor": ["Actor", "command", "dispatch"],
    ".node.limits": ["Limits"],
    ".node.node": ["Node"],
    ".starts": ["Start"],
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    homes = (home for home, names in _HOMES.items() if name in names)
    value = getattr(import_module(next(homes, ".errors"), __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
