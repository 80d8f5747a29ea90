# -*- test-case-name: tests.net.test_writer -*-
"""What all our connections ask of their transports."""

from __future__ import annotations

import socket

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.interfaces import ISystemHandle, ITCPTransport, ITransport

#: Seconds of silence until TCP asks whether the other side is still there, seconds
#: between its questions, and how many of them may stay unanswered.  By default it
#: asks after two hours: so long a machine that lost its power would count as linked.
KEEPALIVE = {"TCP_KEEPIDLE": 30, "TCP_KEEPINTVL": 10, "TCP_KEEPCNT": 3}


def tune(transport: ITransport) -> None:
    """Send small writes at once, and notice a dead machine, where it is TCP."""
    if not ITCPTransport.providedBy(transport):
        return
    transport.setTcpNoDelay(True)
    transport.setTcpKeepAlive(True)
    handle = transport.getHandle() if ISystemHandle.providedBy(transport) else None
    if not isinstance(handle, socket.socket):
        return
    for name, value in KEEPALIVE.items():
        option = getattr(socket, name, None)
        if option is not None:
            try:
                handle.setsockopt(socket.IPPROTO_TCP, option, value)
            except OSError:
                # Best effort; the default is fine.
                return


def address_text(transport: ITransport | None) -> str:
    """Name the other end of a connection, for the log."""
    if transport is None:
        return "nobody"
    address = transport.getPeer()
    if isinstance(address, IPv4Address | IPv6Address):
        return f"{address.host}:{address.port}"
    return str(address)


def half_close_transport(transport: ITransport | None) -> None:
    """End what we write; the other side closes when it has read all of it.

    A transport that has no such half is closed.
    """
    if transport is None:
        return
    half_close = getattr(transport, "loseWriteConnection", None)
    if half_close is None:
        transport.loseConnection()
    else:
        half_close()


def abort_transport(transport: ITransport | None) -> None:
    """Close a connection at once, whatever its transport can do."""
    if transport is None:
        return
    abort = getattr(transport, "abortConnection", None)
    if abort is None:
        transport.loseConnection()
    else:
        abort()
