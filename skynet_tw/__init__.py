"""A Skynet node in Python, run by Twisted: ``twistd skynet``."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .errors import (
        BadAddress as BadAddress,
        BootFailed as BootFailed,
        CallTimeout as CallTimeout,
        LinkLost as LinkLost,
        NameTaken as NameTaken,
        NoSuchActor as NoSuchActor,
        NoSuchName as NoSuchName,
        NotReady as NotReady,
        PackError as PackError,
        PeerDown as PeerDown,
        ProtocolError as ProtocolError,
        QueueFull as QueueFull,
        RemoteError as RemoteError,
        SkynetError as SkynetError,
        TooLarge as TooLarge,
        UnpackError as UnpackError,
    )
    from .handle import Handle as Handle
    from .message import PType as PType
    from .node.actor import (
        Actor as Actor,
        command as command,
        dispatch as dispatch,
    )
    from .node.limits import Limits as Limits
    from .node.node import Node as Node

# Loaded on first use: whoever wants `skynet_tw.seri` alone does not load Twisted.
_HOMES = {
    "Actor": ".node.actor",
    "BadAddress": ".errors",
    "BootFailed": ".errors",
    "CallTimeout": ".errors",
    "Handle": ".handle",
    "Limits": ".node.limits",
    "LinkLost": ".errors",
    "NameTaken": ".errors",
    "NoSuchActor": ".errors",
    "NoSuchName": ".errors",
    "Node": ".node.node",
    "NotReady": ".errors",
    "PType": ".message",
    "PackError": ".errors",
    "PeerDown": ".errors",
    "ProtocolError": ".errors",
    "QueueFull": ".errors",
    "RemoteError": ".errors",
    "SkynetError": ".errors",
    "TooLarge": ".errors",
    "UnpackError": ".errors",
    "command": ".node.actor",
    "dispatch": ".node.actor",
}

__all__ = sorted(_HOMES)  # noqa: PLE0605


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(home, __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
