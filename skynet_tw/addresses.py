# -*- test-case-name: tests.test_addresses -*-
"""HOST:PORT and endpoint strings, as options and peers write them.

The reactor is passed in; nothing here opens a socket.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from ipaddress import IPv6Address
from socket import inet_aton
from typing import Any

from twisted.internet.address import IPv4Address as IPv4Host
from twisted.internet.address import IPv6Address as IPv6Host
from twisted.internet.address import UNIXAddress
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import (
    HostnameEndpoint,
    TCP4ClientEndpoint,
    TCP4ServerEndpoint,
    TCP6ClientEndpoint,
    TCP6ServerEndpoint,
    clientFromString,
    quoteStringArgument,
    serverFromString,
)
from twisted.internet.interfaces import (
    IListeningPort,
    IProtocolFactory,
    IStreamClientEndpoint,
    IStreamServerEndpoint,
)
from zope.interface import implementer

from .errors import BadAddress
from .text import error_text, shown

_HOST_PORT = re.compile(
    r"(?:\[(?P<six>[^\]]+)\]|(?P<host>[^:\[\]/=\s]*)):(?P<port>[0-9]{1,9})\Z"
)
_INTERFACE = re.compile(r":interface=(?P<host>(?:\\.|[^:\\])*)")
_PORT = re.compile(r"tcp6?:(?:port=)?(?P<port>[0-9]{1,5})(?::|\Z)")
_IPV4 = re.compile(r"\d+\.\d+\.\d+\.\d+\Z")

#: Words before the first colon that begin an endpoint string, not a host's name.
ENDPOINT_KINDS = frozenset(
    {"autotls", "fd", "haproxy", "ssl", "systemd", "tcp", "tcp6", "tls", "unix"}
)

#: Those of them whose ports speak more than what is sent through them.
WRAPPED_KINDS = frozenset({"autotls", "haproxy", "ssl", "tls"})

#: Connections that may wait to be accepted.
BACKLOG = 128


def split(text: str) -> tuple[str, int] | None:
    """Host and port of ``HOST:PORT``, or None if it is an endpoint string.

    :raises BadAddress: it is neither.
    """
    match = _HOST_PORT.match(text) if text.isprintable() else None
    if match is not None and match["host"] not in ENDPOINT_KINDS:
        port = int(match["port"])
        if port > 65535:
            raise BadAddress(f"{shown(text)}: port {port} is not in 0..65535")
        if match["six"]:
            try:
                IPv6Address(match["six"])
            except ValueError as error:
                raise BadAddress(f"{shown(text)}: {error_text(error)}") from error
        return match["six"] or match["host"], port
    if text.partition(":")[0] in ENDPOINT_KINDS:
        return None
    raise BadAddress(f"{shown(text)} is neither HOST:PORT nor an endpoint string")


def join(host: str, port: int) -> str:
    """Write ``HOST:PORT``, with brackets around an IPv6 address."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def is_everywhere(host: str) -> bool:
    """Whether a host means all interfaces: it can be bound, and nobody can dial it."""
    if host in ("", "*"):
        return True
    try:
        if ":" in host:
            six = IPv6Address(host)
            return (six.ipv4_mapped or six).is_unspecified
        # All the forms that the system reads: "0" and "0x0.0" as well.
        return inet_aton(host) == bytes(4)
    except (OSError, ValueError):
        return False  # a name


def reachable(host: str) -> str:
    """The host at which this machine reaches what is bound to *host*."""
    if not is_everywhere(host):
        return host
    is_six = ":" in host and IPv6Address(host).ipv4_mapped is None
    return "::1" if is_six else "127.0.0.1"


def bound(text: str) -> tuple[str, int | None]:
    """The host and the port that an endpoint string binds, as far as it says so.

    The host is "" for all interfaces; the port is None where it is known only later.
    """
    host, port = _INTERFACE.search(text), _PORT.match(text)
    return (
        re.sub(r"\\(.)", r"\1", host["host"]) if host else "",
        int(port["port"]) if port else None,
    )


def client(reactor: Any, text: str) -> IStreamClientEndpoint:
    """The endpoint to connect to.

    :raises BadAddress: the text is malformed.
    """
    where = split(text)
    if where is None:
        try:
            return clientFromString(reactor, text)
        except Exception as error:
            # Whatever the plugin of that kind of endpoint says.
            reason = f"no endpoint to connect to: {error_text(error)}"
            raise BadAddress(f"{shown(text)}: {reason}") from error
    host, port = where
    if not host or port == 0:
        raise BadAddress(f"{shown(text)} cannot be connected to")
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
        except Exception as error:
            # Whatever the plugin of that kind of endpoint says.
            reason = f"no endpoint to listen on: {error_text(error)}"
            raise BadAddress(f"{shown(text)}: {reason}") from error
    host, port = where
    if ":" in host:
        return TCP6ServerEndpoint(reactor, port, BACKLOG, host)
    return TCP4ServerEndpoint(reactor, port, BACKLOG, host)


@implementer(IStreamServerEndpoint)
class Reachable:
    """An endpoint to listen on, whose port this process can then dial.

    What is bound may be all interfaces, a port that the system chooses, or an endpoint
    string, which means something else to who connects.

    :param listening: what is bound.
    :param client: makes the endpoint to connect to, of text.
    """

    def __init__(
        self,
        listening: IStreamServerEndpoint,
        client: Callable[[str], IStreamClientEndpoint],
    ) -> None:
        self._listening = listening
        self._client = client
        self._where: str | None = None

    def listen(self, protocolFactory: IProtocolFactory) -> Deferred[IListeningPort]:  # noqa: N803
        """Bind the port."""
        return self._listening.listen(protocolFactory).addCallback(self._bound)

    def _bound(self, port: IListeningPort) -> IListeningPort:
        host = port.getHost()
        if isinstance(host, (IPv4Host, IPv6Host)):
            self._where = join(reachable(host.host), host.port)
        elif isinstance(host, UNIXAddress):
            path = os.fsdecode(host.name or "")
            self._where = f"unix:{quoteStringArgument(path)}"
        return port

    def dial(self, text: str) -> IStreamClientEndpoint:
        """The endpoint to connect to the port, which *text* describes to people."""
        return self._client(self._where or text)
