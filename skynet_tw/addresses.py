# -*- test-case-name: tests.test_addresses -*-
"""HOST:PORT and endpoint strings, as options and peers write them.

The reactor is passed in; nothing here opens a socket.
"""

from __future__ import annotations

import re
from typing import Any

from twisted.internet.endpoints import (
    HostnameEndpoint,
    TCP4ClientEndpoint,
    TCP4ServerEndpoint,
    TCP6ClientEndpoint,
    TCP6ServerEndpoint,
    clientFromString,
    serverFromString,
)
from twisted.internet.interfaces import IStreamClientEndpoint, IStreamServerEndpoint

from .errors import BadAddress

_HOST_PORT = re.compile(
    r"(?:\[(?P<six>[^\]]+)\]|(?P<host>[^:\[\]/=]*)):(?P<port>\d+)\Z"
)
_IPV4 = re.compile(r"\d+\.\d+\.\d+\.\d+\Z")

#: Words before the first colon that begin an endpoint string, not a host's name.
ENDPOINT_KINDS = frozenset(
    {"autotls", "fd", "haproxy", "ssl", "systemd", "tcp", "tcp6", "tls", "unix"}
)

#: Connections that may wait to be accepted.
BACKLOG = 128


def split(text: str) -> tuple[str, int] | None:
    """Host and port of ``HOST:PORT``, or None if it is an endpoint string.

    :raises BadAddress: it is neither.
    """
    match = _HOST_PORT.match(text)
    if match is not None and match["host"] not in ENDPOINT_KINDS:
        port = int(match["port"])
        if port > 65535:
            raise BadAddress(f"{text!r}: port {port} is not in 0..65535")
        return match["six"] or match["host"], port
    if text.partition(":")[0] in ENDPOINT_KINDS:
        return None
    raise BadAddress(f"{text!r} is neither HOST:PORT nor an endpoint string")


def client(reactor: Any, text: str) -> IStreamClientEndpoint:
    """The endpoint to connect to.

    :raises BadAddress: the text is malformed.
    """
    where = split(text)
    if where is None:
        try:
            return clientFromString(reactor, text)
        except (ValueError, TypeError, KeyError) as error:
            raise BadAddress(f"{text!r}: {error}") from error
    host, port = where
    if not host or port == 0:
        raise BadAddress(f"{text!r} cannot be connected to")
    if _IPV4.match(host):
        return TCP4ClientEndpoint(reactor, host, port)
    if ":" in host:
        return TCP6ClientEndpoint(reactor, host, port)
    return HostnameEndpoint(reactor, host, port)


def server(reactor: Any, text: str) -> IStreamServerEndpoint:
    """The endpoint to listen on.

    :raises BadAddress: the text is malformed.
    """
    where = split(text)
    if where is None:
        try:
            return serverFromString(reactor, text)
        except (ValueError, TypeError, LookupError, AttributeError) as error:
            raise BadAddress(f"{text!r}: {error}") from error
    host, port = where
    if ":" in host:
        return TCP6ServerEndpoint(reactor, port, BACKLOG, host)
    return TCP4ServerEndpoint(reactor, port, BACKLOG, host)
