# -*- test-case-name: tests.discovery.test_specs -*-
"""Directories by the texts of options: ``etcd:URL``, ``dns:NAME``, ``file:PATH``."""

from __future__ import annotations

import re
from typing import Any

from ..interfaces import INodeDirectory
from ..text import shown
from .file import FileDirectory

#: A name of DNS, with a port or without one.
_NAME = re.compile(r"(?P<name>[A-Za-z0-9_.-]{1,253})(?::(?P<port>[0-9]{1,5}))?\Z")


def directory(text: str, reactor: Any) -> INodeDirectory:
    """Make the directory that a text names; nobody is asked yet.

    :param text: ``etcd:URL`` (or several URLs, with commas between them),
        ``dns:NAME``, ``dns:NAME:PORT`` or ``file:PATH``.
    :param reactor: has the time, and the sockets for what needs such.
    :raises ValueError: it names none; one line says why.
    """
    kind, _, rest = text.partition(":")
    make = _KINDS.get(kind)
    if make is None or not rest:
        raise ValueError(f"{shown(text)} is not one of: {_FORMS}")
    return make(rest, reactor)


def _file(path: str, reactor: Any) -> INodeDirectory:
    return FileDirectory(path, reactor)


def _dns(text: str, reactor: Any) -> INodeDirectory:
    match = _NAME.match(text)
    port = int(match["port"]) if match and match["port"] else None
    if match is None or port == 0 or (port or 1) > 65535:
        raise ValueError(f"{shown(text)} is not NAME or NAME:PORT, as DNS has them")
    # Twisted's names take longer to load than the rest of a node.
    from .dns import DNSDirectory, SystemResolver

    return DNSDirectory(match["name"], port, SystemResolver(reactor), reactor)


def _etcd(text: str, reactor: Any) -> INodeDirectory:
    try:
        from .agent import http_agent
        from .etcd import EtcdDirectory
    except ImportError as error:
        package = (error.name or "treq").partition(".")[0]
        raise ValueError(
            f"etcd needs the package {package}: pip install 'skynet_tw[etcd]'"
        ) from error
    urls = [url.strip() for url in text.split(",")]
    return EtcdDirectory(urls, http_agent(reactor), reactor)


_KINDS = {"etcd": _etcd, "dns": _dns, "file": _file}

_FORMS = "etcd:URL, dns:NAME, dns:NAME:PORT, file:PATH"
